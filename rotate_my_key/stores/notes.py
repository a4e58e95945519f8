"""The notes of rotations under way: one JSON file a key in the state dir, 0600, fsynced, with a version.

A note holds no secret. A newer version is left alone, with one line.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ..errors import Problem, TryLater, Unreadable, mask
from ..files.private import create_private, make_private_dir, read_private, remove_private, write_private
from ..model import Identity, InPlace, Place, PlaceKind
from ..plan import NOTE_VERSION, Note

_NAME = re.compile(r"[A-Z0-9]{4,128}")
_SUFFIX = ".note"
_TEXTS = ("name", "endpoint", "wanted", "unwanted", "may_delete", "host", "boot")
_MARKS = ("again", "undo", "told", "copies", "followed", "leaked", "extended")
_TIMES = ("began", "switch_off_at", "delete_at", "sent", "made")


class FileNotes:
    """Notes in one directory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def names(self) -> tuple[str, ...]:
        """The names of all notes, readable or not, oldest first."""
        try:
            entries = [e for e in os.scandir(self._directory) if e.name.endswith(_SUFFIX)]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise Problem(
                f"the folder of notes cannot be read: {error.strerror}", f"ls -la {self._directory}"
            ) from None
        entries.sort(key=lambda e: e.stat(follow_symlinks=False).st_mtime)
        names = [e.name.removesuffix(_SUFFIX) for e in entries]
        return tuple(name for name in names if _NAME.fullmatch(name))

    def load(self, name: str) -> Note | None:
        """The note, or None if there is none. Raises Unreadable; Problem for a note of a newer version."""
        data = read_private(self._path(name))
        return None if data is None else self.decode(data)

    def create(self, note: Note) -> None:
        """Write a new note, fsynced. Raises TryLater if there is one of that name already."""
        make_private_dir(self._directory)
        if not create_private(self._path(note.name), self.encode(note)):
            raise TryLater(f"a rotation of key {mask(note.name)} is under way", "rotate-my-key")

    def save(self, note: Note) -> None:
        """Replace the note, fsynced."""
        write_private(self._path(note.name), self.encode(note))

    def remove(self, name: str) -> None:
        """Remove the note; a note that is not there is removed already."""
        remove_private(self._path(name))

    def set_aside(self, name: str) -> str:
        """Move an unreadable note out of the way; gives the path where it now is."""
        aside = f"{self._path(name)}.unreadable-{int(time.time())}"
        os.replace(self._path(name), aside)
        return aside

    def encode(self, note: Note) -> bytes:
        """The note as JSON text."""
        return json.dumps(_plain(note), indent=1).encode()

    def decode(self, record: bytes) -> Note:
        """The note from JSON text. Raises Unreadable; Problem for a newer version."""
        try:
            value = json.loads(record)
            version = int(value["version"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            raise Unreadable("a note of an unfinished rotation cannot be read", "rotate-my-key") from None
        if version > NOTE_VERSION:
            raise Problem("a newer rotate-my-key began a rotation here; it is left alone", "rotate-my-key --version")
        try:
            return _note(value)
        except (ValueError, KeyError, TypeError, OverflowError):
            raise Unreadable("a note of an unfinished rotation cannot be read", "rotate-my-key") from None

    def _path(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise Problem("a key id has an unusual form", "rotate-my-key status")
        return os.path.join(self._directory, name + _SUFFIX)


def _plain(note: Note) -> dict[str, Any]:
    """A note as JSON values; times are ISO 8601 in UTC."""
    value: dict[str, Any] = {"version": NOTE_VERSION}
    for field in (*_TEXTS, *_MARKS):
        value[field] = getattr(note, field)
    value["account"], value["arn"] = note.identity.account, note.identity.arn
    value["known"] = list(note.known)
    for field in _TIMES:
        moment = getattr(note, field)
        value[field] = moment.isoformat() if moment else None
    value["lost"] = [moment.isoformat() for moment in note.lost]
    value["places"] = [_plain_place(place) for place in note.places]
    value["in_place"] = [
        {**_plain_place(write.place), "offset": write.offset, "length": write.length} for write in note.in_place
    ]
    return value


def _plain_place(place: Place) -> dict[str, Any]:
    return {"path": place.path, "profile": place.profile, "kind": place.kind.value}


def _note(value: dict[str, Any]) -> Note:
    note = Note(
        name=_text(value["name"]),
        identity=Identity(_text(value["account"]), _text(value["arn"])),
        endpoint=_text(value["endpoint"]),
        unwanted=_text(value["unwanted"]),
        known=tuple(_text(known) for known in _list(value["known"])),
        places=tuple(_place(place) for place in _list(value["places"])),
        began=_time(value["began"]),
        switch_off_at=_time(value["switch_off_at"]),
        delete_at=_time(value["delete_at"]),
    )
    return replace(
        note,
        wanted=_text(value["wanted"]) if value["wanted"] else None,
        may_delete=_text(value["may_delete"]) if value["may_delete"] else None,
        sent=None if value["sent"] is None else _time(value["sent"]),
        made=_time(value["made"]) if value.get("made") else None,
        lost=tuple(_time(sent) for sent in _list(value["lost"])),
        in_place=tuple(InPlace(_place(w), int(w["offset"]), int(w["length"])) for w in _list(value["in_place"])),
        again=bool(value["again"]),
        undo=bool(value["undo"]),
        told=bool(value["told"]),
        copies=bool(value.get("copies")),
        followed=bool(value.get("followed")),
        leaked=bool(value.get("leaked")),
        extended=bool(value.get("extended")),
        host=_text(value["host"]),
        boot=_text(value["boot"]),
    )


def _place(value: dict[str, Any]) -> Place:
    return Place(_text(value["path"]), _text(value["profile"]), PlaceKind(value["kind"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _time(value: object) -> datetime:
    """A time with its zone."""
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)
