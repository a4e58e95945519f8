"""`fleet enforce`: what is too old is switched off and deleted, by the rules that are set."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from ...errors import WrongUsage
from ..app import App
from .again import again, fleet, stoppable
from .alone import alone
from .common import fleet_options, open_audit, open_fleet

if TYPE_CHECKING:
    from ...fleet.acting import Maker
    from ...fleet.assembly import Assembly
    from ...fleet.audit import AuditTrail
    from ...fleet.enforce_plan import EnforceContext, EnforcePlan
    from ...fleet.enforcing import EnforceResult
    from ...settings.fleet import FleetSettings


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
    from . import enforce_shown as shown

    settings, assembly = open_fleet(app, preset)
    if apply:
        alone(app)
    _not_only_telling(app, settings)
    looking, plan = _plan(app, settings, assembly, apply)
    outcome = None
    if not as_json or (apply and not yes):
        (app.say if apply else app.out)(shown.plan(plan, assembly.now()))
    if apply:
        now = plan.notices or (plan.acts and not plan.closed)
        if now and not yes and not app.confirm("Do it?", default=False, flag=again(app, "--yes")):
            app.say("Nothing was changed.")
            return 4
        outcome = _carry_out(app, plan, looking, assembly)
        if not as_json:
            app.out(shown.done(outcome))
        for line in shown.troubles(plan, outcome):
            app.complain(f"{app.style('warning:', fg='yellow')} {line}")
        if outcome.stopped:
            app.complain(f"{app.style('hint:', bold=True)} {again(app)}")
    if as_json:
        app.json(shown.as_json(plan, settings, outcome))
    return shown.code(plan, outcome)


def _presets(app: App, as_json: bool) -> int:
    from ...fleet.presets import PRESETS
    from . import presets_shown

    if as_json:
        app.json({"presets": presets_shown.as_json(PRESETS.values())})
    else:
        app.out(presets_shown.text(PRESETS.values()))
    return 0


def _plan(app: App, settings: FleetSettings, assembly: Assembly, apply: bool) -> tuple[EnforceContext, EnforcePlan]:
    from ...fleet.announcing import Notifier
    from ...fleet.enforce_plan import EnforceContext, check, plan_run
    from ...fleet.letters import Channels
    from ...fleet.mapping import addresses
    from ...fleet.notify import outlets
    from ...fleet.rendering import Renderer

    check(settings, apply=apply)
    mapping = addresses(settings.owners)
    some = settings.remind.owners or settings.remind.admins
    channels = outlets(settings, assembly.cloud) if some else Channels()
    assembly.organization.me()  # signs in first: a question and a progress bar do not go together
    crier = Notifier(channels, settings, Renderer(settings.remind.templates, assembly.now()), fleet(app, "enforce"))
    with app.progress() as progress:
        looking = EnforceContext(
            assembly.organization, settings, mapping, crier, assembly.now, time.sleep, progress=progress
        )
        return looking, plan_run(looking)


def _not_only_telling(app: App, settings: FleetSettings) -> None:
    """Raises WrongUsage for a preset that enforces nothing, unless the settings say besides what is to be done."""
    from ...fleet.enforce_plan import enforces
    from ...fleet.presets import PRESETS

    preset = settings.enforce.preset
    if preset in PRESETS and not PRESETS[preset].enforce and not enforces(settings):
        raise WrongUsage(
            f"the preset {preset} only tells, and enforces nothing",
            f"set preset = {preset} in [enforce], then: {fleet(app, 'remind')}",
        )


def _carry_out(app: App, plan: EnforcePlan, looking: EnforceContext, assembly: Assembly) -> EnforceResult:
    from ...fleet.acting import ActionResult
    from ...fleet.enforcing import ApplyContext, carry_out
    from ..stop import Stop
    from . import enforce_shown as shown

    audit = open_audit(app, assembly, "enforce")
    stop = Stop(app.interject)
    doing = ApplyContext(
        looking,
        audit,
        _maker(looking.settings, assembly, audit),
        told=lambda each: app.say(shown.deed(each) if isinstance(each, ActionResult) else shown.spare(each)),
        check=stop.check,
    )
    with stop.on_interrupt():
        return carry_out(plan, doing)


def _maker(settings: FleetSettings, assembly: Assembly, audit: AuditTrail) -> Maker | None:
    """Who makes new keys, where the settings allow it."""
    from ...fleet.making import Keymaker
    from ...fleet.waiting import waiting

    if not settings.reissue.enabled or settings.enforce.reissue_at is None:
        return None
    places = waiting(assembly.cloud, assembly.organization.me(), settings.reissue, settings.where)
    return Keymaker(places, settings, audit, audit.run.name.rpartition("-")[2], assembly.now, time.sleep)
