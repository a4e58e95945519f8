"""What the function in Lambda tells of a run, and when it says that the run came to nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import cast

import pytest

from rotate_my_key.core.errors import Denied, NotAllowed, Problem, TryLater, WrongUsage
from rotate_my_key.fleet.assembly import Assembly
from rotate_my_key.fleet.deploy import _SCHEDULES
from rotate_my_key.fleet.function import JOBS, Deadline, FunctionRun
from rotate_my_key.settings.fleet import Accounts, FleetSettings
from tests.fleet.fakes import NOW, FakeDirectory, FakeOrganization

ROLE = Accounts(role="rotate-my-key-fleet")


class _Parts:
    """Of the Assembly what these jobs use."""

    def __init__(self, organization: FakeOrganization) -> None:
        self.organization = organization


def company(*numbers: str) -> FakeOrganization:
    """Accounts with one old key each."""
    directories = [FakeDirectory(number) for number in numbers]
    for directory in directories:
        directory.user("alice", 98)
    return FakeOrganization(*directories)


def job(organization: FakeOrganization, settings: FleetSettings, account: str = "", left: float = 900) -> FunctionRun:
    """A run with so many seconds left."""
    parts = cast(Assembly, _Parts(organization))
    return FunctionRun.of(parts, settings, NOW, Deadline(lambda: left, 30), lambda line: None, account)


ONE, TWO, THREE = "111111111111", "222222222222", "333333333333"
SETTINGS = FleetSettings(accounts=ROLE)


def test_every_schedule_starts_a_command_that_there_is() -> None:
    """The template and the function know the same words."""
    assert {command for _, command, _ in _SCHEDULES} <= set(JOBS)


def test_a_report_counts_the_keys() -> None:
    """By kind, over all accounts; nothing is wrong, so nothing is incomplete."""
    result = JOBS["report"](job(company(ONE, TWO), SETTINGS))
    assert result["numbers"]["overdue"] == 2
    assert (result["looked_at"], result["failed"], result["left"], result["incomplete"]) == (2, [], [], False)


def test_a_result_is_json() -> None:
    """Lambda gives it back as such."""
    assert json.loads(json.dumps(JOBS["report"](job(company(ONE), SETTINGS))))


def test_one_account_that_fails_is_told_of() -> None:
    """The others are looked at; the run is incomplete, for the alarm."""
    organization = company(ONE, TWO)
    organization.directories[TWO].broken["request_report"] = Denied("no", action="sts:AssumeRole")
    result = JOBS["report"](job(organization, SETTINGS))
    assert (result["looked_at"], result["failed"]) == (1, [{"account": TWO, "problem": "no"}])
    assert result["incomplete"] is True


@pytest.mark.parametrize(
    ("problem", "kind"), [(Denied("no", action="sts:AssumeRole"), NotAllowed), (TryLater("busy"), TryLater)]
)
def test_a_run_in_which_every_account_fails_has_failed(problem: Problem, kind: type[Problem]) -> None:
    """Lambda tries again, and keeps what was to be run; the kind says whether that can help."""
    organization = company(ONE, TWO)
    for directory in organization.directories.values():
        directory.broken["request_report"] = problem
    with pytest.raises(kind, match=f"none of 2 accounts could be looked at: {problem.message}"):
        JOBS["report"](job(organization, SETTINGS))


def test_the_one_account_of_a_map_that_fails_has_failed() -> None:
    """So that the Map counts it."""
    organization = company(ONE, TWO)
    organization.directories[TWO].broken["request_report"] = Denied("no", action="sts:AssumeRole")
    with pytest.raises(NotAllowed, match=f"account {TWO} could be looked at"):
        JOBS["report"](job(organization, SETTINGS, TWO))
    assert JOBS["report"](job(organization, SETTINGS, ONE))["looked_at"] == 1


class Slow(FakeDirectory):
    """An account whose report takes all the time there is."""

    left = 900.0

    def report(self) -> tuple[str, datetime]:
        """See the port."""
        self.left = 10.0
        return super().report()


def test_what_time_does_not_allow_is_left() -> None:
    """Accounts that were not looked at to the end are named, apart from those that failed; the run is incomplete."""
    fresh, slow, broken = FakeDirectory(ONE), Slow(TWO), FakeDirectory(THREE)
    fresh.user("alice", 3)
    slow.user("bob", 98)
    broken.broken["request_report"] = Denied("no", action="sts:AssumeRole")
    parts = cast(Assembly, _Parts(FakeOrganization(fresh, slow, broken)))
    made = FunctionRun.of(parts, SETTINGS, NOW, Deadline(lambda: slow.left, 30), lambda line: None)
    result = JOBS["report"](made)
    assert (result["looked_at"], result["left"]) == (1, [TWO])
    assert [each["account"] for each in result["failed"]] == [THREE]
    assert result["incomplete"] is True


def test_a_run_without_any_time_has_failed() -> None:
    """Nothing was looked at: that is no empty report."""
    with pytest.raises(TryLater, match="no time was left"):
        JOBS["report"](job(company(ONE, TWO), SETTINGS, left=20))


def test_an_account_that_the_settings_leave_out_is_refused() -> None:
    """Whoever names it in an event does not widen what the settings allow."""
    for where in (replace(ROLE, but=(TWO,)), replace(ROLE, only=(ONE,))):
        with pytest.raises(WrongUsage, match=f"account {TWO} is left out"):
            job(company(ONE, TWO), FleetSettings(accounts=where), TWO)


def test_the_accounts_are_those_of_the_settings() -> None:
    """What the Map goes over: the organization's without those that are left out."""
    settings = FleetSettings(accounts=replace(ROLE, but=(TWO,)))
    assert JOBS["accounts"](job(company(ONE, TWO, THREE), settings)) == {"accounts": [ONE, THREE]}


def test_without_an_organization_there_is_nothing_to_go_over() -> None:
    """It fails, and is not an empty list."""
    organization = company(ONE)
    organization.broken = Denied("no organizations:ListAccounts", action="organizations:ListAccounts")
    with pytest.raises(Denied):
        JOBS["accounts"](job(organization, SETTINGS))
