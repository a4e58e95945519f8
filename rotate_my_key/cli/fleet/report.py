"""`fleet report`: every key of all users."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from ...errors import WrongUsage
from ..app import App
from .again import stoppable
from .common import fleet_options, open_fleet, tell_failed, tell_left_out

if TYPE_CHECKING:
    from ...fleet.assembly import Assembly
    from ...fleet.report import KeyReport
    from ...settings.fleet import FleetSettings


@click.command("report")
@click.option("--all", "every", is_flag=True, help="Every key, not only those that need attention.")
@click.option("--exact", is_flag=True, help="List the keys of every user: exact ages and ids, and more calls.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every key.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV for spreadsheets, with every key.")
@click.option("--html", "as_html", is_flag=True, help="Print one page that needs nothing else.")
@fleet_options
@click.pass_obj
def command(app: App, /, every: bool, exact: bool, as_json: bool, as_csv: bool, as_html: bool) -> int:
    """Show every key of all users: its age, last use, verdict and owner.

    Shows what needs attention: root's keys first, then what is overdue, due, or not used. Changes nothing.
    """
    if as_json + as_csv + as_html > 1:
        raise WrongUsage("--json, --csv and --html are three forms of one report", "rotate-my-key fleet report --html")
    with stoppable(app, "nothing was changed"):
        settings, assembly = open_fleet(app)
        report = _make(app, settings, assembly, exact)
    if as_json:
        from ...fleet.report.values import values

        app.json(values(report))
    elif as_csv:
        from ...fleet.report.table import table

        app.out(table(report).rstrip("\n"))
    elif as_html:
        from ...fleet.report.page import page

        app.out(page(report, every=every).rstrip("\n"))
    else:
        from . import report_shown

        app.out(report_shown.shown(report, app, every=every))
    tell_left_out(app, assembly)
    _tell(app, report)
    return report.code


def _make(app: App, settings: FleetSettings, assembly: Assembly, exact: bool) -> KeyReport:
    from ...fleet.fetching import ReportWait
    from ...fleet.mapping import addresses
    from ...fleet.report import make
    from ...fleet.survey import Wanted, survey_accounts

    mapping = addresses(settings.owners)
    organization = assembly.organization
    organization.me()  # signs in first: a question and a progress bar do not go together; and it tells AWS's time
    now = assembly.now()
    with app.progress() as progress:
        surveys = survey_accounts(
            organization,
            settings,
            now,
            ReportWait(time.sleep, time.monotonic),
            wanted=Wanted(exact or settings.exact),
            progress=progress,
        )
    return make(surveys, settings, mapping, now)


def _tell(app: App, report: KeyReport) -> None:
    """What a person should know of the accounts, on stderr: that some failed, even with --quiet."""
    from ...fleet.alike import about, alike
    from ...fleet.notices import Remark

    tell_failed(app, report.surveys, report.settings)
    for same in alike(Remark(str(each.account), note) for each in report.surveys for note in each.notes):
        app.say(f"{about(same)}: {same.text}")
