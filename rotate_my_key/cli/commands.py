"""The commands, as a person types them: arguments, options and the text of --help. What each does is in the module of
its name, which is loaded when the command is called; so every --help costs little more than click itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

import click

from ..core.errors import WrongUsage
from .app import App

C = TypeVar("C", bound=Callable[..., Any])
CODE = re.compile(r"[0-9]{6}")  # of an MFA device


def _call(verb: str, app: App, options: dict[str, Any]) -> Any:
    """`keyring_cmd.store` with these options; gives the exit code, or None for 0."""
    module, _, name = verb.partition(".")
    return getattr(import_module(f".{module}", __package__), name or "run")(app, **options)


# Options that several commands have

_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_no_question = click.option(
    "-y", "--yes", is_flag=True, expose_value=False, help="Accepted everywhere; this asks nothing."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
_profiles = click.option(
    "-p", "--profile", "profiles", multiple=True, metavar="NAME", help="This profile's key (repeatable)."
)


def _profile(text: str) -> Callable[[C], C]:
    return click.option("-p", "--profile", metavar="NAME", help=text)


def signing_options(command: C) -> C:
    """The options of every command that calls IAM; they are kept in `App`, and `Wiring` reads them there."""
    auth = click.option(
        "--auth-profile",
        metavar="NAME",
        expose_value=False,
        callback=_keep_auth_profile,
        help="Sign the IAM calls with this profile (SSO, role, aws login).",
    )
    code = click.option(
        "--mfa-code", metavar="CODE", expose_value=False, callback=_keep_code, help="The code of your MFA device."
    )
    return code(auth(command))


def _keep_auth_profile(context: click.Context, option: click.Parameter, value: str | None) -> None:
    context.ensure_object(App).flags["auth_profile"] = value


def _keep_code(context: click.Context, option: click.Parameter, value: str | None) -> None:
    app = context.ensure_object(App)
    app.command = context.command_path
    if value is None:
        return
    app.mfa_code = "".join(value.split())
    if not CODE.fullmatch(app.mfa_code):
        raise WrongUsage("an MFA code has six digits", f"{app.command} --mfa-code 123456")


# Daily


@click.command("rotate")
@_profiles
@click.option("--all", "all_keys", is_flag=True, help="Every key on this computer that is due, each once.")
@click.option("--force", is_flag=True, help="Whatever the key's age.")
@_yes
@click.option("--keep-old", metavar="DURATION", help="Keep the old key, switched off, that long (7d).")
@click.option("--old-active", is_flag=True, help="With --keep-old: the old key keeps working until then.")
@click.option("--update-copies", is_flag=True, help="Other files that hold the key take the new one too (see scan).")
@click.option("--mixed", is_flag=True, help="Also profiles that hold a key beside sso, role or process settings.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@signing_options
@_json
@click.pass_obj
def rotate(app: App, /, **options: Any) -> Any:
    """Replace the access key of the active profile, if it is due.

    Makes a new key, proves it with AWS, writes it into every profile here that holds the old one, switches the old one
    off and deletes it. If it is stopped at any moment, the profile works and the next run finishes the job.

    With --update-copies the old key works until all those files have the new one. For a key that has leaked type
    --force --keep-old 0: it goes at once, and waits for no file.
    """
    return _call("rotate", app, options)


@click.command("status")
@click.option("-p", "--profile", "profiles", multiple=True, metavar="NAME", help="Only this profile (repeatable).")
@click.option("--cached", is_flag=True, help="What was last seen; no network.")
@click.option(
    "--check",
    "least",
    type=click.Choice(["due", "overdue"]),
    is_flag=False,
    flag_value="due",
    help="Exit 3 if a key is due (or overdue), 75 if an age is not known; excluded profiles do not count.",
)
@signing_options
@_json
@click.pass_obj
def status(app: App, /, **options: Any) -> Any:
    """Show every key on this computer: who it belongs to, its age, its last use, and the verdict."""
    return _call("status", app, options)


@click.command("history")
@_json
@click.pass_obj
def history(app: App, /, **options: Any) -> Any:
    """Show past rotations on this computer: when, which key gave way to which, for whom."""
    return _call("history", app, options)


# Repair


@click.command("undo")
@_profile("The profile whose rotation is undone.")
@_yes
@signing_options
@_json
@click.pass_obj
def undo(app: App, /, **options: Any) -> Any:
    """Put the old key back: until it is deleted (see rotate --keep-old).

    Switches the old key on, proves it, restores it in every profile here that holds the new one, byte for byte, and
    deletes the new key. If it is stopped at any moment, the profile works and the next run finishes the job.
    """
    return _call("undo", app, options)


@click.command("restore")
@_profile("The profile whose key is put back.")
@_yes
@signing_options
@_json
@click.pass_obj
def restore(app: App, /, **options: Any) -> Any:
    """Put a key back into its profiles, where a file was emptied, deleted or replaced by an older one.

    While a rotation is unfinished or an old key is kept, rotate-my-key holds a copy of both keys. This writes the one
    that works into the profiles that had it. No key is changed in AWS, and a profile that holds another key is left
    alone.
    """
    return _call("restore", app, options)


@click.command("doctor")
@_profile("This profile's key instead of the active one's.")
@_json
@signing_options
@click.pass_obj
def doctor(app: App, /, **options: Any) -> Any:
    """Say which key is used here and why, and what stands in the way of a rotation.

    Each finding is one line, and below it the command that puts it right. Nothing is changed, here or at AWS. Exit code
    1 if something is broken.
    """
    return _call("doctor", app, options)


@click.command("delete-key")
@click.argument("key_id")
@_profile("The profile of the user whose key it is.")
@_yes
@signing_options
@_json
@click.pass_obj
def delete_key(app: App, /, **options: Any) -> Any:
    """Retire one of your keys that no place here holds.

    KEY_ID is the whole id, or its last four characters. An active key is only switched off, so that whatever still uses
    it can be found and switched back; a second call deletes it.
    """
    return _call("delete_key", app, options)


# This computer


@click.command("adopt")
@click.argument("source", required=False, metavar="[accessKeys.csv | DELIVERY]", type=click.Path())
@_profile("The profile to put it in (else AWS_PROFILE, else default).")
@_yes
@click.option("--give-up", metavar="KEY_ID", help="The old key of a DELIVERY may go though it was used since.")
@signing_options
@_json
@click.pass_obj
def adopt(app: App, /, **options: Any) -> Any:
    """Take a first or new key that IT or the console gave.

    Reads the console's accessKeys.csv (or - for standard input), or asks for the key, hidden. Proves it with AWS, puts
    it into the profile, which is made if it is absent, and rotates it at once: the key that was handed over is dead
    afterwards.

    A DELIVERY is what IT made with fleet reissue: secretsmanager:NAME or s3://BUCKET/NAME, fetched with --auth-profile
    or with the profile's own key; or a link, which is a secret: paste it when asked, or give it to - on standard input.
    """
    return _call("adopt", app, options)


@click.command("export")
@_profile("The profile whose key it is (else the active one).")
@click.option(
    "-r", "--recipient", "recipients", multiple=True, metavar="age1...", help="Seal it for this age key (repeatable)."
)
@click.option("-o", "--output", metavar="FILE", help="Write it into a new file (0600) instead of printing it.")
@click.pass_obj
def export(app: App, /, **options: Any) -> Any:
    """Print what another computer needs to use the same key, sealed with a passphrase or for an age recipient.

    The passphrase is asked for, hidden. What is printed is an age file, in letters: it can go by mail or chat, the
    passphrase should go another way. There: rotate-my-key import.
    """
    return _call("export", app, options)


@click.command("import")
@click.argument("file", required=False, metavar="[FILE]")
@_profile("The profile to put it in (else AWS_PROFILE, else default).")
@click.option("-i", "--identity", metavar="FILE", help="The age identity, or SSH key, that it was sealed for.")
@signing_options
@_json
@click.pass_obj
def import_(app: App, /, **options: Any) -> Any:
    """Take a key that rotate-my-key export sealed on another computer.

    Reads the file (or - for standard input; without one you can paste it) and asks for the passphrase, hidden. Proves
    the key with AWS and puts it into the profile, which is made if it is absent. The key stays as it is: it is not
    rotated.
    """
    return _call("import_cmd", app, options)


@click.group("keyring", help="Move a profile's pair between its file and the system's keyring.")
def keyring() -> None:
    """The group; its commands follow."""


@keyring.command("store")
@_profile("The profile; else the active one.")
@_yes
@_json
@click.pass_obj
def _keyring_store(app: App, /, **options: Any) -> Any:
    """Move a profile's pair into the keyring.

    The profile gets a credential_process line instead, so SDKs and the aws command go on working with it, wherever the
    keyring is unlocked. `keyring restore` puts the file back as it was.
    """
    return _call("keyring_cmd.store", app, options)


@keyring.command("restore")
@_profile("The profile; else the active one.")
@_yes
@_json
@click.pass_obj
def _keyring_restore(app: App, /, **options: Any) -> Any:
    """Move a profile's pair from the keyring back into its file."""
    return _call("keyring_cmd.restore", app, options)


@click.command("scan")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@_profiles
@click.option("--all", "all_keys", is_flag=True, help="Every key on this computer.")
@click.option("--update", is_flag=True, help="Put the new pair where an old one is, while that is kept.")
@click.option("-y", "--yes", is_flag=True, help="With --update: do not ask.")
@_json
@click.pass_obj
def scan(app: App, /, **options: Any) -> Any:
    """Find other files and processes that hold a key.

    Reads the places of your home where keys hide, or everything below each PATH. What it finds is remembered (paths,
    never values), and `rotate` offers to change it with the key. Shows no secret.
    """
    return _call("scan", app, options)


@click.group("reminder")
def reminder() -> None:
    """One line a day in a new terminal when an access key is due."""


_shell = click.option(
    "--shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]), help="The shell; else the one you use."
)
_rc_file = click.option("--rc-file", metavar="FILE", help="The start-up file; else the shell's usual one.")


@reminder.command("install")
@_shell
@_rc_file
@_no_question
@_json
@click.pass_obj
def _reminder_install(app: App, /, **options: Any) -> Any:
    """Put the reminder into your shell's start-up file; safe to run again.

    It costs a new terminal no process and a fraction of a millisecond. `uninstall` leaves the file as it was.
    """
    return _call("reminder.install", app, options)


@reminder.command("uninstall")
@_shell
@_rc_file
@_no_question
@_json
@click.pass_obj
def _reminder_uninstall(app: App, /, **options: Any) -> Any:
    """Take the reminder out again, byte for byte; from every shell, unless one is named."""
    return _call("reminder.uninstall", app, options)


@reminder.command("show")
@_shell
@click.option("--system", is_flag=True, help="The file for all users of a computer, for IT to ship.")
@_json
@click.pass_obj
def _reminder_show(app: App, /, **options: Any) -> Any:
    """What is installed and when it speaks next; with --shell or --system the text that goes into the shell."""
    return _call("reminder.show", app, options)


@reminder.command("snooze")
@click.argument("duration", default="1d")
@_no_question
@_json
@click.pass_obj
def _reminder_snooze(app: App, /, **options: Any) -> Any:
    """Say nothing for a while: `snooze 3d`, at most 30d; 0 ends it. Your site may forbid it."""
    return _call("reminder.snooze", app, options)


@reminder.command("say", hidden=True)
@click.pass_obj
def _reminder_say(app: App, /) -> Any:
    """What login shells run; `main.py` takes a shorter way there."""
    return _call("reminder.say", app, {})


@click.group("schedule")
def schedule() -> None:
    """A daily rotation that nobody watches: only what is due, and the old key is kept for a week, switched off."""


@schedule.command("install", short_help="Ask for each key, then install the daily run.")
@click.option("-y", "--yes", is_flag=True, help="Every key that is not excluded; do not ask.")
@_json
@click.pass_obj
def _schedule_install(app: App, /, **options: Any) -> Any:
    """List the keys that would be rotated, ask for each, and install the daily run. Safe to run again.

    A key to which you say no, because others use it too, is excluded (the setting `exclude`).
    """
    return _call("schedule.install", app, options)


@schedule.command("uninstall", short_help="Take the daily run out again.")
@_no_question
@_json
@click.pass_obj
def _schedule_uninstall(app: App, /, **options: Any) -> Any:
    """Take the daily run out again, with everything that `install` made."""
    return _call("schedule.uninstall", app, options)


@schedule.command("show", short_help="What is installed, and what came of the last run.")
@_json
@click.pass_obj
def _schedule_show(app: App, /, **options: Any) -> Any:
    """Whether the daily run is installed, what it runs, when it ran last and what came of it, when it runs next."""
    return _call("schedule.show", app, options)


@schedule.command(
    "run", hidden=True, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.option("--daily", is_flag=True, help="Do nothing if today's run is over.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def _schedule_run(app: App, /, **options: Any) -> Any:
    """What the scheduler starts: `rotate` with these options, and a note of what came of it."""
    return _call("schedule.run", app, options)


@click.group("config", invoke_without_command=True, help="Show or change the settings; shows them without a command.")
@click.pass_context
def config(context: click.Context) -> Any:
    """The group; its commands follow."""
    return context.invoke(_config_show, as_json=False) if context.invoked_subcommand is None else None


@config.command("show", help="Every setting, its value and where that comes from.")
@_json
@click.pass_obj
def _config_show(app: App, /, **options: Any) -> Any:
    return _call("config.show", app, options)


@config.command("get", help="One setting's value.")
@click.argument("name")
@_json
@click.pass_obj
def _config_get(app: App, /, **options: Any) -> Any:
    return _call("config.get", app, options)


@config.command("set", help="Change a setting in your own file; --unset takes it out again.")
@click.argument("name")
@click.argument("value", required=False)
@click.option("--unset", is_flag=True, help="Take the setting out of your file.")
@click.pass_obj
def _config_set(app: App, /, **options: Any) -> Any:
    return _call("config.set_", app, options)


@config.command("path", help="Where the settings are: your file and your site's.")
@_json
@click.pass_obj
def _config_path(app: App, /, **options: Any) -> Any:
    return _call("config.path", app, options)


@click.command("demo")
@click.option("--fast", is_flag=True, help="Do not imitate the seconds that AWS takes to know a new key.")
@click.pass_obj
def demo(app: App, /, **options: Any) -> Any:
    """Watch a whole rotation, from beginning to end, without an account.

    A small AWS runs in this process. Home, credentials file and key are made up and thrown away; nothing else is
    touched and nothing goes over the network.
    """
    return _call("demo", app, options)


# For IT; the commands of `fleet` are in `fleet/__init__.py`


class _Policy(click.Command):
    """Lists the policies below its options."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line a policy."""
        from .. import policies

        with formatter.section("Policies"):
            formatter.write_dl([(name, policies.summary(name)) for name in policies.names()])


@click.command("policy", cls=_Policy)
@click.argument("name", required=False)
@click.pass_obj
def policy(app: App, /, **options: Any) -> Any:
    """Print the least IAM policy that allows something.

    `policy self` is to be attached to users or to their group, `policy fleet-report` to a role of IT's.
    """
    return _call("policy", app, options)


COMMANDS: dict[str, click.Command] = {
    command.name or "": command
    for command in (
        *(rotate, status, history),
        *(undo, restore, doctor, delete_key),
        *(adopt, export, import_, keyring, scan, reminder, schedule, config, demo),
        policy,
    )
}
