"""A closer look at one user: ids, exact ages, tags.

The credential report tells no ids, so each of its slots is matched with a listed key, to learn its last use without
another call. Where that is not certain AWS is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from ..errors import Gone, Problem, TryLater
from ..model import AccessKey, LastUse
from .model import FleetKey, FleetUser
from .ports import Directory


class LookReason(Enum):
    """Why a user is looked at: his report says so, or there is none."""

    BY_REPORT = "by report"
    BY_LIST = "by list"


@dataclass(frozen=True, slots=True)
class Details:
    """The user as he is now, None if he is gone. `attention`: his tags were asked for, None are denied.

    `trouble`: his keys could not be listed, so that they are as the report has them; without one he is None.
    `later`: AWS is throttling or away, after all patience, so that others need not be asked about now.
    """

    user: FleetUser | None
    attention: bool = False
    trouble: Problem | None = None
    later: TryLater | None = None


class LastUses:
    """GetAccessKeyLastUsed in one account, until three keys in a row got no answer: who is denied or throttled is so
    for thousands of keys."""

    _ENOUGH = 3

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._unanswered = 0

    def of(self, key_id: str) -> LastUse | None:
        """None for unknown."""
        if self._unanswered >= self._ENOUGH:
            return None
        use = self._directory.last_use(key_id)
        self._unanswered = 0 if use else self._unanswered + 1
        return use


def look_at(
    directory: Directory, uses: LastUses, user: FleetUser, asked: LookReason, attention: Callable[[FleetUser], bool]
) -> Details:
    """List a user's keys; if he needs attention as he is now, his tags too. Raises Interrupted."""
    now = user
    trouble: Problem | None = None
    try:
        now = replace(user, keys=_keys(uses, user.keys, directory.keys(user.name)))
    except Gone:
        return Details(None)
    except Problem as problem:
        if asked is LookReason.BY_LIST or isinstance(problem, TryLater):
            return unlooked(user, asked, problem)
        trouble = problem
    if not attention(now):
        return Details(now, trouble=trouble)
    try:
        return Details(replace(now, tags=directory.tags(user.name)), True, trouble)
    except Gone:
        return Details(None)
    except Problem as problem:  # throttled: unknown, as if denied
        return Details(now, True, trouble, problem if isinstance(problem, TryLater) else None)


def unlooked(user: FleetUser, asked: LookReason, problem: Problem) -> Details:
    """What is known of a user whose keys could not be listed."""
    kept = user if asked is LookReason.BY_REPORT else None
    return Details(kept, trouble=problem, later=problem if isinstance(problem, TryLater) else None)


def _keys(uses: LastUses, slots: Sequence[FleetKey], listed: Sequence[AccessKey]) -> tuple[FleetKey, ...]:
    known = matched(slots, listed)
    return tuple(
        FleetKey(key.active, key.created, key.key_id, known.get(key.key_id) or uses.of(key.key_id)) for key in listed
    )


def matched(slots: Sequence[FleetKey], listed: Sequence[AccessKey]) -> Mapping[str, LastUse]:
    """The last uses that the report tells of, by key id; of keys that are certainly those of a slot only.

    A slot's date is when its key was made or last changed. So equal dates match, if there is but one pair of them, and
    what is then left over, if it is one of each and the key is not younger than the slot.
    """
    pairs = []
    for slot in slots:
        same = [key for key in listed if key.created == slot.created]
        twins = [each for each in slots if each.created == slot.created]
        if len(same) == len(twins) == 1:
            pairs.append((same[0], slot))
    keys_left = [key for key in listed if key not in [pair[0] for pair in pairs]]
    slots_left = [slot for slot in slots if slot not in [pair[1] for pair in pairs]]
    if len(keys_left) == len(slots_left) == 1 and keys_left[0].created <= slots_left[0].created:
        pairs.append((keys_left[0], slots_left[0]))
    return {key.key_id: slot.last_use for key, slot in pairs if slot.last_use}
