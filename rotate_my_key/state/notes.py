"""The notes of rotations under way, by the id of the key that was to be replaced: private files, fsynced, no secret."""

from __future__ import annotations

import os
import time

from ..core.errors import TryLater
from ..core.hints import Hint
from ..core.plan import NOTE_VERSION, Note
from ..core.policy import mask
from ..files.write import (
    create_private,
    make_private_dir,
    read_private,
    remove_private,
    write_private,
)
from .records import Form, KeyFiles

_NOTE = Form(
    Note,
    NOTE_VERSION,
    among=("identity", "place"),
    newer=("a newer rotate-my-key began a rotation here; it is left alone", Hint("--version")),
    wrong=("a note of an unfinished rotation cannot be read", Hint()),
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
            raise TryLater(f"a rotation of key {mask(note.name)} is under way", Hint())

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
