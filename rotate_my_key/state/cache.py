"""What AWS last said of the keys here: for `status --cached` and for the reminder. No secrets, and nothing is decided
by it: a file that is missing, torn or of another version is an empty one.

The rows are those of `status --json`, facts only; the verdict is worked out anew each time. This module is on the fast
path: it imports little, and the file is read without the checks of `files/private.py`, for it is only shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..core.policy import Row
from .records import Form

_MOST = 16 << 20  # bytes

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
    """The cache in one file of the state dir; `files` are the profile files. `saved` is told each time of the rows."""

    def __init__(self, path: str, files: Sequence[str], saved: Callable[[Sequence[Row]], None] | None = None) -> None:
        self._path = path
        self._files = files
        self._saved = saved

    def load(self) -> Cached:
        """Read it; no rows if there is nothing that makes sense."""
        try:
            with open(self._path, "rb") as file:
                seen = _SEEN.find(file.read(_MOST))
        except OSError:
            seen = None
        return Cached(list(seen.rows), seen.files == self._stamps()) if seen else Cached([], False)

    def save(self, rows: Sequence[Row]) -> None:
        """Write all rows. Raises Problem for a disk that is full or not ours."""
        from ..files.private import make_private_dir, write_private

        make_private_dir(os.path.dirname(self._path))
        write_private(self._path, _SEEN.encode(_Seen(self._stamps(), tuple(rows))))
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
