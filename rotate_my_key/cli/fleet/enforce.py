"""`fleet enforce`: what is too old is switched off and deleted, by the rules that are set; and what it shows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from ...core.errors import WrongUsage, mask
from ...core.policy import format_duration
from ...core.words import day, number
from ..app import App
from .common import (
    again,
    agreed,
    alone,
    fleet,
    fleet_options,
    open_audit,
    open_fleet,
    problem_json,
    stamp,
    stoppable,
    warn,
)

if TYPE_CHECKING:
    from ...fleet.actions import ActionResult
    from ...fleet.assembly import Assembly
    from ...fleet.enforce import EnforceResult
    from ...fleet.enforce_plan import EnforceContext, EnforcePlan
    from ...fleet.model import AwsAccount, FleetKey
    from ...fleet.rules import Act, Skipped
    from ...settings.fleet import FleetSettings, Preset


def presets_text(presets: Iterable[Preset]) -> str:
    """For a person."""
    from ...fleet.messages import wrapped

    return "\n\n".join(
        "\n".join(
            [
                preset.name,
                wrapped(f"as {preset.after}", "  "),
                wrapped(f"{preset.says}.", "  "),
                wrapped(f"What is better here: {preset.here}.", "  "),
                *(f"    {line}" for line in preset_lines(preset)),
            ]
        )
        for preset in presets
    )


def preset_lines(preset: Preset) -> Iterator[str]:
    """As fleet.ini would have it."""
    yield f"max_age = {format_duration(preset.policy.max_age)}"
    yield f"remind_before = {format_duration(preset.policy.remind_before)}"
    for section, values in (("remind", preset.remind), ("enforce", preset.enforce)):
        if values:
            yield f"[{section}]"
            yield from (f"{name} = {_preset_value(value)}" for name, value in values.items())
    if preset.reissue:
        yield "[reissue]"
        yield "enabled = yes"


def _preset_value(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return format_duration(value)
        case tuple():
            return ", ".join(value) or '""'
        case _:
            return str(value)


def presets_json(presets: Iterable[Preset]) -> list[dict[str, Any]]:
    """For programs."""
    return [
        {
            "name": each.name,
            "after": each.after,
            "says": each.says,
            "here": each.here,
            "settings": list(preset_lines(each)),
        }
        for each in presets
    ]


_LISTED = 30  # lines of a list; --json has all
_ACCOUNTS = 10  # in which the rest is counted
_FIRST = ("unsure", "last use unknown", "owner not reached")  # rules that ask for somebody to mend something
# By the kind of action.
_WOULD = {
    "notify": "Owners to be told:",
    "reissue": "To get a new key from IT:",
    "deactivate": "To be switched off:",
    "delete": "To be deleted:",
}
_DID = {"notify": "owner told", "reissue": "new key made", "deactivate": "switched off", "delete": "deleted"}
_DID_MANY = {
    **{kind: (word, word) for kind, word in _DID.items()},
    "notify": ("key whose owner was told", "keys whose owners were told"),
    "reissue": ("new key made", "new keys made"),
}


def plan_text(plan: EnforcePlan, now: datetime) -> str:
    """What would be done, act by act, and what is spared."""
    from ...fleet.enforce_plan import NOWHERE

    steps = [*plan.notices, *plan.acts]
    lines = [f"{plan.closed[0].upper()}{plan.closed[1:]}. By the rules:"] if plan.closed.startswith(NOWHERE) else []
    for kind, title in _WOULD.items():
        mine = [_would(step.act, step.found.place.account, now) for step in steps if step.act.kind.value == kind]
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
        word = _DID[act.coming.value]
        coming = f"; to be {word} on {day(act.at, now)} or later"
    return f"  {_key(act.key, act.user.name, account)}: {act.why}{coming}"


def _key(key: FleetKey | None, user: str, account: AwsAccount) -> str:
    return f"{mask(key.key_id)} of {user} in {account}" if key and key.key_id else f"{user} in {account}"


def _spared(spared: Sequence[tuple[AwsAccount, Skipped]]) -> list[str]:
    """One row a key, with all of its reasons: first what could not be read, for that is for somebody to mend. What is
    only too many for one run is counted."""
    from ...fleet.enforce_plan import NO_CHANNEL
    from ...fleet.rules import SkipRule

    rows: dict[str, tuple[AwsAccount, list[str]]] = {}
    for account, each in sorted(spared, key=lambda row: _rank(row[1])):
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


def _rank(spare: Skipped) -> int:
    return _FIRST.index(spare.rule.value) if spare.rule.value in _FIRST else len(_FIRST)


def _cut(lines: list[str]) -> list[str]:
    more = len(lines) - _LISTED
    return lines if more <= 0 else [*lines[:_LISTED], f"  and {more:,} more; --json has all"]


def result_text(result: ActionResult) -> str:
    """One line while it happens."""
    what = _key(result.act.key, result.act.user.name, result.account)
    said = "; ".join(part for part in (result.note, result.problem.message if result.problem else "") if part)
    if result.state.value == "done":
        return f"  {what}: {_DID[result.act.kind.value]}" + (f" ({said})" if said else "")
    word = "not known whether" if result.state.value == "unknown" else "not"
    return f"  {what}: {word} {_DID[result.act.kind.value]}: {said}"


def skipped_text(spare: Skipped) -> str:
    """One line while it happens."""
    return f"  {mask(spare.key.key_id or '') if spare.key else ''} of {spare.user.name}: left alone: {spare.why}"


def enforced_text(outcome: EnforceResult) -> str:
    """The sum."""
    ended = Counter(each.act.kind.value for each in outcome.results if each.state.value == "done")
    words = [number(ended[kind], *nouns) for kind, nouns in _DID_MANY.items() if ended[kind]]
    failed = len(outcome.results) - ended.total()
    words += [f"{failed} failed"] if failed else []
    hours = sum(each.rule.value == "hours" for _, each in outcome.spared)
    if hours:
        acted = ended.total() > ended["notify"]
        parts = [", ".join(words), "" if acted else "0 acts now", _waiting(hours)]
        return f"{'; '.join(filter(None, parts))}."
    return f"{', '.join(words).capitalize() or 'Nothing was to be done'}."


def trouble_lines(plan: EnforcePlan, outcome: EnforceResult) -> Iterator[str]:
    """What a person must look at."""
    from ...fleet.enforce_plan import unsure_of

    yield from (f"{about}: {problem.message}" for about, problem in plan.broken)
    yield from (problem.message for problem in outcome.untold)
    unsure = len(unsure_of(outcome.spared))
    if unsure:
        yield f"{number(unsure, 'key')} spared because something could not be read: see above"
    if outcome.stopped:
        what = "" if outcome.stopped.message.startswith("stopped") else "the run was stopped before its end: "
        yield f"{what}{outcome.stopped.message}"


# JSON


def enforce_json(plan: EnforcePlan, settings: FleetSettings, outcome: EnforceResult | None) -> dict[str, Any]:
    """The object of `fleet enforce --json`."""
    end = {"state": "planned", "note": "", "place": "", "problem": None}
    steps = [*plan.notices, *plan.acts]
    acts = [{**_act_json(step.act, step.found.place.account), **end} for step in steps]
    return {
        "applied": outcome is not None,
        "policy": settings.fingerprint,
        "preset": settings.enforce.preset,
        "closed": plan.closed,
        "accounts": plan.accounts,
        "users": plan.users,
        "acts": acts if outcome is None else [_result_json(each) for each in outcome.results],
        "spared": [_skipped_json(*each) for each in (plan.spared if outcome is None else outcome.spared)],
        "broken": [{"about": about, "problem": problem_json(problem)} for about, problem in plan.broken],
        "untold": [problem_json(problem) for problem in (outcome.untold if outcome else ())],
        "stopped": problem_json(outcome.stopped if outcome else None),
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


def _result_json(result: ActionResult) -> dict[str, Any]:
    end = {
        "state": result.state.value,
        "note": result.note,
        "place": result.place,
        "problem": problem_json(result.problem),
    }
    return {**_act_json(result.act, result.account), **end}


def _skipped_json(account: AwsAccount, spare: Skipped) -> dict[str, Any]:
    return {"rule": spare.rule.value, **_key_json(account, spare.user.name, spare.key), "why": spare.why}


def exit_code(plan: EnforcePlan, outcome: EnforceResult | None) -> int:
    """The exit code."""
    from ...fleet.survey import first_code

    return outcome.code if outcome else first_code(problem.code for _, problem in plan.broken)


@click.command("enforce")
@click.option("--preset", metavar="NAME", default="", help="Ready rules, below what the settings say besides.")
@click.option("--presets", is_flag=True, help="Show the ready rules and what they do.")
@click.option("--apply", is_flag=True, help="Do it. Without, it is only shown.")
@click.option("--undo", metavar="USER", help="Switch on again what enforce switched off of this user.")
@click.option("--account", metavar="NUMBER", multiple=True, help="With --undo: this account only (repeatable).")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@fleet_options
@click.pass_obj
def command(
    app: App,
    /,
    preset: str,
    presets: bool,
    apply: bool,
    undo: str | None,
    account: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Switch off and delete keys that are too old, by the rules of [enforce] in the settings.

    Shows what it would do, and what it spares and why. With --apply it does it: only in the accounts that are named
    there, within the hours that are set, after notices that were written down, and with an audit. A key that was
    switched off can be switched on again until it is deleted.
    """
    if account and not undo:
        raise WrongUsage("--account is for --undo", "set accounts in [enforce] of the fleet's settings")
    if undo and (apply or preset or presets):
        raise WrongUsage("--undo stands alone", again(app, but=("apply", "preset", "presets")))
    if presets:
        return _presets(app, as_json)
    if undo:
        from .revoke import take_back

        return take_back(app, undo, account, yes=yes, as_json=as_json, revoked=False)
    with stoppable(app):
        return _enforce(app, preset, apply=apply, yes=yes, as_json=as_json)


def _enforce(app: App, preset: str, *, apply: bool, yes: bool, as_json: bool) -> int:
    settings, assembly = open_fleet(app, preset)
    if apply:
        alone(app)
    _not_only_telling(app, settings)
    context, plan = _plan(app, settings, assembly, apply)
    outcome = None
    if not as_json or (apply and not yes):
        (app.say if apply else app.out)(plan_text(plan, assembly.now()))
    if apply:
        now = plan.notices or (plan.acts and not plan.closed)
        if now and not yes and not agreed(app, "Do it?"):
            return 4
        outcome = _carry_out(app, plan, context, assembly)
        if not as_json:
            app.out(enforced_text(outcome))
        for line in trouble_lines(plan, outcome):
            warn(app, line)
        if outcome.stopped:
            app.complain(f"{app.style('hint:', bold=True)} {again(app)}")
    if as_json:
        app.json(enforce_json(plan, settings, outcome))
    return exit_code(plan, outcome)


def _presets(app: App, as_json: bool) -> int:
    from ...settings.fleet import PRESETS

    if as_json:
        app.json({"presets": presets_json(PRESETS.values())})
    else:
        app.out(presets_text(PRESETS.values()))
    return 0


def _plan(app: App, settings: FleetSettings, assembly: Assembly, apply: bool) -> tuple[EnforceContext, EnforcePlan]:
    from ...fleet.actions import Notifier
    from ...fleet.enforce_plan import EnforceContext, check, plan_run
    from ...fleet.judge import addresses
    from ...fleet.messages import Channels, Renderer
    from ...fleet.notify import channels_of

    check(settings, apply=apply)
    mapping = addresses(settings.owners)
    some = settings.remind.owners or settings.remind.admins
    channels = channels_of(settings, assembly.cloud) if some else Channels()
    assembly.organization.me()  # signs in first: a question and a progress bar do not go together
    notifier = Notifier(channels, settings, Renderer(settings.remind.templates, assembly.now()), fleet(app, "enforce"))
    with app.progress() as progress:
        context = EnforceContext(
            assembly.organization, settings, mapping, notifier, assembly.now, time.sleep, progress=progress
        )
        return context, plan_run(context)


def _not_only_telling(app: App, settings: FleetSettings) -> None:
    """Raises WrongUsage for a preset that enforces nothing, unless the settings say besides what is to be done."""
    from ...fleet.enforce_plan import enforces
    from ...settings.fleet import PRESETS

    preset = settings.enforce.preset
    if preset in PRESETS and not PRESETS[preset].enforce and not enforces(settings):
        raise WrongUsage(
            f"the preset {preset} only tells, and enforces nothing",
            f"set preset = {preset} in [enforce], then: {fleet(app, 'remind')}",
        )


def _carry_out(app: App, plan: EnforcePlan, context: EnforceContext, assembly: Assembly) -> EnforceResult:
    from ...fleet.actions import ActionResult
    from ...fleet.enforce import ApplyContext, carry_out
    from ...fleet.reissue import keymaker
    from ..app import Stop

    audit = open_audit(app, assembly, "enforce")
    stop = Stop(app.interject)
    doing = ApplyContext(
        context,
        audit,
        keymaker(assembly, context.settings, audit, time.sleep),
        told=lambda each: app.say(result_text(each) if isinstance(each, ActionResult) else skipped_text(each)),
        check=stop.check,
    )
    with stop.on_interrupt():
        return carry_out(plan, doing)
