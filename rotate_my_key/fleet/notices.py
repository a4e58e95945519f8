"""What people are told of their keys, as values, and who is told in this run. Pure: the same keys, tags and day give
the same plan.

- An owner gets one notice with all of their keys that are active and due or overdue, over all accounts: the first at
  the first run that finds one, and then at most one in `repeat`, counted in whole days (UTC).
- A key that IT has recalled is overdue, and its owner hears of that whenever they were told of its age before.
- What went out before stands in the users' tags; of a user whose tag cannot be read nothing is known, and the owner is
  told again rather than not at all. A key that is gone was answered.
- What people named (accounts, owners) is made one line here, so that no template can make a header or a line of it. No
  type has a field that could hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from ..core.model import LastUse, Recall
from ..core.policy import Policy, Verdict, join, mask, number, span
from ..settings.fleet import Accounts, FleetSettings
from .judge import Row, limit_of
from .memory import recall, whole_days
from .model import AccountSurvey, AwsAccount, Finder, Owner
from .rules import UserFacts, deleted_at, observed, switched_off_at, waits_for

_NAMED = 50  # users of an account that a row of the digest names


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One key in a notice, its `key_id` "" if it is not known; `owner` is who is told of it. `since` is when
    it became due or overdue, `overdue` when it is or was overdue. `last_use` None is unknown, not "never". `told` is
    how many notices went out before this one; `unsure` says what could not be read, so that its user may be exempt.
    `off` is when it will be switched off at the earliest and `gone` when deleted, None if that is not sure; `waits`: IT
    has made a new key in its place, which waits for its user at `place` if that is known; `recall`: IT wants it to be
    replaced, whatever its age; `tags` are the user's, one line each."""

    account: AwsAccount
    user: str
    owner: str
    key_id: str
    verdict: Verdict
    age: timedelta
    since: datetime
    overdue: datetime
    last_use: LastUse | None = None
    told: int = 0
    unsure: str = ""
    root: bool = False
    off: datetime | None = None
    gone: datetime | None = None
    waits: bool = False
    place: str = ""
    max_age: timedelta = Policy().max_age
    recall: Recall | None = None
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> str:
        """Its masked id, for its owner; who manages all keys needs the whole one."""
        return mask(self.key_id) if self.key_id else ""

    @property
    def late(self) -> bool:
        """Whether it is overdue, and not just due."""
        return self.verdict is Verdict.OVERDUE

    @property
    def by(self) -> datetime:
        """When it has to be replaced: before it is overdue, and before it is switched off, if that is known."""
        if self.recall:
            return self.off or self.recall.by
        return min(self.overdue, self.off or self.overdue)

    @property
    def state(self) -> str:
        """`due`, `overdue`, `recalled by IT (laptop stolen)`."""
        if not self.recall:
            return "overdue" if self.late else "due"
        return f"recalled by IT{self.recall.reason and f' ({self.recall.reason})'}"


@dataclass(frozen=True, slots=True)
class Notice:
    """What one owner is told: all of their keys that are due, the oldest first. `escalated`: so many notices went
    unanswered that others are told as well."""

    owner: Owner
    keys: tuple[KeyLine, ...]
    escalated: bool = False

    @property
    def number(self) -> int:
        """The how-manieth notice it is for the key that was told of most often; 1 is the first."""
        return 1 + max((line.told for line in self.keys), default=0)

    @property
    def max_age(self) -> str:
        """How old a key may get; several where not all of them have the same limit, "" if all of them are recalled."""
        return " or ".join(span(each) for each in sorted({line.max_age for line in self.keys if not line.recall}))

    @property
    def recalled(self) -> int:
        """How many of them are recalled."""
        return sum(bool(line.recall) for line in self.keys)

    @property
    def rotatable(self) -> int:
        """How many of them `rotate-my-key` is to replace: root's it cannot, and for others a new one waits."""
        return sum(not (line.root or line.waits) for line in self.keys)


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
        return f"no address is known for {self.owner}"


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
    `unsure`: users who may be exempt; `broken`: accounts that could not be looked at, with the exit `code` of that;
    `notes`: what else was found.
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
    code: int = 0

    @property
    def overdue(self) -> int:
        """How many of the old keys are overdue. Root's count apart, as in the report."""
        return sum(line.late and not line.root for line in self.old)

    @property
    def recalled(self) -> int:
        """How many of these are recalled."""
        return sum(bool(line.recall) for line in self.old)

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
        more = {each: f" and {len(users) - _NAMED:,} more" for each, users in names.items() if len(users) > _NAMED}
        return tuple(Remark(each, ", ".join(users[:_NAMED]) + more.get(each, "")) for each, users in names.items())

    @property
    def wrong(self) -> int:
        """How many rows tell of something that did not work."""
        return sum(map(len, (self.undelivered, self.unreached, self.forgotten, self.unsure, self.broken)))


def one_line(text: str) -> str:
    """A text for a place that takes one line, such as a mail's subject: what does not print becomes a blank, Unicode's
    line separators and the signs that turn the direction of writing too."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


@dataclass(frozen=True, slots=True)
class PlannedNotice:
    """A notice and the keys that it is about, with what is remembered of their users."""

    notice: Notice
    cases: tuple[tuple[Row, UserFacts], ...]


@dataclass(frozen=True, slots=True)
class NoticePlan:
    """The notices for now, and those of owners who were told a short while ago."""

    now: tuple[PlannedNotice, ...] = ()
    quiet: tuple[PlannedNotice, ...] = ()

    @property
    def old(self) -> tuple[KeyLine, ...]:
        """Every key of every notice, the oldest first."""
        lines = [line for each in (*self.now, *self.quiet) for line in each.notice.keys]
        return tuple(sorted(lines, key=lambda line: line.age, reverse=True))

    @property
    def unanswered(self) -> tuple[KeyLine, ...]:
        """The keys that an earlier notice was about, those told of most often first."""
        return tuple(sorted((line for line in self.old if line.told), key=lambda line: line.told, reverse=True))


def plan_notices(
    rows: Iterable[Row], settings: FleetSettings, now: datetime, places: Finder = lambda account, user: ""
) -> NoticePlan:
    """Decide for one run who is told of which of these keys; owners in the order of their names. An exemption that
    could not be read is none, and is said. An owner who was told a short while ago rests (`_rests`). A memory of a day
    to come (somebody's clock was wrong) is none: else it could silence us for years. `places` says where new
    keys wait."""
    today, due, quiet = now.date(), list[PlannedNotice](), list[PlannedNotice]()
    by_owner: dict[str, list[tuple[Row, UserFacts]]] = {}
    for row in rows:
        if row.key.active and row.by_age is not Verdict.FRESH and not row.exempt:
            mine = by_owner.setdefault((row.owner.address or row.owner.name).lower(), [])
            mine.append((row, facts_of(row, settings, now)))
    for _, cases in sorted(by_owner.items()):
        told = [last for row, facts in cases if (last := facts.known(row.key.key_id).last) and last <= today]
        rests = bool(told) and _rests(cases, max(told), settings, today)
        (quiet if rests else due).append(_planned(cases, settings, now, places))
    return NoticePlan(tuple(due), tuple(quiet))


def _rests(cases: list[tuple[Row, UserFacts]], last: date, settings: FleetSettings, today: date) -> bool:
    """Whether an owner who was told on that day is left in peace: until the next of the days `before` a key is overdue,
    if there are some, and of an overdue key for `repeat`. A run that is late tells of a day that it missed, once. Who
    has not heard of a recall does not rest."""
    heard = ((row.recall, facts.known(row.key.key_id).last or date.min) for row, facts in cases)
    if any(recall and day < recall.at.date() for recall, day in heard):
        return False
    pause = (today - last).days < whole_days(settings.remind.repeat)
    if not settings.remind.before or (not pause and any(row.by_age is Verdict.OVERDUE for row, _ in cases)):
        return pause
    overdue = [row.overdue_at.date() for row, _ in cases]
    return not any(last < day - timedelta(int(each)) <= today for day in overdue for each in settings.remind.before)


def facts_of(row: Row, settings: FleetSettings, now: datetime) -> UserFacts:
    """What the rules of `enforce` are asked with: the same memory, seen the same way."""
    memory, why = recall(row.user, settings.remind.tag)
    if not why and all(key.key_id for key in row.user.keys):
        memory = observed(row.user, memory, row.policy, now)
    limit = limit_of(row.user, settings, None, now.date())
    return UserFacts(row.user, memory, row.exempt, row.uncertain or why, limit)


def _planned(
    cases: list[tuple[Row, UserFacts]], settings: FleetSettings, now: datetime, places: Finder
) -> PlannedNotice:
    ordered = tuple(sorted(cases, key=lambda case: (case[0].key.created, case[0].account, case[0].user.arn)))
    lines = tuple(_line(row, facts, settings, now, places) for row, facts in ordered)
    after = settings.remind.escalate_after if settings.remind.escalate else 0
    escalated = bool(after) and max(line.told for line in lines) >= after
    said = ordered[0][0].owner
    owner = Owner(one_line(said.name), one_line(said.address), said.how)
    return PlannedNotice(Notice(owner, lines, escalated), ordered)


def _line(row: Row, facts: UserFacts, settings: FleetSettings, now: datetime, places: Finder) -> KeyLine:
    off = switched_off_at(facts, row.key, settings, now)
    waits = waits_for(facts, row.key, settings, now)
    return KeyLine(
        AwsAccount(row.account.number, one_line(row.account.name)),
        "root" if row.user.is_root else one_line(row.user.name),
        one_line(row.owner.address or (row.owner.name if row.owner.name != row.user.name else "no address")),
        row.key.key_id or "",
        row.by_age,
        now - row.key.created,
        row.overdue_at if row.by_age is Verdict.OVERDUE else row.due_at,
        row.overdue_at,
        row.key.last_use,
        facts.known(row.key.key_id).notices,
        one_line(row.uncertain),
        row.user.is_root,
        off,
        deleted_at(off, settings.limited(facts.limit)),
        waits,
        places(row.account.number, row.user.name) if waits else "",
        row.policy.max_age,
        row.recall,
        {one_line(name): one_line(value) for name, value in (row.user.tags or {}).items()},
    )


# Rows that say the same

NAMED = 3  # of so many that a line names
_NUMBER = re.compile(r"\d{12}")
_MEMBER_ROLE = "rotate-my-key fleet template --member-role"  # stands in the hint of a role that cannot be assumed


@dataclass(frozen=True, slots=True)
class Alike:
    """What is said of all of `abouts`, with what to do about it. Of one it is the row as it was."""

    abouts: tuple[str, ...]
    text: str
    hint: str = ""


def alike(rows: Iterable[Remark]) -> list[Alike]:
    """The rows in their order, those that differ in nothing but the account that they are about as one."""
    found: dict[tuple[str, str], list[Remark]] = {}
    for row in rows:
        text = row.text  # without the account's number, where that stands beside it anyway
        for account in _NUMBER.findall(row.about):
            text = re.sub(rf"arn:[\w-]+:iam::{account}:role/", "", text.replace(f" in account {account}", ""))
        found.setdefault((text, row.hint), []).append(row)
    return [
        Alike(tuple(row.about for row in same), text if len(same) > 1 else same[0].text, hint)
        for (text, hint), same in found.items()
    ]


def some(names: Sequence[str], most: int = NAMED) -> str:
    """`a, b and c`, `a, b, c and 46 more`."""
    return join(names) if len(names) <= most + 1 else f"{', '.join(names[:most])} and {len(names) - most:,} more"


def about(same: Alike, noun: str = "account", most: int = NAMED) -> str:
    """`account a`, `10 accounts (a, b, c and 7 more)`."""
    names = same.abouts
    return f"{noun} {names[0]}" if len(names) == 1 else f"{number(len(names), noun)} ({some(names, most)})"


def failed(surveys: Sequence[AccountSurvey], accounts: Accounts) -> list[Alike]:
    """Why accounts could not be looked at. A role that is nowhere is rather a wrong setting than many faults."""
    found = []
    for same in alike(Remark(str(each.account), each.problem, each.hint) for each in surveys if each.problem):
        hint, many = same.hint, len(same.abouts) > 1
        if _MEMBER_ROLE in hint and many and len(same.abouts) >= len(surveys) - 1:  # the caller's own needs no role
            hint = f"check role in [accounts] ({accounts.role}); {hint}"
        elif _MEMBER_ROLE in hint and not accounts.only:
            hint = f"{hint}; or leave {'them' if many else 'it'} out: set but in [accounts]"
        found.append(Alike(same.abouts, same.text, hint))
    return found
