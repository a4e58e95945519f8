"""When a verb of `files/` returns, what it did is on the disk; when the power goes before, there is the old or the new.

The verbs run under strace, and `tests/disk.py` says what a disk has that kept only what was synced.
"""

import copy
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disk import STRACE, Call, Disk, Tree, calls, strace, variants

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(STRACE is None, reason="NO STRACE HERE: what a power cut leaves is NOT tested")

# What is done in turn, in a folder that holds the file `old`.
VERBS = {
    "a folder and those above it": "make_private_dir(at('a/b/c'))",
    "a new file": "write_private(at('new'), b'new')",
    "a file written anew": "write_private(at('old'), b'newer')",
    "a file that nobody else has made": "create_private(at('a/created'), b'new')",
    "the same where there are no hard links": "without_links(lambda: create_private(at('a/b/created'), b'new'))",
    "a first line": "append_private(at('lines'), b'one')",
    "a second line": "append_private(at('lines'), b'two')",
    "room for a record": "reserve_private(at('a/record'), 10)",
    "a record in that room": "overwrite_private(at('a/record'), b'secret')",
    "a file that is removed": "remove_private(at('new'))",
    "a file replaced by rename": "replace(snapshot(at('old')), b'replaced')",
    "a file written in place": "overwrite(snapshot(at('old')), [(2, b'PLACE')])",
}
# What is made bit by bit, and harms nobody so.
IN_PIECES = {"a folder and those above it", "the same where there are no hard links", "a first line"}
SCRIPT = f"""
import errno, os, sys
sys.path.insert(0, {str(ROOT)!r})
from rotate_my_key.files.write import *
from rotate_my_key.files.write import overwrite, replace, snapshot
at = lambda name: os.path.join(sys.argv[1], name)

def without_links(do):
    def refuse(*paths): raise OSError(errno.EPERM, "Operation not permitted")
    os.link = refuse
    do()

for number, verb in enumerate(sys.argv[3:]):
    eval(verb)
    os.close(os.open(os.path.join(sys.argv[2], str(number)), os.O_CREAT | os.O_RDWR))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Disk, list[list[Call]]]:
    """The disk as it was, and the calls of each verb."""
    top = tmp_path_factory.mktemp("power")
    root, ends = top / "root", top / "ends"
    root.mkdir()
    ends.mkdir()
    (root / "old").write_bytes(b"the old")
    disk = Disk(root)
    command = [sys.executable, "-c", SCRIPT, str(root), str(ends), *VERBS.values()]
    subprocess.run([*strace(top / "log"), *command], check=True)
    found: list[list[Call]] = [[]]
    for call in calls(top / "log"):
        found[-1].append(call)
        if call.name == "openat" and str(ends) in str(call.words[1]):
            found.append([])
    assert len(found) == len(VERBS) + 1
    return disk, found


@pytest.fixture
def verb(request: pytest.FixtureRequest, recorded: tuple[Disk, list[list[Call]]]) -> tuple[Disk, list[Call]]:
    """The disk as the verb finds it, with nothing loose, and the calls of the verb."""
    first, found = recorded
    disk, number = copy.deepcopy(first), list(VERBS).index(request.param)
    for call in (call for before in found[:number] for call in before):
        disk.do(call)
    disk.settle()
    return disk, found[number]


@pytest.mark.parametrize("verb", list(VERBS), indirect=True)
def test_what_is_done_is_on_the_disk_when_a_verb_returns(verb: tuple[Disk, list[Call]]) -> None:
    """Files, names and new folders: nothing waits for the system to write it one day."""
    disk, done = verb
    before = _plain(disk.left())
    for call in done:
        disk.do(call)
    assert _plain(disk.left()) == _plain(disk.left(lambda each: True)) != before


@pytest.mark.parametrize("verb", [name for name in VERBS if name not in IN_PIECES], indirect=True)
def test_in_between_there_is_the_old_or_the_new(verb: tuple[Disk, list[Call]]) -> None:
    """Never half of a file, nor an empty one: after each call, whatever of it has reached the disk."""
    disk, done = verb
    seen = [_plain(disk.left())]
    for call in done:
        if disk.do(call):
            seen += [_plain(tree) for _, tree in variants(disk)]
    assert len(seen) > 2
    assert all(tree in (seen[0], _plain(disk.left())) for tree in seen)


def _plain(tree: Tree) -> dict[str, bytes | None]:
    """Without what the next run sweeps."""
    return {name: data for name, (_, data) in tree.items() if not name.endswith(".tmp")}


_FLUSH = re.compile(r"platform\.fsync\w*\(.*\)")
FLUSHES = [
    (str(path.relative_to(ROOT)), number)
    for path in sorted((ROOT / "rotate_my_key").rglob("*.py"))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines())
    if _FLUSH.search(line)
]


@pytest.mark.slow
@pytest.mark.parametrize(("file", "line"), FLUSHES)
def test_no_flush_can_be_left_out(tmp_path: Path, file: str, line: int) -> None:
    """Without it a test above fails."""
    for name in ("rotate_my_key", "tests/files/test_power_cut.py", "tests/disk.py", "pyproject.toml"):
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    lines = (tmp_path / file).read_text(encoding="utf-8").splitlines(keepends=True)
    lines[line] = _FLUSH.sub("None", lines[line])
    (tmp_path / file).write_text("".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", "-x", "tests/files"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "1 failed" in done.stdout, f"{file}, line {line + 1}: nobody notices\n{done.stdout}"
