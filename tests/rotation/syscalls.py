"""Kills a program at one system call of its choosing, by strace's fault injection: before the call takes effect.

A run that is only watched gives the list of kill points: each call that changes a file in the home or sends something
to AWS, by its name and its number among the calls of that name in its thread. Killed before each of them in turn, the
disk and AWS have been in every state that a kill can leave: "after" one call is "before" the next.
"""

import re
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from .conftest import Laptop

STRACE = shutil.which("strace")
_FILES = "openat,mkdir,pwrite64,write,ftruncate,fsync,fdatasync,rename,renameat2,unlink,fchmod,fchown,fsetxattr,chmod"
_CALLS = _FILES + ",sendto"
_STRACE = (str(STRACE), "-f", "-y", "-qq", "-s", "200")
_LINE = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\((?P<args>.*)")
_CHANGES = re.compile(r"O_CREAT|O_RDWR|O_WRONLY|O_TRUNC")


@dataclass(frozen=True)
class Point:
    """The `nth` call of this name in the main thread; `line` is how strace showed it."""

    name: str
    nth: int
    line: str

    def __str__(self) -> str:
        return f"before {self.name} {self.nth}: {self.line[:160]}"

    def nearby(self) -> "list[Point]":
        """The same call under other numbers, the likeliest first: a few opens more or less depend on the threads."""
        if self.name != "openat":
            return [self, self, self]
        return [replace(self, nth=self.nth + drift) for drift in (0, 1, -1, 2, -2, 3, -3, 4, -4)]


def watch(laptop: Laptop, *args: str) -> list[Point]:
    """Run the program to its end under strace; gives the kill points from the first that touches the home."""
    log = laptop.home.parent / "watched"
    strace = [*_STRACE, "-e", f"trace={_CALLS}", "-o", str(log)]
    done = laptop.run(*args, before=strace)
    assert done.code == 0, done.text
    counts: Counter[str] = Counter()
    points = []
    main = ""
    for line in log.read_text(errors="replace").splitlines():
        found = _LINE.match(line)
        main = main or (found["thread"] if found else "")
        if not found or found["thread"] != main:
            continue
        counts[found["name"]] += 1
        if _is_kill_point(found["name"], found["args"], str(laptop.home)):
            points.append(Point(found["name"], counts[found["name"]], line.partition(" ")[2].strip()))
    return points


def kill_at(laptop: Laptop, point: Point, *args: str) -> bool:
    """Run the program and kill it there; whether it was killed, and at such a call (the numbering may drift)."""
    log = laptop.home.parent / "killed"
    inject = f"inject={point.name}:signal=KILL:when={point.nth}"
    strace = [*_STRACE, "-e", f"trace={point.name}", "-e", inject, "-o", str(log)]
    done = laptop.run(*args, before=strace)
    if done.code == 0:
        return False
    assert done.code == -9, done.text
    lines = log.read_text(errors="replace").splitlines()
    calls = [found for line in lines if (found := _LINE.match(line)) and found["name"] == point.name]
    last = calls[-1]["args"]
    same = point.name != "openat" or _shape(last) == _shape(point.line.partition("(")[2])
    return same and _is_kill_point(point.name, last, str(laptop.home))


def _shape(args: str) -> str:
    """The first file that is named, without what differs from run to run."""
    path = re.search(r"/home/([^\">]*)", args)
    return re.sub(r"AK\w{18}|[0-9a-f]{16}", "", path[1]) if path else ""


def _is_kill_point(name: str, args: str, home: str) -> bool:
    if name == "sendto":
        return "Action=" in args or "POST" in args
    if name == "write" and re.match(r"[12]<", args):
        return True
    if name == "openat" and not _CHANGES.search(args):
        return False
    return home in args


def second_name(path: Path) -> Path:
    """A second name for a file: it cannot be replaced by rename any more, so it is written in place."""
    other = path.parent.parent.parent / "second-name"
    other.hardlink_to(path)
    return other
