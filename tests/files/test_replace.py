"""A user's file is replaced whole, keeps all that belongs to it, and is never met half-written."""

import errno
import fcntl
import os
import resource
import signal
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.files import write as files
from rotate_my_key.files.write import Snapshot, Written, discard, temporary_name

InChild = Callable[[Callable[[], object]], int]
AsUser = Callable[[Callable[[], object]], None]
Mounted = Callable[[str, str], None]

OLD, NEW = b"old " * 3000, b"the new one " * 1000


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file with the old content."""
    path = tmp_path / "credentials"
    path.write_bytes(OLD)
    return path


def found(path: Path) -> Snapshot:
    """The file as it is now."""
    snapshot = files.snapshot(str(path))
    assert snapshot is not None
    return snapshot


def replace(path: Path, data: bytes = NEW) -> Written:
    """Rehearse, then replace what is there now."""
    assert files.rehearse(found(path)) is None
    return files.replace(found(path), data)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o664, 0o755], ids=oct)
def test_the_mode_stays(target: Path, mode: int) -> None:
    """Whatever the umask is; also a file without write permission is replaced and stays without."""
    target.chmod(mode)
    umask = os.umask(0o077)
    try:
        assert replace(target) is Written.DONE
    finally:
        os.umask(umask)
    assert target.read_bytes() == NEW
    assert stat.S_IMODE(target.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED HERE: only root can give files away")
def test_the_owner_stays(target: Path) -> None:
    """Root (sudo without -H) does not take the file away from its user."""
    os.chown(target, 1234, 5678)
    assert replace(target) is Written.DONE
    assert (target.stat().st_uid, target.stat().st_gid) == (1234, 5678)


def test_extended_attributes_stay(target: Path) -> None:
    """All of them that are set."""
    try:
        os.setxattr(target, "user.comment", b"mine")
        os.setxattr(target, "user.other", b"\0\xff" * 50)
    except OSError:
        pytest.skip("NOT TESTED HERE: this file system has no user attributes")
    assert replace(target) is Written.DONE
    assert {name: os.getxattr(target, name) for name in os.listxattr(target)} == {
        "user.comment": b"mine",
        "user.other": b"\0\xff" * 50,
    }


def test_access_control_lists_stay(target: Path) -> None:
    """An ACL is an attribute too (Linux: acl(5), as the kernel's posix_acl_xattr lays it out)."""
    entries = [(0x01, 6, -1), (0x02, 4, 1234), (0x04, 4, -1), (0x10, 4, -1), (0x20, 0, -1)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(target, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("NOT TESTED HERE: this file system has no ACLs")
    mode = target.stat().st_mode
    assert replace(target) is Written.DONE
    assert os.getxattr(target, "system.posix_acl_access") == acl
    assert target.stat().st_mode == mode


def test_links_to_the_file_stay(target: Path) -> None:
    """A chain of links, relative and absolute, over another folder: the file at its end is replaced."""
    folder = target.parent / "dotfiles"
    folder.mkdir()
    (folder / "aws").symlink_to("../credentials")
    (target.parent / "link").symlink_to(folder / "aws")
    assert replace(target.parent / "link") is Written.DONE
    assert target.read_bytes() == NEW
    assert not target.is_symlink()
    assert os.readlink(target.parent / "link") == str(folder / "aws")
    assert os.readlink(folder / "aws") == "../credentials"
    assert sorted(os.listdir(target.parent)) == ["credentials", "dotfiles", "link"]
    assert os.listdir(folder) == ["aws"]


def test_the_time_of_change_is_now(target: Path) -> None:
    """Tools that cache by mtime must notice."""
    os.utime(target, (1, 1))
    replace(target)
    assert abs(target.stat().st_mtime - time.time()) < 60


def test_a_file_that_changed_meanwhile_is_not_overwritten(target: Path) -> None:
    """Another content, another file in its place, another mode: whoever did that wins, and nothing is left."""
    before = found(target)
    target.write_bytes(OLD[::-1])
    assert files.replace(before, NEW) is Written.CHANGED
    assert files.overwrite(before, [(0, b"x")]) is Written.CHANGED
    before = found(target)
    other = target.with_name("other")
    other.write_bytes(OLD[::-1])
    other.replace(target)
    assert files.replace(before, NEW) is Written.CHANGED
    before = found(target)
    target.chmod(0o400)
    assert files.replace(before, NEW) is Written.CHANGED
    before = found(target)
    target.unlink()
    with pytest.raises(Problem, match="no such file"):
        files.overwrite(before, [(0, b"x")])
    assert os.listdir(target.parent) == []


def test_what_a_killed_run_left_is_swept(target: Path) -> None:
    """Only our own temporary files of this target; look-alikes stay."""
    stay = [".rotate-my-key.config.0123456789abcdef.tmp", ".rotate-my-key.credentials.tmp", "credentials.tmp"]
    stay += ["credentials.rotate-my-key-old"]  # ours on Windows alone
    leftover = f".rotate-my-key.credentials.{16 * 'a'}.tmp"
    for name in (*stay, leftover):
        (target.parent / name).write_bytes(b"secret")
    files.sweep(str(target))
    assert sorted(os.listdir(target.parent)) == sorted([*stay, "credentials"])


def test_what_a_killed_run_left_goes_with_the_next_write(target: Path) -> None:
    """Of a file that no rotation knows, too: the lock sweeps beside the profile files alone."""
    (target.parent / ".rotate-my-key.credentials.0123456789abcdef.tmp").write_bytes(b"secret")
    assert replace(target) is Written.DONE
    assert os.listdir(target.parent) == ["credentials"]


def test_what_this_process_is_writing_is_not_swept(target: Path) -> None:
    """Several rotations in one run: one sweeps while another one writes."""
    beside = temporary_name(str(target))
    Path(beside).write_bytes(b"half")
    files.sweep(str(target))
    assert Path(beside).exists()
    discard(beside)
    assert os.listdir(target.parent) == ["credentials"]


def test_a_long_name_can_be_replaced(tmp_path: Path) -> None:
    """The temporary name fits where the target's does."""
    path = tmp_path / ("\U0001f511" * 63)
    path.write_bytes(OLD)
    assert replace(path) is Written.DONE
    assert os.listdir(tmp_path) == [path.name]


def test_a_rehearsal_puts_no_secret_beside_the_file(target: Path) -> None:
    """The file beside the target has its size and only zeros."""
    seen = set()
    real_write = os.pwrite

    def look(frame: FrameType, event: str, argument: object) -> None:
        if event == "c_return" and argument is real_write:
            (beside,) = set(os.listdir(target.parent)) - {"credentials"}
            seen.add((target.parent / beside).read_bytes())

    sys.setprofile(look)
    try:
        files.rehearse(found(target))
    finally:
        sys.setprofile(None)
    assert seen == {bytes(len(OLD))}


def test_a_reader_never_meets_half_a_file(target: Path) -> None:
    """While one thread replaces the file again and again, others read the old content or the new."""
    seen: set[bytes] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(target.read_bytes())

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        files.replace(found(target), (OLD, NEW)[turn % 2])
    stop.set()
    for reader in readers:
        reader.join()
    assert seen <= {OLD, NEW}


def replace_until(call: int, snapshot: Snapshot) -> None:
    """Replace the file in this process, which kills itself before its system call of that number."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        if event == "c_call" and getattr(argument, "__module__", "") == "posix":
            calls += 1
            if calls == call:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    files.replace(snapshot, NEW)


def test_a_run_killed_at_any_moment_leaves_the_old_file_or_the_new(target: Path, in_child: InChild) -> None:
    """kill -9 before each system call: whole content, same mode; the next run sweeps what was left."""
    target.chmod(0o640)
    outcomes = []
    for call in range(1, 100):
        target.write_bytes(OLD)
        status = in_child(partial(replace_until, call, found(target)))
        assert target.read_bytes() in (OLD, NEW)
        assert stat.S_IMODE(target.stat().st_mode) == 0o640
        files.sweep(str(target))
        assert os.listdir(target.parent) == ["credentials"]
        if status == 0:
            break
        outcomes.append(target.read_bytes())
    else:
        pytest.fail("it never came to the end")
    assert outcomes == sorted(outcomes, key=[OLD, NEW].index)
    assert set(outcomes) == {OLD, NEW}


# Where rename cannot be


def test_a_read_only_folder_leaves_in_place(shared_folder: Path, as_user: AsUser) -> None:
    """The file may be written, its folder may not: said by the rehearsal, and found again by the write."""
    target = shared_folder / "folder" / "credentials"
    target.parent.mkdir()
    target.write_bytes(OLD)
    target.chmod(0o666)
    target.parent.chmod(0o555)

    def work() -> None:
        assert files.rehearse(found(target)) == "its folder cannot be written to"
        assert files.replace(found(target), NEW) is Written.IMPOSSIBLE
        assert files.overwrite(found(target), [(4, b"new "), (12, b"NEW ")]) is Written.DONE

    as_user(work)
    assert target.read_bytes() == OLD[:4] + b"new " + OLD[8:12] + b"NEW " + OLD[16:]
    target.parent.chmod(0o755)


def test_neither_folder_nor_file_may_be_written(shared_folder: Path, as_user: AsUser) -> None:
    """Refused by the rehearsal, with the command that shows the permissions."""
    target = shared_folder / "folder" / "credentials"
    target.parent.mkdir()
    target.write_bytes(OLD)
    target.chmod(0o444)
    target.parent.chmod(0o555)

    def work() -> None:
        with pytest.raises(Problem, match="permission denied") as problem:
            files.rehearse(found(target))
        assert problem.value.hint == f"ls -ld {target.parent} {target}"

    as_user(work)
    target.parent.chmod(0o755)


def test_a_file_that_may_not_be_read(shared_folder: Path, as_user: AsUser) -> None:
    """botocore would take it for empty; it is a Problem."""
    target = shared_folder / "credentials"
    target.write_bytes(OLD)
    target.chmod(0)

    def work() -> None:
        with pytest.raises(Problem, match="permission denied"):
            files.snapshot(str(target))

    as_user(work)


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED HERE: only root can make files of another user")
@pytest.mark.parametrize(
    ("folder_mode", "reason"),
    [(0o777, "its owner or attributes cannot be given to a new file"), (0o1777, "it belongs to another user")],
    ids=["any folder", "a sticky folder"],
)
def test_a_file_of_another_owner_leaves_in_place(
    shared_folder: Path, as_user: AsUser, folder_mode: int, reason: str
) -> None:
    """A new file could not be given to the owner; in a sticky folder the old one could not be removed."""
    target = shared_folder / "folder" / "credentials"
    target.parent.mkdir()
    target.write_bytes(OLD)
    target.chmod(0o666)
    target.parent.chmod(folder_mode)

    def work() -> None:
        assert files.rehearse(found(target)) == reason
        assert files.replace(found(target), NEW) is Written.IMPOSSIBLE
        assert os.listdir(target.parent) == ["credentials"]

    as_user(work)
    assert target.stat().st_uid == 0


def test_a_file_mounted_alone_leaves_in_place(target: Path, mounted: Mounted) -> None:
    """Docker mounts single files: rename answers EBUSY. Known beforehand where /proc tells, else met by the write."""
    target = target.rename(target.with_name("my credentials"))  # mountinfo writes the blank as \\040
    target.with_name("mount me").write_bytes(OLD)
    code = f"""
import os, subprocess
from rotate_my_key.files import write as files
from rotate_my_key.files.write import Written
def found(): return files.snapshot({str(target)!r})
assert files.rehearse(found()) == "it is mounted as a single file"
assert files.replace(found(), b"x") is Written.IMPOSSIBLE
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/proc"], check=True)
assert files.rehearse(found()) is None
assert files.replace(found(), b"x") is Written.IMPOSSIBLE
assert files.overwrite(found(), [(0, b"new")]) is Written.DONE
assert sorted(os.listdir({str(target.parent)!r})) == ["mount me", "my credentials"]
"""
    mounted(f"mount --bind '{target.with_name('mount me')}' '{target}'", code)
    assert target.read_bytes() == OLD
    assert target.with_name("mount me").read_bytes() == b"new" + OLD[3:]


# When the disk does not let us


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, mounted: Mounted) -> None:
    """Met by the rehearsal and by the write; the hint says how to see it, and nothing is left."""
    code = f"""
import os
from rotate_my_key.core.errors import Problem
from rotate_my_key.files import write as files
path = {str(tmp_path)!r} + "/credentials"
data = b"x" * 40000
open(path, "wb").write(data)
try:
    open({str(tmp_path)!r} + "/filler", "wb", buffering=0).write(bytes(1 << 20))
except OSError:
    pass
found = files.snapshot(path)
for attempt in (lambda: files.rehearse(found), lambda: files.replace(found, data)):
    try:
        attempt()
        raise SystemExit("it was possible")
    except Problem as problem:
        assert "the disk is full" in problem.message, problem
        assert "df -h" in problem.hint, problem.hint
assert open(path, "rb").read() == data
assert sorted(os.listdir({str(tmp_path)!r})) == ["credentials", "filler"]
"""
    mounted(f"mount -t tmpfs -o size=64k tmpfs '{tmp_path}'", code)


def test_a_read_only_file_system_is_refused(target: Path, mounted: Mounted) -> None:
    """Neither by rename nor in place."""
    code = f"""
from rotate_my_key.core.errors import Problem
from rotate_my_key.files import write as files
try:
    files.rehearse(files.snapshot({str(target)!r}))
    raise SystemExit("it was possible")
except Problem as problem:
    assert "the file system is read-only" in problem.message, problem
"""
    folder = target.parent
    mounted(f"mount --bind '{folder}' '{folder}'\nmount -o remount,bind,ro '{folder}'", code)


def test_a_limit_for_files_leaves_the_old_one(target: Path, in_child: InChild) -> None:
    """EFBIG half-way through: the part that was written goes."""

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        with pytest.raises(Problem, match="exceed the file size limit"):
            files.rehearse(found(target))
        with pytest.raises(Problem, match="exceed the file size limit"):
            files.replace(found(target), NEW)

    assert in_child(work) == 0
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == ["credentials"]


@pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED HERE: only root can mark files as unchangeable")
def test_an_unchangeable_file_is_refused_by_the_rehearsal(target: Path) -> None:
    """chattr +i: it can be neither replaced nor written, which opening it tells."""
    get, put, unchangeable = 0x80086601, 0x40086602, 0x10  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IMMUTABLE_FL
    with target.open("rb") as file:
        try:
            flags = struct.unpack("l", fcntl.ioctl(file, get, bytes(8)))[0]
            fcntl.ioctl(file, put, struct.pack("l", flags | unchangeable))
        except OSError as error:
            pytest.skip(f"NOT TESTED HERE: {errno.errorcode[error.errno or 0]} from this file system")
        try:
            with pytest.raises(Problem, match="marked as unchangeable"):
                files.rehearse(found(target))
        finally:
            fcntl.ioctl(file, put, struct.pack("l", flags))
