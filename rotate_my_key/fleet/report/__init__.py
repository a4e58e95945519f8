"""The report in its forms for programs and for people: JSON, CSV, and a page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...settings.fleet import FleetSettings
from ..figures import Bar, Counts, count, histogram
from ..judge import Row, judge
from ..model import Survey
from ..survey import first_code


@dataclass(frozen=True, slots=True)
class Report:
    """What a report tells; `now` is when it was made."""

    now: datetime
    settings: FleetSettings
    surveys: Sequence[Survey]
    rows: Sequence[Row]
    counts: Counts
    ages: Sequence[Bar]

    @property
    def attention(self) -> Sequence[Row]:
        """The keys that somebody should do something about."""
        return [row for row in self.rows if row.attention]

    @property
    def code(self) -> int:
        """The exit code: 0 if every account was looked at, else the first of 1, 5, 4, 75 that occurred."""
        return first_code(survey.code for survey in self.surveys)


def make(surveys: Sequence[Survey], settings: FleetSettings, mapping: Mapping[str, str], now: datetime) -> Report:
    """Judge all keys; `mapping` has the addresses of owners (see owners.py)."""
    rows = judge(surveys, settings, mapping, now)
    return Report(now, settings, surveys, rows, count(surveys, rows), histogram(rows, settings.policy))
