"""`fleet remind`: the owners of old keys are told, and the admins."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from ...errors import Problem, WrongUsage
from ..app import App
from .again import again, stoppable
from .alone import alone
from .common import fleet_options, open_fleet, tell_failed, tell_left_out, warn

if TYPE_CHECKING:
    from ...fleet.assembly import Assembly
    from ...fleet.audit import AuditTrail
    from ...fleet.letters import Channels, Findings
    from ...fleet.model import AccountSurvey
    from ...fleet.notice_plan import NoticePlan
    from ...fleet.reminding import RemindResult
    from ...fleet.rendering import Renderer
    from ...settings.fleet import FleetSettings


@click.command("remind")
@click.option("--dry-run", is_flag=True, help="Show every notice as it would go out; send and remember nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@fleet_options
@click.pass_obj
def command(app: App, /, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Tell the owners of keys that are due or overdue, and send the admins a digest.

    One notice for each owner with all of his keys, repeated until they are replaced. What was sent is remembered in a
    tag of the user. The settings say over which channels.
    """
    from ...fleet.rehearsal import rehearse
    from ...fleet.rendering import Renderer
    from ...fleet.survey import first_code
    from . import remind_shown

    settings, assembly = open_fleet(app)
    rehearse(settings, Renderer(settings.remind.templates, assembly.now()))
    outlets = _outlets(settings, assembly, dry_run)
    with stoppable(app, "nothing was sent"):
        if not dry_run:
            alone(app)
        surveys, plan, findings = _look(app, settings, assembly)
    renderer = Renderer(settings.remind.templates, assembly.now())
    outcome = _preview(plan, findings, outlets, settings, renderer)
    tell_left_out(app, assembly)
    tell_failed(app, surveys, settings)
    for line, hint in remind_shown.unreached(outcome.digest):
        warn(app, line, hint)
    if dry_run:
        outcome = replace(outcome, code=first_code((outcome.code, *_check(app, outlets))))
    elif outcome.letters:
        if not yes and not _agreed(app, remind_shown.question(outcome, plan)):
            return 0
        with stoppable(app, "who was told is remembered, and the next run tells the others"):
            outcome = _send(app, plan, findings, outlets, settings, assembly, renderer)
    if as_json:
        from ...fleet.remind_values import values

        app.json(values(plan, outcome, outlets, dry_run=dry_run))
    else:
        app.out(remind_shown.preview(outcome, plan) if dry_run else remind_shown.done(outcome, plan))
    for line, hint in remind_shown.troubles(outcome):
        warn(app, line, hint)
    return outcome.code


def _agreed(app: App, what: str) -> bool:
    app.complain(what)
    if app.confirm("Send now?", default=False, flag=again(app, "--yes")):
        return True
    app.say("Nothing was sent.")
    return False


def _outlets(settings: FleetSettings, assembly: Assembly, dry_run: bool) -> Channels:
    """The channels of the settings; a dry run also shows what would be sent if there were any."""
    from ...fleet.letters import Channels
    from ...fleet.notify import Unset, outlets

    if dry_run and not (settings.remind.owners or settings.remind.admins):
        return Channels((Unset("owners", wants_address=True),), (Unset("admins"),))
    return outlets(settings, assembly.cloud)


def _look(app: App, settings: FleetSettings, assembly: Assembly) -> tuple[list[AccountSurvey], NoticePlan, Findings]:
    from ...fleet.fetching import ReportWait
    from ...fleet.mapping import addresses
    from ...fleet.reminding import prepare
    from ...fleet.survey import survey_accounts

    mapping = addresses(settings.owners)
    organization = assembly.organization
    organization.me()  # signs in first: a question and a progress bar do not go together; and it tells AWS's time
    now = assembly.now()
    with app.progress() as progress:
        waiting = ReportWait(time.sleep, time.monotonic)
        surveys = survey_accounts(organization, settings, now, waiting, progress=progress)
    return surveys, *prepare(surveys, settings, mapping, now)


def _preview(
    plan: NoticePlan, findings: Findings, outlets: Channels, settings: FleetSettings, renderer: Renderer
) -> RemindResult:
    from ...fleet.reminding import preview

    return preview(plan, findings, outlets, settings, renderer)


def _check(app: App, outlets: Channels) -> Iterator[int]:
    """What a person should know of the channels before anything is sent; gives the exit codes of those that cannot
    work: what is wrong with the settings is a problem of the run, as it would be of a real one."""
    said: set[str] = set()
    for channel in outlets.all:
        try:
            lines = channel.check()
        except Problem as problem:
            yield Problem.code if isinstance(problem, WrongUsage) else problem.code
            if problem.message not in said:
                named = f"channel {channel.name}" in problem.message
                warn(app, problem.message if named else f"channel {channel.name}: {problem.message}", problem.hint)
            said.add(problem.message)
            continue
        for line in lines:
            warn(app, line)


def _send(
    app: App,
    plan: NoticePlan,
    findings: Findings,
    outlets: Channels,
    settings: FleetSettings,
    assembly: Assembly,
    renderer: Renderer,
) -> RemindResult:
    from ...fleet.reminding import RemindContext, remind

    audit = _audit(settings, assembly)
    with app.progress() as progress:
        around = RemindContext(
            assembly.organization,
            time.sleep,
            audit,
            progress=lambda done, total: progress("telling owners", done, total),
        )
        outcome = remind(plan, findings, outlets, settings, renderer, around)
    return _closed(audit, outcome) if audit else outcome


def _closed(audit: AuditTrail, outcome: RemindResult) -> RemindResult:
    """The audit's last line. What was sent was sent, so that a failure here is the last row of the notes."""
    from ...fleet.notices import Remark
    from ...fleet.remind_values import numbers
    from ...fleet.survey import first_code

    try:
        audit.close(numbers(outcome.digest))
    except Problem as problem:
        digest = replace(outcome.digest, notes=(*outcome.digest.notes, Remark("the end of the run", problem.message)))
        return replace(outcome, digest=digest, code=first_code((outcome.code, problem.code)))
    return outcome


def _audit(settings: FleetSettings, assembly: Assembly) -> AuditTrail | None:
    """Where the settings say; to tell people something is no act that must be written down."""
    from ...fleet.audit import AuditRun, TextSink, open_audit, run_name

    said = settings.audit
    if not (said.file or said.log_group or said.bucket):
        return None
    name = run_name(assembly.now(), secrets.token_hex(3))
    run = AuditRun(name, "remind", settings.fingerprint, assembly.organization.me().arn)
    return open_audit(said, run, assembly.cloud, TextSink(lambda line: None))
