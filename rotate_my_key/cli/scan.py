"""`scan`: other files and processes that have a key; `--update` puts the new key where an old one is still kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.errors import Problem, WrongUsage
from ..core.hints import Hint
from ..core.model import Credentials
from ..core.plan import Note
from ..core.policy import join, mask, number
from ..rotation.facts import LocalState
from .app import App
from .copies import few, stays
from .layout import table
from .rotate import finder
from .wiring import Wiring

if TYPE_CHECKING:
    from ..copies.change import Copy
    from ..copies.find import RunningProcess, Tally
    from ..copies.forms import Forms


def run(
    app: App,
    *,
    paths: tuple[str, ...],
    profiles: tuple[str, ...],
    all_keys: bool,
    update: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Find other files and processes that hold a key; with `update` put the new pair where an old one is."""
    if profiles and all_keys:
        raise WrongUsage("-p and --all do not go together", Hint("scan", "--all"))
    missing = [path for path in paths if not os.path.lexists(path)]
    if missing:
        raise Problem(f"there is no {missing[0]}", Hint("scan"))
    scan = Scan(app, [os.path.abspath(path) for path in paths])
    scan.look(profiles or (None,), all_keys=all_keys)
    left = scan.update(yes=yes) if update else []
    if as_json:
        app.json(scan.json())
    else:
        scan.show()
    for copy in left:
        app.complain(f"{app.style('error:', fg='red', bold=True)} {stays(copy, app.show_path(copy.path))}")
    if left:
        app.complain(f"{app.style('hint:', bold=True)} {app.again()}")
    return 1 if left else 0


class Kept(NamedTuple):
    """A rotation whose places hold the new pair already, and whose old one is still here."""

    note: Note
    old: Credentials
    new: Credentials


def _kept(here: LocalState) -> list[Kept]:
    """The rotations under way whose other copies can still be changed."""
    found = []
    for name in here.notes.names():
        try:
            note = here.notes.load(name)
            pairs = {pair.key_id: pair for pair in here.staging.get(name).values()}
        except Problem:  # said by `status`; a rotation that cannot be read has no pair for us
            continue
        if note is None or note.wanted is None or note.unwanted not in pairs:
            continue
        placed = {holding.pair for holding in here.places.search([note.wanted]) if holding.pair}
        new = pairs.get(note.wanted) or next(iter(placed), None)
        if new in placed and new is not None:
            found.append(Kept(note, pairs[note.unwanted], new))
    return found


class Scan:
    """One call of the command."""

    def __init__(self, app: App, paths: Sequence[str]) -> None:
        self._app, self._paths = app, paths
        self._wiring = Wiring.of(app)
        self._files = self._wiring.copies.files
        self._profiles: dict[str, list[str]] = {}
        self._successor: dict[str, str] = {}
        self._found: list[Copy] = []
        self._processes: list[RunningProcess] = []
        self._variables: list[tuple[str, str]] = []
        self._tally: Tally

    def look(self, names: Sequence[str | None], *, all_keys: bool) -> None:
        """Read files and processes. Raises Problem if no key is found to look for."""
        from ..copies.find import processes
        from ..files.platform import kept_variables

        wanted = self._wanted(names, all_keys=all_keys)
        with ExitStack() as spinner:

            def tick(files: int, folder: str) -> None:
                spinner.enter_context(self._app.waiting(f"read {files:,} files; {self._app.show_path(folder)}"))

            self._found, self._tally = self._files.scan(wanted, self._paths, tick)
        self._processes = list(processes(wanted))
        for name, value in kept_variables().items():
            self._variables += [(name, each.pair.key_id) for each in wanted if each.here(os.fsencode(value))]

    def _wanted(self, names: Sequence[str | None], *, all_keys: bool) -> list[Forms]:
        from ..copies.forms import Forms

        found = finder(self._app, self._app.settings, mixed=True)
        keys = found.every_key() if all_keys else found.named(names)
        pairs = {}
        for profiles, find in keys.jobs:
            pair = find()
            pairs[pair.key_id] = pair
            self._profiles[pair.key_id] = profiles
        for each in _kept(self._wiring.here):
            if each.new.key_id in pairs:
                pairs[each.old.key_id] = each.old
                self._successor[each.old.key_id] = each.new.key_id
        for result in keys.problems:
            if result.problem:
                self._wiring.warn(result.problem.message)
        if not pairs:
            raise Problem("no profile here holds a key to look for", Hint("status"))
        return [Forms(pair) for pair in pairs.values()]

    # Changing

    def update(self, *, yes: bool) -> list[Copy]:
        """Put the new pair where an old one is that is still kept; gives the files that should take it and did not."""
        # The files that hold an old pair and should take the new one, and those that nobody could read
        old = [c.path for c in self._found if c.key_id in self._successor and (c.can_change or c.owed)]
        paths = list(dict.fromkeys([*old, *self._files.unread(self._tally)])) if self._successor else []
        if not paths:
            self._app.say("Nothing to update.")
            return []
        shown = few([self._app.show_path(path) for path in paths])
        question = f"Put the new key into {number(len(paths), 'file')} ({shown})?"
        if not yes and not self._app.confirm(question, default=True):
            return []
        wiring = self._wiring
        with wiring.stop.on_interrupt(), wiring.lock():
            mine = [each for each in _kept(wiring.here) if each.old.key_id in self._successor]
            done = [copy for each in mine for copy in self._put(each, paths)]
        left = {(copy.path, copy.key_id): copy for copy in done}
        self._found = [*(left.pop((copy.path, copy.key_id), copy) for copy in self._found), *left.values()]
        return [copy for copy in done if copy.owed]

    def _put(self, kept: Kept, paths: Sequence[str]) -> list[Copy]:
        """The note first: an undo must find them too, and later runs try those again that did not take it."""
        note = replace(kept.note, copies=True, followed=False)
        self._wiring.here.notes.save(note)
        found = self._files.update(kept.old, kept.new, paths)
        if not any(copy.owed for copy in found):
            self._wiring.here.notes.save(replace(note, followed=True))
        return found

    # Telling

    def _of(self, key_id: str) -> tuple[list[Copy], list[RunningProcess], list[str]]:
        """The files, processes and variables that have this key."""
        processes = [process for process in self._processes if process.key_id == key_id]
        variables = [name for name, of in self._variables if of == key_id]
        return [copy for copy in self._found if copy.key_id == key_id], processes, variables

    def show(self) -> None:
        """What was found, key by key."""
        app = self._app
        for key_id in dict.fromkeys([*self._profiles, *self._successor]):
            copies, processes, variables = self._of(key_id)
            new = self._successor.get(key_id)
            update = Hint("scan", "--update", lead="to update it")
            rows = [
                [app.show_path(copy.path), update if new and copy.can_change else copy.means]
                for copy in copies
                if not copy.is_profile
            ]
            rows += [[f"process {p.pid} ({p.name})", f"has it in its {p.where}; restart it"] for p in processes]
            remove = r"new programs get it; reg delete HKCU\Environment /f /v"
            rows += [[f"variable {name}", f"{remove} {name}"] for name in variables]
            head = f"old key {mask(key_id)}, replaced by {mask(new)}" if new else ""
            head = head or f"key {mask(key_id)} of {join(self._profiles[key_id])}"
            app.out(app.style(f"{head}:" if rows else f"{head}: nothing else here has it", bold=True))
            for line in table([("", ""), *rows], app.width())[1:]:
                app.out(f"  {line}")
        tally = self._tally
        app.say(f"Read {number(tally.files, 'file')}.")
        if tally.unreadable:
            app.say(f"{len(tally.unreadable):,} could not be read ({self._some(tally.unreadable)}).")
        for reason, paths in tally.skipped.items():
            app.say(f"Skipped {len(paths):,} ({reason}: {self._some(paths)}).")
        if not self._paths:
            app.say("To read everything in a folder: rotate-my-key scan FOLDER")

    def _some(self, paths: Sequence[str]) -> str:
        return ", ".join([*map(self._app.show_path, paths[:3]), *(["..."] if len(paths) > 3 else [])])

    def json(self) -> dict[str, Any]:
        """What was found; ids are whole, values are never in it."""
        return {
            "keys": [self._key_json(key_id) for key_id in dict.fromkeys([*self._profiles, *self._successor])],
            "files_read": self._tally.files,
            "unreadable": len(self._tally.unreadable),
            "skipped": {reason: len(paths) for reason, paths in self._tally.skipped.items()},
            "processes_read": True,
        }

    def _key_json(self, key_id: str) -> dict[str, Any]:
        copies, processes, variables = self._of(key_id)
        return {
            "key_id": key_id,
            "profiles": self._profiles.get(key_id, []),
            "replaced_by": self._successor.get(key_id),
            "files": [copy.json() for copy in copies],
            "processes": [{"pid": p.pid, "name": p.name, "where": p.where} for p in processes],
            "variables": variables,
        }
