"""The calls of a rotation, as IAM answers them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.core.model import Credentials, LastUse
from tests.standin import StandIn

Client = Callable[..., Any]
Refusal = Callable[..., tuple[str, int, str]]


def test_a_whole_rotation(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Create, sign in, switch off, delete: what one sees is what one did."""
    old = aws.add_key("alice", timedelta(days=98))
    made = client("iam", old).create_access_key(UserName="alice")["AccessKey"]
    new = Credentials(made["AccessKeyId"], made["SecretAccessKey"])
    assert (made["UserName"], made["Status"]) == ("alice", "Active")
    assert aws.pair(new.key_id) == new
    client("sts", new).get_caller_identity()
    iam = client("iam", new)
    iam.update_access_key(UserName="alice", AccessKeyId=old.key_id, Status="Inactive")
    assert [(key.key_id, key.status) for key in aws.keys("alice")] == [(old.key_id, "Inactive"), (new.key_id, "Active")]
    assert refusal(client("sts", old).get_caller_identity)[0] == "InvalidClientTokenId"
    iam.update_access_key(UserName="alice", AccessKeyId=old.key_id, Status="Active")
    client("sts", old).get_caller_identity()
    iam.delete_access_key(UserName="alice", AccessKeyId=old.key_id)
    assert [key.key_id for key in aws.keys("alice")] == [new.key_id]


def test_lists_show_age_and_status(aws: StandIn, client: Client) -> None:
    """Back-dated by the second, oldest first."""
    first = aws.add_key("alice", timedelta(days=98))
    second = aws.add_key("alice", timedelta(hours=1), status="Inactive")
    listed = client("iam", first).list_access_keys(UserName="alice")
    assert listed["IsTruncated"] is False
    shown = [(key["AccessKeyId"], key["Status"], key["UserName"]) for key in listed["AccessKeyMetadata"]]
    assert shown == [(first.key_id, "Active", "alice"), (second.key_id, "Inactive", "alice")]
    age = datetime.now(UTC) - listed["AccessKeyMetadata"][0]["CreateDate"]
    assert abs(age - timedelta(days=98)) < timedelta(seconds=5)
    assert aws.keys("alice")[0].created == listed["AccessKeyMetadata"][0]["CreateDate"]


def test_lists_come_in_pages(aws: StandIn, client: Client) -> None:
    """A page size of 1 needs two calls, which botocore's paginator makes."""
    pair = aws.add_key("alice")
    aws.add_key("alice")
    aws.settings.page_size = 1
    pages = list(client("iam", pair).get_paginator("list_access_keys").paginate(UserName="alice"))
    assert [len(page["AccessKeyMetadata"]) for page in pages] == [1, 1]
    assert {page["AccessKeyMetadata"][0]["AccessKeyId"] for page in pages} == {key.key_id for key in aws.keys("alice")}


def test_without_a_user_name_the_caller_is_meant(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """GetUser and the key calls all work so, and never on another user's key."""
    aws.add_user("bob")
    other = aws.add_key("bob")
    iam = client("iam", aws.add_key("alice"))
    assert iam.get_user()["User"]["UserName"] == "alice"
    made = iam.create_access_key()["AccessKey"]["AccessKeyId"]
    assert len(iam.list_access_keys()["AccessKeyMetadata"]) == 2
    iam.update_access_key(AccessKeyId=made, Status="Inactive")
    iam.delete_access_key(AccessKeyId=made)
    assert refusal(iam.delete_access_key, AccessKeyId=other.key_id)[:2] == ("NoSuchEntity", 404)
    assert len(aws.keys("bob")) == 1


def test_with_a_user_name_another_user_is_reached(aws: StandIn, client: Client) -> None:
    """What an administrator may do; policies are a matter of `deny`."""
    aws.add_user("bob", tags={"key-rotation": "exempt"})
    other = aws.add_key("bob")
    iam = client("iam", aws.add_key("alice"))
    assert iam.get_user(UserName="bob")["User"]["Tags"] == [{"Key": "key-rotation", "Value": "exempt"}]
    assert "Tags" not in iam.get_user(UserName="alice")["User"]
    iam.update_access_key(UserName="bob", AccessKeyId=other.key_id, Status="Inactive")
    assert aws.keys("bob")[0].status == "Inactive"


@pytest.mark.parametrize(
    ("action", "parameters", "code", "status"),
    [
        ("create_access_key", {"UserName": "alice"}, "LimitExceeded", 409),
        ("create_access_key", {"UserName": "nobody"}, "NoSuchEntity", 404),
        ("list_access_keys", {"UserName": "nobody"}, "NoSuchEntity", 404),
        ("get_user", {"UserName": "nobody"}, "NoSuchEntity", 404),
        ("delete_access_key", {"UserName": "alice", "AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "NoSuchEntity", 404),
        ("get_access_key_last_used", {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "NoSuchEntity", 404),
    ],
    ids=lambda value: str(value),
)
def test_what_cannot_be_done_is_refused_as_iam_does(
    aws: StandIn, client: Client, refusal: Refusal, action: str, parameters: dict[str, str], code: str, status: int
) -> None:
    """Code and status of the API reference; nothing changes."""
    pair = aws.add_key("alice")
    aws.add_key("alice", status="Inactive")
    before = aws.keys("alice")
    assert refusal(getattr(client("iam", pair), action), **parameters)[:2] == (code, status)
    assert aws.keys("alice") == before


def test_a_key_cannot_be_made_expired_by_hand(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """ValidationError, 400."""
    pair = aws.add_key("alice")
    call = client("iam", pair).update_access_key
    assert refusal(call, UserName="alice", AccessKeyId=pair.key_id, Status="Expired")[:2] == ("ValidationError", 400)


def test_a_key_that_was_never_used(aws: StandIn, client: Client) -> None:
    """N/A and no date, as for a key whose use is not shown yet."""
    pair = aws.add_key("alice")
    answer = client("iam", pair).get_access_key_last_used(AccessKeyId=pair.key_id)
    assert answer["UserName"] == "alice"
    assert answer["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}


def test_uses_are_recorded_and_shown_late(aws: StandIn, client: Client) -> None:
    """What was set shows at once, our own calls a quarter of an hour later, or at once if told so."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    pair = aws.add_key("alice", use=LastUse(at, "s3", "eu-west-1"))

    def last_used() -> dict[str, object]:
        answer = client("iam", pair).get_access_key_last_used(AccessKeyId=pair.key_id)
        use: dict[str, object] = answer["AccessKeyLastUsed"]
        return use

    assert last_used() == {"LastUsedDate": at, "ServiceName": "s3", "Region": "eu-west-1"}
    client("sns", pair, region="eu-central-1").list_topics()
    assert last_used()["ServiceName"] == "s3"
    aws.settings.last_use = 0
    assert (last_used()["ServiceName"], last_used()["Region"]) == ("iam", "us-east-1")
    aws.set_last_use(pair.key_id, LastUse(at, "ec2", "eu-west-1"))
    aws.settings.last_use = 900
    assert last_used()["ServiceName"] == "ec2"


def test_users_made_through_the_api_can_have_keys(aws: StandIn, client: Client) -> None:
    """Users live in moto, so what moto answers and what we answer agree."""
    iam = client("iam", aws.add_key("alice"))
    iam.create_user(UserName="carol", Path="/ops/")
    made = iam.create_access_key(UserName="carol")["AccessKey"]
    pair = Credentials(made["AccessKeyId"], made["SecretAccessKey"])
    assert client("sts", pair).get_caller_identity()["Arn"].endswith(":user/ops/carol")
    assert {user["UserName"] for user in iam.list_users()["Users"]} == {"alice", "carol"}


def test_keys_of_a_deleted_user_are_refused(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """A user who is gone signs in no more; what moto refuses is recorded by its code."""
    aws.add_user("bob")
    pair = aws.add_key("bob")
    iam = client("iam", aws.add_key("alice"))
    iam.delete_user(UserName="bob")
    assert refusal(client("sts", pair).get_caller_identity)[0] == "InvalidClientTokenId"
    assert refusal(iam.delete_user, UserName="bob")[:2] == ("NoSuchEntity", 404)
    assert aws.calls[-1].outcome == "NoSuchEntity"
