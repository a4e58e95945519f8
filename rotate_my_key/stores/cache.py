"""What AWS last said of the keys here, and which profiles held them: for `status --cached` and the reminder.

Nothing is decided by it: a file that is missing, torn or of another version is an empty one. No secrets.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..files.private import make_private_dir, read_private, write_private
from ..model import AccessKey, Identity, LastUse, Place, PlaceKind, ProfileUse, Seen

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Cached:
    """The content: when it was last brought up to date, the profiles then, and the keys by id."""

    at: datetime | None
    uses: tuple[ProfileUse, ...]
    seen: Mapping[str, Seen]
    current: bool  # whether the profile files are still as they were then


class FileCache:
    """The cache in one file of the state dir."""

    def __init__(self, path: str) -> None:
        self._path = path

    def load(self, files: Sequence[str]) -> Cached:
        """Read it; `files` are the profile files, to see whether they have changed since."""
        value = self._read()
        if value is None:
            return Cached(None, (), {}, False)
        try:
            seen = {key_id: _seen(key_id, entry) for key_id, entry in value["keys"].items()}
            uses = tuple(_use(use) for use in value["profiles"])
            return Cached(datetime.fromisoformat(value["at"]), uses, seen, value["files"] == _stamps(files))
        except (KeyError, TypeError, ValueError, AttributeError):
            return Cached(None, (), {}, False)

    def save(self, at: datetime, uses: Iterable[ProfileUse], seen: Mapping[str, Seen], files: Sequence[str]) -> None:
        """Write all of it. Raises Problem for a disk that is full or not ours."""
        value = {
            "version": _VERSION,
            "at": at.isoformat(),
            "files": _stamps(files),
            "profiles": [_plain_use(use) for use in uses],
            "keys": {key_id: _plain(entry) for key_id, entry in seen.items()},
        }
        make_private_dir(os.path.dirname(self._path))
        write_private(self._path, json.dumps(value).encode())

    def merge(self, entry: Seen, gone: Iterable[str], files: Sequence[str]) -> None:
        """Put in what a rotation learnt about one key, and take out those that are gone.

        Which profile holds what is read afresh by the next `status`: the stamps of the files do not fit any more.
        """
        old = self.load(files)
        gone = set(gone)
        seen = {**{k: v for k, v in old.seen.items() if k not in gone}, entry.key_id: entry}
        uses = [replace(use, key_id=entry.key_id) if use.key_id in gone else use for use in old.uses]
        self.save(entry.at if old.at is None else old.at, uses, seen, files)

    def _read(self) -> dict[str, Any] | None:
        try:
            value = json.loads(read_private(self._path) or b"null")
        except ValueError:
            return None
        return value if isinstance(value, dict) and value.get("version") == _VERSION else None


def _stamps(files: Sequence[str]) -> dict[str, list[int] | None]:
    return {path: _stamp(path) for path in files}


def _stamp(path: str) -> list[int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size, status.st_ino]


def _plain(seen: Seen) -> dict[str, Any]:
    use = seen.last_use
    return {
        "at": seen.at.isoformat(),
        "account": seen.identity.account if seen.identity else None,
        "arn": seen.identity.arn if seen.identity else None,
        "status": seen.key.status if seen.key else None,
        "created": seen.key.created.isoformat() if seen.key else None,
        "last_use": [use.at.isoformat() if use.at else None, use.service, use.region] if use else None,
        "exempt": seen.exempt,
        "refused": seen.refused,
        "unknown": seen.unknown,
    }


def _seen(key_id: str, value: dict[str, Any]) -> Seen:
    use = value["last_use"]
    return Seen(
        key_id=key_id,
        at=_time(value["at"]),
        identity=Identity(value["account"], value["arn"]) if value["arn"] else None,
        key=AccessKey(key_id, value["status"], _time(value["created"])) if value["created"] else None,
        last_use=LastUse(_time(use[0]) if use[0] else None, use[1], use[2]) if use else None,
        exempt=bool(value["exempt"]),
        refused=value["refused"],
        unknown=value["unknown"],
    )


def _plain_use(use: ProfileUse) -> dict[str, Any]:
    place = use.place
    where = {"path": place.path, "profile": place.profile, "kind": place.kind.value} if place else None
    return {"profile": use.profile, "kind": use.kind, "key_id": use.key_id, "place": where, "note": use.note}


def _use(value: dict[str, Any]) -> ProfileUse:
    where = value["place"]
    place = Place(where["path"], where["profile"], PlaceKind(where["kind"])) if where else None
    return ProfileUse(value["profile"], value["kind"], value["key_id"], place, value["note"])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
