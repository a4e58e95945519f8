"""AWS is slow to know: new keys, dead keys, lists."""

import math
import time
from collections.abc import Callable
from typing import Any

from rotate_my_key.core.model import Credentials
from tests.standin import StandIn

Client = Callable[..., Any]
Refusal = Callable[..., tuple[str, int, str]]
FOREVER = math.inf


def test_a_new_key_is_refused_for_a_while(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Each host by its own time; the keys that were there before work all the while."""
    old = aws.add_key("alice")
    aws.settings.propagation = {"sts": 0, "iam": FOREVER}
    new = aws.create_key("alice")
    client("sts", new).get_caller_identity()
    assert refusal(client("iam", new).get_user)[:2] == ("InvalidClientTokenId", 403)
    client("iam", old).get_user()
    aws.settings.propagation = 0
    client("iam", new).get_user()


def test_propagation_is_a_matter_of_time(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Seconds after it was made, the key works."""
    aws.settings.propagation = 0.2
    sts = client("sts", aws.create_key("alice"))
    assert refusal(sts.get_caller_identity)[0] == "InvalidClientTokenId"
    time.sleep(0.2)
    sts.get_caller_identity()


def test_a_new_key_flaps(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Yes and no by the pattern, counted for each service, then yes for good."""
    aws.settings.flapping = {"sts": "ynny", "iam": "n"}
    pair = aws.create_key("alice")
    sts = client("sts", pair)
    assert refusal(client("iam", pair).get_user)[0] == "InvalidClientTokenId"
    sts.get_caller_identity()
    refusal(sts.get_caller_identity)
    refusal(sts.get_caller_identity)
    for _ in range(3):
        sts.get_caller_identity()
    client("iam", pair).get_user()


def test_a_reactivated_key_propagates_too(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Switched on again is as good as new."""
    pair = aws.add_key("alice", status="Inactive")
    aws.settings.propagation = FOREVER
    aws.set_status(pair.key_id, "Active")
    assert refusal(client("sts", pair).get_caller_identity)[0] == "InvalidClientTokenId"


def test_a_dead_key_works_for_a_while(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Switched off or deleted, it signs in as before until the lag is over; moto's answers included."""
    off, gone = aws.add_key("alice"), aws.add_key("alice")
    aws.settings.revocation = FOREVER
    aws.set_status(off.key_id, "Inactive")
    aws.delete_key(gone.key_id)
    for pair in (off, gone):
        assert client("sts", pair).get_caller_identity()["Arn"].endswith(":user/alice")
        assert client("iam", pair).get_user()["User"]["UserName"] == "alice"
        client("iam", pair).list_users()
    aws.settings.revocation = 0
    for pair in (off, gone):
        assert refusal(client("sts", pair).get_caller_identity)[0] == "InvalidClientTokenId"


def test_a_dead_key_dies_in_time(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Seconds after it was deleted."""
    pair = aws.add_key("alice")
    aws.settings.revocation = 0.2
    aws.delete_key(pair.key_id)
    sts = client("sts", pair)
    sts.get_caller_identity()
    time.sleep(0.2)
    assert refusal(sts.get_caller_identity)[0] == "InvalidClientTokenId"


def test_a_list_lags_behind_every_change(aws: StandIn, client: Client) -> None:
    """New keys are missing, deleted ones shown, a status is the old one; the changes themselves are true at once."""
    signer = aws.add_key("alice")
    aws.add_user("bob")
    first, second = aws.add_key("bob"), aws.add_key("bob")
    iam = client("iam", signer)
    aws.settings.listing = FOREVER
    iam.update_access_key(UserName="bob", AccessKeyId=first.key_id, Status="Inactive")
    iam.delete_access_key(UserName="bob", AccessKeyId=second.key_id)
    made = iam.create_access_key(UserName="bob")["AccessKey"]

    def listed() -> list[tuple[str, str]]:
        keys = iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]
        return [(key["AccessKeyId"], key["Status"]) for key in keys]

    assert listed() == [(first.key_id, "Active"), (second.key_id, "Active")]
    client("sts", Credentials(made["AccessKeyId"], made["SecretAccessKey"])).get_caller_identity()
    assert [key.status for key in aws.keys("bob")] == ["Inactive", "Active"]
    aws.settings.listing = 0
    assert listed() == [(first.key_id, "Inactive"), (made["AccessKeyId"], "Active")]


def test_a_deleted_key_that_is_still_listed_cannot_be_deleted_again(
    aws: StandIn, client: Client, refusal: Refusal
) -> None:
    """NoSuchEntity, whatever the list shows; and its place is free."""
    iam = client("iam", aws.add_key("alice"))
    second = aws.add_key("alice")
    aws.settings.listing = FOREVER
    iam.delete_access_key(UserName="alice", AccessKeyId=second.key_id)
    assert len(iam.list_access_keys()["AccessKeyMetadata"]) == 2
    again = refusal(iam.delete_access_key, UserName="alice", AccessKeyId=second.key_id)
    assert again[:2] == ("NoSuchEntity", 404)
    iam.create_access_key(UserName="alice")


def test_every_call_takes_its_time(aws: StandIn, client: Client) -> None:
    """Latency is waited before each call."""
    sts = client("sts", aws.add_key("alice"))
    sts.get_caller_identity()
    aws.settings.latency = 0.1
    start = time.monotonic()
    sts.get_caller_identity()
    assert time.monotonic() - start >= 0.1
