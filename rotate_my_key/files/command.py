"""Running a person's own command: arguments as they are, no shell; something to read on its stdin, what it says in one
piece, and an end in time. The environment is handed in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from ..core.errors import Problem
from ..core.hints import quoted

_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows opens one for a command of a run that has none
_SLICE = 0.2  # seconds
_AFTER = 0.5  # seconds for what it said last, if a child that it left behind keeps the pipe open


class Ran(NamedTuple):
    """How it ended: the exit code (negative for a signal), None if its time was over; `said` is stdout and stderr."""

    code: int | None
    said: str


def run(words: Sequence[str], given: bytes, env: Mapping[str, str], folder: str, timeout: float) -> Ran:
    """Run it in `folder`, in a session of its own, so that all it started can be ended. Raises Problem if it cannot be
    started."""
    try:
        process = subprocess.Popen(
            words,
            env=dict(env),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            creationflags=_NO_WINDOW,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "a word of it cannot be an argument"
        raise Problem(f"{words[0]} cannot be run: {why}", f"ls -l {quoted(words[0])}") from None
    try:
        said, over = _wait(process, given, time.monotonic() + timeout)
    except BaseException:
        _end(process)
        raise
    return Ran(None if over else process.returncode, said.decode(errors="replace"))


def _wait(process: subprocess.Popen[bytes], given: bytes, deadline: float) -> tuple[bytes, bool]:
    """What it said, and whether its time was over."""
    said, ended = b"", 0.0
    todo: bytes | None = given  # communicate takes it once, and goes on with it when called again
    while True:
        try:
            return process.communicate(todo, _SLICE)[0], False
        except subprocess.TimeoutExpired as waiting:
            said, now, todo = waiting.output or said, time.monotonic(), None
        if process.poll() is None and now > deadline:
            _end(process)
            return said, True
        if process.poll() is not None:
            ended = ended or now
            if now > ended + _AFTER:
                return said, False


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
