"""What a reissue would do for one user: the decisions. Nothing is changed here.

- A key that waits for its user is not made twice: he is told again.
- A key that an earlier run made and did not hand over is removed first, if it is certain that nobody uses it.
- A third key is impossible: an inactive one gives way on consent, an active one never.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from ..errors import NeedsPerson, TryLater, WrongUsage, mask
from ..model import AccessKey, LastUse
from ..settings.fleet import FleetSettings
from .handover import BUSY, HandoverRecord, made_then
from .model import AwsAccount, FleetUser
from .ports import Directory
from .readers import readers
from .waiting import HandoverStore, named

Uses = Mapping[str, LastUse | None]  # by id; None is unknown, not "never"


@dataclass(frozen=True, slots=True)
class ReissueRequest:
    """Whom to make a key for. `profile` is the one that he should put it in; `replace_inactive`: an inactive key of his
    may be deleted for room; `renew`: a key that waits and was never used is replaced."""

    account: AwsAccount
    user: str
    profile: str = ""
    replace_inactive: bool = False
    renew: bool = False


class ReissueMode(Enum):
    """What would be done; the value is the word in `--json`."""

    MAKE = "made"
    AGAIN = "waits already"


@dataclass(frozen=True, slots=True)
class ReissuePlan:
    """What would be done. `discards` is an earlier key of ours that did not reach its user, `gives_up` the inactive key
    that makes room, `replaces` the id that the new key takes the place of. `slip` is what stands there now."""

    wish: ReissueRequest
    user: FleetUser
    readers: tuple[str, ...]
    way: ReissueMode
    keys: tuple[AccessKey, ...] = ()
    slip: HandoverRecord | None = None
    discards: AccessKey | None = None
    gives_up: AccessKey | None = None
    replaces: str = ""


def plan_reissue(
    wish: ReissueRequest, directory: Directory, waiting: HandoverStore, settings: FleetSettings, now: datetime
) -> ReissuePlan:
    """Look, and decide. Raises WrongUsage (off, or not set up), Problem (not our place), NeedsPerson, TryLater, Gone,
    Denied."""
    if not settings.reissue.enabled:
        raise WrongUsage(
            f"reissue is switched off ({settings.where})",
            f"set enabled = yes under [reissue] in {named(settings.where)}, and see docs/it",
        )
    waiting.check(wish.account.number)
    user = directory.find(wish.user)
    arns = readers(user.arn, settings.reissue.reader, user.name)
    slip = waiting.find(wish.account.number, user.name)
    keys = directory.keys(user.name)
    uses = {key.key_id: directory.last_use(key.key_id) for key in keys}
    discards = _undelivered(slip, keys, uses, now, renew=wish.renew)
    if slip and discards is None and _waits(slip, keys, uses):
        return ReissuePlan(wish, user, arns, ReissueMode.AGAIN, keys, slip, None, None, slip.replaces)
    left = tuple(key for key in keys if key != discards)
    gives_up = _room(wish, user, left, uses)
    staying = [key for key in left if key != gives_up]
    return ReissuePlan(wish, user, arns, ReissueMode.MAKE, left, slip, discards, gives_up, _replaced(staying))


def _waits(slip: HandoverRecord, keys: Sequence[AccessKey], uses: Uses) -> bool:
    """Whether the key of the slip waits there still: it was not taken, and no use of it is known."""
    there = any(key.key_id == slip.key_id and key.active for key in keys)
    return there and not slip.taken and not _was_used(uses.get(slip.key_id))


def _was_used(use: LastUse | None) -> bool:
    """Any use counts: signing in with it is a use of `sts`."""
    return bool(use and use.at)


def _undelivered(
    slip: HandoverRecord | None, keys: Sequence[AccessKey], uses: Uses, now: datetime, *, renew: bool
) -> AccessKey | None:
    """The key that an earlier run made and that did not reach its user."""
    if slip is None:
        return None
    young = now < slip.at + BUSY  # a key that was made just now may not be listed yet
    if young and not any(key.key_id == slip.key_id for key in keys):
        raise TryLater(f"another run is making a key for {slip.user} right now", "repeat the command in two minutes")
    made = made_then(slip, keys) if not slip.key_id else _given(slip, keys, renew=renew)
    if made is None or _was_used(uses[made.key_id]):
        return None
    if uses[made.key_id] is None:
        raise TryLater(
            f"key {mask(made.key_id)} of {slip.user} was made for an earlier hand-over, and AWS does not say "
            "whether it is in use",
            "repeat the command later, or let this role call iam:GetAccessKeyLastUsed",
        )
    return made


def _given(slip: HandoverRecord, keys: Sequence[AccessKey], *, renew: bool) -> AccessKey | None:
    """The key that waits: replaced if that was asked for, or if the sweep has switched it off."""
    found = next((key for key in keys if key.key_id == slip.key_id), None)
    return found if found and not slip.taken and (renew or not found.active) else None


def _room(wish: ReissueRequest, user: FleetUser, keys: Sequence[AccessKey], uses: Uses) -> AccessKey | None:
    """The inactive key that gives way, None if there is room. Raises NeedsPerson: consent helps, or a choice of his."""
    if len(keys) < 2:
        return None
    inactive = sorted((key for key in keys if not key.active), key=lambda key: key.created)
    told = " and ".join(f"{mask(key.key_id)} ({_state(key, uses.get(key.key_id))})" for key in keys)
    said = f"{user.name} in {wish.account} has two keys, {told}, and AWS allows no third"
    if not inactive:
        raise NeedsPerson(said, f"ask {user.name} to retire one: rotate-my-key delete-key KEY_ID")
    if not wish.replace_inactive:
        raise NeedsPerson(said, f"rotate-my-key fleet reissue {user.name} --replace-inactive")
    return inactive[0]


def _state(key: AccessKey, use: LastUse | None) -> str:
    status = "active" if key.active else "switched off"
    if use is None:
        return f"{status}, its last use is not known"
    if use.at is None:
        return f"{status}, no use of it is recorded"
    return f"{status}, last used on {use.at:%Y-%m-%d} by {use.service} in {use.region}"


def _replaced(keys: Sequence[AccessKey]) -> str:
    """The key that is in use: an active one before an inactive one, the older first."""
    by_age = sorted(keys, key=lambda key: (not key.active, key.created))
    return by_age[0].key_id if by_age else ""
