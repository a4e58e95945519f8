"""A home with the reminder in it, and real shells in a pseudo-terminal."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pexpect
import pytest

from rotate_my_key.reminder import shell as shells
from rotate_my_key.reminder.folder import Folder
from rotate_my_key.reminder.shell import Folders, Tool
from rotate_my_key.reminder.state import DAY, KEY, Item, State

SHELLS = ("bash", "zsh", "fish")
PATIENCE = 30  # seconds after which a shell counts as hanging
LIMIT = 90 * DAY
PROMPT = "READY>"
_MARK = "rotate-my-key:"
_PROMPTS = {
    "bash": f"PS1='{PROMPT} '",
    "zsh": f"PS1='{PROMPT} '",
    "fish": f"function fish_greeting; end; function fish_prompt; echo -n '{PROMPT} '; end",
}
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\(B|\x1b\][^\x07]*\x07|[\r\x08\x0f]")


class Home:
    """One person's home. `tool` is a stand-in for the command that writes its arguments into `calls`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.calls = path / "calls"
        self.site = path / "etc" / "config.ini"
        self.tool = path / "bin" / "rotate-my-key"
        self.tool.parent.mkdir()
        self.tool.write_text(f'#!/bin/sh\necho "$@" >>{self.calls}\n')
        self.tool.chmod(0o755)
        (path / ".aws").mkdir()
        (path / ".local/share/fish/generated_completions").mkdir(parents=True)  # or fish makes them, at its first start
        self.credentials = path / ".aws" / "credentials"
        self.credentials.write_text("")
        state, config = path / ".local/state/rotate-my-key/reminder", path / ".config/rotate-my-key"
        self.folder = Folder(Folders(str(state), str(config), str(self.site)))
        self.state = state

    # What shells read

    def write(self, *items: Item, snoozed: int = 0) -> None:
        """The state, newer than nothing that it was made from."""
        self.folder.write(State(list(items), LIMIT, snoozed), self.credentials.stat().st_mtime_ns, int(time.time()))

    def asked(self, ago: int = 60) -> None:
        """AWS was asked so many seconds ago, so that nothing is asked now."""
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "asked").write_text(f"{int(time.time()) - ago}\n")
        os.utime(self.state / "asked", (time.time() - ago,) * 2)

    def due(self, days: int = 80, *names: str) -> None:
        """A key of that age, of which AWS was asked lately."""
        self.write(key(days, *names))
        self.asked()

    def aws_changed(self) -> None:
        """The credentials file is newer than the state."""
        later = time.time() + 2
        os.utime(self.credentials, (later, later))

    def real_tool(self) -> Tool:
        """The stand-in for the command, and the real Python for the due path."""
        return self.folder.tool(str(self.tool))

    # Shells

    def install(
        self, shell: str, before: str = "", after: str = "", *, tool: Tool | None = None, text: str = ""
    ) -> Path:
        """Put guard line and script into a start-up file, between these lines; `text` goes instead of the guard."""
        tool = tool or self.real_tool()
        self.state.mkdir(parents=True, exist_ok=True)
        script = Path(self.folder.script(shell))
        script.write_text(shells.script(shell, tool, self.folder.folders))
        rc = self.rc(shell)
        rc.parent.mkdir(parents=True, exist_ok=True)
        line = text or shells.guard(shell, str(script))
        rc.write_text("\n".join(part for part in (_PROMPTS[shell], before, line, after) if part) + "\n")
        return rc

    def rc(self, shell: str) -> Path:
        """Its start-up file."""
        return self.path / {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}[shell]

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """A login's environment; nothing of the tests' own leaks in."""
        base = {
            "HOME": str(self.path),
            "PATH": os.environ["PATH"],
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            "XDG_CONFIG_HOME": str(self.path / ".config"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {**base, **(env or {})}

    def command(self, shell: str) -> list[str]:
        """An interactive shell that reads that file and no system-wide one."""
        return {
            "bash": ["bash", "--noprofile", "--rcfile", str(self.rc("bash")), "-i"],
            "zsh": ["zsh", "-d", "-i"],
            "fish": ["fish", "-i"],
        }[shell]

    def open(self, shell: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()) -> Terminal:
        """Open a terminal; `before` is put in front of the shell."""
        return Terminal([*before, *self.command(shell)], self.environment(env), self.path)

    def screen(self, shell: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()) -> str:
        """What a new terminal shows until its shell has taken a command and ended."""
        return self.open(shell, env, before).end()


class Terminal:
    """A shell in a pseudo-terminal."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        self.child = pexpect.spawn(
            command[0],
            list(command[1:]),
            env=dict(env),  # type: ignore[arg-type]
            cwd=str(cwd),
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(40, 200),
        )
        self.child.delaybeforesend = None
        self.child.ptyproc.delayafterclose = 0  # its end is waited for
        self._speaks_late = "zsh" in command
        self.seen = ""
        self._count = 0

    def run(self, line: str) -> str:
        """Type a line and wait until it has been carried out; gives what it printed."""
        self._count += 1
        self.child.sendline(f"{line}; echo e'n'd-{self._count}")
        self.child.expect_exact(f"end-{self._count}")
        text = _CONTROL.sub("", self.child.before)
        self.seen += text + "\n"
        return text

    def _wait_for_quiet(self) -> None:
        """Until nothing more is shown: zsh speaks when its line editor first waits for a key."""
        while self.child.expect([pexpect.TIMEOUT, r".+"], timeout=0.15):
            self.seen += _CONTROL.sub("", self.child.after)

    def end(self) -> str:
        """Run a command, end the shell, and give all that it showed."""
        self.child.expect_exact(PROMPT)
        self.seen += _CONTROL.sub("", self.child.before)
        self.run("true")
        self.child.expect_exact(PROMPT)
        self.seen += _CONTROL.sub("", self.child.before)
        if self._speaks_late:
            self._wait_for_quiet()
        self.child.sendline("exit")
        self.child.expect(pexpect.EOF)
        self.seen += _CONTROL.sub("", self.child.before)
        self.child.wait()
        self.child.close()
        return self.seen


def key(days: int = 80, *names: str, seen: int = 0) -> Item:
    """A key of that age under a limit of 90 days, reminded of 15 days before; AWS told of it `seen` seconds ago."""
    created = int(time.time()) - days * DAY - 3600
    told = int(time.time()) - seen
    return Item(KEY, "AKIAIOSFODNN7EXAMPLE", names or ("work",), created + 75 * DAY, created + LIMIT, created, told)


def lines(screen: str) -> list[str]:
    """The reminder's lines on a screen."""
    marked = [line.rstrip() for line in screen.splitlines() if _MARK in line]
    return [line[line.index(_MARK) :] for line in marked]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home in which nothing is due in the next days."""
    home = Home(Path(os.path.realpath(tmp_path)))
    home.write(key(10))
    home.asked()
    return home


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    """Each of the shells."""
    name: str = request.param
    if shutil.which(name) is None:
        assert not os.environ.get("ROTATE_MY_KEY_NO_SKIP"), f"{name} is not installed"
        pytest.skip(f"NOT TESTED HERE: {name} is not installed")
    return name


@pytest.fixture
def traced() -> Callable[[Home, str], tuple[int, int]]:
    """Counts the processes and programs that a new terminal starts, the shell itself not counted."""
    if shutil.which("strace") is None:
        assert not os.environ.get("ROTATE_MY_KEY_NO_SKIP"), "strace is not installed"
        pytest.skip("NOT TESTED HERE: strace is not installed")

    def count(home: Home, shell: str) -> tuple[int, int]:
        log = home.path / "strace.log"
        if shell == "fish" and not (home.path / ".config/fish/conf.d").exists():
            home.screen(shell, {"ROTATE_MY_KEY_REMINDER": "0"})  # at its first start it makes its folders
        command = ["strace", "-f", "-qq", "-o", str(log), "-e", "trace=fork,vfork,clone,clone3,execve"]
        home.screen(shell, before=command)
        calls = [line for line in log.read_text().splitlines() if "resumed" not in line and "= -1" not in line]
        forks = [line for line in calls if re.search(r"\b(v?fork|clone3?)\(", line) and "CLONE_THREAD" not in line]
        return len(forks), len([line for line in calls if "execve(" in line]) - 1

    return count


def wait_for(path: Path, seconds: float = 10) -> str:
    """The content of a file that a detached process writes; "" if it does not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.02)
    return ""


def plain_run(home: Home, command: Sequence[str], env: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Run a command without a terminal; gives stdout and stderr."""
    done = subprocess.run(
        command, env=home.environment(env), cwd=home.path, capture_output=True, text=True, timeout=PATIENCE,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return done.stdout, done.stderr
