"""`install.sh --uninstall` takes out what would start the program, before the program goes."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Stands for the program: notes what it is called with, and fails where `broken` says so.
PROGRAM = """#!/bin/sh
echo "$*" >>'{root}/log'
case $* in
--version) exit {starts} ;;
*--help) exit {knows} ;;
"{fails} uninstall") echo 'error: systemd is asleep' >&2; exit 1 ;;
esac
echo done
"""


@dataclass
class Laptop:
    """A home with an installed program."""

    home: Path

    @property
    def link(self) -> Path:
        """The command."""
        return self.home / ".local/bin/rotate-my-key"

    @property
    def log(self) -> list[str]:
        """What the program was called with."""
        return (self.home.parent / "log").read_text().splitlines()

    def install(self, starts: int = 0, knows: int = 0, fails: str = "nothing") -> None:
        """Put a program in."""
        venv = self.home / ".local/share/rotate-my-key/venv-1.0.0-1-1"
        program = venv / "bin/rotate-my-key"
        program.parent.mkdir(parents=True)
        program.write_text(PROGRAM.format(root=self.home.parent, starts=starts, knows=knows, fails=fails))
        program.chmod(0o755)
        self.link.parent.mkdir(parents=True)
        self.link.symlink_to(program)

    def uninstall(self) -> subprocess.CompletedProcess[str]:
        """Run install.sh."""
        env = {"HOME": str(self.home), "PATH": "/usr/bin:/bin"}
        command = ["sh", str(ROOT / "install.sh"), "--uninstall"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    """An empty home with a blank in its path."""
    home = tmp_path / "my home"
    home.mkdir()
    return Laptop(home)


def test_schedule_and_reminder_go_first(laptop: Laptop) -> None:
    """Both are taken out by the program itself, while it is still there."""
    laptop.install()
    done = laptop.uninstall()
    assert (done.returncode, done.stdout, done.stderr) == (0, "rotate-my-key is removed\n", "")
    assert [call for call in laptop.log if call.endswith("uninstall")] == ["schedule uninstall", "reminder uninstall"]
    assert not laptop.link.exists()


def test_an_older_version_knows_neither(laptop: Laptop) -> None:
    """It has nothing to take out, and goes."""
    laptop.install(knows=2)
    assert laptop.uninstall().returncode == 0
    assert not laptop.link.exists()


@pytest.mark.parametrize("starter", ["schedule", "reminder"])
def test_what_cannot_be_taken_out_keeps_the_program(laptop: Laptop, starter: str) -> None:
    """Else a scheduler would start every day what is not there; the command to type is named."""
    laptop.install(fails=starter)
    done = laptop.uninstall()
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: systemd is asleep",
        f"install.sh: the {starter} could not be removed, so the program stays",
        f"hint: rotate-my-key {starter} uninstall",
    ]
    assert laptop.link.exists()


def test_a_program_that_does_not_start_can_be_removed(laptop: Laptop) -> None:
    """What it may have installed is named."""
    laptop.install(starts=1)
    done = laptop.uninstall()
    assert done.returncode == 0
    assert "its reminder and its schedule stay, if there are any" in done.stdout
    assert not laptop.link.exists()


def test_without_an_installation_nothing_is_started(laptop: Laptop) -> None:
    """A command of that name that install.sh did not make is not ours to start."""
    laptop.install()
    other = laptop.home / "other"
    other.write_text(f"#!/bin/sh\ntouch '{laptop.home}/started'\n")
    other.chmod(0o755)
    laptop.link.unlink()
    laptop.link.symlink_to(other)
    assert laptop.uninstall().returncode == 0
    assert not (laptop.home / "started").exists()
    assert laptop.link.exists()
