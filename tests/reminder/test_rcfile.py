"""The block in a start-up file: put in, put in again, taken out byte for byte."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotate_my_key.core.errors import Problem
from rotate_my_key.reminder import shell

LINE = b"if true; then . /x; fi"
FILES = {
    "empty": b"",
    "one line": b"export A=1\n",
    "no end to the last line": b"export A=1",
    "blank lines at the end": b"a\n\n\n",
    "crlf": b"a\r\nb\r\n",
    "not utf-8": b"\xff\xfe\x00\n",
    "a lone cr": b"a\rb",
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_taken_out_byte_for_byte(tmp_path: Path, data: bytes) -> None:
    """Install, install again, uninstall: the same bytes; a second uninstall finds nothing."""
    path = tmp_path / "rc"
    path.write_bytes(data)
    path.chmod(0o640)
    assert shell.install(str(path), LINE)
    once = path.read_bytes()
    assert once.count(LINE) == 1
    assert not shell.install(str(path), LINE)
    assert path.read_bytes() == once
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert shell.uninstall(str(path))
    assert path.read_bytes() == data
    assert not shell.uninstall(str(path))


BYTES = st.binary(max_size=100).filter(lambda data: b"rotate-my-key" not in data)


@given(BYTES, BYTES)
def test_any_bytes_come_back_and_what_was_added_later_stays(data: bytes, later: bytes) -> None:
    """Whatever the file holds. Lines that came after the block are kept; the line before it does not run into them."""
    assert shell.removed(shell.added(data, LINE)) == data
    after = shell.removed(shell.added(data, LINE) + later)
    whole = data if data.endswith(b"\n") or not data or not later else data + b"\n"
    assert after == whole + later


def test_another_line_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """After an update the block stays where it is."""
    path = tmp_path / "rc"
    path.write_bytes(b"a\n")
    shell.install(str(path), LINE)
    path.write_bytes(path.read_bytes() + b"b\n")
    assert shell.install(str(path), b"other")
    assert LINE not in path.read_bytes()
    assert path.read_bytes().endswith(b"b\n")
    shell.uninstall(str(path))
    assert path.read_bytes() == b"a\nb\n"


def test_a_file_that_was_not_there(tmp_path: Path) -> None:
    """It is made, and goes again; if something else came into it, that stays."""
    path = tmp_path / "folder" / "rc"
    assert shell.install(str(path), LINE)
    assert shell.uninstall(str(path))
    assert not path.exists()
    shell.install(str(path), LINE)
    path.write_bytes(path.read_bytes() + b"mine\n")
    shell.uninstall(str(path))
    assert path.read_bytes() == b"mine\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Dotfiles that a manager links into the home; also one that leads to a file not made yet."""
    target = tmp_path / "dotfiles" / "bashrc"
    target.parent.mkdir()
    link = tmp_path / ".bashrc"
    link.symlink_to(target)
    for before in (None, b"export A=1\n"):
        if before:
            target.write_bytes(before)
        shell.install(str(link), LINE)
        assert link.is_symlink()
        assert LINE in target.read_bytes()
        shell.uninstall(str(link))
        assert link.is_symlink()
        assert (target.read_bytes() if target.exists() else None) == before


@pytest.mark.parametrize("cut", [b"# <<< rotate-my-key reminder <<<\n", b"# >>> rotate-my-key reminder >>>"], ids=str)
def test_half_a_block_is_left_alone(tmp_path: Path, cut: bytes) -> None:
    """Somebody edited it: nothing is guessed."""
    path = tmp_path / "rc"
    data = shell.added(b"a\n", LINE).replace(cut, b"")
    path.write_bytes(data)
    with pytest.raises(Problem, match="edited by hand"):
        shell.install(str(path), LINE)
    if b">>>" in data:
        with pytest.raises(Problem, match="edited by hand"):
            shell.uninstall(str(path))
    assert path.read_bytes() == data


def test_a_file_that_cannot_be_replaced(tmp_path: Path) -> None:
    """One with two names: refused, with what to do by hand. A folder or a pipe is refused, and not waited for."""
    path = tmp_path / "rc"
    path.write_bytes(b"a\n")
    os.link(path, tmp_path / "other")
    with pytest.raises(Problem) as caught:
        shell.install(str(path), LINE)
    assert "reminder show" in caught.value.hint
    assert path.read_bytes() == b"a\n"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Problem, match="not a regular file"):
        shell.install(str(tmp_path / "pipe"), LINE)
