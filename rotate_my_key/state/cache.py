"""What AWS last said of the keys here: for `status --cached` and for the reminder. No secrets, and nothing is decided
by it: a file that is missing, torn or of another version is an empty one.

The rows are those of `status --json`, facts only; the verdict is worked out anew each time. This module is on the fast
path: it imports little, and the file is read without the checks of `files/private.py`, for it is only shown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

VERSION = 1
_MOST = 16 << 20  # bytes

Row = dict[str, Any]


class Cached(NamedTuple):
    """The rows, and whether the profile files are still as they were when the rows were written."""

    rows: list[Row]
    current: bool


class FileCache:
    """The cache in one file of the state dir; `files` are the profile files. `saved` is told each time of the rows."""

    def __init__(self, path: str, files: Sequence[str], saved: Callable[[Sequence[Row]], None] | None = None) -> None:
        self._path = path
        self._files = files
        self._saved = saved

    def load(self) -> Cached:
        """Read it; no rows if there is nothing that makes sense."""
        try:
            with open(self._path, "rb") as file:
                value = json.loads(file.read(_MOST))
            if value["version"] != VERSION:
                return Cached([], False)
            return Cached([row for row in value["rows"] if isinstance(row, dict)], value["files"] == self._stamps())
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return Cached([], False)

    def save(self, rows: Sequence[Row]) -> None:
        """Write all rows. Raises Problem for a disk that is full or not ours."""
        from ..files.private import make_private_dir, write_private

        value = {"version": VERSION, "files": self._stamps(), "rows": list(rows)}
        make_private_dir(os.path.dirname(self._path))
        write_private(self._path, json.dumps(value).encode())
        if self._saved:
            self._saved(rows)

    def _stamps(self) -> dict[str, list[int] | None]:
        return {path: _stamp(path) for path in self._files}


def _stamp(path: str) -> list[int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_mtime_ns, status.st_size, status.st_ino]
