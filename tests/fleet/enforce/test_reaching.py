"""Nothing is done to the keys of somebody who cannot be told of it, and a key that nobody hears of is not made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rotate_my_key.core.errors import Denied, WrongUsage
from rotate_my_key.fleet.actions import ReissuedKey
from rotate_my_key.settings.fleet import Owners, Remind
from tests.fleet.enforce.company import DAY, HERE, RULES, Company, did, planned
from tests.fleet.fakes import FakeDirectory

MAKES = replace(RULES, owners=Owners(tag="email"), remind=Remind(owners=("mail",)))


def make(directory: FakeDirectory, user: Any) -> ReissuedKey:
    """A key that waits."""
    pair, _ = directory.create(user.name)
    return ReissuedKey(pair.key_id, "secretsmanager:arn:x")


@pytest.fixture
def company() -> Company:
    """Owners are known by a tag alone; keys are made at 60 days."""
    found = Company(MAKES, maker=make)
    found.enforce(reissue_at=60 * DAY, accounts=(HERE,))
    return found


def test_no_key_is_made_for_whom_nobody_can_tell(company: Company) -> None:
    """He would never hear of it; the others get theirs."""
    company.user("alice", 70, told=None)
    company.user("bob", 70, told=None)
    company.here.everybody["bob"].tags["email"] = "bob@example.com"
    assert planned(company.plan()) == ["reissue bob", "spare alice: owner not reached"]
    assert did(company.run()) == ["reissue bob done", "spare alice: owner not reached"]
    assert len(company.status("alice")) == 1


def test_an_owner_who_can_no_longer_be_told_is_left_alone(company: Company) -> None:
    """Though his notices were given: what happens to the key must be told too."""
    company.user("alice", 97, 5)
    assert planned(company.plan()) == ["spare alice: owner not reached"]


def test_without_notices_a_key_goes_without_a_word(company: Company) -> None:
    """Who asks for no notices wants it so; a new key is not made all the same."""
    company.enforce(notices=0)
    company.user("alice", 97, 5)
    company.user("bob", 70)
    assert planned(company.plan()) == ["deactivate alice", "spare bob: owner not reached"]


def test_whom_an_address_is_taken_from_meanwhile_gets_no_key(company: Company) -> None:
    """It is looked at again right before the act."""
    company.user("alice", 70, told=None)
    company.here.everybody["alice"].tags["email"] = "alice@example.com"
    plan = company.plan()
    del company.here.everybody["alice"].tags["email"]
    assert did(company.carry_out(plan)) == ["spare alice: owner not reached"]
    assert len(company.status("alice")) == 1


def test_admins_read_who_could_not_be_told(company: Company) -> None:
    """Else he would be spared for ever, and nobody would know."""
    company.user("alice", 97, told=None)
    company.run()
    (message,) = company.chat.sent
    assert "Spared because nobody could be told:" in message.text
    assert "alice in prod (123456789012): no address is known of alice" in " ".join(message.text.split())


def test_without_any_channel_that_is_one_row(company: Company) -> None:
    """And not one for each of a hundred users."""
    for name in ("alice", "bob"):
        company.user(name, 97, told=None)
    company.owners = ()
    company.run()
    text = " ".join(company.chat.sent[0].text.split())
    assert "2 users: [remind] names no channel for owners" in text
    assert "alice" not in text


def test_admins_read_that_the_owner_of_a_new_key_did_not_hear_of_it(company: Company) -> None:
    """The key is made, and the message is lost: somebody must tell him."""
    company.user("alice", 70, told=None)
    company.here.everybody["alice"].tags["email"] = "alice@example.com"
    company.mail.broken = Denied("the mail was not taken")
    outcome = company.run()
    assert did(outcome) == ["reissue alice done"]
    text = " ".join(company.chat.sent[0].text.split())
    assert "a new key was made" in text
    assert "its owner alice@example.com was not told: the mail was not taken" in text


def test_a_channel_whose_settings_are_wrong_is_a_problem_of_the_run() -> None:
    """Such as no region: exit 1 as in `remind`, not 2, for the command line was right."""
    company = Company()
    company.user("alice", 97)
    company.mail.broken = WrongUsage("no region is set, and sesv2 needs one", "set AWS_DEFAULT_REGION=eu-west-1")
    outcome = company.run()
    assert outcome.code == 1
