"""Where POSIX, macOS and Windows differ in writing and locking files.

Functions take descriptors and paths and raise OSError. What a system has no notion of (owners on Windows, extended
attributes on macOS through `os`) is done by its own means here, or is nothing to do.

The lock lets one run at a time be at work for this user of the computer. Its file stays where it is: to remove it would
let two runs lock two files of one name. A killed run leaves no lock behind."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..core.errors import TryLater, explain

NAME = sys.platform  # for who has to be told which system this is
TEXT = "utf-8"  # how profile files are written
OLD = ".rotate-my-key-old"  # behind the name of a file that Windows is replacing
_HEADER, _SETTING = re.compile(rb"^\s*(\[[^\n]*\])", re.MULTILINE), re.compile(rb"^[^=:\n]*", re.MULTILINE)

# Absent on Windows: O_NOFOLLOW, O_NONBLOCK; elsewhere: O_BINARY.
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_ALWAYS = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
READ = os.O_RDONLY | _ALWAYS
WRITE = os.O_RDWR | _ALWAYS
CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_FOLLOW | _ALWAYS

if sys.platform == "win32":
    import ctypes
    import locale
    from ctypes import wintypes

    TEXT = locale.getpreferredencoding(False)  # the ANSI code page, in which botocore reads them there

    # Access denied, sharing violation, lock violation; and the ways in which ReplaceFileW says that a file is in use:
    # it cannot remove the old one, or move the new one, and with 1177 the old one has the backup's name already.
    _IN_USE = (1175, 1176, 1177)
    _PASSING = (5, 32, 33, *_IN_USE)
    _ATTEMPTS = 10

    _replace_file = ctypes.WinDLL("kernel32", use_last_error=True).ReplaceFileW
    _replace_file.argtypes = [wintypes.LPCWSTR] * 3 + [wintypes.DWORD] + [wintypes.LPVOID] * 2
    _replace_file.restype = wintypes.BOOL

    def replace(source: str, target: str) -> None:
        """Put `source` where `target` is; ReplaceFileW keeps the target's ACLs, streams and attributes. Virus scanners
        and indexers hold a file open for a moment, and readers keep it from being replaced as long as they read: tried
        again for a second. Raises OSError, EBUSY if it is in use for longer."""
        for attempt in range(_ATTEMPTS):
            try:
                return _replace_once(source, target)
            except OSError as error:
                code = getattr(error, "winerror", 0)
                if attempt == _ATTEMPTS - 1 and code in _IN_USE:
                    raise OSError(errno.EBUSY, error.strerror) from None
                if attempt == _ATTEMPTS - 1 or code not in _PASSING:
                    raise
            time.sleep(0.1)
        return None

    def _replace_once(source: str, target: str) -> None:
        if not os.path.exists(target):
            return os.replace(source, target)
        backup = target + OLD  # without one, 1176 means that the old file is no more
        with suppress(FileNotFoundError):
            if is_spent(backup):
                os.unlink(backup)
            else:
                os.rename(backup, f"{backup}-{os.urandom(4).hex()}")
        if not _replace_file(target, source, backup, 0, None, None):
            error = ctypes.WinError(ctypes.get_last_error())
            put_back(target)
            raise error
        with suppress(OSError):
            os.unlink(backup)
        return None

else:
    import fcntl

    def replace(source: str, target: str) -> None:
        """Put `source` where `target` is, at once: a reader sees the old file or the new one."""
        os.replace(source, target)


@contextmanager
def explained(doing: str, path: str) -> Iterator[None]:
    """Raises Problem for an OSError that is met while `doing` something to the path."""
    try:
        yield
    except OSError as error:
        raise explain(error, doing, path) from None


def put_back(target: str) -> bool:
    """On Windows: rename what ReplaceFileW left under the backup's name alone, failing half-way or killed; tells if it
    did. Elsewhere `replace` leaves nothing half done."""
    if NAME != "win32" or os.path.exists(target) or not os.path.exists(target + OLD):
        return False
    with suppress(OSError):
        os.rename(target + OLD, target)
    return os.path.exists(target)


def is_spent(path: str) -> bool:
    """Whether it is what a killed run of Windows left under the backup's name beside a file that has all its sections;
    of one without any, its settings. If another program wrote that file, the backup may be the only one to have them.
    Elsewhere a file of that name is somebody's own."""
    if NAME != "win32" or not path.endswith(OLD):
        return False
    names = []
    for each in (path, path.removesuffix(OLD)):
        try:
            with open(each, "rb") as file:
                data = file.read().replace(b"\0", b"")  # of UTF-16
        except OSError:
            return False
        names.append({name.strip() for name in _HEADER.findall(data) or _SETTING.findall(data)} - {b""})
    return names[0] <= names[1]


def my_uid() -> int:
    """Whose files this process makes; files of Windows have no numeric owner, and their `st_uid` is 0."""
    if sys.platform == "win32":
        return 0
    return os.geteuid()


def fsync(fd: int) -> None:
    """Make the content durable; on macOS to the platters: plain fsync leaves the data in the drive's cache there."""
    if sys.platform == "darwin":
        with suppress(OSError):  # network file systems know no F_FULLFSYNC
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
    os.fsync(fd)


def fsync_directory(path: str) -> None:
    """Make a rename in this directory durable; not every file system can, and those need not. NTFS journals names."""
    if sys.platform != "win32":
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fsync(fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
                raise
        finally:
            os.close(fd)


def make_private(fd: int) -> None:
    """0600, whatever the umask is. Some file systems allow no chmod. On Windows files under the user's profile are the
    user's alone."""
    if sys.platform != "win32":
        try:
            _chmod(fd, 0o600)
        except PermissionError:
            raise OSError(errno.ENOTSUP, "its file system does not allow chmod 600") from None


def copy_metadata(source: int, target: int, status: os.stat_result) -> None:
    """Give `target` the owner, extended attributes (ACLs among them) and mode of `source`. Raises OSError if one of
    these cannot be given. On Windows `replace` keeps what the target has."""
    if sys.platform != "win32":
        mine = os.fstat(target)
        if (mine.st_uid, mine.st_gid) != (status.st_uid, status.st_gid):
            os.fchown(target, status.st_uid, status.st_gid)
        _copy_attributes(source, target)
        _chmod(target, stat.S_IMODE(status.st_mode))


def _chmod(fd: int, mode: int) -> None:
    if sys.platform != "win32" and stat.S_IMODE(os.fstat(fd).st_mode) != mode:
        os.fchmod(fd, mode)


def _copy_attributes(source: int, target: int) -> None:
    """By the means that macOS and Linux have; no way is known on other systems."""
    if sys.platform == "darwin":
        import ctypes

        libc, acl_and_attributes = ctypes.CDLL(None, use_errno=True), 1 << 0 | 1 << 2  # as copyfile.h has them
        if libc.fcopyfile(source, target, None, ctypes.c_uint32(acl_and_attributes)) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    elif sys.platform == "linux":
        try:
            names = os.listxattr(source)
        except OSError as error:
            if error.errno in (errno.ENOTSUP, errno.ENOSYS):
                return
            raise
        for name in names:
            value = os.getxattr(source, name)
            try:
                os.setxattr(target, name, value)
            except OSError:
                # A security label may not be settable, yet the new file has got the same one from its directory.
                if os.getxattr(target, name) != value:
                    raise


def kept_variables() -> dict[str, str]:
    """The variables that every new program of this user gets, as `setx` writes them; shells set theirs in files."""
    found: dict[str, str] = {}
    if sys.platform == "win32":
        import winreg

        with suppress(OSError), winreg.OpenKey(winreg.HKEY_CURRENT_USER, "Environment") as key:
            for number in range(winreg.QueryInfoKey(key)[1]):
                name, value, _ = winreg.EnumValue(key, number)
                found[name.upper()] = str(value)
    return found


def machine_ids() -> str:
    """What tells this computer from others of its name. Linux: of this start of it, which containers have in common as
    they have locks, and its own; macOS: of this start, for its name follows the network; Windows: what it made up when
    it was installed. None is known on other systems."""
    found = ""
    if sys.platform == "win32":
        import winreg

        where, view = r"SOFTWARE\Microsoft\Cryptography", winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        with suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, where, 0, view) as key:
            found = str(winreg.QueryValueEx(key, "MachineGuid")[0])
    elif sys.platform == "darwin":
        import ctypes

        text = ctypes.create_string_buffer(64)
        size = ctypes.c_size_t(len(text))
        if not ctypes.CDLL(None).sysctlbyname(b"kern.bootsessionuuid", text, ctypes.byref(size), None, 0):
            found = text.value.decode()
    elif sys.platform == "linux":
        for path in ("/proc/sys/kernel/random/boot_id", "/etc/machine-id"):
            with suppress(OSError, ValueError), open(path, encoding="ascii") as file:
                found += file.read(64).strip() + " "
    return found.strip()


def is_mount_point(path: str) -> bool:
    """Whether a single file is mounted here (Docker does it): it cannot be replaced by rename (EBUSY). Only Linux says
    so beforehand, in /proc/self/mountinfo (proc(5): the fifth field, blanks as octal escapes)."""
    return any(point == path for point, _ in _mounts())


def is_windows_drive(path: str, mounts: str = "/proc/self/mountinfo") -> bool:
    """Whether it is on a drive of Windows that WSL mounts without modes: Windows alone says who may read a file there,
    and chmod changes nothing."""
    inside = [each for each in _mounts(mounts) if os.path.join(path, "").startswith(os.path.join(each[0], ""))]
    what = max(inside, key=lambda each: len(each[0]))[1] if inside else ""
    return "drvfs" in what and "metadata" not in what


def _mounts(path: str = "/proc/self/mountinfo") -> list[tuple[str, str]]:
    """Where something is mounted, and what and how."""
    try:
        with open(path, encoding=sys.getfilesystemencoding(), errors="surrogateescape") as file:
            lines = [line.split(" ", 5) for line in file.read().split("\n") if " - " in line]
    except OSError:
        return []
    return [
        (re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line[4]), line[5].partition(" - ")[2])
        for line in lines
    ]


def is_read_only(path: str) -> bool:
    """Whether the file system that a file is on is mounted read-only."""
    if sys.platform == "win32":
        return False
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def has_inodes(path: str) -> bool:
    """Whether the disk that a folder is on has room for one more file; some file systems do not count them."""
    if sys.platform == "win32":
        return True
    found = os.statvfs(path)
    return found.f_favail > 0 or found.f_files == 0


def read_all(fd: int, most: int = sys.maxsize) -> bytes:
    """The content from its beginning, at most `most` bytes of it."""
    os.lseek(fd, 0, os.SEEK_SET)
    parts = []
    while most > 0 and (part := os.read(fd, min(most, 1 << 20))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


_POLL = 0.05  # seconds


class Lock:
    """`with Lock(path, timeout):` holds the lock; `timeout` in seconds, `on_wait` is called once if it has to wait;
    `pause` sleeps, and may raise whatever ends the waiting. Raises TryLater if another run holds it for longer than
    that. `waited` tells afterwards whether there was a wait. The folder must exist."""

    def __init__(
        self,
        path: str,
        timeout: float,
        on_wait: Callable[[], None] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path, self._timeout, self._on_wait, self._pause = path, timeout, on_wait, pause
        self._fd = -1
        self.waited = False

    def __enter__(self) -> Lock:
        try:
            with explained("lock", self._path):
                self._fd = os.open(self._path, os.O_CREAT | WRITE | NO_FOLLOW, 0o600)
                self._take()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
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
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, f"\n{os.getpid()}\n".encode())

    def _who(self) -> str:
        os.lseek(self._fd, 1, os.SEEK_SET)  # the first byte is what is locked on Windows, where nobody else can read it
        number = os.read(self._fd, 20).strip()
        return f" (process {number.decode()})" if number.isdigit() else ""
