"""Past rotations on this computer: one JSON object a line, appended and fsynced; no secrets.

A line that cannot be read is passed over: it tells of the past and stops nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from ..core.model import Past
from ..files.private import append_private, read_private

_VERSION = 1
_MOST = 64 << 20  # bytes; a line has about 300


class FileHistory:
    """The history in one file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def add(self, past: Past) -> None:
        """Append one line, fsynced. Raises Problem if the disk is full or the file cannot be written."""
        value = {
            "version": _VERSION,
            "at": past.at.isoformat(timespec="seconds"),
            "action": past.action,
            "account": past.account,
            "arn": past.arn,
            "old": past.old,
            "new": past.new,
            "deleted": list(past.deleted),
            "places": list(past.places),
        }
        append_private(self._path, json.dumps(value).encode())

    def entries(self) -> tuple[Past, ...]:
        """All lines that can be read, oldest first."""
        data = read_private(self._path, _MOST) or b""
        return tuple(past for line in data.split(b"\n") if line for past in _read(line))


def _read(line: bytes) -> Iterator[Past]:
    try:
        value = json.loads(line)
        yield Past(
            at=datetime.fromisoformat(value["at"]).astimezone(UTC),
            action=str(value["action"]),
            account=str(value["account"]),
            arn=str(value["arn"]),
            old=str(value["old"]),
            new=None if value["new"] is None else str(value["new"]),
            deleted=tuple(map(str, value["deleted"])),
            places=tuple(map(str, value["places"])),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return
