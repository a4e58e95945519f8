"""Processes of this user whose environment or command line holds a key: they go on with it until they are started anew.

Only number and name are told; never a value, never an argument. Linux shows the environment that a process was started
with in /proc; elsewhere psutil knows, where it is installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from ..files import platform
from .forms import Forms


class Process(NamedTuple):
    """A process: its number, its name, the id it holds, and whether `environment` or `command line` shows it."""

    pid: int
    name: str
    key_id: str
    where: str


def processes(wanted: Sequence[Forms], proc: str = "/proc") -> list[Process] | None:
    """This user's processes that hold one of the pairs, but for this one. None if that cannot be known here."""
    if os.path.exists(os.path.join(proc, "self", "environ")):
        return list(_linux(wanted, proc))
    try:
        psutil: Any = import_module("psutil")
    except ImportError:
        return None
    return list(_elsewhere(wanted, psutil))


def _linux(wanted: Sequence[Forms], proc: str) -> Iterator[Process]:
    for name in sorted(filter(str.isdigit, os.listdir(proc)), key=int):
        folder = os.path.join(proc, name)
        try:
            if int(name) == os.getpid() or os.stat(folder).st_uid != platform.my_uid():
                continue
            shown = {"environment": _read(f"{folder}/environ"), "command line": _read(f"{folder}/cmdline")}
            command = _read(f"{folder}/comm").decode(errors="replace").strip()
        except OSError:  # it has ended, or does not let itself be read
            continue
        yield from _holding(int(name), command, shown, wanted)


def _elsewhere(wanted: Sequence[Forms], psutil: Any) -> Iterator[Process]:
    me = psutil.Process().username()
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.username() != me:
                continue
            environment = "\0".join(f"{name}={value}" for name, value in process.environ().items())
            shown = {"environment": environment.encode(), "command line": "\0".join(process.cmdline()).encode()}
            command = process.name()
        except (psutil.Error, OSError):
            continue
        yield from _holding(process.pid, command, shown, wanted)


def _holding(pid: int, name: str, shown: dict[str, bytes], wanted: Sequence[Forms]) -> Iterator[Process]:
    for forms in wanted:
        where = next((where for where, data in shown.items() if forms.here(data)), None)
        if where:
            yield Process(pid, name, forms.pair.key_id, where)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
