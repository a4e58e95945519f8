"""cron: marked lines in the user's crontab. Everything else in it stays byte for byte, and so it is again afterwards.

cron makes up for nothing and knows no second try, so the line is for every hour, and the run itself sees to it that it
is once a day. In a command cron takes `%` for a line end, and cuts it off after 999 characters (crontab(5)).

A crontab is handed over as a whole file, never through a pipe: one that ends early is taken for an empty crontab. What
was there lies beside it until the new one has been read back."""

from __future__ import annotations

import os
import shlex

from ..core.errors import Problem, TryLater
from ..files.write import make_private_dir, read_private, remove_private, write_private
from .job import MARK, NAME, Commands, Installation, ScheduledJob, Scheduler

_BEGIN = f"# >>> {NAME} >>> {MARK}"
_NEW = " (with the crontab itself)"
_END = f"# <<< {NAME} <<<"
_LONGEST = 990
_FILE = "crontab.new"  # handed over by this name: Debian's crontab cuts a path off after 99 characters


def lines(job: ScheduledJob, minute: int, *, new: bool = False) -> bytes:
    """The marked lines; `new`: there was no crontab before. Raises Problem if cron would cut off the command."""
    words = [f"{name}={shlex.quote(value)}" for name, value in job.environment.items()]
    command = " ".join([*words, shlex.join(job.command())]).replace("%", r"\%")
    if len(command.encode()) > _LONGEST:
        raise Problem("the command is too long for cron", "unset the variables that are not needed, then try again")
    return f"{_BEGIN}{_NEW if new else ''}\n{minute} * * * * {command}\n{_END}\n".encode()


def without(crontab: bytes) -> tuple[bytes, bytes]:
    """A crontab without the marked lines, and these. Raises Problem if only one of the two marks is there."""
    begin, end = crontab.find(_BEGIN.encode()), crontab.find(f"{_END}\n".encode())
    if begin < 0 and end < 0:
        return crontab, b""
    if begin < 0 or end < begin or (begin and crontab[begin - 1 : begin] != b"\n"):
        raise Problem(
            f"your crontab was edited: one of the two lines that mark {NAME}'s entry is missing", "crontab -e"
        )
    end += len(_END) + 1
    return crontab[:begin] + crontab[end:], crontab[begin:end]


class Cron(Scheduler):
    """The user's crontab. `folder` is private, for what crontab reads."""

    title = "a line in your crontab"
    program = ("crontab",)

    def __init__(self, commands: Commands, minute: int, folder: str) -> None:
        super().__init__(commands)
        self._minute, self._folder = minute, folder
        self._new, self._before = os.path.join(folder, _FILE), os.path.join(folder, "crontab.before")

    def usable(self) -> bool:
        return super().usable() and self._list()[1] == ""

    def install(self, job: ScheduledJob) -> bool:
        crontab = self._read()
        others, ours = without(crontab or b"")
        new = crontab is None or (not others and _NEW.encode() in ours)
        line = lines(job, self._minute, new=new)
        if ours == line:
            return False
        if others and not others.endswith(b"\n"):
            raise Problem("the last line of your crontab has no end, so cron ignores it", "crontab -e")
        self._change(crontab, others + line)
        return True

    def uninstall(self) -> bool:
        if not super().usable():
            return False
        crontab = self._read()
        others, ours = without(crontab or b"")
        if not ours:
            return False
        self._change(crontab, others if others or _NEW.encode() not in ours else None)
        return True

    def installed(self, job: ScheduledJob | None = None) -> Installation | None:
        if not super().usable():
            return None
        ours = without(self._list()[0] or b"")[1]
        if not ours:
            return None
        line = lines(job, self._minute, new=_NEW.encode() in ours) if job else ours
        return Installation("crontab -l", None, "" if ours == line else self.other)

    def _list(self) -> tuple[bytes | None, str]:
        """The crontab (None if there is none), or what is wrong."""
        ran = self._run("-l")
        if ran.code == 0:
            return self._exactly(ran.out), ""
        return None, "" if b"no crontab for" in ran.err else ran.said

    def _exactly(self, listed: bytes) -> bytes:
        r"""The crontab's own bytes: Debian's `crontab -l` shows a carriage return as `\r`, its `-e` gives it as is."""
        if rb"\r" not in listed:
            return listed
        raw = self._commands.run("crontab", "-e", EDITOR="cat", VISUAL="cat").out
        return raw if raw.replace(b"\r", rb"\r") == listed else listed

    def _read(self) -> bytes | None:
        """The crontab to be changed; one that a killed run left empty is put back first. Raises Problem."""
        crontab, wrong = self._list()
        if wrong:
            raise Problem(f"cron does not let you have a crontab: {wrong}", "crontab -l")
        kept = read_private(self._before)
        if kept and not crontab:
            self._put_back(kept)
            return kept
        return crontab

    def _change(self, before: bytes | None, after: bytes | None) -> None:
        """Put `after` (None: no crontab) where `before` is. Raises Problem, and then `before` is there again; TryLater
        if somebody else has changed it."""
        if self._list()[0] != before:
            raise TryLater("another program is changing your crontab", "repeat the command")
        make_private_dir(self._folder)
        if before is not None:
            write_private(self._before, before)
        said = self._put(after)
        if self._list() != (after, ""):
            self._put_back(before)
            raise Problem(f"crontab rejects it: {said}", "crontab -l")
        remove_private(self._before)

    def _put(self, crontab: bytes | None) -> str:
        """Gives what crontab complained of."""
        if crontab is None:
            ran = self._run("-r")
        else:
            write_private(self._new, crontab)
            try:
                ran = self._commands.run("crontab", _FILE, folder=self._folder)
            finally:
                remove_private(self._new)
        return ran.said if ran.code else "it shows something else afterwards"

    def _put_back(self, before: bytes | None) -> None:
        """Raises Problem if it cannot be: then what was there stays in a file, which the hint names."""
        said = self._put(before) if self._list() != (before, "") else ""
        if said and self._list() != (before, ""):
            again = "crontab -r" if before is None else f"crontab - <{shlex.quote(self._before)}"
            raise Problem(f"crontab rejects both the new lines and the old ones: {said}", again)
        remove_private(self._before)
