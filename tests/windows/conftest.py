"""A Windows under wine, and a laptop in it whose files this side reads and writes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import pexpect
import pytest

from tests.laptop import Finished, Laptop, new_laptop
from tests.standin import StandIn

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / ".cache" / "windows"
WINE = Path("/usr/lib/wine/wine64")
NAME = "Jörg O'Brien & Söhne (100%)"  # whose home it is
PYTHON = r"C:\Program Files\Python\python.exe"
ENV = {"USER": NAME, "WINEPREFIX": str(FOLDER / "prefix"), "WINEDEBUG": "-all", "LC_ALL": "C.UTF-8"}


@dataclass
class Windows:
    """The machine: its drive C: as a folder, and the port of `inside.py`."""

    drive: Path
    port: int

    def ask(self, *words: Any) -> Any:
        """Have `inside.py` do it."""
        with socket.create_connection(("127.0.0.1", self.port), 300) as connection, connection.makefile("rwb") as file:
            file.write(json.dumps(words).encode() + b"\n")
            file.flush()
            well, answer = json.loads(file.readline())
        assert well, answer
        return answer

    def do(self, source: str) -> Any:
        """What lines of Python leave in `result`, run on Windows."""
        return self.ask("do", source)

    def path(self, path: Path) -> str:
        """What Windows calls it."""
        return str(PureWindowsPath("C:\\", *path.relative_to(self.drive).parts))


@pytest.fixture(scope="session")
def windows() -> Iterator[Windows]:
    """The machine, made if there is none yet; it is gone when the tests are over."""
    if not WINE.exists():
        needed = "NO WINE64 HERE: nothing is tested on Windows"
        (pytest.fail if os.environ.get("ROTATE_MY_KEY_NO_SKIP") else pytest.skip)(needed)
    machine = [HERE / "machine.sh", FOLDER]
    made = subprocess.run(machine, env={**os.environ, **ENV}, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    drive = FOLDER / "prefix" / "drive_c"
    shutil.copy(HERE / "inside.py", drive)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command, none = [WINE, PYTHON, r"C:\inside.py", str(port)], subprocess.DEVNULL
    inside = subprocess.Popen(command, env=ENV, start_new_session=True, stdin=none, stdout=none, stderr=none)
    windows = Windows(drive, port)
    for _ in range(600):
        with suppress(OSError):
            windows.do("")
            break
        assert inside.poll() is None, "inside.py has ended"
        time.sleep(0.1)
    yield windows
    inside.kill()
    inside.wait()
    subprocess.run([WINE.with_name("wineserver64"), "-k"], env=ENV, check=False)


class WindowsLaptop(Laptop):
    """One person's home on that machine."""

    windows: Windows

    @property
    def state(self) -> Path:
        """The state dir."""
        return self.home / "AppData" / "Local" / "rotate-my-key"

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """What differs from Windows' own."""
        scripts = PYTHON.removesuffix("python.exe")
        base = {
            "PATH": rf"{scripts}Scripts;{scripts};C:\windows\system32;C:\windows",
            "AWS_ENDPOINT_URL": self.aws.url,
            "ROTATE_MY_KEY_PROOF_INTERVAL": "0",
        }
        return {**base, **self.env, **(env or {})}

    def run(
        self,
        *args: str,
        env: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        typed: str = "",
        name: str = "",
    ) -> Finished:
        """Run the program to its end; `typed` goes to its stdin."""
        return self.shell([*before, PYTHON, "-m", "rotate_my_key", *(args or ("--yes",))], env, typed, name)

    def shell(
        self, command: str | Sequence[str], env: Mapping[str, str] | None = None, typed: str = "", name: str = ""
    ) -> Finished:
        """Run any command line, or program with its words."""
        code, out, err = self.windows.ask("run", name, command, self.environment(env), typed)
        return Finished(code, out, err)

    def cmd(self, line: str, env: Mapping[str, str] | None = None) -> Finished:
        """What a person types into cmd."""
        return self.shell(f'cmd /d /s /c "{line}"', env)

    def console(self, *args: str) -> pexpect.spawn[str]:
        """The program in a console of wine's, which draws it in a terminal of Linux's."""
        env = {**os.environ, **ENV, **self.environment(), "PATH": os.environ["PATH"], "TERM": "xterm"}
        words, size = [PYTHON, "-m", "rotate_my_key", *args], (40, 150)
        return pexpect.spawn(str(WINE), words, env=env, encoding="utf-8", dimensions=size, timeout=60)  # type: ignore[arg-type]

    def kill(self, name: str = "") -> None:
        """End what runs under this name, at once."""
        self.windows.ask("kill", name)

    def tidy(self) -> None:
        """Nothing is left behind."""
        fine = {".aws/credentials", *(f"{self.state.relative_to(self.home)}/{name}" for name in KEPT)}
        here = {name for name in self.files() if name.startswith((".aws", ".rotate")) or "rotate-my-key" in name}
        assert here <= fine, here - fine


KEPT = ("lock", "history.jsonl", "status.json", "reminder/state", "reminder/due")


@pytest.fixture
def laptop(windows: Windows, running: StandIn) -> Iterator[WindowsLaptop]:
    """A laptop whose key is due, in two profiles, as Notepad writes lines."""
    home = windows.drive / "users" / NAME
    for folder in (".aws", "AppData/Local/rotate-my-key"):
        shutil.rmtree(home / folder, ignore_errors=True)
    made = new_laptop(home, running, crlf=True)
    laptop = WindowsLaptop(made.home, made.aws, made.old, made.original)
    laptop.windows = windows
    yield laptop
    running.all_well()
