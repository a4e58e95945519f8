"""The first look at a key and its user, and the looks after it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import Denied, KeyRefused
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
    """One call, and a refusal at once."""
    assert account.identify(pair).user == "alice"
    with pytest.raises(KeyRefused):
        account.identify(UNKNOWN)
    assert actions(standin) == ["GetCallerIdentity"] * 2
