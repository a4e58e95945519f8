"""The report as CSV (RFC 4180, UTF-8) for spreadsheets: a row a key.

A cell that a spreadsheet would take for a formula gets an apostrophe in front, which spreadsheets do not show: user
names and tags are other people's words (OWASP, "CSV Injection").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from ..judge import Row
from . import KeyReport
from .values import time

_HEAD = (
    *("verdict", "account", "account_name", "user", "arn", "key_id", "active", "created", "exact", "age_days"),
    *("last_used", "last_used_service", "last_used_region", "unused", "exempt", "uncertain"),
    *("owner", "owner_address", "cis", "problem"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(report: KeyReport) -> str:
    """Every key, in the order of the report; first a row for each account that could not be looked at."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(_HEAD)
    for survey in report.surveys:
        if survey.problem:
            row = ["problem", survey.account.number, safe(survey.account.name)]
            rows.writerow([*row, *[""] * (len(_HEAD) - len(row) - 1), safe(survey.problem)])
    rows.writerows(map(safe, _cells(row)) for row in report.rows)
    return out.getvalue()


def safe(text: str) -> str:
    """The text, so that no spreadsheet runs it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(row: Row) -> Iterator[str]:
    key, use = row.key, row.key.last_use
    yield from (row.standing.value, row.account.number, row.account.name, row.user.name, row.user.arn)
    yield from (key.key_id or "", _yes(key.active), time(key.created), _yes(row.exact), str(row.age.days))
    if use is None:
        yield from ("unknown", "", "")
    else:
        yield from (time(use.at) if use.at else "", use.service, use.region)
    yield from (_yes(row.unused), row.exempt, row.uncertain, row.owner.name, row.owner.address)
    yield from (" ".join(control.number for control in row.fails), "")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
