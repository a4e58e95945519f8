"""The path that is scheduled stays right when the program is upgraded."""

from __future__ import annotations

from pathlib import Path

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.schedule.job import find_program


def launcher(path: Path, target: Path | None = None) -> Path:
    """An executable file, or a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if target:
        path.symlink_to(target)
    else:
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return path


def test_the_link_of_install_sh_and_not_the_environment_behind_it(tmp_path: Path) -> None:
    """~/.local/bin/rotate-my-key, also where PATH does not have it."""
    venv = tmp_path / ".local/share/rotate-my-key/venv-1.0-7-1"
    link = launcher(tmp_path / ".local/bin/rotate-my-key", launcher(venv / "bin/rotate-my-key"))
    assert find_program({}, str(tmp_path), str(venv)) == str(link)
    assert find_program({"PATH": f"{venv}/bin:{link.parent}"}, str(tmp_path), str(venv)) == str(link)


def test_the_link_of_a_prefix(tmp_path: Path) -> None:
    """PREFIX/bin/rotate-my-key, for all users."""
    venv = tmp_path / "usr/local/lib/rotate-my-key/venv-1.0-7-1"
    link = launcher(tmp_path / "usr/local/bin/rotate-my-key", launcher(venv / "bin/rotate-my-key"))
    assert find_program({"PATH": "/bin"}, str(tmp_path / "home"), str(venv)) == str(link)


def test_another_installation_in_front_does_not_count(tmp_path: Path) -> None:
    """What is scheduled is what `schedule install` was typed to."""
    venv = tmp_path / "venv"
    other = launcher(tmp_path / "other/rotate-my-key")
    link = launcher(tmp_path / ".local/bin/rotate-my-key", launcher(venv / "bin/rotate-my-key"))
    assert find_program({"PATH": str(other.parent)}, str(tmp_path), str(venv)) == str(link)


def test_an_environment_that_stays(tmp_path: Path) -> None:
    """pipx and uv without a link, or a venv of one's own: its own launcher."""
    own = launcher(tmp_path / "venv/bin/rotate-my-key")
    assert find_program({"PATH": ".:bin"}, str(tmp_path), str(tmp_path / "venv")) == str(own)


def test_a_program_that_was_not_installed_cannot_be_scheduled(tmp_path: Path) -> None:
    """A checkout may be gone tomorrow."""
    with pytest.raises(Problem, match="not installed") as caught:
        find_program({"PATH": "/bin"}, str(tmp_path), str(tmp_path / "venv"))
    assert caught.value.hint == "./install.sh"
