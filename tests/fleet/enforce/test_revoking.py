"""Everything of one user is switched off now, waits for nothing that is not needed for that, and can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import pytest

from rotate_my_key.core.errors import Denied, Interrupted, KeyRefused, NotAllowed, Problem, TryLater, Unanswered
from rotate_my_key.core.model import LastUse
from rotate_my_key.fleet.audit import NotKept
from rotate_my_key.fleet.memory import KeyMemory
from rotate_my_key.fleet.revoke import (
    Cause,
    RevokeContext,
    SwitchResult,
    end_sessions,
    find,
    own_key,
    restorable,
    revoke,
    take_back,
)
from rotate_my_key.fleet.users import accounts_named
from tests.fleet.enforce.company import DAY, HERE, TAG, THERE, Company, did
from tests.fleet.fakes import spoil

LONG = 10.0  # seconds; a test that fails waits so long


@dataclass
class Leak:
    """Alice has two keys here and one there; `off` is set once all of them are off."""

    company: Company = field(default_factory=Company)
    off: Event = field(default_factory=Event)
    quick: float = 2.0

    def __post_init__(self) -> None:
        self.company.user("alice", 30, 3)
        self.company.user("alice", 200, where=self.company.there)
        for directory in (self.company.here, self.company.there):
            self._watch(directory)

    def _watch(self, directory: Any) -> None:
        real = directory.set_active

        def switched(user: str, key_id: str, active: bool) -> None:
            real(user, key_id, active)
            if not self.working():
                self.off.set()

        directory.set_active = switched

    def working(self) -> int:
        """How many of her keys work."""
        both = (self.company.status("alice"), self.company.status("alice", self.company.there))
        return sum(status == "Active" for each in both for status in each.values())

    def only_after(self, target: Any, verb: str, problem: Problem | None = None) -> Callable[[], None]:
        """A verb that is throttled until all keys are off; then it works, or fails."""
        real = getattr(target, verb)

        def slow(*args: Any) -> Any:
            assert self.off.wait(LONG)
            if problem:
                raise problem
            return real(*args)

        setattr(target, verb, slow)
        return lambda: setattr(target, verb, real)

    @property
    def tools(self) -> RevokeContext:
        """What the engine is handed; a moment is short here."""
        company = self.company
        return RevokeContext(
            company.organization,
            company.settings,
            company.audit,
            lambda: company.now,
            2,
            shortly=0.02,
            quick=self.quick,
        )

    def found(self, **how: bool) -> list[Any]:
        """What is shown first."""
        return find(self.tools, accounts_named(self.company.organization.accounts(), ()), "alice", **how)

    def revoke(self) -> list[SwitchResult]:
        """`fleet revoke alice --yes`."""
        return revoke(self.tools, self.found(uses=False, quick=True), "leaked")


@pytest.fixture
def leak() -> Leak:
    """A key of alice leaked."""
    return Leak()


ODD = [NotAllowed("OptInRequired"), Problem("ValidationError"), KeyRefused("unknown"), TryLater("later"), KeyError(1)]


@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
def test_an_odd_answer_about_last_use_stops_nothing(leak: Leak, error: Exception) -> None:
    """It is unknown then, whatever the answer was; the keys are found and go off."""
    spoil(leak.company.there, "last_use", error)
    (here, there) = leak.found()
    assert [key.last_use for key in there.user.keys] == [None]
    assert all(key.last_use for key in here.user.keys)
    leak.revoke()
    assert leak.working() == 0


@pytest.mark.parametrize("error", [NotAllowed("no role"), KeyError("x")])
def test_an_account_that_cannot_be_entered_is_named(leak: Leak, error: Exception) -> None:
    """The others go on, whatever it was; of a fault it is said where, and no value."""
    spoil(leak.company.organization, "directory", error, lambda account: account.number == THERE)
    done = leak.revoke()
    assert leak.working() == 1
    (failed,) = [each for each in done if each.problem]
    assert failed.account.number == THERE
    assert failed.problem and ("no role" in failed.problem.message or "KeyError at fakes" in failed.problem.message)


@pytest.mark.parametrize("verb", ["keys", "tags", "tag", "set_active"])
def test_a_fault_in_one_account_leaves_the_others(leak: Leak, verb: str) -> None:
    """Our own too."""
    spoil(leak.company.there, verb, KeyError("AKIASECRET"))
    done = leak.revoke()
    assert set(leak.company.status("alice").values()) == {"Inactive"}
    assert "AKIASECRET" not in str([(each.problem, each.notes) for each in done])


def test_no_last_use_is_asked_for_before_keys_go_off(leak: Leak) -> None:
    """Nobody reads it with `--yes`."""
    leak.revoke()
    assert not leak.company.here.calls["last_use"]


def test_what_does_not_come_soon_is_not_known(leak: Leak) -> None:
    """Before the question: what there is in a moment is shown."""
    leak.quick = 0.02
    leak.only_after(leak.company.here, "last_use")
    (here, there) = leak.found(quick=True)
    assert [key.last_use for key in here.user.keys] == [None, None]
    assert there.user.keys[0].last_use
    leak.off.set()


@pytest.mark.parametrize("verb", ["tags", "tag"])
def test_keys_do_not_wait_for_the_tag(leak: Leak, verb: str) -> None:
    """They go off, then the tag is written, and it can be undone."""
    found = leak.found(uses=False)
    leak.only_after(leak.company.here, verb)
    done = revoke(leak.tools, found, "leaked")
    assert [(each.problem, each.notes) for each in done] == [(None, ())] * 3
    assert len(take_back(leak.tools, leak.found(), Cause.REVOKE)) == 3


def test_what_could_not_be_noted_is_tried_once_more(leak: Leak) -> None:
    """Throttled for as long as it was waited for, it is tried again when all keys are off."""
    well = leak.only_after(leak.company.here, "tag", TryLater("throttled"))
    real = leak.company.here.set_active

    def mended(user: str, key_id: str, active: bool) -> None:
        real(user, key_id, active)
        if not leak.working():
            well()

    leak.company.here.set_active = mended  # type: ignore[method-assign]
    assert not any(each.notes for each in leak.revoke())
    leak.company.here.broken["tag"] = TryLater("throttled")
    assert len(take_back(leak.tools, leak.found(), Cause.REVOKE)) == 3


def test_keys_do_not_wait_for_the_audit(leak: Leak) -> None:
    """Its lines are written after, each with its own time, in one go."""
    sent: list[int] = []
    real = leak.company.audit.record

    def slow(*events: Any) -> None:
        assert leak.off.wait(LONG)
        sent.append(len(events))
        real(*events)

    leak.company.audit.record = slow  # type: ignore[method-assign]
    done = leak.revoke()
    assert not any(each.notes for each in done)
    assert sorted(leak.company.audit.lines()) == ["revoked alice done"] * 3 + ["revoked alice intended"] * 3
    assert len(sent) <= 3  # those that were on their way, and the rest


def test_an_audit_that_never_comes_is_told(leak: Leak) -> None:
    """Of each key that it lacks."""
    leak.only_after(leak.company.audit, "record", NotKept("the audit cannot be written (throttled)"))
    done = leak.revoke()
    assert leak.working() == 0
    assert [each.notes for each in done] == [("the audit cannot be written (throttled)",)] * 3


def test_the_key_that_signs_waits_for_both(leak: Leak) -> None:
    """Nothing can be written after it."""
    signs = next(iter(leak.company.status("alice")))
    tools = replace(leak.tools, signs=signs)
    order: list[str] = []
    for target, verb in ((leak.company.here, "tag"), (leak.company.audit, "record"), (leak.company.here, "set_active")):
        real = getattr(target, verb)

        def noted(*args: Any, verb: str = verb, real: Any = real) -> Any:
            order.append(verb)
            return real(*args)

        setattr(target, verb, noted)
    found = leak.found()
    mine = own_key(tools, found)
    assert mine and mine[0].account.number == HERE
    revoke(tools, found, "leaked")
    assert order[-4:] == ["tag", "record", "set_active", "record"]
    assert leak.working() == 0


@pytest.mark.parametrize("verb", ["tags", "tag"])
def test_ctrl_c_in_what_runs_beside_is_ctrl_c(leak: Leak, verb: str) -> None:
    """It is no error of the tag."""
    found = leak.found()
    spoil(leak.company.here, verb, Interrupted("stopped"))
    with pytest.raises(Interrupted):
        revoke(leak.tools, found, "leaked")


FAULTS = [Denied("denied"), TryLater("later"), Unanswered("lost"), Problem("odd"), Interrupted("stopped"), KeyError(1)]
VERBS = {"keys": 3, "tags": 1, "tag": 1, "set_active": 2}  # of the account with two keys; how often


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("verb", "call"), [(verb, call) for verb, most in VERBS.items() for call in range(1, most + 1)]
)
def test_one_fault_anywhere(verb: str, call: int, error: Exception, done: bool) -> None:
    """All keys are off in the end, whatever was lost; what is not noted is said; undoing brings back what is noted."""
    leak = Leak()
    spoil(leak.company.here, verb, error, skip=call - 1, times=1, done=done)
    said: list[str] = []
    try:
        switched = leak.revoke()
    except Interrupted:
        assert isinstance(error, Interrupted)
    else:
        assert set(leak.company.status("alice", leak.company.there).values()) == {"Inactive"}
        said = [note for each in switched for note in each.notes]
        named = [each for each in switched if each.problem]
        assert named or said or leak.working() == 0
        assert bool(leak.working()) <= bool(named)
    leak.revoke()
    assert leak.working() == 0
    restored = take_back(leak.tools, leak.found(), Cause.REVOKE)
    lost = 3 - len(restored)
    assert not lost or any("cannot be undone" in note for note in said) or isinstance(error, Interrupted)


@dataclass
class Desk:
    """A company, and IT at work on alice."""

    company: Company = field(default_factory=Company)

    @property
    def tools(self) -> RevokeContext:
        """What the engine is handed."""
        company = self.company
        return RevokeContext(company.organization, company.settings, company.audit, lambda: company.now, workers=2)

    def found(self, *accounts: str) -> Any:
        """What is shown first."""
        there = accounts_named(self.company.organization.accounts(), accounts)
        return find(self.tools, there, "alice")

    def revoke(self) -> list[SwitchResult]:
        """`fleet revoke alice`."""
        return revoke(self.tools, self.found(), "leaked")

    def undo(self, cause: Cause = Cause.REVOKE) -> list[SwitchResult]:
        """`fleet revoke --undo alice`, or enforce's."""
        return take_back(self.tools, self.found(), cause)


@pytest.fixture
def desk() -> Desk:
    """Alice has two keys here and one there, bob has one."""
    found = Desk()
    found.company.user("alice", 30, 3)
    found.company.user("alice", 200, where=found.company.there)
    found.company.user("bob", 30)
    return found


def test_all_keys_in_all_accounts_and_nobody_elses(desk: Desk) -> None:
    """Whatever their age, in every account; recorded with the reason."""
    done = desk.revoke()
    assert [each.problem for each in done] == [None] * 3
    assert set(desk.company.status("alice").values()) == {"Inactive"}
    assert set(desk.company.status("alice", desk.company.there).values()) == {"Inactive"}
    assert set(desk.company.status("bob").values()) == {"Active"}
    assert sorted(desk.company.audit.lines()) == ["revoked alice done"] * 3 + ["revoked alice intended"] * 3
    assert {event.why for event in desk.company.audit.events} == {"leaked"}


def test_it_is_undone_as_it_was(desk: Desk) -> None:
    """Every key works again, and its notices begin anew."""
    desk.revoke()
    assert len(desk.undo()) == 3
    assert set(desk.company.status("alice").values()) == {"Active"}
    for key_id in desk.company.status("alice"):
        assert desk.company.known("alice", key_id) == KeyMemory(back=desk.company.now.date())
    assert desk.undo() == []


def test_looking_changes_nothing(desk: Desk) -> None:
    """What is shown before the question."""
    assert [len(held.user.keys) for held in desk.found()] == [2, 1]
    assert desk.company.audit.events == []
    assert not {"tag", "set_active"} & set(desk.company.here.calls)


def test_an_account_that_is_named_is_the_only_one(desk: Desk) -> None:
    """`--account` limits it."""
    revoke(desk.tools, desk.found(THERE), "left")
    assert set(desk.company.status("alice").values()) == {"Active"}
    assert set(desk.company.status("alice", desk.company.there).values()) == {"Inactive"}


def test_who_is_nowhere_is_found_nowhere() -> None:
    """No such user in any account."""
    assert Desk().found() == []


def test_what_was_off_before_stays_off(desk: Desk) -> None:
    """Undoing does not switch on what somebody else switched off."""
    first, second = desk.company.status("alice")
    desk.company.here.set_active("alice", first, active=False)
    assert len(desk.revoke()) == 2
    desk.undo()
    assert desk.company.status("alice") == {first: "Inactive", second: "Active"}


def test_what_enforce_had_switched_off_is_not_revokes_to_undo(desk: Desk) -> None:
    """And the other way round: each takes back its own."""
    desk.company.user("alice", 97, 5)
    old, young = desk.company.status("alice")
    desk.company.enforce(accounts=(HERE,))
    assert "deactivate alice done" in did(desk.company.run())
    desk.revoke()
    desk.undo()
    assert desk.company.status("alice") == {old: "Inactive", young: "Active"}
    assert [each.key and each.key.key_id for each in desk.undo(Cause.ENFORCE)] == [old]
    assert desk.company.status("alice") == {old: "Active", young: "Active"}


def test_taken_back_enforce_begins_with_a_notice(desk: Desk) -> None:
    """It does not switch it off again the next day."""
    desk.company.user("alice", 97)
    desk.company.enforce(accounts=(HERE,))
    desk.company.run()
    desk.undo(Cause.ENFORCE)
    desk.company.advance(1)
    assert did(desk.company.run()) == ["notify alice done"]


@pytest.mark.parametrize("undone", ["by us", "by hand"])
def test_taken_back_it_rests_also_where_no_notices_are_given(desk: Desk, undone: str) -> None:
    """The next run does not undo the undoing, whoever did it; later the rules go on."""
    company = desk.company
    (key_id,) = company.user("alice", 97)
    company.enforce(accounts=(HERE,), notices=0, grace=0 * DAY)
    company.run()
    if undone == "by us":
        desk.undo(Cause.ENFORCE)
    else:
        company.here.set_active("alice", key_id, active=True)
    outcome = company.run()
    assert [spare.why for _, spare in outcome.spared] == ["switched on again on 25 November, so not before 28 November"]
    company.advance(2)
    assert did(company.run()) == ["spare alice: grace"]
    company.advance(1)
    assert did(company.run()) == ["deactivate alice done"]


def test_switched_on_and_off_again_by_somebody_it_is_his(desk: Desk) -> None:
    """A use after the day says that it was on in between: who switched it off last is not known."""
    desk.revoke()
    desk.company.advance(5)
    key_id = next(iter(desk.company.status("alice")))
    desk.company.here.everybody["alice"].used[key_id] = LastUse(desk.company.now - 2 * DAY, "s3", "eu-west-1")
    (here, _) = desk.found()
    assert key_id not in [key.key_id for key in restorable(here, Cause.REVOKE)]


def test_a_key_that_was_made_in_between_goes_too(desk: Desk) -> None:
    """The thief makes another one while the first is switched off."""
    real = desk.company.there.set_active

    def quick(user: str, key_id: str, active: bool) -> None:
        desk.company.there.set_active = real  # type: ignore[method-assign]
        desk.company.there.create("alice")
        real(user, key_id, active)

    desk.company.there.set_active = quick  # type: ignore[method-assign]
    desk.revoke()
    assert list(desk.company.status("alice", desk.company.there).values()) == ["Inactive", "Inactive"]
    desk.undo()
    assert list(desk.company.status("alice", desk.company.there).values()) == ["Active", "Active"]


def test_an_account_that_fails_is_named_and_the_others_go_on(desk: Desk) -> None:
    """Nothing keeps the other account from it."""
    desk.company.there.broken["keys"] = Denied("the role fleet cannot be assumed")
    (here, there) = desk.found()
    assert (here.problem, there.problem and there.problem.code) == (None, 5)
    done = desk.revoke()
    assert set(desk.company.status("alice").values()) == {"Inactive"}
    assert [str(each.problem) for each in done if each.problem] == ["the role fleet cannot be assumed"]


def test_a_key_that_cannot_be_switched_off_is_named(desk: Desk) -> None:
    """It is not said to be off, nor noted so: if somebody else switches it off, that is not ours to undo."""
    desk.company.there.broken["set_active"] = Denied("iam:UpdateAccessKey is not allowed")
    done = desk.revoke()
    assert [each.account.number for each in done if each.problem] == [THERE]
    (key_id,) = desk.company.status("alice", desk.company.there)
    assert desk.company.known("alice", key_id, desk.company.there).revoked is None
    assert "revoked alice failed" in desk.company.audit.lines()


@pytest.mark.parametrize("problem", [Unanswered("no answer"), TryLater("throttled")])
def test_a_lost_answer_is_looked_up(desk: Desk, problem: Any) -> None:
    """The list says that it is off."""
    spoil(desk.company.there, "set_active", problem, times=1, done=True)
    assert [each.problem for each in desk.revoke()] == [None] * 3


def test_a_key_must_not_wait_for_the_audit(desk: Desk) -> None:
    """It goes off, and that it is not written down is said."""
    desk.company.audit.good = 0
    done = desk.revoke()
    assert set(desk.company.status("alice").values()) == {"Inactive"}
    assert all("the audit cannot be written" in each.notes[0] for each in done)


def test_nor_for_a_tag(desk: Desk) -> None:
    """It goes off, and that it cannot be undone from here is said; undoing then leaves it."""
    desk.company.here.broken["tag"] = Denied("iam:TagUser is not allowed")
    done = desk.revoke()
    assert set(desk.company.status("alice").values()) == {"Inactive"}
    notes = [note for each in done if each.account.number == HERE for note in each.notes]
    assert all("cannot be undone from here" in note for note in notes)
    assert len(notes) == 2
    del desk.company.here.broken["tag"]
    desk.undo()
    assert set(desk.company.status("alice").values()) == {"Inactive"}


def test_taking_back_waits_for_the_audit(desk: Desk) -> None:
    """That is in no hurry: what cannot be written down is not done."""
    desk.revoke()
    desk.company.audit.good = 0
    with pytest.raises(NotKept):
        desk.undo()
    assert set(desk.company.status("alice").values()) == {"Inactive"}


def test_somebody_elses_tag_is_left_alone(desk: Desk) -> None:
    """The key goes off all the same; the tag stays what it is."""
    desk.company.here.everybody["alice"].tags[TAG] = "ours since 2019"
    done = desk.revoke()
    assert desk.company.here.everybody["alice"].tags[TAG] == "ours since 2019"
    assert any("cannot be undone" in note for each in done for note in each.notes)


def test_revoked_keys_are_deleted_by_the_rules_later(desk: Desk) -> None:
    """After notice and the days that are set, and never while enforcing is off."""
    desk.company.enforce(accounts=(HERE,), deactivate_at=None)
    desk.revoke()
    seen = []
    for day in range(20):
        seen += [(day, each) for each in did(desk.company.run()) if "done" in each]
        desk.company.advance(1)
    assert [(day, each) for day, each in seen if "delete" in each] == [(10, "delete alice done")] * 2


def test_the_command_that_ends_sessions() -> None:
    """One line to paste, that denies what sessions made before now may do, and no key."""
    import json
    import shlex

    words = shlex.split(end_sessions("al ice", Company().now))
    assert words[:5] == ["aws", "iam", "put-user-policy", "--user-name", "al ice"]
    (statement,) = json.loads(words[-1])["Statement"]
    assert statement["Condition"] == {"DateLessThan": {"aws:TokenIssueTime": "2026-11-25T12:00:00Z"}}


@pytest.mark.parametrize("verb", ["keys", "tags", "tag", "set_active"])
def test_ctrl_c_ends_it(desk: Desk, verb: str) -> None:
    """It is no error of an account; the same command again does the rest."""
    real = getattr(desk.company.here, verb)

    def stopped(*args: Any) -> Any:
        raise Interrupted("stopped")

    setattr(desk.company.here, verb, stopped)
    with pytest.raises(Interrupted):
        desk.revoke()
    setattr(desk.company.here, verb, real)
    desk.revoke()
    assert set(desk.company.status("alice").values()) == {"Inactive"}


def test_an_account_that_fails_only_then_is_named(desk: Desk) -> None:
    """It could be looked at before the question, and not after it."""
    found = desk.found()
    desk.company.there.broken["keys"] = TryLater("throttled")
    done = revoke(desk.tools, found, "leaked")
    assert [(each.account.number, each.key) for each in done if each.problem] == [(THERE, None)]
    desk.company.there.broken.clear()
    found = desk.found()
    desk.company.there.broken["keys"] = TryLater("throttled")
    assert [each.account.number for each in take_back(desk.tools, found, Cause.REVOKE) if each.problem] == [THERE]


def test_a_key_that_cannot_be_switched_on_stays_noted(desk: Desk) -> None:
    """So that the same command again does it."""
    desk.revoke()
    desk.company.there.broken["set_active"] = Denied("iam:UpdateAccessKey is not allowed")
    assert [each.account.number for each in desk.undo() if each.problem] == [THERE]
    desk.company.there.broken.clear()
    assert len(desk.undo()) == 1
