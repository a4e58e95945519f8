"""What `scan` and `rotate` ask of this package: which files hold these pairs, and put the new pair there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from ..errors import Problem
from ..files import platform
from ..files.replace import snapshot
from ..model import Credentials
from ..parallel import Running
from .forms import Forms
from .judge import Finding, Why, judge, unreadable
from .memory import Memory
from .names import well_known
from .swap import swap
from .walk import Scanner, Tally

Tick = Callable[[int, str], None]


class Copies:
    """Copies of pairs on this computer. `profiles` are the files that a rotation writes; `state` is our own folder.

    Nothing here raises for what is wrong with a single file: that is what its finding says.
    """

    def __init__(self, home: str, profiles: Iterable[str], state: str, memory: Memory) -> None:
        self._home = home
        self._profiles = {os.path.realpath(path) for path in profiles if path}
        self._state = state
        self._memory = memory

    def scan(self, wanted: Sequence[Forms], paths: Sequence[str], tick: Tick) -> tuple[list[Finding], Tally]:
        """Read everything below `paths`, or without any the places of the home where keys hide; and what earlier scans
        found. What is found is remembered. Raises Problem if that cannot be written."""
        scanner = self._scanner(wanted, tick)
        hits: dict[str, None] = dict.fromkeys(scanner.files(self._memory.load()))
        if not paths:
            hits |= dict.fromkeys(scanner.files(well_known(self._home, scanner.tally.unreadable)))
            hits |= dict.fromkeys(scanner.tree(os.path.realpath(self._home), telling=True))
        for path in paths:
            real = os.path.realpath(path)
            hits |= dict.fromkeys(scanner.tree(real) if os.path.isdir(real) else scanner.files([real]))
        found = [finding for path in hits for finding in self._judged(path, wanted)]
        self._memory.learn(
            [(f.path, f.key_id) for f in found if f.why is not Why.PROFILE], [f.pair.key_id for f in wanted]
        )
        return found, scanner.tally

    def glance(self, wanted: Sequence[Forms], also: Iterable[str] = (), seconds: float = 2.0) -> list[Finding]:
        """Read the well-known files and `also` only, and no longer than that: one may lie on a disk that does not
        answer. Also gives those that cannot be read, so that nobody knows."""
        found: list[Finding] = []
        scanner = self._scanner(wanted)
        unread = scanner.tally.unreadable

        def look() -> None:
            until = time.monotonic() + seconds
            paths = dict.fromkeys([*well_known(self._home, unread), *also])
            for path in scanner.files(paths):
                found.extend(f for f in self._judged(path, wanted) if f.why is not Why.PROFILE)
                if time.monotonic() > until:
                    return
            for path in filter(_may_be_mine, unread):
                found.extend(self._judged(path, wanted))

        Running(look).wait(seconds)
        return list(dict.fromkeys(found))

    def remembered(self) -> list[str]:
        """The files that earlier scans found, as far as that can be read."""
        try:
            return list(self._memory.load())
        except Problem:
            return []

    def unread(self, tally: Tally) -> list[str]:
        """What a scan could not read and this user can mend: nobody knows what it holds."""
        return [path for path in tally.unreadable if _may_be_mine(path)]

    def update(self, old: Credentials, new: Credentials, paths: Iterable[str] = ()) -> list[Finding]:
        """Put `new` in place of `old` in the well-known files, in those that earlier scans found and in `paths`.

        Gives what became of each that held `old`, and of each that cannot be read: it may hold it. Only for who holds
        the lock.
        """
        scanner = self._scanner([Forms(old)])
        paths = list(paths)
        found: list[Finding] = []
        try:
            paths += self._memory.load()
        except Problem as problem:
            found.append(unreadable(self._memory.path, old.key_id, problem))
        candidates = dict.fromkeys([*well_known(self._home, scanner.tally.unreadable), *paths])
        hits = dict.fromkeys([*scanner.files(candidates), *self.unread(scanner.tally), *filter(os.path.isdir, paths)])
        found += [f for path in hits if path not in self._profiles and (f := self._swapped(path, old, new))]
        done = [f.path for f in found if f.why is Why.UPDATED]
        with suppress(Problem):  # they are read again by their paths, whatever is remembered of their ids
            self._memory.replaced(done, old.key_id, new.key_id)
        return found

    def _swapped(self, path: str, old: Credentials, new: Credentials) -> Finding | None:
        if os.path.isdir(path):
            return unreadable(path, old.key_id, Problem(f"the folder {path} cannot be listed", f"ls -ld {path}"))
        return swap(path, old, new)

    def _scanner(self, wanted: Sequence[Forms], tick: Tick = lambda files, folder: None) -> Scanner:
        return Scanner([word for forms in wanted for word in forms.needles], apart=[self._state], tick=tick)

    def _judged(self, path: str, wanted: Sequence[Forms]) -> list[Finding]:
        try:
            found = snapshot(path)
        except Problem as problem:
            return [unreadable(path, forms.pair.key_id, problem) for forms in wanted]
        if found is None:
            return []
        if path in self._profiles:
            return [Finding(path, f.pair.key_id, Why.PROFILE) for f in wanted if f.here(found.data)]
        return [finding for forms in wanted if (finding := judge(found, forms))]


def _may_be_mine(path: str) -> bool:
    """Whether a file or folder that cannot be read is this user's, as far as can be told: what another user keeps for
    themselves (root's, after a sudo) is no copy that this user has."""
    while True:
        try:
            return os.lstat(path).st_uid == platform.my_uid()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except PermissionError:  # then the nearest folder that shows itself tells
            if path == (path := os.path.dirname(path)):
                return True
        except OSError:
            return True
