"""Whether git tracks a file, told from the index: compared with git itself."""

import os
import subprocess
from pathlib import Path

import pytest

from rotate_my_key.files.regular import is_tracked, tracking

NAMES = (".env", "a", "deep/er/file with blanks.txt", "ümlaut", "x" * 90 + "/y")


def git(folder: Path, *words: str) -> None:
    """Run git without anybody's settings."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    names = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    subprocess.run(["git", *names, *words], cwd=folder, env=env, check=True, capture_output=True)


def fill(folder: Path, *words: str) -> None:
    """Some files, and beside each one that git does not know."""
    for name in NAMES:
        for path in (folder / name, folder / f"{name}.other"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
    git(folder, *words, "add", *NAMES)


def check(folder: Path) -> None:
    """Each file is told right."""
    for name in NAMES:
        assert is_tracked(str(folder / name)), name
        assert not is_tracked(str(folder / f"{name}.other")), name


@pytest.mark.parametrize("version", ["2", "4"])
@pytest.mark.parametrize("hashes", ["sha1", "sha256"])
def test_in_every_version_of_the_index(tmp_path: Path, version: str, hashes: str) -> None:
    """Names are cut short in version 4; version 3, which `git add -N` makes, is 2 with more flags."""
    git(tmp_path, "init", "-q", f"--object-format={hashes}")
    git(tmp_path, "config", "index.version", version)
    fill(tmp_path)
    check(tmp_path)
    (tmp_path / "later").write_text("x")
    git(tmp_path, "add", "-N", "later")
    check(tmp_path)
    assert is_tracked(str(tmp_path / "later"))


def test_in_a_worktree(tmp_path: Path) -> None:
    """There `.git` is a file that leads elsewhere, and remotes are the repository's."""
    (tmp_path / "main").mkdir()
    git(tmp_path / "main", "init", "-q")
    fill(tmp_path / "main")
    git(tmp_path / "main", "commit", "-qm", "x")
    git(tmp_path / "main", "worktree", "add", "-q", "../other")
    check(tmp_path / "main")
    for remote in (False, True):
        found = tracking(str(tmp_path / "other" / ".env"))
        assert found and found.name == ".env" and found.has_remote is remote
        git(tmp_path / "main", "remote", "add", f"origin{remote}", "https://example.com/x")
    (tmp_path / "other" / "new").write_text("x")
    assert not is_tracked(str(tmp_path / "other" / "new"))


@pytest.mark.parametrize("name", [".local/share/yadm/repo.git", ".cfg"])
def test_of_a_whole_home(tmp_path: Path, name: str) -> None:
    """yadm's repository, and a bare one with the home as its work tree."""
    git(tmp_path, "init", "-q", "--bare", name)
    assert not is_tracked(str(tmp_path / ".env"))
    fill(tmp_path, f"--git-dir={name}", "--work-tree=.")
    check(tmp_path)


@pytest.mark.parametrize("index", [b"", b"DIRC\0\0\0\2\0\0\0\1", b"DIRC\0\0\0\x09\0\0\0\0", b"split"])
def test_what_cannot_be_read_counts_as_tracked(tmp_path: Path, index: bytes) -> None:
    """A living secret is not put where it may be pushed from; of a split index most names are in another file."""
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("x")
    if index == b"split":
        git(tmp_path, "add", "file")
        git(tmp_path, "update-index", "--split-index")
    else:
        (tmp_path / ".git" / "index").write_bytes(index)
    assert is_tracked(str(tmp_path / "file"))


def test_outside_of_any_repository(tmp_path: Path) -> None:
    """And in one without a single file added."""
    assert not is_tracked(str(tmp_path / "file"))
    git(tmp_path, "init", "-q")
    assert not is_tracked(str(tmp_path / "file"))
