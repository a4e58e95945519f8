"""The command that a person typed, as a hint to type it again: with all of its options, quoted for a shell.

No secret is in it: an MFA code is left out, and it works once anyway.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from click.core import ParameterSource

from ...errors import Interrupted
from ..app import App

_ONCE = frozenset({"mfa_code"})
_WHO = ("profile", "auth_profile", "settings")  # of `fleet_options`


def again(app: App, *flags: str, but: tuple[str, ...] = ()) -> str:
    """`rotate-my-key fleet revoke bob --account 123456789012 --yes`: as typed, with these flags, `but` without the
    options of these names."""
    context = click.get_current_context()
    options: list[str] = []
    arguments: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE or name in (*_ONCE, *but):
            continue
        value = _value(app, context, name)
        if isinstance(parameter, click.Argument):
            arguments += [str(value)]
        elif isinstance(parameter, click.Option):
            options += _option(parameter, value)
    options += [flag for flag in flags if flag not in options]
    dash = ["--"] if any(word.startswith("-") for word in arguments) else []
    words = [*arguments, *options] if not dash else [*options, *dash, *arguments]
    return " ".join((context.command_path, *map(shlex.quote, words)))


def fleet(app: App, command: str) -> str:
    """Another fleet command by the same settings and as the same caller: `rotate-my-key fleet enforce -p it`."""
    context = click.get_current_context()
    mine = [each for each in context.command.params if isinstance(each, click.Option) and each.name in _WHO]
    words = [word for each in mine for word in _option(each, _value(app, context, each.name or ""))]
    return " ".join(("rotate-my-key fleet", command, *map(shlex.quote, words)))


@contextmanager
def stoppable(app: App, what: str = "whatever was begun the next run finds") -> Iterator[None]:
    """Ctrl-C within the block ends the command, and the hint is the command itself: the next run sees by list and tag
    what was begun. `what` says what became of it."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        app.complain("")
        raise Interrupted(f"stopped; {what}", again(app)) from None


def _value(app: App, context: click.Context, name: str) -> Any:
    """What was typed; what `fleet_options` keeps is not among the parameters."""
    if name in context.params:
        return context.params[name]
    return context.meta.get(f"fleet {name}") or app.flags.get(name)


def _option(option: click.Option, value: Any) -> Iterator[str]:
    """`--account 123456789012`; nothing for what has no value."""
    word = max(option.opts, key=len)
    if value is True:
        yield word
    elif isinstance(value, tuple):
        for each in value:
            yield from (word, str(each))
    elif value:
        text = str(value)
        yield from (f"{word}={text}",) if text.startswith("-") else (word, text)
