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


# What becomes of the call: when the run is killed, and whether AWS gets it.
FATES = {
    "AWS does it": ("before", False),
    "AWS does not get it": ("before", True),
    "AWS has done it and nobody has heard": ("after", False),
}
ROWS = [f"{call}; {fate}" for call in CALLS for fate in (FATES if call in WEIGHTY else ["AWS does it"])]
USUAL = (
    "the second proof; AWS does it",
    "a new key; AWS does not get it",
    "a new key; AWS has done it and nobody has heard",
    "signing in as read from the file; AWS does it",
    "switching the old key off; AWS does not get it",
    "deleting the old key; AWS has done it and nobody has heard",
)


@pytest.mark.parametrize("row", sampled(ROWS, *USUAL))
def test_killed_while_a_call_is_out(laptop: Laptop, row: str) -> None:
    """The profile works, and the next run ends with one key, the one in the file."""
    call, _, fate = row.partition("; ")
    (action, nth), (when, lost) = CALLS[call], FATES[fate]
    if lost:
        laptop.aws.fault(action, "drop", "before", skip=nth - 1)
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
