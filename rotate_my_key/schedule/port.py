"""What a system scheduler is to the rest of the program."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from .job import Job


class Installed(NamedTuple):
    """What is there: the file or name in which it stands, when it runs next (None: not known), and what is wrong with
    it ("" for nothing)."""

    where: str
    next: datetime | None = None
    trouble: str = ""


class Scheduler(Protocol):
    """One scheduler of this user. Every verb may raise Problem: the scheduler refuses, or a file cannot be written."""

    title: str  # "a systemd user timer"
    rhythm: str  # "once a day"

    def usable(self) -> bool:
        """Whether this computer has it, and it answers."""

    def install(self, job: Job) -> bool:
        """Put the job in, or in place of an earlier one. Gives whether anything changed."""

    def uninstall(self) -> bool:
        """Take it out, with all that `install` made. Gives whether there was anything; works without the scheduler."""

    def installed(self, job: Job | None = None) -> Installed | None:
        """What is there; None if nothing. With a job, `trouble` tells too if another one is there."""
