"""One user at IAM: what a look tells, how a new key is made, and how it is proven."""

import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import Denied, KeyRefused, OtherIdentity, Problem, TryLater, Unanswered
from rotate_my_key.core.model import Credentials, LastUse
from tests.standin import StandIn

SOME_TIME = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
UNKNOWN = Credentials("AKIAUNKNOWNKEY000000", "unknown")


def actions(standin: StandIn) -> list[str]:
    """What arrived, sorted: calls that go out together arrive in any order."""
    return sorted(call.action for call in standin.calls)


def test_tells_everything(account: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """One look gives who signs, all keys, the tags, the last use and AWS's time."""
    other = standin.add_key("alice", status="Inactive")
    standin.set_last_use(pair.key_id, LastUse(SOME_TIME, "s3", "eu-west-1"))
    look = account.look([pair])
    assert look.signer == pair
    assert (look.identity.account, look.identity.user) == (standin.account, "alice")
    assert {key.key_id: key.status for key in look.keys} == {pair.key_id: "Active", other.key_id: "Inactive"}
    assert look.tags == {"team": "blue"}
    assert look.last_use == LastUse(SOME_TIME, "s3", "eu-west-1")
    assert abs(look.now - datetime.now(UTC)) < timedelta(seconds=5)


def test_takes_one_round_trip(account: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """Its four calls go out together, each on a connection of its own, and once."""
    standin.settings.latency = 0.3
    account.look([pair])
    assert actions(standin) == ["GetAccessKeyLastUsed", "GetCallerIdentity", "GetUser", "ListAccessKeys"]
    assert standin.connections == 4  # one after the other, IAM's three would share one


def test_names_the_user_only_after_the_first_look(account: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """Before it the name is not known; after it AWS wants it for sessions."""
    account.look([pair])
    assert not any("UserName" in call.params for call in standin.calls)
    standin.calls.clear()
    account.keys()
    assert [call.params["UserName"] for call in standin.calls] == ["alice"]


def test_reads_all_pages(looked: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """A list may come in pages."""
    other = standin.add_key("alice")
    standin.settings.page_size = 1
    assert {key.key_id for key in looked.keys()} == {pair.key_id, other.key_id}  # noqa: SIM118 - no dict


def test_a_key_never_used_has_no_date(account: IamAccount, pair: Credentials) -> None:
    """N/A is nobody's service."""
    assert account.look([pair]).last_use == LastUse(None, "", "")


@pytest.mark.parametrize("kind", ["throttle", "500", "reset", "html", "cut"])
def test_last_use_is_unknown_if_aws_does_not_say(
    account: IamAccount, standin: StandIn, pair: Credentials, kind: Any
) -> None:
    """A failure is not "never", and does not stop the look."""
    standin.fault("GetAccessKeyLastUsed", kind, times=None)
    assert account.look([pair]).last_use is None


def test_what_is_no_obstacle_when_denied(account: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """Tags and last use are unknown to somebody who may not ask."""
    standin.deny("GetUser")
    standin.deny("GetAccessKeyLastUsed")
    look = account.look([pair])
    assert (look.tags, look.last_use) == (None, None)


def test_the_list_is_needed(account: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """Without the list there is no look."""
    standin.deny("ListAccessKeys", explicit=True)
    with pytest.raises(Denied) as caught:
        account.look([pair])
    assert (caught.value.action, caught.value.explicit) == ("iam:ListAccessKeys", True)


def test_signs_with_the_first_pair_that_aws_accepts(account: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """A dead pair is passed over."""
    dead = standin.add_key("alice", status="Inactive")
    look = account.look([dead, UNKNOWN, pair])
    assert look.signer == pair


def test_refused_at_once_if_aws_accepts_none(account: IamAccount, time: Any) -> None:
    """Without patience there is no waiting."""
    with pytest.raises(KeyRefused, match=r"\.\.\.0000"):
        account.look([UNKNOWN])
    assert time.slept == []


def test_patience_waits_for_a_young_key(account: IamAccount, standin: StandIn, time: Any) -> None:
    """A key that AWS does not know everywhere yet is asked for again every 0.5 to 1 s."""
    standin.settings.flapping = "n" * 20
    young = standin.create_key("alice")
    assert account.look([young], patient=True).signer == young
    assert time.slept
    assert all(0.5 <= pause <= 1 for pause in time.slept)


def test_patience_ends(account: IamAccount, standin: StandIn, time: Any) -> None:
    """After the propagation time the key is refused."""
    with pytest.raises(KeyRefused):
        account.look([UNKNOWN], patient=True)
    assert 119 <= time.monotonic() <= 120


def test_iam_may_not_know_yet_what_sts_knows(account: IamAccount, standin: StandIn) -> None:
    """A no from IAM to a pair that STS accepts is asked again for some seconds."""
    standin.settings.flapping = {"iam": "nnnnn"}
    young = standin.create_key("alice")
    assert len(account.look([young]).keys) == 1


def test_wrong_secret_is_said(account: IamAccount, pair: Credentials, time: Any) -> None:
    """It is not waited for, as it will not become right."""
    with pytest.raises(KeyRefused) as caught:
        account.look([Credentials(pair.key_id, "wrong")], patient=True)
    assert caught.value.wrong_secret
    assert time.slept == []


def test_root_has_no_keys_to_rotate(account: IamAccount, standin: StandIn) -> None:
    """The look tells who it is, so that it can be refused."""
    look = account.look([standin.add_key(None)])
    assert look.identity.is_root
    assert look.keys == ()


def test_identify_asks_once(account: IamAccount, standin: StandIn, pair: Credentials) -> None:
    """One call, and a refusal at once. What an earlier test sent may still arrive, signed with another key."""
    assert account.identify(pair).user == "alice"
    with pytest.raises(KeyRefused):
        account.identify(UNKNOWN)
    mine = [call.action for call in standin.calls if call.key_id in (pair.key_id, UNKNOWN.key_id)]
    assert mine == ["GetCallerIdentity"] * 2


def creations(standin: StandIn) -> int:
    """How often it was sent."""
    return sum(call.action == "CreateAccessKey" for call in standin.calls)


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
