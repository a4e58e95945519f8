"""Files of our own: private (0600, folders 0700), durable (fsynced with their folder), complete or absent; the names of
what a write makes beside its target; and the lock, so that one run at a time is at work for this user of the computer.

Nothing of another user is read, written or entered. All verbs raise Problem with the remedy. Content is bytes; what it
means is the caller's business. The lock's file stays where it is: to remove it would let two runs lock two files of one
name. A killed run leaves no lock behind.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..core.errors import Problem, TryLater, explain
from . import platform

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


# File systems without hard links (FAT, some network shares) say one of these.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def must_be_mine(path: str) -> None:
    """Raises Problem if a file or folder made at `path` would be root's among the files of another user, who could not
    use it (sudo with the HOME of whoever called it)."""
    folder = os.path.abspath(path)
    while not os.path.lexists(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    if platform.my_uid() == 0:
        try:
            _refuse_foreign(os.stat(folder), folder)
        except OSError as error:
            raise explain(error, "look at", folder) from None


def make_folder(path: str) -> None:
    """Make the folder and those above it, as the umask says; one that is there stays as it is. Raises Problem."""
    must_be_mine(path)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise explain(error, "make the folder", path) from None


def make_private_dir(path: str) -> None:
    """Make the folder (0700; those above it as the umask says), or tighten one that is there.

    Raises Problem if it belongs to another user, or is no folder.
    """
    must_be_mine(path)
    try:
        _make_dirs(path, 0o700)
        status = os.stat(path)
        _refuse_foreign(status, path)
        if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
            os.chmod(path, 0o700)
    except OSError as error:
        raise explain(error, "make the folder", path) from None
    if not stat.S_ISDIR(status.st_mode):
        raise Problem(f"{path} is not a folder", f"move it away: mv {path} {path}.old")


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
        _make(temporary, data)
        platform.replace(temporary, path)
        platform.fsync_directory(os.path.dirname(path) or ".")
    except OSError as error:
        raise explain(error, "write", path) from None
    finally:
        discard(temporary)


def create_private(path: str, data: bytes) -> bool:
    """Make a new file, complete at once; False, and nothing is done, if there is one already."""
    must_be_mine(os.path.dirname(path))
    temporary = temporary_name(path)
    try:
        _make(temporary, data)
        try:
            os.link(temporary, path)  # a rename would replace a file that is there
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _make(path, data)
        platform.fsync_directory(os.path.dirname(path) or ".")
    except FileExistsError:
        return False
    except OSError as error:
        raise explain(error, "write", path) from None
    finally:
        discard(temporary)
    return True


def _make(path: str, data: bytes) -> None:
    """A new file, durable; none if it cannot be filled."""
    fd = os.open(path, platform.CREATE, 0o600)
    try:
        platform.make_private(fd)
        platform.write_at(fd, data, 0)
        platform.fsync(fd)
    except OSError:
        discard(path)
        raise
    finally:
        os.close(fd)


def append_private(path: str, line: bytes) -> None:
    """Add one line (without its line end), in one call. A line that a crash cut off before is ended first."""
    try:
        with _mine(path, os.O_CREAT | os.O_APPEND | platform.WRITE) as (fd, status):
            platform.make_private(fd)
            if status.st_size:
                os.lseek(fd, -1, os.SEEK_END)
                line = line if os.read(fd, 1) == b"\n" else b"\n" + line
            _append(fd, line + b"\n", status.st_size)
        if not status.st_size:
            platform.fsync_directory(os.path.dirname(path) or ".")
    except OSError as error:
        raise explain(error, "write", path) from None


def read_private(path: str, most: int = 1 << 20) -> bytes | None:
    """The content; None if there is no file.

    Raises Problem if it belongs to another user, is no regular file, or has more than `most` bytes.
    """
    try:
        with _mine(path, platform.READ) as (fd, status):
            if not stat.S_ISREG(status.st_mode):
                raise Problem(f"{path} is not a regular file", f"ls -l {path}")
            data = platform.read_all(fd, most + 1)
    except (FileNotFoundError, NotADirectoryError):
        return read_private(path, most) if platform.put_back(path) else None
    except OSError as error:
        raise explain(error, "read", path) from None
    if len(data) > most:
        raise Problem(f"{path} is larger than {most} bytes: it was not written by rotate-my-key", f"ls -l {path}")
    return data


def reserve_private(path: str, size: int) -> None:
    """Take the room for `size` bytes on the disk, with blanks, so that `overwrite_private` needs none."""
    write_private(path, b" " * (size - 1) + b"\n")


def overwrite_private(path: str, data: bytes) -> None:
    """Write over the reserved bytes in place, from the beginning.

    Raises Problem if the file is missing or smaller than `data`.
    """
    try:
        with _mine(path, platform.WRITE) as (fd, status):
            if status.st_size < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            platform.write_at(fd, data, 0)
            platform.fsync(fd)
    except OSError as error:
        raise explain(error, "write", path) from None


def remove_private(path: str) -> None:
    """Remove the file durably; one that is not there is removed already."""
    try:
        os.unlink(path)
        platform.fsync_directory(os.path.dirname(path) or ".")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise explain(error, "remove", path) from None


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


def _append(fd: int, data: bytes, size: int) -> None:
    """All of it or nothing, as far as the system lets us."""
    try:
        while data:
            data = data[os.write(fd, data) :]
        platform.fsync(fd)
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, size)
        raise


def _refuse_foreign(status: os.stat_result, path: str) -> None:
    if status.st_uid != platform.my_uid():
        raise Problem(
            f"{path} belongs to another user (uid {status.st_uid}, you are {platform.my_uid()})",
            "run rotate-my-key as yourself, with your own HOME (sudo -H for root)",
        )


_POLL = 0.05  # seconds


class Lock:
    """`with Lock(path, timeout):` holds the lock; `timeout` in seconds, `on_wait` is called once if it has to wait;
    `pause` sleeps, and may raise whatever ends the waiting.

    Raises TryLater if another run holds it for longer than that. `waited` tells afterwards whether there was a wait.
    The folder must exist.
    """

    def __init__(
        self,
        path: str,
        timeout: float,
        on_wait: Callable[[], None] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._timeout = timeout
        self._on_wait = on_wait
        self._pause = pause
        self._fd = -1
        self.waited = False

    def __enter__(self) -> Lock:
        """Take the lock, waiting for it if need be."""
        try:
            self._fd = os.open(self._path, os.O_CREAT | platform.WRITE | platform.NO_FOLLOW, 0o600)
            self._take()
        except BaseException as error:
            self.__exit__()
            if isinstance(error, OSError):
                raise explain(error, "lock", self._path) from None
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the lock; closing the file does it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _take(self) -> None:
        from filelock import lock_descriptor  # its import takes 30 ms

        until = time.monotonic() + self._timeout
        while not lock_descriptor(self._fd, blocking=False):
            if not self.waited:
                self.waited = True
                if self._on_wait:
                    self._on_wait()
            left = until - time.monotonic()
            if left <= 0:
                raise TryLater(
                    f"another run of rotate-my-key is at work{self._who()}", "let it end, then run rotate-my-key again"
                )
            self._pause(min(_POLL, left))
        with suppress(OSError):  # the process number, for who has to wait; a full disk is no reason not to run
            os.ftruncate(self._fd, 0)
            platform.write_at(self._fd, f"\n{os.getpid()}\n".encode(), 0)

    def _who(self) -> str:
        os.lseek(self._fd, 1, os.SEEK_SET)  # the first byte is what is locked on Windows, where nobody else can read it
        number = os.read(self._fd, 20).strip()
        return f" (process {number.decode()})" if number.isdigit() else ""
