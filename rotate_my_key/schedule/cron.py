"""cron: marked lines in the user's crontab. Everything else in it stays byte for byte, and so it is again afterwards.

cron makes up for nothing and knows no second try, so the line is for every hour, and the run itself sees to it that it
is once a day. In a command cron takes `%` for a line end, and cuts it off after 999 characters (crontab(5)).
"""

from __future__ import annotations

import shlex
import zlib

from ..errors import Problem
from .commands import Commands, Ran
from .job import MARK, NAME, Job
from .port import Installed

_BEGIN = f"# >>> {NAME} >>> {MARK}"
_NEW = " (with the crontab itself)"
_END = f"# <<< {NAME} <<<"
_LONGEST = 990


def lines(job: Job, minute: int, *, new: bool = False) -> bytes:
    """The marked lines; `new`: there was no crontab before. Raises Problem if cron would cut off the command."""
    words = [f"{name}={shlex.quote(value)}" for name, value in job.environment.items()]
    command = " ".join([*words, shlex.join(job.command(every_hour=True))]).replace("%", r"\%")
    if len(command.encode()) > _LONGEST:
        raise Problem("the command is too long for cron", "unset the variables that are not needed, then try again")
    return f"{_BEGIN}{_NEW if new else ''}\n{minute} * * * * {command}\n{_END}\n".encode()


def without(crontab: bytes) -> tuple[bytes, bytes]:
    """A crontab without the marked lines, and these. Raises Problem if only one of the two marks is there."""
    begin, end = crontab.find(_BEGIN.encode()), crontab.find(f"{_END}\n".encode())
    if begin < 0 and end < 0:
        return crontab, b""
    if begin < 0 or end < begin or (begin and crontab[begin - 1 : begin] != b"\n"):
        raise Problem(f"your crontab has been edited: of the two lines that mark {NAME}'s one is missing", "crontab -e")
    end += len(_END) + 1
    return crontab[:begin] + crontab[end:], crontab[begin:end]


class Cron:
    """The user's crontab. `seed` spreads the minute over the computers of a company."""

    title = "a line in your crontab"
    rhythm = "once a day"

    def __init__(self, commands: Commands, seed: str) -> None:
        self._commands = commands
        self._minute = zlib.crc32(seed.encode("utf-8", "surrogateescape")) % 60

    def usable(self) -> bool:
        """See Scheduler."""
        return self._commands.has("crontab") and self._list()[1] == ""

    def install(self, job: Job) -> bool:
        """See Scheduler."""
        crontab, wrong = self._list()
        if wrong:
            raise Problem(f"cron does not let you have a crontab: {wrong}", "crontab -l")
        others, ours = without(crontab or b"")
        new = crontab is None or (not others and _NEW.encode() in ours)
        line = lines(job, self._minute, new=new)
        if ours == line:
            return False
        if others and not others.endswith(b"\n"):
            raise Problem("the last line of your crontab has no end, so cron ignores it", "crontab -e")
        self._write(others + line)
        return True

    def uninstall(self) -> bool:
        """See Scheduler."""
        if not self._commands.has("crontab"):
            return False
        crontab, _ = self._list()
        others, ours = without(crontab or b"")
        if not ours:
            return False
        if others or _NEW.encode() not in ours:
            self._write(others)
        elif (gone := self._commands.run("crontab", "-r")).code:
            raise Problem(f"crontab does not remove it: {gone.said}", "crontab -e")
        return True

    def installed(self, job: Job | None = None) -> Installed | None:
        """See Scheduler."""
        if not self._commands.has("crontab"):
            return None
        ours = without(self._list()[0] or b"")[1]
        if not ours:
            return None
        line = lines(job, self._minute, new=_NEW.encode() in ours) if job else ours
        trouble = "" if ours == line else "it was installed for another program or other settings"
        return Installed("crontab -l", None, trouble)

    def _list(self) -> tuple[bytes | None, str]:
        """The crontab (None if there is none), or what is wrong."""
        ran = self._commands.run("crontab", "-l")
        if ran.code == 0:
            return self._exactly(ran.out), ""
        return None, "" if b"no crontab for" in ran.err else ran.said

    def _exactly(self, listed: bytes) -> bytes:
        r"""The crontab's own bytes: Debian's `crontab -l` shows a carriage return as `\r`, its `-e` gives it as is."""
        if rb"\r" not in listed:
            return listed
        raw = self._commands.run("crontab", "-e", EDITOR="cat", VISUAL="cat").out
        return raw if raw.replace(b"\r", rb"\r") == listed else listed

    def _write(self, crontab: bytes) -> None:
        ran: Ran = self._commands.run("crontab", "-", stdin=crontab)
        if ran.code or self._list()[0] != crontab:
            raise Problem(f"crontab does not take it: {ran.said}", "crontab -l")
