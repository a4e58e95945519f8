"""`reminder`: into a start-up file and out of it, put off, and kept true by status and rotate."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pexpect
import psutil
import pytest

from rotate_my_key.reminder import shell as shells
from rotate_my_key.reminder.state import DAY
from rotate_my_key.schedule.job import Attempt, keep_run
from tests.cli.conftest import Desk
from tests.rotation.test_overlap import hours_pass

PATIENCE = 60


def first_line(desk: Desk) -> str:
    """What login shells read."""
    return (desk.state / "reminder/state").read_text().split("\n")[0]


def due(desk: Desk, days: int = 80, *, installed: bool = False) -> Desk:
    """A default profile with one key of that age; the reminder is installed in bash's file."""
    desk.profiles(default=desk.aws.add_key("alice", age=timedelta(days=days)))
    if installed:
        assert desk.run("reminder", "install", "--shell", "bash").code == 0
    return desk


def eventually(so: Callable[[], bool]) -> None:
    """Wait until it is so, or for too long."""
    until = time.monotonic() + PATIENCE
    while not so() and time.monotonic() < until:
        time.sleep(0.1)
    assert so()


@pytest.fixture(autouse=True)
def looks_end(empty: Desk) -> Iterator[None]:
    """A look in the background ends before the next test, which counts the calls to the same AWS."""
    yield
    eventually(lambda: not any(is_of(process, empty) for process in psutil.process_iter()))


def is_of(process: psutil.Process, desk: Desk) -> bool:
    """Whether it runs in that home."""
    try:
        return bool(process.environ().get("HOME") == str(desk.home))
    except psutil.Error:
        return False


def login(desk: Desk) -> str:
    """The reminder's lines in a new terminal."""
    command = ["-c", f"exec bash --noprofile --rcfile {desk.home}/.bashrc -i"]
    env = desk.environment({"TERM": "xterm", "NO_COLOR": "1"})
    child = pexpect.spawn("sh", command, env=env, encoding="utf-8", timeout=PATIENCE, dimensions=(40, 200))
    child.sendline("echo e'n'd")
    child.expect_exact("end\r\n")
    before = child.before
    child.sendline("exit")
    child.expect(pexpect.EOF)
    return "\n".join(line for line in (before + child.before).splitlines() if "rotate-my-key:" in line)


def test_from_status_to_the_line_and_rotated_away(empty: Desk) -> None:
    """An old key is due at the next login; once it is rotated, the reminder knows the new key's date."""
    desk = due(empty, 98, installed=True)
    assert desk.run("status").code == 0
    line = "OVERDUE: the access key of default is 98 days old; maximum age is 90 days. Type: rotate-my-key"
    assert line in login(desk)
    assert login(desk) == ""
    assert desk.run("rotate", "--yes").code == 0
    assert abs(int(first_line(desk)) - (time.time() + 75 * DAY)) < 3600
    assert login(desk) == ""


def test_installed_before_anything_is_known(empty: Desk) -> None:
    """The next login has status ask AWS, in the background; the one after that speaks."""
    desk = due(empty, installed=True)
    assert first_line(desk) == "-"
    assert login(desk) == ""
    eventually(lambda: first_line(desk) != "-")
    assert "the access key of default is 80 days old" in login(desk)


def test_the_due_path_asks_anew(empty: Desk) -> None:
    """Saying the line starts a look in a child of its own, which writes the state again."""
    desk = due(empty, installed=True)
    desk.run("status")
    calls = len(desk.aws.calls)
    assert "80 days old" in login(desk)
    eventually(lambda: len(desk.aws.calls) > calls)
    assert {call.action for call in desk.aws.calls[calls:]} <= {
        *("GetCallerIdentity", "ListAccessKeys", "GetUser", "GetAccessKeyLastUsed")
    }


def test_a_kept_old_key_is_mentioned(empty: Desk) -> None:
    """After a rotation that keeps the old one, at the next login."""
    desk = due(empty, 98, installed=True)
    old = desk.held()
    assert desk.run("rotate", "--yes", "--keep-old", "7d").code == 0
    assert f"The old key ...{old[-4:]} is kept until " in login(desk)


def test_an_old_key_goes_at_a_login_once_its_time_is_over(empty: Desk) -> None:
    """The person opens a terminal, and types nothing."""
    desk = due(empty, 98, installed=True)
    old = desk.held()
    assert desk.run("rotate", "--yes", "--overlap", "1d").code == 0
    hours_pass(desk, 25)
    desk.run("status")
    assert login(desk) == ""
    eventually(lambda: old not in desk.ids() and not list((desk.state / "rotations").iterdir()))
    assert desk.ids() == {desk.held(): "Active"}


def test_an_unfinished_rotation_is_mentioned(empty: Desk) -> None:
    """AWS went away in the middle of it."""
    desk = due(empty, 98, installed=True)
    desk.run("status")
    (desk.state / "rotations").mkdir(exist_ok=True, mode=0o700)
    desk.add("half a note", desk.state / "rotations" / f"{desk.held()}.note")
    desk.run("status")
    assert first_line(desk) == "0"
    assert "is not finished. Type: rotate-my-key" in login(desk)


def test_install_and_uninstall_leave_the_file_as_it_was(empty: Desk) -> None:
    """For each shell, in its own file; a second install changes nothing; the scripts go too."""
    files = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}
    files["powershell"] = ".config/powershell/profile.ps1"
    for name in files.values():
        path = empty.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"# mine\r\nlast line")
    for shell in files:
        assert empty.run("reminder", "install", "--shell", shell, "--json").json["changed"] is True
        assert empty.run("reminder", "install", "--shell", shell, "--json", "-y").json["changed"] is False
        assert b"rotate-my-key" in (empty.home / files[shell]).read_bytes()
    script = empty.state / "reminder/bash.sh"  # one of another version is written anew when the state is
    wanted = script.read_text()
    script.write_text("# of an older version\n")
    empty.run("status")
    assert script.read_text() == wanted
    listed = empty.run("reminder", "show", "--json").json["installed"]
    assert listed == [{"shell": shell, "rc_file": str(empty.home / files[shell])} for shell in files]
    changed = empty.run("reminder", "uninstall", "--json").json["changed"]
    assert sorted(changed) == sorted(str(empty.home / name) for name in files.values())
    assert {(empty.home / name).read_bytes() for name in files.values()} == {b"# mine\r\nlast line"}
    assert sorted(os.listdir(empty.state / "reminder")) == ["state"]
    assert "was not installed" in empty.run("reminder", "uninstall").out


def test_another_file_and_another_shell(empty: Desk) -> None:
    """--rc-file names a file, which uninstall remembers; of several shells it takes the one that is named."""
    path = empty.home / "work" / "my.bash"
    done = empty.run("reminder", "install", "--shell", "bash", "--rc-file", str(path))
    assert done.code == 0, done.text
    assert empty.run("reminder", "install", "--shell", "zsh").code == 0
    assert path.exists()
    assert not (empty.home / ".bashrc").exists()
    assert empty.run("reminder", "uninstall", "--shell", "zsh").code == 0
    assert not (empty.home / ".zshrc").exists()
    assert path.exists() and (empty.state / "reminder/bash.sh").exists()
    assert empty.run("reminder", "uninstall").code == 0
    assert not path.exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_show_prints_what_would_go_in(empty: Desk, shell: str) -> None:
    """The block and the script; for all users one file that names no home."""
    own = empty.run("reminder", "show", "--shell", shell).out
    assert "# >>> rotate-my-key reminder >>>" in own
    assert str(empty.state) in own
    system = empty.run("reminder", "show", "--shell", shell, "--system").out
    assert str(empty.home) not in system
    assert "rotate-my-key" in system
    assert not (empty.home / ".bashrc").exists()
    if shell != "powershell":
        subprocess.run([shell, "-n"], input=system, text=True, check=True)


def test_snooze(empty: Desk) -> None:
    """Silent until then; 0 ends it; not for ever, and not nonsense. A site may forbid it: then it is refused, and a
    snooze of before does not count."""
    desk = due(empty)
    desk.run("status")
    assert {desk.run("reminder", "snooze", duration).code for duration in ("31d", "soon", "-1d")} == {2}
    assert desk.run("reminder", "snooze", "3d", "--json").json["snoozed_until"]
    assert abs(int(first_line(desk)) - (time.time() + 3 * DAY)) < 100
    desk.run("status")
    assert abs(int(first_line(desk)) - (time.time() + 3 * DAY)) < 100
    assert "snoozed until" in desk.run("reminder", "show").out
    assert desk.run("reminder", "snooze", "0").code == 0
    assert int(first_line(desk)) < time.time()
    desk.run("reminder", "snooze", "3d")
    desk.settings("snooze = no\ncontact = it@example.com\n")
    done = desk.run("reminder", "snooze", "3d")
    assert done.code == 5
    assert "cannot be snoozed here" in done.problem()[0]
    assert "it@example.com" in done.problem()[0]
    desk.run("status")
    assert int(first_line(desk)) < time.time()


def test_settings_decide_when(empty: Desk) -> None:
    """A lower limit brings the time forward, with the next status. Once that has seen that somebody deleted the key at
    AWS, there is nothing to say."""
    desk = due(empty, 10)
    desk.settings("max_age = 30d\nremind_before = 5d\n")
    desk.run("status")
    assert abs(int(first_line(desk)) - (time.time() + 15 * DAY)) < 3600
    desk.aws.delete_key(desk.held())
    desk.run("status")
    assert first_line(desk) == "-"


def test_the_hidden_command_does_not_load_click(empty: Desk) -> None:
    """`reminder say`, which the block falls back to after an upgrade."""
    code = "import sys; from rotate_my_key.cli.main import run; run(['reminder', 'say'], {'HOME': '/nonexistent'}); "
    code += "print('click' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


PROCESSES = {9: ("python3", 8), 8: ("fish", 7), 7: ("bash", 6), 6: ("login", 1), 5: ("sh", 1), 4: ("-zsh", 1)}


@pytest.mark.parametrize(
    ("login_shell", "pid", "terminal", "found"),
    [
        ("/bin/bash", 9, True, "fish"),
        ("/bin/bash", 9, False, "bash"),
        ("/usr/bin/zsh", 5, True, "zsh"),
        ("", 4, False, "zsh"),
        ("/bin/tcsh", 9, False, "fish"),
        ("", 5, True, ""),
    ],
)
def test_which_shell_it_is(login_shell: str, pid: int, terminal: bool, found: str) -> None:
    """The one that it was typed into; without a terminal the login shell."""
    assert shells.detect({"SHELL": login_shell}, pid, PROCESSES.get, terminal=terminal, platform="linux") == found


def test_which_shell_it_is_here(empty: Desk) -> None:
    """Each process of the system has a name and a parent; if the shell cannot be told, exit 4 names the flag."""
    found = shells.process(os.getpid())
    assert found is not None
    assert found[1] == os.getppid()
    done = empty.process("reminder", "install", SHELL="/bin/tcsh")
    assert done.code == 0 or (done.code == 4 and "--shell" in done.problem()[1])


def test_which_file_it_reads(tmp_path: Path) -> None:
    """Each shell's own; on macOS bash's login file, the first that is there."""
    home = str(tmp_path)
    assert shells.rc_file("zsh", home, {"ZDOTDIR": "/z"}, "linux") == "/z/.zshrc"
    assert shells.rc_file("fish", home, {"XDG_CONFIG_HOME": "/x"}, "linux") == "/x/fish/config.fish"
    assert shells.rc_file("bash", home, {}, "linux") == f"{home}/.bashrc"
    assert shells.rc_file("bash", home, {}, "darwin") == f"{home}/.bash_profile"
    (tmp_path / ".profile").touch()
    assert shells.rc_file("bash", home, {}, "darwin") == f"{home}/.profile"


def test_a_daily_run_that_failed_is_told(empty: Desk) -> None:
    """Nobody watches it, so the login says so; a run that is tried again by itself is not told."""
    desk = due(empty, 1, installed=True)
    for code, told in ((75, False), (5, True)):
        keep_run(str(desk.state), Attempt(datetime.now(UTC), code, "AWS said no", "rotate-my-key"))
        assert desk.run("-q", "status").code == 0
        assert ("The daily rotation of" in login(desk)) is told
