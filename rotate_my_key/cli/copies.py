"""The talk about other copies of a key: what `rotate` says and asks of them, and what became of each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..core.model import Credentials
from ..core.policy import join, number

if TYPE_CHECKING:
    from ..copies.change import Copy
    from ..copies.find import LocalCopies, RunningProcess
    from .app import App

_SHOWN = 5  # files named in a row; `scan` names all


class OtherCopies:
    """The port `Copies` of a rotation, for this computer. `wanted` is a yes to the question, or the setting."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._seen: dict[str, list[Copy]] = {}
        self._done: dict[str, list[Copy]] = {}
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self.agreed = False

    @property
    def wanted(self) -> bool:
        """Whether a rotation that begins now changes other files."""
        return self.agreed or self._app.settings.update_copies

    @cached_property
    def files(self) -> LocalCopies:
        """The copies on this computer; loaded when first needed."""
        from ..copies.find import LocalCopies

        return LocalCopies(self._app.paths)

    def tell(self, pairs: Sequence[Credentials]) -> None:
        """Say, once a run, how many other files hold these pairs; if they shall change, also which of them cannot."""
        with self._lock:  # keys of several users are rotated side by side
            new = [pair for pair in pairs if pair.key_id not in self._seen]
            found = self.look(new)
        paths = list(dict.fromkeys(self._app.show_path(copy.path) for copy in found if not copy.is_unread))
        if paths:
            one, them = len(paths) == 1, "it" if len(new) == 1 else "them"
            files = "1 other file here has" if one else f"{len(paths)} other files here have"
            self._app.say(f"{files} {them} too: {few(paths)}")
        if self.wanted:
            self._say_what_stays(found, will_stay)

    def _say_what_stays(self, found: Iterable[Copy], line: Callable[[Copy, str], str]) -> None:
        """Which files do not take the new key, each once a run; those that should have it with --quiet too."""
        for copy in found:
            text = line(copy, self._app.show_path(copy.path))
            if not (copy.can_change or copy.is_changed) and text not in self._said:
                self._said.add(text)
                (self._app.complain if copy.owed else self._app.say)(f"  {text}")

    def running(self, pairs: Sequence[Credentials]) -> list[RunningProcess]:
        """This user's programs that run with one of these pairs now."""
        from ..copies.find import processes
        from ..copies.forms import Forms

        return list(processes([Forms(pair) for pair in pairs]))

    def found(self, key_id: str) -> list[Copy]:
        """What was seen in this run of the files that hold this key, or held it: changed, or why not."""
        done = {copy.path: copy for copy in self._done.get(key_id, [])}
        found = [*(done.pop(copy.path, copy) for copy in self._seen.get(key_id, [])), *done.values()]
        return [copy for copy in found if not copy.is_unread or self._waits(key_id)]

    def _waits(self, key_id: str) -> bool:
        return self.wanted or key_id in self._done

    def json(self, key_id: str) -> list[dict[str, Any]]:
        """The same as `--json` gives it; never a value. `owed`: the old key works until this file has the new one."""
        waits = self._waits(key_id)
        return [{**copy.json(), "owed": waits and copy.owed} for copy in self.found(key_id)]

    def ask(self) -> None:
        """Ask of what `tell` found whether it shall change with the keys."""
        found = [copy for each in self._seen.values() for copy in each]
        good = len({copy.path for copy in found if copy.can_change})
        if good and not self.wanted:
            self._say_what_stays(found, will_stay)
            self.agreed = self._app.confirm(
                f"Change {number(good, 'file')} too?", default=True, flags=["--update-copies", "--yes"]
            )

    def look(self, pairs: Sequence[Credentials]) -> list[Copy]:
        """The well-known files, and those that scans found, that hold these pairs or cannot be read."""
        if not pairs:
            return []
        from ..copies.forms import Forms

        found = self.files.glance([Forms(pair) for pair in pairs])
        for pair in pairs:
            self._seen[pair.key_id] = [copy for copy in found if copy.key_id == pair.key_id]
        return found

    def update(self, old: Credentials, new: Credentials) -> tuple[str, ...]:
        found = self.files.update(old, new)
        with self._lock:
            self._done[old.key_id] = self._done[new.key_id] = found
        done = {self._app.show_path(copy.path): copy.detail for copy in found if copy.is_changed}
        if done:
            self._app.say(f"  {few(list(done))}: changed")
        for path, detail in done.items():
            if detail:
                self._app.say(f"  {path}: {detail}; to prevent that: chmod 600")
        self._say_what_stays(found, stays)
        return tuple(copy.path for copy in found if copy.owed)

    def took(self, new: Credentials) -> tuple[str, ...]:
        return tuple(copy.path for copy in self._done.get(new.key_id, ()) if copy.is_changed)


def few(paths: Sequence[str]) -> str:
    """The first of these paths, and how many more there are."""
    return join(paths) if len(paths) <= _SHOWN else f"{', '.join(paths[:_SHOWN])} and {len(paths) - _SHOWN} more"


def in_words(running: Sequence[RunningProcess], it: str) -> list[str]:
    """What is said of the programs that run with the key (`it`: "this key"); of those above this one, which have it
    one from the other, the nearest is named: the shell."""
    names: dict[str, list[str]] = {}
    for process in running:
        if not process.above:
            names.setdefault(process.name, []).append(str(process.pid))
    programs = [f"{name} ({few(pids)})" for name, pids in names.items()]
    lines = [f"Running now with {it}: {few(programs)}"] if programs else []
    if shells := [process for process in running if process.above]:
        shell = min(shells, key=lambda process: process.above)
        lines.append(f"This {shell.name} ({shell.pid}) has {it} in its {shell.where} until you start a new one")
    return lines


def will_stay(copy: Copy, path: str) -> str:
    """What is said of a file, before anything is done, that cannot take the new key now."""
    if copy.owed:
        what = "cannot be changed now, so the old key keeps working until it has the new one"
        return f"{path} {what}: {copy.means}"
    return stays(copy, path)


def stays(copy: Copy, path: str) -> str:
    """What is said of a file that did not take the new key."""
    return f"{path} {'is not changed yet' if copy.owed else 'is not changed'}: {copy.means}"


def foreseen(found: Iterable[Copy], show_path: Callable[[str], str], *, wanted: bool) -> list[str]:
    """The lines of `--dry-run`: what would become of the files, if they are `wanted` to change and if not."""
    found = list(found)
    good = [show_path(copy.path) for copy in found if copy.can_change]
    unless = "" if wanted else f" with --update-copies, and {'keeps' if len(good) == 1 else 'keep'} the old key without"
    lines = [f"{few(good)} would be changed{unless}"] if good else []
    for copy in found:
        path = show_path(copy.path)
        if wanted and copy.owed:
            lines.append(will_stay(copy, path))
        elif not copy.can_change:
            lines.append(f"{path} would not be changed: {copy.means}")
    return ["Other files here have it too:", *(f"  {line}" for line in lines)] if lines else []
