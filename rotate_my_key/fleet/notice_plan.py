"""Who is told of what in this run. Pure: the same keys, tags and day give the same plan.

- An owner gets one notice with all of his keys that are active and due or overdue, over all accounts.
- He gets the first at the first run that finds one, and then at most one in `repeat`, counted in whole days (UTC): a
  run that is some hours early or late changes nothing, and a weekly run tells each time. A key that becomes due in
  between comes with the next notice.
- What went out before stands in the users' tags; of a user whose tag cannot be read nothing is known, and he is told
  again rather than not at all. A key that is gone was answered: nothing about it counts any more.
- What people named (accounts, owners) is made one line here, so that no template can make a header or a line of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..errors import mask
from ..policy import Policy, Verdict
from ..settings.fleet import Remind
from .judge import Row
from .memory import KeyMemory, Memory, UnreadableTag, decode, ref
from .model import AwsAccount, FleetKey, FleetUser, Owner
from .notices import KeyLine, Notice, one_line


@dataclass(frozen=True, slots=True)
class DueKey:
    """An active key that is due or overdue, of a user who is not exempt, or may be: then `unsure` says why."""

    account: AwsAccount
    user: FleetUser
    key: FleetKey
    verdict: Verdict
    owner: Owner
    unsure: str = ""


def cases_of(rows: Iterable[Row]) -> Iterator[DueKey]:
    """Of all keys those that somebody is to be told of. An exemption that could not be read is none, and is said."""
    for row in rows:
        if row.key.active and row.by_age is not Verdict.FRESH and not row.exempt:
            yield DueKey(row.account, row.user, row.key, row.by_age, row.owner, row.uncertain)


@dataclass(frozen=True, slots=True)
class PlannedNotice:
    """A notice and the cases that it is about."""

    notice: Notice
    cases: tuple[DueKey, ...]


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


def plan_notices(cases: Iterable[DueKey], policy: Policy, remind: Remind, now: datetime) -> NoticePlan:
    """Decide for one run; owners in the order of their names."""
    by_owner: dict[str, list[DueKey]] = {}
    for case in cases:
        by_owner.setdefault((case.owner.address or case.owner.name).lower(), []).append(case)
    plans = [_planned(by_owner[who], policy, remind, now) for who in sorted(by_owner)]
    waits = [_is_quiet(each.cases, remind, now) for each in plans]
    return NoticePlan(
        tuple(each for each, quiet in zip(plans, waits, strict=True) if not quiet),
        tuple(each for each, quiet in zip(plans, waits, strict=True) if quiet),
    )


def _planned(cases: list[DueKey], policy: Policy, remind: Remind, now: datetime) -> PlannedNotice:
    ordered = tuple(sorted(cases, key=lambda case: (case.key.created, case.account, case.user.arn)))
    lines = tuple(_line(case, policy, remind, now) for case in ordered)
    most = max(line.told for line in lines)
    escalated = bool(remind.escalate_after) and most >= remind.escalate_after
    said = ordered[0].owner
    owner = Owner(one_line(said.name), one_line(said.address), said.how)
    return PlannedNotice(Notice(owner, lines, escalated), ordered)


def _line(case: DueKey, policy: Policy, remind: Remind, now: datetime) -> KeyLine:
    created = case.key.created
    overdue = policy.overdue_at(created)
    return KeyLine(
        AwsAccount(case.account.number, one_line(case.account.name)),
        "root" if case.user.is_root else one_line(case.user.name),
        one_line(case.owner.address or case.owner.name),
        mask(case.key.key_id) if case.key.key_id else "",
        case.verdict,
        now - created,
        overdue if case.verdict is Verdict.OVERDUE else policy.due_at(created),
        overdue,
        case.key.last_use,
        _known(case, remind).notices,
        one_line(case.unsure),
        case.user.is_root,
    )


def _is_quiet(cases: Iterable[DueKey], remind: Remind, now: datetime) -> bool:
    """Whether the owner was told so short a while ago that he is left in peace.

    A memory of a day to come (somebody's clock was wrong) is none: else it could silence us for years.
    """
    today = now.date()
    told = [last for case in cases if (last := _known(case, remind).last) and last <= today]
    return bool(told) and (today - max(told)).days < whole_days(remind.repeat)


def whole_days(duration: timedelta) -> int:
    """A duration in days, rounded up."""
    return -(-duration // timedelta(days=1))


def _known(case: DueKey, remind: Remind) -> KeyMemory:
    memory, _ = recall(case.user, remind.tag)
    return memory.get(ref(case.key.key_id), KeyMemory()) if case.key.key_id else KeyMemory()


def recall(user: FleetUser, tag: str) -> tuple[Memory, str]:
    """What is remembered of a user's keys, and why nothing can be remembered of him, "" if it can.

    Tag keys of users are compared without regard to case, as IAM does.
    """
    if user.is_root:
        return {}, "root has no tags"
    if user.tags is None:
        return {}, "the tags cannot be read"
    try:
        return decode(_value(user.tags, tag)), ""
    except UnreadableTag:
        return {}, f"the tag {tag} holds something that this version does not write; it is left alone"


def _value(tags: Mapping[str, str], tag: str) -> str | None:
    return next((value for name, value in tags.items() if name.lower() == tag.lower()), None)
