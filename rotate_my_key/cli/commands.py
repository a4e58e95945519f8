"""The commands, as a person types them: arguments, options and the text of --help. What each does is in the module of
its name, which is loaded when the command is called; so every --help costs little more than click itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TypeVar

import click

from ..core.errors import WrongUsage
from ..core.hints import Hint
from . import table
from .app import App

C = TypeVar("C", bound=Callable[..., Any])
CODE = re.compile(r"[0-9]{6}")  # of an MFA device


def _command(verb: str, text: str, *options: Callable[..., Any], name: str = "", **more: Any) -> click.Command:
    """A command: its --help and its parameters, in this order. `verb` is what it calls: the `run` of a module, or the
    function of `module.function`, which gives the exit code or None; without `name` it is named so too."""
    module, _, function = verb.partition(".")

    def call(app: App, /, **given: Any) -> Any:
        app.context = click.get_current_context()
        return getattr(import_module(f".{module}", __package__), function or "run")(app, **given)

    made: Callable[..., Any] = click.pass_obj(call)
    for option in reversed(options):
        made = option(made)
    as_typed = name or (function or module).replace("_", "-")
    kind: type[click.Command] = more.pop("cls", click.Command)
    return click.command(as_typed, kind, help=text, **more)(made)


# Options that several commands have


def _flag(*names: str, text: str, **more: Any) -> Callable[[C], C]:
    return click.option(*names, is_flag=True, help=text, **more)


def _profile(text: str) -> Callable[[C], C]:
    return click.option("-p", "--profile", metavar="NAME", help=text)


YES = _flag("-y", "--yes", text="Do not ask.")
AS_JSON = _flag("--json", "as_json", text="Print one JSON object.")
_UNASKED = (_flag("-y", "--yes", text="Accepted everywhere; this command asks nothing.", expose_value=False), AS_JSON)
_PROFILES = click.option(
    "-p", "--profile", "profiles", multiple=True, metavar="NAME", help="The profile whose key to use (repeatable)."
)
_SHELL = click.option(
    "--shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]), help="The shell (default: the one you use)."
)
_RC_FILE = click.option("--rc-file", metavar="FILE", help="The start-up file (default: the shell's usual one).")


def signing_options(command: C) -> C:
    """The options of every command that calls IAM; they are kept in `App`, and `Wiring` reads them there."""
    kept: dict[str, Any] = {"expose_value": False, "callback": _keep_signer}
    signer = "Sign the IAM calls with this profile (SSO, role, aws login)."
    auth = click.option("--auth-profile", metavar="NAME", help=signer, **kept)
    return click.option("--mfa-code", metavar="CODE", help="The code of your MFA device.", **kept)(auth(command))


def _keep_signer(context: click.Context, option: click.Parameter, value: str | None) -> None:
    app = context.ensure_object(App)
    if option.name == "auth_profile":
        app.flags["auth_profile"] = value
    elif value is not None:
        app.mfa_code = "".join(value.split())
        if not CODE.fullmatch(app.mfa_code):
            raise WrongUsage(
                "an MFA code has six digits", Hint(*context.command_path.split()[1:], "--mfa-code", "123456")
            )


_SIGNED = (YES, signing_options, AS_JSON)
_MOVE = (_profile("The profile (default: the active one)."), YES, AS_JSON)


class _Policy(click.Command):
    """Lists the policies below its options."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line a policy."""
        super().format_epilog(ctx, formatter)
        from .. import policies

        with formatter.section("Policies"):
            formatter.write_dl([(name, policies.summary(name)) for name in policies.names()])


@click.pass_context
def _show_settings(context: click.Context) -> Any:
    if context.invoked_subcommand is None:
        return context.invoke(COMMANDS["config"].commands["show"], as_json=False)  # type: ignore[attr-defined]
    return None


_EACH: tuple[click.Command, ...] = (
    _command(
        "rotate",
        """Replace the access key of the active profile, if it is due.

        Creates a new key, verifies that it works, writes it into every profile here that has the old one, then
        deactivates and deletes the old one. You can stop it at any moment: the profile works, and the next run
        finishes the job.

        With --overlap the old key keeps working for running programs; with --update-copies it works until all those
        files have the new one. The last example is for a leaked key, which is deleted at once.
        """,
        _PROFILES,
        _flag("--all", "all_keys", text="All keys on this computer that are due."),
        _flag("--force", text="Rotate even if the key is not due."),
        YES,
        click.option("--overlap", metavar="DURATION", help="Keep the old key working that long (1d)."),
        click.option("--keep-old", metavar="DURATION", help="Then keep it, inactive, that long (7d)."),
        _flag("--old-active", text="With --keep-old: it works all that time."),
        _flag("--update-copies", text="Also put the new key into other files that have the old one (see scan)."),
        _flag("--mixed", text="Also rotate profiles that have SSO, role or process settings beside the key."),
        _flag("--dry-run", text="Show what would be done; change nothing."),
        signing_options,
        AS_JSON,
    ),
    _command(
        "status",
        "Show every key on this computer: whose it is, its age, its last use, and whether it is due.",
        click.option(
            "-p", "--profile", "profiles", multiple=True, metavar="NAME", help="Only this profile (repeatable)."
        ),
        _flag("--cached", text="Show what was last seen; no network."),
        click.option(
            "--check",
            "least",
            type=click.Choice(["due", "overdue"]),
            is_flag=False,
            flag_value="due",
            help="Exit 3 if a key is due (or overdue), 75 if an age is unknown; excluded profiles do not count.",
        ),
        signing_options,
        AS_JSON,
    ),
    _command("history", "Show past rotations on this computer: when, which key replaced which, for whom.", AS_JSON),
    _command(
        "undo",
        """Put the old key back, as long as it is not deleted (see rotate --overlap and --keep-old).

        Reactivates the old key, verifies it, restores it in every profile here that has the new one, byte for byte, and
        deletes the new key. You can stop it at any moment: the profile works, and the next run finishes the job.
        """,
        _profile("Undo this profile's rotation."),
        *_SIGNED,
    ),
    _command(
        "undo.put_back",
        """Put a key back into its profiles, where a file was emptied, deleted or replaced by an older one.

        While a rotation is unfinished or an old key is kept, rotate-my-key has a copy of both keys. This writes the one
        that works into the profiles that had it. No key changes in AWS, and a profile with another key is left alone.
        """,
        _profile("Put this profile's key back."),
        *_SIGNED,
        name="restore",
    ),
    click.Group(
        "after",
        help="Run your own commands from [after_rotate] in config.ini, which get the new key.",
        commands=[
            _command(
                "after_cmd.run",
                """Run the commands again, or one of them, for the last rotation here.

                \b
                rotate-my-key after run           all, in the order of the file
                rotate-my-key after run github    this one

                They get the key that the profiles have now. If the old key still works because a command had failed,
                the next rotate-my-key removes it.
                """,
                click.argument("hook", required=False, metavar="[NAME]"),
                AS_JSON,
            ),
            _command(
                "after_cmd.test",
                """Try a command with a made-up key.

                \b
                rotate-my-key after test github

                Its JSON has "test": true. A command that does not check for that will store the made-up key wherever it
                stores keys; `after run` then stores the real one. Shows everything that the command prints.
                """,
                click.argument("hook", metavar="NAME"),
                YES,
                AS_JSON,
            ),
        ],
    ),
    _command(
        "doctor",
        """Show which key is used here and why, and what could make a rotation fail.

        The command below each finding fixes it. Nothing is changed, here or in AWS. Exit code 1 if there is a problem.
        """,
        _profile("Check this profile instead of the active one."),
        AS_JSON,
        signing_options,
    ),
    _command(
        "delete_key",
        """Deactivate, then delete, one of your keys that no profile here has.

        KEY_ID is the whole access key ID, or its last four characters. An active key is only deactivated at first, so
        that you can see what still needs it; the same command then deletes it. Until then an administrator, or another
        key of yours, can reactivate it: aws iam update-access-key --status Active.
        """,
        click.argument("key_id"),
        _profile("A profile of the user who owns the key."),
        *_SIGNED,
    ),
    _command(
        "adopt",
        """Set up a first or new key that IT or the AWS console gave you.

        Reads a file (or - for standard input), or asks for the key, hidden: accessKeys.csv from the console, the JSON
        of aws iam create-access-key, a section of a credentials file, or export lines. Verifies the key with AWS, puts
        it into the profile (created if needed) and rotates it immediately, so any copy of the key you were given stops
        working.

        LOCATION is where IT put your new key: secretsmanager:NAME or s3://BUCKET/NAME. It is fetched with
        --auth-profile or with the profile's own key. If IT gave you a link, which is a secret, paste it when asked, or
        pipe it to - (standard input).
        """,
        click.argument("source", required=False, metavar="[FILE | LOCATION]", type=click.Path()),
        _profile("Put it into this profile (else AWS_PROFILE, else default)."),
        YES,
        click.option("--give-up", metavar="KEY_ID", help="Delete the old key even if it was used recently."),
        signing_options,
        AS_JSON,
    ),
    _command(
        "transfer.export",
        """Print what another computer needs to use the same key, encrypted with a passphrase or for an age recipient.

        Asks for the passphrase, hidden. The output is an age file in plain characters. You can send it by mail or chat;
        tell the passphrase another way. On the other computer: rotate-my-key import.
        """,
        _profile("Export this profile's key (else the active one's)."),
        click.option(
            "-r",
            "--recipient",
            "recipients",
            multiple=True,
            metavar="age1...",
            help="Encrypt it for this age key (repeatable).",
        ),
        click.option("-o", "--output", metavar="FILE", help="Write it into a new file (0600) instead of printing it."),
    ),
    _command(
        "transfer.import_",
        """Set up a key that rotate-my-key export encrypted on another computer.

        Reads the file (or - for standard input; without one you can paste it) and asks for the passphrase, hidden.
        Verifies the key and puts it into the profile, which is created if needed. The key is not rotated.
        """,
        click.argument("file", required=False, metavar="[FILE]"),
        _profile("Put it into this profile (else AWS_PROFILE, else default)."),
        click.option(
            "-i", "--identity", metavar="FILE", help="The age identity, or SSH key, that it was encrypted for."
        ),
        signing_options,
        AS_JSON,
        name="import",
    ),
    click.Group(
        "keyring",
        help="Move a profile's key between its file and the system's keyring.",
        commands=[
            _command(
                "keyring_cmd.store",
                """Move a profile's key into the keyring.

                The profile gets a credential_process line instead, so SDKs and the aws command work as before wherever
                the keyring is unlocked. `keyring restore` puts the file back as it was.
                """,
                *_MOVE,
            ),
            _command(
                "keyring_cmd.restore",
                "Move a profile's key from the keyring back into its file.",
                *_MOVE,
            ),
        ],
    ),
    _command(
        "scan",
        """Find other files and running programs that have a key.

        Reads the usual files in your home directory, or everything below each PATH. It remembers what it finds (paths,
        never values), and `rotate` offers to update these files with the key. Shows no secret.
        """,
        click.argument("paths", nargs=-1, metavar="[PATH...]"),
        _PROFILES,
        _flag("--all", "all_keys", text="Every key on this computer."),
        _flag("--update", text="Replace old keys, while they are kept, with new ones."),
        _flag("-y", "--yes", text="With --update: do not ask."),
        AS_JSON,
    ),
    click.Group(
        "reminder",
        help="Show one line a day in a new terminal when an access key is due.",
        commands=[
            _command(
                "reminder.install",
                """Add the reminder to your shell's start-up file. Safe to run again.

                It adds a fraction of a millisecond to a new terminal, and no process. `uninstall` restores the file.
                """,
                _SHELL,
                _RC_FILE,
                *_UNASKED,
                short_help="Add it to your shell's start-up file.",
            ),
            _command(
                "reminder.uninstall",
                "Remove the reminder again, byte for byte; from every shell, unless one is named.",
                _SHELL,
                _RC_FILE,
                *_UNASKED,
                short_help="Remove it from every shell, byte for byte.",
            ),
            _command(
                "reminder.show",
                """Show what is installed and what it says next; with --shell or --system, the text for the shell.""",
                _SHELL,
                _flag("--system", text="The file for all users of a computer, for IT to install."),
                AS_JSON,
                short_help="Show what is installed and what it says next.",
            ),
            _command(
                "reminder.snooze",
                "Show nothing for a while: `snooze 3d`, at most 30d; 0 ends it. Your company may forbid it.",
                click.argument("duration", default="1d"),
                *_UNASKED,
                short_help="Show nothing for a while (3d); 0 ends it.",
            ),
            _command("rotate.finish", "What a login starts once an old key was kept long enough.", hidden=True),
            _command("reminder.say", "What login shells run; `main.py` takes a shorter way there.", hidden=True),
        ],
    ),
    click.Group(
        "schedule",
        help="Rotate automatically every day: only what is due, and the old key is kept, inactive, for a week.",
        commands=[
            _command(
                "schedule.install",
                """List the keys that would be rotated, ask for each, and install the daily run. Safe to run again.

                Answer no for a key that others use too; it is then excluded (the setting `exclude`).
                """,
                _flag("-y", "--yes", text="Do not ask: rotate every key that is not excluded."),
                AS_JSON,
                short_help="Ask for each key, then install the daily run.",
            ),
            _command(
                "schedule.uninstall",
                "Remove the daily run again, with everything that `install` created.",
                *_UNASKED,
                short_help="Remove the daily run again.",
            ),
            _command(
                "schedule.show",
                "Show whether the daily run is installed, what it runs, the result of the last run, and the next one.",
                AS_JSON,
                short_help="Show what is installed, and the last run's result.",
            ),
            _command(
                "schedule.run",
                "What the scheduler starts: `rotate` with these options, and a note of what came of it.",
                _flag("--daily", text="Do nothing if today's run is over."),
                click.argument("arguments", nargs=-1, type=click.UNPROCESSED),
                hidden=True,
                context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
            ),
        ],
    ),
    click.Group(
        "config",
        help="Show or change settings; without a command it shows them.",
        callback=_show_settings,
        invoke_without_command=True,
        commands=[
            _command(
                "config.show", "Show every setting: its value, where that comes from, and what it means.", AS_JSON
            ),
            _command("config.get", "Show one setting's value.", click.argument("name"), AS_JSON),
            _command(
                "config.set_",
                "Change a setting in your own file; --unset removes it.",
                click.argument("name"),
                click.argument("value", required=False),
                _flag("--unset", text="Remove the setting from your file."),
                name="set",
            ),
            _command("config.path", "Show where the settings are: your file and your company's.", AS_JSON),
        ],
    ),
    click.Group(
        "completion",
        help="Complete commands, options, profiles and settings with TAB, in bash, zsh, fish and PowerShell.",
        commands=[
            _command(
                "completion.install",
                "Add it to your shell's start-up file. Safe to run again.",
                _SHELL,
                *_UNASKED,
            ),
            _command(
                "completion.uninstall",
                "Remove it again, byte for byte; from every shell, unless one is named.",
                _SHELL,
                *_UNASKED,
            ),
            _command("completion.show", "Print the script, for a start-up file that you manage.", _SHELL),
        ],
    ),
    _command(
        "uninstall",
        """Prepare for removing rotate-my-key, and show the command that removes it.

        Moves keys from the keyring back into their files, and removes the reminder, the schedule and completion, which
        would not work without the program. Refuses while a rotation is unfinished or an old key is kept. Settings and
        history are kept.
        """,
        YES,
        AS_JSON,
    ),
    _command(
        "demo",
        """Watch a whole rotation, from beginning to end, without an account.

        A small AWS runs in this process. Home, credentials file and key are made up and thrown away; nothing else is
        touched and nothing goes over the network.
        """,
        _flag("--fast", text="Do not imitate the seconds that AWS takes to accept a new key."),
    ),
    _command(
        "policy",
        """Print the least IAM policy for a task.

        Attach `policy self` to users or to their group, `policy fleet-report` to an IT role. Do not let users change
        their own tags (iam:TagUser, iam:UntagUser): a stolen key could then hide a recall.
        """,
        click.argument("name", required=False),
        cls=_Policy,
    ),
)
COMMANDS = {command.name or "": command for command in _EACH}

# The end of each --help, by the whole name of the command.
EXAMPLES = {
    "rotate": ("rotate --dry-run", "rotate --all --overlap 1d", "rotate -p work --force --keep-old 0 --overlap 0"),
    "status": ("status", "status --check overdue --cached", "status -p work --json"),
    "history": ("history", "history --json"),
    "undo": ("undo", "undo -p work --yes"),
    "restore": ("restore", "restore -p work"),
    "doctor": ("doctor", "doctor -p work --json"),
    "after": ("after run", "after test deploy"),
    "after run": ("after run", "after run deploy"),
    "after test": ("after test deploy",),
    "delete-key": ("delete-key MPLE", "delete-key AKIAIOSFODNN7EXAMPLE -p work"),
    "adopt": ("adopt ~/Downloads/accessKeys.csv -p work", "adopt s3://BUCKET/NAME --auth-profile sso"),
    "export": ("export -p work", "export -p work -r age1... -o work.age"),
    "import": ("import work.age -p work", "import work.age -i ~/.ssh/id_ed25519"),
    "keyring": ("keyring store -p work", "keyring restore -p work"),
    "keyring store": ("keyring store -p work",),
    "keyring restore": ("keyring restore -p work",),
    "scan": ("scan", "scan ~/projects -p work", "scan --update"),
    "reminder": ("reminder install", "reminder snooze 3d", "reminder show"),
    "reminder install": ("reminder install", "reminder install --shell fish"),
    "reminder uninstall": ("reminder uninstall",),
    "reminder show": ("reminder show", "reminder show --shell zsh"),
    "reminder snooze": ("reminder snooze 3d", "reminder snooze 0"),
    "schedule": ("schedule install", "schedule show"),
    "schedule install": ("schedule install", "schedule install --yes"),
    "schedule uninstall": ("schedule uninstall",),
    "schedule show": ("schedule show", "schedule show --json"),
    "config": ("config", "config set max_age 60d", "config get keep_old"),
    "config show": ("config show", "config show --json"),
    "config get": ("config get max_age",),
    "config set": ("config set max_age 60d", "config set --unset max_age"),
    "config path": ("config path",),
    "completion": ("completion install", "completion show --shell zsh"),
    "completion install": ("completion install", "completion install --shell fish"),
    "completion uninstall": ("completion uninstall",),
    "completion show": ("completion show --shell bash",),
    "uninstall": ("uninstall", "uninstall --yes"),
    "demo": ("demo", "demo --fast"),
    "policy": ("policy self", "policy fleet-report"),
    "fleet": ("fleet report", "fleet remind --dry-run", "fleet revoke alice"),
    "fleet report": ("fleet report", "fleet report --html", "fleet report --all --csv"),
    "fleet remind": ("fleet remind --presets", "fleet remind --dry-run", "fleet remind --yes"),
    "fleet enforce": ("fleet enforce --presets", "fleet enforce", "fleet enforce --undo alice"),
    "fleet revoke": ("fleet revoke alice --why 'left on Friday'", "fleet revoke alice --undo"),
    "fleet reissue": ("fleet reissue alice --dry-run", "fleet reissue --sweep"),
    "fleet template": ("fleet template", "fleet template --member-role"),
    "fleet package": ("fleet package", "fleet package --out fleet.zip --apprise"),
    "fleet onboarding": ("fleet onboarding", "fleet onboarding --html"),
}


_WITH_VALUE = {"-p", "--profile", "--auth-profile", "--mfa-code", "--keep-old"}  # what follows is no command


def with_command(args: Sequence[str]) -> list[str]:
    """The words with the command in front: `--force` is `rotate --force`, `-p two status` is `status -p two`, and
    `help status` is `status --help`, `version` is `--version`."""
    before = next((number for number, word in enumerate(args) if word not in table.GLOBAL), len(args))
    first, rest = list(args[:before]), list(args[before:])
    if rest[:1] == ["help"]:
        return [*first, *rest[1:], "--help"]
    if rest == ["version"]:
        return [*first, "--version"]
    if rest and (not rest[0].startswith("-") or rest[0] in table.OWN):
        return [*first, *rest]
    for number in range(1, len(rest)):
        if rest[number] in table.COMMANDS and rest[number - 1] not in _WITH_VALUE:
            return [*first, *rest[number:], *rest[:number]]
    return [*first, "rotate", *rest]
