"""What was done here, and what of it is still owed: past rotations, keys that were handed over and are to be replaced,
commands that are to run after a rotation. Ids only, no secrets."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..core.policy import Past, PendingChange
from ..files.private import append_private, make_private_dir, read_private, remove_private, write_private
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
