"""`uninstall` takes out what would start the program, before the program goes; `install.sh --uninstall` calls it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from rotate_my_key.doctor.local import removal
from tests.cli.conftest import Desk
from tests.schedule.conftest import Box

ROOT = Path(__file__).resolve().parents[2]
# Stands for the program: notes what it is called with, and fails where `broken` says so.
PROGRAM = """#!/bin/sh
echo "$*" >>'{root}/log'
case $* in
--version) exit {starts} ;;
"uninstall --help") ;;
"{fails} --yes") echo 'error: systemd is asleep' >&2; exit 1 ;;
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

    def install(self, starts: int = 0, fails: str = "nothing") -> None:
        """Put a program in."""
        venv = self.home / ".local/share/rotate-my-key/venv-1.0.0-1-1"
        program = venv / "bin/rotate-my-key"
        program.parent.mkdir(parents=True)
        program.write_text(PROGRAM.format(root=self.home.parent, starts=starts, fails=fails))
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
    """The program itself makes ready for it, while it is still there."""
    laptop.install()
    done = laptop.uninstall()
    assert (done.returncode, done.stdout, done.stderr) == (0, "rotate-my-key is removed\n", "")
    assert laptop.log[-1] == "uninstall --yes"
    assert not laptop.link.exists()


def test_what_cannot_be_taken_out_keeps_the_program(laptop: Laptop) -> None:
    """Else a scheduler would start every day what is not there; the command to type is named."""
    laptop.install(fails="uninstall")
    done = laptop.uninstall()
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: systemd is asleep",
        "install.sh: the reminder or the schedule could not be removed, so the program stays",
        "hint: rotate-my-key uninstall",
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


def test_the_command_takes_out_both_and_says_how_to_go_on(desk: Desk, systemd: Box) -> None:
    """The start-up file is byte for byte as it was, no unit is left, and a second time there is nothing to do."""
    rc_file = desk.home / ".bashrc"
    rc_file.write_bytes(b"# mine\n")
    assert desk.run("reminder", "install", "--shell", "bash").code == 0
    assert desk.run("completion", "install", "--shell", "bash").code == 0
    assert desk.run("schedule", "install", "--yes").code == 0
    done = desk.run("uninstall")
    assert (done.code, done.out) == (0, f"To remove rotate-my-key: {removal()}\n")
    assert "Removed: a systemd user timer and ~/.bashrc" in done.err
    assert rc_file.read_bytes() == b"# mine\n"
    assert list((desk.home / ".config").rglob("rotate-my-key.*")) == []
    again = desk.run("uninstall", "--json")
    assert again.json == {"version": 1, "restored": [], "removed": [], "command": removal()}


def test_not_while_an_old_key_is_kept(desk: Desk, systemd: Box) -> None:
    """Nobody else would delete it; the command that does is named, and works as it is."""
    assert desk.run("schedule", "install", "--yes").code == 0
    assert desk.run("rotate", "--force", "--yes", "--keep-old", "7d").code == 0
    done = desk.run("uninstall", "--yes")
    assert done.code == 1
    message, hint = done.problem()
    assert "is kept until" in message
    assert "disable" not in systemd.log
    assert desk.run(*hint.split()[1:], "--yes").code == 0
    assert desk.run("uninstall", "--yes").code == 0


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/home/a/.local/share/pipx/venvs/rotate-my-key", "pipx uninstall rotate-my-key"),
        ("/home/a/.local/share/uv/tools/rotate-my-key", "uv tool uninstall rotate-my-key"),
        ("/home/a/.local/share/rotate-my-key/venv-1.0.0-7-1", "./install.sh --uninstall"),
        ("/usr/local/lib/rotate-my-key/venv-1.0.0-7-1", "./install.sh --uninstall --prefix /usr/local"),
    ],
)
def test_the_last_command_is_that_of_the_installer(prefix: str, command: str) -> None:
    """By where the program is."""
    assert removal(prefix) == command
