"""kill -9 around every call to AWS, with real processes; the next plain run finishes the job."""

import pytest

from tests.laptop import Laptop, sampled

# The calls of a rotation that nothing disturbs, in order.
CALLS = {
    "who am I": ("GetCallerIdentity", 1),
    "my tags": ("GetUser", 1),
    "my keys": ("ListAccessKeys", 1),
    "the last use": ("GetAccessKeyLastUsed", 1),
    "a new key": ("CreateAccessKey", 1),
    "the first proof": ("GetCallerIdentity", 2),
    "the second proof": ("GetCallerIdentity", 3),
    "the third proof": ("GetCallerIdentity", 4),
    "signing in as read from the file": ("GetCallerIdentity", 5),
    "switching the old key off": ("UpdateAccessKey", 1),
    "deleting the old key": ("DeleteAccessKey", 1),
}
# Around a call that only looks it is the same whether AWS gets it, and whether it has answered.
WEIGHTY = ("a new key", "signing in as read from the file", "switching the old key off", "deleting the old key")
LATER = 20  # seconds: the next run need not wait for a key that may still show


def test_the_calls_of_a_rotation(laptop: Laptop) -> None:
    """The table below has all calls that there are, so a kill point that is added is not forgotten."""
    assert laptop.run().code == 0
    calls = [call.action for call in laptop.aws.calls]
    assert sorted(calls) == sorted(action for action, _ in CALLS.values())
    laptop.settled()


@pytest.mark.parametrize("call", sampled(CALLS, "my keys", "the second proof", *WEIGHTY))
def test_killed_while_the_call_is_out(laptop: Laptop, call: str) -> None:
    """AWS does it: the profile works, and the next run ends with one key, the one in the file."""
    killed_then_settled(laptop, call, "before")


@pytest.mark.parametrize("call", WEIGHTY)
def test_killed_and_the_call_is_lost(laptop: Laptop, call: str) -> None:
    """AWS does not get it: the same."""
    action, nth = CALLS[call]
    laptop.aws.fault(action, "drop", "before", skip=nth - 1)
    killed_then_settled(laptop, call, "before")


@pytest.mark.parametrize("call", WEIGHTY)
def test_killed_before_the_answer_arrives(laptop: Laptop, call: str) -> None:
    """AWS has done it and nobody has heard: the same."""
    killed_then_settled(laptop, call, "after")


def killed_then_settled(laptop: Laptop, call: str, when: str) -> None:
    """Kill it as this call arrives, or before it is answered; look at what is left, and run again."""
    action, nth = CALLS[call]
    laptop.at(action, nth, lambda call: laptop.signal(), when)
    assert laptop.run().code == -9
    laptop.works()
    laptop.calm(LATER)
    laptop.settled()


def test_a_new_key_that_shows_late_is_found(laptop: Laptop) -> None:
    """Killed while CreateAccessKey was out, and the list lags: the next run looks until it is sure."""
    laptop.aws.settings.listing = 3
    laptop.at("CreateAccessKey", 1, lambda call: laptop.signal(), "after")
    assert laptop.run().code == -9
    laptop.works()
    laptop.aws.settings.listing = 3
    laptop.settled()
