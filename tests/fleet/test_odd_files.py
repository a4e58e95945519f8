"""A settings, mapping or template file that is no file, or far too large, is one clear line and never waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rotate_my_key.core.errors import Problem, WrongUsage
from rotate_my_key.fleet.judge import addresses
from rotate_my_key.fleet.messages import check_folder
from rotate_my_key.settings.fleet import Owners
from rotate_my_key.settings.trust import LARGEST, read

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are not known here")


@needs_pipes
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody may ever write into it."""
    os.mkfifo(tmp_path / "fleet.ini")
    with pytest.raises(Problem, match=r"fleet\.ini \(no regular file\)"):
        read(str(tmp_path / "fleet.ini"))


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no such device here")
def test_a_device_is_not_read() -> None:
    """It never ends."""
    with pytest.raises(Problem, match=r"/dev/zero \(no regular file\)"):
        read("/dev/zero")


def test_a_folder_is_named_as_one(tmp_path: Path) -> None:
    """Not in the words of the system."""
    with pytest.raises(Problem, match="a folder, not a file"):
        read(str(tmp_path))


def test_the_largest_file_is_read_and_a_larger_one_is_not(tmp_path: Path) -> None:
    """Nobody writes so many settings."""
    file = tmp_path / "fleet.ini"
    file.write_bytes(b" " * LARGEST)
    assert len(read(str(file)) or b"") == LARGEST
    file.write_bytes(b" " * (LARGEST + 1))
    with pytest.raises(Problem, match="larger than 1 MB"):
        read(str(file))


def test_a_mapping_is_held_to_it_too(tmp_path: Path) -> None:
    """The file of owners."""
    with pytest.raises(Problem, match="a folder, not a file"):
        addresses(Owners(mapping=str(tmp_path)))


def test_a_template_is_held_to_it_too(tmp_path: Path) -> None:
    """Named before anything is rendered."""
    (tmp_path / "owner.txt.j2").mkdir()
    with pytest.raises(WrongUsage, match=r"owner\.txt\.j2 is a folder, not a file"):
        check_folder(str(tmp_path))
