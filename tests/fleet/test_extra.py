"""Without the extra `fleet` its commands name the command that brings it; laptops do without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """
import os, sys
sys.modules["jinja2"] = sys.modules["apprise"] = None
from rotate_my_key.cli.main import run
sys.exit(run(sys.argv[1:], os.environ))
"""


def typed(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command, where jinja2 and apprise are not installed."""
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-c", WITHOUT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("command", ["report", "remind --yes", "enforce", "revoke bob", "reissue bob", "template"])
def test_each_command_says_what_to_install(tmp_path: Path, command: str) -> None:
    """Two lines, before anything is asked or sent; the second is the command for this installation."""
    done = typed(tmp_path, "fleet", *command.split())
    assert (done.returncode, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()
    assert error == "error: the fleet commands need jinja2, which is not installed"
    assert hint == f"hint: {sys.executable} -m pip install jinja2"


@pytest.mark.parametrize("command", ["fleet report --help", "fleet onboarding", "doctor --help", "adopt --help"])
def test_what_needs_neither_works(tmp_path: Path, command: str) -> None:
    """Help, the page for people, and what a laptop has."""
    done = typed(tmp_path, *command.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
