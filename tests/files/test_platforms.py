"""`files/platform.py` as it is on Windows and macOS, over stand-ins for what their systems provide; and on this system.

The module is read again under another `sys.platform`, with a kernel32 or a libc that record and answer as
Microsoft's and Apple's pages say. What this cannot show stands in docs/platforms.md.
"""

import ctypes
import errno
import fcntl
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from rotate_my_key.files import platform as here
from rotate_my_key.files.write import write_at

SOURCE = Path(here.__file__)


class Function:
    """A function of a DLL, which takes attributes."""

    def __init__(self, does: Callable[..., int]) -> None:
        self.does = does
        self.argtypes: object = None
        self.restype: object = None

    def __call__(self, *args: object) -> int:
        """Call it."""
        return self.does(*args)


class Kernel32:
    """ReplaceFileW with a name for a backup: fails with the errors it was given and leaves behind what Microsoft's page
    says, then does it."""

    def __init__(self) -> None:
        self.errors: list[int] = []
        self.last = 0
        self.calls: list[tuple[object, ...]] = []
        self.ReplaceFileW = Function(self._replace)

    def _replace(self, target: str, source: str, backup: str, *more: object) -> int:
        self.calls.append((target, source, *more))
        assert not os.path.exists(backup)
        if self.errors:
            self.last = self.errors.pop(0)
            if self.last == 1177:  # ERROR_UNABLE_TO_MOVE_REPLACEMENT_2: the replaced file has the backup's name
                os.rename(target, backup)
            return 0
        os.rename(target, backup)
        os.rename(source, target)
        return 1


def windows_error(code: int) -> OSError:
    """What ctypes.WinError gives."""
    error = OSError(errno.EACCES if code in (5, 32, 33) else errno.EINVAL, f"error {code}")
    error.winerror = code  # type: ignore[attr-defined]
    return error


def read_as(platform: str, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The module, as that system reads it."""
    monkeypatch.setattr(sys, "platform", platform)
    module = types.ModuleType(f"platform_{platform}")
    module.__package__ = here.__package__
    exec(compile(SOURCE.read_text(), str(SOURCE), "exec"), module.__dict__)  # noqa: S102
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None, raising=True)
    return module


@pytest.fixture
def kernel() -> Kernel32:
    """No errors yet."""
    return Kernel32()


@pytest.fixture
def windows(kernel: Kernel32, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The module on Windows."""
    monkeypatch.setattr(ctypes, "WinDLL", lambda name, use_last_error: kernel, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: kernel.last, raising=False)
    monkeypatch.setattr(ctypes, "WinError", windows_error, raising=False)
    return read_as("win32", monkeypatch)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A source and a target."""
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    return str(tmp_path / "new"), str(tmp_path / "old")


def test_windows_replaces_through_replacefile(
    windows: types.ModuleType, kernel: Kernel32, files: tuple[str, str]
) -> None:
    """ReplaceFileW keeps ACLs; the backup, without which a failure may lose the file, is gone afterwards."""
    source, target = files
    windows.replace(source, target)
    assert kernel.calls == [(target, source, 0, None, None)]
    assert Path(target).read_bytes() == b"new"
    assert os.listdir(os.path.dirname(target)) == ["old"]


@pytest.mark.parametrize("code", [5, 32, 33, 1175, 1176, 1177])
def test_windows_waits_for_who_has_the_file_open(
    windows: types.ModuleType, kernel: Kernel32, files: tuple[str, str], code: int
) -> None:
    """A reader or a virus scanner keeps a file for a moment."""
    kernel.errors = [code] * 9
    windows.replace(*files)
    assert Path(files[1]).read_bytes() == b"new"


@pytest.mark.parametrize(
    ("codes", "calls", "number"),
    [
        pytest.param([32] * 10, 10, errno.EACCES, id="for long"),
        *(pytest.param([code] * 10, 10, errno.EBUSY, id=f"{code} for long") for code in (1175, 1176, 1177)),
        pytest.param([2], 1, errno.EINVAL, id="another error"),
    ],
)
def test_windows_gives_up(
    windows: types.ModuleType, kernel: Kernel32, files: tuple[str, str], codes: list[int], calls: int, number: int
) -> None:
    """After a second, or at once for what does not pass; the target is as it was. In use or denied: in place."""
    kernel.errors = list(codes)
    with pytest.raises(OSError) as caught:
        windows.replace(*files)
    assert len(kernel.calls) == calls
    assert Path(files[1]).read_bytes() == b"old"
    assert caught.value.errno == number


def test_windows_puts_back_what_a_killed_run_left(windows: types.ModuleType, files: tuple[str, str]) -> None:
    """Killed within ReplaceFileW, the file may have the backup's name alone: whoever reads it next renames it."""
    source, target = files
    assert not windows.put_back(target)
    os.rename(target, target + windows.OLD)
    assert windows.put_back(target)
    assert Path(target).read_bytes() == b"old"
    Path(target + windows.OLD).write_bytes(b"old")
    assert not windows.put_back(target)
    windows.replace(source, target)
    assert os.listdir(os.path.dirname(target)) == ["old"]


@pytest.mark.parametrize(
    ("old", "now", "spent"),
    [
        pytest.param("[a]\nid = 1\n[b]\n", " [b]\n[c]\n[a]\n", True, id="all sections"),
        pytest.param("[a]\nid = 1\n[b]\n", "[a]\nid = 1\n", False, id="a section is missing"),
        pytest.param("ID=1\r\n\nSECRET: 2", "SECRET: 3\nID=4", True, id="all settings"),
        pytest.param("ID=1\nSECRET=2\n", "ID=1\n", False, id="a setting is missing"),
        pytest.param("", None, False, id="no file"),
    ],
)
def test_windows_removes_no_only_copy(
    windows: types.ModuleType, tmp_path: Path, old: str, now: str | None, spent: bool
) -> None:
    """Another program may have written the file anew after a killed run: what it lacks is kept, whoever sweeps."""
    backup, target = tmp_path / f"file{windows.OLD}", tmp_path / "file"
    backup.write_text(old)
    if now is not None:
        target.write_text(now)
    assert windows.is_spent(str(backup)) == spent
    assert not windows.is_spent(str(target))
    (tmp_path / "new").write_text("[new]\n")
    windows.replace(str(tmp_path / "new"), str(target))
    left = {path.read_text() for path in tmp_path.iterdir()} - {"[new]\n"}
    assert left == (set() if spent else {old})


def test_windows_makes_a_new_file_by_rename(
    windows: types.ModuleType, kernel: Kernel32, files: tuple[str, str]
) -> None:
    """ReplaceFileW needs a file to replace."""
    os.unlink(files[1])
    windows.replace(*files)
    assert kernel.calls == []
    assert Path(files[1]).read_bytes() == b"new"


def test_windows_needs_no_fchmod_no_owner_no_directory_fsync(windows: types.ModuleType, tmp_path: Path) -> None:
    """What Windows has no notion of is nothing to do."""
    fd = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    try:
        windows.make_private(fd)
        windows.copy_metadata(fd, fd, os.fstat(fd))
        windows.fsync(fd)
        windows.fsync_directory(str(tmp_path))
        write_at(fd, b"0123", 0)
        write_at(fd, b"xx", 1)
        assert windows.read_all(fd) == b"0xx3"
    finally:
        os.close(fd)
    assert windows.my_uid() == 0


def test_a_file_system_without_chmod(tmp_path: Path) -> None:
    """What is private already is left; elsewhere the message says that chmod is not allowed."""
    private = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR, 0o600)
    fixed = os.open("/proc/self/stat", os.O_RDONLY)  # nobody may change a mode there, root neither
    here.make_private(private)
    with pytest.raises(OSError, match="does not allow chmod 600"):
        here.make_private(fixed)
    os.close(private)
    os.close(fixed)


MOUNTS = r"""71 60 8:32 / / rw,relatime - ext4 /dev/sdc rw,discard
95 71 0:61 / /mnt/c rw,noatime - 9p C:\134 rw,dirsync,aname=drvfs;path=C:\;uid=1000;symlinkroot=/mnt/,trans=fd
96 71 0:62 / /mnt/d\040e rw,noatime - 9p D:\134 rw,dirsync,aname=drvfs;path=D:\;uid=1000;metadata;symlinkroot=/mnt/
97 71 0:63 / /mnt/c/wsl rw - ext4 /dev/sdd rw
"""


@pytest.mark.parametrize(
    ("path", "windows"),
    [
        ("/mnt/c/Users/me/.aws/credentials", True),
        ("/mnt/c", True),
        ("/mnt/cd/credentials", False),
        ("/mnt/d e/credentials", False),
        ("/mnt/c/wsl/credentials", False),
        ("/home/me/.aws/credentials", False),
    ],
)
def test_a_drive_of_windows_under_wsl(tmp_path: Path, path: str, windows: bool) -> None:
    """Known by how it is mounted; one with `metadata` has modes of its own."""
    (tmp_path / "mounts").write_text(MOUNTS)
    assert here.is_windows_drive(path, str(tmp_path / "mounts")) == windows


def test_a_start_of_the_computer_is_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever name the network gives it: by Linux's boot id, and by macOS's, which sysctl(3) gives by name only."""
    assert here.machine_ids().split()[0] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()

    class Libc:
        """macOS's C library."""

        def sysctlbyname(self, name: bytes, found: ctypes.Array[ctypes.c_char], *more: object) -> int:
            """sysctl(3)."""
            found.value = b"1E1D5F2C-0B1C-4C0A-9F11-5C5D0E7E8F10" if name == b"kern.bootsessionuuid" else b""
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Libc())
    assert read_as("darwin", monkeypatch).machine_ids() == "1E1D5F2C-0B1C-4C0A-9F11-5C5D0E7E8F10"


def test_macos_flushes_the_drive_and_copies_acls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """F_FULLFSYNC, with plain fsync where a file system knows none; fcopyfile with ACLs and attributes."""
    copied: list[tuple[object, ...]] = []
    asked: list[int] = []

    class Libc:
        """macOS's C library."""

        def fcopyfile(self, *args: object) -> int:
            """copyfile(3)."""
            copied.append(args)
            return 0

    def control(fd: int, command: int) -> None:
        asked.append(command)
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda name, use_errno: Libc())
    module = read_as("darwin", monkeypatch)
    monkeypatch.setattr(fcntl, "fcntl", control)
    fd = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    try:
        module.fsync(fd)
        module.copy_metadata(fd, fd, os.fstat(fd))
    finally:
        os.close(fd)
    module.fsync_directory(str(tmp_path))
    assert asked == [51, 51]
    assert copied[0][:2] == (fd, fd)
    assert copied[0][3].value == 0b101  # type: ignore[attr-defined]  # COPYFILE_ACL | COPYFILE_XATTR
