"""What is tried again, for how long, what a repeated request means, and the distance that calls keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from rotate_my_key.aws.calls import RateLimiter, RetryPolicy
from rotate_my_key.aws.errors import FailureKind
from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import Denied, Problem, TryLater
from rotate_my_key.core.model import Credentials
from tests.standin import StandIn

Verb = Callable[[IamAccount, Credentials, Credentials], object]

# Every verb but create, with the calls that it makes.
VERBS: dict[str, tuple[Verb, list[str]]] = {
    "look": (
        lambda account, mine, other: account.look([mine]),
        ["GetCallerIdentity", "GetUser", "ListAccessKeys", "GetAccessKeyLastUsed"],
    ),
    "keys": (lambda account, mine, other: account.keys(), ["ListAccessKeys"]),
    "last_use": (lambda account, mine, other: account.last_use(mine.key_id), ["GetAccessKeyLastUsed"]),
    "prove": (lambda account, mine, other: account.prove(mine, 3), ["GetCallerIdentity"]),
    "set_active": (lambda account, mine, other: account.set_active(other.key_id, False), ["UpdateAccessKey"]),
    "delete": (lambda account, mine, other: account.delete(other.key_id), ["DeleteAccessKey"]),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "kind",
    ["throttle", "drop", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("500", "503", "reset", "cut"))],
)
@pytest.mark.parametrize(("verb", "action"), [(verb, action) for verb in VERBS for action in VERBS[verb][1]])
def test_one_failure_is_survived(
    looked: IamAccount, standin: StandIn, pair: Credentials, verb: str, action: str, kind: Any, when: Any
) -> None:
    """Any single lost or broken answer, on any call that may be repeated."""
    other = standin.add_key("alice")
    standin.fault(action, kind, when)
    assert VERBS[verb][0](looked, pair, other) is not False
    left = {"set_active": ["Active", "Inactive"], "delete": ["Active"]}
    assert [key.status for key in standin.keys("alice")] == left.get(verb, ["Active", "Active"])


def test_botocore_does_not_try_again_itself(looked: IamAccount, standin: StandIn, monkeypatch: Any) -> None:
    """Not even if the environment asks for it: then there would be two patiences, one within the other."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    standin.fault("CreateAccessKey", "500", times=None)
    with pytest.raises(TryLater):
        looked.create()
    assert len(standin.calls) == 1


@pytest.mark.parametrize(
    ("kind", "at_least", "at_most"),
    [("throttle", 10, 20), ("500", 4, 12), ("reset", 4, 12)],
    ids=["throttling: 20 seconds", "server errors: 12 seconds", "resets: 12 seconds"],
)
def test_what_does_not_pass_is_given_up(
    looked: IamAccount, standin: StandIn, time: Any, kind: Any, at_least: float, at_most: float
) -> None:
    """TryLater, after a time that fits what is wrong, and with growing pauses."""
    standin.fault("ListAccessKeys", kind, times=None)
    with pytest.raises(TryLater):
        looked.keys()
    assert at_least <= sum(time.slept) <= at_most
    assert time.slept[0] < time.slept[-1]


def test_each_kind_of_failure_has_a_time_of_its_own() -> None:
    """A connection that breaks once after half a minute of throttling is no reason to give up."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    def send() -> float:
        if clock[0] < 30:
            raise ClientError({"Error": {"Code": "Throttling"}}, "ListAccessKeys")
        if len(broken) < 1:
            broken.append(clock[0])
            raise ConnectionClosedError(endpoint_url="https://iam.amazonaws.com")
        return clock[0]

    broken: list[float] = []
    slow: list[float] = []
    budgets = {FailureKind.BUSY: 60.0, FailureKind.FLAKY: 12.0}
    patience = RetryPolicy(sleep, lambda: clock[0], budgets, busy=lambda: slow.append(clock[0]))
    assert patience.run(send, again=lambda error: True) >= 30
    assert broken
    assert slow and slow[0] < 3, "that it takes longer is said soon"


@pytest.mark.parametrize("kind", ["500", "reset", "drop"])
def test_deleting_twice_is_done(looked: IamAccount, standin: StandIn, kind: Any) -> None:
    """The answer to the first was lost; NoSuchEntity to the second says that it was carried out."""
    other = standin.add_key("alice")
    standin.fault("DeleteAccessKey", kind, "after")
    looked.delete(other.key_id)
    assert len(standin.keys("alice")) == 1


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("prove", "last_use")])
def test_denied_is_not_tried_again(looked: IamAccount, standin: StandIn, pair: Credentials, verb: str) -> None:
    """A policy does not change in seconds."""
    action = next(name for name in VERBS[verb][1] if name not in ("GetCallerIdentity", "GetUser"))
    standin.deny(action)
    with pytest.raises(Denied, match=f"iam:{action}"):
        VERBS[verb][0](looked, pair, standin.add_key("alice"))
    assert sum(call.action == action for call in standin.calls) == 1


def test_the_first_signer_that_aws_accepts(looked: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """A refused signer gives way to the next, which is then tried first."""
    dead = standin.add_key("alice", status="Inactive")
    looked.sign_with([dead, pair])
    looked.keys()
    looked.keys()
    assert [call.key_id for call in standin.calls] == [dead.key_id, pair.key_id, pair.key_id]


def test_all_signers_refused_for_a_moment(looked: IamAccount, standin: StandIn, time: Any) -> None:
    """Within the propagation time all of them are tried again and again."""
    standin.settings.flapping = "nnn"
    young = standin.create_key("alice")
    looked.sign_with([young])
    assert len(looked.keys()) == 2
    assert len(time.slept) == 3
    assert all(0.5 <= pause <= 1 for pause in time.slept)


def test_all_signers_refused_for_good(looked: IamAccount, standin: StandIn, pair: Credentials, time: Any) -> None:
    """Then it is the key that is wrong."""
    standin.delete_key(pair.key_id)
    looked.sign_with([pair])
    with pytest.raises(Problem, match="does not accept"):
        looked.delete(pair.key_id)
    assert 119 <= time.monotonic() <= 120


@pytest.fixture
def pace(time: Any) -> RateLimiter:
    """A pace on the test's clock."""
    return RateLimiter(time.sleep, time.monotonic)


def test_calls_go_out_as_they_come(pace: RateLimiter, time: Any) -> None:
    """As long as AWS answers."""
    for _ in range(5):
        pace.wait()
        pace.answered()
    assert time.slept == []


def test_throttling_spreads_the_calls_of_all_threads(pace: RateLimiter, time: Any) -> None:
    """Each waits for its turn, one distance after the other."""
    pace.throttled()
    for _ in range(3):
        pace.wait()
    assert time.slept == pytest.approx([0.05, 0.05, 0.05])


def test_calls_that_were_out_together_are_one_sign(pace: RateLimiter) -> None:
    """Eight threads that are throttled at once do not multiply the distance by 256."""
    for _ in range(8):
        pace.throttled()
    assert pace.distance == 0.05


def test_the_distance_doubles_up_to_two_seconds(pace: RateLimiter, time: Any) -> None:
    """Throttling that goes on."""
    for _ in range(10):
        pace.throttled()
        time.sleep(3)
    assert pace.distance == 2.0


def test_answers_bring_the_calls_together_again(pace: RateLimiter, time: Any) -> None:
    """Until they go out as they come."""
    pace.throttled()
    distances = []
    while pace.distance:
        pace.answered()
        distances.append(pace.distance)
    assert distances == sorted(distances, reverse=True)
    assert len(distances) < 20
