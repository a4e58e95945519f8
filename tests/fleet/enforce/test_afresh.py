"""What is looked at again, and whom nobody reaches. Between the plan and an act hours may pass: who is exempt is what
is true right before the act. Nothing is done to the keys of somebody who cannot be told of it, and a key that nobody
hears of is not made. And our own faults: one with one user ends nobody else's turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotate_my_key.core.errors import Denied
from rotate_my_key.fleet.enforce import EnforceResult
from rotate_my_key.fleet.enforce_plan import plan_run
from rotate_my_key.settings.fleet import Exempt, Owners, Remind
from tests.fleet.enforce.company import DAY, HERE, RULES, Company, did, make, planned
from tests.fleet.fakes import flat, spoil


@pytest.fixture
def company() -> Company:
    """Alice and bob have old keys; group vip, path /bots/ and what robots are called say who is exempt."""
    found = Company(replace(RULES, exempt=Exempt(groups=("vip",), paths=("/bots/",))))
    found.here.groups.add("vip")
    found.user("alice", 97)
    found.user("bob", 97)
    return found


def run(company: Company, meanwhile: Callable[[], Any]) -> EnforceResult:
    """What happens between the plan and the consent."""
    plan = company.plan()
    meanwhile()
    return company.carry_out(plan)


MEANWHILE: dict[str, tuple[Callable[[Company], Any], str]] = {
    "joins an exempt group": (lambda company: company.here.everybody["alice"].groups.add("vip"), "exempt"),
    "is moved to an exempt path": (
        lambda company: setattr(company.here.everybody["alice"], "path", "/bots/"),
        "exempt",
    ),
    "is another of that name": (
        lambda company: setattr(company.here.everybody["alice"], "created", company.now - 3 * DAY),
        "changed",
    ),
    "is gone": (lambda company: company.here.everybody.pop("alice"), "changed"),
}


@pytest.mark.parametrize("sentence", MEANWHILE)
def test_who_meanwhile(sentence: str, company: Company) -> None:
    """Whoever reads the plan and does something about it is heard."""
    change, rule = MEANWHILE[sentence]
    outcome = run(company, lambda: change(company))
    assert did(outcome) == ["deactivate bob done", f"spare alice: {rule}"]
    assert ("another" in sentence) == (
        "a different user has that name now" in [spare.why for _, spare in outcome.spared]
    )


@pytest.mark.parametrize("verb", ["find", "members"])
def test_who_does_not_know_who_is_exempt_does_nothing(company: Company, verb: str) -> None:
    """It is named, and the exit code says so."""
    outcome = run(company, lambda: company.breaks(verb, Denied("not allowed")))
    assert did(outcome) == ["deactivate alice failed", "deactivate bob failed"]
    assert (outcome.code, company.here.calls["set_active"]) == (5, 0)


@pytest.mark.parametrize(("seconds", "times"), [(0, 1), (61, 2)])
def test_groups_are_read_once_an_account_and_again_after_a_minute(company: Company, seconds: int, times: int) -> None:
    """Not for every act: IAM throttles."""
    real = company.here.set_active

    def slow(*args: Any) -> None:
        real(*args)
        company.now += timedelta(seconds=seconds)

    company.here.set_active = slow  # type: ignore[method-assign]
    run(company, lambda: company.here.calls.clear())
    assert company.here.calls["members"] == times


# Faults


@pytest.mark.parametrize("verb", ["keys", "tags", "last_use"])
def test_a_fault_with_one_user_is_a_row(company: Company, verb: str) -> None:
    """It says where it happened, and no value; the others' turn comes."""
    (key_id,) = company.status("alice")
    spoil(company.here, verb, OverflowError("AKIASECRET"), lambda about: about in ("alice", key_id))
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["deactivate bob done"], 1)
    ((about, problem),) = company.plan().broken
    assert about == "alice in prod (123456789012)"
    assert problem.message.startswith("internal error in rotate-my-key: OverflowError at fakes.py:")
    assert "AKIASECRET" not in problem.message


def test_a_fault_in_an_act_or_with_an_account_is_a_row(company: Company) -> None:
    """What came of it is not known, and is told to the admins; the next run looks."""
    company.there.groups.add("vip")
    spoil(company.here, "set_active", KeyError("AKIASECRET"), lambda user, *_: user == "alice")
    spoil(company.there, "members", KeyError("x"))
    outcome = company.run()
    assert did(outcome) == ["deactivate alice unknown", "deactivate bob done"]
    assert outcome.code == 1
    assert "internal error in rotate-my-key: KeyError at fakes.py:" in flat(company.chat.sent[-1].text)
    assert [about for about, _ in company.plan().broken] == ["test (210987654321)"]


def test_a_group_that_no_account_has_spares_everybody(company: Company) -> None:
    """Its name is wrong: who was meant is not known. It is told to the admins. Not every account needs it."""
    company.here.groups.clear()
    assert did(company.run()) == ["spare alice: unsure", "spare bob: unsure"]
    assert "has the group vip of the settings" in flat(company.chat.sent[-1].text)
    context = replace(company.context(), whole=False)  # one account of many: another may have it
    assert [step.act.user.name for step in plan_run(context).acts] == ["alice", "bob"]
    company.there.groups.add("vip")
    assert did(company.run()) == ["deactivate alice done", "deactivate bob done"]


# Whom nobody reaches

MAKES = replace(RULES, owners=Owners(tag="email"), remind=Remind(owners=("mail",)))


@pytest.fixture
def tagged() -> Company:
    """Owners are known by a tag alone; keys are made at 60 days."""
    found = Company(MAKES, maker=make)
    found.enforce(reissue_at=60 * DAY, accounts=(HERE,))
    return found


def reached(company: Company, name: str, *ages: float) -> None:
    """A user who can be told."""
    company.user(name, *ages, told=None)
    company.here.everybody[name].tags["email"] = f"{name}@example.com"


@pytest.mark.parametrize("taken_away", ["before", "meanwhile"])
def test_no_key_is_made_for_whom_nobody_can_tell(tagged: Company, taken_away: str) -> None:
    """They would never hear of it; the others get theirs. It is looked at again right before the act."""
    reached(tagged, "alice", 70)
    reached(tagged, "bob", 70)
    if taken_away == "before":
        del tagged.here.everybody["alice"].tags["email"]
        assert planned(tagged.plan()) == ["reissue bob", "spare alice: owner not reached"]
    outcome = run(tagged, lambda: tagged.here.everybody["alice"].tags.pop("email", None))
    assert did(outcome) == ["reissue bob done", "spare alice: owner not reached"]
    assert len(tagged.status("alice")) == 1


@pytest.mark.parametrize("notices", [1, 0])
def test_an_owner_who_can_no_longer_be_told_is_left_alone(tagged: Company, notices: int) -> None:
    """Though the notices were given: what happens to the key must be told too. Where no notices are asked for a key
    goes without a word; a new key is not made all the same."""
    tagged.enforce(notices=notices)
    tagged.user("alice", 97, 5)
    tagged.user("bob", 70)
    alice = "spare alice: owner not reached" if notices else "deactivate alice"
    assert planned(tagged.plan()) == [alice, "spare bob: owner not reached"]


@pytest.mark.parametrize("channel", [True, False])
def test_admins_read_who_could_not_be_told(tagged: Company, channel: bool) -> None:
    """Else they would be spared for ever, and nobody would know. Without any channel that is one row, and not one for
    each of a hundred users."""
    for name in ("alice", "bob"):
        tagged.user(name, 97, told=None)
    tagged.owners = None if channel else ()
    tagged.run()
    text = flat(tagged.chat.sent[0].text)
    assert "Skipped because the owner cannot be notified:" in text
    assert ("alice in prod (123456789012): no address is known for alice" in text) is channel
    assert ("2 users: no channel for owners is set in [remind]" in text) is not channel


def test_admins_read_that_the_owner_of_a_new_key_did_not_hear_of_it(tagged: Company) -> None:
    """The key is made, and the message is lost: somebody must tell them."""
    reached(tagged, "alice", 70)
    tagged.mail.broken = Denied("the mail was not taken")
    assert did(tagged.run()) == ["reissue alice done"]
    text = flat(tagged.chat.sent[0].text)
    assert "a new key was created" in text
    assert "its owner alice@example.com was not notified: the mail was not taken" in text
