"""The notes of rotations under way: one JSON file a key in the state dir, 0600, fsynced, with a version.

A note holds no secret. A newer version is left alone, with one line.

Where the pairs of a rotation rest outside their places: one private file a pair, in a folder of their own.

A record is JSON padded with blanks to a fixed size, with a checksum: one that is torn, or only reserved, is no record.
The room is taken beforehand, so that storing the secret of a key that AWS has just made needs no more of the disk.
"""

from __future__ import annotations

import json
import os
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ..core.errors import Problem, TryLater, Unreadable, mask
from ..core.model import Credentials, Identity, InPlace, Place, PlaceKind
from ..core.plan import NOTE_VERSION, Note
from ..files.private import (
    create_private,
    make_private_dir,
    overwrite_private,
    read_private,
    remove_private,
    reserve_private,
    write_private,
)

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


SIZE = 4096  # bytes; a note with a few dozen places fits, a longer one takes a multiple
VERSION = 1
ROLES = ("staged", "kept")

_FILE = re.compile(r"([A-Z0-9]{4,128})\.(staged|kept)")


class FileStaging:
    """The `Staging` port over `<name>.staged` and `<name>.kept` in `folder`. All verbs may raise Problem."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def reserve(self, name: str, places: Collection[Place] = ()) -> None:
        """Take the room for a staged record, unless there is one."""
        make_private_dir(self._folder)
        if self._read(name, "staged") is None:
            reserve_private(self._path(name, "staged"), SIZE)

    def put(self, name: str, role: str, pair: Credentials, record: bytes = b"") -> None:
        """Store a pair, and the note that goes with it. A record already there is replaced at once, never half."""
        path, data = self._path(name, role), _encode(pair, record)
        if len(data) == self._reserved(path) and self._read(name, role) is None:
            return overwrite_private(path, data)
        make_private_dir(self._folder)
        return write_private(path, data)

    def get(self, name: str) -> dict[str, Credentials]:
        """The pairs that can be read, by role."""
        found = {role: self._read(name, role) for role in ROLES}
        return {role: read[0] for role, read in found.items() if read}

    def get_record(self, name: str) -> bytes | None:
        """What was stored along with the staged pair, else with the kept one; None if neither can be read."""
        for role in ROLES:
            read = self._read(name, role)
            if read:
                return read[1]
        return None

    def names(self) -> tuple[str, ...]:
        """The rotations of which there is a file here, readable or not."""
        try:
            found = (_FILE.fullmatch(entry) for entry in os.listdir(self._folder))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise Problem(f"cannot read {self._folder}: {error.strerror}", f"ls -ld {self._folder}") from None
        return tuple(sorted({match[1] for match in found if match}))

    def drop(self, name: str) -> None:
        """Remove both records."""
        for role in ROLES:
            remove_private(self._path(name, role))

    def where(self, name: str) -> str:
        """See the port."""
        return self._folder

    def _path(self, name: str, role: str) -> str:
        file = f"{name}.{role}"
        if not _FILE.fullmatch(file):
            raise Problem(f"{file!r} is no name for a staged record", "rotate-my-key status")
        return os.path.join(self._folder, file)

    def _reserved(self, path: str) -> int:
        try:
            return os.lstat(path).st_size
        except OSError:
            return 0

    def _read(self, name: str, role: str) -> tuple[Credentials, bytes] | None:
        data = read_private(self._path(name, role))
        return None if data is None else self._decode(data, name, role)

    def _decode(self, data: bytes, name: str, role: str) -> tuple[Credentials, bytes] | None:
        import json

        try:
            body = json.loads(data)
            if body.pop("checksum") != _checksum(body):
                return None
            if body["version"] > VERSION:
                raise Problem(f"{self._path(name, role)} was written by a newer rotate-my-key", "use that version")
            return Credentials(body["key_id"], body["secret"], body["token"]), b64decode(body["record"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return None


def _encode(pair: Credentials, record: bytes) -> bytes:
    import json

    body = {
        "version": VERSION,
        "key_id": pair.key_id,
        "secret": pair.secret,
        "token": pair.token,
        "record": b64encode(record).decode(),
    }
    data = json.dumps({**body, "checksum": _checksum(body)}).encode()
    return data + b" " * (-(len(data) + 1) % SIZE) + b"\n"


def _checksum(body: dict[str, object]) -> str:
    import hashlib
    import json

    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
