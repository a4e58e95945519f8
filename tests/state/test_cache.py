"""What AWS last said, kept for `status --cached`: a file that makes no sense is an empty one."""

import json
import os
from pathlib import Path

import pytest

from rotate_my_key.state.cache import Cached, FileCache

ROWS: list[dict[str, object]] = [{"key_id": "AKIAOLD", "profiles": ["default"]}, {"key_id": None, "kind": "sso"}]


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    """A cache beside two profile files, of which one is there."""
    (tmp_path / "credentials").write_text("[default]\n")
    return FileCache(str(tmp_path / "state" / "status.json"), [str(tmp_path / "credentials"), str(tmp_path / "config")])


def test_rows_are_read_back(cache: FileCache) -> None:
    """And the files are as they were."""
    assert cache.load() == Cached([], False)
    cache.save(ROWS)
    assert cache.load() == Cached(ROWS, True)


@pytest.mark.parametrize("name", ["credentials", "config"])
def test_a_file_that_changed_is_seen(cache: FileCache, tmp_path: Path, name: str) -> None:
    """Which profile holds what may be another one now; also if the file was not there."""
    cache.save(ROWS)
    (tmp_path / name).write_text("[other]\n# longer\n")
    assert cache.load() == Cached(ROWS, False)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\0", id="not text"),
        pytest.param(b"null", id="nothing"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(json.dumps({"version": 2, "files": {}, "rows": ROWS}).encode(), id="a newer version"),
        pytest.param(json.dumps({"version": 1, "files": {}, "rows": 3}).encode(), id="rows that are none"),
    ],
)
def test_what_makes_no_sense_is_empty(cache: FileCache, tmp_path: Path, content: bytes) -> None:
    """Nothing is decided by it, so nothing is complained of."""
    cache.save(ROWS)
    (tmp_path / "state" / "status.json").write_bytes(content)
    assert cache.load() == Cached([], False)


def test_it_is_private(cache: FileCache, tmp_path: Path) -> None:
    """It tells which keys there are."""
    cache.save(ROWS)
    if os.name == "posix":
        assert (tmp_path / "state" / "status.json").stat().st_mode & 0o777 == 0o600


def test_whoever_wants_to_know_is_told_of_the_rows(tmp_path: Path) -> None:
    """The reminder, for one."""
    told: list[object] = []
    FileCache(str(tmp_path / "status.json"), [], told.append).save(ROWS)
    assert told == [ROWS]
