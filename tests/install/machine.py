"""A computer to install on, for the tests that run install.sh: a home, a tool box for PATH and a small checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

REPO = Path(__file__).resolve().parents[2]
# All that install.sh may need besides Python.
TOOLS = (
    *("cat", "chmod", "cksum", "cp", "dirname", "find", "id", "ln", "mkdir", "mv", "ps"),
    *("readlink", "rm", "rmdir", "sed", "sh", "sleep", "sort", "tail", "tr", "uname"),
)

PYTEST = (
    "execnet",
    "iniconfig",
    "packaging",
    "pluggy",
    "pytest",
    "pytest-xdist",
)  # and pygments, which rich brings too

# Says what a test wants to know of the process that the launcher started.
PROGRAM = """
import json, sys

def main():
    from rotate_my_key import __version__
    if sys.argv[1:] == ["--version"]:
        print("rotate-my-key", __version__)
    else:
        print(json.dumps({"arguments": sys.argv[1:], "isolated": sys.flags.isolated, "prefix": sys.prefix}))
"""


def locked(lock: str, *names: str) -> str:
    """The entries of a lock file, all or those of some packages."""
    text = (REPO / "locks" / f"{lock}.txt").read_text()
    entries = {match[1]: match[0] for match in re.finditer(r"^([\w.-]+)==(?:.*\n(?!\S))*.*\n", text, re.MULTILINE)}
    return "".join(entries[name] for name in names or entries)


def missing(what: str) -> NoReturn:
    """A test cannot run here: it is skipped, and in CI it fails."""
    (pytest.fail if os.environ.get("ROTATE_MY_KEY_NO_SKIP") else pytest.skip)(f"there is not {what} here")


def need(program: str) -> str:
    """The path of a program that a test cannot do without."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return shutil.which(program, path=path) or missing(program)


@dataclass
class Machine:
    """A computer to install on: a home, a PATH and a checkout, each with a space in its path."""

    root: Path
    home: Path
    tools: Path
    checkout: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def command(self) -> Path:
        """The link that install.sh makes."""
        return self.home / ".local/bin/rotate-my-key"

    @property
    def data(self) -> Path:
        """The folder that install.sh installs into."""
        return self.home / ".local/share/rotate-my-key"

    @property
    def venvs(self) -> list[Path]:
        """The environments that are installed, the half-made ones too."""
        return sorted(self.data.glob("venv-*"))

    def environment(self, **changes: str | None) -> dict[str, str]:
        """The variables of a process on this machine; None takes one away."""
        found = {"HOME": str(self.home), "PATH": str(self.tools), **self.env, **changes}
        return {name: value for name, value in found.items() if value is not None}

    def install(self, *arguments: object, **changes: str | None) -> subprocess.CompletedProcess[str]:
        """Run install.sh."""
        return self.run("sh", self.checkout / "install.sh", *arguments, **changes)

    def run(self, *command: object, **changes: str | None) -> subprocess.CompletedProcess[str]:
        """Run a command on this machine."""
        return subprocess.run(
            [str(word) for word in command],
            cwd=self.root,
            env=self.environment(**changes),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def set_version(self, version: str, program: str = PROGRAM) -> None:
        """Turn the checkout into one of another version."""
        (self.checkout / "rotate_my_key/__init__.py").write_text(f'"""A test."""\n\n__version__ = "{version}"\n')
        (self.checkout / "rotate_my_key/cli/main.py").write_text(program)

    def add_tool(self, name: str, script: str) -> Path:
        """Put a shell script into PATH."""
        tool = self.tools / name
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        return tool

    def add_python(self, name: str = "python3", pretend: str = "") -> Path:
        """Put a Python into PATH; `pretend` is run by it before anything else."""
        pretended = f"import sys; {pretend}; exec(sys.argv.pop(1))"
        script = f"shift 2; exec '{base_python()}' -I -c '{pretended}' \"$@\"" if pretend else run_base_python()
        return self.add_tool(name, script)


def base_python() -> str:
    """The Python that the tests' own environment was made with."""
    return str(getattr(sys, "_base_executable", sys.executable))


def run_base_python() -> str:
    """The shell command for it."""
    return f"exec '{base_python()}' \"$@\""
