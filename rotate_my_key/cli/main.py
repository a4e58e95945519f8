"""The door: the table of commands, and the way in and out of the program.

Light: `credentials` runs at every start of an SDK and comes by here without click and all that `program.py` needs.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# Command, module, its line in --help: read without loading the module.
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Daily": {
        "rotate": ("rotate", "Replace the access key, if it is due (the default)."),
        "status": ("status", "Show every key on this computer: age, last use, verdict."),
        "history": ("history", "Show past rotations on this computer."),
    },
    "Repair": {
        "undo": ("undo", "Put the old key back, until it is deleted."),
        "doctor": ("doctor", "Find what stands in the way of a rotation, with its remedy."),
        "delete-key": ("delete_key", "Retire one of your keys that nothing here holds."),
    },
    "This computer": {
        "adopt": ("adopt", "Take a first or new key that IT or the console gave."),
        "export": ("export", "Seal a key for another computer."),
        "import": ("import_cmd", "Take a key that was sealed on another computer."),
        "keyring": ("keyring_cmd", "Move a profile's pair between its file and the OS keyring."),
        "scan": ("scan", "Find other files and processes that hold the key."),
        "reminder": ("reminder", "One line a day in a new terminal when a key is due."),
        "schedule": ("schedule", "A daily rotation that nobody watches."),
        "config": ("config", "Show and change settings, and where each comes from."),
        "demo": ("demo", "Watch a whole rotation against a stand-in; no account needed."),
    },
    "For IT": {
        "policy": ("policy", "Print the least IAM policy: self, self-mfa, fleet-*."),
        "fleet": ("fleet", "For all users of a company: report, remind, enforce, reissue."),
    },
}
GLOBAL = {"-v", "-vv", "--verbose", "-q", "--quiet", "--no-color"}


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the program and leave with its exit code, at once: taking the interpreter down would cost a fifth of a
    rotation's CPU, and there is nothing left to do."""
    gc.set_threshold(100_000, 50, 50)  # a short life: collecting while importing takes 12 ms
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):  # what a code page cannot show is spelled out
            stream.reconfigure(errors="backslashreplace")
    code = run(sys.argv[1:] if args is None else args, os.environ)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            code = code or 1
    os._exit(code)


def run(args: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a command; gives the exit code."""
    words = [word for word in args if word not in GLOBAL]
    if words[:1] == ["credentials"]:
        from .credentials import run as give

        return give(words[1:], env)
    if words == ["reminder", "say"]:  # at a login, once a day
        from ..paths import find
        from ..reminder.login import main as say

        return say(os.path.join(find(env).state_dir, "reminder"))
    from .program import run as run_program

    return run_program(args, env)
