"""The files that a write makes beside its target: one name pattern, so that what a killed run left can be swept."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress

_OURS = ".rotate-my-key."
_in_use: set[str] = set()  # by this process: several rotations may be under way in it, and one must not sweep another's


def sweep_folder(folder: str, start: str = _OURS, age: float = 0.0) -> None:
    """Remove what killed runs left in this folder, of all files or of those whose names start so; under the lock, too.

    Where the lock does not keep others from writing, `age` spares what was written less than so many seconds ago.
    """
    pattern = re.compile(re.escape(start) + r".*[0-9a-f]{16}\.tmp")
    with suppress(OSError):
        for entry in os.scandir(folder or "."):
            mine = pattern.fullmatch(entry.name) and entry.path not in _in_use
            if mine and time.time() - entry.stat(follow_symlinks=False).st_mtime >= age:
                discard(entry.path)


def temporary_name(target: str) -> str:
    """A new name beside `target`, of the one pattern that `sweep` knows; to be given to `discard` in the end."""
    folder, name = os.path.split(target)
    path = os.path.join(folder, f"{prefix(name)}{os.urandom(8).hex()}.tmp")
    _in_use.add(path)
    return path


def discard(path: str) -> None:
    """Remove a temporary file, if it is still there."""
    with suppress(OSError):
        os.unlink(path)
    _in_use.discard(path)


def prefix(name: str) -> str:
    """How the temporary names of a file of this name start."""
    return f"{_OURS}{name[:50]}."  # a file name may have 255 bytes, a character up to 4
