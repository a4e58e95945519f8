"""Ends a run at every moment, and looks at what is left. One harness for whatever command.

`record` runs a command once, under strace, and works out what is there at each moment of it: all that was done by then,
which is what `kill -9` leaves, and whatever else of it a disk may hold after a power cut (`tests/disk.py`). `check`
lays out each of these, puts AWS back to what it was at that moment, and lets the next run finish the job.

Where more is changed than files and keys (a keyring, a delivery), `watch` gives the calls of a run at which it may be
killed, and `kill_at` starts a real process that strace's fault injection kills there, before the call takes effect.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.disk import STRACE, Disk, Tree, calls, lay, strace, variants
from tests.laptop import Laptop
from tests.standin import Call as AwsCall
from tests.standin import StandIn
from tests.standin.world import LONG_AGO, Key

LATER = 20  # seconds that pass at AWS before the next run, so that it need not wait for a key that may still show
ROTATE = ("rotate", "--yes")
needs_strace = pytest.mark.skipif(STRACE is None, reason="NO STRACE HERE: kills and power cuts are NOT tested")

Prepare = Callable[[Laptop], None]
Words = Callable[[Laptop], tuple[str, ...]]


# What is left at each moment, worked out


class Flow(NamedTuple):
    """A run: what is there before it, its words, what is run afterwards, and what a home that is laid out lacks. `now`
    must be so at once, `end` when the next runs have ended. `code` is what it ends with if nobody stops it."""

    before: Prepare
    words: Words = lambda laptop: ROTATE
    again: Words = lambda laptop: ROTATE
    end: Prepare = lambda laptop: whole(laptop)
    relay: Prepare = lambda laptop: None
    now: Prepare = lambda laptop: _works(laptop)
    code: int = 0
    waits: bool = False  # the old key for programs of the keyring: `end` says when it goes


def whole(laptop: Laptop) -> None:
    """AWS has one key, that of the profiles; nothing is left behind, and nothing else has changed."""
    one_key(laptop)
    laptop.unchanged_but_for_the_pair()
    laptop.tidy()


def one_key(laptop: Laptop, *profiles: str) -> None:
    """AWS has one key, that of the profiles."""
    assert [key.key_id for key in laptop.aws.keys("alice")] == [laptop.works(*profiles).key_id]


def _works(laptop: Laptop) -> None:
    laptop.works()


class Moment(NamedTuple):
    """What may be left: after which call, the files, how many changes AWS has had, what commands were told by then."""

    where: str
    tree: Tree
    changes: int
    told: bytes


def told(laptop: Laptop) -> Path:
    """What the commands of [after_rotate] leave, on another disk."""
    return laptop.home.parent / "told"


CHANGING = ("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey")


class KeyStates:
    """What became of alice's keys with each change, so that AWS can be put back to any of these states."""

    def __init__(self, aws: StandIn) -> None:
        self._aws = aws
        self._states = [self._now()]
        for action in CHANGING:
            aws.on_call(self._note, "after", action)

    def _note(self, call: AwsCall) -> None:
        self._states.append(self._now())

    @property
    def _keys(self) -> list[Key]:
        world = self._aws._front.world
        return world._past_and_present(world.user("alice"))

    def _now(self) -> dict[str, str]:
        return {key.id: key.status for key in self._keys}

    def end(self) -> None:
        """The run is over; its keys are kept here."""
        self._every = list(self._keys)
        self._aws.all_well()

    def put_back(self, changes: int) -> None:
        """AWS as it was after so many changes."""
        state, world = self._states[changes], self._aws._front.world
        then = [key for key in self._every if key.id in state]
        self._keys[:] = then
        world._keys.clear()
        world._keys.update({key.id: key for key in then})
        world.sessions.clear()
        there = [key.moto for key in then if state[key.id]]
        world.user("alice").access_keys[:] = there
        world.iam.access_keys.clear()
        world.iam.access_keys.update({key.access_key_id: key for key in there})
        for key in then:
            key.changes = [(LONG_AGO, "Active"), (LONG_AGO, state[key.id])]
            key.moto.status = state[key.id]


# Written without haste: what is lost of these is made again.
_LIGHT = ("lock", "status.json", "reminder/", ".tmp")


def record(laptop: Laptop, flow: Flow) -> tuple[KeyStates, list[Moment]]:
    """Run it to its end; gives what each moment may leave, each but once."""
    flow.before(laptop)
    disk, states, log = Disk(laptop.home), KeyStates(laptop.aws), laptop.home.parent / "log"
    lines = told(laptop).read_bytes() if told(laptop).exists() else b""
    done = laptop.run(*flow.words(laptop), before=strace(log))
    assert done.code == flow.code, done.text
    states.end()
    moments: list[Moment] = []
    changes = 0
    for call in calls(log):
        changes += call.action in CHANGING
        if call.name == "write" and str(told(laptop)) in call.words:
            lines += b"".join(word for word in call.words if isinstance(word, bytes))
        if disk.do(call) or call.action in CHANGING:
            where = f"after {call.name} {call.words}"[:200]
            moments += [Moment(f"{where}: {name}", tree, changes, lines) for name, tree in variants(disk)]
    assert _lasting(disk.left()) == _lasting(disk.left(lambda each: True)), "it ended, and not all of it is durable"
    return states, list({_what_matters(moment): moment for moment in moments}.values())


def _what_matters(moment: Moment) -> str:
    """Half-written files are swept, whatever is in them."""
    return repr([moment[2:], *((name, what) for name, what in moment.tree.items() if not name.endswith(".tmp"))])


def _lasting(tree: Tree) -> dict[str, Any]:
    return {name: what for name, what in tree.items() if not any(word in name for word in _LIGHT)}


def check(laptop: Laptop, flow: Flow, states: KeyStates, moments: list[Moment]) -> None:
    """The next runs settle, whatever was left; all that fail are told, not only the first."""
    failures = []
    laptop.time_flies()  # once: each time adds to it
    for moment in moments:
        lay(laptop.home, moment.tree)
        flow.relay(laptop)
        told(laptop).write_bytes(moment.told[: moment.told.rfind(b"\n") + 1])
        states.put_back(moment.changes)
        laptop.aws.settings.clock_offset = 0
        try:
            _survives(laptop, flow)
        except AssertionError as error:
            failures.append(f"{moment.where}\n{error}")
    assert not failures, f"{len(failures)} of {len(moments)} moments:\n" + "\n\n".join(failures)


def _survives(laptop: Laptop, flow: Flow) -> None:
    """The profile works at once, and the next run settles; or the one after it, if it says that it is to be tried again
    later."""
    flow.now(laptop)
    laptop.calm(LATER)
    laptop.age_temporaries()
    done = laptop.run(*flow.again(laptop))
    said = f"exit {done.code}\n{done.text}"
    if done.code == 75:
        done = laptop.run(*flow.again(laptop))
        said += f"exit {done.code}\n{done.text}"
    assert done.code == 0, said
    assert flow.waits or not laptop.rotations.exists() or not list(laptop.rotations.iterdir()), said
    try:
        flow.end(laptop)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{said}") from None


# Killed for real

_FILES = "openat,mkdir,pwrite64,write,ftruncate,fsync,fdatasync,rename,renameat2,unlink,fchmod,fchown,fsetxattr,chmod"
_STRACE = (str(STRACE), "-f", "-y", "-qq", "-s", "400")
_LINE = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\((?P<args>.*)")
_CHANGES = re.compile(r"O_CREAT|O_RDWR|O_WRONLY|O_TRUNC")
# Where no thread can be started, all calls are made in the main one, and can be counted.
ONE_THREAD = ("-e", "inject=clone3:error=EAGAIN")


@dataclass(frozen=True)
class Point:
    """The `nth` call of this name in the main thread; `line` is how strace showed it."""

    name: str
    nth: int
    line: str

    def __str__(self) -> str:
        return f"before {self.name} {self.nth}: {self.line[:160]}"

    def nearby(self) -> list[Point]:
        """The same call under other numbers, the likeliest first: a few opens more or less depend on the threads."""
        if self.name != "openat":
            return [self, self, self]
        return [replace(self, nth=self.nth + drift) for drift in (0, 1, -1, 2, -2, 3, -3, 4, -4)]


Matters = Callable[[str, str, str], bool]  # a call's name and its arguments, and the home


def changes_or_sends(name: str, args: str, home: str) -> bool:
    """Whether a call changes a file in the home, says something, or sends something to AWS."""
    if name == "sendto":
        return "Action=" in args or "POST" in args
    if name == "write" and re.match(r"[12]<", args):
        return True
    if name == "openat" and not _CHANGES.search(args):
        return False
    return home in args


def watch(laptop: Laptop, *args: str, matters: Matters = changes_or_sends, strace: tuple[str, ...] = ()) -> list[Point]:
    """Run the program to its end under strace; gives the kill points from the first that touches the home."""
    log = laptop.home.parent / "watched"
    done = laptop.run(*args, before=[*_STRACE, "-e", f"trace={_FILES},sendto,clone3", "-o", str(log), *strace])
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
        if matters(found["name"], found["args"], str(laptop.home)):
            points.append(Point(found["name"], counts[found["name"]], line.partition(" ")[2].strip()))
    return points


def kill_at(
    laptop: Laptop, point: Point, *args: str, matters: Matters = changes_or_sends, strace: tuple[str, ...] = ()
) -> bool:
    """Run the program and kill it there; whether it was killed, and at such a call (the numbering may drift)."""
    log = laptop.home.parent / "killed"
    traced = ["-e", f"trace={point.name},clone3", "-o", str(log), *strace, *injected(point)]
    done = laptop.run(*args, before=[*_STRACE, *traced])
    if done.code == 0:
        return False
    assert done.code == -9, done.text
    lines = log.read_text(errors="replace").splitlines()
    last = [found for line in lines if (found := _LINE.match(line)) and found["name"] == point.name][-1]["args"]
    same = point.name != "openat" or _shape(last) == _shape(point.line.partition("(")[2])
    return same and matters(point.name, last, str(laptop.home))


def injected(point: Point) -> tuple[str, str]:
    """What makes strace kill it there."""
    return "-e", f"inject={point.name}:signal=KILL:when={point.nth}"


def _shape(args: str) -> str:
    """The first file that is named, without what differs from run to run."""
    path = re.search(r"/home/([^\">]*)", args)
    return re.sub(r"AK\w{18}|[0-9a-f]{16}", "", path[1]) if path else ""


def second_name(path: Path) -> Path:
    """A second name for a file: it cannot be replaced by rename any more, so it is written in place."""
    other = path.parent.parent.parent / "second-name"
    other.hardlink_to(path)
    return other
