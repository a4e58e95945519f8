"""Files that belong to the user: a regular one is read, and is changed so that nobody ever reads half of it.

Nothing else is ever waited for: a pipe may never be written to, a device never ends. Only the null device is let
through: to every SDK it is an empty file, and people name it to say "none".

A file is changed by rename wherever that is possible: a new one beside it, complete and durable, takes its place at
once; mode, owner, extended attributes and links stay. Where rename cannot be, the bytes are written over in place, as
the caller decides and notes. Whatever fails leaves the old file as it was and nothing beside it; what a killed run
left beside it bears one name pattern, which `sweep` removes.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from ..core.errors import Problem, explain, is_denied
from . import platform
from .private import discard, prefix, sweep_folder, temporary_name

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def oddity(path: str) -> str:
    """What is wrong with something that is there and is no regular file, or ""; follows links. Opens nothing."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        link = next((each for each in (path, os.path.dirname(path)) if os.path.islink(each)), "")
        return "is not a regular file: the link leads nowhere" if link and not os.path.exists(link) else ""
    except OSError:
        return ""  # whoever opens it is told why
    if stat.S_ISREG(mode) or is_null(path):
        return ""
    return f"is not a regular file but {_KINDS.get(stat.S_IFMT(mode), 'a device')}"


def is_null(path: str) -> bool:
    """Whether it is the null device, by whatever name."""
    return os.path.realpath(path) == os.devnull


def refuse_odd(path: str, hint: str = "", shown: str = "") -> None:
    """Raises Problem for what is there and is no regular file; without `hint` with a command that shows what it is."""
    if odd := oddity(path):
        there = path if os.path.lexists(path) else os.path.dirname(path)
        raise Problem(f"{shown or path} {odd}", hint or f"ls -ld {shlex.quote(there)}")


def read_start(path: str, most: int = 1 << 20) -> bytes:
    """The beginning of a file that is only looked at; nothing of what cannot be read, or is no file."""
    try:
        refuse_odd(path)
        with open(path, "rb") as file:
            return file.read(most)
    except (OSError, Problem):
        return b""


def read_regular(path: str, hint: str = "", most: int = -1) -> bytes:
    """The bytes of a file that a person named, `most` of them. Raises Problem, with `hint` if it is no regular file."""
    refuse_odd(path, hint)
    try:
        fd = os.open(path, platform.READ)
        with open(fd, "rb") as file:
            return file.read(most)
    except OSError as error:
        raise explain(error, "read", path) from None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A regular file as found: its real path (links followed), content, and status of that same moment."""

    path: str
    data: bytes = field(repr=False)
    status: os.stat_result = field(repr=False)


class Written(Enum):
    """What came of an attempt to write."""

    DONE = "done"
    CHANGED = "changed"  # somebody else wrote the file meanwhile; nothing was written
    IMPOSSIBLE = "impossible"  # this file cannot be replaced by rename; nothing was written


class _OnlyInPlaceError(Exception):
    """Rename cannot be, for this reason; never leaves this module."""


def real_path(path: str) -> str:
    """The path of the file itself, with all links followed."""
    return os.path.realpath(path)


def snapshot(path: str) -> Snapshot | None:
    """Read a file, through links. None if there is none, or none that is regular: SDKs pass over pipes and /dev/null.

    Raises Problem if it is there and cannot be read.
    """
    real = real_path(path)
    try:
        if not stat.S_ISREG(os.stat(real).st_mode):
            return None
        fd = os.open(real, platform.READ)
    except (FileNotFoundError, NotADirectoryError):
        return snapshot(path) if platform.put_back(real) else None
    except OSError as error:
        raise explain(error, "read", path) from None
    try:
        return Snapshot(real, platform.read_all(fd), os.fstat(fd))
    except OSError as error:
        raise explain(error, "read", path) from None
    finally:
        os.close(fd)


def rehearse(found: Snapshot) -> str | None:
    """Do all that a write does but the rename, with zeros instead of content.

    None if the file can be replaced by rename; else why it can only be written in place. Raises Problem if neither.
    """
    try:
        discard(_write_beside(found, bytes(len(found.data))))
    except _OnlyInPlaceError as reason:
        _open_for_writing(found.path, must=True)
        return str(reason)
    except OSError as error:
        raise explain(error, "write beside", found.path) from None
    _open_for_writing(found.path, must=False)
    return None


def foresee(found: Snapshot) -> str | None:
    """What `rehearse` would say, as far as looking alone can tell: nothing is written, for `doctor`."""
    try:
        reason = _obstacle(found)
    except OSError as error:
        raise explain(error, "read", os.path.dirname(found.path)) from None
    if not reason and not os.access(os.path.dirname(found.path), os.W_OK | os.X_OK):
        reason = "its folder cannot be written to"
    _open_for_writing(found.path, must=reason is not None)
    return reason


def replace(found: Snapshot, data: bytes) -> Written:
    """Put `data` where `found` is, by rename, if the file is still as found. Raises Problem if it cannot be written."""
    sweep(found.path)
    try:
        temporary = _write_beside(found, data)
    except _OnlyInPlaceError:
        return Written.IMPOSSIBLE
    except FileNotFoundError:
        return Written.CHANGED
    except OSError as error:
        raise explain(error, "write beside", found.path) from None
    try:
        if not _unchanged(found):
            return Written.CHANGED
        platform.replace(temporary, found.path)
    except FileNotFoundError:
        return Written.CHANGED  # swept by another user's run, or the folder moved
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.EXDEV) or is_denied(error):
            return Written.IMPOSSIBLE
        raise explain(error, "replace", found.path) from None
    finally:
        discard(temporary)
    _sync_directory(found.path)
    return Written.DONE


def remove(found: Snapshot) -> Written:
    """Remove the file, if it is still as found. Raises Problem if it cannot be removed."""
    try:
        if not _unchanged(found):
            return Written.CHANGED
        os.unlink(found.path)
    except FileNotFoundError:
        return Written.CHANGED
    except OSError as error:
        raise explain(error, "remove", found.path) from None
    _sync_directory(found.path)
    return Written.DONE


def overwrite(found: Snapshot, writes: Sequence[tuple[int, bytes]]) -> Written:
    """Write each piece at its offset, one call each, if the file is still as found. Only a piece at its end makes it
    longer.

    Raises Problem if it cannot be written: then earlier pieces may have been.
    """
    fd = _open_for_writing(found.path, must=True, keep=True)
    try:
        if platform.read_all(fd) != found.data:
            return Written.CHANGED
        for offset, piece in writes:
            platform.write_at(fd, piece, offset)
        platform.fsync(fd)
    except OSError as error:
        raise explain(error, "write", found.path) from None
    finally:
        os.close(fd)
    return Written.DONE


def sweep(target: str) -> None:
    """Remove what killed runs left beside `target`. Only under the lock: it would disturb another run at work."""
    folder, name = os.path.split(target)
    sweep_folder(folder, prefix(name))


def _write_beside(found: Snapshot, data: bytes) -> str:
    """A complete, durable file beside the target, with all its metadata; gives its path."""
    reason = _obstacle(found)
    if reason:
        raise _OnlyInPlaceError(reason)
    path = temporary_name(found.path)
    try:
        fd = os.open(path, platform.CREATE, 0o600)
    except OSError as error:
        if is_denied(error):
            raise _OnlyInPlaceError("its folder cannot be written to") from None
        raise
    try:
        platform.write_at(fd, data, 0)
        _copy_metadata(found, fd)
        platform.fsync(fd)
    except BaseException:
        discard(path)
        raise
    finally:
        os.close(fd)
    return path


def _copy_metadata(found: Snapshot, fd: int) -> None:
    source = os.open(found.path, platform.READ)
    try:
        platform.copy_metadata(source, fd, found.status)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOENT):
            raise
        raise _OnlyInPlaceError("its owner or attributes cannot be given to a new file") from None
    finally:
        os.close(source)


def _obstacle(found: Snapshot) -> str | None:
    if found.status.st_nlink > 1:
        return "it has several names (hard links)"
    if platform.is_mount_point(found.path):
        return "it is mounted as a single file"
    folder = os.stat(os.path.dirname(found.path))
    if folder.st_mode & stat.S_ISVTX and platform.my_uid() not in (0, found.status.st_uid, folder.st_uid):
        return "it belongs to another user"
    return None


def _open_for_writing(path: str, *, must: bool, keep: bool = False) -> int:
    """Find out whether the file may be written: some (immutable ones) can neither be written nor replaced.

    A file without write permission can be replaced, so without `must` that is no obstacle.
    """
    try:
        fd = os.open(path, platform.WRITE | platform.NO_FOLLOW)
    except OSError as error:
        if error.errno == errno.EACCES and not must:
            return -1
        problem = explain(error, "write", path)
        if error.errno == errno.EPERM:
            problem = Problem(f"cannot write {path}: it is marked as unchangeable", f"lsattr {path}")
        raise problem from None
    if not keep:
        os.close(fd)
    return fd


def _unchanged(found: Snapshot) -> bool:
    fd = os.open(found.path, platform.READ | platform.NO_FOLLOW)
    try:
        return _identity(os.fstat(fd)) == _identity(found.status) and platform.read_all(fd) == found.data
    finally:
        os.close(fd)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink)


def _sync_directory(path: str) -> None:
    try:
        platform.fsync_directory(os.path.dirname(path))
    except OSError as error:
        if not is_denied(error):  # a folder that can be written but not read is replaced in, yet cannot be opened
            raise explain(error, "write", path) from None
