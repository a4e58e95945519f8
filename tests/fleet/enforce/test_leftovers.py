"""An act whose owner was not told, or whose run was cut off after it: the same run or the next one tells."""

from __future__ import annotations

from rotate_my_key.core.errors import Problem, TryLater
from rotate_my_key.fleet.memory import KeyMemory
from tests.fleet.enforce.company import DAY, TAG, Company, did
from tests.fleet.enforce.test_killed import words


def intended(company: Company) -> str:
    """As if a run had been killed right after the key went off."""
    (key_id,) = company.user("alice", 97)
    day = (company.now - 10 * DAY).date()
    company.here.set_active("alice", key_id, active=False)
    company.remember("alice", {key_id: KeyMemory(1, day, day, intended=company.now.date())})
    return key_id


def test_what_was_intended_and_is_done_is_an_act_of_this_run() -> None:
    """Written down, told to its owner and to the admins; once."""
    company = Company()
    key_id = intended(company)
    for _ in range(2):
        company.run()
    assert company.audit.lines() == ["deactivated alice done"]
    assert company.audit.events[1].details == {"note": "found done by a later run"}
    assert [message.to for message in company.mail.sent] == ["alice@example.com"]
    assert "enforce --undo alice" in company.chat.sent[0].text
    assert company.known("alice", key_id).intended is None


def test_a_deletion_that_was_intended_is_found_though_the_key_is_gone() -> None:
    """Its whole id stands in the tag, and in the audit then."""
    company = Company()
    company.here.user("alice")
    gone = "AKIA1234567890123456"
    company.here.everybody["alice"].tags[TAG] = f"1 {gone}:m20250101:i{company.now:%Y%m%d}"
    assert did(company.run()) == ["delete alice done"]
    assert (company.audit.events[1].key_id, company.audit.lines()) == (gone, ["deleted alice done"])
    assert company.mail.sent[0].subject == "Your AWS access key was deleted"
    assert TAG not in company.here.everybody["alice"].tags
    assert did(company.run()) == []


def test_a_mail_that_fails_once_is_sent_at_the_end_of_the_run() -> None:
    """Nobody hears of the failure, and the tag is closed."""
    company = Company()
    (key_id,) = company.user("alice", 97)
    real, tries = company.mail.deliver, []

    def once(message: object) -> None:
        tries.append(message)
        if len(tries) == 1:
            raise Problem("a page of some network")
        real(message)  # type: ignore[arg-type]

    company.mail.deliver = once  # type: ignore[method-assign]
    outcome = company.run()
    assert (did(outcome), outcome.code, outcome.untold) == (["deactivate alice done"], 0, ())
    assert "What did not work" not in company.chat.sent[0].text
    assert company.known("alice", key_id).intended is None


def test_who_was_not_told_is_told_by_the_next_run() -> None:
    """The admins read his name, the audit says so; the key is not acted on again."""
    company = Company()
    (key_id,) = company.user("alice", 97)
    (bob,) = company.user("bob", 130)
    company.here.set_active("bob", bob, active=False)
    day = (company.now - 12 * DAY).date()
    company.remember("bob", {bob: KeyMemory(1, day, day, off=day)})
    company.mail.broken = TryLater("the mail server is down")
    outcome = company.run()
    assert (sorted(did(outcome)), outcome.code) == (["deactivate alice done", "delete bob done"], 75)
    assert "its owner alice@example.com was not told: the mail server is down" in words(company)
    late = [event for event in company.audit.events if event.what == "notified"]
    assert [(each.outcome, each.details["told"]) for each in late] == [("failed", "no")] * 2
    company.mail.broken = None
    assert did(company.run()) == ["notify alice done", "notify bob done"]
    assert [message.to for message in company.mail.sent] == ["alice@example.com", "bob@example.com"]
    assert [event.key_id for event in company.audit.events if event.details.get("told") == "yes"] == [key_id, bob]
    assert did(company.run()) == []


def test_a_tag_that_fails_once_is_written() -> None:
    """It may be written twice, so it is tried again; nobody is told twice."""
    company = Company()
    company.user("alice", 90, told=None)
    real, tries = company.here.tag, []

    def once(*args: str) -> None:
        tries.append(args)
        if len(tries) == 1:
            raise TryLater("a page of some network")
        real(*args)

    company.here.tag = once  # type: ignore[method-assign]
    assert did(company.run()) == ["notify alice done"]
    company.advance(3)
    assert not [each for each in did(company.run()) if "notify" in each]


def test_switched_on_again_nothing_is_left() -> None:
    """Whoever took it back needs no mail that it is off."""
    company = Company()
    key_id = intended(company)
    company.here.set_active("alice", key_id, active=True)
    company.here.everybody["alice"].tags[TAG] = company.here.everybody["alice"].tags[TAG].replace(":i", ":o")
    company.run()
    assert not any("was switched off" in message.subject for message in company.mail.sent)
