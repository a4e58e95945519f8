"""Looks after the promises from outside: it compares the world at each point with the point before, and judges what the
program has changed. It knows AWS's truth, every copy of every secret, and what the process has read; not the plan.

What persons do is not judged: after each of their acts the world is taken as it is (`rebase`). What they do in the
instant between a look of the program and its next act, nobody can know: that is allowed for, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rotate_my_key.cli.credentials import SPARE
from rotate_my_key.core.model import Credentials, Place, PlaceKind
from rotate_my_key.core.plan import Note
from rotate_my_key.core.policy import LIVE, LIVE_SOON
from tests.engine.fakes import Aws, Home, Key, Mix

MOST_POINTS, MOST_SECONDS = 1500, 7200  # of one run
Held = Credentials | Mix | None


class Broken(AssertionError):
    """A promise is broken: `rule` is which, in a word or two."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule


@dataclass(frozen=True)
class Facts:
    """The world at one point: each key's status in truth, the pairs that are stored, and what each place holds, whether
    its disk is mounted or not."""

    status: dict[str, str]
    stored: frozenset[Credentials]
    held: dict[Place, Held]

    def copies(self) -> set[Credentials]:
        """Every pair whose secret is somewhere."""
        return {pair for pair in self.held.values() if isinstance(pair, Credentials)} | self.stored

    def has(self, pair: Credentials) -> bool:
        """Whether the secret of this pair is anywhere."""
        return pair in self.stored or pair in self.held.values()


@dataclass
class Oracle:
    """The judge of one computer. `consents` are the ids that a person has given up, by a command or a setting, with the
    status that the key may have before."""

    aws: Aws
    home: Home
    consents: set[tuple[str, str]] = field(default_factory=set)
    _was: Facts | None = None
    _mark: object = None
    _like_ours: set[str] = field(default_factory=set)
    _given: dict[str, float] = field(default_factory=dict)
    _changed: dict[str, float] = field(default_factory=dict)
    _points: int = 0
    _began: float = 0.0

    def begin(self) -> None:
        """A new process, which has read nothing and signed in with nothing."""
        self._points, self._began = 0, self.aws.seconds
        self.aws.proved.clear()
        self.home.seen, self.home.stored = {}, set()
        self.rebase()

    def person_changed(self, key_id: str) -> None:
        """A person has switched this key on or off, or deleted it."""
        self._changed[key_id] = self.aws.seconds

    def rebase(self) -> None:
        """Take the world as it is: what has changed in it was no doing of the program."""
        self._mark = self._marked()
        self._was = self._facts()
        kept = [held for place, held in self.home.places.items() if place.kind is PlaceKind.KEYRING]
        ids = [held.key_id for held in kept if isinstance(held, Credentials)]
        self._given = {key_id: until for key_id, until in self._given.items() if key_id in ids}

    def look(self) -> None:
        """Judge what has changed since the last look, and whether the process comes to an end."""
        self._points += 1
        if self._points > MOST_POINTS or self.aws.seconds > self._began + MOST_SECONDS:
            raise Broken("no end", f"{self._points} points, {self.aws.seconds - self._began} seconds")
        self._give()
        mark = self._marked()
        if mark == self._mark:
            return
        was, now = self._was, self._facts()
        assert was is not None
        self._was, self._mark = now, mark
        for key_id, status in was.status.items():
            if now.status.get(key_id) != status and now.status.get(key_id) != "Active":
                self._retired(self.aws.keys[key_id], status, was, now)
        for pair in was.stored - now.stored:
            self._forgotten(pair, now)
        for place, held in was.held.items():
            if now.held.get(place) != held:
                self._written(place, held, now.held.get(place), now)
        self._check_secrets(was, now)

    def _give(self) -> None:
        """A program asks `credentials` at each point, and has what the keyring holds until that expires."""
        for place, held in self.home.places.items():
            if place.kind is PlaceKind.KEYRING and isinstance(held, Credentials):
                named = any(held.key_id in (note.wanted, note.unwanted) for note in self._notes())
                until = self.aws.seconds + (LIVE_SOON if named else LIVE).total_seconds() - SPARE
                self._given[held.key_id] = max(until, self._given.get(held.key_id, until))

    def works(self, held: Held) -> bool:
        """Whether this is a pair that AWS accepts, but for its lags, and refuses no more now and then."""
        key = self.aws.keys.get(held.key_id) if isinstance(held, Credentials) else None
        return key is not None and key.pair == held and key.states[-1][1] == "Active" and "n" not in key.flaps

    # What the program did

    def _retired(self, key: Key, before: str, was: Facts, now: Facts) -> None:
        """It has switched a key off, or deleted it."""
        name = f"{key.pair.key_id} ({before} -> {now.status.get(key.pair.key_id, 'deleted')})"
        seen = set(self.home.seen.values())
        if key.pair in seen:
            raise Broken("in a place", f"a place here holds {name}")
        if self._given_up(key.pair.key_id, before):
            return
        live = any(note.live and note.unwanted == key.pair.key_id for note in self._notes())
        if live and self._given.get(key.pair.key_id, 0.0) > self.aws.seconds:
            raise Broken("in a program", f"a program that is running has {name}")
        if any(held == key.pair and place in self._noted() for place, held in self.home.unmounted.items()):
            raise Broken("away", f"a place of the rotation whose disk is away holds {name}")
        if not self._is_ours(key):
            raise Broken("not ours", name)
        if was.has(key.pair) and not any(self._is_sure(pair, now) for pair in seen - {key.pair}):
            raise Broken("no other", f"{name}, and no place was seen that holds the other")

    def _notes(self) -> list[Note]:
        return [note for note in self.home.notes.values() if isinstance(note, Note)]

    def _noted(self) -> set[Place]:
        """The places of all notes whose file is away now."""
        return {place for note in self._notes() for place in note.places if place.path in self.home.away}

    def was_changed(self, key_id: str) -> bool:
        """Whether a person has changed the key so late that AWS's answers to this process may not have shown it."""
        return self._changed.get(key_id, -1.0) >= self._began - max(self.aws.list_lag, self.aws.sign_in_lag)

    def _given_up(self, key_id: str, before: str) -> bool:
        if (key_id, "Inactive") in self.consents and self._changed.get(key_id, -1.0) >= self._began - self.aws.list_lag:
            return True  # it was switched on since the list was made
        return (key_id, before) in self.consents

    def _is_sure(self, pair: Credentials, now: Facts) -> bool:
        """Whether the process has signed in with this pair, and it works but for what persons did since."""
        since = self.aws.proved.get(pair.key_id)
        if since is None:
            return False
        return now.status.get(pair.key_id) == "Active" or self._raced(pair.key_id, since)

    def _raced(self, key_id: str, since: float) -> bool:
        return self._changed.get(key_id, float("-inf")) >= since - self.aws.sign_in_lag

    def _is_ours(self, key: Key) -> bool:
        """Nobody can tell an unused key of somebody else's from ours, if it was made while our lost answer was due."""
        key_id = key.pair.key_id
        if key.maker != "somebody else" or key_id in self._like_ours:
            return True
        notes = self._notes()
        sent = {note.sent for note in notes} | {sent for note in notes for sent in note.lost}
        lost = sent - {None, *self.aws.answered}
        if key.use is None and any(-3 <= (key.created - s).total_seconds() <= 21 for s in lost if s):
            self._like_ours.add(key_id)
        return key_id in self._like_ours

    def _forgotten(self, pair: Credentials, now: Facts) -> None:
        """It has removed the last stored copy of a pair. What no list shows after 15 s is gone: see `plan.SETTLE`."""
        at = self.aws.seconds - self.aws.list_lag
        if self.aws.list_lag > 15 and self.aws.keys[pair.key_id].status(at) is None:
            return
        if pair.key_id in now.status and pair not in self.home.seen.values():
            status = now.status[pair.key_id]
            raise Broken("forgotten", f"{pair.key_id} is {status}, and no place was seen that holds it")

    def _written(self, place: Place, before: Held, after: Held, now: Facts) -> None:
        """It has changed what a place holds."""
        if isinstance(after, Mix) and place.path in self.home.in_place:
            return
        if not isinstance(after, Credentials) or after.key_id not in self.aws.keys:
            raise Broken("written", f"{place.profile} holds nothing any more")
        if not self.works(after) and not self._raced(after.key_id, self.aws.proved.get(after.key_id, float("inf"))):
            raise Broken("written", f"{place.profile} was given {after.key_id}, which does not work")
        if before and self.aws.keys[after.key_id].owner != self._owner(before):
            raise Broken("written", f"{place.profile} held another user's key")

    def _owner(self, held: Credentials | Mix) -> object:
        return self.aws.keys[held.new.key_id if isinstance(held, Mix) else held.key_id].owner

    def _check_secrets(self, was: Facts, now: Facts) -> None:
        """No secret of an Active key is nowhere, and somebody holds a working key, if that was so before."""
        lost = [pair for pair in was.copies() - now.copies() if now.status.get(pair.key_id) == "Active"]
        for pair in lost:
            if pair not in self.home.stored | set(self.home.seen.values()) and self.aws.keys[pair.key_id].pair == pair:
                raise Broken("lost", f"{pair.key_id} is Active, and its secret is nowhere")
        given_up = any(before == "Active" for _, before in self.consents)
        if given_up or any(map(self.works, now.copies())) or not any(map(self._worked_in(was), was.copies())):
            return
        seen = any(map(self.works, self.home.seen.values()))  # a place that was emptied in the same instant
        if not seen and not any(self._raced(key_id, since) for key_id, since in self.aws.proved.items()):
            raise Broken("locked out", f"nobody holds a working key any more: {now.status}")

    def _worked_in(self, was: Facts) -> Callable[[Credentials], bool]:
        return lambda pair: was.status.get(pair.key_id) == "Active" and self.aws.keys[pair.key_id].pair == pair

    # The world

    def _marked(self) -> object:
        home, keys = self.home, self.aws.keys.values()
        return (
            [key.states[-1][1] for key in keys],
            list(home.records.values()),
            list(home.places.values()),
            list(home.unmounted.values()),
        )

    def _facts(self) -> Facts:
        away = {replace(p, profile=f"{p.profile} (away)"): held for p, held in self.home.unmounted.items()}
        return Facts(
            {key_id: status for key_id, key in self.aws.keys.items() if (status := key.states[-1][1])},
            frozenset(record[0] for record in self.home.records.values() if record),
            {**self.home.places, **away},
        )
