"""State files: private, durable, complete or absent, never another user's."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.files.write import (
    append_private,
    create_private,
    make_private_dir,
    overwrite_private,
    read_private,
    remove_private,
    reserve_private,
    sweep_folder,
    write_private,
)

InChild = Callable[[Callable[[], object]], int]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="NOT TESTED HERE: only root can make files of another user")


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=lambda umask: f"umask {umask:03o}")
def umask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Private does not depend on the umask."""
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_files_are_for_the_user_alone(tmp_path: Path) -> None:
    """0600, however they are made, and nothing is left beside them."""
    write_private(str(tmp_path / "written"), b"1")
    create_private(str(tmp_path / "created"), b"2")
    append_private(str(tmp_path / "appended"), b"3")
    reserve_private(str(tmp_path / "reserved"), 4)
    assert {path.name: mode(path) for path in tmp_path.iterdir()} == dict.fromkeys(
        ("written", "created", "appended", "reserved"), 0o600
    )


def test_folders_are_for_the_user_alone(tmp_path: Path) -> None:
    """0700 for new ones and those above them; one that is open to others is tightened."""
    make_private_dir(str(tmp_path / "a" / "b"))
    assert mode(tmp_path / "a" / "b") == 0o700
    (tmp_path / "a" / "b").chmod(0o755)
    make_private_dir(str(tmp_path / "a" / "b"))
    assert mode(tmp_path / "a" / "b") == 0o700


@needs_root
def test_what_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    """A folder, a file to read, to add to or to write over."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"content")
    for path in tmp_path.iterdir():
        os.chown(path, 1234, 1234)
    for refused in (
        lambda: make_private_dir(str(tmp_path / "folder")),
        lambda: read_private(str(tmp_path / "file")),
        lambda: append_private(str(tmp_path / "file"), b"line"),
        lambda: overwrite_private(str(tmp_path / "file"), b"x"),
    ):
        with pytest.raises(Problem, match="belongs to another user"):
            refused()
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_file_in_a_folders_place_is_a_problem(tmp_path: Path) -> None:
    """Said with the path; nothing is removed."""
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(Problem, match="is not a folder"):
        make_private_dir(str(tmp_path / "state"))


def test_writing_replaces_at_once(tmp_path: Path) -> None:
    """The file gets a new inode: a reader that has it open goes on reading the old content."""
    path = tmp_path / "file"
    write_private(str(path), b"old")
    with path.open("rb") as reader:
        write_private(str(path), b"new")
        assert reader.read() == b"old"
    assert read_private(str(path)) == b"new"


def test_a_link_in_a_state_files_place_is_not_followed(tmp_path: Path) -> None:
    """Nothing outside is read or written through it."""
    (tmp_path / "outside").write_bytes(b"content")
    (tmp_path / "link").symlink_to("outside")
    for refused in (
        lambda: read_private(str(tmp_path / "link")),
        lambda: append_private(str(tmp_path / "link"), b"line"),
        lambda: overwrite_private(str(tmp_path / "link"), b"x"),
    ):
        with pytest.raises(Problem):
            refused()
    assert not create_private(str(tmp_path / "link"), b"x")
    assert (tmp_path / "outside").read_bytes() == b"content"


def test_only_the_first_creates(tmp_path: Path) -> None:
    """O_EXCL: the second is told so, and the content is the first one's."""
    assert create_private(str(tmp_path / "note"), b"first")
    assert not create_private(str(tmp_path / "note"), b"second")
    assert read_private(str(tmp_path / "note")) == b"first"


def test_lines_are_added_whole(tmp_path: Path) -> None:
    """A line that a crash cut off is ended first, so that it spoils no other."""
    path = tmp_path / "history"
    append_private(str(path), b"one")
    append_private(str(path), b"two")
    with path.open("ab") as file:
        file.write(b"cut o")
    append_private(str(path), b"three")
    assert path.read_bytes() == b"one\ntwo\ncut o\nthree\n"


def test_reading_what_is_missing_or_too_large(tmp_path: Path) -> None:
    """None for a file that is not there; a Problem for one that cannot be ours."""
    assert read_private(str(tmp_path / "none" / "file")) is None
    write_private(str(tmp_path / "file"), b"12345")
    assert read_private(str(tmp_path / "file"), most=5) == b"12345"
    with pytest.raises(Problem, match="larger than 4 bytes"):
        read_private(str(tmp_path / "file"), most=4)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Problem, match="not a regular file"):
        read_private(str(tmp_path / "pipe"))


def test_writing_over_needs_the_reserved_room(tmp_path: Path) -> None:
    """In place, from the beginning, never longer."""
    path = tmp_path / "staged"
    reserve_private(str(path), 6)
    inode = path.stat().st_ino
    overwrite_private(str(path), b"123456")
    assert (path.read_bytes(), path.stat().st_ino) == (b"123456", inode)
    with pytest.raises(Problem):
        overwrite_private(str(path), b"1234567")
    assert path.read_bytes() == b"123456"


def test_removing_twice_is_no_problem(tmp_path: Path) -> None:
    """What is not there is removed already."""
    write_private(str(tmp_path / "file"), b"")
    remove_private(str(tmp_path / "file"))
    remove_private(str(tmp_path / "file"))
    assert os.listdir(tmp_path) == []


def test_what_a_killed_run_left_is_swept_from_a_folder(tmp_path: Path) -> None:
    """Half-written files of any state file, and nothing else."""
    write_private(str(tmp_path / "note"), b"note")
    (tmp_path / f".rotate-my-key.note.{16 * '0'}.tmp").write_bytes(b"half")
    sweep_folder(str(tmp_path))
    sweep_folder(str(tmp_path / "none"))
    assert os.listdir(tmp_path) == ["note"]


def test_without_the_lock_only_old_leftovers_are_swept(tmp_path: Path) -> None:
    """Another run may be writing the young one at this moment."""
    young, old = (tmp_path / f".rotate-my-key.status.json.{digit * 16}.tmp" for digit in "01")
    for path in (young, old):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    sweep_folder(str(tmp_path), age=60.0)
    assert os.listdir(tmp_path) == [young.name]


def test_a_failed_write_leaves_the_old_content(tmp_path: Path, in_child: InChild) -> None:
    """A limit for files stands in for a full disk: old content, nothing beside it, no half line."""
    import resource

    for name in ("file", "history"):
        (tmp_path / name).write_bytes(b"old\n")

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        for write in (write_private, append_private, create_private):
            name = {write_private: "file", append_private: "history"}.get(write, "new")
            with pytest.raises(Problem, match="exceed the file size limit"):
                write(str(tmp_path / name), b"x" * 200)

    assert in_child(work) == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old\n", "history": b"old\n"}
