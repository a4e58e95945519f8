"""The user's own commands ([after_rotate]), as this computer runs them; what they say goes to stderr."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..core.errors import Problem
from ..files.command import run
from ..files.platform import Lock
from ..files.write import make_private_dir
from ..rotation.after import After
from ..settings import after_rotate
from ..state.history import PendingChanges
from .app import App

if TYPE_CHECKING:
    from ..core.policy import Hook
    from ..rotation.ports import CommandResult, Notes, Places

_WAIT = 180.0  # seconds for another run's commands


def after(app: App, places: Places, notes: Notes, *, loud: bool = False) -> After:
    """The commands of this run; `loud`: what they print is shown."""
    state = app.paths.state_dir
    changes = PendingChanges(os.path.join(state, "after"))

    def lock() -> Lock:
        make_private_dir(state)
        return Lock(os.path.join(state, "after.lock"), _WAIT)

    return After(LocalCommands(app, app.say if loud else app.detail), changes, places, notes, lock)


class LocalCommands:
    """The port `Programs`, for this computer."""

    def __init__(self, app: App, say: Callable[[str], None]) -> None:
        self._app, self._say = app, say

    def hooks(self) -> tuple[Hook, ...]:
        return after_rotate(self._app.paths.config_file)

    def is_there(self, hook: Hook) -> bool:
        return self._program(hook) is not None

    def run(self, hook: Hook, given: dict[str, Any]) -> tuple[int | None, str]:
        program = self._program(hook)
        if program is None:
            raise Problem(f"there is no program {hook.command[0]}")
        words = [program, *hook.command[1:]]
        with self._app.waiting(f"running {hook.name}"):
            data, seconds = json.dumps(given).encode(), hook.timeout.total_seconds()
            home = self._app.paths.home
            folder = home if os.path.isdir(home) else os.path.abspath(os.sep)
            return run(words, data, self._app.env, folder, seconds)

    def said(self, hook: Hook, lines: Sequence[str]) -> None:
        for line in lines:
            self._say(f"  {hook.name}: {line}")

    def ended(self, result: CommandResult, *, holds: bool) -> None:
        if result.problem is None:
            self._app.say(f"  after_rotate: {result.name} done")
            return
        if holds:
            self._app.complain(f"  {result.problem.message}")
            return
        self._app.show_problem(result.problem)

    def warn(self, text: str) -> None:
        self._app.complain(text)

    def _program(self, hook: Hook) -> str | None:
        word = hook.command[0]
        if word.startswith("~/"):
            word = os.path.join(self._app.paths.home, word[2:])
        return shutil.which(word, path=self._app.env.get("PATH"))
