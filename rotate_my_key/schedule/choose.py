"""Which schedulers this computer may have: the first that is usable is taken, and all of them are cleaned up after."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from ..errors import Problem
from ..paths import Paths
from .commands import Commands
from .cron import Cron
from .launchd import Launchd
from .port import Scheduler
from .systemd import Systemd
from .windows import TaskScheduler


def schedulers(env: Mapping[str, str], paths: Paths, host: str, platform: str = sys.platform) -> Sequence[Scheduler]:
    """Those that this system may have, best first."""
    uid = os.getuid() if hasattr(os, "getuid") else 0
    commands = Commands(_reachable(env, uid) if platform == "linux" else env)
    if platform == "win32":
        user = "\\".join(filter(None, (env.get("USERDOMAIN", ""), env.get("USERNAME", ""))))
        return [TaskScheduler(commands, user, paths.state_dir)]
    cron = Cron(commands, f"{host} {uid}", paths.state_dir)
    if platform == "darwin":
        return [Launchd(commands, paths.home, uid), cron]
    config = _base(env, paths, "XDG_CONFIG_HOME", ".config")
    return [Systemd(commands, config, _base(env, paths, "XDG_DATA_HOME", ".local/share")), cron]


def choose(found: Sequence[Scheduler]) -> Scheduler:
    """The first that is usable. Raises Problem if there is none."""
    for scheduler in found:
        if scheduler.usable():
            return scheduler
    titles = " and no ".join(scheduler.title.split(" ", 1)[1] for scheduler in found)
    raise Problem(f"this computer has no scheduler for you: no {titles}", "rotate-my-key reminder install")


def _base(env: Mapping[str, str], paths: Paths, variable: str, default: str) -> str:
    given = env.get(variable, "")
    return given if os.path.isabs(given) else os.path.join(paths.home, default)


def _reachable(env: Mapping[str, str], uid: int) -> dict[str, str]:
    """Without it systemctl does not find the user's manager, as after `su` and in scripts of IT."""
    found = dict(env)
    if not found.get("XDG_RUNTIME_DIR") and os.path.isdir(f"/run/user/{uid}"):
        found["XDG_RUNTIME_DIR"] = f"/run/user/{uid}"
    return found
