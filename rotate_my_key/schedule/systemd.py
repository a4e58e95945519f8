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
from .job import (
    MARK,
    NAME,
    Commands,
    Installation,
    ProgramResult,
    ScheduledJob,
    is_ours,
    minute_of,
    prune,
    read_unit,
    remove_unit,
    write_unit,
)

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


class Systemd:
    """The user's manager. `config` is the folder of the user's settings ($XDG_CONFIG_HOME), `data` of their data;
    `seed` spreads the minute over the computers of a company."""

    title = "a systemd user timer"

    def __init__(self, commands: Commands, config: str, data: str, seed: str) -> None:
        self._commands = commands
        self._timer = timer(minute_of(seed)).encode()
        self._top = os.path.dirname(config)
        self._folder = os.path.join(config, "systemd", "user")
        self._above = os.path.dirname(data)
        self._stamp = os.path.join(data, "systemd", "timers", f"stamp-{TIMER}")

    def usable(self) -> bool:
        return self._commands.has("systemctl") is not None and self._user("show", "--property=Version").code == 0

    def install(self, job: ScheduledJob) -> bool:
        """See Scheduler. What cannot be begun leaves no files behind."""
        changed = [
            write_unit(self._path(name), text)
            for name, text in ((SERVICE, service(job).encode()), (TIMER, self._timer))
        ]
        if not any(changed) and not self._trouble():
            return False
        self._user("daemon-reload")
        began = self._user("enable", TIMER)
        began = self._user("start", TIMER) if began.code == 0 else began
        if began.code:
            self.uninstall()
            raise Problem(f"systemd rejects the timer: {began.said}", "systemctl --user status")
        return True

    def uninstall(self) -> bool:
        """See Scheduler. A rotation that is under way goes on; one that waits for its next try does not."""
        there = any(is_ours(read_unit(self._path(name))) for name in (SERVICE, TIMER))
        if there:
            self._user("disable", "--now", TIMER)
            if b"SubState=auto-restart" in self._user("show", "--property=SubState", SERVICE).out:
                self._user("stop", SERVICE)
        with suppress(OSError):  # disable has removed it, if there was a manager
            wanted = os.path.join(self._folder, "timers.target.wants")
            os.unlink(os.path.join(wanted, TIMER))
            os.rmdir(wanted)
        gone = [remove_unit(self._path(name), self._top) for name in (SERVICE, TIMER)]
        with suppress(OSError):
            os.unlink(self._stamp)
        prune(os.path.dirname(self._stamp), self._above)
        if any(gone):
            self._user("daemon-reload")
            self._user("reset-failed", SERVICE)
        return any(gone)

    def installed(self, job: ScheduledJob | None = None) -> Installation | None:
        path = self._path(TIMER)
        if not is_ours(read_unit(path)):
            return None
        trouble = self._trouble()
        if (
            job
            and not trouble
            and [read_unit(self._path(SERVICE)), read_unit(path)]
            != [
                service(job).encode(),
                self._timer,
            ]
        ):
            trouble = "installed for another program or other settings"
        return Installation(path, self._next(), trouble)

    def _trouble(self) -> str:
        if not self.usable():
            return "your systemd is not running, so it starts at your next login"
        state = self._user("is-active", TIMER)
        return "" if state.code == 0 else f"the timer is {state.out.decode().strip() or 'not running'}"

    def _next(self) -> datetime | None:
        said = self._user("show", "--property=NextElapseUSecRealtime", TIMER).out.decode("utf-8", "replace")
        text = said.strip().removeprefix("NextElapseUSecRealtime=")
        try:  # Sat 2026-11-21 00:33:40 UTC
            return datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        except ValueError:
            return None

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _user(self, *words: str) -> ProgramResult:
        return self._commands.run("systemctl", "--user", "--no-pager", *words)
