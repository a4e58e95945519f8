"""systemd: a timer and a service of the user's own manager.

The timer fires every hour, at a minute that is this computer's own, and makes up for hours in which it was off. The run
itself sees to it that it rotates once a day, and looks for recalls else. One that ends with 75 is no failure, and is
started again half an hour later until it ends otherwise. `Type=exec`, because a oneshot service may not have
RestartForceExitStatus= (systemd.service(5)); older managers that do not know it take `simple`. Paths go in as
systemd.syntax(7) quotes them."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime

from ..core.errors import Problem
from .job import MARK, NAME, Commands, Installation, ScheduledJob, Scheduler, prune, read_ours, remove_unit, write_unit

SERVICE, TIMER = f"{NAME}.service", f"{NAME}.timer"
# What a desktop puts into the manager's environment and what must not decide which keys these are.
_UNWANTED = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
)
_NOT_FOR_PROGRAMS = "\"'\\$"  # allowed in arguments, not in the program's own path


def service(job: ScheduledJob) -> str:
    """The service's unit file."""
    words = job.command()
    if any(sign in job.program for sign in _NOT_FOR_PROGRAMS):
        words = ("/bin/sh", "-c", 'exec "$0" "$@"', *words)
    command = " ".join(_word(word.replace("$", "$$")) for word in words)
    environment = "".join(f"Environment={_word(f'{name}={value}')}\n" for name, value in job.environment.items())
    return f"""# {MARK}

[Unit]
Description=Rotate the AWS access keys that are due
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command}
SuccessExitStatus=75
RestartForceExitStatus=75
RestartSec=30min
Nice=10
IOSchedulingClass=idle
UMask=0077
UnsetEnvironment={" ".join(_UNWANTED)}
{environment}"""


def timer(minute: int) -> str:
    """The timer's unit file."""
    return f"""# {MARK}

[Unit]
Description=Rotate the AWS access keys that are due, once a day, and those that IT recalls

[Timer]
OnCalendar=*:{minute:02}
Persistent=true

[Install]
WantedBy=timers.target
"""


def _word(text: str) -> str:
    """One word of a setting: `%` starts a specifier anywhere, backslashes and quotes mean something in quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return escaped if escaped and all(c.isalnum() or c in "/._-=:,@+%" for c in escaped) else f'"{escaped}"'


class Systemd(Scheduler):
    """The user's manager. `config` is the folder of the user's settings ($XDG_CONFIG_HOME), `data` of their data."""

    title = "a systemd user timer"
    program = ("systemctl", "--user", "--no-pager")

    def __init__(self, commands: Commands, config: str, data: str, minute: int) -> None:
        super().__init__(commands)
        self._timer = timer(minute).encode()
        self._top = os.path.dirname(config)
        self._folder = os.path.join(config, "systemd", "user")
        self._above = os.path.dirname(data)
        self._stamp = os.path.join(data, "systemd", "timers", f"stamp-{TIMER}")

    def usable(self) -> bool:
        return super().usable() and self._run("show", "--property=Version").code == 0

    def install(self, job: ScheduledJob) -> bool:
        """See Scheduler. What cannot be begun leaves no files behind."""
        changed = [write_unit(path, text) for path, text in self._units(job).items()]
        if not any(changed) and not self._trouble():
            return False
        self._run("daemon-reload")
        began = self._run("enable", TIMER)
        began = self._run("start", TIMER) if began.code == 0 else began
        if began.code:
            self.uninstall()
            raise Problem(f"systemd rejects the timer: {began.said}", "systemctl --user status")
        return True

    def uninstall(self) -> bool:
        """See Scheduler. A rotation that is under way goes on; one that waits for its next try does not."""
        if any(read_ours(self._path(name)) for name in (SERVICE, TIMER)):
            self._run("disable", "--now", TIMER)
            if b"SubState=auto-restart" in self._run("show", "--property=SubState", SERVICE).out:
                self._run("stop", SERVICE)
        with suppress(OSError):  # disable has removed it, if there was a manager
            wanted = os.path.join(self._folder, "timers.target.wants")
            os.unlink(os.path.join(wanted, TIMER))
            os.rmdir(wanted)
        gone = [remove_unit(self._path(name), self._top) for name in (SERVICE, TIMER)]
        with suppress(OSError):
            os.unlink(self._stamp)
        prune(os.path.dirname(self._stamp), self._above)
        if any(gone):
            self._run("daemon-reload")
            self._run("reset-failed", SERVICE)
        return any(gone)

    def installed(self, job: ScheduledJob | None = None) -> Installation | None:
        path = self._path(TIMER)
        if not read_ours(path):
            return None
        trouble = self._trouble()
        if job and not trouble and any(read_ours(path) != text for path, text in self._units(job).items()):
            trouble = self.other
        return Installation(path, self._next(), trouble)

    def _trouble(self) -> str:
        if not self.usable():
            return "your systemd is not running, so it starts at your next login"
        state = self._run("is-active", TIMER)
        return "" if state.code == 0 else f"the timer is {state.out.decode().strip() or 'not running'}"

    def _next(self) -> datetime | None:
        said = self._run("show", "--property=NextElapseUSecRealtime", TIMER).out.decode("utf-8", "replace")
        text = said.strip().removeprefix("NextElapseUSecRealtime=")
        try:  # Sat 2026-11-21 00:33:40 UTC
            return datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        except ValueError:
            return None

    def _units(self, job: ScheduledJob) -> dict[str, bytes]:
        return {self._path(SERVICE): service(job).encode(), self._path(TIMER): self._timer}

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)
