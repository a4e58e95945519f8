"""Which shell this is, and which file it reads at its start. The environment and the process list are handed in."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping

from .blocks import SHELLS

_NAMES = {"bash": "bash", "zsh": "zsh", "fish": "fish", "pwsh": "powershell", "powershell": "powershell"}
_GENERATIONS = 8

Parent = Callable[[int], tuple[str, int] | None]  # a process number to its name and its parent


def detect(env: Mapping[str, str], pid: int, parent: Parent, *, terminal: bool, platform: str = sys.platform) -> str:
    """The shell to remind in, or "".

    In a terminal the one that this was typed into (many start fish from a login bash), else the login shell: an
    installer is run by whatever shell it is written for.
    """
    login = _known(env.get("SHELL", ""))
    typed = next(filter(None, map(_known, _ancestors(pid, parent))), "") if terminal or not login else ""
    return typed or login or ("powershell" if platform == "win32" else "")


def rc_file(shell: str, home: str, env: Mapping[str, str], platform: str = sys.platform) -> str:
    """The file that an interactive shell of this user reads.

    For bash on macOS the login file: its terminals start login shells, which do not read ~/.bashrc.
    """
    match shell:
        case "zsh":
            return os.path.join(env.get("ZDOTDIR") or home, ".zshrc")
        case "fish":
            return os.path.join(_xdg(env, home), "fish", "config.fish")
        case "powershell":
            return _powershell(home, env, platform)
        case _ if platform == "darwin":
            login = [os.path.join(home, name) for name in (".bash_profile", ".bash_login", ".profile")]
            return next((path for path in login if os.path.lexists(path)), login[0])
        case _:
            return os.path.join(home, ".bashrc")


def every_rc_file(home: str, env: Mapping[str, str], platform: str = sys.platform) -> list[tuple[str, str]]:
    """Each shell with the file that it reads, for `uninstall`."""
    return [(shell, rc_file(shell, home, env, platform)) for shell in SHELLS]


def process(pid: int) -> tuple[str, int] | None:
    """A running process: its name and its parent; None if it cannot be told."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            before, _, after = file.read().rpartition(")")
        return before.partition("(")[2], int(after.split()[1])
    except FileNotFoundError:
        return _asked(pid) if sys.platform == "darwin" else None
    except (OSError, ValueError, IndexError):
        return None


def _asked(pid: int) -> tuple[str, int] | None:
    import subprocess

    command = ["/bin/ps", "-o", "ppid=,comm=", "-p", str(pid)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
        number, name = done.stdout.strip().split(None, 1)
        return name, int(number)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _ancestors(pid: int, parent: Parent) -> Iterator[str]:
    for _ in range(_GENERATIONS):
        found = parent(pid)
        if found is None or pid <= 1:
            return
        name, pid = found
        yield name


def _known(command: str) -> str:
    name = command.replace("\\", "/").rsplit("/", 1)[-1].lstrip("-").removesuffix(".exe").lower()
    return _NAMES.get(name, "")


def _xdg(env: Mapping[str, str], home: str) -> str:
    given = env.get("XDG_CONFIG_HOME", "")
    return given if os.path.isabs(given) else os.path.join(home, ".config")


def _powershell(home: str, env: Mapping[str, str], platform: str) -> str:
    if platform != "win32":
        return os.path.join(_xdg(env, home), "powershell", "profile.ps1")
    import platformdirs

    return os.path.join(platformdirs.user_documents_dir(), "PowerShell", "profile.ps1")
