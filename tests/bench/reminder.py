"""What the login reminder costs: `python -m tests.bench.reminder [ROUNDS]`.

Each shell is started in turns: bare, with the reminder and nothing due, and with the Python command
(`rotate-my-key status --cached`) run at every login, which is what is being avoided. Prints the milliseconds added, of
wall time and of CPU, each the difference of the medians of the fastest fifth, and the processes started, counted by
strace. The limits are for CPU: wall time on a busy machine is noise of that size.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from rotate_my_key.reminder.folder import Folder, Installed
from rotate_my_key.reminder.shell import Folders, guard
from rotate_my_key.reminder.state import DAY, KEY, Item, State

COMMANDS = {
    "bash": ["bash", "--noprofile", "--rcfile", "{rc}", "-ic", ":"],
    "zsh": ["zsh", "-d", "-ic", ":"],
    "fish": ["fish", "-ic", ":"],
}
RC = {"bash": "bashrc", "zsh": ".zshrc", "fish": "fish/config.fish"}
LIMITS = {"bash": 0.3, "zsh": 0.3, "fish": 0.7}  # milliseconds
DUE_LIMIT = 1.5  # times bare Python


class Home:
    """A throwaway home; `due` in seconds from now."""

    def __init__(self, top: Path, due: int) -> None:
        self.path = top
        (top / ".aws").mkdir(parents=True)
        (top / ".aws/credentials").touch()
        folders = Folders(f"{top}/state/rotate-my-key/reminder", f"{top}/config/rotate-my-key", "/etc/none/config.ini")
        self.folder = Folder(folders)
        tool = self.folder.tool(os.path.join(os.path.dirname(sys.executable), "rotate-my-key"))
        self.folder.remember(Installed(tool, tuple((shell, "") for shell in COMMANDS)))
        self.due(due)

    def due(self, seconds: int) -> None:
        """Let the one key be due then."""
        now = int(time.time())
        item = Item(KEY, "AKIAIOSFODNN7EXAMPLE", ("work",), now + seconds, now + seconds + 15 * DAY, now, now)
        made_from = (self.path / ".aws/credentials").stat().st_mtime_ns
        self.folder.write(State([item], 90 * DAY), made_from, now)

    def start(self, shell: str, line: str) -> tuple[list[str], dict[str, str]]:
        """The command and environment of an interactive shell whose start-up file holds this line."""
        rc = self.path / shell / RC[shell]
        rc.parent.mkdir(parents=True, exist_ok=True)
        if not rc.exists() or rc.read_text() != line + "\n":
            rc.write_text(line + "\n")
        env = {"HOME": str(self.path), "PATH": os.environ["PATH"], "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        env |= {"ZDOTDIR": str(rc.parent), "XDG_CONFIG_HOME": str(self.path / "fish")}
        return [word.format(rc=rc) for word in COMMANDS[shell]], env


def run(command: list[str], env: dict[str, str], terminal: int) -> tuple[float, float]:
    """Start a shell on a terminal, have it end at once; CPU and wall milliseconds."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return (usage.ru_utime + usage.ru_stime) * 1000, (time.perf_counter() - began) * 1000


def processes(command: list[str], env: dict[str, str], terminal: int) -> int:
    """How many processes it starts."""
    with tempfile.NamedTemporaryFile("r") as log:
        traced = ["strace", "-f", "-qq", "-e", "trace=fork,vfork,clone,clone3,execve", "-o", log.name, *command]
        run(traced, env, terminal)
        lines = log.read().splitlines()
    forks = [line for line in lines if "fork(" in line or ("clone" in line and "CLONE_THREAD" not in line)]
    return len([line for line in forks if "resumed" not in line])


def measure(home: Home, shell: str, rounds: int, terminal: int) -> None:
    """One row of the table."""
    tool = home.folder.installed().tool
    assert tool is not None
    lines = {
        "bare": "",
        "reminder": guard(shell, home.folder.script(shell)),
        "python": f"'{tool.command}' status --cached >/dev/null 2>&1",
    }
    cpu: dict[str, list[float]] = {name: [] for name in lines}
    wall: dict[str, list[float]] = {name: [] for name in lines}
    for number in range(rounds + 5):
        for name in lines if number % 2 else reversed(lines):
            if name == "python" and number % 10:
                continue
            used, passed = run(*home.start(shell, lines[name]), terminal)
            if number >= 5:
                cpu[name].append(used)
                wall[name].append(passed)
    started = {name: processes(*home.start(shell, line), terminal) for name, line in lines.items()}
    added = {
        name: (_least(wall[name]) - _least(wall["bare"]), _least(cpu[name]) - _least(cpu["bare"])) for name in lines
    }
    fine = added["reminder"][1] <= LIMITS[shell] and started["reminder"] == started["bare"]
    row = [f"{shell:6}"]
    for name in ("reminder", "python"):
        row.append(f"{added[name][0]:8.2f} {added[name][1]:8.2f} {started[name] - started['bare']:6}    ")
    print("".join(row), f"{LIMITS[shell]} ms   {'ok' if fine else 'TOO MUCH'}")


def _least(values: list[float]) -> float:
    """The median of the fastest fifth: what it takes when nothing else is in the way."""
    return statistics.median(sorted(values)[: max(len(values) // 5, 1)])


def measure_due(home: Home, rounds: int) -> None:
    """The due path: what the block runs, against a Python that does nothing; CPU and wall."""
    tool = home.folder.installed().tool
    assert tool is not None
    commands = {
        "bare": [tool.python, "-c", "pass"],
        "say": [tool.python, "-I", "-S", tool.script, home.folder.path],
        "click": [tool.python, "-c", "import click"],
    }
    wall: dict[str, list[float]] = {name: [] for name in commands}
    (Path(home.folder.path) / "asked").write_text(f"{int(time.time())}\n")  # AWS was asked today
    for _ in range(rounds):
        for name, command in commands.items():
            home.due(-DAY)
            (Path(home.folder.path) / "said").unlink(missing_ok=True)
            began = time.perf_counter()
            done = subprocess.run(command, capture_output=True, check=True)
            wall[name].append((time.perf_counter() - began) * 1000)
            assert name != "say" or b"work" in done.stdout
    median = {name: statistics.median(values) for name, values in wall.items()}
    ratio = median["say"] / median["bare"]
    print(
        f"due   {median['say']:.1f} ms, {ratio:.2f} times bare Python ({median['bare']:.1f} ms); limit {DUE_LIMIT}; "
        f"click alone would be {median['click'] / median['bare']:.2f}   {'ok' if ratio <= DUE_LIMIT else 'TOO MUCH'}"
    )


def _drain(screen: int) -> None:
    """Read what the terminal shows, or whoever writes to it would wait."""
    while os.read(screen, 65536):
        pass


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    screen, terminal = os.openpty()
    threading.Thread(target=_drain, args=(screen,), daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), 30 * DAY)
        print("      reminder: wall      CPU processes | Python: wall  CPU  processes    limit")
        for shell in COMMANDS:
            if shutil.which(shell):
                measure(home, shell, rounds, terminal)
        measure_due(home, max(rounds // 5, 10))


if __name__ == "__main__":
    main()
