"""Between the plan and an act hours may pass: who is exempt is what is true right before the act. And our own faults:
one with one user ends nobody else's turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotate_my_key.core.errors import Denied
from rotate_my_key.fleet.enforce import EnforceResult, carry_out
from rotate_my_key.fleet.enforce_plan import plan_run
from rotate_my_key.settings.fleet import Exempt
from tests.fleet.enforce.company import RULES, Company, did
from tests.fleet.fakes import spoil


@pytest.fixture
def company() -> Company:
    """Alice and bob have old keys; group vip, path /bots/ and what robots are called say who is exempt."""
    found = Company(replace(RULES, exempt=Exempt(groups=("vip",), paths=("/bots/",))))
    found.here.groups.add("vip")
    found.user("alice", 97)
    found.user("bob", 97)
    return found


def run(company: Company, meanwhile: Any) -> EnforceResult:
    """What happens between the plan and the consent."""
    plan = company.plan()
    meanwhile()
    return carry_out(plan, company.context(), company.audit)


def test_who_joins_an_exempt_group_meanwhile_is_spared(company: Company) -> None:
    """Whoever reads the plan and puts him into the group is heard."""
    outcome = run(company, lambda: company.here.everybody["alice"].groups.add("vip"))
    assert did(outcome) == ["deactivate bob done", "spare alice: exempt"]


def test_who_is_moved_to_an_exempt_path_meanwhile_is_spared(company: Company) -> None:
    """By his ARN, which only his own look tells."""
    outcome = run(company, lambda: setattr(company.here.everybody["alice"], "path", "/bots/"))
    assert did(outcome) == ["deactivate bob done", "spare alice: exempt"]


def test_a_user_of_the_same_name_is_another(company: Company) -> None:
    """Made anew meanwhile: nothing of what was planned is meant for him."""

    def anew() -> None:
        alice = company.here.everybody["alice"]
        alice.created += timedelta(days=1)

    outcome = run(company, anew)
    assert did(outcome) == ["deactivate bob done", "spare alice: changed"]
    assert "another user has that name now" in [spare.why for _, spare in outcome.spared]


def test_a_user_that_is_gone_is_left(company: Company) -> None:
    """With him his keys went."""
    outcome = run(company, lambda: company.here.everybody.pop("alice"))
    assert did(outcome) == ["deactivate bob done", "spare alice: changed"]


@pytest.mark.parametrize("verb", ["find", "members"])
def test_who_does_not_know_who_is_exempt_does_nothing(company: Company, verb: str) -> None:
    """It is named, and the exit code says so."""
    outcome = run(company, lambda: company.here.broken.__setitem__(verb, Denied("not allowed")))
    assert did(outcome) == ["deactivate alice failed", "deactivate bob failed"]
    assert outcome.code == 5
    assert not company.here.calls["set_active"]


def test_groups_are_read_once_an_account_and_again_after_a_minute(company: Company) -> None:
    """Not for every act: IAM throttles."""
    run(company, lambda: company.here.calls.clear())
    assert company.here.calls["members"] == 1
    company = replace(company, here=company.here)
    company.user("carl", 97)
    company.user("dora", 97)
    real = company.here.set_active

    def slow(*args: Any) -> None:
        real(*args)
        company.now += timedelta(seconds=61)

    company.here.set_active = slow  # type: ignore[method-assign]
    run(company, lambda: company.here.calls.clear())
    assert company.here.calls["members"] == 2


@pytest.mark.parametrize("verb", ["keys", "tags", "last_use"])
def test_a_fault_with_one_user_is_a_row(company: Company, verb: str) -> None:
    """It says where it happened, and no value; the others' turn comes."""
    (key_id,) = company.status("alice")
    spoil(company.here, verb, OverflowError("AKIASECRET"), lambda about: about in ("alice", key_id))
    outcome = company.run()
    assert did(outcome) == ["deactivate bob done"]
    assert outcome.code == 1
    ((about, problem),) = company.plan().broken
    assert about == "alice in prod (123456789012)"
    assert problem.message.startswith("a fault in rotate-my-key: OverflowError at fakes.py:")
    assert "AKIASECRET" not in problem.message


def test_a_fault_in_an_act_is_a_row(company: Company) -> None:
    """What came of it is not known, and is told to the admins; the next run looks."""
    spoil(company.here, "set_active", KeyError("AKIASECRET"), lambda user, *_: user == "alice")
    outcome = company.run()
    assert did(outcome) == ["deactivate alice unknown", "deactivate bob done"]
    assert outcome.code == 1
    assert "a fault in rotate-my-key: KeyError at fakes.py:" in " ".join(company.chat.sent[-1].text.split())


def test_a_fault_with_one_account_is_a_row(company: Company) -> None:
    """The other account's turn comes."""
    company.user("alice", 97, where=company.there)
    company.there.groups.add("vip")
    spoil(company.here, "members", KeyError("x"))
    outcome = company.run()
    assert did(outcome) == ["deactivate alice done"]
    assert [about for about, _ in company.plan().broken] == ["prod (123456789012)"]


def test_a_group_that_no_account_has_spares_everybody(company: Company) -> None:
    """Its name is wrong: who was meant is not known. It is told to the admins."""
    company.here.groups.clear()
    outcome = company.run()
    assert did(outcome) == ["spare alice: unsure", "spare bob: unsure"]
    assert "has the group vip of [exempt]" in " ".join(company.chat.sent[-1].text.split())
    context = replace(company.context(), whole=False)  # one account of many: another may have it
    assert [step.act.user.name for step in plan_run(context).acts] == ["alice", "bob"]


def test_a_group_that_one_account_has_is_enough(company: Company) -> None:
    """Not every account needs it."""
    company.here.groups.clear()
    company.there.groups.add("vip")
    assert did(company.run()) == ["deactivate alice done", "deactivate bob done"]
