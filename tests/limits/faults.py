"""What a computer runs out of, or does to a program, put into a run by strace, a limit or a wrong clock.

A run that is only watched gives the points: the calls of its main thread from the first that touches the home on.
"""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.killing import STRACE, Point
from tests.laptop import Finished
from tests.standin import StandIn

from .clock import COMPILER, library
from .flows import CODES, SENTENCES, Run, new_run

_LINE = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\((?P<args>.*)")
_MAKE = "openat,mkdir,rename,link,unlink"
_WRITE = "write,pwrite64,fsync,ftruncate,fchmod"
_OPEN = "openat,socket,pipe2"
_ALL = f"{_MAKE},{_WRITE},sendto,recvfrom,read,newfstatat"
_CHANGES = re.compile(r"O_CREAT|O_RDWR|O_WRONLY")


class Fault(NamedTuple):
    """`calls` fail with `error`, or are met by the signal of that name; `on` for good, from the chosen one on. Without
    `calls` it is a limit, `error`, in a shell's words. `process`: from the start, and from the second such call on."""

    calls: str
    error: str
    on: bool = False
    process: bool = False


FAULTS = {
    "no process": Fault("vfork,fork,clone", "EAGAIN", on=True, process=True),
    "no thread": Fault("clone3", "EAGAIN", on=True, process=True),
    "neither process nor thread": Fault("vfork,fork,clone,clone3", "EAGAIN", on=True, process=True),
    "a program is missing": Fault("execve", "ENOENT", on=True, process=True),
    "a program is none": Fault("execve", "ENOEXEC", on=True, process=True),
    "no memory for a program": Fault("execve", "ENOMEM", on=True, process=True),
    "too many open files": Fault(_OPEN, "EMFILE"),
    "too many open files, for good": Fault(_OPEN, "EMFILE", on=True),
    "too many open files everywhere": Fault(_OPEN, "ENFILE"),
    "no memory": Fault("mmap,brk", "ENOMEM"),
    "no memory, for good": Fault("mmap,brk", "ENOMEM", on=True),
    "no memory for a call": Fault(_MAKE, "ENOMEM"),
    "the disk is full": Fault(f"{_MAKE},{_WRITE}", "ENOSPC"),
    "the disk is full, for good": Fault(f"{_MAKE},write,pwrite64", "ENOSPC", on=True),
    "the quota is used up": Fault(f"{_MAKE},{_WRITE}", "EDQUOT", on=True),
    "read-only": Fault(_MAKE, "EROFS", on=True),
    "the disk is broken": Fault(f"{_MAKE},{_WRITE}", "EIO"),
    "files may have no bytes": Fault("", "ulimit -f 0"),
    "few open files": Fault("", "ulimit -n 12"),
    "little memory": Fault("", "ulimit -v 90000"),
    **{
        f"the clock jumps half a year {where} {when}": Fault(
            "", f"export LD_PRELOAD={{clock}} CLOCK_JUMP={seconds} CLOCK_AFTER={after}"
        )
        for where, seconds in (("ahead", 180 * 86400), ("back", -180 * 86400))
        for when, after in (("at the start", 0), ("in the middle", 25))
    },
    "Ctrl-C": Fault(_ALL, "INT"),
    "SIGTERM": Fault(_ALL, "TERM"),
    "SIGHUP": Fault(_ALL, "HUP"),
    "SIGPIPE": Fault(_ALL, "PIPE"),
}
KILLED = Fault("vfork,execve,wait4,pipe2,openat,mkdir,pwrite64,write,fsync,fchmod,rename,unlink", "KILL")
_TRACED = {call for fault in (*FAULTS.values(), KILLED) for call in fault.calls.split(",") if call}
# Python's hashlib tells the log itself of each function that it cannot load.
_HASHES = re.compile(r"ERROR:root:code for hash .*\nTraceback .*\n(  .*\n)+ValueError: unsupported hash type .*\n")
_NO_MEMORY = ("ENOMEM", "ulimit -v 90000")
_CRASHES = (-6, -11)  # of Python itself, whose libraries do not always look whether they got memory
if COMPILER is None:  # then the clock cannot be moved
    FAULTS = {name: fault for name, fault in FAULTS.items() if "{clock}" not in fault.error}
_SIGNALS = {"KILL": -9, "INT": -2, "TERM": -15, "HUP": -1}


_watched: dict[str, tuple[str, str]] = {}  # by flow: the home and the calls of a run that nothing disturbed


def points(folder: Path, aws: StandIn, flow: str, fault: Fault) -> list[Point]:
    """The calls of a flow that the fault may hit. A limit, and what holds from the start, has one."""
    if not fault.calls or fault.process:
        nth = 2 if fault.calls == "execve" else 1
        return [Point(fault.calls, nth, fault.error)]
    if flow not in _watched:
        run, log = new_run(folder / "watched", aws, flow), folder / "log"
        done = run.laptop.run(*run.words, before=[*_strace(",".join(_TRACED)), "-o", str(log)])
        assert done.code == 0, done.text
        _watched[flow] = str(run.laptop.home), log.read_text(errors="replace")
    return list(_points(*_watched[flow], fault))


def _points(home: str, log: str, fault: Fault) -> Iterator[Point]:
    counts: Counter[str] = Counter()
    main, begun = "", False
    for line in log.splitlines():
        found = _LINE.match(line)
        main = main or (found["thread"] if found else "")
        if not found or found["thread"] != main or found["name"] not in ("openat", *fault.calls.split(",")):
            continue
        name, args = found["name"], found["args"]
        counts[name] += 1
        begun = begun or home in args or "/.local/state" in args or (name in ("mmap", "brk") and counts[name] > 400)
        talk = name == "write" and re.match(r"[12]<", args)  # that nobody can be told is told to nobody
        reads = name == "openat" and not _CHANGES.search(args) and fault.error in ("ENOSPC", "EDQUOT", "EROFS")
        if begun and name in fault.calls.split(",") and not reads and not talk:
            yield Point(name, counts[name], line.partition(" ")[2].strip())


def spread(found: Sequence[Point], most: int) -> list[Point]:
    """So many of them, evenly, the same ones each time."""
    if len(found) <= most:
        return list(found)
    return [found[(2 * number + 1) * len(found) // (2 * most)] for number in range(most)]


def inject(run: Run, fault: Fault, point: Point) -> Finished:
    """Run it with the fault there; it ends in words, and with an exit code of ours."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the run would inherit that it is ignored
    done = run.laptop.run(*run.words, before=_before(fault, point))
    ours = _HASHES.sub("", done.text)
    assert "Traceback" not in ours and "a fault in" not in ours, done.text
    if done.code == _SIGNALS.get(fault.error) or (done.code in _CRASHES and fault.error in _NO_MEMORY):
        return done
    assert done.code in CODES, f"exit {done.code}\n{done.text}"
    if done.code:
        assert SENTENCES.search(done.err) or _before_us(done.text), f"exit {done.code}\n{done.text}"
    return done


def _before_us(text: str) -> bool:
    """Whether Python itself, or the loader, could not be started."""
    return "error while loading shared libraries" in text or "Fatal Python error" in text


def _before(fault: Fault, point: Point) -> list[str]:
    if not fault.calls:
        words = fault.error.format(clock=library()) if "{clock}" in fault.error else fault.error
        return ["/bin/sh", "-c", f'{words}; exec "$@"', "-"]
    what = "signal" if fault.error in (*_SIGNALS, "PIPE") else "error"
    on = "+" if fault.on else ""
    return [
        *_strace(point.name),
        "-o",
        "/dev/null",
        "-e",
        f"inject={point.name}:{what}={fault.error}:when={point.nth}{on}",
    ]


def _strace(calls: str) -> list[str]:
    return [str(STRACE), "-f", "-y", "-qq", "-s", "200", "-e", f"trace={calls}"]
