"""A computer on which `rotate` runs: its disk in memory, a process for each run, and the promises, looked after at
every point."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta

from rotate_my_key.errors import Problem
from rotate_my_key.model import Credentials, LastUse, Place
from rotate_my_key.plan import Note
from rotate_my_key.policy import Policy
from rotate_my_key.rotation.engine import Clockwork
from rotate_my_key.rotation.facts import Here
from rotate_my_key.rotation.outcome import Outcome
from rotate_my_key.rotation.prepare import Prospect
from rotate_my_key.rotation.run import Job, Result, Run, Wishes
from rotate_my_key.rotation.undo import turn, undoable
from rotate_my_key.rotation.unfinished import resume, unfinished
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

DEFAULT = Place("/home/alice/.aws/credentials", "default")
WORK = Place("/home/alice/.aws/config", "work")
POLICY = Policy()


class Yes:
    """`--yes`: nothing is asked. `room`: `replace_inactive` is set."""

    attended = False
    asks = False

    def __init__(self, *, room: bool = False) -> None:
        self._room = room

    def agree(self, prospects: Sequence[Prospect]) -> bool:
        """Not asked."""
        raise AssertionError

    def introduce(self, prospect: Prospect) -> None:
        """Nobody listens."""

    def give_up(self, prospect: Prospect) -> bool:
        """By the setting."""
        return self._room


class Computer:
    """Alice's computer, whose profiles hold a key of 98 days."""

    def __init__(self, aws: Aws | None = None, places: Sequence[Place] = (DEFAULT, WORK)) -> None:
        self.aws = aws or Aws()
        self.old = self.aws.add("alice", timedelta(days=98))
        self.home = Home(dict.fromkeys(places, self.old))
        self.points = Points(self.watch)
        self.progress = FakeProgress()
        self.account = FakeAccount(self.aws, self.points)
        self.here = Here(
            FakePlaces(self.home, self.points),
            FakeStaging(self.home, self.points),
            FakeNotes(self.home, self.points),
            FakeHistory(self.home, self.points),
        )
        self.meddled: set[str] = set()  # ids whose state somebody else has changed
        self.room = False
        self._taken_for_ours: set[str] = set()

    # Running

    def run(
        self,
        kill_at: int | None = None,
        faults: Mapping[int, str] | None = None,
        meet: Mapping[int, Callable[[], None]] | None = None,
        *,
        force: bool = False,
        keep_old: timedelta = timedelta(0),
        old_active: bool = False,
    ) -> list[Result] | None:
        """One process of `rotate --yes`; None if it was killed."""
        self.points.start(kill_at, faults, meet)
        wishes = Wishes(POLICY, forced=force, keep_old=keep_old, old_active=old_active)
        self.progress = FakeProgress()
        self.account = FakeAccount(self.aws, self.points, self.account.identity)
        run = Run(
            self.here,
            wishes,
            Yes(room=self.room),
            nullcontext,
            lambda note: self.account,
            lambda note: self.progress,
            Clockwork(self.aws.pause, lambda: None),
        )
        job = Job(("default",), self.find, lambda: self.account, self.progress)
        answered = tuple(self.aws.answered)
        try:
            return run.rotate([job])
        except Killed:
            self.aws.answered[:] = answered  # nobody has noted the answers since
            return None
        finally:
            if "full" in self.points.met:
                self.aws.answered[:] = answered

    def undo(self) -> Outcome:
        """One process of `undo --yes`."""
        self.points.start()
        note = undoable(unfinished(self.here, mend=True), None, self.here)
        clockwork = Clockwork(self.aws.pause, lambda: None)
        return resume(turn(note, self.here), self.account, self.here, self.progress, POLICY, clockwork)

    def find(self) -> Credentials:
        """The pair that the default profile holds."""
        held = self.home.places.get(DEFAULT)
        if isinstance(held, Mix):
            return held.read
        if held is None:
            raise Problem("the profile holds no pair", "rotate-my-key status")
        return held

    # What is promised

    def watch(self) -> None:
        """Never locked out: what a place names works, unless somebody else has had a hand in it. Never more than ours:
        no key that somebody else made is deleted."""
        there = self.aws.there()
        for place, held in self.home.places.items():
            if isinstance(held, Credentials) and held.key_id in self.aws.keys and held.key_id not in self.meddled:
                assert there.get(held.key_id) == "Active", f"{place} names {held.key_id}: {there}"
                assert self.aws.keys[held.key_id].pair == held, f"{place} holds a wrong secret"
                assert "n" not in self.aws.keys[held.key_id].flaps, f"{place} names {held.key_id}, refused now and then"
            if isinstance(held, Mix):
                assert place.path in self.home.in_place
        for key_id in self.aws.deleted_by_us:
            assert self._was_ours(key_id), f"{key_id} was not ours to delete"

    def _was_ours(self, key_id: str) -> bool:
        """Nobody can tell an unused key of somebody else's from ours, if it was made while our lost answer was due."""
        key = self.aws.keys[key_id]
        if key.maker != "somebody else" or key_id in self._taken_for_ours:
            return True
        notes = [note for note in self.home.notes.values() if isinstance(note, Note)]
        sent = {note.sent for note in notes} | {sent for note in notes for sent in note.lost}
        lost = sent - {None, *self.aws.answered}
        if key.use is None and any(-3 <= (key.created - s).total_seconds() <= 21 for s in lost if s):
            self._taken_for_ours.add(key_id)
        return key_id in self._taken_for_ours

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
        """Somebody else makes a key of alice's, if there is room; its secret does not come here."""
        if len(self.aws.there()) >= 2:
            return None
        pair = self.aws.add("somebody else")
        self.aws.keys[pair.key_id].use = LastUse(self.aws.now(), "s3", "eu-west-1") if used else None
        return pair

    def changes(self, key_id: str, status: str | None) -> None:
        """Somebody else switches a key off or on, or deletes it."""
        if key_id in self.aws.there():
            # While AWS still accepts and lists it, no run can know: the other key may be retired meanwhile.
            late = self.aws.list_lag or self.aws.sign_in_lag
            self.meddled |= set(self.aws.keys) if late else {key_id}
            self.aws.change(key_id, status)

    def puts(self, place: Place, pair: Credentials | None) -> None:
        """An editor or a dotfile sync changes what a place holds; a key that is put there is this computer's."""
        self.home.places[place] = pair
        if pair and pair.key_id in self.aws.keys:
            self.aws.keys[pair.key_id].maker = "alice"
