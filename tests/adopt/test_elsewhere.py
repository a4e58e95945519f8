"""The key that a delivery names is held by no place here (a new laptop): it goes by the loop of a rotation, with its id
alone, killed and failing at every point."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from rotate_my_key.core.errors import Denied, Problem
from rotate_my_key.core.model import Credentials, LastUse
from rotate_my_key.rotation.engine import Waiter
from rotate_my_key.rotation.incoming import Elsewhere, elsewhere, plan_elsewhere, take_over
from rotate_my_key.rotation.ports import Ending, Outcome
from tests.engine.computer import DEFAULT, POLICY, Computer
from tests.engine.fakes import Aws, FakeAccount, Killed

MOST = 40  # points; more than it passes


class Laptop(Computer):
    """A new laptop, whose profile holds the key that IT has made an hour ago; the old one works elsewhere."""

    def __init__(self, aws: Aws | None = None) -> None:
        super().__init__(aws, places=[DEFAULT])
        self.new = self.aws.add("it", timedelta(hours=1))
        self.puts(DEFAULT, self.new)

    def give_up(self, kill_at: int | None = None, faults: Mapping[int, str] | None = None) -> Outcome | None:
        """The old key goes; None if it was killed."""
        self.points.start(kill_at, faults)
        self.account = FakeAccount(self.aws, self.points)
        try:
            look = self.account.look([self.new])
            plan = plan_elsewhere(self.new, self.old.key_id, look, self.account, self.here)
            return take_over(plan, self.account, self.here, self.progress, POLICY, Waiter(self.aws.pause, _never))
        except Killed:
            return None

    def finished(self) -> None:
        """The new key alone is there, the profile holds it, and nothing is left behind."""
        assert self.aws.there() == {self.new.key_id: "Active"}
        assert self.home.places == {DEFAULT: self.new}
        assert (self.home.notes, self.home.records) == ({}, {})

    def found(self) -> Elsewhere | None:
        """What `adopt` sees before it asks."""
        return elsewhere(self.old.key_id, self.account.look([self.new]), self.account, self.here)


def _never() -> None:
    """Nobody presses Ctrl-C."""


def test_the_old_key_goes_after_the_new_one_has_signed_in_as_read() -> None:
    """Noted, checked as read from its place, switched off, deleted: in that order."""
    laptop = Laptop()
    outcome = laptop.give_up()
    assert outcome is not None
    assert (outcome.ending, outcome.old, outcome.new) == (Ending.MERGED, laptop.old.key_id, laptop.new.key_id)
    laptop.finished()
    names = [name for name in laptop.points.names if name in ("stage", "new note", "prove", "update", "delete")]
    assert list(dict.fromkeys(names)) == ["stage", "new note", "prove", "update", "delete"]


@pytest.mark.parametrize(("list_lag", "sign_in_lag"), [(0, 0), (3, 9)], ids=["at once", "late"])
def test_killed_at_any_point_the_next_run_finishes(list_lag: float, sign_in_lag: float) -> None:
    """What was noted is finished; what was not has changed nothing, and is done by the same again."""
    for point in range(MOST):
        laptop = Laptop(Aws(list_lag, sign_in_lag))
        survived = laptop.give_up(kill_at=point) is not None
        laptop.aws.pause(1)
        if laptop.home.notes or laptop.home.records:
            results = laptop.run()
            assert results and not any(result.problem for result in results if result.outcome), laptop.points.names
        if laptop.old.key_id in laptop.aws.there():
            assert laptop.give_up() is not None
        laptop.finished()
        if survived:
            break
    assert 10 < point < MOST


@pytest.mark.parametrize("word", ["later", "lost", "throttled", "denied", "full"])
def test_any_single_failure_is_survived(word: str) -> None:
    """In the same run, or in the next one; the key that was handed over is never deleted."""
    for point in range(MOST):
        laptop = Laptop()
        try:
            laptop.give_up(faults={point: word})
        except Problem:
            laptop.aws.pause(30)
            if laptop.home.notes or laptop.home.records:
                laptop.run()
        assert laptop.new.key_id in laptop.aws.there(), laptop.points.names
        if laptop.old.key_id in laptop.aws.there():
            assert laptop.give_up() is not None
        laptop.finished()


def test_who_may_not_delete_keeps_both() -> None:
    """The note stays, so that the next run tries again."""
    laptop = Laptop()
    laptop.aws.denies = {"iam:UpdateAccessKey", "iam:DeleteAccessKey"}
    with pytest.raises(Denied):
        laptop.give_up()
    assert laptop.aws.there() == {laptop.old.key_id: "Active", laptop.new.key_id: "Active"}
    laptop.aws.denies = set()
    laptop.run()
    laptop.finished()


def test_a_new_key_that_somebody_switched_off_gives_up_nothing() -> None:
    """Then the old one may be the only one that works."""
    laptop = Laptop()
    look = laptop.account.look([laptop.new])
    plan = plan_elsewhere(laptop.new, laptop.old.key_id, look, laptop.account, laptop.here)
    laptop.changes(laptop.new.key_id, "Inactive")
    with pytest.raises(Problem):
        take_over(plan, laptop.account, laptop.here, laptop.progress, POLICY, Waiter(laptop.aws.pause, _never))
    assert laptop.aws.there()[laptop.old.key_id] == "Active"


def test_without_a_place_that_holds_the_new_key_nothing_is_begun() -> None:
    """Somebody took it out again: no note is left."""
    laptop = Laptop()
    laptop.puts(DEFAULT, Credentials("AKIAOTHER", "x" * 40))
    with pytest.raises(Problem, match="no profile here holds"):
        laptop.give_up()
    assert laptop.home.notes == {}
    assert laptop.aws.there()[laptop.old.key_id] == "Active"


def test_what_is_found_elsewhere() -> None:
    """A key that the user has and no place here holds; not one that is gone, nor ours, nor no name."""
    laptop = Laptop()
    found = laptop.found()
    assert found is not None
    assert (found.key.key_id, found.use) == (laptop.old.key_id, LastUse(None))
    assert elsewhere("", laptop.account.look([laptop.new]), laptop.account, laptop.here) is None
    laptop.puts(DEFAULT, laptop.old)
    assert laptop.found() is None
    laptop.puts(DEFAULT, laptop.new)
    laptop.changes(laptop.old.key_id, None)
    assert laptop.found() is None


def test_what_counts_as_a_use_since() -> None:
    """Of anything but iam and sts, after IT made the new key; that it is not known counts, for nobody can say no."""
    laptop = Laptop()
    found, made = laptop.found(), laptop.aws.now()
    assert found is not None
    uses = {
        "none": (LastUse(None), False),
        "before": (LastUse(made - timedelta(minutes=1), "s3", "eu-west-1"), False),
        "after": (LastUse(made + timedelta(minutes=1), "s3", "eu-west-1"), True),
        "our own": (LastUse(made + timedelta(minutes=1), "sts", "eu-west-1"), False),
        "not known": (None, True),
    }
    for name, (use, expected) in uses.items():
        assert Elsewhere(found.key, use).is_in_use_since(made) is expected, name
