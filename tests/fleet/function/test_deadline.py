"""A run that must end in time leaves what it has not begun, and ends what it has."""

from __future__ import annotations

import pytest

from rotate_my_key.fleet.function import Deadline, InTime, OutOfTime
from rotate_my_key.fleet.model import AwsAccount
from tests.fleet.fakes import FakeDirectory, FakeOrganization


class Clock:
    """Seconds until the end."""

    def __init__(self, left: float) -> None:
        self.left = left

    def __call__(self) -> float:
        """Now."""
        return self.left


def test_time_is_up_before_the_end() -> None:
    """The spare seconds are for what must be said at the end."""
    clock = Clock(31)
    deadline = Deadline(clock, 30)
    deadline.check()
    assert deadline.left() == 1
    clock.left = 30
    with pytest.raises(OutOfTime):
        deadline.check()
    clock.left = 5
    assert deadline.left() == 0


@pytest.mark.parametrize("verb", ["request_report", "report", "users", "find", "keys", "members"])
def test_nothing_begins_when_time_is_up(verb: str) -> None:
    """The account is remembered as one that is left."""
    directory = FakeDirectory("111111111111")
    organization = InTime(FakeOrganization(directory), Deadline(Clock(1), 30))
    there = organization.directory(AwsAccount("111111111111"))
    arguments = ["alice"] if verb in ("find", "keys", "members") else []
    with pytest.raises(OutOfTime):
        getattr(there, verb)(*arguments)
    assert organization.late == {"111111111111"}
    assert not directory.calls


def test_what_was_begun_is_ended() -> None:
    """A key that was switched off is written down, however late it is."""
    directory = FakeDirectory("111111111111")
    directory.user("alice", 98)
    (key,) = directory.keys("alice")
    organization = InTime(FakeOrganization(directory), Deadline(Clock(1), 30))
    there = organization.directory(AwsAccount("111111111111"))
    there.set_active("alice", key.key_id, False)
    there.tag("alice", "rotate-my-key-fleet", "1")
    assert not directory.keys("alice")[0].active
    assert directory.everybody["alice"].tags == {"rotate-my-key-fleet": "1"}
    assert organization.late == set()


def test_with_time_left_nothing_is_different() -> None:
    """The accounts are the inner ones."""
    directory = FakeDirectory("111111111111", "prod")
    directory.user("alice", 98)
    inner = FakeOrganization(directory)
    inner.left_out = (AwsAccount("222222222222"),)
    organization = InTime(inner, Deadline(Clock(900), 30))
    assert organization.left_out == inner.left_out
    assert organization.accounts() == (AwsAccount("111111111111", "prod"),)
    assert organization.me().account == "111111111111"
    there = organization.directory(AwsAccount("111111111111"))
    assert there.account == AwsAccount("111111111111", "prod")
    assert len(there.keys("alice")) == 1
    assert organization.late == set()
