"""The manual pages: they say what --help says, and the wheel brings them."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.cli.man import FOLDER, pages
from tests.cli.terminal import ROOT
from tests.install.machine import need


def test_they_say_what_help_says() -> None:
    """Else: .venv/bin/python -m tests.cli.man."""
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == pages()


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
