"""The report as plain values for JSON; docs/json.md has the fields. Times are ISO 8601 in UTC with seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from ...policy import Policy, format_duration
from ..cis import BENCHMARK
from ..figures import AgeBar, KeyCounts
from ..judge import Row
from ..model import AccountSurvey
from . import KeyReport


def values(report: KeyReport) -> dict[str, Any]:
    """All of it: every account, every key."""
    settings = report.settings
    return {
        "at": time(report.now),
        "limits": {
            "where": settings.where,
            "fingerprint": settings.fingerprint,
            "max_age": format_duration(settings.policy.max_age),
            "remind_before": format_duration(settings.policy.remind_before),
            "unused_after": format_duration(settings.unused_after),
        },
        "counts": _counts(report.counts),
        "benchmark": BENCHMARK,
        "controls": [
            {"number": control.number, "title": control.title, "keys": number}
            for control, number in report.counts.controls.items()
        ],
        "ages": [_bar(bar) for bar in report.ages],
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


def _counts(counts: KeyCounts) -> dict[str, Any]:
    return {
        "accounts": counts.accounts,
        "failed": counts.failed,
        "users": counts.users,
        "with_keys": counts.with_keys,
        "keys": counts.keys,
        **{standing.value: number for standing, number in counts.standings.items()},
        "unused": counts.unused,
        "uncertain": counts.uncertain,
    }


def _bar(bar: AgeBar) -> dict[str, Any]:
    return {
        "from": format_duration(bar.start),
        "to": format_duration(bar.end) if bar.end is not None else None,
        "verdict": bar.verdict.value,
        "keys": bar.keys,
        "exempt": bar.exempt,
    }


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
        "last_use": None
        if use is None
        else {"at": time(use.at) if use.at else None, "service": use.service, "region": use.region},
        "unused": row.unused,
        "exempt": row.exempt,
        "uncertain": row.uncertain,
        "owner": {"name": row.owner.name, "address": row.owner.address, "how": row.owner.how},
        "cis": [control.number for control in row.fails],
    }
