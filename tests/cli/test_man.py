"""The manual pages: they say what --help says, and the wheel brings them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.man import FOLDER
from tests.cli.terminal import ROOT
from tests.install.machine import need


def test_they_say_what_help_says(tmp_path: Path) -> None:
    """Else: .venv/bin/python -m tests.cli.man. Made by a process of its own: completion teaches this one's commands."""
    subprocess.run([sys.executable, "-m", "tests.cli.man", tmp_path], cwd=ROOT, check=True)
    here, there = ({path.name: path.read_text() for path in folder.iterdir()} for folder in (FOLDER, tmp_path))
    assert here == there


@pytest.mark.parametrize("page", sorted(FOLDER.iterdir()), ids=lambda page: page.name)
def test_they_are_rendered_without_a_warning(page: Path) -> None:
    """Nothing that a text of --help begins or ends with is a command to roff."""
    done = subprocess.run([need("groff"), "-man", "-Tutf8", "-ww", page], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "rotate" in done.stdout


def test_they_are_where_a_wheel_takes_them_from() -> None:
    """flit puts what lies in that folder into the environment as it lies there: share/man/man1."""
    flit = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["flit"]
    assert FOLDER.relative_to(ROOT / flit["external-data"]["directory"]) == Path("share/man/man1")
