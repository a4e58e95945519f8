"""A computer on which the commands run: its disk in memory, a process for each run, and the promises, looked after at
every point by `oracle.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials, LastUse, Place
from rotate_my_key.core.plan import Note
from rotate_my_key.core.policy import Policy
from rotate_my_key.rotation.engine import Waiter
from rotate_my_key.rotation.facts import LocalState
from rotate_my_key.rotation.incoming import Incoming, Origin, Way, plan_incoming, put
from rotate_my_key.rotation.prepare import RotateOptions, RotationPlan, first_look
from rotate_my_key.rotation.run import Job, Result, Run
from rotate_my_key.rotation.survey import plan_retirement, retire
from rotate_my_key.rotation.unfinished import plan_restoration, restorable, restore, resume, undoable, unfinished
from tests.engine.fakes import (
    Aws,
    FakeAccount,
    FakeHistory,
    FakeNotes,
    FakePlaces,
    FakeProgress,
    FakeStaging,
    Home,
    Killed,
    Mix,
    Points,
)
from tests.engine.oracle import Oracle

DEFAULT = Place("/home/alice/.aws/credentials", "default")
WORK = Place("/home/alice/.aws/config", "work")
POLICY = Policy()


class Yes:
    """`--yes`: nothing is asked. `room`: `replace_inactive` is set."""

    attended = False
    asks = False

    def __init__(self, *, room: bool = False) -> None:
        self._room = room

    def agree(self, plans: Sequence[RotationPlan]) -> timedelta:
        """Not asked."""
        raise AssertionError

    def introduce(self, plan: RotationPlan) -> None:
        """Nobody listens."""

    def give_up(self, plan: RotationPlan) -> bool:
        """By the setting."""
        return self._room


def point(name: str, nth: int = 0, computer: Computer | None = None) -> int:
    """The number of the nth point of that name in an undisturbed run of such a computer."""
    twin = computer or Computer()
    twin.run()
    return [number for number, each in enumerate(twin.points.names) if each == name][nth]


class Computer:
    """Alice's computer, whose profiles hold a key of 98 days."""

    def __init__(self, aws: Aws | None = None, places: Sequence[Place] = (DEFAULT, WORK)) -> None:
        self.aws = aws or Aws()
        self.old = self.aws.add("alice", timedelta(days=98))
        self.home = Home(dict.fromkeys(places, self.old))
        self.oracle = Oracle(self.aws, self.home)
        self.points = Points(self.oracle.look)
        self.progress = FakeProgress()
        self.account = FakeAccount(self.aws, self.points)
        self.here = LocalState(
            FakePlaces(self.home, self.points),
            FakeStaging(self.home, self.points),
            FakeNotes(self.home, self.points),
            FakeHistory(self.home, self.points),
        )
        self.room = False
        self.clock_off = 0.0
        self.place = places[0]
        self.oracle.begin()

    # The commands, a process each

    def run(
        self,
        *how: Any,
        force: bool = False,
        overlap: timedelta = timedelta(0),
        keep_old: timedelta = timedelta(0),
        **more: Any,
    ) -> list[Result] | None:
        """`rotate --yes`; None if it was killed."""
        options = RotateOptions(POLICY, force, overlap, overlap * 3, keep_old)
        return self._process(lambda: self._rotate(options), *how, **more)

    def undo(self, *how: Any, **more: Any) -> list[Result] | None:
        """`undo --yes`."""
        return self._process(self._undo, *how, **more)

    def restore(self, *how: Any, **more: Any) -> list[Result] | None:
        """`restore -p PROFILE --yes`."""
        return self._process(self._restore, *how, **more)

    def delete_key(self, key_id: str, *how: Any, **more: Any) -> list[Result] | None:
        """`delete-key KEY_ID`, signed by the profile."""
        self.oracle.consents = {(key_id, "Active"), (key_id, "Inactive")}
        try:
            return self._process(lambda: self._delete_key(key_id), *how, **more)
        finally:
            self.oracle.consents = set()

    def adopt(self, pair: Credentials, *how: Any, **more: Any) -> list[Result] | None:
        """`adopt --yes`: the pair goes into the profile, and is rotated at once."""
        return self._process(lambda: self._adopt(pair), *how, **more)

    def _process(
        self,
        command: Callable[[], list[Result]],
        kill_at: int | None = None,
        faults: Mapping[int, str] | None = None,
        meet: Mapping[int, Callable[[], None]] | None = None,
    ) -> list[Result] | None:
        """Where it is killed, which of its calls fail, what others do meanwhile: by the number of the point."""
        self.points.start(kill_at, faults, meet)
        self.progress = FakeProgress()
        self.account = FakeAccount(self.aws, self.points, self.account.identity, self.clock_off)
        self.oracle.begin()
        answered = tuple(self.aws.answered)
        try:
            return command()
        except Problem as problem:
            return [Result((), "", problem=problem)]
        except Killed:
            self.aws.answered[:] = answered  # nobody has noted the answers since
            return None
        finally:
            if "full" in self.points.met:
                self.aws.answered[:] = answered
            self.oracle.look()

    def _rotate(self, options: RotateOptions) -> list[Result]:
        noted = {note.may_delete for note in self.home.notes.values() if isinstance(note, Note)}
        given_up = [key_id for key_id in self.aws.keys if self.room or key_id in noted]
        self.oracle.consents = {(key_id, "Inactive") for key_id in given_up}
        run = Run(
            self.here,
            options,
            Yes(room=self.room),
            nullcontext,
            lambda note: self.account,
            lambda note: self.progress,
            Waiter(self.aws.pause, lambda: None),
        )
        return run.rotate([Job((self.place.profile,), self.find, lambda: self.account, self.progress)])

    def _undo(self) -> list[Result]:
        found = undoable(unfinished(self.here, mend=False), None, self.here)
        note = next((each.note for each in unfinished(self.here, mend=True) if each.name == found.name), None)
        if note is None:
            raise Problem("another run has finished that rotation just now", "rotate-my-key history")
        waiter = Waiter(self.aws.pause, lambda: None)
        outcome = resume(note, self.account, self.here, self.progress, POLICY, waiter, undo=True)
        return [Result((), note.name, outcome)]

    def _restore(self) -> list[Result]:
        restorable(unfinished(self.here, mend=False), self.place.profile, self.here)
        note = restorable(unfinished(self.here, mend=True), self.place.profile, self.here)
        plan = plan_restoration(note, self.account, self.here)
        if not plan.places and plan.left:
            raise Problem("there is no profile to put the key back into", "rotate-my-key status")
        if plan.places:
            restore(plan, self.account, self.here)
        return []

    def _delete_key(self, key_id: str) -> list[Result]:
        look = self.account.look([self.find()])
        retire(plan_retirement(key_id, look, self.account, self.here), self.account, self.here)
        return [Result((), key_id)]

    def _adopt(self, pair: Credentials) -> list[Result]:
        if self.place.path in self.home.away:
            raise Problem("the folder of the file is not there", "rotate-my-key doctor")
        look = first_look(pair, self.account, self.here, self.aws.pause)
        held = {place: pair for place, pair in self.home.places.items() if isinstance(pair, Credentials)}
        mine = [(place, held[place]) for place in [self.place] if place in held]
        key = Incoming(Origin.CONSOLE, pair, look.identity, self.place.profile)
        plan = plan_incoming(key, mine, [], self.account)
        if plan.way is Way.ADD:
            self.home.places[self.place] = pair
            self.oracle.rebase()
        else:
            put(plan, "", self.here, lambda text: None)
        return self._rotate(RotateOptions(POLICY, forced=True))

    def find(self) -> Credentials:
        """The pair that the profile holds."""
        held = self.home.places.get(self.place)
        if isinstance(held, Mix):
            return held.read
        if held is None:
            raise Problem("the profile holds no pair", "rotate-my-key status")
        return held

    def settled(self) -> None:
        """One key, active, in every place, and nothing left behind."""
        (key_id,) = self.aws.there()
        assert self.aws.there() == {key_id: "Active"}
        assert set(self.home.places.values()) == {self.aws.keys[key_id].pair}
        assert key_id != self.old.key_id
        assert self.home.notes == {}
        assert self.home.records == {}

    # What somebody else does

    def makes_a_key(self, *, used: bool = False) -> Credentials | None:
        """Somebody else makes a key, if there is room; its secret does not come here."""
        if len(self.aws.there()) >= 2:
            return None
        pair = self.aws.add("somebody else")
        self.aws.keys[pair.key_id].use = LastUse(self.aws.now(), "s3", "eu-west-1") if used else None
        self.oracle.rebase()
        return pair

    def changes(self, key_id: str, status: str | None) -> None:
        """Somebody else switches a key off or on, or deletes it."""
        if key_id in self.aws.keys and self.aws.keys[key_id].status(self.aws.seconds):
            self.aws.change(key_id, status)
            self.oracle.person_changed(key_id)
            self.oracle.rebase()

    def puts(self, place: Place, pair: Credentials | None) -> None:
        """An editor or a dotfile sync changes what a place holds; a key that is put there is this computer's."""
        if place.path in self.home.away:
            return
        self.home.places[place] = pair
        if pair and pair.key_id in self.aws.keys:
            self.aws.keys[pair.key_id].maker = "alice"
        self.oracle.rebase()

    def unmounts(self, path: str) -> None:
        """The disk that a file is on goes away."""
        home = self.home
        if path not in home.away and not any(place.path == path for place in home.unmounted):
            home.away.add(path)
            home.unmounted |= {place: home.places.pop(place) for place in list(home.places) if place.path == path}
            self.oracle.rebase()

    def mounts(self, path: str) -> None:
        """It comes back, with what it held; it hides what was written in its place."""
        home = self.home
        for place in [place for place in home.unmounted if place.path == path]:
            home.places[place] = home.unmounted.pop(place)
        home.away.discard(path)
        self.oracle.rebase()
