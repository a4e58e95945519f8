"""A key that was handed over takes another's place, by the loop of a rotation: killed and failing at every point."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from rotate_my_key.core.errors import Denied, KeyRefused, OtherIdentity, Problem
from rotate_my_key.core.model import Credentials, Identity
from rotate_my_key.rotation.engine import Waiter
from rotate_my_key.rotation.incoming import (
    Incoming,
    Origin,
    Way,
    check_delivery,
    plan_incoming,
    plan_takeover,
    take_over,
)
from rotate_my_key.rotation.ports import Ending, Outcome
from tests.engine.computer import DEFAULT, POLICY, WORK, Computer
from tests.engine.fakes import ALICE, Aws, FakeAccount, Killed

MOST = 60  # points; more than an adoption passes
BOB = Identity("123456789012", "arn:aws:iam::123456789012:user/bob")


class Laptop(Computer):
    """Alice's computer; IT has made a key for her, an hour ago."""

    def __init__(self, aws: Aws | None = None) -> None:
        super().__init__(aws)
        self.new = self.aws.add("it", timedelta(hours=1))

    def adopt(self, kill_at: int | None = None, faults: Mapping[int, str] | None = None) -> Outcome | None:
        """The new key takes the old one's place; None if it was killed."""
        self.points.start(kill_at, faults)
        self.account = FakeAccount(self.aws, self.points)
        try:
            look = self.account.look([self.new])
            plan = plan_takeover(self.new, self.old, look, self.account, self.here)
            return take_over(plan, self.account, self.here, self.progress, POLICY, Waiter(self.aws.pause, _never))
        except Killed:
            return None

    def adopted(self) -> None:
        """The new key alone is there, in every place, and nothing is left behind."""
        assert self.aws.there() == {self.new.key_id: "Active"}
        assert set(self.home.places.values()) == {self.new}
        assert (self.home.notes, self.home.records) == ({}, {})


def _never() -> None:
    """Nobody presses Ctrl-C."""


def test_the_old_key_gives_way() -> None:
    """It is placed everywhere before the old one is switched off and deleted."""
    laptop = Laptop()
    outcome = laptop.adopt()
    assert outcome is not None
    assert (outcome.ending, outcome.new) == (Ending.MERGED, laptop.new.key_id)
    laptop.adopted()
    names = laptop.points.names
    assert names.index("stage") < names.index("new note") < names.index("write") < names.index("update")


@pytest.mark.parametrize("written", ["by rename", "in place"])
@pytest.mark.parametrize(("list_lag", "sign_in_lag"), [(0, 0), (3, 9)], ids=["at once", "late"])
def test_killed_at_any_point_the_next_run_finishes(written: str, list_lag: float, sign_in_lag: float) -> None:
    """At every point the profile works (see `Computer.watch`); the next run, or the same command again, ends it."""
    for point in range(MOST):
        laptop = Laptop(Aws(list_lag, sign_in_lag))
        laptop.home.in_place = {DEFAULT.path} if written == "in place" else set()
        survived = laptop.adopt(kill_at=point) is not None
        laptop.aws.pause(1)
        if laptop.home.notes or laptop.home.records:
            results = laptop.run()
            assert results and not any(result.problem for result in results if result.outcome), laptop.points.names
        if laptop.old in laptop.home.places.values():
            assert laptop.adopt() is not None
        laptop.adopted()
        if survived:
            break
    assert 20 < point < MOST


@pytest.mark.parametrize("word", ["later", "lost", "throttled", "denied", "full"])
def test_any_single_failure_is_survived(word: str) -> None:
    """In the same run, or in the next one; the key that was handed over is never deleted."""
    for point in range(MOST):
        laptop = Laptop()
        try:
            laptop.adopt(faults={point: word})
        except Problem:
            laptop.aws.pause(30)
            if laptop.home.notes or laptop.home.records:
                laptop.run()
        assert laptop.new.key_id in laptop.aws.there(), laptop.points.names
        if laptop.old in laptop.home.places.values():
            assert laptop.adopt() is not None
        laptop.adopted()


def test_an_old_key_that_is_switched_off_gives_way() -> None:
    """As after `fleet enforce`: it is what the profile holds, and it goes."""
    laptop = Laptop()
    laptop.changes(laptop.old.key_id, "Inactive")
    assert laptop.adopt() is not None
    laptop.adopted()


def test_an_old_key_that_is_gone_gives_way() -> None:
    """Its id is only in the files."""
    laptop = Laptop()
    laptop.changes(laptop.old.key_id, None)
    assert laptop.adopt() is not None
    laptop.adopted()


def test_who_may_not_delete_keeps_the_old_key() -> None:
    """The new one is in place all the same, and the old one is said."""
    laptop = Laptop()
    laptop.aws.denies = {"iam:UpdateAccessKey", "iam:DeleteAccessKey"}
    with pytest.raises(Denied):
        laptop.adopt()
    assert set(laptop.home.places.values()) == {laptop.new}
    assert laptop.aws.there() == {laptop.old.key_id: "Active", laptop.new.key_id: "Active"}


def test_a_place_that_cannot_be_written_is_met_before_anything() -> None:
    """Nothing is changed."""
    laptop = Laptop()
    laptop.home.read_only = {WORK.path}
    with pytest.raises(Problem, match="cannot be written"):
        laptop.adopt()
    assert set(laptop.home.places.values()) == {laptop.old}
    assert laptop.home.notes == {}


# What is refused


class Identifying(FakeAccount):
    """An account that tells whose a pair is; `owners` are others' pairs."""

    def __init__(self, laptop: Laptop, owners: Mapping[str, Identity] | None = None) -> None:
        super().__init__(laptop.aws, laptop.points)
        self._laptop, self._owners = laptop, owners or {}

    def identify(self, pair: Credentials) -> Identity:
        """See the port."""
        if not self._laptop.aws.accepts(pair):
            raise KeyRefused("AWS does not accept it")
        return self._owners.get(pair.key_id, ALICE)


def way(laptop: Laptop, *held: Credentials, replaces: str = "", owners: Mapping[str, Identity] | None = None) -> Way:
    """Where it would go, if the profile holds these pairs."""
    account = Identifying(laptop, owners)
    facts = [(DEFAULT, pair) for pair in held]
    key = Incoming(Origin.DELIVERY, laptop.new, ALICE, "default", replaces)
    return plan_incoming(key, facts, (), account).way


def test_the_ways() -> None:
    """Added, there already, or in place of the one that it is to replace."""
    laptop = Laptop()
    assert way(laptop) is Way.ADD
    assert way(laptop, laptop.new) is Way.THERE
    assert way(laptop, laptop.old, replaces=laptop.old.key_id) is Way.REPLACE
    assert way(laptop, laptop.old, laptop.new, replaces=laptop.old.key_id) is Way.REPLACE


def test_a_key_that_it_does_not_replace_is_not_thrown_away() -> None:
    """It works: the delivery may be old, or another's."""
    laptop = Laptop()
    with pytest.raises(Problem, match=r"holds a key that works, .* and the delivery is to replace \.\.\.XXXX"):
        way(laptop, laptop.old, replaces="AKIAXXXX")
    with pytest.raises(Problem, match="the delivery replaces none"):
        way(laptop, laptop.old)


def test_a_dead_key_gives_way_whatever_the_delivery_says() -> None:
    """Nobody misses it."""
    laptop = Laptop()
    laptop.changes(laptop.old.key_id, "Inactive")
    assert way(laptop, laptop.old) is Way.REPLACE


def test_another_users_key_stays() -> None:
    """Even if the delivery names it: whoever wrote it may have lied."""
    laptop = Laptop()
    with pytest.raises(Problem, match="holds a key of bob"):
        way(laptop, laptop.old, replaces=laptop.old.key_id, owners={laptop.old.key_id: BOB})


def test_a_profile_that_signs_in_otherwise_stays() -> None:
    """SSO or a role."""
    laptop = Laptop()
    with pytest.raises(Problem, match="signs in by sso"):
        key = Incoming(Origin.DELIVERY, laptop.new, ALICE, "default")
        plan_incoming(key, [], ["sso"], Identifying(laptop))


def test_a_delivery_that_names_another_user_is_refused() -> None:
    """What AWS says counts."""
    laptop = Laptop()
    with pytest.raises(OtherIdentity, match="nothing was changed"):
        check_delivery(laptop.new, BOB, Identifying(laptop), laptop.aws.pause)


def test_a_delivery_whose_key_is_gone_is_refused() -> None:
    """It was swept, or taken elsewhere: a no is asked again for a while, then said."""
    laptop = Laptop()
    laptop.changes(laptop.new.key_id, None)
    with pytest.raises(KeyRefused, match="it was taken, or not fetched in time"):
        check_delivery(laptop.new, ALICE, Identifying(laptop), laptop.aws.pause)
