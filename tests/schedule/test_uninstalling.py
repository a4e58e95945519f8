"""`uninstall` takes out what would start the program, before the program goes; `install.sh --uninstall` calls it."""

from __future__ import annotations

import re
import subprocess
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


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home with a blank in its path."""
    home = tmp_path / "my home"
    home.mkdir()
    return home


def install(home: Path, starts: int = 0, fails: str = "nothing") -> Path:
    """Put a program in; gives the command."""
    program = home / ".local/share/rotate-my-key/venv-1.0.0-1-1/bin/rotate-my-key"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM.format(root=home.parent, starts=starts, fails=fails))
    program.chmod(0o755)
    link = home / ".local/bin/rotate-my-key"
    link.parent.mkdir(parents=True)
    link.symlink_to(program)
    return link


def uninstall(home: Path) -> subprocess.CompletedProcess[str]:
    """Run install.sh."""
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    command = ["sh", str(ROOT / "install.sh"), "--uninstall"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


KEPT = """error: systemd is asleep
install.sh: the reminder or the schedule could not be removed, so the program stays
hint: rotate-my-key uninstall
"""
# With which code it starts and what it fails at; install.sh's exit code, its stdout (a pattern) and stderr.
PROGRAMS = {
    "it takes out schedule and reminder itself, while it is still there": (
        0, "nothing", 0, "rotate-my-key is removed\n", ""),
    "what it cannot take out keeps it: else a scheduler would start every day what is not there": (
        0, "uninstall", 1, ".*", KEPT),
    "one that does not start can be removed, and what it may have installed is named": (
        1, "nothing", 0, ".*its reminder and its schedule stay, if there are any.*", ""),
}  # fmt: skip


@pytest.mark.parametrize(("starts", "fails", "code", "out", "err"), PROGRAMS.values(), ids=PROGRAMS.keys())
def test_the_program_goes_last(home: Path, starts: int, fails: str, code: int, out: str, err: str) -> None:
    """It is asked first, and stays where it says no."""
    link = install(home, starts, fails)
    done = uninstall(home)
    assert (done.returncode, done.stderr, link.exists()) == (code, err, code == 1)
    assert re.fullmatch(out, done.stdout, re.DOTALL)
    log = (home.parent / "log").read_text().splitlines()
    assert (log[-1] == "uninstall --yes") is (starts == 0)


def test_without_an_installation_nothing_is_started(home: Path) -> None:
    """A command of that name that install.sh did not make is not ours to start."""
    link = install(home)
    other = home / "other"
    other.write_text(f"#!/bin/sh\ntouch '{home}/started'\n")
    other.chmod(0o755)
    link.unlink()
    link.symlink_to(other)
    assert uninstall(home).returncode == 0
    assert not (home / "started").exists()
    assert link.exists()


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
