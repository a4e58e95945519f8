"""CreateAccessKey: sent once, and what is certain afterwards."""

import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import Denied, KeyRefused, NoRoom, Problem, TryLater, Unanswered
from rotate_my_key.core.model import Credentials
from tests.standin import StandIn


def creations(standin: StandIn) -> int:
    """How often it was sent."""
    return sum(call.action == "CreateAccessKey" for call in standin.calls)


def test_gives_the_new_pair(looked: IamAccount, standin: StandIn) -> None:
    """The pair that AWS made, and the key as the list would show it."""
    new, key = looked.create()
    assert new == standin.pair(key.key_id)
    assert key.active


def test_goes_on_a_connection_just_open(looked: IamAccount, standin: StandIn) -> None:
    """A look a moment ago has left one, and opening another would cost round trips."""
    before = standin.connections
    looked.create()
    assert standin.connections == before


def test_or_on_a_fresh_one(looked: IamAccount, standin: StandIn, time: Any) -> None:
    """A connection that has rested may be gone at the other end: then nobody knows what became of the request."""
    before = standin.connections
    time.sleep(5)
    looked.create()
    assert standin.connections == before + 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["500", "503", "html", "reset", "drop", "cut"])
def test_a_lost_answer_is_not_asked_for_again(looked: IamAccount, standin: StandIn, kind: Any, when: Any) -> None:
    """It may have been carried out or not; sent again, it would make a second key."""
    standin.fault("CreateAccessKey", kind, when)
    with pytest.raises(Unanswered):
        looked.create()
    assert creations(standin) == 1
    assert len(standin.keys("alice")) == (2 if when == "after" else 1)


def test_a_throttled_one_is(looked: IamAccount, standin: StandIn, time: Any) -> None:
    """A throttled request was certainly not carried out."""
    standin.fault("CreateAccessKey", "throttle", times=2)
    looked.create()
    assert creations(standin) == 3
    assert len(time.slept) == 2
    assert len(standin.keys("alice")) == 2


def test_throttled_for_long(looked: IamAccount, standin: StandIn) -> None:
    """The person is told to try later, and that is certain."""
    standin.fault("CreateAccessKey", "throttle", times=None)
    with pytest.raises(TryLater, match="throttling") as caught:
        looked.create()
    assert not isinstance(caught.value, Unanswered)


def test_no_room(looked: IamAccount, standin: StandIn) -> None:
    """Two keys are the limit."""
    standin.add_key("alice")
    with pytest.raises(NoRoom):
        looked.create()


def test_denied(looked: IamAccount, standin: StandIn) -> None:
    """The action that is missing is named."""
    standin.deny("CreateAccessKey")
    with pytest.raises(Denied, match="iam:CreateAccessKey") as caught:
        looked.create()
    assert not caught.value.explicit


def test_quarantined(looked: IamAccount, standin: StandIn) -> None:
    """AWS names the policy that it attaches to users whose key it found in public."""
    standin.deny("CreateAccessKey", quarantine=True)
    with pytest.raises(Denied, match="leaked") as caught:
        looked.create()
    assert caught.value.quarantined


def test_refused(looked: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """The key died since the look."""
    standin.set_status(pair.key_id, "Inactive")
    with pytest.raises(KeyRefused):
        looked.create()
    assert creations(standin) == 1


def test_another_signer_is_tried(looked: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """A refused signer has made nothing, so the next may."""
    dead = standin.add_key("alice", status="Inactive")
    looked.sign_with([dead, pair])
    standin.delete_key(dead.key_id)
    looked.create()
    assert [call.key_id for call in standin.calls if call.action == "CreateAccessKey"] == [dead.key_id, pair.key_id]


def test_nobody_listens(make_aws: Callable[..., Any], pair: Credentials, time: Any) -> None:
    """A refused connection is certain, and is said soon."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    account = IamAccount(make_aws(url), user="alice")
    account.sign_with([pair])
    with pytest.raises(TryLater, match="cannot reach") as caught:
        account.create()
    assert not isinstance(caught.value, Unanswered)
    assert time.monotonic() <= 5


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_not_followed(
    make_aws: Callable[..., Any], odd: Any, page_reply: Any, pair: Credentials, status: int
) -> None:
    """Whoever sends it is not AWS; the request is not repeated elsewhere."""
    odd.replies = [page_reply(status, Location=odd.url + "/elsewhere")]
    account = IamAccount(make_aws(odd.url), user="alice")
    account.sign_with([pair])
    with pytest.raises(Unanswered, match="web page"):
        account.create()
    assert len(odd.requests) == 1


@pytest.mark.parametrize(
    "ending",
    ["reset", "close", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n"],
    ids=["reset", "closed", "empty", "not HTTP"],
)
def test_nothing_below_us_sends_again(
    make_aws: Callable[..., Any], odd: Any, pair: Credentials, ending: bytes | str
) -> None:
    """Neither botocore nor urllib3 repeats a request whose answer is lost; there is no Expect header to wait for."""
    odd.replies = [ending]
    account = IamAccount(make_aws(odd.url), user="alice")
    account.sign_with([pair])
    with pytest.raises(Unanswered):
        account.create()
    assert len(odd.requests) == 1
    assert b"expect:" not in odd.requests[0].lower()


@pytest.mark.slow
def test_an_answer_is_waited_for_15_seconds(looked: IamAccount, standin: StandIn) -> None:
    """Longer than for any other call, as it is the one whose answer matters."""
    standin.fault("CreateAccessKey", "slow", "after", seconds=12)
    looked.create()
    standin.fault("CreateAccessKey", "hang", "after", seconds=30)
    standin.delete_key(standin.keys("alice")[-1].key_id)
    with pytest.raises(Unanswered, match="in time"):
        looked.create()


def test_no_secret_in_what_is_raised(looked: IamAccount, standin: StandIn) -> None:
    """botocore quotes an answer that it cannot read, secret and all; it must not travel with our error."""
    seen: list[str] = []
    standin.on_call(lambda call: seen.append(standin.keys("alice")[-1].key_id), "after", "CreateAccessKey")
    standin.fault("CreateAccessKey", "cut", "after")
    with pytest.raises(Problem) as caught:
        looked.create()
    secret = standin.pair(seen[0]).secret
    error: BaseException | None = caught.value
    while error is not None:
        assert secret not in repr(error) + str(error)
        error = error.__cause__ or error.__context__


def test_patience_begins_with_a_new_key(looked: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """From then on a refusal may mean that AWS does not know the key everywhere yet."""
    standin.settings.flapping = {"iam": "nnn"}
    new, _ = looked.create()
    looked.sign_with([new])
    assert len(looked.keys()) == 2
    assert standin.calls[-1].at - standin.calls[0].at < timedelta(seconds=5)
