"""The door: the way in and out of the program.

Light: `credentials` runs at every start of an SDK and comes by here without click and all that `program.py` needs."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence

from ..core.errors import fault
from .table import GLOBAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the program and leave with its exit code, at once: taking the interpreter down would cost a fifth of a
    rotation's CPU, and there is nothing left to do."""
    _leave_out_foreign_modules(os.environ)
    gc.set_threshold(100_000, 50, 50)  # a short life: collecting while importing takes 12 ms
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and hasattr(stream, "reconfigure"):  # what a code page cannot show is spelled out
                stream.reconfigure(errors="backslashreplace")
        code = run(sys.argv[1:] if args is None else args, os.environ)
    except KeyboardInterrupt:
        code = _last_words("Interrupted.", 130)
    except Exception as error:  # noqa: BLE001  while the program was loaded, or in its own last words
        problem = fault(error)
        code = _last_words(f"error: {problem.message}\nhint: {problem.hint}", problem.code)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            code = code or 1
    os._exit(code)


def _last_words(said: str, code: int) -> int:
    try:  # noqa: SIM105  contextlib is not loaded yet
        os.write(2, f"{said}\n".encode(errors="backslashreplace"))
    except OSError:
        pass
    return code


def _leave_out_foreign_modules(env: Mapping[str, str]) -> None:
    """What PYTHONPATH adds is meant for other programs: a botocore there is not ours to use. All of it stays where this
    program itself comes from there, and what belongs to this Python stays anyway. install.sh's command needs none of
    this, as Python is isolated there. To start again so (-I) would take as long as Python does, and modules that Python
    loads by itself (sitecustomize) would have run all the same."""
    if sys.flags.ignore_environment or not env.get("PYTHONPATH"):
        return
    added = {os.path.abspath(path) for path in env["PYTHONPATH"].split(os.pathsep)}
    own = (sys.prefix + os.sep, sys.base_prefix + os.sep)
    if os.path.abspath(os.path.join(__file__, "../../..")) not in added:
        sys.path[:] = [path for path in sys.path if path.startswith(own) or os.path.abspath(path) not in added]


def run(args: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command; gives the exit code."""
    words = [word for word in args if word not in GLOBAL]
    if words[:1] == ["credentials"]:
        from .credentials import run as give

        return give(words[1:], env)
    if words == ["reminder", "say"]:  # at a login, once a day
        from ..files.paths import find
        from ..reminder.login import main as say

        return say(os.path.join(find(env).state_dir, "reminder"), lambda words: run(words, env))
    from .app import handled

    with handled():
        from .program import run as run_program

        return run_program(args, env)
