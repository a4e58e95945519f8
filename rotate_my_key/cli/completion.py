"""What the shell offers at TAB: commands, options, profiles, settings; through click. And `completion`, which sets it
up: a script in the state folder, and a marked block in the shell's start-up file that sources it.

Runs at every TAB, so it reads only the names in the profile files, with our own reader: no botocore, no boto3. Nothing
is said but the answer: a complaint would end up in the middle of what the person types."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import click
from click import shell_completion as tab
from click.shell_completion import CompletionItem

from ..core.errors import Problem
from .app import App
from .commands import with_command
from .table import COMPLETE, GLOBAL, GROUPS

_PROFILES = {"profile", "profiles", "auth_profile"}
_OF_ANY = {"status", "doctor", "adopt", "import"}  # commands that take a profile without a key to rotate
_PLAIN = re.compile(r"[\w@%+=:,./-]+")


def complete(program: click.Group, app: App, instruction: str) -> int:
    """Do what the shell asks for: `bash_source`, `bash_complete` and so on. Gives the exit code."""
    shell = instruction.partition("_")[0]
    return tab.shell_complete(_Completing(program, app, shell), {"obj": app}, "rotate-my-key", COMPLETE, instruction)


@tab.add_completion_class
class _PowerShell(tab.ShellComplete):
    """click has none of its own: words and answers go line by line."""

    name = "powershell"
    source_template = """\
Register-ArgumentCompleter -Native -CommandName %(prog_name)s -ScriptBlock {
    param($word, $ast, $position)
    $env:COMP_WORDS = ($ast.CommandElements | ForEach-Object { $_.Extent.Text }) -join "`n"
    $env:COMP_CWORD = $word
    $env:%(complete_var)s = 'powershell_complete'
    try {
        %(prog_name)s | ForEach-Object {
            $value, $help = $_ -split "`t", 2
            [Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', "$value $help")
        }
    } finally { Remove-Item Env:COMP_WORDS, Env:COMP_CWORD, Env:%(complete_var)s }
}
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is typed, and that one."""
        typed = os.environ.get("COMP_CWORD", "")
        words = os.environ["COMP_WORDS"].split("\n")[1:]
        return words[:-1] if typed and words and words[-1] == typed else words, typed

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.value}\t{item.help or ''}"


@tab.add_completion_class
class _Fish(tab.FishComplete):
    """click's cuts what an offer means at its first comma."""

    source_template = tab.FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')


class _Completing(click.Group):
    """The program as TAB sees it: without a command it is `rotate`, and no command is loaded for its name alone."""

    def __init__(self, program: click.Group, app: App, shell: str) -> None:
        super().__init__(program.name, params=program.params, context_settings=program.context_settings)
        self._program = program
        self._types = {
            "setting": _Offered(_settings),
            "hook": _Offered(partial(_hooks, app)),
            "key_id": _Offered(partial(_key_ids, app)),
        }
        self._profile = partial(_profiles, app, shell != "bash")

    def list_commands(self, ctx: click.Context) -> list[str]:
        return self._program.list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command, whose profile options know the profiles here."""
        command = self._program.get_command(ctx, cmd_name)
        if command:
            self._teach(command)
        return command

    def _teach(self, command: click.Command) -> None:
        for param in command.params:
            if param.name in _PROFILES:
                every = command.name in _OF_ANY or param.name == "auth_profile"
                param.type = _Offered(partial(self._profile, every))
            elif command.name in ("get", "set") and param.name == "name":
                param.type = self._types["setting"]
            elif param.name in self._types:
                param.type = self._types[param.name]
        if isinstance(command, click.Group):
            for child in command.commands.values():
                self._teach(child)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """See click; what begins with an option of `rotate` is `rotate`."""
        return super().make_context(info_name, with_command(args) if set(args) - GLOBAL else args, parent, **extra)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands with their lines of --help; options, with those of `rotate`."""
        if not incomplete.startswith("-"):
            rows = {name: text for group in GROUPS.values() for name, text in group.items()}
            return [CompletionItem(name, help=text) for name, text in rows.items() if name.startswith(incomplete)]
        items = super().shell_complete(ctx, incomplete)
        rotate = self.get_command(ctx, "rotate")
        assert rotate is not None
        with click.Context(rotate, ctx, "rotate", resilient_parsing=True) as inner:
            items += rotate.shell_complete(inner, incomplete)
        return list({item.value: item for item in items}.values())


class _Offered(click.types.StringParamType):
    """One of the names that `offer` gives, each with what it means."""

    def __init__(self, offer: Callable[[], Mapping[str, str | None]]) -> None:
        self._offer = offer

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name, help=text) for name, text in self._offer().items() if name.startswith(incomplete)]


def _profiles(app: App, quotes: bool, every: bool) -> dict[str, str | None]:
    """As botocore names them. bash puts in what it is given, so without `quotes` only plain words are offered; `every`:
    also profiles that have no key to rotate. A file that cannot be read offers nothing."""
    from ..files.regular import read_regular
    from ..profiles.file import Ini, config_profile

    found: dict[str, str | None] = {}
    for path, is_config in ((app.paths.credentials, False), (app.paths.config, True)):
        try:
            ini = Ini(read_regular(path), path) if path else None
        except Problem:
            continue
        for section, options in ini.sections.items() if ini else ():
            name = config_profile(section) if is_config else section
            process = ini.value(options["credential_process"]) if ini and "credential_process" in options else ""
            has_key = "aws_access_key_id" in options or " credentials --profile " in process
            if name and (every or has_key) and name.isprintable() and (quotes or _PLAIN.fullmatch(name)):
                found[name] = None
    return found


def _settings() -> dict[str, str | None]:
    from ..settings import TABLE

    return dict.fromkeys(TABLE)


def _hooks(app: App) -> dict[str, str | None]:
    """The commands of [after_rotate]; none if the settings cannot be read."""
    from ..settings import after_rotate

    with suppress(Problem):
        return {hook.name: None for hook in after_rotate(app.paths.config_file)}
    return {}


def _key_ids(app: App) -> dict[str, str | None]:
    """The keys that can be deleted, those that no profile here has, as `status` last saw them; AWS is not asked."""
    from ..state.history import FileCache

    paths = app.paths
    rows = FileCache(os.path.join(paths.state_dir, "status.json"), (paths.credentials, paths.config)).load().rows
    known = {row.get("key_id") for row in rows}
    others = [(row["user"], other) for row in rows for other in row.get("others") or ()]
    return {
        other["key_id"]: f"{user}, {other['status'].lower()}" for user, other in others if other["key_id"] not in known
    }


# The command


def install(app: App, *, shell: str | None, as_json: bool) -> None:
    """Write the script, and have the shell's start-up file source it; safe to run again."""
    from ..files.write import make_private_dir, write_private
    from ..reminder import shell as shells

    chosen = shell or app.shell("completion")
    script = _script(app, chosen)
    make_private_dir(os.path.dirname(script))
    write_private(script, _source(chosen).encode())
    path = shells.rc_file(chosen, app.paths.home, app.env)
    changed = shells.install(path, os.fsencode(shells.guard(chosen, script)), "completion")
    if as_json:
        return app.json({"shell": chosen, "rc_file": path, "changed": changed, "script": script})
    done = "Added to" if changed else "Already in"
    app.out(f"{done} {app.show_path(path)}: completion for {chosen}.")
    return app.say("It works in new terminals. To remove it: rotate-my-key completion uninstall")


def uninstall(app: App, *, shell: str | None, as_json: bool) -> None:
    """Remove it again, byte for byte; from every shell, unless one is named."""
    changed = remove(app, shell)
    lines = [f"Removed from {app.show_path(path)}." for path in changed] or ["Completion was not installed."]
    app.result({"changed": changed}, *lines, as_json=as_json)


def remove(app: App, shell: str | None = None) -> list[str]:
    """Remove it; gives the start-up files that had it."""
    from ..files.write import remove_private
    from ..reminder import shell as shells

    every = shells.every_rc_file(app.paths.home, app.env)
    changed = [path for name, path in every if shell in (None, name) and shells.uninstall(path, "completion")]
    for name, _ in every:
        if shell in (None, name):
            remove_private(_script(app, name))
    return changed


def show(app: App, *, shell: str | None) -> None:
    """Print the script, for a start-up file of your own."""
    app.out(_source(shell or app.shell("completion")).rstrip("\n"), exact=True)


def _script(app: App, shell: str) -> str:
    return os.path.join(app.paths.state_dir, "completion", shell)


def _source(shell: str) -> str:
    made = tab.get_completion_class(shell)
    assert made is not None
    source = made(click.Group(), {}, "rotate-my-key", COMPLETE).source()
    if shell == "zsh":  # where the start-up file has not set completion up itself
        source = f"(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit -i; }}\n{source}"
    return source
