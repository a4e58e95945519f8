"""A run that must end in time leaves what it has not begun, and ends what it has."""

from __future__ import annotations

import pytest

from rotate_my_key.fleet.function import Deadline, OutOfTime
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


def test_accounts_are_left_when_time_is_up() -> None:
    """They are remembered by their numbers; with time left nothing is different."""
    directory, clock = FakeDirectory("111111111111"), Clock(900)
    directory.user("alice", 98)
    organization = FakeOrganization(directory)
    late = Deadline(clock, 30).watch(organization)
    there = organization.directory(AwsAccount("111111111111"))
    assert len(there.keys("alice")) == 1
    assert late == set()
    clock.left = 1
    with pytest.raises(OutOfTime):
        there.keys("alice")
    assert late == {"111111111111"}
