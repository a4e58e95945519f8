"""What is stored of each rotation under way, by the id of the key that was to be replaced: its note, and its pairs.

A note is a private file, fsynced, without a secret. The pairs rest in a private file each while they are in no place of
their own: a record padded with blanks to a fixed size, with a checksum, so that one that is torn, or only reserved, is
no record. The room is taken beforehand: to store the secret of a key that AWS has just made needs no more of the disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from typing import NamedTuple

from ..core.errors import TryLater, Unreadable
from ..core.model import Credentials, Place
from ..core.plan import NOTE_VERSION, Note
from ..core.policy import mask
from ..files.write import (
    create_private,
    make_private_dir,
    overwrite_private,
    read_private,
    remove_private,
    reserve_private,
    write_private,
)
from .records import Form, KeyFiles

SIZE = 4096  # bytes; a note with a few dozen places fits, a longer one takes a multiple
ROLES = ("staged", "kept")

_NOTE = Form(
    Note,
    NOTE_VERSION,
    among=("identity", "place"),
    newer=("a newer rotate-my-key began a rotation here; it is left alone", "rotate-my-key --version"),
    wrong=("a note of an unfinished rotation cannot be read", "rotate-my-key"),
)


class FileNotes:
    """Notes in one directory."""

    def __init__(self, directory: str) -> None:
        self._folder = KeyFiles(directory, ".note")

    def names(self) -> tuple[str, ...]:
        """The names of all notes, readable or not, oldest first."""
        return self._folder.ids()

    def load(self, name: str) -> Note | None:
        """The note, or None if there is none. Raises Unreadable; Newer for a note of a newer version."""
        data = read_private(self._folder.file(name))
        return None if data is None else self.decode(data)

    def create(self, note: Note) -> None:
        """Write a new note, fsynced. Raises TryLater if there is one of that name already."""
        make_private_dir(self._folder.path)
        if not create_private(self._folder.file(note.name), self.encode(note)):
            raise TryLater(f"a rotation of key {mask(note.name)} is under way", "rotate-my-key")

    def save(self, note: Note) -> None:
        """Replace the note, fsynced."""
        write_private(self._folder.file(note.name), self.encode(note))

    def remove(self, name: str) -> None:
        """Remove the note; a note that is not there is removed already."""
        remove_private(self._folder.file(name))

    def set_aside(self, name: str) -> str:
        """Move an unreadable note out of the way; gives the path where it now is."""
        aside = f"{self._folder.file(name)}.unreadable-{int(time.time())}"
        os.replace(self._folder.file(name), aside)
        return aside

    def encode(self, note: Note) -> bytes:
        """The note as JSON text."""
        return _NOTE.encode(note)

    def decode(self, record: bytes) -> Note:
        """The note from JSON text. Raises Unreadable; Newer for a newer version."""
        return _NOTE.decode(record)


class _Stored(NamedTuple):
    """A pair, and the note that goes with it."""

    pair: Credentials
    record: bytes


_STORED = Form(
    _Stored,
    among=("pair",),
    newer=("a stored pair was written by a newer rotate-my-key", "use that version"),
    checked=True,
)


class FileStaging:
    """The `Staging` port over `<name>.staged` and `<name>.kept` in a folder. All verbs may raise Problem."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._files = {role: KeyFiles(folder, f".{role}") for role in ROLES}

    def reserve(self, name: str, places: Collection[Place] = ()) -> None:
        """Take the room for a staged record, unless there is one."""
        make_private_dir(self._folder)
        if self._read(name, "staged") is None:
            reserve_private(self._files["staged"].file(name), SIZE)

    def put(self, name: str, role: str, pair: Credentials, record: bytes = b"") -> None:
        """Store a pair, and the note that goes with it. A record already there is replaced at once, never half."""
        path, data = self._files[role].file(name), _STORED.encode(_Stored(pair, record))
        data += b" " * (-(len(data) + 1) % SIZE) + b"\n"
        if os.path.lexists(path) and os.lstat(path).st_size == len(data) and self._read(name, role) is None:
            return overwrite_private(path, data)
        make_private_dir(self._folder)
        return write_private(path, data)

    def get(self, name: str) -> dict[str, Credentials]:
        """The pairs that can be read, by role."""
        return {role: read.pair for role in ROLES if (read := self._read(name, role))}

    def get_record(self, name: str) -> bytes | None:
        """What was stored along with the staged pair, else with the kept one; None if neither can be read."""
        return next((read.record for role in ROLES if (read := self._read(name, role))), None)

    def names(self) -> tuple[str, ...]:
        """The rotations of which there is a file here, readable or not."""
        return tuple(sorted({name for files in self._files.values() for name in files.ids()}))

    def drop(self, name: str) -> None:
        """Remove both records."""
        for files in self._files.values():
            remove_private(files.file(name))

    def where(self, name: str) -> str:
        """See the port."""
        return self._folder

    def _read(self, name: str, role: str) -> _Stored | None:
        """None for a record that is torn, or only reserved. Raises Newer."""
        data = read_private(self._files[role].file(name)) or b""
        try:
            return _STORED.decode(data) if data.strip() else None
        except Unreadable:
            return None
