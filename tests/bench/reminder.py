"""What the login reminder costs: `.venv/bin/python tests/bench/reminder.py [ROUNDS]`.

Each shell is started in turns: bare, with the reminder and nothing due, and with a reminder that runs the Python command
(`rotate-my-key status --cached`) at every login, which is what is being avoided. Prints the milliseconds added (the
median of the differences within a round) and the processes started, counted by strace. Limits are those of DESIGN 4.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from rotate_my_key.reminder.blocks import Folders, Tool, guard  # noqa: E402
from rotate_my_key.reminder.folder import Folder, Installed  # noqa: E402
from rotate_my_key.reminder.state import DAY, KEY, Item, State  # noqa: E402

COMMANDS = {
    "bash": ["bash", "--noprofile", "--rcfile", "{rc}", "-i"],
    "zsh": ["zsh", "-d", "-i"],
    "fish": ["fish", "-i"],
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
        tool = self.folder.tool(str(ROOT / ".venv/bin/rotate-my-key"))
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


def run(command: list[str], env: dict[str, str], terminal: int) -> float:
    """Start a shell on a terminal of its own, have it end at once; wall milliseconds."""
    began = time.perf_counter()
    subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal, check=False)
    return (time.perf_counter() - began) * 1000


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
    shells = {name: home.start(shell, line) for name, line in lines.items()}
    added: dict[str, list[float]] = {"reminder": [], "python": []}
    for number in range(rounds + 5):
        wall = {}
        for name in lines if number % 2 else reversed(lines):
            if name == "python" and number % 10:
                continue
            command, env = home.start(shell, lines[name])
            wall[name] = run(command, env, terminal)
        for name, values in added.items():
            if number >= 5 and name in wall:
                values.append(wall[name] - wall["bare"])
    started = {name: processes(*home.start(shell, line), terminal) for name, line in lines.items()}
    del shells
    ours, theirs = statistics.median(added["reminder"]), statistics.median(added["python"])
    verdict = "ok" if ours <= LIMITS[shell] and started["reminder"] == started["bare"] else "TOO MUCH"
    print(
        f"{shell:5} {ours:7.2f} ms {started['reminder'] - started['bare']:6}     "
        f"{theirs:8.1f} ms {started['python'] - started['bare']:6}     {LIMITS[shell]} ms   {verdict}"
    )


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


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    terminal = os.openpty()[1]
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), 30 * DAY)
        print("shell   added  processes    Python at login  processes  limit")
        for shell in COMMANDS:
            if shutil.which(shell):
                measure(home, shell, rounds, terminal)
        measure_due(home, max(rounds // 5, 10))


if __name__ == "__main__":
    main()
