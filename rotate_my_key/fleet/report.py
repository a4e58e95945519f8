"""The report in its forms for programs and for people: JSON, CSV, and a page.

- JSON: docs/json.md has the fields. CSV (RFC 4180, UTF-8): a row a key. A cell that a spreadsheet would take for a
  formula gets an apostrophe in front (OWASP, "CSV Injection").
- The page needs nothing else: no script, no font, no request to anybody. Its charts are numbers here: where each
  rectangle and word stands; `templates/report/page.html.j2` draws them, and escapes what other people named.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .. import __version__
from ..core.policy import Policy, format_duration, number, span
from ..settings.fleet import FleetSettings
from .judge import BENCHMARK, AgeBar, KeyCounts, Row, Status, count, histogram, judge
from .messages import day, used
from .model import AccountSurvey
from .survey import first_code


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


def values(report: KeyReport) -> dict[str, Any]:
    """All of it: every account, every key."""
    settings, counts = report.settings, report.counts
    return {
        "at": time(report.now),
        "limits": {
            "where": settings.where,
            "fingerprint": settings.fingerprint,
            "max_age": format_duration(settings.policy.max_age),
            "remind_before": format_duration(settings.policy.remind_before),
            "unused_after": format_duration(settings.unused_after),
        },
        "counts": {
            **{name: getattr(counts, name) for name in ("accounts", "failed", "users", "with_keys", "keys")},
            **{standing.value: number for standing, number in counts.standings.items()},
            **{name: getattr(counts, name) for name in ("unused", "uncertain")},
        },
        "benchmark": BENCHMARK,
        "controls": [
            {"number": control.number, "title": control.title, "keys": number}
            for control, number in counts.controls.items()
        ],
        "ages": [
            {
                "from": format_duration(bar.start),
                "to": format_duration(bar.end) if bar.end is not None else None,
                "verdict": bar.verdict.value,
                "keys": bar.keys,
                "exempt": bar.exempt,
            }
            for bar in report.ages
        ],
        "accounts": [_account(survey) for survey in report.surveys],
        "keys": _Keys(report.rows, settings.policy),
    }


class _Keys(list[dict[str, Any]]):
    """The keys, each made when the JSON encoder comes to it: thousands of them at once would take 15 MB."""

    def __init__(self, rows: Sequence[Row], policy: Policy) -> None:
        super().__init__()
        self._rows = rows
        self._policy = policy

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (_key(row, self._policy) for row in self._rows)


def time(moment: datetime) -> str:
    """`2026-02-04T09:00:00+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _account(survey: AccountSurvey) -> dict[str, Any]:
    return {
        "account": survey.account.number,
        "name": survey.account.name,
        "users": sum(not user.is_root for user in survey.users),
        "source": survey.source.value,
        "at": time(survey.at) if survey.at else None,
        "problem": {"message": survey.problem, "hint": survey.hint, "code": survey.code} if survey.problem else None,
        "notes": list(survey.notes),
    }


def _key(row: Row, policy: Policy) -> dict[str, Any]:
    key, use = row.key, row.key.last_use
    used_at = time(use.at) if use and use.at else None
    return {
        "account": row.account.number,
        "account_name": row.account.name,
        "user": row.user.name,
        "arn": row.user.arn,
        "key_id": key.key_id,
        "active": key.active,
        "verdict": row.standing.value,
        "created": time(key.created),
        "exact": row.exact,
        "age_days": row.age.days,
        "due": time(policy.due_at(key.created)),
        "overdue": time(policy.overdue_at(key.created)),
        "last_use": {"at": used_at, "service": use.service, "region": use.region} if use else None,
        "unused": row.unused,
        "exempt": row.exempt,
        "uncertain": row.uncertain,
        "owner": {"name": row.owner.name, "address": row.owner.address, "how": row.owner.how},
        "cis": [control.number for control in row.fails],
    }


_HEAD = (
    *("verdict", "account", "account_name", "user", "arn", "key_id", "active", "created", "exact", "age_days"),
    *("last_used", "last_used_service", "last_used_region", "unused", "exempt", "uncertain"),
    *("owner", "owner_address", "cis", "problem"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(report: KeyReport) -> str:
    """Every key, in the order of the report; first a row for each account that could not be looked at."""
    out = io.StringIO()
    rows = csv.DictWriter(out, _HEAD, restval="", extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    for survey in report.surveys:
        if survey.problem:
            there = {"account": survey.account.number, "account_name": safe(survey.account.name)}
            rows.writerow({"verdict": "problem", **there, "problem": safe(survey.problem)})
    rows.writerows(_cells(_key(row, report.settings.policy)) for row in report.rows)
    return out.getvalue()


def safe(text: str) -> str:
    """The text, so that no spreadsheet runs it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(key: Mapping[str, Any]) -> dict[str, str]:
    """The row of CSV, out of that of JSON."""
    use = key["last_use"] or {"at": "unknown", "service": "", "region": ""}
    flat = {"last_used": use["at"], "last_used_service": use["service"], "last_used_region": use["region"]}
    flat |= {"owner": key["owner"]["name"], "owner_address": key["owner"]["address"], "cis": " ".join(key["cis"])}
    words = {True: "yes", False: "no", None: ""}
    said = {**key, **flat}.items()
    return {
        name: safe(words[value] if value is None or isinstance(value, bool) else str(value))
        for name, value in said
        if name in _HEAD
    }


# In units of the drawing, which grows and shrinks with the page.
WIDTH = 360
_ROW, _BAR = 24, 16
_LABEL, _NUMBER = 88, 56  # room for the words left and right of the bars
STATUS_WORDS = {
    Status.ROOT: "root",
    Status.OVERDUE: "overdue",
    Status.DUE: "due",
    Status.FRESH: "fresh",
    Status.EXEMPT: "exempt",
    Status.INACTIVE: "inactive",
}


def _charts(report: KeyReport) -> Iterator[dict[str, Any]]:
    """How old users' active keys are, for root's are to be deleted whatever their age; how many have which verdict."""
    ages = [(bar.label, {bar.verdict.value: bar.keys, "exempt": bar.exempt}) for bar in report.ages]
    yield _chart("Ages of active keys, without root", ages)
    standings = report.counts.standings.items()
    yield _chart("Verdicts", [(STATUS_WORDS[each], {each.value: number}) for each, number in standings])


def _chart(title: str, parts: Sequence[tuple[str, Mapping[str, int]]]) -> dict[str, Any]:
    """Lines from top to bottom. `words` tells the same to who does not see them."""
    most = max((sum(numbers.values()) for _, numbers in parts), default=0) or 1
    scale = (WIDTH - _LABEL - _NUMBER) / most
    return {
        "title": title,
        "words": "; ".join(f"{label}: {sum(numbers.values()):,}" for label, numbers in parts),
        "width": WIDTH,
        "height": _ROW * len(parts),
        "label": _LABEL - 8,
        "bar": _BAR,
        "lines": [_line(label, numbers, place, scale) for place, (label, numbers) in enumerate(parts)],
    }


def _line(label: str, numbers: Mapping[str, int], place: int, scale: float) -> dict[str, Any]:
    """A bar of pieces, with its label and number; `y` is its upper edge, `middle` where words stand, `end` where the
    number begins. The kind of a piece names its colour."""
    pieces: list[dict[str, Any]] = []
    x, end = float(_LABEL), 0.0
    for kind, count_ in numbers.items():
        if count_:
            width = max(count_ * scale, 1.5)  # one key among thousands is still seen
            pieces.append({"x": round(x, 2), "width": round(width, 2), "kind": kind})
            end = round(x, 2) + round(width, 2)
            x += width
    y = place * _ROW + (_ROW - _BAR) / 2
    edges = {"y": y, "middle": y + _BAR / 2, "end": (end or _LABEL) + 6}
    return {"label": label, "number": sum(numbers.values()), **edges, "pieces": pieces}


_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates", "report")


def page(report: KeyReport, *, every: bool = False) -> str:
    """The page, with the keys that need attention, or with `every` key. `docs/it/report.md` says what is on it."""
    engine = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters.update(
        day=day,
        moment=lambda at: f"{day(at.astimezone(UTC))}, {at.astimezone(UTC):%H:%M} UTC",
        number=lambda value: f"{value:,}",
        count=number,
    )
    return engine.get_template("page.html.j2").render(_values(report, every))


def _values(report: KeyReport, every: bool) -> dict[str, Any]:
    policy, standings = report.settings.policy, report.counts.standings
    rows = report.rows if every else report.attention
    return {
        "now": report.now,
        "version": __version__,
        "limits": {
            "due": span(max(policy.max_age - policy.remind_before, timedelta(0))),
            "overdue": span(policy.max_age),
        },
        "counts": report.counts,
        "tiles": [  # what to see first: kind (its colour), words, number
            ("root", "of root (delete them)", standings[Status.ROOT]),
            ("overdue", "overdue", standings[Status.OVERDUE]),
            ("due", "due", standings[Status.DUE]),
            ("unused", f"not used for {span(report.settings.unused_after)}", report.counts.unused),
        ],
        "charts": list(_charts(report)),
        "benchmark": BENCHMARK,
        "failed": [survey for survey in report.surveys if survey.problem],
        "notes": [(survey.account, note) for survey in report.surveys for note in survey.notes],
        "accounts": _accounts(report.surveys, report.rows),
        "several": len(report.surveys) > 1,
        "rows": [_row(row, report.now) for row in rows],
        "rest": len(report.rows) - len(rows),
    }


def _row(row: Row, now: datetime) -> dict[str, Any]:
    use = used(row.key.last_use, now).removeprefix("last ").removeprefix("used ").removeprefix("use ")
    return {
        "kind": row.kind,
        "verdict": STATUS_WORDS[row.standing] if row.kind != "unused" else "unused",
        "account": row.account,
        "user": row.user.name,
        "key": row.key.key_id or "",
        "age": span(row.age, at_least=not row.exact),
        "created": day(row.key.created),
        "use": use,
        "owner": row.owner.name,
        "address": row.owner.address if row.owner.address != row.owner.name else "",
        "remark": row.remark,
        "cis": ", ".join(control.number for control in row.fails),
    }


def _accounts(surveys: Sequence[AccountSurvey], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line an account, those with the most to do first."""
    todo = Counter((row.account.number, row.standing) for row in rows)
    found = [
        {
            "account": str(survey.account),
            "users": sum(not user.is_root for user in survey.users),
            "kinds": [todo[survey.account.number, each] for each in (Status.ROOT, Status.OVERDUE, Status.DUE)],
            "source": survey.source.value,
            "at": survey.at,
            "problem": survey.problem,
        }
        for survey in surveys
    ]
    return sorted(
        found, key=lambda each: (not each["problem"], *(-number for number in each["kinds"]), each["account"])
    )
