"""The user's own commands ([after_rotate]), told what changed as JSON on their stdin: which of them are to run, for
which change, in which order.

At least once each: a command that failed, or that a killed run did not come to, runs with the next `rotate`. Nothing
that a command does undoes a rotation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from ..core.errors import Problem
from ..core.model import Credentials, Holding
from ..core.plan import Note
from ..core.policy import Hook, PendingChange
from .ports import Notes, Places
from .run import Result

_VERSION = 1
_AGAIN = "mend it, then: rotate-my-key"


class CommandResult(NamedTuple):
    """How one command ended."""

    name: str
    exit_code: int | None
    problem: Problem | None = None

    def result(self) -> Result:
        """What it means for the exit code."""
        return Result((), "", problem=self.problem)


class Programs(Protocol):
    """The commands, on this computer."""

    def hooks(self) -> tuple[Hook, ...]:
        """Those of the settings, in their order. Raises Problem if they are wrong, or if somebody else could have
        written them."""

    def is_there(self, hook: Hook) -> bool:
        """Whether its program can be found."""

    def run(self, hook: Hook, given: dict[str, Any]) -> tuple[int | None, str]:
        """Give it this as JSON; gives its exit code, None if its time was over, and what it said. Raises Problem if it
        cannot be started."""

    def said(self, hook: Hook, lines: Sequence[str]) -> None:
        """Pass on what it said, without the secret."""

    def ended(self, result: CommandResult) -> None:
        """Tell how it ended."""

    def warn(self, text: str) -> None:
        """Something that the person should know and that stops nothing."""


class Changes(Protocol):
    """What is still to be told; every verb may raise Problem."""

    def note(self, change: PendingChange) -> None:
        """Remember it, durably. A change straight back, before anybody was told of the first, is none."""

    def save(self, change: PendingChange) -> None:
        """Write the record anew."""

    def all(self) -> tuple[PendingChange, ...]:
        """The records that can be read."""

    def drop(self, name: str) -> None:
        """All is done."""


class After:
    """The commands of one run. `lock` keeps other runs from running them too."""

    def __init__(
        self,
        programs: Programs,
        changes: Changes,
        places: Places,
        notes: Notes,
        lock: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._programs = programs
        self._changes = changes
        self._places = places
        self._notes = notes
        self._lock = lock
        self._noting = threading.Lock()  # with --all several keys are rotated side by side
        self._refused = False  # `check` has said why none can run

    @cached_property
    def _hooks(self) -> tuple[Hook, ...] | Problem:
        try:
            return self._programs.hooks()
        except Problem as problem:
            return problem

    def check(self) -> None:
        """Before anything is begun: whether they can be run at all. Raises Problem."""
        if isinstance(self._hooks, Problem):
            self._refused = True
            raise self._hooks
        for hook in self._hooks:
            if not self._programs.is_there(hook):
                raise Problem(f"{hook.where}: there is no program {hook.command[0]}", f"command -v {hook.command[0]}")

    def changing(self, note: Note) -> None:
        """A rotation is about to change its places: remember, durably, that the commands are to run.

        That this cannot be written stops no rotation.
        """
        if not self._hooks or note.wanted is None:
            return
        who = note.identity
        try:
            with self._noting:
                self._changes.note(PendingChange(note.name, note.unwanted, note.wanted, who.account, who.arn))
        except Problem as problem:
            self._programs.warn(f"the commands of [after_rotate] will not run: {problem.message}")

    def run(self) -> list[CommandResult]:
        """Run what is to be run, for every change whose new key is in its places."""
        if not self._changes.all():
            return []
        with self._lock():
            return [result for change in self._changes.all() for result in self._run(change)]

    def _run(self, change: PendingChange) -> list[CommandResult]:
        held = self._places.search([change.old, change.new])
        mine = [h for h in held if h.pair and h.pair.key_id == change.new]
        if len(mine) < len(held) or not mine:
            if not self._is_under_way(change):
                self._changes.drop(change.name)  # somebody put another key there
            return []
        if isinstance(self._hooks, Problem):
            result = CommandResult("after_rotate", None, self._hooks)
            return [result if self._refused else self._tell(result)]
        profiles = {h.place.profile for h in mine}
        todo = [h for h in self._hooks if not (h.profiles and profiles.isdisjoint(h.profiles))]
        todo = [h for h in todo if not change.begun or h.name in change.left]
        return self._run_each(change, mine, todo)

    def _is_under_way(self, change: PendingChange) -> bool:
        try:
            note = self._notes.load(change.name)
        except Problem:
            return True
        return note is not None

    def _run_each(self, change: PendingChange, held: Sequence[Holding], todo: Sequence[Hook]) -> list[CommandResult]:
        results: list[CommandResult] = []
        left = tuple(hook.name for hook in todo)
        for hook in todo:
            self._changes.save(change._replace(begun=True, left=left))
            results.append(self._tell(self._one(hook, change, held)))
            if results[-1].problem is None:
                left = tuple(name for name in left if name != hook.name)
        if left:
            self._changes.save(change._replace(begun=True, left=left))
        else:
            self._changes.drop(change.name)
        return results

    def _one(self, hook: Hook, change: PendingChange, held: Sequence[Holding]) -> CommandResult:
        pair = held[0].pair
        assert pair is not None
        try:
            code, said = self._programs.run(hook, given(hook, change, held, pair))
        except Problem as problem:
            return CommandResult(hook.name, None, Problem(f"after_rotate {hook.name}: {problem.message}", _AGAIN))
        lines = said.replace(pair.secret, "(the secret)").splitlines()
        self._programs.said(hook, lines)
        if code == 0:
            return CommandResult(hook.name, 0)
        how = f"ended with exit code {code}" if code is not None else f"took longer than {_seconds(hook)}"
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        text = f"after_rotate {hook.name} {how}{': ' if last else ''}{_printable(last)}"
        return CommandResult(hook.name, code, Problem(text, _AGAIN))

    def _tell(self, result: CommandResult) -> CommandResult:
        self._programs.ended(result)
        return result


def given(hook: Hook, change: PendingChange, held: Sequence[Holding], pair: Credentials) -> dict[str, Any]:
    """What a command reads on its stdin."""
    value = {
        "version": _VERSION,
        "account": change.account,
        "arn": change.arn,
        "user": change.arn.rsplit("/", 1)[-1],
        "old_key_id": change.old,
        "new_key_id": change.new,
        "profiles": list(dict.fromkeys(h.place.profile for h in held)),
        "places": [h.place.json() for h in held],
    }
    return {**value, "secret": pair.secret} if hook.secret else value


def _seconds(hook: Hook) -> str:
    return f"{hook.timeout.total_seconds():g} s"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
