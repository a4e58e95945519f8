"""What `fleet enforce` and `fleet revoke` show: values become sentences, or JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from ...errors import mask
from ...fleet.acting import ActionResult, ActionState
from ...fleet.decisions import Act, ActionKind, Skipped, SkipRule
from ...fleet.enforce_plan import NO_CHANNEL, NOWHERE, EnforcePlan
from ...fleet.enforcing import EnforceResult
from ...fleet.model import AwsAccount, FleetKey
from ...fleet.spared import unsure_of
from ...fleet.survey import first_code
from ...settings.fleet import FleetSettings
from ...words import day, number
from ..show import problem_json, stamp

_LISTED = 30  # lines of a list; --json has all
_ACCOUNTS = 10  # in which the rest is counted
_FIRST = {rule: rank for rank, rule in enumerate((SkipRule.UNSURE, SkipRule.LAST_USE, SkipRule.UNREACHED))}
_WOULD = {
    ActionKind.NOTIFY: "Owners to be told:",
    ActionKind.REISSUE: "To get a new key from IT:",
    ActionKind.DEACTIVATE: "To be switched off:",
    ActionKind.DELETE: "To be deleted:",
}
_DID = {
    ActionKind.NOTIFY: "owner told",
    ActionKind.REISSUE: "new key made",
    ActionKind.DEACTIVATE: "switched off",
    ActionKind.DELETE: "deleted",
}


def plan(plan: EnforcePlan, now: datetime) -> str:
    """What would be done, act by act, and what is spared."""
    steps = [*plan.notices, *plan.acts]
    lines = [f"{plan.closed[0].upper()}{plan.closed[1:]}. By the rules:"] if plan.closed.startswith(NOWHERE) else []
    for kind, title in _WOULD.items():
        mine = [_would(step.act, step.found.place.account, now) for step in steps if step.act.kind is kind]
        lines += [title, *_cut(mine)] if mine else []
    lines += _spared(plan.spared)
    lines += [f"{about}: {problem.message}" for about, problem in plan.broken]
    acts = number(len(plan.acts), "act")
    if plan.closed and not plan.closed.startswith(NOWHERE) and plan.acts:
        lines.append(f"No key is touched now: {plan.closed}.")
        acts = f"0 acts now; {_waiting(len(plan.acts))}"
    looked = f"{number(plan.users, 'user')} in {number(plan.accounts, 'account')}"
    lines.append(f"{looked}: {number(len(plan.notices), 'notice')}, {acts}.")
    return "\n".join(lines)


def _waiting(count: int) -> str:
    return f"{number(count, 'waits', 'wait')} for the next open hours"


def _would(act: Act, account: AwsAccount, now: datetime) -> str:
    coming = ""
    if act.coming and act.at:
        word = "deleted" if act.coming is ActionKind.DELETE else "switched off"
        coming = f"; to be {word} on {day(act.at, now)} or later"
    return f"  {_key(act.key, act.user.name, account)}: {act.why}{coming}"


def _key(key: FleetKey | None, user: str, account: AwsAccount) -> str:
    return f"{mask(key.key_id)} of {user} in {account}" if key and key.key_id else f"{user} in {account}"


def _spared(spared: Sequence[tuple[AwsAccount, Skipped]]) -> list[str]:
    """One row a key, with all of its reasons: first what could not be read, for that is for somebody to mend. What is
    only too many for one run is counted."""
    rows: dict[str, tuple[AwsAccount, list[str]]] = {}
    for account, each in sorted(spared, key=lambda row: _FIRST.get(row[1].rule, len(_FIRST))):
        if each.rule is not SkipRule.LIMIT and not each.why.endswith(NO_CHANNEL):
            row = rows.setdefault(_key(each.key, each.user.name, account), (account, []))
            row[1].extend([each.why] if each.why not in row[1] else [])
    lines = [f"  {key}: {'; '.join(reasons)}" for key, (_, reasons) in rows.items()]
    over = [each for _, each in spared if each.rule is SkipRule.LIMIT]
    if len(lines) > _LISTED:
        left = Counter(str(account) for account, _ in list(rows.values())[_LISTED:])
        where = ", ".join(f"{count:,} in {account}" for account, count in left.most_common(_ACCOUNTS))
        others = f", and in {number(len(left) - _ACCOUNTS, 'other account')}" if len(left) > _ACCOUNTS else ""
        lines[_LISTED:] = [f"  and {len(lines) - _LISTED:,} more: {where}{others}; --json has all"]
    untold = sum(each.why.endswith(NO_CHANNEL) for _, each in spared)
    lines += [f"  {number(untold, 'act')}: nobody could be told: {NO_CHANNEL}"] if untold else []
    lines += [f"  {number(len(over), 'more act')} by later runs: {over[0].why}"] if over else []
    return ["Spared:", *lines] if lines else []


def _cut(lines: list[str]) -> list[str]:
    more = len(lines) - _LISTED
    return lines if more <= 0 else [*lines[:_LISTED], f"  and {more:,} more; --json has all"]


def deed(deed: ActionResult) -> str:
    """One line while it happens."""
    what = _key(deed.act.key, deed.act.user.name, deed.account)
    said = "; ".join(part for part in (deed.note, deed.problem.message if deed.problem else "") if part)
    if deed.state is ActionState.DONE:
        return f"  {what}: {_DID[deed.act.kind]}" + (f" ({said})" if said else "")
    word = "not known whether" if deed.state is ActionState.UNKNOWN else "not"
    return f"  {what}: {word} {_DID[deed.act.kind]}: {said}"


def spare(spare: Skipped) -> str:
    """One line while it happens."""
    return f"  {mask(spare.key.key_id or '') if spare.key else ''} of {spare.user.name}: left alone: {spare.why}"


def done(outcome: EnforceResult) -> str:
    """The sum."""
    counts = {
        kind: sum(each.act.kind is kind and each.state is ActionState.DONE for each in outcome.deeds)
        for kind in ActionKind
    }
    nouns = {
        ActionKind.NOTIFY: ("key whose owner was told", "keys whose owners were told"),
        ActionKind.REISSUE: ("new key made", "new keys made"),
    }
    words = [number(count, *nouns.get(kind, (_DID[kind], _DID[kind]))) for kind, count in counts.items() if count]
    failed = sum(each.state is not ActionState.DONE for each in outcome.deeds)
    words += [f"{failed} failed"] if failed else []
    hours = sum(each.rule is SkipRule.HOURS for _, each in outcome.spared)
    if hours:
        acted = any(count for kind, count in counts.items() if kind is not ActionKind.NOTIFY)
        return (
            "; ".join([*([", ".join(words)] if words else []), *([] if acted else ["0 acts now"]), _waiting(hours)])
            + "."
        )
    return f"{', '.join(words).capitalize() or 'Nothing was to be done'}."


def troubles(plan: EnforcePlan, outcome: EnforceResult) -> Iterator[str]:
    """What a person must look at."""
    yield from (f"{about}: {problem.message}" for about, problem in plan.broken)
    yield from (problem.message for problem in outcome.untold)
    unsure = len(unsure_of(outcome.spared))
    if unsure:
        yield f"{number(unsure, 'key')} spared because something could not be read: see above"
    if outcome.stopped:
        what = "" if outcome.stopped.message.startswith("stopped") else "the run was stopped before its end: "
        yield f"{what}{outcome.stopped.message}"


# JSON


def as_json(plan: EnforcePlan, settings: FleetSettings, outcome: EnforceResult | None) -> dict[str, Any]:
    """The object of `fleet enforce --json`."""
    planned = [_act_json(step.act, step.found.place.account) for step in (*plan.notices, *plan.acts)]
    acts = [{**each, "state": "planned", "note": "", "place": "", "problem": None} for each in planned]
    return {
        "applied": outcome is not None,
        "policy": settings.fingerprint,
        "preset": settings.enforce.preset,
        "closed": plan.closed,
        "accounts": plan.accounts,
        "users": plan.users,
        "acts": acts if outcome is None else [_deed_json(each) for each in outcome.deeds],
        "spared": [_spare_json(*each) for each in (plan.spared if outcome is None else outcome.spared)],
        "broken": [{"about": about, "problem": problem_json(problem)} for about, problem in plan.broken],
        "untold": [problem_json(problem) for problem in (outcome.untold if outcome else ())],
        "stopped": problem_json(outcome.stopped) if outcome and outcome.stopped else None,
    }


def _act_json(act: Act, account: AwsAccount) -> dict[str, Any]:
    return {
        "act": act.kind.value,
        "coming": act.coming.value if act.coming else None,
        "not_before": stamp(act.at),
        **_key_json(account, act.user.name, act.key),
        "why": act.why,
    }


def _key_json(account: AwsAccount, user: str, key: FleetKey | None) -> dict[str, Any]:
    return {
        "account": account.number,
        "user": user,
        "key_id": key.key_id if key else None,
        "created": stamp(key.created) if key else None,
    }


def _deed_json(deed: ActionResult) -> dict[str, Any]:
    problem = problem_json(deed.problem) if deed.problem else None
    end = {"state": deed.state.value, "note": deed.note, "place": deed.place, "problem": problem}
    return {**_act_json(deed.act, deed.account), **end}


def _spare_json(account: AwsAccount, spare: Skipped) -> dict[str, Any]:
    return {"rule": spare.rule.value, **_key_json(account, spare.user.name, spare.key), "why": spare.why}


def code(plan: EnforcePlan, outcome: EnforceResult | None) -> int:
    """The exit code."""
    return outcome.code if outcome else first_code(problem.code for _, problem in plan.broken)
