"""kill -9 around every call to AWS, with real processes; the next plain run finishes the job."""

import pytest

from .conftest import Laptop

# The calls of a rotation that nothing disturbs, in order.
CALLS = [
    pytest.param("GetCallerIdentity", 1, id="who am I"),
    pytest.param("GetUser", 1, id="my tags"),
    pytest.param("ListAccessKeys", 1, id="my keys"),
    pytest.param("GetAccessKeyLastUsed", 1, id="the last use"),
    pytest.param("CreateAccessKey", 1, id="a new key"),
    pytest.param("GetCallerIdentity", 2, id="the first proof"),
    pytest.param("GetCallerIdentity", 3, id="the second proof"),
    pytest.param("GetCallerIdentity", 4, id="the third proof"),
    pytest.param("GetCallerIdentity", 5, id="signing in as read from the file"),
    pytest.param("UpdateAccessKey", 1, id="switching the old key off"),
    pytest.param("DeleteAccessKey", 1, id="deleting the old key"),
]
LATER = 20  # seconds: the next run need not wait for a key that may still show


def test_the_calls_of_a_rotation(laptop: Laptop) -> None:
    """The table below has all calls that there are, so a kill point that is added is not forgotten."""
    assert laptop.run().code == 0
    calls = [call.action for call in laptop.aws.calls]
    assert sorted(calls) == sorted(str(param.values[0]) for param in CALLS)
    laptop.settled()


@pytest.mark.parametrize("carried_out", [True, False], ids=["carried out", "lost on the way"])
@pytest.mark.parametrize(("action", "nth"), CALLS)
def test_killed_while_the_call_is_out(laptop: Laptop, action: str, nth: int, carried_out: bool) -> None:
    """Whether AWS did it or not: the profile works, and the next run ends with one key, the one in the file."""
    if not carried_out:
        laptop.aws.fault(action, "drop", "before", skip=nth - 1)
    laptop.at(action, nth, lambda call: laptop.signal())
    assert laptop.run().code == -9
    laptop.works()
    laptop.calm(LATER)
    laptop.settled()


@pytest.mark.parametrize(("action", "nth"), CALLS)
def test_killed_before_the_answer_arrives(laptop: Laptop, action: str, nth: int) -> None:
    """AWS has done it and nobody has heard."""
    laptop.at(action, nth, lambda call: laptop.signal(), "after")
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
