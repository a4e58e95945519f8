"""`fleet`: what IT does for all users of a company. Here are the commands with their options; what each of them does is
in a module beside this one, loaded when it is called, so that --help is quick."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

import click

from ...core.errors import Problem
from ..app import App
from ..commands import AS_JSON, YES, signing_options

C = TypeVar("C", bound=Callable[..., Any])


class _InOrder(click.Group):
    """Lists its commands as they stand below."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of --help."""
        return list(self.commands)


@click.group("fleet", cls=_InOrder)
def command() -> None:
    """For all users of a company."""


def fleet_options(options_of: C) -> C:
    """The options of every fleet command that calls AWS; `open_fleet` finds them in click's context."""
    settings = click.option(
        "--settings",
        metavar="FILE",
        expose_value=False,
        callback=_keep,
        help="The fleet's settings: a file, or ssm:/NAME (default: fleet.ini).",
    )
    profile = click.option(
        "-p",
        "--profile",
        metavar="NAME",
        expose_value=False,
        callback=_keep,
        help="Region, endpoint and credentials of this profile.",
    )
    return profile(signing_options(settings(options_of)))


def _keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
    context.meta[f"fleet {option.name}"] = value


def _does(place: str, summary: str, *, libraries: bool = True) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function that has its options and its help; `place` is `module.function` of what it does.

    `libraries`: it does not work without the extra `fleet`.
    """

    def made(function: Callable[..., Any]) -> click.Command:
        @wraps(function)
        def call(app: App, /, **options: Any) -> Any:
            if libraries:
                _need_libraries()
            module, _, name = place.partition(".")
            return getattr(import_module(f".{module}", __package__), name)(app, **options)

        name = function.__name__.strip("_")
        return command.command(name, short_help=summary)(click.pass_obj(call))

    return made


def _need_libraries() -> None:
    """Raises Problem with the command that brings what the laptop's commands do without."""
    from ...files.paths import how_to_get

    if find_spec("jinja2") is None:
        raise Problem("the fleet commands need jinja2, which is not installed", how_to_get("jinja2"))


@_does("report.report", "Show every key of all users: age, last use, verdict, owner.")
@click.option("--all", "every", is_flag=True, help="Every key, not only those that need attention.")
@click.option("--exact", is_flag=True, help="List the keys of every user: exact ages and ids, and more calls.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every key.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV for spreadsheets, with every key.")
@click.option("--html", "as_html", is_flag=True, help="Print one page that needs nothing else.")
@fleet_options
def _report() -> None:
    """Show every key of all users: its age, last use, verdict and owner.

    Shows what needs attention: root's keys first, then what is overdue, due, or not used. Changes nothing.
    """


@_does("remind.remind", "Tell the owners of old keys, and the admins.")
@click.option("--dry-run", is_flag=True, help="Show every notice as it would go out; send and remember nothing.")
@YES
@AS_JSON
@fleet_options
def _remind() -> None:
    """Tell the owners of keys that are due or overdue, and send the admins a digest.

    One notice for each owner with all of their keys, repeated until they are replaced. What was sent is remembered in a
    tag of the user. The settings say over which channels.
    """


@_does("enforce.enforce", "Switch off and delete what is too old, by the rules you set.")
@click.option("--preset", metavar="NAME", default="", help="Ready rules, below what the settings say besides.")
@click.option("--presets", is_flag=True, help="Show the ready rules and what they do.")
@click.option("--apply", is_flag=True, help="Do it. Without, it is only shown.")
@click.option("--undo", metavar="USER", help="Switch on again what enforce switched off of this user.")
@click.option("--account", metavar="NUMBER", multiple=True, help="With --undo: this account only (repeatable).")
@YES
@AS_JSON
@fleet_options
def _enforce() -> None:
    """Switch off and delete keys that are too old, by the rules of [enforce] in the settings.

    Shows what it would do, and what it spares and why. With --apply it does it: only in the accounts that are named
    there, within the hours that are set, after notices that were written down, and with an audit. A key that was
    switched off can be switched on again until it is deleted.
    """


@_does("revoke.revoke", "Switch off every key of one user, in every account.")
@click.argument("user", required=False, metavar="[USER]")
@click.option("--owner", metavar="ADDRESS", help="Every user and bot of whoever has this address, instead of USER.")
@click.option("--account", metavar="NUMBER", multiple=True, help="This account only (repeatable; default: all).")
@click.option("--why", metavar="TEXT", default="asked for", help="The reason, for the audit.")
@click.option("--undo", is_flag=True, help="Switch on again what revoke switched off.")
@YES
@AS_JSON
@fleet_options
def _revoke() -> None:
    """Switch off every key of USER in all accounts: somebody left, or a key leaked.

    Shows what it found first. Nothing is deleted, and what was off before stays as it was. An account that fails is
    named, and the exit code is not 0. Owners and admins are told by the channels of the settings. Sessions that were
    made from the keys live on, and so does the password: it says how to end them.
    """


@_does("reissue.reissue", "Make a key for a user who cannot, and hand it over safely.")
@click.argument("user", required=False, metavar="[USER]")
@click.option("--account", metavar="NUMBER", help="The user's account (default: the caller's own).")
@click.option("--for-profile", metavar="NAME", default="", help="The profile that the user should put it in.")
@click.option("--replace-inactive", is_flag=True, help="Delete a key of theirs that is switched off, to make room.")
@click.option("--renew", is_flag=True, help="Replace a key that waits already and was never used.")
@click.option("--link-file", metavar="FILE", help="With S3: write a link to fetch it with into this file (0600).")
@click.option("--sweep", is_flag=True, help="Delete what was not fetched in time.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@YES
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; no secret is in it.")
@fleet_options
def _reissue() -> None:
    """Make a key for USER, and put it where only they can fetch it.

    They take it with rotate-my-key adopt, which puts it in place of the old one and rotates it at once. Their old key
    is not touched here. Off unless the settings say so.
    """


@_does("deploy.template", "Print the CloudFormation template that runs it by itself.")
@click.option("--map", "as_map", is_flag=True, help="With a state machine that runs it for each account, many at once.")
@click.option("--member-role", is_flag=True, help="The role in member accounts instead, for a StackSet.")
def _template() -> None:
    """Print the CloudFormation template of the function, its schedules, its role and its alarms.

    The zip for it is made by `fleet package`; docs/it/lambda.md has the whole way, step by step.
    """


@_does("deploy.package", "Build the zip for the Lambda function.", libraries=False)
@click.option("--out", default="rotate-my-key-fleet.zip", show_default=True, metavar="FILE", help="Where to write it.")
@click.option("--apprise", is_flag=True, help="With apprise: Telegram, Slack, Teams, webhooks and more.")
@click.option("--with-botocore", is_flag=True, help="With botocore, instead of the one in Lambda's runtime.")
@click.option("--include", multiple=True, metavar="PATH", help="Your own file or folder: it is in files/ there.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def _package() -> None:
    """Build the zip for the Lambda function, from what is installed here.

    It has no compiled part, so it runs on arm64 and on x86_64. Made twice from the same versions it has the same bytes.
    """


@_does("deploy.onboarding", "Print the page that IT gives to people.", libraries=False)
@click.option("--html", "as_html", is_flag=True, help="One HTML file instead of Markdown.")
@click.option("--install", metavar="COMMAND", default="./install.sh", show_default=True, help="How people install it.")
def _onboarding() -> None:
    """Print the page that IT gives to people, made from the settings in force here.

    Run it where the site's settings are; what comes from your own settings is named on stderr.
    """
