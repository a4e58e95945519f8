"""The user's own commands ([after_rotate]), told what changed as JSON on their stdin: which of them are to run, for
which change, in which order.

At least once each: a command that failed, or that a killed run did not come to, runs with the next `rotate`. Nothing
that a command does undoes a rotation. The old key waits for those that hold it: they run once the new one is in its
places, and the record of the change says until the end of the rotation who was told of what. The others run when the
run is over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from ..core.errors import Problem, WrongUsage
from ..core.hints import Hint, quoted
from ..core.model import Credentials, Holding, Place
from ..core.plan import Note
from ..core.policy import Hook, Past, PendingChange
from .facts import readable_notes
from .ports import CommandResult, Notes, Places

_VERSION = 1
_FIX = "fix it, then"
_SETTINGS = Hint("config", "path")


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

    def ended(self, result: CommandResult, *, holds: bool) -> None:
        """Tell how it ended; if it `holds` the old key, the run ends by telling what to do about a failure."""

    def warn(self, text: str) -> None:
        """Something that the person should know and that stops nothing."""


class Changes(Protocol):
    """What was to be told, and to whom it was; a record for each rotation. Every verb may raise Problem."""

    def load(self, name: str) -> PendingChange | None:
        """The record of a rotation, if there is one that can be read."""

    def save(self, change: PendingChange) -> None:
        """Write the record anew, durably."""

    def all(self) -> tuple[PendingChange, ...]:
        """The records that can be read."""

    def drop(self, name: str) -> None:
        """All is done."""


@dataclass(eq=False)
class After:
    """The port `OwnCommands` of one run. `lock` keeps other runs from running them too."""

    programs: Programs
    changes: Changes
    places: Places
    notes: Notes
    lock: Callable[[], AbstractContextManager[object]]

    def __post_init__(self) -> None:
        self._one_at_a_time = threading.Lock()  # with --all several keys are rotated side by side
        self._results: list[CommandResult] = []
        self._tried: set[tuple[PendingChange, str]] = set()
        self._refused = False  # it was said why none can run

    @cached_property
    def _hooks(self) -> tuple[Hook, ...] | Problem:
        try:
            return self.programs.hooks()
        except Problem as problem:
            return problem

    def check(self) -> None:
        if isinstance(self._hooks, Problem):
            self._refused = True
            raise self._hooks
        for hook in self._hooks:
            if not self.programs.is_there(hook):
                raise Problem(
                    f"{hook.where}: there is no program {hook.command[0]}", f"command -v {quoted(hook.command[0])}"
                )

    def of(self, places: Collection[Place]) -> tuple[Hook, ...]:
        hooks, profiles = self._hooks, {place.profile for place in places}
        if isinstance(hooks, Problem):
            return ()
        return tuple(hook for hook in hooks if not (hook.profiles and profiles.isdisjoint(hook.profiles)))

    # What is to be told

    def changing(self, note: Note) -> None:
        """See the port. What is taken back was noted when it was done."""
        hooks = self._hooks
        if not hooks or note.wanted is None:
            return
        try:
            with self._one_at_a_time:
                self._note(_change(note), () if isinstance(hooks, Problem) else tuple(hook.name for hook in hooks))
        except Problem as problem:
            waits = isinstance(hooks, Problem) or any(hook.holds_old for hook in hooks)
            if waits and not (note.back or note.leaked):
                raise
            self.programs.warn(f"the commands of [after_rotate] will not run: {problem.message}")

    def _note(self, change: PendingChange, names: tuple[str, ...]) -> None:
        """A change straight back, before anybody was told of the first, is none; after that all are told again."""
        before = self.changes.load(change.name)
        if before is None:
            self.changes.save(change)
        elif _keys(before) == _keys(change):
            return
        elif before.begun:
            self.changes.save(change._replace(begun=bool(names), left=names))
        elif (before.old, before.new) == (change.new, change.old):
            self.changes.drop(change.name)
        else:
            self.changes.save(change)

    def untold(self, note: Note) -> tuple[str, ...]:
        change = self._due(note)
        if change is None:
            return ()
        if isinstance(self._hooks, Problem):
            return change.left if change.begun else ("after_rotate",)
        return tuple(hook.name for hook in self.of(note.places) if hook.holds_old and _is_left(hook, change))

    def _due(self, note: Note) -> PendingChange | None:
        """What the commands are to be told of in this rotation. If they were told of the key that is unwanted now, and
        no place had to be changed back, they are told of the other all the same."""
        change = self.changes.load(note.name) if note.wanted else None
        if change is None:
            return None
        now = _change(note)
        if _keys(change) == _keys(now):
            return change
        return now if change.begun and (change.new, change.old) == (now.old, now.new) else None

    # Running them

    def tell(self, note: Note) -> None:
        with self._one_at_a_time, self.lock():
            change = self._due(note)
            held = self._held(change) if change else []
            if change and held:
                self._run(change, held, holding=True)

    def run(self) -> list[CommandResult]:
        if self.changes.all():
            with self._one_at_a_time, self.lock():
                for change in self.changes.all():
                    self._finish(change)
        return self._results

    def again(self, name: str | None, history: Sequence[Past]) -> list[CommandResult]:
        """Run one of them, or all, whether they have been told or not, for the last rotation here whose new key the
        profiles hold. Raises Problem if there is none."""
        with self._one_at_a_time, self.lock():
            if isinstance(self._hooks, Problem):
                raise self._hooks
            change, held = self._last(history, self.named(name) if name else None)
            todo = [hook for hook in self.of([h.place for h in held]) if name in (None, hook.name)]
            if not todo:
                raise Problem("[after_rotate] has no command for the profiles that hold this key", _SETTINGS)
            for hook in todo:
                result = self._one(hook, change, held, again=Hint("after", "run", hook.name, lead=_FIX))
                record = self.changes.load(change.name)
                if record and _keys(record) == _keys(change) and result.problem is None:
                    left = record.left if record.begun else [each.name for each in self.of([h.place for h in held])]
                    left = tuple(each for each in left if each != hook.name)
                    self.changes.save(record._replace(begun=True, left=left))
        return self._results

    def named(self, name: str) -> Hook:
        """The command of that name. Raises Problem."""
        hooks = self._hooks
        if isinstance(hooks, Problem):
            raise hooks
        for hook in hooks:
            if hook.name == name:
                return hook
        raise WrongUsage(f"[after_rotate] has no command {name}", _SETTINGS)

    def _last(self, history: Sequence[Past], hook: Hook | None) -> tuple[PendingChange, list[Holding]]:
        """The last change, finished or not, that these are told of."""
        under_way = [_change(note) if note.wanted else None for note in readable_notes(self.notes)]
        for change in reversed([*map(_past_change, history), *under_way]):
            held = self._held(change) if change else []
            if change and held and (hook is None or hook in self.of([h.place for h in held])):
                return change, held
        raise Problem("no profile here holds a key that came from a rotation", Hint("history"))

    def rehearse(self, hook: Hook, places: Sequence[Place]) -> CommandResult:
        """Run it with a made-up pair, as if it had come into these places."""
        new = Credentials("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")
        again = Hint("after", "test", hook.name, lead=_FIX)
        user = "arn:aws:iam::123456789012:user/alice"
        change = PendingChange("", "AKIAIOSFODNN7EXAMPLE", new.key_id, "123456789012", user)
        return self._one(hook, change, [Holding(place, new) for place in places], again=again, test=True)

    def _finish(self, change: PendingChange) -> None:
        """Run what is left of a change whose new key is in its places; forget one of which nothing is left."""
        held = self._held(change)
        if held and (change.left or not change.begun):
            change = self._run(change, held)
        if not (held and (change.left or not change.begun)) and change.name not in self.notes.names():
            self.changes.drop(change.name)

    def _held(self, change: PendingChange) -> list[Holding]:
        """The places that hold the new key; none if somebody put another one into some of them."""
        held = self.places.search([change.old, change.new])
        mine = [h for h in held if h.pair and h.pair.key_id == change.new]
        return mine if len(mine) == len(held) else []

    def _run(self, change: PendingChange, held: Sequence[Holding], *, holding: bool = False) -> PendingChange:
        """Run what is left and was not tried in this run, or only those that are `holding` the old key; gives what is
        left then."""
        if isinstance(self._hooks, Problem):
            if not self._refused:
                self._ended(CommandResult("after_rotate", None, self._hooks), holds=False)
            self._refused = True
            return change
        todo = [hook for hook in self.of([h.place for h in held]) if _is_left(hook, change)]
        change = change._replace(begun=True, left=tuple(hook.name for hook in todo))
        self.changes.save(change)
        about = change._replace(left=())
        for hook in todo:
            if (holding and not hook.holds_old) or (about, hook.name) in self._tried:
                continue
            self._tried.add((about, hook.name))
            result = self._one(hook, change, held, holds=holding)
            if result.problem is None:
                change = change._replace(left=tuple(name for name in change.left if name != hook.name))
                self.changes.save(change)
        return change

    def _one(
        self,
        hook: Hook,
        change: PendingChange,
        held: Sequence[Holding],
        *,
        holds: bool = False,
        again: Hint | None = None,
        test: bool = False,
    ) -> CommandResult:
        """Run it, and tell how it ended; `again` is the command that tries it once more, for the hint."""
        pair, again = held[0].pair, again or Hint(lead=_FIX)
        assert pair is not None
        value = given(hook, change, [h.place for h in held], pair)
        try:
            code, said = self.programs.run(hook, {**value, "test": True} if test else value)
        except Problem as problem:
            failed = Problem(f"after_rotate {hook.name}: {problem.message}", again)
            return self._ended(CommandResult(hook.name, None, failed), holds=holds)
        lines = said.replace(pair.secret, "(the secret)").splitlines()
        self.programs.said(hook, lines)
        if code == 0:
            return self._ended(CommandResult(hook.name, 0), holds=holds)
        seconds = hook.timeout.total_seconds()
        how = f"ended with exit code {code}" if code is not None else f"took longer than {seconds:g} s"
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        shown = "".join(c if c.isprintable() else "?" for c in last)[:200]
        text = f"after_rotate {hook.name} {how}{': ' if last else ''}{shown}"
        return self._ended(CommandResult(hook.name, code, Problem(text, again)), holds=holds)

    def _ended(self, result: CommandResult, *, holds: bool) -> CommandResult:
        self._results.append(result)
        self.programs.ended(result, holds=holds)
        return result


def given(hook: Hook, change: PendingChange, places: Sequence[Place], pair: Credentials) -> dict[str, Any]:
    """What a command reads on its stdin."""
    value = {
        "version": _VERSION,
        "account": change.account,
        "arn": change.arn,
        "user": change.arn.rsplit("/", 1)[-1],
        "old_key_id": change.old,
        "new_key_id": change.new,
        "profiles": list(dict.fromkeys(place.profile for place in places)),
        "places": [place.json() for place in places],
    }
    return {**value, "secret": pair.secret} if hook.secret else value


def _change(note: Note) -> PendingChange:
    assert note.wanted is not None
    return PendingChange(note.name, note.unwanted, note.wanted, note.identity.account, note.identity.arn)


def _past_change(past: Past) -> PendingChange | None:
    """What the history tells of a rotation: which key went, and which one came."""
    if past.new is None or past.action not in ("rotated", "merged", "undone"):
        return None
    old, new = (past.new, past.old) if past.action == "undone" else (past.old, past.new)
    return PendingChange(past.old, old, new, past.account, past.arn)


def _keys(change: PendingChange) -> tuple[str, str, str]:
    return change.name, change.old, change.new


def _is_left(hook: Hook, change: PendingChange) -> bool:
    return not change.begun or hook.name in change.left
