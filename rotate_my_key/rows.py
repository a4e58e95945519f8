"""The rows of `status`: facts about one key, as the JSON values that are cached and printed, and their verdict.

Pure, and on the fast path: rows are plain dicts, for `status --cached` reads them from a file and prints them again.
A row has: profiles, kind, key_id, account, user, created, last_use, seen_at, exempt, refused, unknown, unfinished,
told, switched_off_until, places; times are ISO 8601 in UTC, None is "not known". `judge` adds verdict, why, age_days,
due and overdue.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from .policy import Policy, Verdict

Row = dict[str, Any]

STATIC = "static pair"
_AT_LEAST = {"due": (Verdict.DUE, Verdict.OVERDUE), "overdue": (Verdict.OVERDUE,)}


class _Key(NamedTuple):
    created: datetime


def judge(row: Row, policy: Policy, now: datetime) -> Row:
    """The row with its verdict: fresh, due, overdue, unfinished, switched off, kept, unknown, refused, exempt or not
    rotatable; and why."""
    created = _time(row.get("created"))
    verdict, why = _verdict(row, created, policy, now)
    return {
        **row,
        "age_days": (now - created).days if created else None,
        "due": policy.due_at(created).isoformat() if created else None,
        "overdue": policy.overdue_at(created).isoformat() if created else None,
        "verdict": verdict,
        "why": why,
    }


def _verdict(row: Row, created: datetime | None, policy: Policy, now: datetime) -> tuple[str, str]:
    if row.get("kind") != STATIC:
        return "not rotatable", row.get("note") or row.get("kind") or ""
    if row.get("switched_off_until"):
        return "kept" if row.get("works") else "switched off", row.get("note") or ""
    for word in ("unfinished", "refused", "unknown"):
        if row.get(word):
            return word, str(row[word])
    if created is None:
        return "unknown", "not looked up yet"
    if row.get("exempt"):
        return "exempt", "the user is tagged exempt"
    return policy.verdict(_Key(created), now).value, ""


def check(rows: Sequence[Row], least: str, policy: Policy, now: datetime, oldest: float) -> int:
    """The exit code of `status --check`: 3 if any key is `least` ("due" or "overdue"); 75, never 0, if an age is not
    known or was looked up more than `oldest` seconds ago."""
    keys = [row for row in rows if row["verdict"] not in ("exempt", "not rotatable", "switched off", "kept")]
    ages = [_time(row.get("created")) for row in keys]
    if any(age and policy.verdict(_Key(age), now) in _AT_LEAST[least] for age in ages):
        return 3
    if not all(ages) or any(row["verdict"] in ("unknown", "refused") for row in keys):
        return 75
    seen = [_time(row.get("seen_at")) for row in keys]
    return 75 if any(at is None or (now - at).total_seconds() > oldest for at in seen) else 0


def _time(text: object) -> datetime | None:
    """A time with its zone; None for anything else: the cache is only a file."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None
