"""Safe writes: files of our own are private (0600, folders 0700), durable (fsynced with their folder), complete or
absent; files that belong to the user are changed so that nobody ever reads half of them.

Nothing of another user is read, written or entered. All verbs raise Problem with the remedy. Content is bytes; what it
means is the caller's business.

A user's file is changed by rename wherever that is possible: a new one beside it, complete and durable, takes its place
at once; mode, owner, extended attributes and links stay. Where rename cannot be, the bytes are written over in place,
as the caller decides and notes. Whatever fails leaves the old file as it was and nothing beside it; what a killed run
left beside it bears one name pattern, which `sweep` removes."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from typing import NamedTuple

from ..core.errors import Problem, TryLater, explain, is_denied
from ..core.hints import quoted
from . import platform
from .platform import explained

_OURS = ".rotate-my-key."
_in_use: set[str] = set()  # by this process: several rotations may be under way in it, and one must not sweep another's


def sweep_folder(folder: str, start: str = _OURS, age: float = 0.0) -> None:
    """Remove what killed runs left in this folder, of all files or of those whose names start so; under the lock, too.
    Where the lock does not keep others from writing, `age` spares what was written less than so many seconds ago."""
    pattern = re.compile(re.escape(start) + r".*[0-9a-f]{16}\.tmp")
    with suppress(OSError):
        for entry in os.scandir(folder or "."):
            mine = pattern.fullmatch(entry.name) and entry.path not in _in_use
            if mine and time.time() - entry.stat(follow_symlinks=False).st_mtime < age:
                continue
            if mine or platform.is_spent(entry.path):
                discard(entry.path)


def sweep(target: str) -> None:
    """Remove what killed runs left beside `target`. Only under the lock: it would disturb another run at work."""
    folder, name = os.path.split(target)
    sweep_folder(folder, prefix(name))


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


def write_at(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`: in one call, where the system takes it in one."""
    while data:
        if sys.platform == "win32":
            os.lseek(fd, offset, os.SEEK_SET)
            count = os.write(fd, data)
        else:
            count = os.pwrite(fd, data, offset)
        data, offset = data[count:], offset + count


# Files of our own

# File systems without hard links (FAT, some network shares) say one of these.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def must_be_mine(path: str) -> None:
    """Raises Problem if a file or folder made at `path` would be root's among the files of another user, who could not
    use it (sudo with the HOME of whoever called it)."""
    folder = os.path.abspath(path)
    while not os.path.lexists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    if platform.my_uid() == 0:
        with explained("look at", folder):
            _refuse_foreign(os.stat(folder), folder)


def make_folder(path: str) -> None:
    """Make the folder and those above it, as the umask says; one that is there stays as it is. Raises Problem."""
    must_be_mine(path)
    with explained("make the folder", path):
        os.makedirs(path, exist_ok=True)


def make_private_dir(path: str) -> None:
    """Make the folder (0700; those above it as the umask says), or tighten one that is there. Raises Problem if it
    belongs to another user, or is no folder."""
    must_be_mine(path)
    with explained("make the folder", path):
        _make_dirs(path, 0o700)
        status = os.stat(path)
        _refuse_foreign(status, path)
        if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
            os.chmod(path, 0o700)
    if not stat.S_ISDIR(status.st_mode):
        raise Problem(f"{path} is not a folder", f"move it away: mv {quoted(path)} {quoted(f'{path}.old')}")


def _make_dirs(path: str, mode: int) -> None:
    """Make the folder and those above it, each one durable before the next: a file in a folder that a power cut takes
    away is gone with it."""
    above = os.path.dirname(path)
    if above and not os.path.lexists(above):
        _make_dirs(above, 0o777)
    with suppress(FileExistsError):
        os.mkdir(path, mode)
        platform.fsync_directory(above or ".")


def write_private(path: str, data: bytes) -> None:
    """Make or replace the file at once: a reader sees the old content or the new."""
    must_be_mine(os.path.dirname(path))
    temporary = temporary_name(path)
    try:
        with explained("write", path):
            _make(temporary, data)
            platform.replace(temporary, path)
            platform.fsync_directory(os.path.dirname(path) or ".")
    finally:
        discard(temporary)


def create_private(path: str, data: bytes) -> bool:
    """Make a new file, complete at once; False, and nothing is done, if there is one already."""
    must_be_mine(os.path.dirname(path))
    temporary = temporary_name(path)
    try:
        with explained("write", path), suppress(FileExistsError):
            _make(temporary, data)
            try:
                os.link(temporary, path)  # a rename would replace a file that is there
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                _make(path, data)
            platform.fsync_directory(os.path.dirname(path) or ".")
            return True
        return False
    finally:
        discard(temporary)


def _make(path: str, data: bytes, like: Snapshot | None = None) -> None:
    """A new file, durable, private or with the metadata of one that is there; none if it cannot be filled."""
    if like and (reason := _obstacle(like)):
        raise _OnlyInPlaceError(reason)
    try:
        fd = os.open(path, platform.CREATE, 0o600)
    except OSError as error:
        if like and is_denied(error):
            raise _OnlyInPlaceError("its folder cannot be written to") from None
        raise
    try:
        if like is None:
            platform.make_private(fd)
        write_at(fd, data, 0)
        if like:
            _give_metadata(like, fd)
        platform.fsync(fd)
    except BaseException:
        discard(path)
        raise
    finally:
        os.close(fd)


def _give_metadata(found: Snapshot, fd: int) -> None:
    source = os.open(found.path, platform.READ)
    try:
        platform.copy_metadata(source, fd, found.status)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOENT):
            raise
        raise _OnlyInPlaceError("its owner or attributes cannot be given to a new file") from None
    finally:
        os.close(source)


def append_private(path: str, line: bytes) -> None:
    """Add one line (without its line end), in one call. A line that a crash cut off before is ended first."""
    with explained("write", path), _mine(path, os.O_CREAT | os.O_APPEND | platform.WRITE) as (fd, status):
        platform.make_private(fd)
        if status.st_size:
            os.lseek(fd, -1, os.SEEK_END)
            line = line if os.read(fd, 1) == b"\n" else b"\n" + line
        # All of it or nothing, as far as the system lets us
        data = line + b"\n"
        try:
            while data:
                data = data[os.write(fd, data) :]
            platform.fsync(fd)
        except OSError:
            with suppress(OSError):
                os.ftruncate(fd, status.st_size)
            raise
        if not status.st_size:
            platform.fsync_directory(os.path.dirname(path) or ".")


def read_private(path: str, most: int = 1 << 20) -> bytes | None:
    """The content; None if there is no file. Raises Problem if it belongs to another user, is no regular file, or has
    more than `most` bytes."""
    try:
        with _mine(path, platform.READ) as (fd, status):
            if not stat.S_ISREG(status.st_mode):
                raise Problem(f"{path} is not a regular file", f"ls -l {quoted(path)}")
            data = platform.read_all(fd, most + 1)
    except (FileNotFoundError, NotADirectoryError):
        return read_private(path, most) if platform.put_back(path) else None
    except OSError as error:
        raise explain(error, "read", path) from None
    if len(data) > most:
        raise Problem(
            f"{path} is larger than {most} bytes: it was not written by rotate-my-key", f"ls -l {quoted(path)}"
        )
    return data


def reserve_private(path: str, size: int) -> None:
    """Take the room for `size` bytes on the disk, with blanks, so that `overwrite_private` needs none."""
    write_private(path, b" " * (size - 1) + b"\n")


def overwrite_private(path: str, data: bytes) -> None:
    """Write over the reserved bytes in place, from the beginning. Raises Problem if the file is missing or smaller than
    `data`."""
    with explained("write", path), _mine(path, platform.WRITE) as (fd, status):
        if status.st_size < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_at(fd, data, 0)
        platform.fsync(fd)


def remove_private(path: str) -> None:
    """Remove the file durably; one that is not there is removed already."""
    with explained("remove", path), suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)
        platform.fsync_directory(os.path.dirname(path) or ".")


@contextmanager
def _mine(path: str, flags: int) -> Iterator[tuple[int, os.stat_result]]:
    """A file of this user's own, opened, and what it is. Raises Problem for another user's; never through a link."""
    fd = os.open(path, flags | platform.NO_FOLLOW, 0o600)
    try:
        status = os.fstat(fd)
        _refuse_foreign(status, path)
        yield fd, status
    finally:
        os.close(fd)


def _refuse_foreign(status: os.stat_result, path: str) -> None:
    if status.st_uid != platform.my_uid():
        raise Problem(
            f"{path} belongs to another user (uid {status.st_uid}, you are {platform.my_uid()})",
            "run rotate-my-key as yourself, with your own HOME (sudo -H for root)",
        )


# Files that belong to the user


class Snapshot(NamedTuple):
    """A regular file as found: its real path (links followed), content, and status of that same moment."""

    path: str
    data: bytes
    status: os.stat_result

    def __repr__(self) -> str:
        """Without the content."""
        return f"Snapshot({self.path!r})"


class Written(Enum):
    """What came of an attempt to write."""

    DONE = "done"
    CHANGED = "changed"  # somebody else wrote the file meanwhile; nothing was written
    IMPOSSIBLE = "impossible"  # this file cannot be replaced by rename; nothing was written


class _OnlyInPlaceError(Exception):
    """Rename cannot be, for this reason; never leaves this module."""


def snapshot(path: str) -> Snapshot | None:
    """Read a file, through links. None if there is none, or none that is regular: SDKs pass over pipes and /dev/null.
    Raises Problem if it is there and cannot be read."""
    real = os.path.realpath(path)
    try:
        if not stat.S_ISREG(os.stat(real).st_mode):
            return None
        fd = os.open(real, platform.READ)
    except (FileNotFoundError, NotADirectoryError):
        return snapshot(path) if platform.put_back(real) else None
    except OSError as error:
        raise explain(error, "read", path) from None
    try:
        with explained("read", path):
            return Snapshot(real, platform.read_all(fd), os.fstat(fd))
    finally:
        os.close(fd)


def rehearse(found: Snapshot) -> str | None:
    """Do all that a write does but the rename, with zeros instead of content. None if the file can be replaced by
    rename; else why it can only be written in place. Raises Problem if neither."""
    temporary = temporary_name(found.path)
    try:
        _make(temporary, bytes(len(found.data)), found)
    except _OnlyInPlaceError as reason:
        _open_for_writing(found.path, must=True)
        return str(reason)
    except OSError as error:
        raise explain(error, "write beside", found.path) from None
    finally:
        discard(temporary)
    _open_for_writing(found.path, must=False)
    return None


def foresee(found: Snapshot) -> str | None:
    """What `rehearse` would say, as far as looking alone can tell: nothing is written, for `doctor`."""
    with explained("read", os.path.dirname(found.path)):
        reason = _obstacle(found)
    if not reason and not os.access(os.path.dirname(found.path), os.W_OK | os.X_OK):
        reason = "its folder cannot be written to"
    _open_for_writing(found.path, must=reason is not None)
    return reason


def replace(found: Snapshot, data: bytes) -> Written:
    """Put `data` where `found` is, by rename, if the file is still as found. Raises Problem if it cannot be written."""
    sweep(found.path)
    temporary, doing = temporary_name(found.path), "write beside"
    try:
        _make(temporary, data, found)
        doing = "replace"
        if not _unchanged(found):
            return Written.CHANGED
        platform.replace(temporary, found.path)
    except _OnlyInPlaceError:
        return Written.IMPOSSIBLE
    except FileNotFoundError:
        return Written.CHANGED  # swept by another user's run, or the folder moved
    except OSError as error:
        if doing == "replace" and (error.errno in (errno.EBUSY, errno.EXDEV) or is_denied(error)):
            return Written.IMPOSSIBLE
        raise explain(error, doing, found.path) from None
    finally:
        discard(temporary)
    _sync_directory(found.path)
    return Written.DONE


def remove(found: Snapshot) -> Written:
    """Remove the file, if it is still as found. Raises Problem if it cannot be removed."""
    with explained("remove", found.path), suppress(FileNotFoundError):
        if _unchanged(found):
            os.unlink(found.path)
            _sync_directory(found.path)
            return Written.DONE
    return Written.CHANGED


def overwrite(found: Snapshot, writes: Sequence[tuple[int, bytes]]) -> Written:
    """Write each piece at its offset, one call each, if the file is still as found. Only a piece at its end makes it
    longer. Raises Problem if it cannot be written: then earlier pieces may have been."""
    fd = _open_for_writing(found.path, must=True, keep=True)
    try:
        with explained("write", found.path):
            if platform.read_all(fd) != found.data:
                return Written.CHANGED
            for offset, piece in writes:
                write_at(fd, piece, offset)
            platform.fsync(fd)
            return Written.DONE
    finally:
        os.close(fd)


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
    """Find out whether the file may be written: some (immutable ones) can neither be written nor replaced. A file
    without write permission can be replaced, so without `must` that is no obstacle."""
    try:
        fd = os.open(path, platform.WRITE | platform.NO_FOLLOW)
    except OSError as error:
        if error.errno == errno.EACCES and os.name == "nt" and os.access(path, os.W_OK):
            hint = "close it there, then run rotate-my-key again"
            raise TryLater(f"another program has {path} open, and lets nobody write it", hint) from None
        if error.errno == errno.EACCES and not must:
            return -1
        problem = explain(error, "write", path)
        if error.errno == errno.EPERM:
            problem = Problem(f"cannot write {path}: it is marked as unchangeable", f"lsattr {quoted(path)}")
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
