"""What `fleet remind --json` says, and the Lambda's result: plain values. docs/json.md describes them.

Ids are whole here, for an id is not a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .letters import Channels, Letter
from .notice_plan import DueKey, NoticePlan, PlannedNotice
from .notices import Digest, KeyLine, Remark, Unaddressed
from .reminding import RemindResult

Values = dict[str, Any]


def values(plan: NoticePlan, outcome: RemindResult, outlets: Channels, *, dry_run: bool) -> Values:
    """The whole object but its version."""
    digest = outcome.digest
    told = {id(notice) for notice in digest.told}
    return {
        "dry_run": dry_run,
        "at": digest.at.isoformat(timespec="seconds"),
        **numbers(digest),
        "channels": [each.name for each in outlets.all],
        "notices": [
            *(_notice(each, outcome.letters, quiet=False, told=id(each.notice) in told) for each in plan.now),
            *(_notice(each, (), quiet=True, told=False) for each in plan.quiet),
        ],
        "digest": {"letters": _letters(letter for letter in outcome.letters if letter[0].planned is None)},
        **{name: _remarks(getattr(digest, name)) for name in _ROWS},
    }


_ROWS = ("undelivered", "unaddressed", "forgotten", "unsure", "broken", "notes")


def numbers(digest: Digest) -> dict[str, int]:
    """The run in numbers."""
    counts = digest.counts
    return {
        "accounts": counts.accounts,
        "users": counts.users,
        "keys": counts.keys,
        "exempt": counts.exempt,
        "root": counts.root,
        "overdue": digest.overdue,
        "due": digest.due,
        "told": len(digest.told),
        "quiet": len(digest.quiet),
        "unanswered": len(digest.unanswered),
    }


def _notice(planned: PlannedNotice, sent: Sequence[tuple[Letter, str]], *, quiet: bool, told: bool) -> Values:
    notice = planned.notice
    return {
        "owner": notice.owner.name,
        "address": notice.owner.address,
        "number": notice.number,
        "escalated": notice.escalated,
        "quiet": quiet,
        "told": told,
        "keys": [_key(case, line) for case, line in zip(planned.cases, notice.keys, strict=True)],
        "letters": _letters(letter for letter in sent if letter[0].planned is planned),
    }


def _key(case: DueKey, line: KeyLine) -> Values:
    use = case.key.last_use
    return {
        "account": case.account.number,
        "account_name": case.account.name,
        "user": line.user,
        "arn": case.user.arn,
        "key_id": case.key.key_id,
        "verdict": line.verdict.value,
        "created": case.key.created.isoformat(timespec="seconds"),
        "age_days": line.age.days,
        "overdue": line.overdue.isoformat(timespec="seconds"),
        "last_used": use.at.isoformat(timespec="seconds") if use and use.at else None,
        "last_use_known": use is not None,
        "told": line.told,
        "unsure": line.unsure,
    }


def _letters(sent: Iterable[tuple[Letter, str]]) -> list[Values]:
    return [
        {
            "channel": letter.channel.name,
            "to": letter.message.to,
            "escalation": letter.escalation,
            "subject": letter.message.subject,
            "text": letter.message.text,
            "problem": problem,
        }
        for letter, problem in sent
    ]


def _remarks(rows: Iterable[Remark | Unaddressed]) -> list[Values]:
    return [{"about": row.about, "text": row.text} for row in rows]
