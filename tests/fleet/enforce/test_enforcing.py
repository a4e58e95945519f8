"""A run that is killed anywhere, before a call or after it: the next runs do what is right, and nothing too early.

A run of `fleet enforce` in a company in memory: what it does, in which order, and what it leaves if things break.

An act whose owner was not told, or whose run was cut off after it: the same run or the next one tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from rotate_my_key.core.errors import Denied, Interrupted, NoRoom, NotAllowed, Problem, TryLater, Unanswered, WrongUsage
from rotate_my_key.core.model import LastUse
from rotate_my_key.fleet.actions import ReissuedKey
from rotate_my_key.fleet.audit import NotKept
from rotate_my_key.fleet.enforce import carry_out
from rotate_my_key.fleet.enforce_plan import check, plan_run
from rotate_my_key.fleet.memory import KeyMemory
from rotate_my_key.settings.fleet import Enforce, Exempt, FleetSettings, ReissueSettings
from tests.fleet.enforce.company import DAY, HERE, RULES, TAG, THERE, Company, did, noticed, planned
from tests.fleet.fakes import NOW, FakeDirectory, spoil

VERBS = ("users", "keys", "last_use", "tags", "tag", "untag", "set_active", "delete")


class Killed(BaseException):
    """The process is gone."""


class Killer:
    """Counts every call that touches the world, and raises at one of them: before it is carried out, or after."""

    def __init__(self, company: Company, at: int, *, done: bool) -> None:
        self.count = 0
        self._at = at
        self._done = done
        self.alive = False
        for verb in VERBS:
            self._wrap(company.here, verb)
        self._wrap(company.mail, "deliver")
        self._wrap(company.audit, "record")

    def _wrap(self, target: Any, verb: str) -> None:
        real = getattr(target, verb)

        def call(*args: Any, **named: Any) -> Any:
            self.count += self.alive
            mine = self.alive and self.count == self._at
            if mine and not self._done:
                raise Killed
            result = real(*args, **named)
            if mine:
                raise Killed
            return result

        setattr(target, verb, call)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Within the block it kills."""
        self.alive = True
        try:
            yield
        finally:
            self.alive = False


def company() -> tuple[Company, dict[str, str]]:
    """Alice is to be switched off, bob's key deleted, carol told; names by key id."""
    found = Company()
    ids = {found.user("alice", 97)[0]: "alice"}
    (bob,) = found.user("bob", 130)
    found.here.set_active("bob", bob, active=False)
    day = (found.now - 12 * DAY).date()
    found.remember("bob", {bob: noticed(1, day, day, off=day)})
    ids[bob] = "bob"
    ids[found.user("carol", 90, told=None)[0]] = "carol"
    return found, ids


def calls() -> int:
    """How many calls a whole run makes."""
    found, _ = company()
    killer = Killer(found, 10**9, done=False)
    with killer.at_work():
        found.run()
    return killer.count


TOTAL = calls()


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, TOTAL + 1))
def test_killed_at_any_call(at: int, *, done: bool) -> None:
    """Later runs end where an undisturbed one ends, no act comes before its time, and who did it stays known."""
    found, ids = company()
    killer = Killer(found, at, done=done)
    with pytest.raises(Killed), killer.at_work():
        found.run()
    closed = bool(found.mail.sent) and any(known.off for known in tag_of(found, "alice"))  # its turn was at its end
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
    assert (off["alice"], gone["bob"]) == (day_of(0), day_of(0))
    assert (gone["alice"] - off["alice"]).days == 10
    assert (notice["carol"], (off["carol"] - notice["carol"]).days) == (day_of(0), 7)
    for name in ("alice", "bob"):
        assert (
            sum(message.to == f"{name}@example.com" and "deleted" in message.subject for message in found.mail.sent)
            >= 1
        )
        assert f"deleted {name} done" in found.audit.lines()
    assert sum("was switched off" in message.subject for message in found.mail.sent) in (2, 3)
    assert closed or "of alice in prod (123456789012): switched off" in words(found)
    assert sum(message.to == "carol@example.com" and "will be" in message.subject for message in found.mail.sent) <= 2


def tag_of(found: Company, name: str) -> list[KeyMemory]:
    """What is remembered of each key of a user."""
    return [found.known(name, key_id) for key_id in found.here.everybody[name].keys]


def words(found: Company) -> str:
    """All that the admins read."""
    return " ".join(" ".join(message.text.split()) for message in found.chat.sent)


def day_of(days: int) -> date:
    """A day counted from the first run."""
    return (Company().now + days * DAY).date()


def test_a_run_makes_enough_calls_to_be_killed_at() -> None:
    """The test above is worth something."""
    assert TOTAL > 30


DAY0 = (NOW - 20 * DAY).date()
CHANGES = {"tag", "untag", "set_active", "delete", "create"}


def test_a_dry_run_changes_nothing_and_tells_nobody(company: Company) -> None:
    """Planning looks, and does no more."""
    company.user("alice", 97)
    company.user("bob", 200, told=None)
    assert planned(company.plan()) == ["notify bob", "deactivate alice"]
    assert not CHANGES & set(company.here.calls)
    assert company.mail.sent == company.chat.sent == company.audit.events == []


def test_who_is_not_due_costs_one_call(company: Company) -> None:
    """Last use and tags are asked for only where a rule could have something to say."""
    company.user("alice", 5)
    company.plan()
    assert (company.here.calls["keys"], company.here.calls["last_use"], company.here.calls["tags"]) == (1, 0, 0)


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
    assert event.why == "97 days old, and the limit is 90 days"
    assert [message.to for message in company.mail.sent] == ["alice@example.com"]
    assert "fleet enforce --undo alice" in company.chat.sent[0].text
    assert company.audit.numbers["Deactivated"] == 1


def test_a_notice_is_remembered_and_told_once_to_each_owner(company: Company) -> None:
    """One notice for all keys of an owner, whatever accounts they are in; its day stands in each tag."""
    company.user("alice", 97, told=None)
    company.user("alice", 200, 95, told=None, where=company.there)
    outcome = company.run()
    assert did(outcome) == ["notify alice done"] * 3
    assert [message.to for message in company.mail.sent] == ["alice@example.com"]
    for directory in (company.here, company.there):
        for key_id in directory.everybody["alice"].keys:
            assert company.known("alice", key_id, directory).first == company.now.date()
    assert company.audit.lines() == ["notified alice done"] * 3


def test_from_notice_to_deletion(company: Company) -> None:
    """Told, switched off a week later, deleted ten days later; each exactly once with daily runs."""
    (key_id,) = company.user("alice", 90, told=None)
    seen = []
    for day in range(30):
        seen += [(day, each) for each in did(company.run()) if "done" in each]
        company.advance(1)
        if key_id in company.here.everybody["alice"].keys:
            company.use("alice", key_id, company.now - 25 * DAY)
    assert seen == [(0, "notify alice done"), (7, "deactivate alice done"), (17, "delete alice done")]
    assert TAG not in company.here.everybody["alice"].tags


# The facts again before each act


CHANGED: list[tuple[str, Callable[[Company, str], Any], str]] = [
    ("the key is gone", lambda company, key_id: company.here.delete("alice", key_id), "changed"),
    (
        "somebody switched it off himself",
        lambda company, key_id: company.here.set_active("alice", key_id, active=False),
        "changed",
    ),
    ("he was made exempt", lambda company, key_id: company.here.tag("alice", "rotate-my-key", "exempt"), "exempt"),
    (
        "its last use cannot be read any more",
        lambda company, key_id: company.here.broken.__setitem__("last_use", Problem("")),
        "last use unknown",
    ),
    ("his notices are forgotten", lambda company, key_id: company.here.untag("alice", TAG), "changed"),
    (
        "his tags cannot be read any more",
        lambda company, key_id: company.here.broken.__setitem__("tags", Denied("denied")),
        "unsure",
    ),
]


@pytest.mark.parametrize(("sentence", "change", "rule"), CHANGED, ids=[case[0] for case in CHANGED])
def test_what_changed_since_it_was_planned_is_not_done(
    sentence: str, change: Callable[[Company, str], Any], rule: str, company: Company
) -> None:
    """The facts are fetched again before each act, and the rules are asked again."""
    (key_id,) = company.user("alice", 97)
    context, plan = company.context(), company.plan()
    change(company, key_id)
    outcome = carry_out(plan, context, company.audit)
    assert did(outcome) == [f"spare alice: {rule}"]
    assert company.audit.lines() == []


# What breaks


def test_an_audit_that_cannot_be_written_ends_the_run_before_anything(company: Company) -> None:
    """Not even a notice goes out."""
    company.user("alice", 97)
    company.audit.good = 0
    with pytest.raises(NotKept):
        company.run()
    assert not CHANGES & set(company.here.calls)
    assert company.mail.sent == []


@pytest.mark.parametrize("good", [1, 2, 3])
def test_an_audit_that_fails_in_between_ends_the_run_before_the_next_act(good: int, company: Company) -> None:
    """Nothing is done whose intent is not written down; the admins are told that it stopped."""
    company.user("alice", 99)
    company.user("bob", 98)
    company.audit.good = good
    outcome = company.run()
    assert (bool(outcome.stopped), outcome.code) == (True, 1)
    off = [name for name in ("alice", "bob") if "Inactive" in company.status(name).values()]
    intended = [event.user for event in company.audit.events if event.outcome == "intended"]
    assert off == intended == ["alice"][: good - 1]
    assert "this run: stopped: the audit cannot be written" in " ".join(company.chat.sent[-1].text.split())


@pytest.mark.parametrize("verb", ["tag", "set_active", "keys"])
def test_one_user_who_cannot_be_handled_stops_nobody_else(verb: str, company: Company) -> None:
    """One error never ends the run."""
    company.user("alice", 99)
    company.user("bob", 98)
    spoil(company.here, verb, Denied("not allowed"), lambda user, *_: user == "alice")
    outcome = company.run()
    assert "deactivate bob done" in did(outcome)
    assert list(company.status("alice").values()) == ["Active"]
    assert outcome.code == 5


def test_what_cannot_be_noted_in_the_tag_is_not_done(company: Company) -> None:
    """Nobody could take it back: whoever has 50 tags keeps his key, and it is named."""
    company.user("alice", 97)
    company.here.broken["tag"] = NotAllowed("the user has 50 tags already")
    outcome = company.run()
    assert did(outcome) == ["deactivate alice failed"]
    assert list(company.status("alice").values()) == ["Active"]
    assert company.audit.lines() == ["deactivated alice intended", "deactivated alice failed"]


def test_a_broken_account_is_named_and_the_other_goes_on(company: Company) -> None:
    """The code says that something is wrong."""
    company.user("alice", 97)
    company.user("carol", 97, where=company.there)
    company.there.broken["users"] = Denied("the role fleet cannot be assumed")
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["deactivate alice done"], 5)
    assert "test (210987654321): the role fleet cannot be assumed" in " ".join(company.chat.sent[0].text.split())


def test_exemptions_that_cannot_be_read_stop_their_account() -> None:
    """Who is in an exempt group is not known: nobody there is touched."""
    company = Company(replace(RULES, exempt=Exempt(groups=("bots",))))
    for directory in (company.here, company.there):
        directory.groups.add("bots")
        company.user("alice", 97, where=directory)
    company.here.broken["members"] = Denied("iam:GetGroup is not allowed")
    outcome = company.run()
    assert [result.account.number for result in outcome.results] == [company.there.account.number]
    assert list(company.status("alice").values()) == ["Active"]
    assert outcome.code == 5


EXEMPT: list[tuple[str, Exempt, Callable[[Company], Any]]] = [
    ("tag", Exempt(), lambda company: company.here.tag("alice", "rotate-my-key", "exempt")),
    ("name", Exempt(names=("ali*",)), lambda company: None),
    ("group", Exempt(groups=("bots",)), lambda company: company.here.everybody["alice"].groups.add("bots")),
    ("bot", Exempt(never_signed_in=True), lambda company: setattr(company.here.everybody["alice"], "password", False)),
]


@pytest.mark.parametrize(("sentence", "rules", "make"), EXEMPT, ids=[case[0] for case in EXEMPT])
def test_who_is_exempt_is_spared(sentence: str, rules: Exempt, make: Callable[[Company], Any]) -> None:
    """By every way there is to be exempt."""
    company = Company(replace(RULES, exempt=rules))
    company.user("alice", 97)
    make(company)
    assert did(company.run()) == ["spare alice: exempt"]


def test_a_bot_rule_without_a_report_spares_the_account() -> None:
    """Who has a password only the credential report tells; without it nobody is touched."""
    company = Company(replace(RULES, exempt=Exempt(never_signed_in=True)))
    company.user("alice", 97)
    company.here.broken["report"] = Denied("iam:GetCredentialReport is not allowed")
    assert did(company.run()) == []
    assert list(company.status("alice").values()) == ["Active"]


@pytest.mark.parametrize("problem", [Unanswered("no answer"), TryLater("throttled"), Denied("denied")])
def test_a_lost_answer_is_looked_up(problem: Problem, company: Company) -> None:
    """It was carried out whatever the answer was: the list shows it, and it is recorded as done."""
    (key_id,) = company.user("alice", 97)
    spoil(company.here, "set_active", problem, times=1, done=True)
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["deactivate alice done"], 0)
    told = (company.now - 10 * DAY).date()
    assert company.known("alice", key_id) == noticed(1, told, told, off=company.now.date())


def test_a_deletion_whose_answer_is_lost_is_looked_up(company: Company) -> None:
    """The key is not in the list any more."""
    (key_id,) = company.user("alice", 120, told=None)
    company.here.set_active("alice", key_id, active=False)
    day = (company.now - 20 * DAY).date()
    company.remember("alice", {key_id: noticed(1, day, day, off=day)})
    spoil(company.here, "delete", Unanswered("no answer"), times=1, done=True)
    assert did(company.run()) == ["delete alice done"]
    assert TAG not in company.here.everybody["alice"].tags


def test_throttled_to_the_end_it_is_unknown_and_the_next_run_does_it(company: Company) -> None:
    """Nothing is lost: notices count on, and it is still the fleet who did it."""
    (key_id,) = company.user("alice", 97)
    company.here.broken["set_active"] = TryLater("throttled")
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["deactivate alice unknown"], 75)
    del company.here.broken["set_active"]
    assert did(company.run()) == ["deactivate alice done"]
    assert company.known("alice", key_id).off == company.now.date()


def test_carried_out_after_all_it_is_known_who_did_it(company: Company) -> None:
    """The request arrived late, when the run was over: by the tag it was the fleet, so it can be taken back."""
    (key_id,) = company.user("alice", 97)
    company.here.broken["set_active"] = TryLater("no answer")
    company.run()
    del company.here.broken["set_active"]
    company.here.set_active("alice", key_id, active=False)
    day = company.now.date()
    company.advance(1)
    company.run()
    assert company.known("alice", key_id).off == day


def test_a_notice_that_reached_nobody_is_no_notice(company: Company) -> None:
    """It is not remembered, the run says so, and the next run tries again."""
    (key_id,) = company.user("alice", 97, told=None)
    company.mail.broken = TryLater("the mail server is down")
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["notify alice failed"], 75)
    assert company.known("alice", key_id) == KeyMemory()
    company.mail.broken = None
    assert did(company.run()) == ["notify alice done"]


def test_without_an_address_nothing_is_ever_taken_away() -> None:
    """Nobody could be told, so the key is spared, run after run, and named."""
    company = Company(replace(RULES, owners=replace(RULES.owners, domain="")))
    company.user("alice", 400, told=None)
    for _ in range(3):
        assert did(company.run()) == ["spare alice: owner not reached"]
        company.advance(30)


def test_an_act_that_cannot_be_announced_is_done_and_named(company: Company) -> None:
    """Its notices were given; that this one does not arrive is in the code."""
    company.user("alice", 97)
    company.mail.broken = Problem("the address is refused")
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["deactivate alice done"], 1)
    assert [problem.message for problem in outcome.untold] == ["the address is refused"]


# Limits


def test_the_oldest_go_first_and_no_more_than_allowed(company: Company) -> None:
    """The rest is for later runs, and is named."""
    company.enforce(most=2)
    for number, age in enumerate([95, 300, 120, 200]):
        company.user(f"user{number}", age)
    assert planned(company.plan()) == [
        *("deactivate user1", "deactivate user3"),
        *("spare user2: limit", "spare user0: limit"),
    ]
    company.run()
    assert [list(company.status(f"user{number}").values()) for number in range(4)] == [
        ["Active"],
        ["Inactive"],
        ["Active"],
        ["Inactive"],
    ]


def test_outside_of_its_hours_nothing_is_done(company: Company) -> None:
    """Notices go out; keys are left to the next run, and the admins read that they wait: else a schedule that never
    meets the hours would be silent for ever."""
    company.enforce(hours="13-17")
    company.user("alice", 97)
    company.user("bob", 97, told=None)
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["notify bob done", "spare alice: hours"], 75)
    assert company.chat.sent[-1].subject == "AWS access keys: 0 acts, some wait"
    assert "1 act waits for a later run: it is 12:00 in UTC, and acts are" in company.chat.sent[-1].text
    company.advance(2 / 24)
    assert did(company.run()) == ["deactivate alice done", "spare bob: grace"]


def test_when_its_hours_end_in_the_middle_of_a_run_it_stops(company: Company) -> None:
    """The clock is asked before each act."""
    company.enforce(hours="9-13")
    company.user("alice", 99)
    company.user("bob", 98)
    real = company.here.set_active

    def slow(*args: Any) -> None:
        real(*args)
        company.now += timedelta(hours=2)

    company.here.set_active = slow  # type: ignore[method-assign]
    assert did(company.run()) == ["deactivate alice done", "spare bob: hours"]


def test_when_time_is_up_the_rest_is_left_to_the_next_run() -> None:
    """As in Lambda: what was begun is finished, nothing else begins."""
    company = Company(time_left=0)
    company.user("alice", 97)
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["spare alice: limit"], 75)
    assert "1 act waits for a later run: no time was left" in company.chat.sent[-1].text


# Who switched it off, and since when


def test_switched_off_by_somebody_else_it_counts_from_the_first_run_that_saw_it(company: Company) -> None:
    """Never assumed: the day is written down, and its owner is told before it is deleted."""
    (key_id,) = company.user("alice", 400, told=None)
    company.here.set_active("alice", key_id, active=False)
    seen = []
    for day in range(20):
        seen += [(day, each) for each in did(company.run()) if "done" in each]
        company.advance(1)
    assert seen == [(3, "notify alice done"), (10, "delete alice done")]


def test_switched_on_again_it_begins_anew(company: Company) -> None:
    """Whoever took it back is not overruled on the next day: there is a notice first, and its grace."""
    (key_id,) = company.user("alice", 97)
    company.run()
    company.here.set_active("alice", key_id, active=True)
    company.advance(1)
    assert did(company.run()) == ["notify alice done"]
    company.advance(6)
    assert did(company.run()) == ["spare alice: grace"]
    company.advance(1)
    assert did(company.run()) == ["deactivate alice done"]


def test_used_while_it_was_off_it_was_not_off(company: Company) -> None:
    """Its ten days begin anew."""
    (key_id,) = company.user("alice", 97)
    company.run()
    company.advance(10)
    company.here.everybody["alice"].used[key_id] = LastUse(company.now - 5 * DAY, "s3", "eu-west-1")
    assert did(company.run()) == []
    assert company.known("alice", key_id).found_off == company.now.date()


# Settings


def makes(accounts: tuple[str, ...] = (HERE,), **how: Any) -> FleetSettings:
    """IT makes keys in these accounts."""
    enforce = Enforce(reissue_at=60 * DAY, accounts=accounts)
    return FleetSettings(enforce=enforce, reissue=ReissueSettings(enabled=True, **how))


WRONG: list[tuple[str, FleetSettings, bool, str]] = [
    ("nothing set", FleetSettings(), False, "nothing is to be enforced"),
    ("no accounts", FleetSettings(enforce=Enforce(deactivate_at=DAY)), True, "no account is named"),
    ("no reissue", FleetSettings(enforce=Enforce(reissue_at=DAY)), False, "reissue_at is set"),
    ("nobody can read", makes(accounts=(HERE, THERE)), False, f"account {THERE} cannot read a secret of another"),
    ("no bucket", makes(through="s3"), False, "reissue.bucket is not set"),
    ("no such reader", makes(reader="alice"), False, "reissue.reader 'alice' is neither a role's ARN"),
]


@pytest.mark.parametrize(("sentence", "settings", "apply", "said"), WRONG, ids=[case[0] for case in WRONG])
def test_settings_that_cannot_be_meant(sentence: str, settings: FleetSettings, apply: bool, said: str) -> None:
    """They are refused before AWS is asked anything."""
    with pytest.raises(WrongUsage, match=said):
        check(settings, apply=apply)


def test_a_key_that_its_user_could_not_read_is_not_even_planned() -> None:
    """Seen once it is known who asks and which accounts there are: no user is looked at, and nobody told."""
    company = Company()
    company.enforce(accounts=(THERE,), reissue_at=60 * DAY)
    with pytest.raises(WrongUsage, match=f"account {THERE} cannot read a secret of account {HERE}"):
        company.plan()
    assert company.there.calls == {}


def test_without_accounts_a_dry_run_shows_what_the_rules_would_do() -> None:
    """So that IT sees what to expect before it names an account. Nothing may be done, and it says so."""
    check(FleetSettings(enforce=Enforce(deactivate_at=DAY)), apply=False)
    company = Company()
    company.enforce(accounts=())
    company.user("alice", 97)
    company.user("dave", 97, told=None)
    plan = company.plan()
    assert planned(plan) == ["notify dave", "deactivate alice"]
    assert plan.closed == "no account is named in [enforce] accounts, so nothing may be done"
    assert not CHANGES & set(company.here.calls)


def test_a_plan_without_accounts_is_never_carried_out(company: Company) -> None:
    """Whoever hands it on by mistake touches nothing: the rules are asked again right before each act."""
    company.enforce(accounts=())
    (key_id,) = company.user("alice", 97)
    assert did(company.run()) == ["spare alice: account"]
    assert company.status("alice") == {key_id: "Active"}


def test_an_account_that_is_named_and_not_there_is_said(company: Company) -> None:
    """A digit that is wrong would else mean that nothing is ever done, in silence."""
    company.enforce(accounts=(HERE, "999999999999"))
    outcome = company.run()
    assert outcome.code == 1
    assert [about for about, _ in company.plan().broken] == ["999999999999"]
    context = replace(company.context(), whole=False)
    assert plan_run(context).broken == ()


def test_accounts_that_are_not_named_are_not_even_entered(company: Company) -> None:
    """Only the accounts of [enforce]."""
    company.enforce(accounts=(HERE,))
    company.user("carol", 97, where=company.there)
    assert (did(company.run()), company.there.calls) == ([], {})


def test_a_template_that_cannot_be_rendered_stops_a_run_that_did_nothing(tmp_path: Any) -> None:
    """It is met before the first act."""
    (tmp_path / "act.txt.j2").write_text("Subject: x\n{{ nothing.there }}\n")
    company = Company(replace(RULES, remind=replace(RULES.remind, templates=str(tmp_path))))
    company.user("alice", 97)
    context = company.context()
    from rotate_my_key.fleet.messages import Renderer

    broken = replace(context, notifier=replace(context.notifier, renderer=Renderer(str(tmp_path), company.now)))
    with pytest.raises(WrongUsage, match=r"act\.txt\.j2"):
        carry_out(company.plan(), broken, company.audit)
    assert not CHANGES & set(company.here.calls)


def test_it_makes_no_key_where_nobody_can() -> None:
    """A run without a maker names it and goes on."""
    company = Company()
    company.enforce(reissue_at=60 * DAY, accounts=(HERE,))
    company.user("alice", 65)
    company.user("bob", 97, 5)
    assert sorted(did(company.run())) == ["deactivate bob done", "reissue alice failed"]


@pytest.mark.parametrize("verb", ["last_use", "tags"])
def test_what_is_spared_because_it_cannot_be_read_is_told_to_admins(verb: str, company: Company) -> None:
    """Silence would be for ever: they hear of it in every run."""
    company.user("alice", 97)
    company.here.broken[verb] = Denied("not allowed")
    company.run()
    assert "alice in prod" in company.chat.sent[0].text
    assert "could not be read" in company.chat.sent[0].text
    assert company.audit.numbers["Unsure"] == 1


# Ctrl-C


@pytest.mark.parametrize("verb", ["users", "keys", "tags", "members", "tag", "set_active", "delete", "deliver"])
def test_ctrl_c_is_no_error_of_a_user(verb: str) -> None:
    """It ends the run wherever it comes, with what was done so far; the next run goes on from there."""
    company = Company(replace(RULES, exempt=Exempt(groups=("bots",))))
    company.here.groups.add("bots")
    company.user("alice", 97)
    (bob,) = company.user("bob", 130)
    company.here.set_active("bob", bob, active=False)
    company.remember("bob", {bob: noticed(1, DAY0, DAY0, off=DAY0)})
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


def test_a_maker_of_keys_is_asked_and_what_it_made_is_told() -> None:
    """The owner reads where it waits; the audit has the new id, and each act once; one that fails stops nobody else."""
    company = Company()
    company.enforce(reissue_at=60 * DAY, accounts=(HERE,))
    company.user("alice", 65)
    company.user("bob", 66)

    def make(directory: FakeDirectory, user: Any) -> ReissuedKey:
        if user.name == "bob":
            raise NoRoom("the user has two access keys already")
        pair, _ = directory.create(user.name)
        return ReissuedKey(pair.key_id, "secretsmanager:arn:x", ("made",))

    company.maker = make
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["reissue bob failed", "reissue alice done"], 5)
    assert "rotate-my-key adopt secretsmanager:arn:x" in company.mail.sent[0].text
    assert company.audit.events[-1].details["made"] in company.status("alice")
    assert company.audit.lines().count("reissued alice done") == 1


def test_whether_it_was_carried_out_may_stay_unknown(company: Company) -> None:
    """Neither an answer nor a list: that is said, and the next run finds out."""
    company.user("alice", 97)

    def drop(*args: Any) -> None:
        company.here.broken["keys"] = TryLater("offline")
        raise Unanswered("no answer")

    company.here.set_active = drop  # type: ignore[assignment, method-assign]
    outcome = company.run()
    assert (did(outcome), outcome.code) == (["deactivate alice unknown"], 75)


def test_what_a_look_found_and_cannot_be_written_down_is_said(company: Company) -> None:
    """The days do not count then, and nothing is deleted."""
    (key_id,) = company.user("alice", 400, told=None)
    company.here.set_active("alice", key_id, active=False)
    company.here.broken["tag"] = NotAllowed("the user has 50 tags already")
    for _ in range(3):
        outcome = company.run()
        assert [problem.message for problem in outcome.untold] == [
            f"alice in prod ({HERE}): the user has 50 tags already"
        ]
        company.advance(30)
    assert key_id in company.status("alice")


def test_what_is_told_and_cannot_be_remembered_is_no_notice(company: Company) -> None:
    """It went out, and does not count."""
    company.user("alice", 97, told=None)
    company.here.broken["tag"] = Denied("iam:TagUser is not allowed")
    outcome = company.run()
    assert (did(outcome), len(company.mail.sent)) == (["notify alice failed"], 1)
    assert "it cannot be remembered" in company.audit.events[-1].details["note"]


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
    assert company.audit.events[1].details == {"note": "found done by a later run"}
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


def test_a_mail_that_fails_once_is_sent_at_the_end_of_the_run(company: Company) -> None:
    """Nobody hears of the failure, and the tag is closed."""
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


def test_who_was_not_told_is_told_by_the_next_run(company: Company) -> None:
    """The admins read his name, the audit says so; the key is not acted on again."""
    (key_id,) = company.user("alice", 97)
    (bob,) = company.user("bob", 130)
    company.here.set_active("bob", bob, active=False)
    day = (company.now - 12 * DAY).date()
    company.remember("bob", {bob: noticed(1, day, day, off=day)})
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


def test_a_tag_that_fails_once_is_written(company: Company) -> None:
    """It may be written twice, so it is tried again; nobody is told twice."""
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


def test_switched_on_again_nothing_is_left(company: Company) -> None:
    """Whoever took it back needs no mail that it is off."""
    key_id = intended(company)
    company.here.set_active("alice", key_id, active=True)
    company.here.everybody["alice"].tags[TAG] = company.here.everybody["alice"].tags[TAG].replace(":i", ":o")
    company.run()
    assert not any("was switched off" in message.subject for message in company.mail.sent)
