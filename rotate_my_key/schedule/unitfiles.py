"""Files that a scheduler reads (units, property lists): written only where they are ours or nobody's."""

from __future__ import annotations

import os
from contextlib import suppress

from ..errors import Problem
from ..files.private import make_folder, write_private
from ..files.regular import read_regular
from ..files.trouble import explain
from .job import MARK

_MOST = 1 << 16


def read(path: str) -> bytes | None:
    """The content; None if there is no such file. Raises Problem if it cannot be read."""
    return read_regular(path, most=_MOST) if os.path.lexists(path) else None


def is_ours(data: bytes | None) -> bool:
    """Whether `schedule install` wrote it."""
    return data is not None and MARK.encode() in data


def write(path: str, text: bytes) -> bool:
    """Make or replace the file (0600). Gives whether it changed. Raises Problem if somebody else's file is there."""
    before = read(path)
    if before == text:
        return False
    if before is not None and not is_ours(before):
        raise Problem(f"{path} is there already, and `schedule install` did not make it", f"mv {path} {path}.old")
    make_folder(os.path.dirname(path))
    write_private(os.path.realpath(path), text)
    return True


def remove(path: str, top: str) -> bool:
    """Remove the file if it is ours, and the folders above it that are empty then, up to `top`, which stays."""
    gone = is_ours(read(path))
    if gone:
        try:
            os.unlink(path)
        except OSError as error:
            raise explain(error, "remove", path) from None
    prune(os.path.dirname(path), top)
    return gone


def prune(folder: str, top: str) -> None:
    """Remove empty folders from this one upwards, below `top`."""
    with suppress(OSError):
        while folder.startswith(os.path.join(top, "")):
            os.rmdir(folder)
            folder = os.path.dirname(folder)
