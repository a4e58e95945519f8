"""Turns what `fleet reissue` would do and did into sentences and JSON. Pure; nothing here has a secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from ...errors import Problem, mask
from ...fleet.reissue_plan import ReissueMode, ReissuePlan
from ...fleet.reissuing import HandoverResult
from ...fleet.sweeping import CleanupResult, Disposition, line
from ...fleet.whereabouts import Whereabouts
from ...policy import format_duration
from ...settings.fleet import FleetSettings
from ...words import day, join, number
from ..show import problem_json, stamp

_ORDER = (1, 5, 4, 75)


def intent(plan: ReissuePlan, settings: FleetSettings, now: datetime) -> list[str]:
    """What would be done: the lines before the question."""
    where = "Secrets Manager" if settings.reissue.through == "secretsmanager" else f"s3://{settings.reissue.bucket}"
    lines = [f"{plan.user.name} in {plan.wish.account}"]
    if plan.way is ReissueMode.AGAIN and plan.slip:
        return [*lines, f"A key, {mask(plan.slip.key_id)}, made on {day(plan.slip.at)}, waits in {where} already."]
    if plan.discards:
        lines.append(f"Key {mask(plan.discards.key_id)}, made earlier and not handed over, is deleted.")
    if plan.gives_up:
        lines.append(f"Key {mask(plan.gives_up.key_id)}, which is switched off, is deleted to make room.")
    keep = settings.reissue.keep
    lines.append(f"A new key is made, and waits in {where} for {_exact(keep)}, until {day(now + keep, now)}.")
    if settings.reissue.through == "secretsmanager":
        lines.append(f"It can be read by {' and '.join(plan.readers)}, and by nobody else.")
    if plan.replaces:
        lines.append(f"It is to replace {mask(plan.replaces)}, which is not touched before {plan.user.name} has it.")
    return lines


def elsewhere(user: str, number_: str, there: Whereabouts) -> str:
    """That he is not in that account, and where he is; "" if nowhere else was looked."""
    said = f"there is no user {user} in {number_}"
    if there.found:
        return f"{said}, but there is one in {join(there.found)}"
    unknown = f" ({there.unknown} of them could not be asked)" if there.unknown else ""
    return f"{said}, nor in any of {number(there.looked, 'other account')}{unknown}" if there.looked else ""


def _exact(duration: timedelta) -> str:
    """`7 days`, `36 hours`: in the largest unit that leaves no rest."""
    text = format_duration(duration)
    return number(int(text[:-1]), {"d": "day", "h": "hour", "m": "minute", "s": "second"}[text[-1]])


def question(plan: ReissuePlan) -> str:
    """Asked once."""
    return "Tell the owner again?" if plan.way is ReissueMode.AGAIN else "Make it now?"


def link(path: str, settings: FleetSettings) -> str:
    """Where the link is, and for how long it may be good."""
    span = _exact(settings.reissue.link_for)
    return (
        f"{path} holds a link that whoever has it can fetch the key with, for {span} at most, "
        "less if the credentials that signed it end sooner: "
        "send it by a way that only the user can read, and delete the file"
    )


def handed(plan: ReissuePlan, done: HandoverResult | None, told: Sequence[str]) -> list[str]:
    """The result."""
    if done is None:
        return ["Nothing was changed: a dry run."]
    lines = [f"deleted key {mask(key_id)}" for key_id in done.deleted]
    what = "waits" if done.way is ReissueMode.MAKE else "still waits"
    lines.append(f"Key {mask(done.key_id)} {what} for {done.user} until {day(done.until)}.")
    lines.append(f"Told by {' and '.join(told)}." if told else f"Tell {done.user} to type:")
    return lines if told else [*lines, f"  rotate-my-key adopt {done.place}"]


def handed_json(
    plan: ReissuePlan, done: HandoverResult | None, told: Sequence[str], problems: Sequence[Problem]
) -> dict[str, Any]:
    """`fleet reissue USER --json`."""
    return {
        "dry_run": done is None,
        "account": plan.wish.account.number,
        "arn": plan.user.arn,
        "ending": plan.way.value,
        "key_id": done.key_id if done else plan.slip.key_id if plan.way is ReissueMode.AGAIN and plan.slip else None,
        "replaces": plan.replaces or None,
        "place": done.place if done else None,
        "until": stamp(done.until) if done else None,
        "deleted": list(done.deleted) if done else [key.key_id for key in (plan.discards, plan.gives_up) if key],
        "told": list(told),
        "notes": list(done.notes) if done else [],
        "problems": [problem_json(problem) for problem in problems],
    }


# The sweep


def is_act(swept: CleanupResult) -> bool:
    """Whether something is to be done about it."""
    return swept.fate in (Disposition.CLEARED, Disposition.DELETED, Disposition.SWITCHED_OFF)


def swept(found: Sequence[CleanupResult], *, dry_run: bool) -> list[str]:
    """The result: a line each."""
    if not found:
        return ["Nothing is waiting."]
    return [f"{'would be ' if dry_run and is_act(each) else ''}{line(each)}" for each in found]


def counts(found: Sequence[CleanupResult]) -> dict[str, float]:
    """For the metric line."""
    return dict(Counter(each.fate.value for each in found))


def swept_json(found: Sequence[CleanupResult], *, dry_run: bool) -> dict[str, Any]:
    """`fleet reissue --sweep --json`."""
    rows = [
        {
            "account": each.account,
            "user": each.user,
            "key_id": each.key_id or None,
            "fate": each.fate.value,
            "why": each.why,
            "problem": problem_json(each.problem) if each.problem else None,
        }
        for each in found
    ]
    return {"dry_run": dry_run, "handovers": rows}


def code(found: Sequence[CleanupResult]) -> int:
    """The first of 1, 5, 4, 75 that occurred."""
    codes = {each.problem.code for each in found if each.problem}
    return next((each for each in _ORDER if each in codes), max(codes, default=0))
