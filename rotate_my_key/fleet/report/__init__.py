"""The report in its forms for programs and for people: JSON, CSV, and a page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...settings.fleet import FleetSettings
from ..figures import AgeBar, KeyCounts, count, histogram
from ..judge import Row, judge
from ..model import AccountSurvey
from ..survey import first_code


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What a report tells; `now` is when it was made."""

    now: datetime
    settings: FleetSettings
    surveys: Sequence[AccountSurvey]
    rows: Sequence[Row]
    counts: KeyCounts
    ages: Sequence[AgeBar]

    @property
    def attention(self) -> Sequence[Row]:
        """The keys that somebody should do something about."""
        return [row for row in self.rows if row.attention]

    @property
    def code(self) -> int:
        """The exit code: 0 if every account was looked at, else the first of 1, 5, 4, 75 that occurred."""
        return first_code(survey.code for survey in self.surveys)


def make(
    surveys: Sequence[AccountSurvey], settings: FleetSettings, mapping: Mapping[str, str], now: datetime
) -> KeyReport:
    """Judge all keys; `mapping` has the addresses of owners (see owners.py)."""
    rows = judge(surveys, settings, mapping, now)
    return KeyReport(now, settings, surveys, rows, count(surveys, rows), histogram(rows, settings.policy))
