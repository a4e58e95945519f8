"""Proving a new key: how often, on which connections, how long."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import KeyRefused, OtherIdentity, TryLater
from rotate_my_key.core.model import Credentials
from tests.standin import StandIn


def test_signs_in_so_many_times(looked: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """Each on a connection of its own, the first on the one that STS has answered on before."""
    first = standin.connections
    assert looked.prove(pair, 3).user == "alice"
    assert [call.action for call in standin.calls] == ["GetCallerIdentity"] * 3
    assert len({call.connection for call in standin.calls}) == 3
    assert standin.connections == first + 2


def test_once_is_one_call(looked: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """No connection is opened for it."""
    before = standin.connections
    looked.prove(pair, 1)
    assert len(standin.calls) == 1
    assert standin.connections == before


def test_without_an_interval_they_overlap(looked: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """So that the row costs one round trip more: the second and third are on their way at the same time."""
    together = threading.Barrier(2, timeout=5)
    number = iter(range(3))
    standin.on_call(lambda call: next(number) and together.wait())
    looked.prove(pair, 3)
    assert len(standin.calls) == 3


def test_the_interval_lies_between_their_beginnings(
    make_aws: Callable[..., Any], standin: StandIn, pair: Credentials, time: Any
) -> None:
    """At once, after one interval, after two."""
    account = IamAccount(make_aws(standin.url), proof_interval=timedelta(seconds=3))
    account.prove(pair, 3)
    assert time.slept == [3, 3]


def test_polls_until_the_first_yes(
    make_aws: Callable[..., Any], standin: StandIn, pair: Credentials, time: Any
) -> None:
    """At once, then every 0.5 to 1 s, one call each; then the row, here 3 s apart."""
    account = IamAccount(make_aws(standin.url), proof_interval=timedelta(seconds=3))
    account.look([pair])
    standin.calls.clear()
    standin.settings.flapping = "nnnn"
    account.prove(standin.create_key("alice"), 3)
    assert len(standin.calls) == 4 + 3
    assert len(time.slept) == 4 + 2
    assert all(0.5 <= pause <= 1 for pause in time.slept[:4])


def test_without_an_interval_the_row_is_asked_at_once(looked: IamAccount, standin: StandIn, time: Any) -> None:
    """One round trip a row: no no no, no yes yes, yes yes yes."""
    standin.settings.flapping = "nnnn"
    looked.prove(standin.create_key("alice"), 3)
    assert len(standin.calls) == 9
    assert len(time.slept) == 2


def test_polls_take_turns_on_the_connections(looked: IamAccount, standin: StandIn) -> None:
    """So that they are open when the row begins, and ask several of AWS's hosts."""
    standin.settings.flapping = "nnn"
    young = standin.create_key("alice")
    looked.prove(young, 3)
    polled = [call.connection for call in standin.calls[:3]]
    assert len(set(polled)) == 3
    assert {call.connection for call in standin.calls} == set(polled)


def test_a_no_begins_the_row_again(make_aws: Callable[..., Any], standin: StandIn, pair: Credentials) -> None:
    """Yes, yes, no counts for nothing."""
    account = IamAccount(make_aws(standin.url))
    account.look([pair])
    standin.calls.clear()
    standin.settings.flapping = "nyyn"
    young = standin.create_key("alice")
    account.prove(young, 3)
    assert [call.outcome == "OK" for call in standin.calls] == [False, True, True, False, True, True, True]


@pytest.mark.parametrize("kind", ["500", "reset", "throttle", "cut"])
def test_a_lost_answer_is_no_yes(looked: IamAccount, standin: StandIn, pair: Credentials, kind: Any) -> None:
    """The row is begun again."""
    standin.fault("GetCallerIdentity", kind, "after", skip=1)
    looked.prove(pair, 3)
    assert len(standin.calls) in (5, 6)  # the third of the first row may not have been begun


def test_gives_up_after_the_propagation_time(
    make_aws: Callable[..., Any], standin: StandIn, pair: Credentials, time: Any
) -> None:
    """Nothing is lost: the next run goes on."""
    account = IamAccount(make_aws(standin.url), propagation_timeout=timedelta(seconds=30))
    standin.set_status(pair.key_id, "Inactive")
    with pytest.raises(TryLater, match="30 s"):
        account.prove(pair, 3)
    assert 29 <= time.monotonic() <= 30


def test_offline_is_waited_out_too(looked: IamAccount, standin: StandIn, pair: Credentials, time: Any) -> None:
    """A network that comes back in time does no harm; one that does not is said."""
    standin.fault("GetCallerIdentity", "drop", times=50)
    looked.prove(pair, 3)
    standin.fault("GetCallerIdentity", "drop", times=None)
    with pytest.raises(TryLater, match="broke"):
        looked.prove(pair, 3)


def test_a_wrong_secret_is_not_waited_for(looked: IamAccount, pair: Credentials, time: Any) -> None:
    """It will not become right."""
    with pytest.raises(KeyRefused) as caught:
        looked.prove(Credentials(pair.key_id, "wrong"), 3)
    assert caught.value.wrong_secret
    assert time.slept == []


def test_two_answers_that_differ(make_aws: Callable[..., Any], odd: Any, identity_reply: Any) -> None:
    """Whoever answers so is not AWS, or not one AWS."""
    odd.replies = [identity_reply(), identity_reply("arn:aws:iam::123456789012:user/bob")]
    with pytest.raises(OtherIdentity):
        IamAccount(make_aws(odd.url)).prove(Credentials("AKIAEXAMPLE", "x"), 2)
