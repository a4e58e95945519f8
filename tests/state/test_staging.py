"""Where pairs rest outside their places: private, whole or not at all, with room taken beforehand."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials
from rotate_my_key.state.notes import SIZE, FileStaging

NAME = "AKIAOLDOLDOLDOLDOLD1"
OLD = Credentials(NAME, "oldSecret/K7MDENG+bPxRfiCYEXAMPLEKEY==xy")
NEW = Credentials("AKIANEWNEWNEWNEWNEW2", "/nEw+sec/K7MDENG+bPxRfiCYEXAMPLEKEYxyz=0")


@pytest.fixture
def staging(tmp_path: Path) -> FileStaging:
    """A staging folder that is not there yet."""
    return FileStaging(str(tmp_path / "staging"))


def test_both_pairs_are_kept_by_role_with_the_note(staging: FileStaging) -> None:
    """What was put is given back; the staged record's note goes before the kept one's."""
    assert (staging.get(NAME), staging.get_record(NAME), staging.names()) == ({}, None, ())
    staging.reserve(NAME)
    staging.put(NAME, "kept", OLD, b"kept note \xff")
    assert (staging.get(NAME), staging.get_record(NAME)) == ({"kept": OLD}, b"kept note \xff")
    staging.put(NAME, "staged", NEW, b"staged note")
    assert (staging.get(NAME), staging.get_record(NAME)) == ({"kept": OLD, "staged": NEW}, b"staged note")
    staging.put(NAME, "staged", NEW)
    assert staging.get_record(NAME) == b""
    assert staging.names() == (NAME,)


def test_records_are_private(staging: FileStaging, tmp_path: Path) -> None:
    """0700 and 0600; a reserved record has its full size and no content."""
    staging.reserve(NAME)
    assert staging.get(NAME) == {}
    assert staging.names() == (NAME,)
    staging.put(NAME, "kept", OLD)
    folder = tmp_path / "staging"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {(p.name, p.stat().st_mode & 0o777, p.stat().st_size) for p in folder.iterdir()} == {
        (f"{NAME}.staged", 0o600, SIZE),
        (f"{NAME}.kept", 0o600, SIZE),
    }


def test_dropping_removes_both(staging: FileStaging, tmp_path: Path) -> None:
    """Also when there is nothing; other rotations stay."""
    staging.drop(NAME)
    for name in (NAME, "AKIAOTHER"):
        staging.reserve(name)
        staging.put(name, "kept", OLD)
    staging.drop(NAME)
    assert sorted(os.listdir(tmp_path / "staging")) == ["AKIAOTHER.kept", "AKIAOTHER.staged"]


def test_a_pair_goes_into_the_reserved_room(staging: FileStaging, tmp_path: Path) -> None:
    """In place, so that it needs nothing of a full disk; a record that is there is replaced at once instead."""
    staging.reserve(NAME)
    path = tmp_path / "staging" / f"{NAME}.staged"
    inode = path.stat().st_ino
    staging.put(NAME, "staged", OLD)
    assert path.stat().st_ino == inode
    with path.open("rb") as reader:
        staging.put(NAME, "staged", NEW)
        assert OLD.secret.encode() in reader.read()
    assert staging.get(NAME) == {"staged": NEW}


def test_reserving_again_keeps_a_record(staging: FileStaging) -> None:
    """A pair that is staged is never thrown away for room."""
    staging.reserve(NAME)
    staging.put(NAME, "staged", NEW)
    staging.reserve(NAME)
    assert staging.get(NAME) == {"staged": NEW}


@pytest.mark.parametrize("cut", [0, 1, 10, 100, 200])
def test_a_torn_record_is_no_record(staging: FileStaging, tmp_path: Path, cut: int) -> None:
    """The write stopped somewhere: new bytes, then the blanks of the reservation. It can be reserved again."""
    staging.reserve(NAME)
    staging.put(NAME, "staged", NEW, b"note")
    path = tmp_path / "staging" / f"{NAME}.staged"
    path.write_bytes(path.read_bytes()[:cut].ljust(SIZE))
    assert (staging.get(NAME), staging.get_record(NAME)) == ({}, None)
    staging.reserve(NAME)
    staging.put(NAME, "staged", NEW)
    assert staging.get(NAME) == {"staged": NEW}


def test_a_changed_record_is_no_record(staging: FileStaging, tmp_path: Path) -> None:
    """One other character in the secret, and the checksum does not fit."""
    staging.put(NAME, "staged", NEW)
    path = tmp_path / "staging" / f"{NAME}.staged"
    path.write_bytes(path.read_bytes().replace(b"/nEw+sec", b"/nEw+seC"))
    assert staging.get(NAME) == {}


def test_a_long_note_takes_more_room(staging: FileStaging, tmp_path: Path) -> None:
    """Hundreds of places: a multiple of the size."""
    staging.reserve(NAME)
    staging.put(NAME, "staged", NEW, b"x" * 10_000)
    assert staging.get_record(NAME) == b"x" * 10_000
    assert (tmp_path / "staging" / f"{NAME}.staged").stat().st_size == 4 * SIZE


def test_a_record_of_a_newer_version_is_left_alone(staging: FileStaging, tmp_path: Path) -> None:
    """It is a Problem and not "no record": there is a secret in it."""
    path = tmp_path / "staging" / f"{NAME}.staged"
    staging.reserve(NAME)
    body = {"version": 2}
    checksum = hashlib.sha256(json.dumps(body).encode()).hexdigest()
    path.write_text(json.dumps(body | {"checksum": checksum}))
    for attempt in (staging.get, staging.get_record, staging.reserve):
        with pytest.raises(Problem, match="newer rotate-my-key"):
            attempt(NAME)


@pytest.mark.parametrize("name", ["../../etc/x", "akia", "A", "", "A/B", "AKIA\n"])
def test_a_name_that_is_no_key_id_is_refused(staging: FileStaging, name: str) -> None:
    """No path is ever made of it."""
    for attempt in (staging.reserve, staging.get, staging.drop):
        with pytest.raises(Problem, match="unusual form"):
            attempt(name)


def test_no_secret_is_shown_by_a_failed_write(staging: FileStaging, tmp_path: Path) -> None:
    """A folder that cannot be made: the Problem names it and nothing else."""
    (tmp_path / "staging").write_bytes(b"")
    with pytest.raises(Problem) as problem:
        staging.put(NAME, "kept", OLD)
    assert OLD.secret not in repr(problem.value) + problem.value.hint


def test_a_full_disk_is_met_when_reserving_and_not_later(tmp_path: Path) -> None:
    """With the room reserved, the pair is stored on a disk that is full to the last byte; a reservation is refused."""
    enter = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    if subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip("NOT TESTED HERE: no mount namespaces (unshare -m is not allowed)")
    code = f"""
from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials
from rotate_my_key.state.notes import FileStaging
pair = Credentials("AKIANEW", "secret")
staging = FileStaging({str(tmp_path)!r} + "/staging")
staging.reserve("AKIAOLD")
try:
    open({str(tmp_path)!r} + "/filler", "wb", buffering=0).write(bytes(1 << 20))
    open({str(tmp_path)!r} + "/filler2", "wb", buffering=0).write(bytes(1))
except OSError:
    pass
staging.put("AKIAOLD", "staged", pair, b"note")
assert staging.get("AKIAOLD") == {{"staged": pair}}
try:
    staging.reserve("AKIAOTHER")
    raise SystemExit("there was room")
except Problem as problem:
    assert "the disk is full" in problem.message, problem
assert staging.names() == ("AKIAOLD",)
"""
    mount = f'mount -t tmpfs -o size=32k tmpfs \'{tmp_path}\' && exec "$0" -c "$1"'
    done = subprocess.run(
        [*enter, "sh", "-c", mount, sys.executable, code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
