"""`fleet template`, `fleet package` and `fleet onboarding`: CloudFormation, the zip for Lambda, a page for people."""

from __future__ import annotations

import shlex
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from ... import __version__
from ...core.errors import WrongUsage
from ..app import App
from .common import need_libraries

if TYPE_CHECKING:
    from ...settings import Settings


@click.command("template")
@click.option("--map", "as_map", is_flag=True, help="With a state machine that runs it for each account, many at once.")
@click.option("--member-role", is_flag=True, help="The role in member accounts instead, for a StackSet.")
@click.pass_obj
def template_command(app: App, /, as_map: bool, member_role: bool) -> None:
    """Print the CloudFormation template of the function, its schedules, its role and its alarms.

    The zip for it is made by `fleet package`; docs/it/lambda.md has the whole way, step by step.
    """
    need_libraries()
    from ...fleet.deploy import TemplateKind, template

    if as_map and member_role:
        raise WrongUsage("--map and --member-role are two templates", "rotate-my-key fleet template --member-role")
    kind = TemplateKind.MAP if as_map else TemplateKind.MEMBER_ROLE if member_role else TemplateKind.FUNCTION
    app.out(template(kind).rstrip("\n"))


@click.command("package")
@click.option("--out", default="rotate-my-key-fleet.zip", show_default=True, metavar="FILE", help="Where to write it.")
@click.option("--apprise", is_flag=True, help="With apprise: Telegram, Slack, Teams, webhooks and more.")
@click.option("--with-botocore", is_flag=True, help="With botocore, instead of the one in Lambda's runtime.")
@click.option("--include", multiple=True, metavar="PATH", help="Your own file or folder: it is in files/ there.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
@click.pass_obj
def package_command(
    app: App, /, out: str, apprise: bool, with_botocore: bool, include: tuple[str, ...], as_json: bool
) -> None:
    """Build the zip for the Lambda function, from what is installed here.

    It has no compiled part, so it runs on arm64 and on x86_64. Made twice from the same versions it has the same bytes.
    """
    from ...fleet.deploy import build, store

    with app.waiting("packing"):
        package = build(__version__, apprise=apprise, botocore=with_botocore, include=include)
        store(package, out)
    if as_json:
        app.json(
            {
                "path": out,
                "size": len(package.data),
                "unpacked": package.unpacked,
                "sha256": package.sha256,
                "key": package.name,
                "parts": list(package.parts),
            }
        )
        return
    app.say(f"has {', '.join(package.parts)}")
    app.out(f"{out}  {len(package.data)} bytes ({package.unpacked} unpacked)  sha256 {package.sha256}")
    app.say(
        "next:\n"
        f"  aws s3 cp {shlex.quote(out)} s3://BUCKET/{package.name}\n"
        "  rotate-my-key fleet template > fleet.yaml\n"
        "  aws cloudformation deploy --stack-name rotate-my-key-fleet --template-file fleet.yaml "
        f"--capabilities CAPABILITY_IAM --parameter-overrides CodeBucket=BUCKET CodeKey={package.name}"
    )


_DAY = 86400
# What the page tells of, and what should therefore be the site's and not one person's.
_TOLD = ("max_age", "remind_before", "keep_old", "snooze", "contact", "minimum_version", "auth_profile")


@click.command("onboarding")
@click.option("--html", "as_html", is_flag=True, help="One HTML file instead of Markdown.")
@click.option("--install", metavar="COMMAND", default="./install.sh", show_default=True, help="How people install it.")
@click.pass_obj
def onboarding_command(app: App, /, as_html: bool, install: str) -> None:
    """Print the page that IT gives to people, made from the settings in force here.

    Run it where the site's settings are; what comes from your own settings is named on stderr.
    """
    from ...fleet import onboarding as page
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
    from ...reminder.state import KEY, Item, line

    now = int(time.time())
    limit = int(settings.max_age.total_seconds())
    due = int(max(settings.max_age - settings.remind_before, timedelta(0)).total_seconds())
    ages = [due, limit + 3 * _DAY] if due < limit else [limit + 3 * _DAY]
    items = [Item(KEY, "AKIA", ("default",), 0, now - age + limit, now - age) for age in ages]
    return [line([item], limit, now, "default") for item in items]
