"""Everything of one user is switched off now, waits for nothing that is not needed for that, and can be taken back."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import pytest

from rotate_my_key.core.errors import Denied, Interrupted, KeyRefused, NotAllowed, Problem, TryLater, Unanswered
from rotate_my_key.fleet.audit import NotKept
from rotate_my_key.fleet.memory import KeyMemory
from rotate_my_key.fleet.revoke import (
    POLICY,
    Cause,
    RevokeContext,
    SwitchResult,
    WayIn,
    asked,
    end_sessions,
    everywhere,
    find,
    own_key,
    restorable,
    revoke,
    take_back,
)
from rotate_my_key.fleet.users import accounts_named
from rotate_my_key.settings.fleet import Accounts
from tests.fleet.enforce.company import DAY, HERE, TAG, THERE, Company, did
from tests.fleet.fakes import spoil

LONG = 10.0  # seconds; a test that fails waits so long


@dataclass
class Leak:
    """Alice has two keys here and one there, bob has one; `off` is set once all of alice's are off."""

    company: Company = field(default_factory=Company)
    off: Event = field(default_factory=Event)
    quick: float = 2.0
    signs: str = ""

    def __post_init__(self) -> None:
        self.here, self.there = self.company.here, self.company.there
        self.company.user("alice", 30, 3)
        self.company.user("alice", 200, where=self.there)
        self.company.user("bob", 30)
        for directory in (self.here, self.there):
            self._watch(directory)

    def _watch(self, directory: Any) -> None:
        real = directory.set_active

        def switched(user: str, key_id: str, active: bool) -> None:
            real(user, key_id, active)
            if not self.working():
                self.off.set()

        directory.set_active = switched

    def states(self, *, there: bool = False) -> list[str]:
        """Active or Inactive, of her keys in one account."""
        return list(self.company.status("alice", self.there if there else self.here).values())

    def working(self) -> int:
        """How many of her keys work."""
        return [*self.states(), *self.states(there=True)].count("Active")

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
        given = (company.organization, company.settings, company.audit, lambda: company.now, 2, self.signs)
        return RevokeContext(*given, shortly=0.02, quick=self.quick)  # type: ignore[arg-type]

    def found(self, *accounts: str, **how: bool) -> list[Any]:
        """What is shown first."""
        return find(self.tools, accounts_named(self.company.organization.accounts(), accounts), "alice", **how)

    def revoke(self, *accounts: str, **how: bool) -> list[SwitchResult]:
        """`fleet revoke alice --yes`."""
        return revoke(self.tools, self.found(*accounts, uses=False, quick=True), "leaked", **how)

    def undo(self, cause: Cause = Cause.REVOKE, **how: bool) -> list[SwitchResult]:
        """`fleet revoke --undo alice`, or enforce's."""
        return take_back(self.tools, self.found(), cause, **how)


@pytest.fixture
def leak() -> Leak:
    """A key of alice leaked."""
    return Leak()


def test_all_keys_in_all_accounts_and_nobody_elses(leak: Leak) -> None:
    """Whatever their age, in every account; recorded with the reason. Looking before changed nothing, and nobody who is
    nowhere is found. An account that is named is the only one."""
    assert [len(held.user.keys) for held in leak.found()] == [2, 1]
    assert (leak.company.audit.events, {"tag", "set_active"} & set(leak.here.calls)) == ([], set())
    leak.revoke(THERE)
    assert (leak.states(), leak.states(there=True)) == (["Active", "Active"], ["Inactive"])
    done = leak.revoke()
    assert not leak.here.calls["last_use"] - 2  # only the look above asked: nobody reads it with `--yes`
    assert [each.problem for each in done] == [None] * 2
    assert leak.working() == 0
    assert set(leak.company.status("bob").values()) == {"Active"}
    assert sorted(leak.company.audit.lines()) == ["revoked alice done"] * 3 + ["revoked alice intended"] * 3
    assert {event.why for event in leak.company.audit.events} == {"leaked"}
    assert find(leak.tools, leak.company.organization.accounts(), "nobody") == []


@pytest.mark.parametrize("only", [(), (HERE, THERE)])
def test_accounts_that_the_organization_does_not_list_are_covered_too(leak: Leak, only: tuple[str, ...]) -> None:
    """Those of the settings that a role leads to, as for reports; nothing is missing then."""
    company = leak.company
    company.settings = replace(company.settings, accounts=Accounts(role="fleet", only=only))
    company.organization.accounts = lambda: (leak.here.account,)  # type: ignore[method-assign]
    accounts, denied = everywhere(leak.tools, ())
    assert ([each.number for each in accounts], denied) == ([HERE, *only[1:]], None)


def test_a_key_that_was_made_in_between_goes_too(leak: Leak) -> None:
    """The thief makes another one while the first is switched off."""
    real = leak.there.set_active

    def quick(user: str, key_id: str, active: bool) -> None:
        leak.there.set_active = real  # type: ignore[method-assign]
        leak.there.create("alice")
        real(user, key_id, active)

    leak.there.set_active = quick  # type: ignore[method-assign]
    leak.revoke()
    assert leak.states(there=True) == ["Inactive", "Inactive"]
    leak.undo()
    assert leak.states(there=True) == ["Active", "Active"]


# What must not hold it up

ODD = [NotAllowed("OptInRequired"), Problem("ValidationError"), KeyRefused("unknown"), TryLater("later"), KeyError(1)]


@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
def test_an_odd_answer_about_last_use_stops_nothing(leak: Leak, error: Exception) -> None:
    """It is unknown then, whatever the answer was; the keys are found and go off."""
    spoil(leak.there, "last_use", error)
    (here, there) = leak.found()
    assert [key.last_use for key in there.user.keys] == [None]
    assert all(key.last_use for key in here.user.keys)
    leak.revoke()
    assert leak.working() == 0


@pytest.mark.parametrize("error", [NotAllowed("no role"), KeyError("AKIASECRET")])
@pytest.mark.parametrize("verb", ["directory", "keys", "tags", "tag", "set_active"])
def test_a_fault_in_one_account_leaves_the_others(leak: Leak, verb: str, error: Exception) -> None:
    """It is named, and the others go on, whatever it was; of a fault of ours it is said where, and no value."""
    if verb == "directory":
        spoil(leak.company.organization, verb, error, lambda account: account.number == THERE)
    else:
        spoil(leak.there, verb, error)
    done = leak.revoke()
    assert set(leak.states()) == {"Inactive"}
    assert "AKIASECRET" not in str([(each.problem, each.notes) for each in done])
    failed = [each for each in done if each.problem]
    assert [each.account.number for each in failed] == ([] if verb in ("tags", "tag") else [THERE])
    for each in failed:
        assert each.problem and any(said in each.problem.message for said in ("no role", "KeyError at fakes"))


def test_what_does_not_come_soon_is_not_known(leak: Leak) -> None:
    """Before the question: what there is in a moment is shown."""
    leak.quick = 0.02
    leak.only_after(leak.here, "last_use")
    (here, there) = leak.found(quick=True)
    assert [key.last_use for key in here.user.keys] == [None, None]
    assert there.user.keys[0].last_use
    leak.off.set()


@pytest.mark.parametrize("verb", ["tags", "tag"])
def test_keys_do_not_wait_for_the_tag(leak: Leak, verb: str) -> None:
    """They go off, then the tag is written, and it can be undone."""
    found = leak.found(uses=False)
    leak.only_after(leak.here, verb)
    done = revoke(leak.tools, found, "leaked")
    assert [(each.problem, each.notes) for each in done] == [(None, ())] * 3
    assert len(leak.undo()) == 3


def test_what_could_not_be_noted_is_tried_once_more(leak: Leak) -> None:
    """Throttled for as long as it was waited for, it is tried again when all keys are off."""
    well = leak.only_after(leak.here, "tag", TryLater("throttled"))
    real = leak.here.set_active

    def mended(user: str, key_id: str, active: bool) -> None:
        real(user, key_id, active)
        if not leak.working():
            well()

    leak.here.set_active = mended  # type: ignore[method-assign]
    assert not any(each.notes for each in leak.revoke())
    leak.company.breaks("tag", TryLater("throttled"))
    assert len(leak.undo()) == 3


def test_keys_do_not_wait_for_the_audit(leak: Leak) -> None:
    """Its lines are written after, each with its own time, in one go."""
    sent: list[int] = []
    real = leak.company.audit.record

    def slow(*events: Any) -> None:
        assert leak.off.wait(LONG)
        sent.append(len(events))
        real(*events)

    leak.company.audit.record = slow  # type: ignore[method-assign]
    assert not any(each.notes for each in leak.revoke())
    assert sorted(leak.company.audit.lines()) == ["revoked alice done"] * 3 + ["revoked alice intended"] * 3
    assert len(sent) <= 3  # those that were on their way, and the rest


@pytest.mark.parametrize("soon", [True, False])
def test_an_audit_that_cannot_be_written_is_told(leak: Leak, soon: bool) -> None:
    """Of each key that it lacks; they are off. Taking back is in no hurry, and waits for it."""
    if soon:
        leak.company.audit.good = 0
    else:
        leak.only_after(leak.company.audit, "record", NotKept("the audit cannot be written (disk full)"))
    done = leak.revoke()
    assert leak.working() == 0
    assert [each.notes for each in done] == [("the audit cannot be written (disk full)",)] * 3
    with pytest.raises(NotKept):
        leak.undo()
    assert leak.working() == 0


def test_the_key_that_signs_waits_for_both(leak: Leak) -> None:
    """Nothing can be written after it."""
    leak.signs = next(iter(leak.company.status("alice")))
    order: list[str] = []
    for target, verb in ((leak.here, "tag"), (leak.company.audit, "record"), (leak.here, "set_active")):
        real = getattr(target, verb)

        def noted(*args: Any, verb: str = verb, real: Any = real) -> Any:
            order.append(verb)
            return real(*args)

        setattr(target, verb, noted)
    mine = own_key(leak.tools, leak.found())
    assert mine and mine[0].account.number == HERE
    leak.revoke()
    assert order[-4:] == ["tag", "record", "set_active", "record"]
    assert leak.working() == 0


FAULTS = [Denied("denied"), TryLater("later"), Unanswered("lost"), Problem("odd"), Interrupted("stopped"), KeyError(1)]
VERBS = {"keys": 3, "tags": 1, "tag": 1, "set_active": 2}  # of the account with two keys; how often


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("verb", "call"), [(verb, call) for verb, most in VERBS.items() for call in range(1, most + 1)]
)
def test_one_fault_anywhere(verb: str, call: int, error: Exception, done: bool, leak: Leak) -> None:
    """All keys are off in the end, whatever was lost; what is not noted is said; undoing brings back what is noted.
    Ctrl-C is Ctrl-C, also in what runs beside, and the same command again does the rest."""
    spoil(leak.here, verb, error, skip=call - 1, times=1, done=done)
    said: list[str] = []
    try:
        switched = leak.revoke()
    except Interrupted:
        assert isinstance(error, Interrupted)
    else:
        assert not isinstance(error, Interrupted)
        assert set(leak.states(there=True)) == {"Inactive"}
        said = [note for each in switched for note in each.notes]
        named = [each for each in switched if each.problem]
        assert named or said or leak.working() == 0
        assert bool(leak.working()) <= bool(named)
    leak.revoke()
    assert leak.working() == 0
    lost = 3 - len(leak.undo())
    assert not lost or any("cannot be undone" in note for note in said) or isinstance(error, Interrupted)


# What is noted, and what can be taken back


def test_it_is_undone_as_it_was(leak: Leak) -> None:
    """Every key works again, and its notices begin anew; what somebody else had switched off stays so."""
    first, second = leak.company.status("alice")
    leak.here.set_active("alice", first, active=False)
    assert len(leak.revoke()) == 2
    assert len(leak.undo()) == 2
    assert (leak.states(), leak.states(there=True)) == (["Inactive", "Active"], ["Active"])
    assert leak.company.known("alice", second) == KeyMemory(back=leak.company.now.date())
    assert leak.undo() == []


def test_each_takes_back_its_own(leak: Leak) -> None:
    """What enforce had switched off is not revoke's to undo; and the other way round. Taken back, enforce begins with a
    notice, and does not switch it off again the next day."""
    company = leak.company
    company.user("alice", 97, 5)
    old, _ = company.status("alice")
    company.enforce(accounts=(HERE,))
    assert "deactivate alice done" in did(company.run())
    leak.revoke()
    leak.undo()
    assert leak.states() == ["Inactive", "Active"]
    assert [each.key and each.key.key_id for each in leak.undo(Cause.ENFORCE)] == [old]
    assert leak.states() == ["Active", "Active"]
    company.advance(1)
    assert did(company.run()) == ["notify alice done"]


@pytest.mark.parametrize("undone", ["by us", "by hand"])
def test_taken_back_it_rests_also_where_no_notices_are_given(leak: Leak, undone: str) -> None:
    """The next run does not undo the undoing, whoever did it; later the rules go on."""
    company = leak.company
    (key_id,) = company.user("alice", 97)
    company.enforce(accounts=(HERE,), notices=0, grace=0 * DAY)
    company.run()
    if undone == "by us":
        leak.undo(Cause.ENFORCE)
    else:
        company.here.set_active("alice", key_id, active=True)
    outcome = company.run()
    assert [spare.why for _, spare in outcome.spared] == ["reactivated on 25 November, so not before 28 November"]
    company.advance(2)
    assert did(company.run()) == ["spare alice: grace"]
    company.advance(1)
    assert did(company.run()) == ["deactivate alice done"]


def test_switched_on_and_off_again_by_somebody_it_is_theirs(leak: Leak) -> None:
    """A use after the day says that it was on in between: who switched it off last is not known."""
    leak.revoke()
    leak.company.advance(5)
    key_id = next(iter(leak.company.status("alice")))
    leak.company.use("alice", key_id, leak.company.now - 2 * DAY)
    (here, _) = leak.found()
    assert key_id not in [key.key_id for key in restorable(here, Cause.REVOKE)]


def test_a_key_that_cannot_be_switched_is_named(leak: Leak) -> None:
    """It is not said to be off, nor noted so: if somebody else switches it off, that is not ours to undo. One that
    cannot be switched on stays noted, so that the same command again does it."""
    leak.there.broken["set_active"] = Denied("iam:UpdateAccessKey is not allowed")
    assert [each.account.number for each in leak.revoke() if each.problem] == [THERE]
    (key_id,) = leak.company.status("alice", leak.there)
    assert leak.company.known("alice", key_id, leak.there).revoked is None
    assert "revoked alice failed" in leak.company.audit.lines()
    leak.there.broken.clear()
    leak.revoke()
    leak.there.broken["set_active"] = Denied("iam:UpdateAccessKey is not allowed")
    assert [each.account.number for each in leak.undo() if each.problem] == [THERE]
    leak.there.broken.clear()
    assert len(leak.undo()) == 1


@pytest.mark.parametrize("tag", ["denied", "somebody else's"])
def test_what_cannot_be_noted_cannot_be_undone(leak: Leak, tag: str) -> None:
    """It goes off, that is said, and undoing then leaves it; a tag of somebody else's stays what it is."""
    if tag == "denied":
        leak.company.breaks("tag", Denied("iam:TagUser is not allowed"))
    else:
        leak.here.everybody["alice"].tags[TAG] = "ours since 2019"
    done = leak.revoke()
    assert set(leak.states()) == {"Inactive"}
    notes = [note for each in done if each.account.number == HERE for note in each.notes]
    assert ["cannot be undone with --undo" in note for note in notes] == [True, True]
    leak.here.broken.clear()
    leak.undo()
    assert set(leak.states()) == {"Inactive"}
    assert tag == "denied" or leak.here.everybody["alice"].tags[TAG] == "ours since 2019"


def test_an_account_that_fails_only_then_is_named(leak: Leak) -> None:
    """It could be looked at before the question, and not after it."""
    for do in (
        lambda found: revoke(leak.tools, found, "leaked"),
        lambda found: take_back(leak.tools, found, Cause.REVOKE),
    ):
        found = leak.found()
        leak.there.broken["keys"] = TryLater("throttled")
        assert [(each.account.number, each.key) for each in do(found) if each.problem] == [(THERE, None)]
        leak.there.broken.clear()


def test_revoked_keys_are_deleted_by_the_rules_later(leak: Leak) -> None:
    """After notice and the days that are set, and never while enforcing is off."""
    leak.company.enforce(accounts=(HERE,), deactivate_at=None)
    leak.revoke()
    seen = []
    for day in range(20):
        seen += [(day, each) for each in did(leak.company.run()) if "done" in each]
        leak.company.advance(1)
    assert [(day, each) for day, each in seen if "delete" in each] == [(10, "delete alice done")] * 2


def test_the_command_that_ends_sessions() -> None:
    """One line to paste, that denies what sessions made before now may do, and no key."""
    words = shlex.split(end_sessions("al ice", Company().now))
    assert words[:5] == ["aws", "iam", "put-user-policy", "--user-name", "al ice"]
    (statement,) = json.loads(words[-1])["Statement"]
    assert statement["Condition"] == {"DateLessThan": {"aws:TokenIssueTime": "2026-11-25T12:01:00Z"}}


# How else a user signs in


def ways(done: list[SwitchResult]) -> list[tuple[str, str, str]]:
    """What became of passwords and sessions, by account."""
    return sorted((each.account.number, each.way.value, each.state) for each in done if each.way)


def test_passwords_and_sessions_end_after_the_keys_and_sessions_come_back(leak: Leak) -> None:
    """One act each, in every account where there is such a user; nobody else's; and only where it is asked for."""
    alice = [directory.everybody["alice"] for directory in (leak.here, leak.there)]
    alice[1].password = False
    assert asked(leak.tools, leak.found(), lambda aws, user: aws.has_password(user)) == [True, False]
    leak.only_after(leak.here, "delete_password")
    done = leak.revoke(sign_in=True)
    assert ways(done) == [
        (HERE, "password", "deleted"),
        (HERE, "sessions", "ended"),
        (THERE, "password", "none"),
        (THERE, "sessions", "ended"),
    ]
    assert ([user.password for user in alice], [set(user.policies) for user in alice]) == ([False] * 2, [{POLICY}] * 2)
    assert (leak.here.everybody["bob"].password, leak.here.everybody["bob"].policies) == (True, {})
    lines = [f"{event.what} {event.outcome}" for event in leak.company.audit.events if not event.key_id]
    ended = [f"{what} {outcome}" for what in ("password_deleted", "sessions_ended") for outcome in ("done", "intended")]
    assert sorted(lines) == sorted(ended * 2)
    assert (ways(leak.undo()), [set(user.policies) for user in alice]) == ([], [{POLICY}] * 2)
    assert ways(leak.undo(sign_in=True)) == [(number, "sessions", "allowed again") for number in (HERE, THERE)]
    assert ([user.password for user in alice], [user.policies for user in alice]) == ([False] * 2, [{}] * 2)
    assert ways(leak.undo(sign_in=True)) == []


@pytest.mark.parametrize("error", [Denied("not allowed"), TryLater("later"), KeyError("AKIASECRET")])
@pytest.mark.parametrize("verb", ["delete_password", "put_policy", "has_policy", "delete_policy"])
def test_a_way_in_that_cannot_be_ended_is_named(leak: Leak, verb: str, error: Exception) -> None:
    """The other one is ended, and so are the other account's; the same command again does the rest."""
    spoil(leak.there, verb, error, times=1)
    done = leak.revoke(sign_in=True)
    assert leak.working() == 0
    taken = verb in ("has_policy", "delete_policy")
    done += leak.undo(sign_in=True) if taken else []
    (failed,) = [each for each in done if each.problem]
    way = WayIn.PASSWORD if verb == "delete_password" else WayIn.SESSIONS
    assert (failed.account.number, failed.way, "AKIASECRET" in str(failed.problem)) == (THERE, way, False)
    assert len(ways(done)) == (6 if taken else 4)
    again = leak.undo(sign_in=True) if taken else leak.revoke(sign_in=True)
    assert not any(each.problem for each in again)
    assert leak.there.everybody["alice"].policies.keys() == (set() if taken else {POLICY})


@pytest.mark.parametrize("intended", [True, False])
def test_sessions_are_not_allowed_again_unwritten(leak: Leak, intended: bool) -> None:
    """Without the intent nothing is done; that the end could not be written is told."""
    leak.revoke(sign_in=True)
    leak.undo()
    leak.company.audit.good = 0 if intended else 1
    if intended:
        with pytest.raises(NotKept):
            leak.undo(sign_in=True)
        assert leak.here.everybody["alice"].policies
    else:
        leak.there.everybody["alice"].policies.clear()
        (done,) = leak.undo(sign_in=True)
        assert (done.state, len(done.notes)) == ("allowed again", 1)


def test_of_an_account_that_lets_nobody_in_nothing_more_is_said(leak: Leak) -> None:
    """It is named once; a user who goes meanwhile is nobody's loss."""
    for verb in ("keys", "delete_password", "put_policy"):
        leak.there.broken[verb] = Denied("no role")
    done = leak.revoke(sign_in=True)
    assert [(each.account.number, each.way) for each in done if each.problem] == [(THERE, None)]
    assert [number for number, _, _ in ways(done)] == [HERE, HERE]
    found = leak.found(HERE)
    del leak.here.everybody["alice"]
    assert revoke(leak.tools, found, "left", sign_in=True) == []


def test_whoever_signs_with_a_session_of_theirs_ends_it_last(leak: Leak) -> None:
    """Nothing can be done after it."""
    me = leak.company.organization.me()
    leak.company.organization.me = lambda: replace(me, arn=f"arn:aws:iam::{HERE}:user/alice")  # type: ignore[method-assign]
    order: list[str] = []
    for directory in (leak.here, leak.there):
        real = directory.put_policy
        directory.put_policy = lambda *words, real=real, at=directory.account.number: (order.append(at), real(*words))  # type: ignore[method-assign,assignment,misc]
    leak.revoke(sign_in=True)
    assert order == [THERE, HERE]


def test_what_is_not_known_in_a_moment_is_not_waited_for(leak: Leak) -> None:
    """Whether there is a password is for the eye alone."""
    leak.quick = 0.02
    leak.only_after(leak.here, "has_password")
    assert asked(leak.tools, leak.found(), lambda aws, user: aws.has_password(user))[0] is None
    leak.off.set()
