"""The commands that run after a rotation: [after_rotate] of the user's own file, a section [[NAME]] for each.

A command is a list of arguments; no shell reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..errors import WrongUsage
from .table import READERS

if TYPE_CHECKING:
    from ..errors import Problem

AFTER = "after_rotate"
_FIELDS = {"command": "", "secret": "no", "timeout": "1m", "profiles": ""}
_KINDS = {"secret": "yes_no", "timeout": "duration_above_zero", "profiles": "names"}
_HINT = "see docs/recipes.md"


class Hook(NamedTuple):
    """One command. `secret`: whether it gets the new secret; `profiles`: those it is for, () for all; `where`: path and
    line."""

    name: str
    command: tuple[str, ...]
    secret: bool
    timeout: timedelta
    profiles: tuple[str, ...]
    where: str


class HookFile(Protocol):
    """The file they are in."""

    def where(self, name: str, section: str = "") -> str:
        """Path and line of a name."""

    def wrong_in(self, section: str, name: str, what: str, hint: str) -> Problem:
        """What is wrong there."""


def read_hooks(file: HookFile, section: Mapping[str, Any]) -> tuple[Hook, ...]:
    """All of them, in order. Raises WrongUsage, naming the line and what is allowed."""
    for name, value in section.items():
        if not isinstance(value, Mapping):
            raise file.wrong_in(
                AFTER, name, f"{name} stands in [{AFTER}] itself: each command has a section [[NAME]]", _HINT
            )
    return tuple(_hook(file, name, entry) for name, entry in section.items())


def _hook(file: HookFile, name: str, entry: Mapping[str, Any]) -> Hook:
    values: dict[str, Any] = {}
    for field, raw in entry.items():
        if field not in _FIELDS or isinstance(raw, Mapping):
            what = f"[[{name}]] has no setting {field}, only {', '.join(_FIELDS)}"
            raise file.wrong_in(name, field, what, _HINT)
    for field, kind in _KINDS.items():
        try:
            values[field] = READERS[kind](entry.get(field, _FIELDS[field]))
        except WrongUsage as wrong:
            raise file.wrong_in(name, field, f"{field}: {wrong.message}; {wrong.hint}", _HINT) from None
    return Hook(name, _command(file, name, entry.get("command", "")), **values, where=file.where("command", name))


def _command(file: HookFile, name: str, raw: str | list[str]) -> tuple[str, ...]:
    words = [raw] if isinstance(raw, str) else raw
    if not words or not words[0]:
        raise file.wrong_in(name, "", f"[[{name}]] has no command", _HINT)
    if len(words) == 1 and " " in words[0] and not words[0].startswith(("/", "~")):
        what = f"command of [[{name}]]: no shell reads it; separate its words by commas: {', '.join(words[0].split())}"
        raise file.wrong_in(name, "command", what, _HINT)
    return tuple(words)
