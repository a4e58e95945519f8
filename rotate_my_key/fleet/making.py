"""Telling the user that a key waits for him, and making keys for `enforce`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..errors import Problem, mask
from ..settings.fleet import FleetSettings
from .acting import ReissuedKey
from .announcing import ActionLine, Notifier
from .letters import Channels
from .mapping import addresses
from .model import AwsAccount, FleetUser
from .notify import channels
from .owners import owner_of
from .ports import Audit, Cloud, Directory
from .reissue_plan import ReissueRequest, plan_reissue
from .reissuing import HandoverResult, ReissueContext, hand_over
from .rendering import Renderer
from .waiting import HandoverStore


@dataclass(frozen=True, slots=True)
class Keymaker:
    """What a maker of keys works with; see Reissue. Called with a directory and a user, as `enforce` does."""

    waiting: HandoverStore
    settings: FleetSettings
    audit: Audit
    run: str
    now: Callable[[], datetime]
    pause: Callable[[float], None]

    def __call__(self, directory: Directory, user: FleetUser) -> ReissuedKey:
        """Make a key for this user, or give the one that waits for him. Never in place of another key of his: no
        consent was given. Raises Problem."""
        wish = ReissueRequest(directory.account, user.name)
        plan = plan_reissue(wish, directory, self.waiting, self.settings, self.now())
        rest = (self.audit, self.run, self.now, self.pause)
        handed = hand_over(plan, ReissueContext(directory, self.waiting, self.settings, *rest))
        return ReissuedKey(handed.key_id, handed.place, handed.notes)


def tell(
    handed: HandoverResult, user: FleetUser, account: AwsAccount, settings: FleetSettings, cloud: Cloud, now: datetime
) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """Tell the owner where it waits, by the channels of [remind] owners: the place is no secret. Gives the channels
    that took it, and what went wrong. Raises WrongUsage for channels or templates that are wrong."""
    outlets = Channels(channels(settings.remind.owners, settings.channels, cloud))
    owner = owner_of(user, settings.owners, addresses(settings.owners))
    why = f"IT has made a new key, {mask(handed.key_id)}"
    line = ActionLine(account, user.name, mask(handed.replaces or handed.key_id), why, place=handed.place)
    crier = Notifier(outlets, settings, Renderer(settings.remind.templates, now))
    return crier.tell(owner, [line])
