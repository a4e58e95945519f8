"""The history: lines that tell of the past and stop nothing."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotate_my_key.core.policy import Past
from rotate_my_key.state.history import FileHistory

AT = datetime(2026, 5, 4, 12, 30, 15, tzinfo=UTC)
PAST = Past(AT, "rotated", "123456789012", "arn:aws:iam::123456789012:user/alice", "AKIAOLD", "AKIANEW", ("AKIAOLD",))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The history's file; not there yet."""
    return tmp_path / "history.jsonl"


@given(st.lists(st.text(max_size=20), max_size=3), st.none() | st.text(max_size=9))
def test_a_line_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, names: list[str], new: str) -> None:
    """Whatever a profile is called: also line ends and other separators."""
    history = FileHistory(str(tmp_path_factory.mktemp("state") / "history.jsonl"))
    past = Past(AT, "rotated", "1", "arn", "AKIAOLD", new, tuple(names), tuple(names))
    history.add(past)
    history.add(PAST)
    assert history.entries() == (past, PAST)


def test_a_line_is_json_with_a_version(file: Path) -> None:
    """Private, one object a line."""
    FileHistory(str(file)).add(PAST)
    (line,) = file.read_text().splitlines()
    value = json.loads(line)
    assert (value["version"], value["at"], value["new"]) == (1, "2026-05-04T12:30:15+00:00", "AKIANEW")
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"\xff\0", id="not text"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b"{}", id="empty"),
        pytest.param(b'{"at": 1}', id="a time that is none"),
        pytest.param(b'{"at": "2026-05-04T12:30:15+00:00", "action": "rot', id="cut off"),
        pytest.param(b"[" * 100_000, id="nested without end"),
    ],
)
def test_a_line_that_cannot_be_read_is_passed_over(file: Path, line: bytes) -> None:
    """A crash may have cut one off; the next one begins on a line of its own."""
    history = FileHistory(str(file))
    history.add(PAST)
    with file.open("ab") as torn:
        torn.write(line)
    history.add(PAST)
    assert history.entries() == (PAST, PAST)
