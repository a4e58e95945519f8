"""`fleet enforce`: what is too old is switched off and deleted, by the rules that are set; and what it shows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from ...core.errors import Gone, Interrupted, WrongUsage
from ...core.policy import day, mask, number, stamp
from ...fleet.actions import ActionResult, Notifier
from ...fleet.assembly import Assembly
from ...fleet.enforce import EnforceResult, carry_out
from ...fleet.enforce_plan import NO_CHANNEL, NOWHERE, EnforceContext, EnforcePlan, check, enforces, plan_run, unsure_of
from ...fleet.handover import finder
from ...fleet.judge import addresses
from ...fleet.messages import Channels, Renderer
from ...fleet.model import AwsAccount, FleetKey
from ...fleet.notify import channels_of
from ...fleet.reissue import keymaker
from ...fleet.revoke import Cause
from ...fleet.rules import Act, Skipped, SkipRule
from ...fleet.survey import first_code, resolved
from ...settings.fleet import FleetSettings
from ...settings.fleet_ini import PRESETS
from ..app import App, Stop
from . import common
from .revoke import take_back

_LISTED = 30  # lines of a list; --json has all
_ACCOUNTS = 10  # in which the rest is counted
_FIRST = (SkipRule.STUCK, SkipRule.UNSURE, SkipRule.LAST_USE, SkipRule.UNREACHED)  # somebody is to mend something
# By the kind of action.
_WOULD = {
    "notify": "Owners to notify:",
    "reissue": "Users to get a new key from IT:",
    "deactivate": "To deactivate:",
    "delete": "To delete:",
}
_DID = {
    "notify": ("owner notified", "owners notified"),
    "reissue": ("new key created", "new keys created"),
    "deactivate": ("deactivated", "deactivated"),
    "delete": ("deleted", "deleted"),
}


def enforce(
    app: App,
    *,
    preset: str,
    presets: bool,
    apply: bool,
    undo: str | None,
    user: common.Names,
    account: common.Names,
    yes: bool,
    as_json: bool,
) -> int:
    """Show the presets, take something back, or show and do what the rules say."""
    if undo and (apply or preset or presets or user):
        raise WrongUsage(
            "--undo cannot be combined with --apply, --preset, --presets or --user",
            app.again(but=("apply", "preset", "presets", "user")),
        )
    if presets:
        return common.show_presets(app, "enforce", as_json=as_json)
    if undo:
        return take_back(app, undo, account, "", yes=yes, as_json=as_json, cause=Cause.ENFORCE)
    with common.stoppable(app):
        return _by_rules(app, preset, user, account, apply=apply, yes=yes, as_json=as_json)


def _by_rules(
    app: App, preset: str, users: common.Names, accounts: common.Names, *, apply: bool, yes: bool, as_json: bool
) -> int:
    settings, assembly = common.open_fleet(app, preset)
    settings = common.chosen(app, settings, users, accounts)
    if apply:
        common.alone(app)
    context, plan = _plan(app, settings, assembly, apply)
    if not plan.broken:
        allowed = context.settings.enforce.accounts
        if left := [each for each in accounts if allowed and each not in allowed and "all" not in allowed]:
            raise Gone(f"[enforce] accounts does not include account {left[0]}", app.again(but=("account",)))
        common.check_chosen(app, users, accounts, plan.seen)
    outcome = None
    if not as_json or (apply and not yes):
        (app.say if apply else app.out)(plan_text(plan, assembly.now()))
    if apply:
        now = plan.notices or (plan.acts and not plan.closed)
        if now and not yes and not common.agreed(app, "Continue?"):
            return 4
        outcome = _carry_out(app, plan, context, assembly)
        if not as_json:
            app.out(enforced_text(outcome))
        for line in trouble_lines(plan, outcome):
            common.warn(app, line)
        if outcome.stopped:
            app.complain(f"{app.style('hint:', bold=True)} {app.again()}")
    if as_json:
        app.json(enforce_json(plan, settings, outcome))
    return outcome.code if outcome else first_code(problem.code for _, problem in plan.broken)


def _plan(app: App, settings: FleetSettings, assembly: Assembly, apply: bool) -> tuple[EnforceContext, EnforcePlan]:
    """Raises WrongUsage for a preset that enforces nothing, unless the settings say besides what is to be done."""
    preset = settings.enforce.preset
    if preset in PRESETS and PRESETS[preset].command != "enforce" and not enforces(settings):
        named = () if settings.enforce.preset in settings.text else ("--preset", preset)
        hint = common.fleet(app, "remind", *named)
        raise WrongUsage(f"the preset {preset} only sends messages and enforces nothing", hint)
    check(settings, apply=apply)
    mapping, organization = addresses(settings.owners), assembly.organization
    some = settings.remind.owners or settings.remind.admins
    channels = channels_of(settings, assembly.cloud) if some else Channels()
    organization.me()  # signs in first: a question and a progress bar do not go together
    settings = resolved(organization, settings)
    renderer = Renderer(settings.remind.templates, assembly.now())
    notifier = Notifier(channels, settings, renderer, common.fleet(app, "enforce"))
    with app.progress() as progress:
        places = finder(assembly.cloud, organization, settings)
        context = EnforceContext(
            organization, settings, mapping, notifier, assembly.now, time.sleep, progress=progress, places=places
        )
        return context, plan_run(context)


def _carry_out(app: App, plan: EnforcePlan, context: EnforceContext, assembly: Assembly) -> EnforceResult:
    audit = common.open_audit(app, assembly, "enforce")
    stop = Stop(app.interject)
    maker = keymaker(assembly, context.settings, audit, time.sleep)

    def told(each: ActionResult | Skipped) -> None:
        """One line while it happens."""
        if isinstance(each, Skipped):
            key_id = mask(each.key.key_id or "") if each.key else ""
            app.say(f"  {key_id} of {each.user.name}: skipped: {each.why}")
            return
        what, state, did = _about(each.act, each.account), each.state.value, _DID[each.act.kind.value][0]
        said = "; ".join(part for part in (each.note, each.problem.message if each.problem else "") if part)
        if state == "done":
            app.say(f"  {what}: {did}" + (f" ({said})" if said else ""))
        else:
            app.say(f"  {what}: {'maybe' if state == 'unknown' else 'NOT'} {did}: {said}")

    def check() -> None:
        try:
            stop.check()
        except Interrupted:  # its words are about a rotation
            raise Interrupted("interrupted, the next run continues", app.again()) from None

    with stop.on_interrupt():
        return carry_out(plan, context, audit, maker, told=told, check=check)


# What would be done, and what was


def plan_text(plan: EnforcePlan, now: datetime) -> str:
    """What would be done, act by act, and what is spared."""
    nowhere = plan.closed.startswith(NOWHERE)
    lines = [f"{plan.closed[0].upper()}{plan.closed[1:]}. The rules would do this:"] if nowhere else []
    for kind, title in _WOULD.items():
        steps = [step for step in (*plan.notices, *plan.acts) if step.act.kind.value == kind]
        mine = [f"  {_about(step.act, step.found.account)}: {step.act.why}{_coming(step.act, now)}" for step in steps]
        more = [f"  and {len(mine) - _LISTED:,} more; --json has all"] if len(mine) > _LISTED else []
        lines += [title, *mine[:_LISTED], *more] if mine else []
    lines += _spared(plan.spared)
    lines += [f"{about}: {problem.message}" for about, problem in plan.broken]
    acts = number(len(plan.acts), "action")
    if plan.closed and not nowhere and plan.acts:
        lines.append(f"No key is changed now: {plan.closed}.")
        acts = f"0 actions now, {len(plan.acts):,} waiting for the allowed hours"
    looked = f"{number(plan.users, 'user')} in {number(plan.accounts, 'account')}"
    lines.append(f"{looked}: {number(len(plan.notices), 'notice')}, {acts}.")
    return "\n".join(lines)


def _coming(act: Act, now: datetime) -> str:
    return f", to be {_DID[act.coming.value][0]} on {day(act.at, now)} or later" if act.coming and act.at else ""


def _about(each: Act | Skipped, account: AwsAccount) -> str:
    who = f"{each.user.name} in {account}"
    return f"{mask(each.key.key_id)} of {who}" if each.key and each.key.key_id else who


def _spared(spared: Sequence[tuple[AwsAccount, Skipped]]) -> list[str]:
    """One row a key, with all reasons, first what somebody is to mend. What is too many for one run is counted."""
    rows: dict[str, tuple[AwsAccount, dict[str, None]]] = {}
    for account, each in sorted(spared, key=lambda row: _FIRST.index(row[1].rule) if row[1].rule in _FIRST else 9):
        if each.rule is not SkipRule.LIMIT and not each.why.endswith(NO_CHANNEL):
            rows.setdefault(_about(each, account), (account, {}))[1][each.why] = None
    lines = [f"  {key}: {'; '.join(reasons)}" for key, (_, reasons) in rows.items()]
    over = [each for _, each in spared if each.rule is SkipRule.LIMIT]
    if len(lines) > _LISTED:
        left = Counter(str(account) for account, _ in list(rows.values())[_LISTED:])
        where = ", ".join(f"{count:,} in {account}" for account, count in left.most_common(_ACCOUNTS))
        others = f", and in {number(len(left) - _ACCOUNTS, 'other account')}" if len(left) > _ACCOUNTS else ""
        lines[_LISTED:] = [f"  and {len(lines) - _LISTED:,} more: {where}{others}; --json has all"]
    untold = sum(each.why.endswith(NO_CHANNEL) for _, each in spared)
    lines += [f"  {number(untold, 'action')}: the owner cannot be notified: {NO_CHANNEL}"] if untold else []
    lines += [f"  {number(len(over), 'more action')} left to later runs: {over[0].why}"] if over else []
    return ["Skipped:", *lines] if lines else []


def enforced_text(outcome: EnforceResult) -> str:
    """The sum."""
    ended = Counter(each.act.kind.value for each in outcome.results if each.state.value == "done")
    words = [number(ended[kind], *nouns) for kind, nouns in _DID.items() if ended[kind]]
    failed = len(outcome.results) - ended.total()
    words += [f"{failed} failed"] if failed else []
    hours = sum(each.rule is SkipRule.HOURS for _, each in outcome.spared)
    if hours:
        acted = ended.total() > ended["notify"]
        parts = [", ".join(words), "" if acted else "0 actions now", f"{hours:,} waiting for the allowed hours"]
        return f"{', '.join(filter(None, parts))}."
    return f"{', '.join(words).capitalize() or 'Nothing to do'}."


def trouble_lines(plan: EnforcePlan, outcome: EnforceResult) -> Iterator[str]:
    """What a person must look at."""
    yield from (f"{about}: {problem.message}" for about, problem in plan.broken)
    yield from (problem.message for problem in outcome.untold)
    unsure = len(unsure_of(outcome.spared))
    if unsure:
        yield f"{number(unsure, 'key')} skipped because something could not be read: see above"
    if outcome.stopped:
        yield f"the run ended early: {outcome.stopped.message}"


# JSON


def enforce_json(plan: EnforcePlan, settings: FleetSettings, outcome: EnforceResult | None) -> dict[str, Any]:
    """The object of `fleet enforce --json`."""
    if outcome is None:
        acts = [_act_json(step.act, step.found.account) for step in (*plan.notices, *plan.acts)]
    else:
        acts = [_act_json(each.act, each.account, each) for each in outcome.results]
    return {
        "applied": outcome is not None,
        "policy": settings.fingerprint,
        "preset": settings.enforce.preset,
        "closed": plan.closed,
        "accounts": plan.accounts,
        "users": plan.users,
        "acts": acts,
        "spared": [
            {"rule": spare.rule.value, **_key_json(account, spare.user.name, spare.key), "why": spare.why}
            for account, spare in (plan if outcome is None else outcome).spared
        ],
        "broken": [{"about": about, "problem": common.problem_json(problem)} for about, problem in plan.broken],
        "untold": [common.problem_json(problem) for problem in (outcome.untold if outcome else ())],
        "stopped": common.problem_json(outcome.stopped if outcome else None),
    }


def _act_json(act: Act, account: AwsAccount, result: ActionResult | None = None) -> dict[str, Any]:
    return {
        "act": act.kind.value,
        "coming": act.coming.value if act.coming else None,
        "not_before": stamp(act.at),
        **_key_json(account, act.user.name, act.key),
        "why": act.why,
        "state": result.state.value if result else "planned",
        "note": result.note if result else "",
        "place": result.place if result else "",
        "problem": common.problem_json(result.problem if result else None),
    }


def _key_json(account: AwsAccount, user: str, key: FleetKey | None) -> dict[str, Any]:
    made = {"key_id": key.key_id if key else None, "created": stamp(key.created) if key else None}
    return {"account": account.number, "user": user, **made}
