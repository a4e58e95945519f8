"""The sentences about acts: one way to write a day, ages with their limits, plurals, and lists that stay short."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rotate_my_key.cli.fleet import enforce as enforce_shown
from rotate_my_key.core.errors import Denied
from rotate_my_key.fleet.actions import ActionResult, ActionState
from rotate_my_key.fleet.enforce import EnforceResult
from rotate_my_key.fleet.enforce_plan import NO_CHANNEL, EnforcePlan
from rotate_my_key.fleet.memory import KeyMemory
from rotate_my_key.fleet.model import AwsAccount, FleetKey, FleetUser
from rotate_my_key.fleet.rules import Act, ActionKind, Skipped, SkipRule
from tests.fleet.enforce.company import DAY, HERE, RULES, Company, make
from tests.fleet.fakes import NOW, flat

TODAY = NOW.date()
PROD, TEST = AwsAccount(HERE, "prod"), AwsAccount("210987654321", "test")


def spare(rule: SkipRule, why: str, user: str, account: AwsAccount = PROD) -> tuple[AwsAccount, Skipped]:
    """A row of what is spared, about a key of its own for each user."""
    who = FleetUser(account.number, f"arn:aws:iam::{account.number}:user/{user}")
    key = FleetKey(True, NOW, f"AKIA{user:A>16}".upper())
    return account, Skipped(rule, who, key, why)


def shown(*spared: tuple[AwsAccount, Skipped]) -> list[str]:
    """The rows under "Skipped:"."""
    return enforce_shown.plan_text(EnforcePlan(spared=spared), NOW).splitlines()[1:-1]


def test_what_could_not_be_read_comes_first() -> None:
    """Somebody must mend that."""
    rows = shown(
        spare(SkipRule.EXEMPT, "exempt", "bob"),
        spare(SkipRule.GRACE, "told", "carol"),
        spare(SkipRule.UNSURE, "no tags", "alice"),
    )
    assert [re.findall(r"of (\w+)", row)[0] for row in rows] == ["alice", "bob", "carol"]


def test_several_reasons_for_one_key_are_one_row() -> None:
    """And a reason that is there twice is said once."""
    row = spare(SkipRule.GRACE, "told", "bob")
    rows = shown(row, row, spare(SkipRule.NEW_KEY, "no newer key", "bob"))
    assert [row.partition(": ")[2] for row in rows] == ["told; no newer key"]


def test_what_no_name_helps_is_one_count() -> None:
    """What is too much for one run, and where nobody at all can be told: not a row for each of hundreds."""
    rows = shown(*(spare(SkipRule.LIMIT, "10 actions a run (most)", f"user{count}") for count in range(200)))
    assert rows == ["  200 more actions left to later runs: 10 actions a run (most)"]
    why = f"the owner cannot be notified: {NO_CHANNEL}"
    rows = shown(spare(SkipRule.UNREACHED, why, "alice"), spare(SkipRule.UNREACHED, why, "bob"))
    assert rows == [f"  2 actions: {why}"]


def test_what_is_not_listed_is_counted_by_account() -> None:
    """So that a long list says where to look."""
    here = [spare(SkipRule.EXEMPT, "exempt", f"a{count}") for count in range(32)]
    there = [spare(SkipRule.EXEMPT, "exempt", f"b{count}", TEST) for count in range(5)]
    rows = shown(*here, *there)
    assert len(rows) == 31
    assert rows[-1] == f"  and 7 more: 5 in {TEST}, 2 in {PROD}; --json has all"


@pytest.mark.parametrize(("count", "said"), [(1, "1 new key created."), (10, "10 new keys created.")])
def test_new_keys_are_counted_in_words(count: int, said: str) -> None:
    """One, and many."""
    _, row = spare(SkipRule.LIMIT, "", "alice")
    assert row.key
    results = (ActionResult(Act(ActionKind.REISSUE, row.user, row.key, "old"), PROD, ActionState.DONE),) * count
    assert enforce_shown.enforced_text(EnforceResult(results)) == said


INACTIVE = "It is inactive since 13 November (deleted after 10 days). It will be deleted on 2 December 2026"
FOUND_OFF = "It was first seen inactive on 20 December 2025 (deleted after 10 days). It will be deleted"


@pytest.mark.parametrize(
    ("memory", "said"),
    [(KeyMemory(off=TODAY - 12 * DAY), INACTIVE), (KeyMemory(found_off=TODAY - 340 * DAY), FOUND_OFF)],
)
def test_days_are_written_as_people_write_them(memory: KeyMemory, said: str, company: Company) -> None:
    """With the year if it is another; and it is said whether the fleet switched it off or only found it so."""
    (key_id,) = company.user("alice", 400, told=None)
    company.here.set_active("alice", key_id, active=False)
    company.remember("alice", {key_id: memory})
    company.run()
    (message,) = company.mail.sent
    assert message.subject == "Your AWS access key will be deleted on 2 December 2026"
    assert said in flat(message.text)


def test_a_new_key_is_told_of_with_the_age_of_the_old_one() -> None:
    """In the plan, to the owner and to the admins."""
    company = Company(maker=make)
    company.enforce(reissue_at=60 * DAY, accounts=(HERE,), deactivate_at=None)
    company.user("alice", 387)
    why = "it is 387 days old (a new key is created at 60 days)"
    assert why.removeprefix("it is ") in enforce_shown.plan_text(company.plan(), NOW)
    company.run()
    (mine,), (theirs,) = company.mail.sent, company.chat.sent
    assert mine.subject == "A new AWS access key is waiting for you"
    assert f"It {why[3:]}. A new key is waiting for you to replace it. On" in flat(mine.text)
    assert f"a new key was created: {why}" in flat(theirs.text)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("ssm:/it/fleet", "rotate-my-key fleet enforce --settings ssm:/it/fleet --undo alice"),
        ("/var/task/fleet.ini", "rotate-my-key fleet enforce --undo alice"),
    ],
)
def test_a_run_that_nobody_typed_says_how_to_take_it_back(where: str, said: str) -> None:
    """By the parameter that has its settings; a file of the function's is on nobody's computer."""
    company = Company(replace(RULES, where=where))
    company.user("alice", 97)
    company.run()
    assert f"    {said} --account {HERE}" in company.chat.sent[0].text


def test_a_failure_in_the_admins_message_has_its_reason(company: Company) -> None:
    """An act that did not work is in the same message."""
    company.user("alice", 97)
    company.here.broken["set_active"] = Denied("iam:UpdateAccessKey is not allowed")
    company.run()
    assert "failed: iam:UpdateAccessKey is not allowed" in flat(company.chat.sent[0].text)
