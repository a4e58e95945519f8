"""The daily rotation that nobody watches, through whatever scheduler the system has.

`job.py` says what is run and what a scheduler is; `systemd.py`, `launchd.py`, `windows.py` and `cron.py` each know one
(its text, pure, and an adapter); here is which of them this computer has. Nothing here prints or asks.

What came of a run is in `schedule.json` in the state folder (see `job.py`), for `schedule show` and for the reminder,
which speaks of what `job.failure` gives:

    {"version": 1, "last": TRY, "settled": TRY or null}      TRY = {"at": ISO 8601, "code": 0-130, "message", "hint"}

`last` is the latest run; `settled` the latest that did not end with 75 (offline, keyring locked, another run at work)
or 130: those are tried again by the scheduler and are no failure. Before the first run there is no file."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..core.errors import Problem
from ..core.hints import Hint
from ..files.paths import Paths

if TYPE_CHECKING:
    from .job import Scheduler


def schedulers(env: Mapping[str, str], paths: Paths, host: str, platform: str = sys.platform) -> Sequence[Scheduler]:
    """Those that this system may have, best first: the first that is usable is taken, all are cleaned up after."""
    from .cron import Cron
    from .job import Commands, minute_of
    from .launchd import Launchd
    from .systemd import Systemd
    from .windows import TaskScheduler

    uid = os.getuid() if hasattr(os, "getuid") else 0
    commands = Commands(_reachable(env, uid) if platform == "linux" else env)
    if platform == "win32":
        user = "\\".join(filter(None, (env.get("USERDOMAIN", ""), env.get("USERNAME", ""))))
        return [TaskScheduler(commands, user, paths.state_dir)]
    minute = minute_of(f"{host} {uid}")
    cron = Cron(commands, minute, paths.state_dir)
    if platform == "darwin":
        return [Launchd(commands, paths.home, uid), cron]
    config = _base(env, paths, "XDG_CONFIG_HOME", ".config")
    return [Systemd(commands, config, _base(env, paths, "XDG_DATA_HOME", ".local/share"), minute), cron]


def choose(found: Sequence[Scheduler]) -> Scheduler:
    """The first that is usable. Raises Problem if there is none."""
    for scheduler in found:
        if scheduler.usable():
            return scheduler
    titles = " and no ".join(scheduler.title.split(" ", 1)[1] for scheduler in found)
    raise Problem(f"this computer has no scheduler for you: no {titles}", Hint("reminder", "install"))


def _base(env: Mapping[str, str], paths: Paths, variable: str, default: str) -> str:
    given = env.get(variable, "")
    return given if os.path.isabs(given) else os.path.join(paths.home, default)


def _reachable(env: Mapping[str, str], uid: int) -> dict[str, str]:
    """Without it systemctl does not find the user's manager, as after `su` and in scripts of IT."""
    found = dict(env)
    if not found.get("XDG_RUNTIME_DIR") and os.path.isdir(f"/run/user/{uid}"):
        found["XDG_RUNTIME_DIR"] = f"/run/user/{uid}"
    return found
