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
    """Manage the access keys of all users (report, remind, ...)."""


def fleet_options(options_of: C) -> C:
    """The options of every fleet command that calls AWS; `open_fleet` finds them in click's context."""
    kept: dict[str, Any] = {"expose_value": False, "callback": _keep}
    text = "Fleet settings: a file, or ssm:/NAME (default: fleet.ini)."
    settings = click.option("--settings", metavar="FILE", help=text, **kept)
    text = "Use region, endpoint and credentials of this profile."
    profile = click.option("-p", "--profile", metavar="NAME", help=text, **kept)
    return profile(signing_options(settings(options_of)))


def _keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
    context.meta[f"fleet {option.name}"] = value


def _does(place: str, summary: str, *, libraries: bool = True) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function that has its options and its help; `place` is `module.function` of what it does.

    `libraries`: without the extra `fleet` it raises Problem with the command that brings what laptops do without.
    """

    def made(function: Callable[..., Any]) -> click.Command:
        @wraps(function)
        def call(app: App, /, **options: Any) -> Any:
            if libraries and find_spec("jinja2") is None:
                from ...files.paths import how_to_get

                raise Problem("the fleet commands need jinja2, which is not installed", how_to_get("jinja2"))
            module, _, name = place.partition(".")
            return getattr(import_module(f".{module}", __package__), name)(app, **options)

        name = function.__name__.strip("_")
        return command.command(name, short_help=summary)(click.pass_obj(call))

    return made


_ACCOUNT = click.option("--account", metavar="NUMBER", multiple=True, help="This account only (repeatable).")


def _who(options_of: C) -> C:
    """The options that say who is meant."""
    return click.option("--user", metavar="NAME", multiple=True, help="This user only (repeatable).")(
        _ACCOUNT(options_of)
    )


@_does("report.report", "Show every key of all users: age, last use, verdict, owner.")
@click.option("--all", "every", is_flag=True, help="Every key, not only those that need attention.")
@click.option("--exact", is_flag=True, help="List the keys of every user: exact ages and IDs, but more calls.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with every key.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV for spreadsheets, with every key.")
@click.option("--html", "as_html", is_flag=True, help="Print one self-contained HTML page.")
@click.option("--out", metavar="FOLDER", help="Write page, CSV and JSON into this folder; print their SHA-256.")
@click.option("--recalls", is_flag=True, help="Show who has answered recalls (reads the tags of every user).")
@click.option("--since", metavar="FILE", help="Compare with an earlier report, as --json printed it.")
@click.option(
    "--check",
    "least",
    type=click.Choice(["due", "overdue"]),
    is_flag=False,
    flag_value="due",
    help="Exit 3 if a key is due (or overdue) or of root.",
)
@_who
@fleet_options
def _report() -> None:
    """Show every key of all users: its age, last use, verdict and owner.

    Lists what needs attention: keys of root, then overdue, due and unused ones, and those that fail the CIS benchmark.
    Changes nothing.
    """


_PRESET = click.option(
    "--preset", metavar="NAME", default="", help="Use these ready-made rules; the settings override them."
)
_PRESETS = click.option("--presets", is_flag=True, help="Show the ready-made rules and what they do.")


@_does("remind.remind", "Notify the owners of old keys, and the admins.")
@_PRESET
@_PRESETS
@click.option("--dry-run", is_flag=True, help="Show every message without sending it.")
@_who
@YES
@AS_JSON
@fleet_options
def _remind() -> None:
    """Notify the owners of keys that are due or overdue, and send the admins a digest.

    Each owner gets one message about all of their keys, repeated until the keys are replaced. A tag of the user keeps
    track of what was sent. The channels are set in the fleet settings.
    """


@_does("enforce.enforce", "Deactivate and delete old keys by the rules you set.")
@_PRESET
@_PRESETS
@click.option("--apply", is_flag=True, help="Make the changes. Without it, they are only shown.")
@click.option("--undo", metavar="USER", help="Reactivate the keys of this user that enforce deactivated.")
@_who
@YES
@AS_JSON
@fleet_options
def _enforce() -> None:
    """Deactivate and delete keys that are too old, by the rules of [enforce] in the fleet settings.

    Shows what it would do, and what it skips and why. --apply makes the changes: only in the accounts that are listed
    there, within the hours that are set, and after notices that were recorded. Everything is written to the audit. A
    deactivated key can be reactivated until it is deleted.
    """


@_does("revoke.revoke", "Deactivate every key of one user, in every account.")
@click.argument("user", required=False, default="", metavar="[USER]")
@click.option("--owner", metavar="ADDRESS", default="", help="All users and bots whose owner has this address.")
@click.option("--account", metavar="NUMBER", multiple=True, help="This account only (repeatable; default: all).")
@click.option("--why", metavar="TEXT", default="", help="The reason, for the audit.")
@click.option("--undo", is_flag=True, help="Reactivate the keys that revoke deactivated.")
@click.option("--sign-in", is_flag=True, help="Also delete the console password and end sessions.")
@YES
@AS_JSON
@fleet_options
def _revoke() -> None:
    """Deactivate every key of USER in all accounts, because somebody left or a key leaked.

    Shows what it found first. Nothing is deleted, and keys that were inactive before stay so. An account that fails is
    named, and the exit code is not 0. Owners and admins are notified over the channels of the settings. Sessions that
    were started with the keys, and the password, still work: it shows how to end them. --sign-in ends them: a password
    cannot be restored, and --undo --sign-in allows sessions again.
    """


@_does("recall.recall", "Ask for every key made before now to be replaced, by a day.")
@click.option("--user", metavar="NAME", default="", help="The users of this name.")
@click.option("--owner", metavar="ADDRESS", default="", help="All users and bots whose owner has this address.")
@_ACCOUNT
@click.option("--all", "every", is_flag=True, help="Everybody in the accounts of the settings.")
@click.option("--by", metavar="TIME", default="", help="Until when: 3d, 12h, 2026-12-09 or 2026-12-09T17:00.")
@click.option("--reason", metavar="TEXT", default="", help="The reason, which everybody concerned sees.")
@click.option("--undo", is_flag=True, help="Take the recall back.")
@click.option("--dry-run", is_flag=True, help="Show who is meant; change nothing.")
@YES
@AS_JSON
@fleet_options
def _recall() -> None:
    """Ask for every key that was made before now to be replaced, whatever its age.

    A tag marks the users. Their computers treat the keys as overdue at once, show reason and day, and rotate them
    within an hour where the schedule is installed. A key made later satisfies it. What was not replaced by the day is
    deactivated by `fleet enforce`, in the accounts where that is allowed. Exempt users are skipped.
    """


@_does("reissue.reissue", "Create a key for a user who cannot, and hand it over safely.")
@click.argument("user", required=False, metavar="[USER]")
@click.option("--account", metavar="NUMBER", help="The user's account (default: the caller's own).")
@click.option("--for-profile", metavar="NAME", default="", help="The profile in which the user should store it.")
@click.option("--replace-inactive", is_flag=True, help="Delete an inactive key of theirs, to make room.")
@click.option("--renew", is_flag=True, help="Replace a key that is waiting and was never used.")
@click.option("--link-file", metavar="FILE", help="With S3: write a link to fetch the key to this file (0600).")
@click.option("--sweep", is_flag=True, help="Delete keys that were not fetched in time.")
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
@YES
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, without secrets.")
@fleet_options
def _reissue() -> None:
    """Create a key for USER, and store it where only they can fetch it.

    They fetch it with rotate-my-key adopt, which replaces the old key with it and rotates it at once. Their old key
    is not touched here. This is off unless it is enabled in the fleet settings.
    """


@_does("deploy.template", "Print the CloudFormation template to run it on a schedule.")
@click.option("--map", "as_map", is_flag=True, help="With a state machine that handles many accounts at once.")
@click.option("--member-role", is_flag=True, help="Print the role for member accounts instead, for a StackSet.")
def _template() -> None:
    """Print the CloudFormation template of the function, its schedules, its role and its alarms.

    `fleet package` builds its zip. docs/it/lambda.md explains every step.
    """


@_does("deploy.package", "Build the zip for the Lambda function.", libraries=False)
@click.option("--out", default="rotate-my-key-fleet.zip", show_default=True, metavar="FILE", help="Where to write it.")
@click.option("--apprise", is_flag=True, help="With apprise: Telegram, Slack, Teams, webhooks and more.")
@click.option("--with-botocore", is_flag=True, help="With botocore, instead of the one in Lambda's runtime.")
@click.option("--include", multiple=True, metavar="PATH", help="Add your own file or folder, as files/NAME.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def _package() -> None:
    """Build the zip for the Lambda function from the packages installed here.

    It has no compiled code, so it runs on arm64 and on x86_64. The same versions give the same bytes.
    """


@_does("deploy.onboarding", "Print a page for your users.", libraries=False)
@click.option("--html", "as_html", is_flag=True, help="One HTML file instead of Markdown.")
@click.option(
    "--install", metavar="COMMAND", help="The command that users type to install it (default: none, they ask you)."
)
def _onboarding() -> None:
    """Print a page for your users, made from the settings in force here.

    Run it where the site's settings are installed. Values from your own settings are listed on stderr.
    """
