"""What the system's error numbers mean to a person. No message holds any content of a file."""

from __future__ import annotations

import errno
import os

from ..errors import Problem, TryLater
from ..faults import shortage

_DENIED = (errno.EACCES, errno.EPERM)


def explain(error: OSError, doing: str, path: str) -> Problem:
    """The Problem for an error met while `doing` something ("write", "read") to the file or folder `path`."""
    folder = os.path.dirname(path) or "."
    rerun = "then run rotate-my-key again"
    if scarce := shortage(error):
        return TryLater(f"cannot {doing} {path}: {scarce.message}", scarce.hint)
    match error.errno:
        case errno.ENOSPC:
            why, hint = "the disk is full", f"make room (df -h {folder}), {rerun}"
        case errno.EDQUOT:
            why, hint = "your disk quota is used up", f"make room (quota -s), {rerun}"
        case errno.EFBIG:
            why, hint = "it would be larger than the limit for files", f"raise the limit (ulimit -f), {rerun}"
        case errno.EROFS:
            why, hint = "the file system is read-only", f"make it writable (findmnt -T {folder}), {rerun}"
        case errno.EIO:
            why, hint = "the disk reports an error", "copy your files away, and look at the disk (dmesg)"
        case errno.EACCES | errno.EPERM:
            why, hint = "permission denied", f"ls -ld {folder} {path}"
        case errno.ELOOP:
            why, hint = "the link leads in a circle or is not expected here", f"ls -l {path}"
        case errno.ENOENT | errno.ENOTDIR:
            why, hint = "there is no such file", f"ls -ld {folder}"
        case _:
            why, hint = (error.strerror or "input/output error").lower(), f"ls -ld {folder} {path}"
    return Problem(f"cannot {doing} {path}: {why}", hint)


def is_denied(error: OSError) -> bool:
    """Whether another way of writing may be allowed where this one is not."""
    return error.errno in (*_DENIED, errno.EROFS, errno.ENOTSUP)
