"""What the fleet remembers of a user's keys, in one tag of that user: no database is needed. Pure.

A tag's value has at most 256 characters out of letters, digits, blanks and `_.:/=+-@` (IAM API reference, Tag). It
looks like `1 ABCD2345:n2:f20261101:l20261120 EFGH6789:o20261125`: the version, then for each key the last eight
characters of its id and what is known of it. What somebody else wrote there is no memory of ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta

from ..core.errors import Problem
from .model import FleetUser

VERSION = "1"
LONGEST = 256
_YEARS = range(2006, 2201)  # no key of IAM is older
_MOST = 9999
_REF = re.compile(r"[A-Z0-9]{4,8}|[A-Z0-9]{16,128}")
_FACT = re.compile(r"([a-z])([0-9]{1,8})")


@dataclass(frozen=True, slots=True)
class KeyMemory:
    """What is known of one key: `notices` were given, the `first` and the `last` on these days; `warnings` of them, the
    first one when it was `warned` of, said what will be done to it and when. The other days are when the fleet switched
    it `off`, first saw it switched off by somebody else (`found_off`), `made` it for its user, made another one in its
    place (`reissued`), `revoked` it, and saw it on again (`back`).

    `intended`: when it was about to be switched off; one that is off then was switched off by the fleet, though the run
    was stopped before it could write that down. An intent stays until the owner was told of the act; with `off` beside
    it only that is left. Under the whole id of a key stands its deletion, with the key's own day as `made`. `recalled`
    says how many days after the first notice it may be switched off, as its user was told, because IT has recalled it.
    """

    notices: int = 0
    first: date | None = None
    last: date | None = None
    off: date | None = None
    found_off: date | None = None
    made: date | None = None
    revoked: date | None = None
    intended: date | None = None
    back: date | None = None
    warnings: int = 0
    warned: date | None = None
    reissued: date | None = None
    recalled: int = 0

    def doubt(self, today: date) -> str:
        """Why nothing may be done by what is said here, or "": what may be done counts from a first day, and a day that
        has not come was written by a wrong clock or by somebody else."""
        days = [value for each in fields(self) if isinstance(value := getattr(self, each.name), date)]
        if days and max(days) > today:
            return "its tag has a date in the future"
        lost = (self.notices and not self.first) or (self.warnings and not self.warned)
        return "its tag counts notices, but has no first date" if lost else ""

    @property
    def recalled_on(self) -> date | None:
        """The day from which on it may be switched off because of a recall, as its user was told."""
        return self.first + timedelta(days=self.recalled) if self.first and self.recalled else None

    @property
    def anew(self) -> KeyMemory:
        """What stays of it when everything about the key begins anew."""
        return KeyMemory(made=self.made, reissued=self.reissued)

    def noticed(self, today: date, *, warned: bool, recalled: date | None = None) -> KeyMemory:
        """After one more notice, which said what is coming or not, and of a recall on which day."""
        first = self.first or today
        days = (recalled - first).days if recalled else self.recalled
        more = replace(self, notices=self.notices + 1, first=first, last=today, recalled=days)
        return replace(more, warnings=self.warnings + 1, warned=self.warned or today) if warned else more


Memory = Mapping[str, KeyMemory]  # by `ref` of the key id
_LETTERS = dict(zip((each.name for each in fields(KeyMemory)), "nflosmribwdey", strict=True))
_COUNTS = "nwy"


class UnreadableTag(ValueError):
    """The tag is there and is not of this version, or was not written by us."""


def ref(key_id: str) -> str:
    """What stands for a key in the tag: the last eight characters of its id."""
    return key_id[-8:]


def encode(memory: Memory, keep: Collection[str] | None = None) -> str:
    """The tag's value, "" if there is nothing to remember; of the keys `keep` (ids) and of deletions
    alone, if that is known."""
    kept = None if keep is None else {ref(key_id) for key_id in keep}
    parts = [
        ":".join((name, *_facts(known)))
        for name, known in sorted(memory.items())
        if (kept is None or name in kept or name != ref(name)) and known != KeyMemory()
    ]
    return " ".join((VERSION, *parts)) if parts else ""


def tag_value(memory: Memory, tag: str, keep: Collection[str] | None = None) -> str:
    """`encode`, for the tag of this name. Raises Problem if there is no room."""
    value = encode(memory, keep)
    if len(value) > LONGEST:
        raise Problem(f"the tag {tag} is full")
    return value


def _facts(known: KeyMemory) -> list[str]:
    values = ((_LETTERS[each.name], getattr(known, each.name)) for each in fields(known))
    return [
        f"{letter}{value:%Y%m%d}" if isinstance(value, date) else f"{letter}{min(value, _MOST)}"
        for letter, value in values
        if value
    ]


def decode(text: str | None) -> dict[str, KeyMemory]:
    """Read a tag's value; nothing for none. Raises UnreadableTag."""
    version, *parts = (text or "").split() or [VERSION]
    if version != VERSION:
        raise UnreadableTag(version)
    return dict(map(_key, parts))


def _key(part: str) -> tuple[str, KeyMemory]:
    name, *facts = part.split(":")
    names = {letter: field for field, letter in _LETTERS.items()}
    known: dict[str, int | date] = {}
    for fact in facts:
        match = _FACT.fullmatch(fact)
        value = _value(match[1], match[2]) if match else None
        if not match or match[1] not in names or value is None:
            raise UnreadableTag(part)
        known[names[match[1]]] = value
    if not _REF.fullmatch(name):
        raise UnreadableTag(part)
    return name, KeyMemory(**known)  # type: ignore[arg-type]


def _value(letter: str, digits: str) -> int | date | None:
    """A count or a day, None for neither. Not 31 December 9999, which no day of grace can be added to."""
    if letter in _COUNTS:
        return int(digits) if int(digits) <= _MOST else None
    try:
        day = date(int(digits[:-4] or 0), int(digits[-4:-2] or 0), int(digits[-2:]))
    except ValueError:
        return None
    return day if len(digits) == 8 and day.year in _YEARS else None


def recall(user: FleetUser, tag: str) -> tuple[Memory, str]:
    """What is remembered of a user's keys, and why nothing can be remembered of them, "" if it can."""
    if user.is_root:
        return {}, "root has no tags"
    if user.tags is None:
        return {}, "the tags could not be read"
    try:
        return decode(value_of(user.tags, tag)), ""
    except UnreadableTag:
        return {}, f"the tag {tag} was not written by this version, so it is left as it is"


def value_of(tags: Mapping[str, str], tag: str) -> str | None:
    """The tag's value. Tag keys of users are compared without regard to case, as IAM does."""
    return next((value for name, value in tags.items() if name.lower() == tag.lower()), None)


def whole_days(duration: timedelta) -> int:
    """A duration in days, rounded up: what is remembered is days."""
    return -(-duration // timedelta(days=1))
