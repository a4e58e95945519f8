"""A leaked key waits for nothing that is not needed to switch it off, and no account waits for another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import pytest

from rotate_my_key.core.errors import Interrupted, KeyRefused, NotAllowed, Problem, TryLater
from rotate_my_key.fleet.audit import NotKept
from rotate_my_key.fleet.revoke import Cause, RevokeContext, SwitchResult, find, own_key, revoke, take_back
from rotate_my_key.fleet.users import accounts_named
from tests.fleet.enforce.company import HERE, THERE, Company

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


ODD = [
    NotAllowed("OptInRequired"),
    Problem("ValidationError"),
    KeyRefused("unknown"),
    TryLater("throttled"),
    KeyError(1),
]


@pytest.mark.parametrize("error", ODD, ids=lambda error: type(error).__name__)
def test_an_odd_answer_about_last_use_stops_nothing(leak: Leak, error: Exception) -> None:
    """It is unknown then, whatever the answer was; the keys are found and go off."""

    def odd(key_id: str) -> Any:
        raise error

    leak.company.there.last_use = odd  # type: ignore[method-assign]
    (here, there) = leak.found()
    assert [key.last_use for key in there.user.keys] == [None]
    assert all(key.last_use for key in here.user.keys)
    leak.revoke()
    assert leak.working() == 0


@pytest.mark.parametrize("error", [NotAllowed("no role"), KeyError("x")])
def test_an_account_that_cannot_be_entered_is_named(leak: Leak, error: Exception) -> None:
    """The others go on, whatever it was; of a fault it is said where, and no value."""
    real = leak.company.organization.directory

    def entered(account: Any) -> Any:
        if account.number == THERE:
            raise error
        return real(account)

    leak.company.organization.directory = entered  # type: ignore[method-assign]
    done = leak.revoke()
    assert leak.working() == 1
    (failed,) = [each for each in done if each.problem]
    assert failed.account.number == THERE
    assert failed.problem and ("no role" in failed.problem.message or "KeyError at test_" in failed.problem.message)


@pytest.mark.parametrize("verb", ["keys", "tags", "tag", "set_active"])
def test_a_fault_in_one_account_leaves_the_others(leak: Leak, verb: str) -> None:
    """Our own too."""

    def broken(*args: Any) -> Any:
        raise KeyError("AKIASECRET")

    setattr(leak.company.there, verb, broken)
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

    def stopped(*args: Any) -> Any:
        raise Interrupted("stopped")

    found = leak.found()
    setattr(leak.company.here, verb, stopped)
    with pytest.raises(Interrupted):
        revoke(leak.tools, found, "leaked")
