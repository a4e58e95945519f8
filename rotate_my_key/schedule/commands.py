"""Starts the system's own programs (systemctl, crontab, ...) and gives back what they said."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from typing import NamedTuple

from ..faults import shortage

_TIMEOUT = 30.0  # seconds
_MISSING = 127


class Ran(NamedTuple):
    """How a program ended."""

    code: int
    out: bytes = b""
    err: bytes = b""

    @property
    def said(self) -> str:
        """The last line of what it complained about, for a message."""
        lines = (self.err or self.out).decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {self.code}")
        return "".join(letter if letter.isprintable() else "?" for letter in last)


class Commands:
    """Programs found in the PATH of an environment; they see that environment, and answer in English and in UTC."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = {**env, "LC_ALL": "C", "TZ": "UTC"}
        folders = env.get("PATH", os.defpath).split(os.pathsep)
        self._path = os.pathsep.join(folder for folder in folders if os.path.isabs(folder))

    def has(self, name: str) -> bool:
        """Whether there is such a program."""
        return shutil.which(name, path=self._path) is not None

    def run(self, name: str, *words: str, folder: str | None = None, **env: str) -> Ran:
        """Run it to its end, in that folder and with more variables. A program that is not there, or hangs, has a code
        other than 0. Raises TryLater where no process can be started just now."""
        program = shutil.which(name, path=self._path)
        if program is None:
            return Ran(_MISSING, err=f"there is no program {name}".encode())
        try:
            done = subprocess.run(
                [program, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=folder,
                timeout=_TIMEOUT,
                env={**self._env, **env},
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Ran(_MISSING, err=f"{name} gave no answer within {_TIMEOUT:.0f} seconds".encode())
        except OSError as error:
            if scarce := shortage(error):
                raise scarce from None
            return Ran(_MISSING, err=f"{name} cannot be started: {(error.strerror or 'error').lower()}".encode())
        return Ran(done.returncode, done.stdout, done.stderr)
