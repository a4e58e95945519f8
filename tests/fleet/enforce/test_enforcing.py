"""A run of `fleet enforce` in a company in memory: what it does, in which order, and what it leaves if things break.
Nothing is done to the keys of somebody who cannot be told of it, and a key that nobody hears of is not made.

Killed anywhere, before a call or after it, the next runs do what is right, and nothing too early. An act whose owner
was not told, or whose run was cut off after it: the same run or the next one tells.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from rotate_my_key.core.errors import Denied, Interrupted, NoRoom, NotAllowed, Problem, TryLater, Unanswered, WrongUsage
from rotate_my_key.fleet.audit import NotKept
from rotate_my_key.fleet.enforce import carry_out
from rotate_my_key.fleet.enforce_plan import check, plan_run
from rotate_my_key.fleet.memory import KeyMemory
from rotate_my_key.fleet.messages import Renderer
from rotate_my_key.settings.fleet import (
    AuditSettings,
    ChannelSettings,
    Enforce,
    Exempt,
    FleetSettings,
    Owners,
    ReissueSettings,
    Remind,
)
from tests.fleet.enforce.company import DAY, HERE, RULES, TAG, Company, did, make, noticed, planned
from tests.fleet.fakes import NOW, FakeDirectory, Killed, Points, User, flat, spoil

CHANGES = {"tag", "untag", "set_active", "delete", "create"}
Does = Callable[[Company, str], Any]
NO_MAIL = TryLater("the mail server is down")


# Killed anywhere


def three() -> tuple[Company, dict[str, str], Points]:
    """Alice is to be switched off, bob's key deleted, carol told; names by key id. Each call passes two points."""
    found, points = Company(), Points()
    ids = {found.user("alice", 97)[0]: "alice", found.off("bob", 130, 12): "bob"}
    ids[found.user("carol", 90, told=None)[0]] = "carol"
    points.watch(found.here, "users", "keys", "last_use", "tags", "tag", "untag", "set_active", "delete")
    points.watch(found.mail, "deliver")
    points.watch(found.audit, "record")
    return found, ids, points


def passed() -> int:
    """How many points a whole run passes."""
    found, _, points = three()
    points.start()
    found.run()
    return len(points.names)


TOTAL = passed()


@pytest.mark.parametrize("at", range(TOTAL))
def test_killed_at_any_call(at: int) -> None:
    """Later runs end where an undisturbed one ends, no act comes before its time, and who did it stays known."""
    found, ids, points = three()
    points.start(kill_at=at)
    with pytest.raises(Killed):
        found.run()
    points.stop()
    closed = bool(found.mail.sent) and any(  # alice's turn was at its end
        found.known("alice", key_id).off for key_id in found.here.everybody["alice"].keys
    )
    notice, off, gone = {}, {}, {}
    for _ in range(18):
        outcome = found.run()
        assert outcome.code == 0, did(outcome)
        for key_id, name in ids.items():
            key = found.here.everybody[name].keys.get(key_id)
            if key is None:
                gone.setdefault(name, found.now.date())
            elif not key.active:
                off.setdefault(name, found.now.date())
                assert found.known(name, key_id).off is not None
            elif found.known(name, key_id).first:
                notice.setdefault(name, found.now.date())
        found.advance(1)
    assert set(gone) == {"alice", "bob", "carol"}
    assert (off["alice"], gone["bob"], notice["carol"]) == (day_of(0), day_of(0), day_of(0))
    assert ((gone["alice"] - off["alice"]).days, (off["carol"] - notice["carol"]).days) == (10, 7)
    sent = [(message.to, message.subject) for message in found.mail.sent]
    for name in ("alice", "bob"):
        assert any(to == f"{name}@example.com" and "deleted" in subject for to, subject in sent)
        assert f"deleted {name} done" in found.audit.lines()
    assert sum("was deactivated" in subject for _, subject in sent) in (2, 3)
    assert closed or "of alice in prod (123456789012): deactivated" in admins(found)
    assert sum(to == "carol@example.com" and "will be" in subject for to, subject in sent) <= 2
    assert TOTAL > 60


def admins(found: Company) -> str:
    """All that the admins read."""
    return " ".join(flat(message.text) for message in found.chat.sent)


def day_of(days: int) -> date:
    """A day counted from the first run."""
    return (Company().now + days * DAY).date()


# What a run does


def test_a_dry_run_changes_nothing_and_tells_nobody(company: Company) -> None:
    """Planning looks, and does no more; who is not due costs one call."""
    company.user("carol", 5)
    company.plan()
    assert [company.here.calls[verb] for verb in ("keys", "last_use", "tags")] == [1, 0, 1]
    company.user("alice", 97)
    company.user("bob", 200, told=None)
    assert planned(company.plan()) == ["notify bob", "deactivate alice"]
    assert not CHANGES & set(company.here.calls)
    assert company.mail.sent == company.chat.sent == company.audit.events == []


def test_an_act_is_written_down_before_and_after(company: Company) -> None:
    """The intent with its reason and policy, then the outcome; the tag says who did it; owner and admins are told."""
    (key_id,) = company.user("alice", 97)
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["deactivate alice done"], 0)
    assert company.status("alice") == {key_id: "Inactive"}
    assert company.known("alice", key_id).off == company.now.date()
    assert company.audit.lines() == ["deactivated alice intended", "deactivated alice done"]
    event = company.audit.events[-1]
    assert (event.account, event.key_id, event.policy) == (HERE, key_id, company.settings.fingerprint)
    assert event.why == "97 days old (maximum age is 90 days)"
    assert [message.to for message in company.mail.sent] == ["alice@example.com"]
    assert "fleet enforce --undo alice" in company.chat.sent[0].text
    assert f"{key_id} of alice" in company.chat.sent[0].text
    assert key_id not in company.mail.sent[0].text
    assert company.audit.numbers["Deactivated"] == 1


def test_a_notice_is_remembered_and_told_once_to_each_owner(company: Company) -> None:
    """One notice for all keys of an owner, whatever accounts they are in; its day stands in each tag."""
    company.user("alice", 97, told=None)
    company.user("alice", 200, 95, told=None, where=company.there)
    assert did(company.run()) == ["notify alice done"] * 3
    assert [message.to for message in company.mail.sent] == ["alice@example.com"]
    for directory in (company.here, company.there):
        for key_id in directory.everybody["alice"].keys:
            assert company.known("alice", key_id, directory).first == company.now.date()
    assert company.audit.lines() == ["notified alice done"] * 3


@pytest.mark.parametrize("told", [None, 10])
def test_a_chat_that_mentions_nobody_gives_no_notice(company: Company, told: int | None) -> None:
    """Nobody is addressed in a room, so nothing is done that needs a notice, and the admins hear why."""
    company.chat.personal = False
    company.user("alice", 200, told=told)
    company.owners = (company.chat,)
    outcome = company.run()
    assert (did(outcome), company.chat.personal) == (["spare alice: owner not reached"], False)
    assert "the channel chat addresses no single person" in company.chat.sent[-1].text.replace("\n  ", " ")


def lived(company: Company, days: int) -> list[tuple[int, str]]:
    """What is done in so many daily runs, by day."""
    seen = []
    for day in range(days):
        seen += [(day, each) for each in did(company.run()) if "done" in each]
        company.advance(1)
    return seen


def test_from_notice_to_deletion(company: Company) -> None:
    """Told, switched off a week later, deleted ten days later; each exactly once with daily runs. Where somebody else
    switched it off, it counts from the first run that saw it, and the owner is told before it is deleted."""
    (key_id,) = company.user("alice", 90, told=None)
    company.use("alice", key_id, company.now - 25 * DAY)
    acts = [(0, "notify alice done"), (7, "deactivate alice done"), (17, "delete alice done")]
    assert lived(company, 30) == acts
    assert TAG not in company.here.everybody["alice"].tags
    (key_id,) = company.user("bob", 400, told=None)
    company.here.set_active("bob", key_id, active=False)
    assert lived(company, 20) == [(3, "notify bob done"), (10, "delete bob done")]


# The facts again before each act

CHANGED: dict[str, tuple[Callable[[FakeDirectory, str], Any], str]] = {
    "the key is gone": (lambda here, key_id: here.delete("alice", key_id), "changed"),
    "somebody else switched it off": (lambda here, key_id: here.set_active("alice", key_id, False), "changed"),
    "they were made exempt": (lambda here, key_id: here.tag("alice", "rotate-my-key", "exempt"), "exempt"),
    "they joined an exempt group": (lambda here, key_id: here.everybody["alice"].groups.add("vip"), "exempt"),
    "their path is exempt": (lambda here, key_id: setattr(here.everybody["alice"], "path", "/bots/"), "exempt"),
    "another has that name": (lambda here, key_id: setattr(here.everybody["alice"], "created", NOW), "changed"),
    "they are gone": (lambda here, key_id: here.everybody.pop("alice"), "changed"),
    "its last use is unknown now": (lambda here, key_id: here.broken.update(last_use=Problem("")), "last use unknown"),
    "their notices are forgotten": (lambda here, key_id: here.untag("alice", TAG), "changed"),
    "their tags cannot be read now": (lambda here, key_id: here.broken.update(tags=Denied("denied")), "unsure"),
}


def alice(company: Company) -> User:
    """As AWS has her."""
    return company.here.everybody["alice"]


@pytest.fixture
def vips() -> Company:
    """Alice and bob have old keys; group vip and path /bots/ are exempt."""
    found = Company(replace(RULES, exempt=Exempt(groups=("vip",), paths=("/bots/",))))
    found.here.groups.add("vip")
    for name in ("alice", "bob"):
        found.user(name, 97)
    return found


def test_whoever_is_deleted_meanwhile_is_no_failure(company: Company) -> None:
    """Their owner may have been told, and there is nobody left of whom that is to be remembered."""
    company.user("alice", 97, told=None)
    plan = company.plan()
    del company.here.everybody["alice"]
    outcome = company.carry_out(plan)
    assert (outcome.code, did(outcome)) == (0, ["notify alice done"])


@pytest.mark.parametrize("sentence", CHANGED)
def test_what_changed_since_it_was_planned_is_not_done(sentence: str, vips: Company) -> None:
    """Between the plan and an act hours may pass: the facts, and who is exempt, are fetched again before each act, and
    the rules are asked again."""
    del vips.here.everybody["bob"]
    (key_id,), (change, rule) = vips.status("alice"), CHANGED[sentence]
    plan = vips.plan()
    change(vips.here, key_id)
    outcome = vips.carry_out(plan)
    assert (did(outcome), vips.audit.lines()) == ([f"spare alice: {rule}"], [])
    assert ("another" in sentence) == (outcome.spared[0][1].why == "a different user has that name now")


@pytest.mark.parametrize("verb", ["find", "members"])
def test_who_does_not_know_who_is_exempt_does_nothing(vips: Company, verb: str) -> None:
    """It is named, and the exit code says so."""
    plan = vips.plan()
    vips.breaks(verb, Denied("not allowed"))
    outcome = vips.carry_out(plan)
    assert did(outcome) == ["deactivate alice failed", "deactivate bob failed"]
    assert (outcome.code, vips.here.calls["set_active"]) == (5, 0)


@pytest.mark.parametrize(("seconds", "times"), [(0, 1), (61, 2)])
def test_groups_are_read_once_an_account_and_again_after_a_minute(vips: Company, seconds: int, times: int) -> None:
    """Not for every act: IAM throttles."""
    real, plan = vips.here.set_active, vips.plan()

    def slow(*args: Any) -> None:
        real(*args)
        vips.now += timedelta(seconds=seconds)

    vips.here.set_active = slow  # type: ignore[method-assign]
    vips.here.calls.clear()
    vips.carry_out(plan)
    assert vips.here.calls["members"] == times


EXEMPT: dict[str, tuple[Exempt, Callable[[Company], Any], list[str]]] = {
    "by tag": (Exempt(), lambda company: company.here.tag("alice", "rotate-my-key", "exempt"), ["exempt"]),
    "by name": (Exempt(names=("ali*",)), lambda company: None, ["exempt"]),
    "by group": (Exempt(groups=("x",)), lambda company: alice(company).groups.add("x"), ["exempt"]),
    "as a bot": (
        Exempt(never_signed_in=True),
        lambda company: setattr(alice(company), "password", False),
        ["exempt"],
    ),
    "and where the report cannot be read, nobody there is touched": (
        Exempt(never_signed_in=True),
        lambda company: company.breaks("report", Denied("iam:GetCredentialReport is not allowed")),
        [],
    ),
}


@pytest.mark.parametrize("sentence", EXEMPT)
def test_who_is_exempt_is_spared(sentence: str) -> None:
    """By every way there is to be exempt."""
    rules, prepare, spared = EXEMPT[sentence]
    company = Company(replace(RULES, exempt=rules))
    company.user("alice", 97)
    prepare(company)
    assert did(company.run()) == [f"spare alice: {rule}" for rule in spared]
    assert list(company.status("alice").values()) == ["Active"]


def test_exemptions_that_cannot_be_read_stop_their_account(vips: Company) -> None:
    """Who is in an exempt group is not known: nobody there is touched."""
    vips.there.groups.add("vip")
    vips.user("alice", 97, where=vips.there)
    vips.breaks("members", Denied("iam:GetGroup is not allowed"))
    outcome = vips.run()
    assert [result.account.number for result in outcome.results] == [vips.there.account.number]
    assert (list(vips.status("alice").values()), outcome.code) == (["Active"], 5)


def test_a_group_that_no_account_has_spares_everybody(vips: Company) -> None:
    """Its name is wrong: who was meant is not known. It is told to the admins. Not every account needs it."""
    vips.here.groups.clear()
    assert did(vips.run()) == ["spare alice: unsure", "spare bob: unsure"]
    assert "has the group vip of the settings" in flat(vips.chat.sent[-1].text)
    context = replace(vips.context(), whole=False)  # one account of many: another may have it
    assert [step.act.user.name for step in plan_run(context).acts] == ["alice", "bob"]
    vips.there.groups.add("vip")
    assert did(vips.run()) == ["deactivate alice done", "deactivate bob done"]


# Our own faults


@pytest.mark.parametrize("verb", ["keys", "tags", "last_use"])
def test_a_fault_with_one_user_is_a_row(vips: Company, verb: str) -> None:
    """It says where it happened, and no value; the others' turn comes."""
    (key_id,) = vips.status("alice")
    spoil(vips.here, verb, OverflowError("AKIASECRET"), lambda about: about in ("alice", key_id))
    outcome = vips.run()
    assert (did(outcome), outcome.code) == (["deactivate bob done"], 1)
    ((about, problem),) = vips.plan().broken
    assert about == "alice in prod (123456789012)"
    assert problem.message.startswith("internal error in rotate-my-key: OverflowError at fakes.py:")
    assert "AKIASECRET" not in problem.message


def test_a_fault_in_an_act_or_with_an_account_is_a_row(vips: Company) -> None:
    """What came of it is not known, and is told to the admins; the next run looks."""
    vips.there.groups.add("vip")
    spoil(vips.here, "set_active", KeyError("AKIASECRET"), lambda user, *_: user == "alice")
    spoil(vips.there, "members", KeyError("x"))
    outcome = vips.run()
    assert (did(outcome), outcome.code) == (["deactivate alice unknown", "deactivate bob done"], 1)
    assert "internal error in rotate-my-key: KeyError at fakes.py:" in admins(vips)
    assert [about for about, _ in vips.plan().broken] == ["test (210987654321)"]


# What breaks


@pytest.mark.parametrize("good", [0, 1, 2, 3])
def test_an_audit_that_fails_ends_the_run_before_the_next_act(good: int, company: Company) -> None:
    """Nothing is done whose intent is not written down, and not even a notice goes out before the first line; the
    admins are told that it stopped."""
    company.user("alice", 99)
    company.user("bob", 98)
    company.audit.good = good
    if not good:
        with pytest.raises(NotKept):
            company.run()
        assert (CHANGES & set(company.here.calls), company.mail.sent) == (set(), [])
        return
    outcome = company.run()
    assert (bool(outcome.stopped), outcome.code) == (True, 1)
    off = [name for name in ("alice", "bob") if "Inactive" in company.status(name).values()]
    intended = [event.user for event in company.audit.events if event.outcome == "intended"]
    assert off == intended == ["alice"][: good - 1]
    assert "this run: stopped: the audit cannot be written" in flat(company.chat.sent[-1].text)


@pytest.mark.parametrize("verb", ["tag", "set_active", "keys"])
def test_one_user_who_cannot_be_handled_stops_nobody_else(verb: str, company: Company) -> None:
    """One error never ends the run; nor does an account that cannot be entered. What cannot be noted in the tag is not
    done, for nobody could take it back."""
    company.user("alice", 99)
    company.user("bob", 98)
    company.user("carol", 97, where=company.there)
    spoil(company.here, verb, Denied("not allowed"), lambda user, *_: user == "alice")
    company.there.broken["users"] = Denied("the role fleet cannot be assumed")
    outcome = company.run()
    assert did(outcome) == [*["deactivate alice failed"][: verb != "keys"], "deactivate bob done"]
    assert (list(company.status("alice").values()), outcome.code) == (["Active"], 5)
    assert "test (210987654321): the role fleet cannot be assumed" in flat(company.chat.sent[0].text)
    if verb == "tag":
        assert company.audit.lines()[:2] == ["deactivated alice intended", "deactivated alice failed"]


@pytest.mark.parametrize("problem", [Unanswered("no answer"), TryLater("throttled"), Denied("denied")])
@pytest.mark.parametrize("verb", ["set_active", "delete"])
def test_a_lost_answer_is_looked_up(problem: Problem, verb: str, company: Company) -> None:
    """It was carried out whatever the answer was: the list shows it, and it is recorded as done."""
    if verb == "delete":
        company.off("alice", 120, 20)
    else:
        (key_id,) = company.user("alice", 97)
    spoil(company.here, verb, problem, times=1, done=True)
    outcome = company.run()
    word = "delete" if verb == "delete" else "deactivate"
    assert (did(outcome), outcome.code) == ([f"{word} alice done"], 0)
    told = (company.now - 10 * DAY).date()
    if verb == "delete":
        assert TAG not in company.here.everybody["alice"].tags
    else:
        assert company.known("alice", key_id) == noticed(1, told, told, off=company.now.date())


@pytest.mark.parametrize("later", ["the next run does it", "the request arrived late", "there is no list either"])
def test_throttled_to_the_end_it_is_unknown(later: str, company: Company) -> None:
    """That is said, and the next run finds out. Nothing is lost: notices count on, and it is still the fleet who did
    it, so that it can be taken back."""
    (key_id,) = company.user("alice", 97)
    spoil(company.here, "set_active", TryLater("throttled"), times=1)
    plan = company.plan()
    if "list" in later:
        spoil(company.here, "keys", TryLater("offline"), skip=1, times=1)
    outcome = company.carry_out(plan)
    assert (did(outcome), outcome.code) == (["deactivate alice unknown"], 75)
    day = company.now.date()
    if later == "the request arrived late":
        company.here.set_active("alice", key_id, False)
        company.advance(1)
        company.run()
    else:
        assert did(company.run()) == ["deactivate alice done"]
    assert company.known("alice", key_id).off == day


def test_a_notice_that_reached_nobody_is_no_notice(company: Company) -> None:
    """It is not remembered, the run says so, and the next run tries again. Nor is one that cannot be remembered."""
    (key_id,) = company.user("alice", 97, told=None)
    company.mail.broken = NO_MAIL
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["notify alice failed"], 75)
    assert company.known("alice", key_id) == KeyMemory()
    company.mail.broken = None
    company.breaks("tag", Denied("iam:TagUser is not allowed"))
    assert (did(company.run()), len(company.mail.sent)) == (["notify alice failed"], 1)
    assert "this could not be recorded" in company.audit.events[-1].details["note"]
    company.here.broken.clear()
    assert did(company.run()) == ["notify alice done"]


@pytest.mark.parametrize("problem", [Problem("no such mailbox"), WrongUsage("no region is set", "set one")])
def test_an_act_that_cannot_be_announced_is_done_and_named(problem: Problem, company: Company) -> None:
    """Its notices were given; that this one does not arrive is in the code. A setting that shows itself as wrong only
    now is exit 1 as in `remind`, not 2, for the command line was right."""
    company.user("alice", 97)
    company.mail.broken = problem
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["deactivate alice done"], 1)
    assert [each.message for each in outcome.untold] == [problem.message]


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
    for name in ("alice", "bob"):
        reached(tagged, name, 70)
    if taken_away == "before":
        del alice(tagged).tags["email"]
        assert planned(tagged.plan()) == ["reissue bob", "spare alice: owner not reached"]
    plan = tagged.plan()
    alice(tagged).tags.pop("email", None)
    assert did(tagged.carry_out(plan)) == ["reissue bob done", "spare alice: owner not reached"]
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


# Limits


def test_the_oldest_go_first_and_no_more_than_allowed(company: Company) -> None:
    """The rest is for later runs, and is named."""
    company.enforce(most=2)
    for number, age in enumerate([95, 300, 120, 200]):
        company.user(f"user{number}", age)
    acts, spared = ["deactivate user1", "deactivate user3"], ["spare user2: limit", "spare user0: limit"]
    assert planned(company.plan()) == [*acts, *spared]
    company.run()
    states = [list(company.status(f"user{number}").values()) for number in range(4)]
    assert states == [["Active"], ["Inactive"], ["Active"], ["Inactive"]]


def test_outside_of_its_hours_nothing_is_done(company: Company) -> None:
    """Notices go out; keys are left to the next run, and the admins read that they wait: else a schedule that never
    meets the hours would be silent for ever."""
    company.enforce(hours="13-17")
    company.user("alice", 97)
    company.user("bob", 97, told=None)
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["notify bob done", "spare alice: hours"], 75)
    assert company.chat.sent[-1].subject == "AWS access keys: 0 actions, some waiting"
    assert "1 action waits for a later run: it is 12:00 in UTC, but changes are" in company.chat.sent[-1].text
    company.advance(2 / 24)
    assert did(company.run()) == ["deactivate alice done", "spare bob: grace"]


def test_when_its_hours_or_its_time_end_the_rest_is_left() -> None:
    """The clock is asked before each act; as in Lambda, what was begun is finished and nothing else begins."""
    company = Company()
    company.enforce(hours="9-13")
    company.user("alice", 99)
    company.user("bob", 98)
    real = company.here.set_active

    def slow(*args: Any) -> None:
        real(*args)
        company.now += timedelta(hours=2)

    company.here.set_active = slow  # type: ignore[method-assign]
    assert did(company.run()) == ["deactivate alice done", "spare bob: hours"]
    company = Company(time_left=0)
    company.user("alice", 97)
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["spare alice: limit"], 75)
    assert "1 action waits for a later run: no time was left" in company.chat.sent[-1].text


# Who switched it off, and since when


def test_switched_on_again_it_begins_anew(company: Company) -> None:
    """Whoever took it back is not overruled on the next day: there is a notice first, and its grace."""
    (key_id,) = company.user("alice", 97)
    company.run()
    company.here.set_active("alice", key_id, active=True)
    company.advance(1)
    assert lived(company, 8) == [(0, "notify alice done"), (7, "deactivate alice done")]


def test_used_while_it_was_off_it_was_not_off(company: Company) -> None:
    """Its ten days begin anew."""
    (key_id,) = company.user("alice", 97)
    company.run()
    company.advance(10)
    company.use("alice", key_id, company.now - 5 * DAY)
    assert did(company.run()) == []
    assert company.known("alice", key_id).found_off == company.now.date()


# Settings


def makes(accounts: tuple[str, ...] = (HERE,), **how: Any) -> FleetSettings:
    """IT makes keys in these accounts."""
    enforce = Enforce(reissue_at=60 * DAY, accounts=accounts)
    return FleetSettings(enforce=enforce, reissue=ReissueSettings(enabled=True, **how))


def rules(owners: str = "mail", audit: str = "", **how: Any) -> FleetSettings:
    """Keys go at 90 days; owners are told by mail, or by a topic."""
    channels = {"mail": ChannelSettings("mail", "ses"), "topic": ChannelSettings("topic", "sns")}
    enforce = Enforce(**{"deactivate_at": 90 * DAY, "accounts": (HERE,), **how})
    remind = Remind(owners=(owners,) if owners else ())
    return FleetSettings(enforce=enforce, remind=remind, channels=channels, audit=AuditSettings(file=audit))


KMS = "arn:aws:kms:eu-west-1:123456789012:key/x"
WRONG: dict[str, tuple[FleetSettings, bool]] = {
    "nothing to enforce": (FleetSettings(), False),
    "no account is listed": (FleetSettings(enforce=Enforce(deactivate_at=DAY)), True),
    "reissue_at is set": (FleetSettings(enforce=Enforce(reissue_at=DAY)), False),
    "reissue.bucket is not set": (makes(through="s3"), False),
    "reissue.link_for is above 7 days": (makes(through="s3", bucket="b", link_for=8 * DAY), False),
    "reissue.kms_key is in eu-west-1, but": (makes(kms_key=KMS, region="eu-west-2"), False),
    "reissue.reader 'alice' is not the ARN of a role": (makes(reader="alice"), False),
    "the template folder /none cannot be used": (replace(rules(), remind=Remind(templates="/none")), False),
    "most = 0": (rules(most=0), True),
    "allows no day": (rules(weekdays=()), True),
    "no channel for owners is set": (rules(owners=""), True),
    "the channel topic addresses no single person": (rules(owners="topic"), True),
    "audit.file /none/a.jsonl cannot be written": (rules(audit="/none/a.jsonl"), True),
    "audit.file a.jsonl cannot be written": (rules(audit="a.jsonl"), True),
}


@pytest.mark.parametrize("said", WRONG)
def test_settings_that_cannot_be_meant(said: str) -> None:
    """They are refused before AWS is asked anything."""
    settings, apply = WRONG[said]
    with pytest.raises(WrongUsage, match=said):
        check(settings, apply=apply)
    check(rules(audit=os.path.abspath("a.jsonl")), apply=True)
    check(rules(owners="", notices=0), apply=True)


def test_without_accounts_a_dry_run_shows_what_the_rules_would_do(company: Company) -> None:
    """So that IT sees what to expect before it names an account. Nothing may be done, and it says so; whoever hands the
    plan on by mistake touches nothing: the rules are asked again right before each act."""
    check(FleetSettings(enforce=Enforce(deactivate_at=DAY)), apply=False)
    company.enforce(accounts=())
    (key_id,) = company.user("alice", 97)
    company.user("dave", 97, told=None)
    plan = company.plan()
    assert planned(plan) == ["notify dave", "deactivate alice"]
    assert plan.closed == "no account is listed in [enforce] accounts, so nothing will be changed"
    assert not CHANGES & set(company.here.calls)
    assert "spare alice: account" in did(company.run())
    assert company.status("alice") == {key_id: "Active"}


def test_accounts_that_are_not_there_are_said_and_those_not_named_not_entered(company: Company) -> None:
    """A digit that is wrong would else mean that nothing is ever done, in silence."""
    company.user("carol", 97, where=company.there)
    company.enforce(accounts=(HERE, "999999999999"))
    outcome = company.run()
    assert (did(outcome), outcome.code, company.there.calls) == ([], 1, {})
    assert [about for about, _ in company.plan().broken] == ["999999999999"]
    assert plan_run(replace(company.context(), whole=False)).broken == ()


def test_a_template_that_cannot_be_rendered_stops_a_run_that_did_nothing(tmp_path: Any, company: Company) -> None:
    """It is met before the first act."""
    (tmp_path / "act.txt.j2").write_text("Subject: x\n{{ nothing.there }}\n")
    company.user("alice", 97)
    context = company.context()
    broken = replace(context, notifier=replace(context.notifier, renderer=Renderer(str(tmp_path), company.now)))
    with pytest.raises(WrongUsage, match=r"act\.txt\.j2"):
        carry_out(company.plan(), broken, company.audit)
    assert not CHANGES & set(company.here.calls)


@pytest.mark.parametrize("maker", ["nobody", "AWS"])
def test_a_maker_of_keys_is_asked_and_what_it_made_is_told(maker: str) -> None:
    """The owner reads where it waits; the audit has the new id, and each act once; one that fails stops nobody else,
    and where nobody makes keys that is named."""
    company = Company(maker=make if maker == "AWS" else None)
    company.enforce(reissue_at=60 * DAY, accounts=(HERE,))
    company.user("alice", 65)
    company.user("bob", 66)
    company.user("carol", 97, 5)
    spoil(company.here, "create", NoRoom("the user has two access keys already"), lambda user: user == "bob")
    outcome = company.run()
    state = "done" if maker == "AWS" else "failed"
    assert did(outcome) == ["deactivate carol done", "reissue bob failed", f"reissue alice {state}"]
    if maker == "AWS":
        assert outcome.code == 5
        assert any("rotate-my-key adopt secretsmanager:arn:x" in message.text for message in company.mail.sent)
        assert company.audit.events[-1].details["made"] in company.status("alice")
        assert company.audit.lines().count("reissued alice done") == 1


@pytest.mark.parametrize("verb", ["last_use", "tags"])
def test_what_is_spared_because_it_cannot_be_read_is_told_to_admins(verb: str, company: Company) -> None:
    """Silence would be for ever: they hear of it in every run."""
    company.user("alice", 97)
    company.breaks(verb, Denied("not allowed"))
    company.run()
    assert "alice in prod" in company.chat.sent[0].text
    assert "could not be read" in company.chat.sent[0].text
    assert company.audit.numbers["Unsure"] == 1


def test_admins_read_who_is_stuck(tagged: Company) -> None:
    """Whoever does not fetch a new key gets no second one, so somebody must see to it: they read it in every run."""
    reached(tagged, "alice", 70)
    (key_id,) = tagged.status("alice")
    tagged.remember("alice", {key_id: KeyMemory(reissued=NOW.date() - 8 * DAY)})
    for run in range(2):
        assert did(tagged.run()) == ["spare alice: stuck"]
        text = flat(tagged.chat.sent[run].text)
        assert "alice in prod (123456789012): a new key was created on 17 November and not fetched" in text


def test_what_a_look_found_and_cannot_be_written_down_is_said(company: Company) -> None:
    """The days do not count then, and nothing is deleted."""
    (key_id,) = company.user("alice", 400, told=None)
    company.here.set_active("alice", key_id, active=False)
    company.breaks("tag", NotAllowed("the user has 50 tags already"))
    for _ in range(3):
        said = [problem.message for problem in company.run().untold]
        assert said == [f"alice in prod ({HERE}): the user has 50 tags already"]
        company.advance(30)
    assert key_id in company.status("alice")


# Ctrl-C


@pytest.mark.parametrize("verb", ["users", "keys", "tags", "members", "tag", "set_active", "delete", "deliver"])
def test_ctrl_c_is_no_error_of_a_user(verb: str) -> None:
    """It ends the run wherever it comes, with what was done so far; the next run goes on from there."""
    company = Company(replace(RULES, exempt=Exempt(groups=("bots",))))
    company.here.groups.add("bots")
    company.user("alice", 97)
    bob = company.off("bob", 130, 20)
    company.user("carol", 90, told=None)
    target: Any = company.mail if verb == "deliver" else company.here
    real = getattr(target, verb)
    spoil(target, verb, Interrupted("stopped"))
    if verb in ("users", "keys", "tags", "members"):  # while planning: nothing was begun
        with pytest.raises(Interrupted):
            company.run()
    else:
        outcome = company.run()
        assert (outcome.code, outcome.stopped and outcome.stopped.message) == (130, "stopped")
        assert company.audit.numbers["Users"] == 3
    setattr(target, verb, real)
    assert company.run().code == 0
    assert list(company.status("alice").values()) == ["Inactive"]
    assert bob not in company.status("bob")


def test_what_was_done_before_ctrl_c_is_told(company: Company) -> None:
    """The admins read of it at once: the next run would find nothing to tell."""
    company.user("alice", 98)
    company.user("bob", 97)
    asked: list[str] = []

    def check() -> None:
        asked.append("")
        if len(asked) == 2:
            raise Interrupted("stopped")

    outcome = carry_out(company.plan(), company.context(), company.audit, check=check)
    assert (did(outcome), outcome.code) == (["deactivate alice done"], 130)
    assert "enforce --undo alice" in company.chat.sent[0].text
    assert "this run: stopped" in company.chat.sent[0].text
    assert list(company.status("bob").values()) == ["Active"]


# What an earlier run left


def intended(company: Company) -> str:
    """As if a run had been killed right after the key went off."""
    (key_id,) = company.user("alice", 97)
    day = (company.now - 10 * DAY).date()
    company.here.set_active("alice", key_id, active=False)
    company.remember("alice", {key_id: noticed(1, day, day, intended=company.now.date())})
    return key_id


def test_what_was_intended_and_is_done_is_an_act_of_this_run(company: Company) -> None:
    """Written down, told to its owner and to the admins; once."""
    key_id = intended(company)
    for _ in range(2):
        company.run()
    assert company.audit.lines() == ["deactivated alice done"]
    assert company.audit.events[1].details == {"note": "found to be done by a later run"}
    assert [message.to for message in company.mail.sent] == ["alice@example.com"]
    assert "enforce --undo alice" in company.chat.sent[0].text
    assert company.known("alice", key_id).intended is None


def test_a_deletion_that_was_intended_is_found_though_the_key_is_gone(company: Company) -> None:
    """Its whole id stands in the tag, and in the audit then."""
    company.here.user("alice")
    gone = "AKIA1234567890123456"
    company.here.everybody["alice"].tags[TAG] = f"1 {gone}:m20250101:i{company.now:%Y%m%d}"
    assert did(company.run()) == ["delete alice done"]
    assert (company.audit.events[1].key_id, company.audit.lines()) == (gone, ["deleted alice done"])
    assert company.mail.sent[0].subject == "Your AWS access key was deleted"
    assert TAG not in company.here.everybody["alice"].tags
    assert did(company.run()) == []


def test_switched_on_again_nothing_is_left(company: Company) -> None:
    """Whoever took it back needs no mail that it is off."""
    key_id = intended(company)
    company.here.set_active("alice", key_id, active=True)
    company.here.everybody["alice"].tags[TAG] = company.here.everybody["alice"].tags[TAG].replace(":i", ":o")
    company.run()
    assert not any("was deactivated" in message.subject for message in company.mail.sent)


def test_a_mail_and_a_tag_that_fail_once_are_tried_again(company: Company) -> None:
    """Nobody hears of the failure, the tag is closed, and nobody is told twice."""
    (key_id,) = company.user("alice", 97)
    company.user("bob", 90, told=None)
    spoil(company.mail, "deliver", Problem("a page of some network"), lambda message: "alice" in message.to, times=1)
    spoil(company.here, "tag", TryLater("a page of some network"), lambda user, *_: user == "bob", times=1)
    outcome = company.run()
    assert (did(outcome), outcome.code, outcome.untold) == (["notify bob done", "deactivate alice done"], 0, ())
    assert "What failed" not in company.chat.sent[0].text
    assert company.known("alice", key_id).intended is None
    company.advance(3)
    assert not [each for each in did(company.run()) if "notify" in each]


def test_who_was_not_told_is_told_by_the_next_run(company: Company) -> None:
    """The admins read the name, the audit says so; the key is not acted on again."""
    (key_id,), bob = company.user("alice", 97), company.off("bob", 130, 12)
    company.mail.broken = NO_MAIL
    outcome = company.run()
    assert (sorted(did(outcome)), outcome.code) == (["deactivate alice done", "delete bob done"], 75)
    assert "its owner alice@example.com was not notified: the mail server is down" in admins(company)
    late = [event for event in company.audit.events if event.what == "notified"]
    assert [(each.outcome, each.details["told"]) for each in late] == [("failed", "no")] * 2
    company.mail.broken = None
    assert did(company.run()) == ["notify alice done", "notify bob done"]
    assert [message.to for message in company.mail.sent] == ["alice@example.com", "bob@example.com"]
    assert [event.key_id for event in company.audit.events if event.details.get("told") == "yes"] == [key_id, bob]
    assert did(company.run()) == []
