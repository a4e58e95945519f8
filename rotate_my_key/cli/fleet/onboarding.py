"""`fleet onboarding`: the page that IT gives to people."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from ...errors import WrongUsage
from ..app import App

if TYPE_CHECKING:
    from ...settings import Settings

_DAY = 86400
# What the page tells of, and what should therefore be the site's and not one person's.
_TOLD = ("max_age", "remind_before", "keep_old", "snooze", "contact", "minimum_version", "auth_profile")


@click.command("onboarding")
@click.option("--html", "as_html", is_flag=True, help="One HTML file instead of Markdown.")
@click.option("--install", metavar="COMMAND", default="./install.sh", show_default=True, help="How people install it.")
@click.pass_obj
def command(app: App, /, as_html: bool, install: str) -> None:
    """Print the page that IT gives to people, made from the settings in force here.

    Run it where the site's settings are; what comes from your own settings is named on stderr.
    """
    from ...fleet import page
    from ...fleet.onboarding import CompanyFacts, onboarding

    if not install.strip() or not install.isprintable():
        raise WrongUsage(
            "--install is one line that people can type", "rotate-my-key fleet onboarding --install './install.sh'"
        )
    settings = app.settings
    for name in _TOLD:
        origin = settings.origin[name]
        if origin.source not in ("built-in", "") and not origin.source.startswith(app.paths.site_file):
            app.say(f"note: {name} is {origin.text} by {origin.source}, not by the site's settings")
    facts = CompanyFacts(
        settings.max_age,
        settings.remind_before,
        settings.keep_old,
        settings.snooze,
        settings.contact,
        settings.minimum_version,
        settings.auth_profile,
        install,
        _reminders(settings),
    )
    parts = onboarding(facts)
    app.out((page.page(parts) if as_html else page.markdown(parts)).rstrip("\n"))


def _reminders(settings: Settings) -> list[str]:
    """What the reminder says of a key that is due, and of one that is three days overdue."""
    from ...reminder.state import KEY, Item
    from ...reminder.words import line

    now = int(time.time())
    limit = int(settings.max_age.total_seconds())
    due = int(max(settings.max_age - settings.remind_before, timedelta(0)).total_seconds())
    ages = [due, limit + 3 * _DAY] if due < limit else [limit + 3 * _DAY]
    items = [Item(KEY, "AKIA", ("default",), 0, now - age + limit, now - age) for age in ages]
    return [line([item], limit, now, "default") for item in items]
