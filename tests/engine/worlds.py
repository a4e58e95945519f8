"""Whole histories of one laptop, as data: what is run, where it is killed, what fails, what persons and backups do.

`draw` makes a world out of chance, `live` lives through it with the oracle watching, `smaller` finds the smallest world
that breaks the same promise. `python -m tests.engine.worlds 100000` tries so many, and prints what was tried and lost.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import Any

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials, Place, PlaceKind
from rotate_my_key.core.plan import Note
from rotate_my_key.core.policy import LIVE
from rotate_my_key.rotation.facts import Host
from rotate_my_key.rotation.ports import Ending
from rotate_my_key.rotation.run import Result
from tests.engine.computer import DEFAULT, WORK, Computer
from tests.engine.fakes import BOB, Aws
from tests.engine.oracle import Broken

PLACES = (DEFAULT, WORK, Place("/home/alice/.aws/config", "vault", PlaceKind.KEYRING))
POINTS = 70  # about as many as an ordinary run passes
WORDS = ("later", "lost", "lost before", "throttled", "denied", "full")
ACTIONS = ("ListAccessKeys", "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "GetAccessKeyLastUsed")
HOSTS = ("", "laptop", "tower")


@dataclass(frozen=True)
class Act:
    """Somebody or something else does `what`; `which` is the number of the place, the key (the newest is 0), ..."""

    what: str
    which: int = 0


@dataclass(frozen=True)
class Go:
    """A command is run: where it is killed, which of its calls fail, and what is done meanwhile, by the number of the
    point that it passes. `place` and `key` are numbers; `hours` are those for which the old key is
    kept: switched off, if `overlap` is not "on" for working, or "both"."""

    command: str = "rotate"
    place: int = 0
    key: int = 0
    force: bool = False
    hours: int = 0
    overlap: str = ""
    room: bool = False
    host: str = ""
    clock_off: int = 0
    kill_at: int | None = None
    faults: tuple[tuple[int, str], ...] = ()
    meet: tuple[tuple[int, Act], ...] = ()


@dataclass(frozen=True)
class Wait:
    """So many seconds pass."""

    seconds: int


Event = Act | Go | Wait


@dataclass(frozen=True)
class World:
    """A laptop, and what happens to it. `second` is about a second key of alice's: "", "off", "in use" or "here"."""

    events: tuple[Event, ...]
    places: int = 1
    in_place: bool = False
    list_lag: int = 0
    sign_in_lag: int = 0
    second: str = ""


# Chance


def draw(chance: random.Random) -> World:
    """Any world."""
    events = [_event(chance) for _ in range(chance.choice((1, 2, 2, 3, 3, 4, 5, 7)))]
    return World(
        tuple(events),
        places=chance.choice((1, 1, 2, 2, 3)),
        in_place=chance.random() < 0.15,
        list_lag=chance.choice((0, 0, 2, 8)),
        sign_in_lag=chance.choice((0, 0, 3, 10)),
        second=chance.choice(("", "", "", "", "", "off", "in use", "here")),
    )


def world_of(seed: int) -> World:
    """The world of that number, the same on every computer."""
    return draw(random.Random(seed))  # noqa: S311  nothing here is secret


def _event(chance: random.Random) -> Event:
    number = chance.random()
    if number < 0.55:
        return _go(chance)
    return _act(chance) if number < 0.85 else Wait(chance.choice((1, 5, 30, 600, 4000, 700_000)))


def _go(chance: random.Random) -> Go:
    point = lambda: chance.randrange(POINTS)  # noqa: E731
    return Go(
        chance.choice(tuple(name for name, (times, _) in COMMANDS.items() for _ in range(times))),
        place=chance.randrange(3),
        key=chance.randrange(3),
        force=chance.random() < 0.3,
        hours=chance.choice((0, 0, 1, 168)),
        overlap=chance.choice(("", "", "on", "both")),
        room=chance.random() < 0.3,
        host=chance.choice(("", "", "", *HOSTS)),
        clock_off=chance.choice((0, 0, 0, 0, 0, -40_000_000, -3600, 3600, 40_000_000)),
        kill_at=point() if chance.random() < 0.35 else None,
        faults=tuple((point(), chance.choice(WORDS)) for _ in range(chance.choice((0, 0, 0, 1, 1, 2)))),
        meet=tuple((point(), _act(chance)) for _ in range(chance.choice((0, 0, 0, 1, 1, 2)))),
    )


def _act(chance: random.Random) -> Act:
    return Act(chance.choice(tuple(ACTS)), chance.randrange(6))


# Living


@dataclass
class Counts:
    """What was tried."""

    worlds: int = 0
    tried: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)

    def add(self, other: Counts) -> None:
        """Both together."""
        self.worlds += other.worlds
        self.tried.update(other.tried)
        self.endings.update(other.endings)


class Life:
    """One world as it goes on."""

    def __init__(self, world: World, counts: Counts) -> None:
        self.places = PLACES[: world.places]
        self.computer = Computer(Aws(world.list_lag, world.sign_in_lag), self.places)
        self.aws, self.home = self.computer.aws, self.computer.home
        self.home.in_place = {DEFAULT.path} if world.in_place else set()
        self.bob = self.aws.add("somebody else", timedelta(days=10), owner=BOB)
        self.backup = self._state()
        self.counts = counts
        if world.second:
            status = "Inactive" if world.second == "off" else "Active"
            pair = self.aws.add("somebody else", timedelta(days=40), status)
            if world.second == "here":
                self.computer.puts(self.places[-1], pair)
        self.computer.oracle.rebase()

    def live(self, event: Event) -> None:
        """One event."""
        match event:
            case Wait():
                self.aws.pause(event.seconds)
            case Act():
                self.act(event)
            case Go():
                self.go(event)

    def act(self, act: Act) -> None:
        """Somebody else does something."""
        self.counts.tried["acts"] += 1
        ACTS[act.what](self, act.which)
        self.computer.oracle.rebase()

    def go(self, go: Go) -> list[Result] | None:
        """A command, and what is promised of its end."""
        computer = self.computer
        computer.room, computer.clock_off = go.room, float(go.clock_off)
        computer.here = replace(computer.here, host=Host(go.host))
        computer.place = self.places[go.place % len(self.places)]
        meet: dict[int, Callable[[], None]] = {point: lambda act=act: self.act(act) for point, act in go.meet}  # type: ignore[misc]
        before = {place: held for place, held in self.home.places.items() if computer.oracle.works(held)}
        acts = self.counts.tried["acts"]
        results = COMMANDS[go.command][1](self, go, (go.kill_at, dict(go.faults), meet))
        self.counts.tried["runs"] += 1
        self.counts.tried["points"] += computer.points.count
        self.counts.tried["kills"] += results is None
        self.counts.tried["faults"] += len(computer.points.met)
        for result in results or []:
            self._check(result, before, untouched=self.counts.tried["acts"] == acts)
            fresh = result.outcome is not None and result.outcome.ending is Ending.FRESH
            if go.force and fresh and self.counts.tried["acts"] == acts:
                raise Broken("not forced", result.key_id)
        return results

    def _check(self, result: Result, before: dict[Place, Any], *, untouched: bool) -> None:
        """Every run ends with an outcome or a problem; "rotated" means that the places which held the key work."""
        problem, outcome = result.problem, result.outcome
        self.counts.endings[outcome.ending.value if outcome else type(problem).__name__] += 1
        if problem and not problem.message:
            raise Broken("no words", repr(problem))
        if outcome is None or outcome.ending not in (Ending.ROTATED, Ending.MERGED, Ending.REPLACED) or not untouched:
            return
        for place, held in before.items():
            if held.key_id == outcome.old:
                now = self.home.places[place]
                if isinstance(now, Credentials) and self.computer.oracle.was_changed(now.key_id):
                    continue
                if not self.computer.oracle.works(now) or (now == held and outcome.ending is not Ending.REPLACED):
                    raise Broken("not rotated", f"{place.profile} holds {now} after {outcome.ending}")

    # The end

    def heal(self) -> None:
        """All disturbance ends; then plain runs, and the commands that they name, get everything to work."""
        for place in self.places:
            self.computer.mounts(place.path)
        self.aws.denies.clear()
        for _ in range(3):  # an overlap counts from the switch, and what is kept from its end
            self.aws.pause(86_400 * 20)
            self._settle(Go())
        held = self.home.places.get(self.places[0])
        mine = isinstance(held, Credentials) and self.aws.keys[held.key_id].owner != BOB
        if not mine or not self.computer.oracle.works(held):
            self._new_key()
            self._settle(Go())
        results = self._settle(Go(force=True))
        endings = {result.outcome.ending for result in results if result.outcome}
        if not endings & {Ending.ROTATED, Ending.MERGED, Ending.WAITING}:
            raise Broken("blocked", f"not rotated: {results}")
        self.aws.pause(LIVE.total_seconds())
        self._settle(Go())
        if left := self._left():
            raise Broken("left", f"{left} after {results}")

    def _settle(self, go: Go) -> list[Result]:
        """Runs, each followed by the commands that its hints name, until nothing is left to do; what the last gave."""
        results: list[Result] = []
        for _ in range(5):
            self.aws.pause(700)
            for name, note in self.home.notes.items():  # what was said once is said again to who asks
                self.home.notes[name] = replace(note, told=False) if isinstance(note, Note) else note
            results = self.go(go) or []
            problems = [result.problem for result in results if result.problem]
            if not problems:
                break
            for problem in problems:
                for each in _hinted(problem.hint, self.aws):
                    self.go(each)
        return results

    def _left(self) -> list[object]:
        """Notes and stored pairs of alice's."""
        notes = [note for note in self.home.notes.values() if not (isinstance(note, Note) and note.identity == BOB)]
        bobs = {note.name for note in self.home.notes.values() if isinstance(note, Note) and note.identity == BOB}
        return [*notes, *(name for name, _ in self.home.records if name not in bobs)]

    def _new_key(self) -> None:
        """A person makes a key in the console, where they delete one that works nowhere here, and puts it in."""
        there = self.aws.there()
        held = {pair.key_id for pair in self.home.places.values() if isinstance(pair, Credentials)}
        if len(there) > 1:
            self.computer.changes(next((key_id for key_id in there if key_id not in held), next(iter(there))), None)
        self.computer.puts(self.places[0], self.computer.makes_a_key())

    def _state(self) -> tuple[dict[Any, Any], dict[Any, Any], list[Any]]:
        return dict(self.home.records), dict(self.home.notes), list(self.home.past)

    # Persons, disks, backups

    def key(self, which: int) -> str:
        """One of alice's keys, the newest first."""
        there = list(reversed(self.aws.there()))
        return there[which % len(there)] if there else ""

    def spot(self, which: int) -> Place:
        """One of the places."""
        return self.places[which % len(self.places)]

    def bring_back(self, *, history: bool) -> None:
        """The state folder of an earlier day comes back; what is noted in it as sent may have been answered since."""
        records, notes, past = self.backup
        self.home.records.clear()
        self.home.records.update(records)
        self.home.notes.clear()
        self.home.notes.update(notes)
        if history:
            self.home.past[:] = past
        self.aws.answered.clear()

    def back_up(self) -> None:
        """A backup is made."""
        self.backup = self._state()

    def lose(self, *stores: str) -> None:
        """Parts of the state folder are gone."""
        for store in stores:
            getattr(self.home, store).clear()

    def spoil(self) -> None:
        """No note can be read."""
        for name in self.home.notes:
            self.home.notes[name] = b"\0"

    def tear(self) -> None:
        """A record of a pair cannot be read."""
        for name in self.home.records:
            self.home.records[name] = None
            return

    def put_any(self, which: int) -> None:
        """The newest key that works, and whose secret is anywhere, is put into a place."""
        stored = [record[0] for record in self.home.records.values() if record]
        known = [*stored, *self.home.places.values()]
        keys = [key for key in self.aws.keys.values() if key.owner != BOB and self.computer.oracle.works(key.pair)]
        keys = [key for key in keys if key.maker != "us" or key.pair in known]
        if keys:
            self.computer.puts(self.spot(which), keys[-1].pair)

    def make(self, which: int, *, here: bool) -> None:
        """A key is made in the console."""
        pair = self.computer.makes_a_key(used=which % 2 == 0)
        if pair and here:
            self.computer.puts(self.spot(which), pair)


ACTS: dict[str, Callable[[Life, int], None]] = {
    "switches a key off": lambda life, n: life.computer.changes(life.key(n), "Inactive"),
    "switches a key on": lambda life, n: life.computer.changes(life.key(n), "Active"),
    "deletes a key": lambda life, n: life.computer.changes(life.key(n), None),
    "makes a key": lambda life, n: life.make(n, here=False),
    "makes a key and puts it in": lambda life, n: life.make(n, here=True),
    "unmounts": lambda life, n: life.computer.unmounts(life.spot(n).path),
    "mounts": lambda life, n: life.computer.mounts(life.spot(n).path),
    "empties": lambda life, n: life.computer.puts(life.spot(n), None),
    "empties all": lambda life, n: [life.computer.puts(place, None) for place in life.places] and None,
    "puts bob's key in": lambda life, n: life.computer.puts(life.spot(n), life.bob),
    "puts the first key in": lambda life, n: life.computer.puts(life.spot(n), life.computer.old),
    "puts a working key in": lambda life, n: life.put_any(n),
    "backs the state up": lambda life, n: life.back_up(),
    "brings the state back": lambda life, n: life.bring_back(history=True),
    "brings the notes back": lambda life, n: life.bring_back(history=False),
    "loses the state": lambda life, n: life.lose("notes", "records", "past"),
    "loses the notes": lambda life, n: life.lose("notes"),
    "loses the pairs": lambda life, n: life.lose("records"),
    "loses the history": lambda life, n: life.lose("past"),
    "spoils the notes": lambda life, n: life.spoil(),
    "tears a record": lambda life, n: life.tear(),
    "denies": lambda life, n: life.aws.denies.add(f"iam:{ACTIONS[n % len(ACTIONS)]}"),
    "allows": lambda life, n: life.aws.denies.clear(),
}

How = tuple[int | None, dict[int, str], dict[int, Callable[[], None]]]


def _rotate(life: Life, go: Go, how: How) -> list[Result] | None:
    keep, zero = timedelta(hours=go.hours), timedelta(0)
    on, off = (keep, keep) if go.overlap == "both" else (keep, zero) if go.overlap else (zero, keep)
    return life.computer.run(*how, force=go.force, overlap=on, keep_old=off)


def _adopt(life: Life, go: Go, how: How) -> list[Result] | None:
    pair = life.computer.makes_a_key()
    if pair is None:
        return []
    life.aws.keys[pair.key_id].maker = "alice"
    return life.computer.adopt(pair, *how)


# How often each is drawn, and what it does.
COMMANDS: dict[str, tuple[int, Callable[[Life, Go, How], list[Result] | None]]] = {
    "rotate": (6, _rotate),
    "undo": (2, lambda life, go, how: life.computer.undo(*how)),
    "restore": (1, lambda life, go, how: life.computer.restore(*how)),
    "delete-key": (1, lambda life, go, how: life.computer.delete_key(life.key(go.key), *how)),
    "adopt": (1, _adopt),
}


def _hinted(hint: str, aws: Aws) -> Iterator[Go]:
    """The commands that a hint names. A key that another computer might have is on none here."""
    if found := re.search(r"delete-key (\w+)", hint):
        there = list(reversed(aws.there()))
        goes = {found[1]} ^ (set(there) if "here: rotate-my-key import" in hint else set())
        for key_id in goes & set(there):
            yield Go("delete-key", key=there.index(key_id))
            yield Go("delete-key", key=there.index(key_id))
    if found := re.search(r"rotate-my-key (undo|restore)(?: -p (\S+))?", hint):
        profiles = [place.profile for place in PLACES]
        yield Go(found[1], place=profiles.index(found[2]) if found[2] else 0)


def live(world: World, counts: Counts | None = None) -> None:
    """Live through a world. Raises Broken for a promise that was not kept."""
    counts = counts or Counts()
    counts.worlds += 1
    life = Life(world, counts)
    try:
        for event in world.events:
            life.live(event)
        life.heal()
    except (Broken, Problem):
        raise
    except Exception as error:
        raise Broken(f"a fault, {type(error).__name__}", str(error)) from error


# Shrinking


def smaller(world: World, rule: str) -> World:
    """The smallest world found that breaks the same promise."""
    while found := next((each for each in _simpler(world) if broken(each) == rule), None):
        world = found
    return world


def broken(world: World) -> str:
    """Which promise it breaks, or ""."""
    try:
        live(world)
    except Broken as problem:
        return problem.rule
    return ""


def _simpler(world: World) -> Iterator[World]:
    """Worlds that are a little simpler than this one."""
    yield from (replace(world, events=world.events[:n] + world.events[n + 1 :]) for n in range(len(world.events)))
    yield from _defaults(world, World(()), ("places", "in_place", "list_lag", "sign_in_lag", "second"))
    for number, event in enumerate(world.events):
        for each in _simpler_event(event):
            yield replace(world, events=(*world.events[:number], each, *world.events[number + 1 :]))


def _simpler_event(event: Event) -> Iterator[Event]:
    match event:
        case Act(which=which) if which:
            yield Act(event.what, which - 1)
        case Go():
            yield from _defaults(event, Go(), [each.name for each in fields(Go)])
            for name in ("faults", "meet"):
                many = getattr(event, name)
                yield from (replace(event, **{name: many[:n] + many[n + 1 :]}) for n in range(len(many)))
        case _:
            return


def _defaults(value: Any, plain: Any, names: Sequence[str]) -> Iterator[Any]:
    for name in names:
        if getattr(value, name) != getattr(plain, name):
            yield replace(value, **{name: getattr(plain, name)})


# Many


@dataclass
class Found:
    """What a row of seeds came to: the promises that were broken, each with its seed."""

    counts: Counts = field(default_factory=Counts)
    broken: list[tuple[int, str, str]] = field(default_factory=list)


def tried(seeds: range, most: int = 1) -> Found:
    """Live through the worlds of these seeds, until so many are broken."""
    found = Found()
    for seed in seeds:
        try:
            live(world_of(seed), found.counts)
        except Broken as problem:
            found.broken.append((seed, problem.rule, str(problem)))
            if len(found.broken) >= most:
                break
    return found


def told(seed: int, rule: str, text: str) -> str:
    """A broken promise, with the smallest world that breaks it too."""
    return f"seed {seed}: {text}\n  {smaller(world_of(seed), rule)}"


def main() -> int:
    """Try worlds on every core, and say what was tried, and what was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.worlds", description=__doc__)
    parser.add_argument("worlds", type=int, nargs="?", default=10_000)
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--most", type=int, default=5, help="broken worlds to be told, each made small")
    asked = parser.parse_args()
    last = asked.first + asked.worlds
    rows = [range(first, min(first + 500, last)) for first in range(asked.first, last, 500)]
    counts, lost = Counts(), list[tuple[int, str, str]]()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(tried, rows, [10_000] * len(rows)):
            counts.add(found.counts)
            lost += found.broken
    for name, number in {"worlds": counts.worlds, **counts.tried, **counts.endings, "lost": len(lost)}.items():
        print(f"{number:>12,} {name}")
    rules = Counter(rule for _, rule, _ in lost)
    for rule, number in rules.most_common():
        print(f"{number:>12,} {rule}")
        for each in [each for each in lost if each[1] == rule][: asked.most]:
            print(told(*each))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
