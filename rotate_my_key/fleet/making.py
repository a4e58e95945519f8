"""Telling the user that a key waits for him, and making keys for `enforce`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ..errors import Problem, mask
from ..settings.fleet import FleetSettings
from .acting import Reissued
from .announcing import Crier, Line
from .letters import Outlets
from .mapping import addresses
from .model import Account, FleetUser
from .notify import channels
from .owners import owner_of
from .ports import Audit, Cloud, Directory
from .reissue_plan import Wish, plan_reissue
from .reissuing import Handed, Reissue, hand_over
from .rendering import Renderer
from .waiting import Waiting


@dataclass(frozen=True, slots=True)
class Keymaker:
    """What a maker of keys works with; see Reissue. Called with a directory and a user, as `enforce` does."""

    waiting: Waiting
    settings: FleetSettings
    audit: Audit
    run: str
    now: Callable[[], datetime]
    pause: Callable[[float], None]

    def __call__(self, directory: Directory, user: FleetUser) -> Reissued:
        """Make a key for this user, or give the one that waits for him. Never in place of another key of his: no
        consent was given. Raises Problem."""
        wish = Wish(directory.account, user.name)
        plan = plan_reissue(wish, directory, self.waiting, self.settings, self.now())
        rest = (self.audit, self.run, self.now, self.pause)
        handed = hand_over(plan, Reissue(directory, self.waiting, self.settings, *rest))
        return Reissued(handed.key_id, handed.place, handed.notes)


def tell(
    handed: Handed, user: FleetUser, account: Account, settings: FleetSettings, cloud: Cloud, now: datetime
) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """Tell the owner where it waits, by the channels of [remind] owners: the place is no secret. Gives the channels
    that took it, and what went wrong. Raises WrongUsage for channels or templates that are wrong."""
    outlets = Outlets(channels(settings.remind.owners, settings.channels, cloud))
    owner = owner_of(user, settings.owners, addresses(settings.owners))
    why = f"IT has made a new key, {mask(handed.key_id)}"
    line = Line(account, user.name, mask(handed.replaces or handed.key_id), why, place=handed.place)
    crier = Crier(outlets, settings, Renderer(settings.remind.templates, now))
    return crier.tell(owner, [line])
