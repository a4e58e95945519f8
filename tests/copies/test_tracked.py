"""Whether git tracks a file, told from the index: compared with git itself."""

import os
import subprocess
from pathlib import Path

import pytest

from rotate_my_key.copies.change import _index, is_tracked

NAMES = (".env", "a", "deep/er/file with blanks.txt", "ümlaut", "x" * 90 + "/y")


def git(folder: Path, *words: str) -> None:
    """Run git without anybody's settings."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    names = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(["git", *names, *words], cwd=folder, env=env, check=True, capture_output=True)


def fill(folder: Path) -> None:
    """Some files, and beside each one that git does not know."""
    for name in NAMES:
        for path in (folder / name, folder / f"{name}.other"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
    git(folder, "add", *NAMES)


def check(folder: Path) -> None:
    """Each file is told right."""
    _index.cache_clear()
    for name in NAMES:
        assert is_tracked(str(folder / name)), name
        assert not is_tracked(str(folder / f"{name}.other")), name


@pytest.mark.parametrize("version", ["2", "4"])
@pytest.mark.parametrize("hashes", ["sha1", "sha256"])
def test_in_every_version_of_the_index(tmp_path: Path, version: str, hashes: str) -> None:
    """Names are cut short in version 4; version 3 is 2 with more flags."""
    git(tmp_path, "init", "-q", f"--object-format={hashes}")
    git(tmp_path, "config", "index.version", version)
    fill(tmp_path)
    check(tmp_path)


def test_with_more_flags(tmp_path: Path) -> None:
    """`git add -N` makes version 3."""
    git(tmp_path, "init", "-q")
    fill(tmp_path)
    (tmp_path / "later").write_text("x")
    git(tmp_path, "add", "-N", "later")
    check(tmp_path)
    assert is_tracked(str(tmp_path / "later"))


def test_in_a_worktree(tmp_path: Path) -> None:
    """There `.git` is a file that leads elsewhere."""
    (tmp_path / "main").mkdir()
    git(tmp_path / "main", "init", "-q")
    fill(tmp_path / "main")
    git(tmp_path / "main", "commit", "-qm", "x")
    git(tmp_path / "main", "worktree", "add", "-q", "../other")
    _index.cache_clear()
    assert is_tracked(str(tmp_path / "other" / ".env"))
    (tmp_path / "other" / "new").write_text("x")
    assert not is_tracked(str(tmp_path / "other" / "new"))


@pytest.mark.parametrize("index", [b"", b"DIRC\0\0\0\2\0\0\0\1", b"DIRC\0\0\0\x09\0\0\0\0"])
def test_what_cannot_be_read_counts_as_tracked(tmp_path: Path, index: bytes) -> None:
    """A living secret is not put where it may be pushed from."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".git" / "index").write_bytes(index)
    _index.cache_clear()
    assert is_tracked(str(tmp_path / "file"))


def test_a_split_index_counts_as_tracked(tmp_path: Path) -> None:
    """Most names are in another file then."""
    git(tmp_path, "init", "-q")
    fill(tmp_path)
    git(tmp_path, "update-index", "--split-index")
    _index.cache_clear()
    assert is_tracked(str(tmp_path / ".env"))


def test_outside_of_any_repository(tmp_path: Path) -> None:
    """And in one without a single file added."""
    assert not is_tracked(str(tmp_path / "file"))
    git(tmp_path, "init", "-q")
    _index.cache_clear()
    assert not is_tracked(str(tmp_path / "file"))
