"""Files that a person names: a regular one is read, and nothing else is ever waited for.

A pipe may never be written to, a device never ends. Only the null device is let through: to every SDK it is an empty
file, and people name it to say "none".
"""

from __future__ import annotations

import os
import shlex
import stat

from ..errors import Problem
from . import platform
from .trouble import explain

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def oddity(path: str) -> str:
    """What is wrong with something that is there and is no regular file, or ""; follows links. Opens nothing."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        link = next((each for each in (path, os.path.dirname(path)) if os.path.islink(each)), "")
        return "is not a regular file: the link leads nowhere" if link and not os.path.exists(link) else ""
    except OSError:
        return ""  # whoever opens it is told why
    if stat.S_ISREG(mode) or is_null(path):
        return ""
    return f"is not a regular file but {_KINDS.get(stat.S_IFMT(mode), 'a device')}"


def is_null(path: str) -> bool:
    """Whether it is the null device, by whatever name."""
    return os.path.realpath(path) == os.devnull


def refuse_odd(path: str, hint: str = "", shown: str = "") -> None:
    """Raises Problem for what is there and is no regular file; without `hint` with a command that shows what it is."""
    if odd := oddity(path):
        there = path if os.path.lexists(path) else os.path.dirname(path)
        raise Problem(f"{shown or path} {odd}", hint or f"ls -ld {shlex.quote(there)}")


def read_start(path: str, most: int = 1 << 20) -> bytes:
    """The beginning of a file that is only looked at; nothing of what cannot be read, or is no file."""
    try:
        refuse_odd(path)
        with open(path, "rb") as file:
            return file.read(most)
    except (OSError, Problem):
        return b""


def read_regular(path: str, hint: str = "", most: int = -1) -> bytes:
    """The bytes of a file that a person named, `most` of them. Raises Problem, with `hint` if it is no regular file."""
    refuse_odd(path, hint)
    try:
        fd = os.open(path, platform.READ)
        with open(fd, "rb") as file:
            return file.read(most)
    except OSError as error:
        raise explain(error, "read", path) from None
