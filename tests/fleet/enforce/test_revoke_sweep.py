"""`revoke` with one fault at one call, each call and each kind once: the other account never suffers, and the same
command again ends it."""

from __future__ import annotations

from typing import Any

import pytest

from rotate_my_key.core.errors import Denied, Interrupted, Problem, TryLater, Unanswered
from rotate_my_key.fleet.revoke import Cause, take_back
from tests.fleet.enforce.test_revoke_first import Leak

FAULTS = [
    Denied("denied"),
    TryLater("throttled"),
    Unanswered("lost"),
    Problem("odd"),
    Interrupted("stopped"),
    KeyError(1),
]
VERBS = {"keys": 3, "tags": 1, "tag": 1, "set_active": 2}  # of the account with two keys; how often


def once(target: Any, verb: str, call: int, error: Exception, *, done: bool) -> None:
    """Raise at this call; `done`: after it was carried out."""
    real, seen = getattr(target, verb), [0]

    def faulty(*args: Any) -> Any:
        seen[0] += 1
        if seen[0] != call:
            return real(*args)
        if done:
            real(*args)
        raise error

    setattr(target, verb, faulty)


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("verb", "call"), [(verb, call) for verb, most in VERBS.items() for call in range(1, most + 1)]
)
def test_one_fault_anywhere(verb: str, call: int, error: Exception, done: bool) -> None:
    """All keys are off in the end, whatever was lost; what is not noted is said; undoing brings back what is noted."""
    leak = Leak()
    once(leak.company.here, verb, call, error, done=done)
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
