"""launchd: an agent of the user. Started at login and every hour; the run itself sees to it that it is once a day, so
that a day without network or with a closed lid is made up for."""

from __future__ import annotations

import os
import plistlib
import time
from typing import Any

from .job import MARK, NAME, Commands, Installation, ScheduledJob, Scheduler, read_ours, remove_unit, write_unit

_HOUR = 3600
_LEAVING = (5, 37)  # what `bootstrap` answers while an agent of the same name is on its way out
_TRIES, _PAUSE = 9, 0.25  # seconds


def plist(job: ScheduledJob) -> bytes:
    """The agent's property list."""
    agent: dict[str, Any] = {
        "Label": NAME,
        "ProgramArguments": list(job.command()),
        "RunAtLoad": True,
        "StartInterval": _HOUR,
        "ProcessType": "Background",
        "LowPriorityIO": True,
        "Nice": 10,
        "Umask": 0o077,
    }
    if job.environment:
        agent["EnvironmentVariables"] = dict(job.environment)
    head, declaration, body = plistlib.dumps(agent).partition(b"<plist ")
    return head + f"<!-- {MARK} -->\n".encode() + declaration + body


class Launchd(Scheduler):
    """The agents of the user with this uid, in `~/Library/LaunchAgents`."""

    title = "a launchd agent"
    program = ("launchctl",)

    def __init__(self, commands: Commands, home: str, uid: int) -> None:
        super().__init__(commands)
        self._home = home
        self._path = os.path.join(home, "Library", "LaunchAgents", f"{NAME}.plist")
        self._domains = (f"gui/{uid}", f"user/{uid}")  # the second where nobody sits at the screen (ssh)

    def install(self, job: ScheduledJob) -> bool:
        """See Scheduler. Where no session can take it now, launchd does at the next login."""
        if not write_unit(self._path, plist(job)) and self._loaded():
            return False
        self._out()
        for domain in self._domains:
            if self._into(domain):
                break
        return True

    def _into(self, domain: str) -> bool:
        """`bootout` ends before the agent is gone: tried again for two seconds."""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE)
            code = self._run("bootstrap", domain, self._path).code
            if code not in _LEAVING:
                return code == 0
        return False

    def uninstall(self) -> bool:
        if not read_ours(self._path):
            return False
        self._out()
        return remove_unit(self._path, os.path.join(self._home, "Library"))

    def installed(self, job: ScheduledJob | None = None) -> Installation | None:
        data = read_ours(self._path)
        if not data:
            return None
        trouble = "" if self._loaded() else "launchd has not loaded it yet; it will at your next login"
        if job and data != plist(job):
            trouble = self.other
        return Installation(self._path, None, trouble)

    def _loaded(self) -> bool:
        return any(self._run("print", f"{domain}/{NAME}").code == 0 for domain in self._domains)

    def _out(self) -> None:
        for domain in self._domains:
            self._run("bootout", f"{domain}/{NAME}")
