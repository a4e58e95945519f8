"""A desk whose schedulers are the tests' own programs: nothing reaches the crontab or systemd of whoever runs them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Desk, desk, empty, make_key, old

__all__ = ["desk", "empty", "make_key", "old"]

# As POSIX has it, with one file for the crontab. It wants what the real ones want: a line end at the end.
CRONTAB = """#!/bin/sh
file='{folder}/crontab.txt'
echo "$*" >>'{folder}/log'
case $1 in
-l) [ -f "$file" ] || {{ echo "no crontab for alice" >&2; exit 1; }}; exec {cat} "$file" ;;
-r) exec {rm} "$file" ;;
*) [ ! -f '{folder}/unwilling' ] || {{ echo "errors in crontab file, can't install." >&2; exit 1; }}
   {cat} "$1" >"$file.new"
   [ -z "$({tail} -c 1 "$file.new")" ] || {{ echo "missing newline before EOF, can't install." >&2; exit 1; }}
   [ ! -f '{folder}/careless' ] || {{ {rm} '{folder}/careless'; : >"$file"; exit 0; }}
   exec {mv} "$file.new" "$file" ;;
esac
"""
# A manager that takes everything: what it was told is in the log, whether the timer runs in a file.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>'{folder}/log'
[ ! -f '{folder}/broken' ] || {{ echo "Failed to connect to bus" >&2; exit 1; }}
case $* in
*" enable "*) [ ! -f '{folder}/unwilling' ] || {{ echo "Unit is masked" >&2; exit 1; }} ;;
*" start "*) echo yes >'{folder}/running' ;;
*" disable "*) {rm} -f '{folder}/running' ;;
*is-active*) [ -f '{folder}/running' ] || {{ echo inactive; exit 3; }} ;;
*NextElapse*) echo "NextElapseUSecRealtime=Sun 2026-11-22 00:45:55 UTC" ;;
esac
"""


@dataclass
class Box:
    """The folder that is all of PATH."""

    folder: Path

    def add(self, name: str, script: str) -> None:
        """Put a program in."""
        tools = {tool: shutil.which(tool) or tool for tool in ("cat", "iconv", "rm", "mv", "sleep", "tail")}
        path = self.folder / name
        path.write_text(script.format(folder=self.folder, **tools))
        path.chmod(0o755)

    @property
    def crontab(self) -> bytes | None:
        """The crontab, if there is one."""
        file = self.folder / "crontab.txt"
        return file.read_bytes() if file.exists() else None

    @crontab.setter
    def crontab(self, data: bytes) -> None:
        (self.folder / "crontab.txt").write_bytes(data)

    @property
    def log(self) -> str:
        """What the programs were called with."""
        file = self.folder / "log"
        return file.read_text() if file.exists() else ""

    def set(self, name: str) -> None:
        """Make one of the programs behave otherwise."""
        (self.folder / name).touch()


@pytest.fixture
def box(empty: Desk, tmp_path: Path) -> Box:
    """PATH with nothing but an installed rotate-my-key; the schedulers are to be added."""
    box = Box(tmp_path / "tools")
    box.folder.mkdir()
    box.add("rotate-my-key", "#!/bin/sh\nexit 0\n")
    empty.env["PATH"] = str(box.folder)
    return box


@pytest.fixture
def cron(box: Box) -> Box:
    """A computer with cron alone."""
    box.add("crontab", CRONTAB)
    return box


@pytest.fixture
def systemd(cron: Box) -> Box:
    """A computer with systemd, and cron besides."""
    cron.add("systemctl", SYSTEMCTL)
    return cron
