"""After a rotation: the user's own commands ([after_rotate]), told what changed as JSON on their stdin.

At least once each: a command that failed, or that a killed run did not come to, runs with the next `rotate`. Nothing
that a command does undoes a rotation. What they say goes to stderr, without the secret.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..core.errors import Problem
from ..core.model import Credentials, Holding
from ..core.plan import Note
from ..files.private import Lock
from ..rotation.run import Result
from ..settings import after_rotate
from ..settings.ini import Hook
from ..state.history import PendingChange, PendingChanges
from . import show
from .app import App
from .wiring import Wiring

_VERSION = 1
_WAIT = 180.0  # seconds for another run's commands


@dataclass(frozen=True, slots=True)
class Told:
    """How one command ended, for `--json`."""

    name: str
    exit_code: int | None
    problem: Problem | None = None

    def json(self) -> dict[str, Any]:
        """As `rotate --json` has it."""
        return {
            "name": self.name,
            "exit_code": self.exit_code,
            "problem": show.problem_json(self.problem) if self.problem else None,
        }

    def result(self) -> Result:
        """What it means for the exit code."""
        return Result((), "", problem=self.problem)


class After:
    """The commands of one run."""

    def __init__(self, app: App, wiring: Wiring) -> None:
        self._app = app
        self._wiring = wiring
        self._pending = PendingChanges(os.path.join(app.paths.state_dir, "after"))
        self._lock = threading.Lock()  # with --all several keys are rotated side by side
        self._refused = False  # `check` has said why none can run

    @cached_property
    def _hooks(self) -> tuple[Hook, ...] | Problem:
        try:
            return after_rotate(self._app.paths.config_file)
        except Problem as problem:
            return problem

    def check(self) -> None:
        """Before anything is begun: whether they can be run at all. Raises Problem."""
        if isinstance(self._hooks, Problem):
            self._refused = True
            raise self._hooks
        for hook in self._hooks:
            if self._program(hook) is None:
                raise Problem(f"{hook.where}: there is no program {hook.command[0]}", f"command -v {hook.command[0]}")

    def changing(self, note: Note) -> None:
        """A rotation is about to change its places: remember, durably, that the commands are to run.

        That this cannot be written stops no rotation.
        """
        if not self._hooks or note.wanted is None:
            return
        who = note.identity
        try:
            with self._lock:
                self._pending.note(PendingChange(note.name, note.unwanted, note.wanted, who.account, who.arn))
        except Problem as problem:
            self._app.complain(f"the commands of [after_rotate] will not run: {problem.message}")

    def run(self) -> list[Told]:
        """Run what is to be run, for every change whose new key is in its places."""
        if not self._pending.all():
            return []
        with Lock(os.path.join(self._app.paths.state_dir, "after.lock"), _WAIT):
            return [told for change in self._pending.all() for told in self._run(change)]

    def _run(self, change: PendingChange) -> list[Told]:
        held = self._wiring.here.places.search([change.old, change.new])
        mine = [h for h in held if h.pair and h.pair.key_id == change.new]
        if len(mine) < len(held) or not mine:
            if not self._is_under_way(change):
                self._pending.drop(change.name)  # somebody put another key there
            return []
        if isinstance(self._hooks, Problem):
            told = Told("after_rotate", None, self._hooks)
            return [told if self._refused else self._tell(told)]
        profiles = {h.place.profile for h in mine}
        todo = [h for h in self._hooks if not (h.profiles and profiles.isdisjoint(h.profiles))]
        todo = [h for h in todo if not change.begun or h.name in change.left]
        return self._run_each(change, mine, todo)

    def _is_under_way(self, change: PendingChange) -> bool:
        try:
            note = self._wiring.here.notes.load(change.name)
        except Problem:
            return True
        return note is not None

    def _run_each(self, change: PendingChange, held: Sequence[Holding], todo: Sequence[Hook]) -> list[Told]:
        told: list[Told] = []
        left = tuple(hook.name for hook in todo)
        for hook in todo:
            self._pending.save(change._replace(begun=True, left=left))
            told.append(self._tell(self._one(hook, change, held)))
            if told[-1].problem is None:
                left = tuple(name for name in left if name != hook.name)
        if left:
            self._pending.save(change._replace(begun=True, left=left))
        else:
            self._pending.drop(change.name)
        return told

    def _one(self, hook: Hook, change: PendingChange, held: Sequence[Holding]) -> Told:
        from ..files.command import run

        pair = held[0].pair
        assert pair is not None
        program = self._program(hook)
        again = "mend it, then: rotate-my-key"
        if program is None:
            return Told(
                hook.name, None, Problem(f"after_rotate {hook.name}: there is no program {hook.command[0]}", again)
            )
        given = json.dumps(self._given(hook, change, held, pair)).encode()
        words = [program, *hook.command[1:]]
        try:
            with self._app.waiting(f"running {hook.name}"):
                ran = run(words, given, self._app.env, self._folder, hook.timeout.total_seconds())
        except Problem as problem:
            return Told(hook.name, None, Problem(f"after_rotate {hook.name}: {problem.message}", again))
        lines = ran.said.replace(pair.secret, "(the secret)").splitlines()
        for line in lines:
            self._app.detail(f"  {hook.name}: {line}")
        if ran.code == 0:
            return Told(hook.name, 0)
        how = f"ended with exit code {ran.code}" if ran.code is not None else f"took longer than {_seconds(hook)}"
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        text = f"after_rotate {hook.name} {how}{': ' if last else ''}{_printable(last)}"
        return Told(hook.name, ran.code, Problem(text, again))

    def _given(self, hook: Hook, change: PendingChange, held: Sequence[Holding], pair: Credentials) -> dict[str, Any]:
        """What it reads on its stdin."""
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

    def _program(self, hook: Hook) -> str | None:
        word = hook.command[0]
        if word.startswith("~/"):
            word = os.path.join(self._app.paths.home, word[2:])
        return shutil.which(word, path=self._app.env.get("PATH"))

    @property
    def _folder(self) -> str:
        home = self._app.paths.home
        return home if os.path.isdir(home) else os.path.abspath(os.sep)

    def _tell(self, told: Told) -> Told:
        if told.problem is None:
            self._app.say(f"  after_rotate: {told.name} done")
            return told
        self._app.complain(f"{self._app.style('error:', fg='red', bold=True)} {told.problem.message}")
        self._app.complain(f"{self._app.style('hint:', bold=True)} {told.problem.hint}")
        return told


def _seconds(hook: Hook) -> str:
    return f"{hook.timeout.total_seconds():g} s"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]
