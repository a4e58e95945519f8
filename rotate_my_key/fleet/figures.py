"""Many keys in a few numbers: how many of which kind, and how old they are. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..policy import Policy, Verdict, format_duration
from .cis import CONTROLS, Control
from .judge import Row, Status
from .model import AccountSurvey

_MARKS = tuple(timedelta(days=days) for days in (0, 30, 60, 90, 180, 365, 730))


@dataclass(frozen=True, slots=True)
class KeyCounts:
    """`failed` accounts could not be looked at. `users` are without root; `standings`, `controls` have every kind."""

    accounts: int
    failed: int
    users: int
    with_keys: int
    keys: int
    unused: int
    uncertain: int
    standings: Mapping[Status, int]
    controls: Mapping[Control, int]


def count(surveys: Sequence[AccountSurvey], rows: Sequence[Row]) -> KeyCounts:
    """The numbers of a report."""
    people = [user for survey in surveys for user in survey.users if not user.is_root]
    standings = Counter(row.standing for row in rows)
    controls = Counter(control for row in rows for control in row.fails)
    return KeyCounts(
        accounts=len(surveys),
        failed=sum(bool(survey.problem) for survey in surveys),
        users=len(people),
        with_keys=sum(bool(user.keys) for user in people),
        keys=len(rows),
        unused=sum(row.unused for row in rows),
        uncertain=sum(bool(row.uncertain) for row in rows),
        standings={each: standings[each] for each in Status},
        controls={each: controls[each] for each in CONTROLS},
    )


@dataclass(frozen=True, slots=True)
class AgeBar:
    """Active keys of users with an age from `start` up to, and without, `end` (None: older ones too).

    All of them have the same `verdict` by age; `exempt` of them are left alone, and are not in `keys`.
    """

    start: timedelta
    end: timedelta | None
    verdict: Verdict
    keys: int = 0
    exempt: int = 0

    @property
    def label(self) -> str:
        """`0-30d`, `730d+`."""
        start = format_duration(self.start)
        if self.end is None:
            return f"{start}+"
        end = format_duration(self.end)
        return f"{start.removesuffix('d') if end.endswith('d') else start}-{end}"


def histogram(rows: Sequence[Row], policy: Policy) -> list[AgeBar]:
    """The ages of active keys in bars that end where a key becomes due or overdue."""
    due = max(policy.max_age - policy.remind_before, timedelta(0))
    starts = sorted({*_MARKS, due, policy.max_age})
    ends = [*starts[1:], None]
    active = [row for row in rows if row.standing not in (Status.ROOT, Status.INACTIVE)]
    counted = Counter((_bar(row.age, starts), row.standing is Status.EXEMPT) for row in active)
    return [
        AgeBar(start, end, _verdict(start, due, policy.max_age), counted[(number, False)], counted[(number, True)])
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _bar(age: timedelta, starts: Sequence[timedelta]) -> int:
    return max(number for number, start in enumerate(starts) if age >= start)


def _verdict(start: timedelta, due: timedelta, overdue: timedelta) -> Verdict:
    if start >= overdue:
        return Verdict.OVERDUE
    return Verdict.DUE if start >= due else Verdict.FRESH
