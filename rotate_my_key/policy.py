"""How old a key may get: durations, and the one definition of fresh, due and overdue.

Pure, and apart from `model.py` because the fast path (`status --cached`) can afford little more. Times are aware
datetimes in UTC, durations are timedeltas.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from .errors import WrongUsage

if TYPE_CHECKING:
    from typing import Protocol

    class Aged(Protocol):
        """What can be judged: an access key, or a row of the cached status."""

        @property
        def created(self) -> datetime:
            """CreateDate, in UTC."""


_DURATION = re.compile(r"(\d{1,6})\s*([smhdw]?)", re.IGNORECASE)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta:
    """Read `90d`, `12h`, `30m`, `45s`, `2w` or `0`; a unit is needed for anything but 0.

    Raises WrongUsage for anything else, negative numbers included.
    """
    match = _DURATION.fullmatch(text.strip())
    if not match or (not match[2] and int(match[1])):
        raise WrongUsage(f"{text!r} is not a duration", "write it like 90d, 12h, 30m, 45s or 0")
    return timedelta(**{_UNITS[match[2].lower() or "s"]: int(match[1])})


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back: `90d`, `12h`, `0`."""
    seconds = int(duration.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s" if seconds else "0"


class Verdict(Enum):
    """How a key stands against the policy."""

    FRESH = "fresh"
    DUE = "due"
    OVERDUE = "overdue"


class Policy(NamedTuple):
    """How old a key may get: due at `max_age - remind_before`, overdue at `max_age`.

    A named tuple, for defining a dataclass takes seven times as long.
    """

    max_age: timedelta = timedelta(days=90)
    remind_before: timedelta = timedelta(days=15)

    def due_at(self, created: datetime) -> datetime:
        """When a key made then is due."""
        return created + max(self.max_age - self.remind_before, timedelta(0))

    def overdue_at(self, created: datetime) -> datetime:
        """When a key made then is overdue."""
        return created + self.max_age

    def verdict(self, key: Aged, now: datetime) -> Verdict:
        """Judge a key by its CreateDate: `>=`, in UTC. Laptop, reminder and fleet alike."""
        if now >= self.overdue_at(key.created):
            return Verdict.OVERDUE
        return Verdict.DUE if now >= self.due_at(key.created) else Verdict.FRESH
