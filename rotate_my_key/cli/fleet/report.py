"""`fleet report`: every key of all users."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from ...errors import WrongUsage
from ..app import App
from .common import fleet_options, open_fleet

if TYPE_CHECKING:
    from ...fleet.model import Survey
    from ...fleet.report import Report


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
    report = _make(app, exact)
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
    for survey in report.surveys:
        _tell(app, survey)
    return report.code


def _make(app: App, exact: bool) -> Report:
    from ...fleet.mapping import addresses
    from ...fleet.report import make
    from ...fleet.survey import Waiting, Wanted, survey_accounts

    settings, assembly = open_fleet(app)
    mapping = addresses(settings.owners)
    organization = assembly.organization
    organization.me()  # signs in first: a question and a progress bar do not go together; and it tells AWS's time
    now = assembly.now()
    with app.progress() as progress:
        surveys = survey_accounts(
            organization,
            settings,
            now,
            Waiting(time.sleep, time.monotonic),
            wanted=Wanted(exact or settings.exact),
            progress=progress,
        )
    return make(surveys, settings, mapping, now)


def _tell(app: App, survey: Survey) -> None:
    """What a person should know of an account, on stderr: that it failed, even with --quiet."""
    if survey.problem:
        app.complain(f"{app.style('warning:', fg='yellow')} account {survey.account}: {survey.problem}")
        if survey.hint:
            app.complain(f"{app.style('hint:', bold=True)} {survey.hint}")
    for note in survey.notes:
        app.say(f"account {survey.account}: {note}")
