"""What the shell offers at TAB: commands, options, profiles, settings; through click, for bash, zsh and fish.

Runs at every TAB, so it reads only the names in the profile files, with our own reader: no botocore, no boto3. Nothing
is said but the answer: a complaint would end up in the middle of what the person types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import click
from click.shell_completion import CompletionItem, shell_complete

from ..core.errors import Problem
from .app import App
from .table import COMPLETE, GLOBAL, GROUPS, with_command

_PROFILES = {"profile", "profiles", "auth_profile"}
_PLAIN = re.compile(r"[\w@%+=:,./-]+")


def complete(program: click.Group, app: App, instruction: str) -> int:
    """Do what the shell asks for: `bash_source`, `bash_complete` and so on. Gives the exit code."""
    shell = instruction.partition("_")[0]
    return shell_complete(_Completing(program, app, shell), {"obj": app}, "rotate-my-key", COMPLETE, instruction)


class _Completing(click.Group):
    """The program as TAB sees it: without a command it is `rotate`, and no command is loaded for its name alone."""

    def __init__(self, program: click.Group, app: App, shell: str) -> None:
        super().__init__(program.name, params=program.params, context_settings=program.context_settings)
        self._program = program
        self._types = {"profile": _Profile(app, quotes=shell != "bash"), "setting": _Setting(), "hook": _Hook(app)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """See click."""
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
                param.type = self._types["profile"]
            elif command.name in ("get", "set") and param.name == "name":
                param.type = self._types["setting"]
            elif param.name == "hook":
                param.type = self._types["hook"]
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


class _Profile(click.types.StringParamType):
    """A profile's name. bash puts in what it is given, so without `quotes` only plain words are offered."""

    def __init__(self, app: App, *, quotes: bool) -> None:
        self._app = app
        self._quotes = quotes

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The profiles of both files."""
        found = dict.fromkeys(_profiles(self._app))
        names = (name for name in found if name.startswith(incomplete) and name.isprintable())
        return [CompletionItem(name) for name in names if self._quotes or _PLAIN.fullmatch(name)]


class _Setting(click.types.StringParamType):
    """A setting's name."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Those of the table."""
        from ..settings import TABLE

        return [CompletionItem(name) for name in TABLE if name.startswith(incomplete)]


class _Hook(click.types.StringParamType):
    """The name of a command of [after_rotate]."""

    def __init__(self, app: App) -> None:
        self._app = app

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Those of the person's settings; none if they cannot be read."""
        from ..settings import after_rotate

        with suppress(Problem):
            names = [hook.name for hook in after_rotate(self._app.paths.config_file)]
            return [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return []


def _profiles(app: App) -> Iterator[str]:
    """As botocore names them. A file that cannot be read offers nothing."""
    from ..files.regular import read_regular
    from ..profiles.file import config_profile
    from ..profiles.ini import Ini

    for path, is_config in ((app.paths.credentials, False), (app.paths.config, True)):
        try:
            sections = Ini(read_regular(path), path).sections if path else {}
        except Problem:
            continue
        names = map(config_profile, sections) if is_config else sections
        yield from filter(None, names)
