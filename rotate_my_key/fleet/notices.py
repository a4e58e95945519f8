"""What people are told of their keys, as values. Pure.

No type has a field that could hold a secret, and an id is masked before it gets here. Times are aware datetimes in UTC.
What a value looks like is the templates' business: see `rendering.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..model import LastUse
from ..policy import Verdict
from .model import AwsAccount, Owner

_NAMED = 50  # users of an account that a row of the digest names


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One key in a notice. `key` is its masked id, "" if it is not known; `owner` is who is told of it.

    `age` is its age now, `since` when it became due or overdue, `overdue` when it is or was overdue. `last_use` None is
    unknown, not "never". `told` is how many notices about it went out before this one; `unsure` says what could not be
    read, so that its user may be exempt after all.
    """

    account: AwsAccount
    user: str
    owner: str
    key: str
    verdict: Verdict
    age: timedelta
    since: datetime
    overdue: datetime
    last_use: LastUse | None = None
    told: int = 0
    unsure: str = ""
    root: bool = False

    @property
    def late(self) -> bool:
        """Whether it is overdue, and not just due."""
        return self.verdict is Verdict.OVERDUE


@dataclass(frozen=True, slots=True)
class Notice:
    """What one owner is told: all of his keys that are due, the oldest first.

    `escalated`: so many notices went unanswered that others are told as well.
    """

    owner: Owner
    keys: tuple[KeyLine, ...]
    escalated: bool = False

    @property
    def number(self) -> int:
        """The how-manieth notice it is for the key that was told of most often; 1 is the first."""
        return 1 + max((line.told for line in self.keys), default=0)

    @property
    def rotatable(self) -> int:
        """How many of them `rotate-my-key` can replace: root's it cannot."""
        return sum(not line.root for line in self.keys)


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """A row of the digest: whom or what it is about, what there is to say, and what to do, each in one line."""

    about: str
    text: str
    hint: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, order=True)
class Unaddressed:
    """A user whose owner no channel can reach."""

    account: str
    user: str
    owner: str
    root: bool = False

    @property
    def about(self) -> str:
        """As of a Remark."""
        return f"{self.user} in {self.account}"

    @property
    def text(self) -> str:
        """As of a Remark."""
        return f"no address is known of {self.owner}"


@dataclass(frozen=True, slots=True)
class DigestCounts:
    """What was looked at; `exempt` users have a key that works, `root` keys are root's, of whatever age."""

    accounts: int = 0
    users: int = 0
    keys: int = 0
    exempt: int = 0
    root: int = 0


@dataclass(frozen=True, slots=True)
class Digest:
    """What admins are told, also when nothing is due: silence then means that the run did not happen.

    `reminds`: whether owners are told at all. `told`: the notices that went out; `quiet`: those of owners who were told
    a short while ago; `unanswered`: keys as old as ever after one notice or more. `undelivered`: what did not arrive;
    `unaddressed`: users whose owner no channel could reach; `forgotten`: users of whom nothing can be remembered;
    `unsure`: users who may be exempt; `broken`: accounts that could not be looked at; `notes`: what else was found.
    """

    at: datetime
    counts: DigestCounts = field(default_factory=DigestCounts)
    reminds: bool = True
    old: tuple[KeyLine, ...] = ()
    told: tuple[Notice, ...] = ()
    quiet: tuple[Notice, ...] = ()
    unanswered: tuple[KeyLine, ...] = ()
    undelivered: tuple[Remark, ...] = ()
    unaddressed: tuple[Unaddressed, ...] = ()
    forgotten: tuple[Remark, ...] = ()
    unsure: tuple[Remark, ...] = ()
    broken: tuple[Remark, ...] = ()
    notes: tuple[Remark, ...] = ()

    @property
    def overdue(self) -> int:
        """How many of the old keys are overdue. Root's count apart, as in the report."""
        return sum(line.late and not line.root for line in self.old)

    @property
    def due(self) -> int:
        """How many of them are due."""
        return sum(not line.late and not line.root for line in self.old)

    @property
    def unreached(self) -> tuple[Remark, ...]:
        """`unaddressed` with one row an account."""
        names: dict[str, list[str]] = {}
        for row in self.unaddressed:
            names.setdefault(row.account, []).append(row.user)
        return tuple(Remark(account, _listed(users)) for account, users in names.items())

    @property
    def wrong(self) -> int:
        """How many rows tell of something that did not work."""
        return sum(map(len, (self.undelivered, self.unreached, self.forgotten, self.unsure, self.broken)))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def one_line(text: str) -> str:
    """A text for a place that takes one line, such as a mail's subject: what does not print becomes a blank.

    That includes Unicode's line separators, and the signs that turn the direction of writing.
    """
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
