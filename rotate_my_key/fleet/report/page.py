"""The report as one HTML page that needs nothing else: no script, no font, no request to anybody.

What stands on it is escaped by the template engine: names, tags and errors are other people's words.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ... import __version__
from ...words import number, span
from ..cis import BENCHMARK
from ..judge import Row, Status
from ..model import AccountSurvey
from ..rendering import day, used
from . import KeyReport
from .charts import WORDS, ages, verdicts

_FOLDER = os.path.dirname(os.path.abspath(__file__))


def page(report: KeyReport, *, every: bool = False) -> str:
    """The page, with the keys that need attention, or with `every` key. `docs/it/report.md` says what is on it."""
    engine = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters.update(day=day, moment=_moment, number=lambda value: f"{value:,}", count=number)
    return engine.get_template("page.html.j2").render(_values(report, every))


def _values(report: KeyReport, every: bool) -> dict[str, Any]:
    policy = report.settings.policy
    rows = report.rows if every else report.attention
    return {
        "now": report.now,
        "version": __version__,
        "limits": {
            "due": span(max(policy.max_age - policy.remind_before, timedelta(0))),
            "overdue": span(policy.max_age),
        },
        "counts": report.counts,
        "tiles": _tiles(report),
        "charts": (ages(report.ages), verdicts(report.counts.standings)),
        "benchmark": BENCHMARK,
        "failed": [survey for survey in report.surveys if survey.problem],
        "notes": [(survey.account, note) for survey in report.surveys for note in survey.notes],
        "accounts": _accounts(report.surveys, report.rows),
        "several": len(report.surveys) > 1,
        "rows": [_row(row, report.now) for row in rows],
        "rest": len(report.rows) - len(rows),
    }


def _tiles(report: KeyReport) -> list[tuple[str, str, int]]:
    """What to see first: kind (its colour), words, number."""
    standings = report.counts.standings
    return [
        ("root", "of root: delete them", standings[Status.ROOT]),
        ("overdue", "overdue", standings[Status.OVERDUE]),
        ("due", "due", standings[Status.DUE]),
        ("unused", f"not used for {span(report.settings.unused_after)}", report.counts.unused),
    ]


def _row(row: Row, now: datetime) -> dict[str, Any]:
    kind = "unused" if row.standing is Status.FRESH and row.unused else row.standing.value
    use = used(row.key.last_use, now).removeprefix("last used ").removeprefix("last use ")
    return {
        "kind": kind,
        "verdict": WORDS[row.standing] if kind != "unused" else "unused",
        "account": row.account,
        "user": row.user.name,
        "key": row.key.key_id or "",
        "age": span(row.age, at_least=not row.exact),
        "created": day(row.key.created),
        "use": use,
        "owner": row.owner.name,
        "address": row.owner.address if row.owner.address != row.owner.name else "",
        "remark": row.exempt or (f"exempt? {row.uncertain} cannot be read" if row.uncertain else ""),
        "cis": ", ".join(control.number for control in row.fails),
    }


def _accounts(surveys: Sequence[AccountSurvey], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line an account, those with the most to do first."""
    todo: dict[str, dict[Status, int]] = {}
    for row in rows:
        kinds = todo.setdefault(row.account.number, {})
        kinds[row.standing] = kinds.get(row.standing, 0) + 1
    found = []
    for survey in surveys:
        kinds = todo.get(survey.account.number, {})
        found.append(
            {
                "account": str(survey.account),
                "users": sum(not user.is_root for user in survey.users),
                "kinds": [kinds.get(each, 0) for each in (Status.ROOT, Status.OVERDUE, Status.DUE)],
                "source": survey.source.value,
                "at": survey.at,
                "problem": survey.problem,
            }
        )
    return sorted(
        found, key=lambda each: (not each["problem"], *(-number for number in each["kinds"]), each["account"])
    )


def _moment(moment: datetime) -> str:
    """`25 November 2026, 12:00 UTC`."""
    utc = moment.astimezone(UTC)
    return f"{day(utc)}, {utc:%H:%M} UTC"
