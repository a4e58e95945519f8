"""A key that was handed over takes another's place, by the loop of a rotation: killed and failing at every point.

On one laptop the old key is in its places; on a new one it is in none, and goes with its id alone.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from rotate_my_key.core.errors import Denied, KeyRefused, OtherIdentity, Problem
from rotate_my_key.core.model import Credentials, LastUse
from rotate_my_key.rotation.engine import Waiter
from rotate_my_key.rotation.incoming import (
    Elsewhere,
    Incoming,
    Origin,
    Takeover,
    Way,
    check_delivery,
    elsewhere,
    plan_elsewhere,
    plan_incoming,
    plan_takeover,
    take_over,
)
from rotate_my_key.rotation.ports import Ending, Outcome
from tests.engine.computer import DEFAULT, POLICY, WORK, Computer
from tests.engine.fakes import ALICE, BOB, Aws, FakeAccount, Killed

MOST = 60  # points; more than either passes


class Laptop(Computer):
    """Alice's computer, whose places hold the old key; IT has made a key for her, an hour ago."""

    least = 20  # points that it passes

    def __init__(self, aws: Aws | None = None) -> None:
        super().__init__(aws)
        self.new = self.aws.add("it", timedelta(hours=1))

    def plan(self) -> Takeover:
        """What is to be done."""
        return plan_takeover(self.new, self.old, self.account.look([self.new]), self.account, self.here)

    @property
    def left(self) -> bool:
        """Whether the old key has not given way yet."""
        return self.old in self.home.places.values()

    def adopt(self, kill_at: int | None = None, faults: Mapping[int, str] | None = None) -> Outcome | None:
        """The new key takes the old one's place; None if it was killed."""
        self.points.start(kill_at, faults)
        self.account = FakeAccount(self.aws, self.points)
        try:
            return self.take(self.plan())
        except Killed:
            return None

    def take(self, plan: Takeover) -> Outcome:
        """Do it; nobody presses Ctrl-C."""
        waiter = Waiter(self.aws.pause, lambda: None)
        return take_over(plan, self.account, self.here, self.progress, POLICY, waiter)

    def adopted(self) -> None:
        """The new key alone is there, in every place, and nothing is left behind."""
        assert self.aws.there() == {self.new.key_id: "Active"}
        assert set(self.home.places.values()) == {self.new}
        assert (self.home.notes, self.home.records) == ({}, {})


class NewLaptop(Laptop):
    """A new laptop, whose profile holds the key that IT has made; the old one works elsewhere."""

    least = 10

    def __init__(self, aws: Aws | None = None) -> None:
        super().__init__(aws)
        del self.home.places[WORK]
        self.puts(DEFAULT, self.new)

    def plan(self) -> Takeover:
        """See above."""
        return plan_elsewhere(self.new, self.old.key_id, self.account.look([self.new]), self.account, self.here)

    @property
    def left(self) -> bool:
        """See above."""
        return self.old.key_id in self.aws.there()

    def found(self) -> Elsewhere | None:
        """What `adopt` sees before it asks."""
        return elsewhere(self.old.key_id, self.account.look([self.new]), self.account, self.here)


BOTH = pytest.mark.parametrize("kind", [Laptop, NewLaptop])


@BOTH
@pytest.mark.parametrize("written", ["by rename", "in place"])
@pytest.mark.parametrize(("list_lag", "sign_in_lag"), [(0, 0), (3, 9)], ids=["at once", "late"])
def test_killed_at_any_point_the_next_run_finishes(
    kind: type[Laptop], written: str, list_lag: float, sign_in_lag: float
) -> None:
    """At every point the profile works (see `Computer.watch`); the next run, or the same command again, ends it."""
    for point in range(MOST):
        laptop = kind(Aws(list_lag, sign_in_lag))
        laptop.home.in_place = {DEFAULT.path} if written == "in place" else set()
        survived = laptop.adopt(kill_at=point) is not None
        laptop.aws.pause(1)
        if laptop.home.notes or laptop.home.records:
            results = laptop.run()
            assert results and not any(result.problem for result in results if result.outcome), laptop.points.names
        if laptop.left:
            assert laptop.adopt() is not None
        laptop.adopted()
        if survived:
            break
    assert kind.least < point < MOST


@BOTH
@pytest.mark.parametrize("word", ["later", "lost", "throttled", "denied", "full"])
def test_any_single_failure_is_survived(kind: type[Laptop], word: str) -> None:
    """In the same run, or in the next one; the key that was handed over is never deleted."""
    for point in range(MOST):
        laptop = kind()
        try:
            laptop.adopt(faults={point: word})
        except Problem:
            laptop.aws.pause(30)
            if laptop.home.notes or laptop.home.records:
                laptop.run()
        assert laptop.new.key_id in laptop.aws.there(), laptop.points.names
        if laptop.left:
            assert laptop.adopt() is not None
        laptop.adopted()


@BOTH
def test_who_may_not_delete_keeps_the_old_key(kind: type[Laptop]) -> None:
    """The new one is in place all the same, and the note stays: the next run tries again."""
    laptop = kind()
    laptop.aws.denies = {"iam:UpdateAccessKey", "iam:DeleteAccessKey"}
    with pytest.raises(Denied):
        laptop.adopt()
    assert set(laptop.home.places.values()) == {laptop.new}
    assert laptop.aws.there() == {laptop.old.key_id: "Active", laptop.new.key_id: "Active"}
    laptop.aws.denies = set()
    laptop.run()
    laptop.adopted()


def test_the_old_key_gives_way() -> None:
    """It is placed everywhere before the old one is switched off and deleted."""
    laptop = Laptop()
    outcome = laptop.adopt()
    assert outcome is not None
    assert (outcome.ending, outcome.new) == (Ending.MERGED, laptop.new.key_id)
    laptop.adopted()
    names = laptop.points.names
    assert names.index("stage") < names.index("new note") < names.index("write") < names.index("update")


@pytest.mark.parametrize("status", ["Inactive", None], ids=["as after `fleet enforce`", "its id is only in the files"])
def test_an_old_key_that_does_not_work_gives_way(status: str | None) -> None:
    """It is what the profile holds, and it goes."""
    laptop = Laptop()
    laptop.changes(laptop.old.key_id, status)
    assert laptop.adopt() is not None
    laptop.adopted()


def test_a_place_that_cannot_be_written_is_met_before_anything() -> None:
    """Nothing is changed."""
    laptop = Laptop()
    laptop.home.read_only = {WORK.path}
    with pytest.raises(Problem, match="cannot be written"):
        laptop.adopt()
    assert set(laptop.home.places.values()) == {laptop.old}
    assert laptop.home.notes == {}


# No place holds the old key


def test_the_old_key_goes_after_the_new_one_has_signed_in_as_read() -> None:
    """Noted, checked as read from its place, switched off, deleted: in that order. If somebody has switched the new
    one off, the old one may be the only one that works: nothing is given up."""
    laptop = NewLaptop()
    outcome = laptop.adopt()
    assert outcome is not None
    assert (outcome.ending, outcome.old, outcome.new) == (Ending.MERGED, laptop.old.key_id, laptop.new.key_id)
    laptop.adopted()
    names = [name for name in laptop.points.names if name in ("stage", "new note", "prove", "update", "delete")]
    assert list(dict.fromkeys(names)) == ["stage", "new note", "prove", "update", "delete"]
    laptop = NewLaptop()
    plan = laptop.plan()
    laptop.changes(laptop.new.key_id, "Inactive")
    with pytest.raises(Problem):
        laptop.take(plan)
    assert laptop.aws.there()[laptop.old.key_id] == "Active"


def test_without_a_place_that_holds_the_new_key_nothing_is_begun() -> None:
    """Somebody took it out again: no note is left."""
    laptop = NewLaptop()
    laptop.puts(DEFAULT, Credentials("AKIAOTHER", "x" * 40))
    with pytest.raises(Problem, match="no profile here holds"):
        laptop.adopt()
    assert laptop.home.notes == {}
    assert laptop.aws.there()[laptop.old.key_id] == "Active"


def test_what_is_found_elsewhere() -> None:
    """A key that the user has and no place here holds; not one that is gone, nor ours, nor no name. A use counts of
    anything but iam and sts, after IT made the new key; that it is not known counts, for nobody can say no."""
    laptop = NewLaptop()
    found, made = laptop.found(), laptop.aws.now()
    assert found is not None
    assert (found.key.key_id, found.use) == (laptop.old.key_id, LastUse(None))
    later = made + timedelta(minutes=1)
    for use, counts in (
        (LastUse(None), False),
        (LastUse(made - timedelta(minutes=1), "s3", "eu-west-1"), False),
        (LastUse(later, "s3", "eu-west-1"), True),
        (LastUse(later, "sts", "eu-west-1"), False),
        (None, True),
    ):
        assert Elsewhere(found.key, use).is_in_use_since(made) is counts, use
    assert elsewhere("", laptop.account.look([laptop.new]), laptop.account, laptop.here) is None
    laptop.puts(DEFAULT, laptop.old)
    assert laptop.found() is None
    laptop.puts(DEFAULT, laptop.new)
    laptop.changes(laptop.old.key_id, None)
    assert laptop.found() is None


# What is refused


def way(laptop: Laptop, *held: Credentials, replaces: str = "", others: Sequence[str] = ()) -> Way:
    """Where it would go, if the profile holds these pairs."""
    key = Incoming(Origin.DELIVERY, laptop.new, ALICE, "default", replaces)
    return plan_incoming(key, [(DEFAULT, pair) for pair in held], others, laptop.account).way


def test_the_ways() -> None:
    """Added, there already, or in place of the one that it is to replace; a dead key gives way whatever the delivery
    says."""
    laptop = Laptop()
    old = laptop.old
    assert way(laptop) is Way.ADD
    assert way(laptop, laptop.new) is Way.THERE
    assert way(laptop, old, replaces=old.key_id) is Way.REPLACE
    assert way(laptop, old, laptop.new, replaces=old.key_id) is Way.REPLACE
    laptop.changes(old.key_id, "Inactive")
    assert way(laptop, old) is Way.REPLACE


def test_what_is_in_use_stays() -> None:
    """A key that works and that it does not replace: the delivery may be old, or another's; a profile with SSO or a
    role; and another user's key, even if the delivery names it: whoever wrote it may have lied."""
    laptop = Laptop()
    with pytest.raises(Problem, match=r"holds a working key, .* and the new key from IT replaces \.\.\.XXXX"):
        way(laptop, laptop.old, replaces="AKIAXXXX")
    with pytest.raises(Problem, match="the new key from IT replaces no key"):
        way(laptop, laptop.old)
    with pytest.raises(Problem, match="signs in with sso"):
        way(laptop, others=["sso"])
    laptop.aws.keys[laptop.old.key_id].owner = BOB
    with pytest.raises(Problem, match="holds a key of bob"):
        way(laptop, laptop.old, replaces=laptop.old.key_id)


def test_whose_a_delivery_is() -> None:
    """What AWS says counts. A key that is gone was swept, or taken elsewhere: a no is asked again for a while, then
    said."""
    laptop = Laptop()
    with pytest.raises(OtherIdentity, match="nothing was changed"):
        check_delivery(laptop.new, BOB, laptop.account, laptop.aws.pause)
    laptop.changes(laptop.new.key_id, None)
    with pytest.raises(KeyRefused, match="it was already adopted, or has expired"):
        check_delivery(laptop.new, ALICE, laptop.account, laptop.aws.pause)
