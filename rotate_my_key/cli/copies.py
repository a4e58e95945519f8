"""The talk about other copies of a key: what `rotate` says and asks of them, and what became of each."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.errors import Problem
from ..core.model import Credentials
from ..core.plan import Note
from ..core.words import join
from ..rotation.facts import LocalState

if TYPE_CHECKING:
    from ..copies.change import Finding
    from ..copies.find import Copies
    from .app import App

_SHOWN = 5  # files named in a row; `scan` names all


class OtherCopies:
    """The port `Copies` of a rotation, for this computer. `wanted` is a yes to the question, or the setting."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._seen: dict[str, list[Finding]] = {}
        self._done: dict[str, list[Finding]] = {}
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self.agreed = False

    @property
    def wanted(self) -> bool:
        """Whether a rotation that begins now changes other files."""
        return self.agreed or self._app.settings.update_copies

    @cached_property
    def files(self) -> Copies:
        """The copies on this computer; loaded when first needed."""
        return find(self._app)

    def tell(self, pairs: Sequence[Credentials]) -> None:
        """Say, once a run, how many other files hold these pairs; if they shall change, also which of them cannot."""
        from ..copies.change import Why

        with self._lock:  # keys of several users are rotated side by side
            new = [pair for pair in pairs if pair.key_id not in self._seen]
            found = self._glance(new, self.files.remembered() if new and self.wanted else ())
        paths = list(dict.fromkeys(f.path for f in found if f.why is not Why.UNREADABLE))
        if paths:
            one, them = len(paths) == 1, "it" if len(new) == 1 else "them"
            files = "1 other file here holds" if one else f"{len(paths)} other files here hold"
            self._app.say(f"{files} {them} too: {self._names(paths)}")
        if self.wanted:
            self._say_what_stays(found, will_stay)

    def _say_what_stays(self, found: Iterable[Finding], line: Callable[[Finding, str], str]) -> None:
        """Which files do not take the new key, each once a run; those that should have it with --quiet too."""
        from ..copies.change import Why

        for finding in found:
            text = line(finding, self._app.show_path(finding.path))
            if finding.why not in (Why.COPY, Why.UPDATED) and text not in self._said:
                self._said.add(text)
                (self._app.complain if finding.why.owed else self._app.say)(f"  {text}")

    def foresee(self, pair: Credentials) -> list[Finding]:
        """What a rotation of this pair meets: the well-known files and those that earlier scans found."""
        return self._glance([pair], self.files.remembered())

    def found(self, key_id: str) -> list[Finding]:
        """What was seen in this run of the files that hold this key, or held it: changed, or why not."""
        from ..copies.change import Why

        done = {f.path: f for f in self._done.get(key_id, [])}
        found = [*(done.pop(f.path, f) for f in self._seen.get(key_id, [])), *done.values()]
        return [f for f in found if f.why is not Why.UNREADABLE or self._waits(key_id)]

    def _waits(self, key_id: str) -> bool:
        return self.wanted or key_id in self._done

    def json(self, key_id: str) -> list[dict[str, Any]]:
        """The same as `--json` gives it; never a value. `owed`: the old key works until this file has the new one."""
        waits, found = self._waits(key_id), self.found(key_id)
        return [{**each, "owed": waits and f.why.owed} for each, f in zip(to_json(found), found, strict=True)]

    def ask(self) -> None:
        """Ask, of what `tell` found and of what earlier scans did, whether it shall change with the keys."""
        from ..copies.change import Why

        found = [f for each in self._seen.values() for f in each]
        good = len({f.path for f in found if f.why is Why.COPY})
        earlier = len(set(self.files.remembered()) - {f.path for f in found})
        if self.wanted or not (good or earlier):
            return
        self._say_what_stays(found, will_stay)
        what = [_files(good) if good else "", f"{_files(earlier)} that earlier scans found" if earlier else ""]
        flag = "rotate-my-key rotate --update-copies"
        self.agreed = self._app.confirm(f"Change {join(list(filter(None, what)))} too?", default=True, flag=flag)

    def _glance(self, pairs: Sequence[Credentials], also: Sequence[str] = ()) -> list[Finding]:
        if not pairs:
            return []
        from ..copies.forms import Forms

        found = self.files.glance([Forms(pair) for pair in pairs], also)
        for pair in pairs:
            self._seen[pair.key_id] = [f for f in found if f.key_id == pair.key_id]
        return found

    def update(self, old: Credentials, new: Credentials) -> tuple[str, ...]:
        """See the port."""
        found = self.files.update(old, new)
        with self._lock:
            self._done[old.key_id] = self._done[new.key_id] = found
        for line in changed(found, self._app.show_path):
            self._app.say(f"  {line}")
        self._say_what_stays(found, stays)
        return tuple(f.path for f in found if f.why.owed)

    def _names(self, paths: Sequence[str]) -> str:
        return few([self._app.show_path(path) for path in paths])


def few(paths: Sequence[str]) -> str:
    """The first of these paths, and how many more there are."""
    return join(paths) if len(paths) <= _SHOWN else f"{', '.join(paths[:_SHOWN])} and {len(paths) - _SHOWN} more"


def find(app: App) -> Copies:
    """The copies on this computer."""
    from ..copies.find import Copies, Memory

    paths = app.paths
    memory = Memory(os.path.join(paths.state_dir, "copies.json"))
    return Copies(paths.home, (paths.credentials, paths.config), paths.state_dir, memory)


class Kept(NamedTuple):
    """A rotation whose places hold the new pair already, and whose old one is still here."""

    note: Note
    old: Credentials
    new: Credentials


def kept(here: LocalState) -> list[Kept]:
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
        held = {h.pair for h in here.places.search([note.wanted]) if h.pair}
        new = pairs.get(note.wanted) or next(iter(held), None)
        if new in held and new is not None:
            found.append(Kept(note, pairs[note.unwanted], new))
    return found


def changed(found: Iterable[Finding], show_path: Callable[[str], str]) -> list[str]:
    """One line for the files that were changed, one for each of them that others can read."""
    from ..copies.change import Why

    done = {show_path(f.path): f.detail for f in found if f.why is Why.UPDATED}
    lines = [f"{few(list(done))}: changed"] if done else []
    return lines + [f"{path}: {detail}; chmod 600 keeps them out" for path, detail in done.items() if detail]


def will_stay(finding: Finding, path: str) -> str:
    """What is said of a file, before anything is done, that cannot take the new key now."""
    if finding.why.owed:
        why = means(finding)
        return f"{path} cannot be changed now, so the old key will go on working until it has the new one: {why}"
    return stays(finding, path)


def stays(finding: Finding, path: str) -> str:
    """What is said of a file that did not take the new key."""
    how = "is not changed yet" if finding.why.owed else "is left as it is"
    return f"{path} {how}: {means(finding)}"


def foreseen(found: Iterable[Finding], show_path: Callable[[str], str], *, wanted: bool) -> list[str]:
    """The lines of `--dry-run`: what would become of the files, if they are `wanted` to change and if not."""
    from ..copies.change import Why

    found = list(found)
    good = [show_path(f.path) for f in found if f.why is Why.COPY]
    unless = "" if wanted else f" with --update-copies, and {'keeps' if len(good) == 1 else 'keep'} the old key without"
    lines = [f"{few(good)} would be changed{unless}"] if good else []
    for finding in found:
        path = show_path(finding.path)
        if wanted and finding.why.owed:
            lines.append(will_stay(finding, path))
        elif finding.why is not Why.COPY:
            lines.append(f"{path} would be left as it is: {means(finding)}")
    return ["Other files here hold it too:", *(f"  {line}" for line in lines)] if lines else []


def to_json(found: Iterable[Finding]) -> list[dict[str, Any]]:
    """Files that hold a key, as `--json` gives them; never a value."""
    return [{"path": f.path, "finding": f.why.value, "means": means(f)} for f in found]


def means(finding: Finding) -> str:
    """What it means that a file holds a key: why it can, or cannot, be changed."""
    if finding.why.value == "unreadable" and finding.detail:
        return finding.detail
    text = _MEANS[finding.why.value]
    return f"{text} ({finding.detail})" if finding.detail else text


_MEANS = {
    "copy": "can be changed with the key",
    "updated": "changed",
    "profile": "a profile file, which a rotation changes itself",
    "shell history": "a history of what was typed; once the key is gone the line does no harm, and is best deleted",
    "log": "a log of the past, which nothing reads the key from; find out what writes keys there",
    "terraform state": "Terraform's state, written only by Terraform: give it the new key and run terraform apply",
    "notebook output": "a notebook printed it; clear the output of its cells, and read keys from a profile",
    "tracked by git": "tracked by git: a key there goes to whoever gets the repository; read it from a profile instead",
    "id without its secret": "names the id only; whatever holds its secret is elsewhere",
    "secret without its id": "holds the secret only; change it together with the file that names the id",
    "unknown spelling": "spelled in a way that is not known; put the new key in by hand",
    "binary": "not a text file; let the program that wrote it change it",
    "large": "too large to be changed safely; edit it by hand",
    "another user's": "belongs to another user, who can change it",
    "read-only": "cannot be written; chmod u+w lets it be changed",
    "cannot be replaced": "cannot be replaced at once; put the new key in by hand",
    "unreadable": "cannot be read or written",
    "changed meanwhile": "another program writes it; close that, then run the command again",
}


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
