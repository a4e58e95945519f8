"""What is remembered between runs: past rotations, keys that were handed over and are to be replaced, commands that are
to run after a rotation, and what AWS last said of the keys here. Ids only, no secrets.

On the fast path, for `history` and `status --cached`: it imports little."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..core.policy import Past, PendingChange, Row
from ..files.write import append_private, make_private_dir, read_private, remove_private, write_private
from .records import Form, KeyFiles

_MOST = 64 << 20  # bytes; a line has about 300
_PAST = Form(Past)


class FileHistory:
    """Past rotations: a record a line, appended and fsynced. A line that cannot be read is passed over: it tells of the
    past and stops nothing."""

    def __init__(self, path: str) -> None:
        self._path = path

    def add(self, past: Past) -> None:
        """Append one line, fsynced. Raises Problem if the disk is full or the file cannot be written."""
        append_private(self._path, _PAST.encode(past._replace(at=past.at.replace(microsecond=0))))

    def entries(self) -> tuple[Past, ...]:
        """All lines that can be read, oldest first."""
        lines = (read_private(self._path, _MOST) or b"").split(b"\n")
        return tuple(past for line in lines if line and (past := _PAST.find(line)))


class Mark(NamedTuple):
    """What a person agreed to, for whoever finishes it. `replaces` is the id of the key that goes though no place here
    holds it, or ""; `delivery` names what is to be removed (never a link), `signer` the profile that may, or ""."""

    replaces: str = ""
    delivery: str = ""
    signer: str = ""


_MARK = Form(Mark)
_NO_MORE = Mark()
_NO_ID = re.compile(r"(?![A-Z0-9]{4,128}$).")


class HandedKeys:
    """Keys that somebody handed over (IT, the console) and that are to be replaced whatever their age: `adopt` marks
    them before it writes them, so that a run that is killed in between does not leave such a key in use."""

    def __init__(self, folder: str) -> None:
        self._folder = KeyFiles(folder)

    def mark(self, key_id: str, what: Mark = _NO_MORE) -> None:
        """Remember, durably, that this key is to be replaced. Raises Problem."""
        make_private_dir(self._folder.path)
        write_private(self._folder.file(key_id), _MARK.encode(what))

    def read(self, key_id: str) -> Mark:
        """What was agreed to. What cannot be read, or was written by an older version, agrees to nothing more."""
        what = _MARK.find(read_private(self._folder.file(key_id)))
        return _NO_MORE if what is None or _NO_ID.match(what.replaces) else what

    def ids(self) -> tuple[str, ...]:
        """The ids that are marked."""
        return self._folder.ids()

    def clear(self, key_id: str) -> None:
        """Forget it: it was replaced, or nothing here holds it."""
        remove_private(self._folder.file(key_id))


_CHANGE = Form(PendingChange)


class PendingChanges:
    """Rotations of which the [after_rotate] commands are told. A record is written before a place is changed, and goes
    when they have run and the rotation has ended: a run that is killed in between leaves it to the next. Every verb may
    raise Problem."""

    def __init__(self, folder: str) -> None:
        self._folder = KeyFiles(folder, ".json")

    def save(self, change: PendingChange) -> None:
        """Write the record anew, durably."""
        make_private_dir(self._folder.path)
        write_private(self._folder.file(change.name), _CHANGE.encode(change))

    def all(self) -> tuple[PendingChange, ...]:
        """The records that can be read."""
        return tuple(change for name in self._folder.ids() if (change := self.load(name)))

    def drop(self, name: str) -> None:
        """All is done."""
        remove_private(self._folder.file(name))

    def load(self, name: str) -> PendingChange | None:
        """The record of one rotation, if there is one that this version can read."""
        return _CHANGE.find(read_private(self._folder.file(name)))


_LARGEST = 16 << 20  # bytes

Stamps = dict[str, tuple[int, ...] | None]


class _Seen(NamedTuple):
    files: Stamps
    rows: tuple[Row, ...]


_SEEN = Form(_Seen)


class Cached(NamedTuple):
    """The rows, and whether the profile files are still as they were when the rows were written."""

    rows: list[Row]
    current: bool


class FileCache:
    """What AWS last said of the keys here, in one file of the state dir: for `status --cached` and for the reminder.
    Nothing is decided by it: a file that is missing, torn or of another version is an empty one, and it is read without
    the checks of `files/write.py`, for it is only shown. The rows are those of `status --json`, facts only; the verdict
    is worked out anew each time. `files` are the profile files, which are read after this was made. `saved` is told
    each time of the rows."""

    def __init__(self, path: str, files: Sequence[str], saved: Callable[[Sequence[Row]], None] | None = None) -> None:
        self._path, self._files, self._saved = path, files, saved
        self._before = self._stamps()

    def load(self) -> Cached:
        """Read it; no rows if there is nothing that makes sense."""
        try:
            with open(self._path, "rb") as file:
                seen = _SEEN.find(file.read(_LARGEST))
        except OSError:
            seen = None
        return Cached(list(seen.rows), seen.files == self._stamps()) if seen else Cached([], False)

    def save(self, rows: Sequence[Row]) -> None:
        """Write all rows, unless a file has changed since this was made: whoever changed it may know more, and the next
        login asks. Raises Problem for a disk that is full or not ours."""
        if self._stamps() != self._before:
            return
        make_private_dir(os.path.dirname(self._path))
        write_private(self._path, _SEEN.encode(_Seen(self._before, tuple(rows))))
        if self._saved:
            self._saved(rows)

    def _stamps(self) -> Stamps:
        return {path: _stamp(path) for path in self._files}


def _stamp(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
