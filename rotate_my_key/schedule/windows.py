"""Task Scheduler: a task of the user, who must be logged on (a task without that cannot read their keyring).

It starts at logon and every hour; the run itself sees to it that it is once a day. schtasks wants its XML in UTF-16.
What was run on Windows: see docs/platforms.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from xml.sax.saxutils import escape

from ..core.errors import Problem
from ..files.write import make_private_dir, remove_private, write_private
from .job import MARK, NAME, Commands, Installation, ProgramResult, ScheduledJob, Scheduler


def task(job: ScheduledJob, user: str) -> str:
    """The task's XML. `user` is the domain, a backslash and the name."""
    program, *arguments = _command(job)
    return f"""<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>{escape(MARK)}</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <UserId>{escape(user)}</UserId>
      <Delay>PT5M</Delay>
    </LogonTrigger>
    <CalendarTrigger>
      <Repetition>
        <Interval>PT1H</Interval>
        <Duration>P1D</Duration>
      </Repetition>
      <StartBoundary>2020-01-01T01:00:00</StartBoundary>
      <RandomDelay>PT1H</RandomDelay>
      <ScheduleByDay>
        <DaysInterval>1</DaysInterval>
      </ScheduleByDay>
    </CalendarTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{escape(user)}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT1H</ExecutionTimeLimit>
    <Priority>8</Priority>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{escape(program)}</Command>
      <Arguments>{escape(subprocess.list2cmdline(arguments))}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


def _command(job: ScheduledJob) -> Sequence[str]:
    """Without a console, whose window would open each time, and end the run when it is closed."""
    program, *arguments = job.command()
    windowless = os.path.join(os.path.dirname(sys.executable), "pythonw.exe")
    if os.path.isfile(windowless):
        return windowless, "-P", "-m", "rotate_my_key", *arguments
    return program, *arguments


class TaskScheduler(Scheduler):
    """The tasks of `user`; `folder` is private, for the XML that schtasks reads. Task names are the computer's, not the
    user's, so the name has the user in it."""

    title = "a scheduled task"
    program = ("schtasks",)

    def __init__(self, commands: Commands, user: str, folder: str) -> None:
        super().__init__(commands)
        self._user = user
        self._name = f"{NAME} {user.rpartition(chr(92))[2]}"
        self._file = os.path.join(folder, "schedule.xml")

    def install(self, job: ScheduledJob) -> bool:
        installed = self.installed(job)
        if installed and not installed.trouble:
            return False
        make_private_dir(os.path.dirname(self._file))
        write_private(self._file, task(job, self._user).encode("utf-16"))
        try:
            made = self._task("/Create", "/F", "/XML", self._file)
        finally:
            remove_private(self._file)
        if made.code:
            raise Problem(f"Task Scheduler rejects the task: {made.said}", "taskschd.msc")
        return True

    def uninstall(self) -> bool:
        if self._task("/Query").code:
            return False
        gone = self._task("/Delete", "/F")
        if gone.code:
            raise Problem(f"Task Scheduler cannot remove the task: {gone.said}", "taskschd.msc")
        return True

    def installed(self, job: ScheduledJob | None = None) -> Installation | None:
        """See Scheduler. Windows gives the XML back in words of its own, so only the program is compared."""
        found = self._task("/Query", "/XML")
        if found.code:
            return None
        # In a pipe schtasks speaks the console's code page, and may write ? or a likeness for what that has not.
        program = re.sub(rb"[^\x00-\x7f]+", rb".+?", re.escape(escape(_command(job)[0])).encode()) if job else None
        other = program is not None and not re.search(program, found.out)
        older = b"PT4H" in found.out  # by a version that did not look every hour
        why = "installed for another program" if other else "installed by an older version" if older else ""
        return Installation(self._name, None, why)

    def _task(self, verb: str, *words: str) -> ProgramResult:
        return self._run(verb, "/TN", self._name, *words)
