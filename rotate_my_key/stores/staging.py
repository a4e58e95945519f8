"""Where the pairs of a rotation rest outside their places: one private file a pair, in a folder of their own.

A record is JSON padded with blanks to a fixed size, with a checksum: one that is torn, or only reserved, is no record.
The room is taken beforehand, so that storing the secret of a key that AWS has just made needs no more of the disk.
"""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Collection

from ..errors import Problem
from ..files.private import (
    make_private_dir,
    overwrite_private,
    read_private,
    remove_private,
    reserve_private,
    write_private,
)
from ..model import Credentials, Place

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
