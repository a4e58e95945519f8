"""Commands that put things right, as this person's shell understands them. Pure: nothing is run.

A problem's hint is either a command already or says what to do to a line of a file; for the latter the command opens
the file there.
"""

from __future__ import annotations

import os
import re

from ..errors import Problem
from ..files import platform
from .computer import Computer
from .finding import NOWHERE, Finding, Level, Where

_COMMAND = re.compile(r"(?:^|: )((?:rotate-my-key|aws|unset|ls) [^;,]+)$|^((?:rotate-my-key|aws|unset|ls)\b[^;,]*)")


def unset(computer: Computer, *names: str) -> str:
    """Take variables out of the shell at hand."""
    if not computer.posix:
        return "Remove-Item " + ", ".join(f"Env:{name}" for name in names)
    if os.path.basename(computer.env.get("SHELL", "")) == "fish":
        return "set -e " + " ".join(names)
    return "unset " + " ".join(names)


def chmod(computer: Computer, mode: str, path: str) -> str:
    """Change who may do what with a file."""
    return f"chmod {mode} {computer.word(path)}"


def own(computer: Computer, path: str, *, all_below: bool = False) -> str:
    """Make a file this person's again."""
    return f'sudo chown {"-R " if all_below else ""}"$(id -un)" {computer.word(path)}'


def mount(computer: Computer, path: str) -> str:
    """What shows where a file on a read-only file system comes from, such as a store of Nix; "" for any other."""
    try:
        read_only = computer.posix and platform.is_read_only(path)
    except OSError:
        return ""
    return f"findmnt -T {computer.word(os.path.realpath(path))}" if read_only else ""


def set_clock(computer: Computer) -> str:
    """Let the system set its clock by the network."""
    by_platform = {"win32": "w32tm /resync", "darwin": "sudo sntp -sS time.apple.com"}
    return by_platform.get(computer.platform, "sudo timedatectl set-ntp true")


def edit(computer: Computer, where: Where) -> str:
    """Open a file, at the line if it is known; the usual editors all know `+LINE`."""
    word = computer.word(where.file)
    if not computer.posix:
        return f"notepad {word}"
    return f"${{EDITOR:-vi}} {f'+{where.line} ' if where.line else ''}{word}"


def finding(
    computer: Computer, level: Level, code: str, problem: Problem, otherwise: str = "", where: Where = NOWHERE
) -> Finding:
    """The finding for a problem that another part of the program has put into words already.

    A hint that is no command becomes a part of the message; `otherwise` is the remedy where no file is known.
    """
    where = where if where.file else computer.locate(problem.message)
    command = _COMMAND.search(problem.hint)
    if command:
        return Finding(level, code, problem.message, (command[1] or command[2]).strip(), where)
    remedy = edit(computer, where) if where.file else otherwise or problem.hint
    message = problem.message if remedy == problem.hint or not problem.hint else f"{problem.message}: {problem.hint}"
    return Finding(level, code, message, remedy, where)
