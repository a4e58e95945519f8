"""Rights over HTTP: what each call asks for, on which resource, and what a role or a user may do with just that."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotate_my_key import policies
from rotate_my_key.core.model import Credentials
from tests.standin import StandIn

Client = Callable[..., Any]
Refusal = Callable[..., tuple[str, int, str]]
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"
MAIL = {
    "FromEmailAddress": "IT <it@example.com>",
    "Destination": {"ToAddresses": ["bob@x.org"]},
    "Content": {"Simple": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}}},
}


def allow(action: str, resource: str = "*", **conditions: Any) -> dict[str, Any]:
    """A policy with one statement."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [{**statement, **({"Condition": conditions} if conditions else {})}]}


@pytest.fixture
def world(aws: StandIn) -> StandIn:
    """Something of everything; rights are as strict as AWS's."""
    aws.settings.strict = True
    aws.add_user("bob", "/people/", tags={"team": "red"}, groups=["admins"])
    aws.add_key("bob", timedelta(days=10))
    aws.add_account("shop")
    aws.add_role("fleet", external_id="xyz")
    aws.verify("example.com")
    aws.add_topic("keys", "eu-west-1")
    aws.add_parameter("/fleet/plain", "x")
    aws.add_parameter("/fleet/sealed", "x", secure=True, kms_key=KEY)
    aws.add_secret("k/bob", "x", {"team": "red"})
    aws.add_secret("k/locked", "x", kms_key=KEY)
    aws.add_bucket("bucket")
    aws.add_log_group("/audit")
    return aws


@pytest.fixture
def alice(world: StandIn) -> Credentials:
    """Her key."""
    return world.add_key("alice")


# What is called, and a policy that is just enough; ACCOUNT stands for the number.
CALLS: list[tuple[str, str, dict[str, Any], list[dict[str, Any]]]] = [
    ("iam", "list_users", {}, [allow("iam:ListUsers")]),
    ("iam", "generate_credential_report", {}, [allow("iam:GenerateCredentialReport")]),
    (
        "iam",
        "list_access_keys",
        {"UserName": "bob"},
        [allow("iam:ListAccessKeys", "arn:aws:iam::ACCOUNT:user/people/*")],
    ),
    ("iam", "list_user_tags", {"UserName": "bob"}, [allow("iam:ListUserTags", "arn:*:iam::*:user/*")]),
    ("iam", "get_group", {"GroupName": "admins"}, [allow("iam:GetGroup", "arn:*:iam::*:group/admins")]),
    (
        "iam",
        "tag_user",
        {"UserName": "bob", "Tags": [{"Key": "fleet", "Value": "x"}]},
        [allow("iam:TagUser", "arn:*:iam::*:user/*", **{"ForAllValues:StringEquals": {"aws:TagKeys": ["fleet"]}})],
    ),
    (
        "iam",
        "untag_user",
        {"UserName": "bob", "TagKeys": ["fleet"]},
        [
            allow(
                "iam:UntagUser",
                **{"ForAllValues:StringEquals": {"aws:TagKeys": "fleet"}, "Null": {"aws:TagKeys": "false"}},
            )
        ],
    ),
    (
        "iam",
        "create_access_key",
        {"UserName": "bob"},
        [allow("iam:CreateAccessKey", StringEquals={"iam:ResourceTag/team": "red"})],
    ),
    (
        "sts",
        "assume_role",
        {"RoleArn": "arn:aws:iam::ACCOUNT:role/fleet", "RoleSessionName": "me", "ExternalId": "xyz"},
        [allow("sts:AssumeRole", "arn:*:iam::*:role/fleet", StringEquals={"sts:ExternalId": "xyz"})],
    ),
    ("organizations", "list_accounts", {}, [allow("organizations:ListAccounts")]),
    (
        "sesv2",
        "send_email",
        MAIL,
        [
            allow(
                "ses:SendEmail",
                "arn:*:ses:eu-west-1:ACCOUNT:identity/example.com",
                StringEquals={"ses:FromAddress": "it@example.com"},
            )
        ],
    ),
    ("sesv2", "get_account", {}, [allow("ses:GetAccount")]),
    (
        "sns",
        "publish",
        {"TopicArn": "arn:aws:sns:eu-west-1:ACCOUNT:keys", "Message": "x"},
        [allow("sns:Publish", "arn:aws:sns:*:*:keys")],
    ),
    ("ssm", "get_parameter", {"Name": "/fleet/plain"}, [allow("ssm:GetParameter", "arn:*:ssm:*:*:parameter/fleet/*")]),
    (
        "ssm",
        "get_parameter",
        {"Name": "/fleet/sealed", "WithDecryption": True},
        [
            allow("ssm:GetParameter"),
            allow("kms:Decrypt", KEY, StringEquals={"kms:ViaService": "ssm.eu-west-1.amazonaws.com"}),
        ],
    ),
    (
        "secretsmanager",
        "get_secret_value",
        {"SecretId": "k/bob"},
        [
            allow(
                "secretsmanager:GetSecretValue",
                "arn:*:secretsmanager:*:*:secret:k/bob-??????",
                StringEquals={"secretsmanager:ResourceTag/team": "red"},
            )
        ],
    ),
    (
        "secretsmanager",
        "get_secret_value",
        {"SecretId": "k/locked"},
        [allow("secretsmanager:GetSecretValue"), allow("kms:Decrypt", KEY)],
    ),
    (
        "secretsmanager",
        "create_secret",
        {"Name": "k/new", "SecretString": "x", "Tags": [{"Key": "a", "Value": "b"}], "KmsKeyId": KEY},
        [
            allow("secretsmanager:CreateSecret", "arn:*:secretsmanager:*:*:secret:k/*"),
            allow("secretsmanager:TagResource", StringEquals={"aws:RequestTag/a": "b"}),
            allow("kms:GenerateDataKey", KEY),
            allow("kms:Decrypt", KEY),
        ],
    ),
    (
        "secretsmanager",
        "delete_secret",
        {"SecretId": "k/bob", "ForceDeleteWithoutRecovery": True},
        [allow("secretsmanager:DeleteSecret", "arn:*:secretsmanager:*:*:secret:k/*")],
    ),
    ("secretsmanager", "list_secrets", {}, [allow("secretsmanager:ListSecrets")]),
    ("s3", "put_object", {"Bucket": "bucket", "Key": "a/b"}, [allow("s3:PutObject", "arn:aws:s3:::bucket/a/*")]),
    (
        "s3",
        "put_object",
        {"Bucket": "bucket", "Key": "a", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY},
        [
            allow("s3:PutObject", StringEquals={"s3:x-amz-server-side-encryption": "aws:kms"}),
            allow("kms:GenerateDataKey", KEY),
        ],
    ),
    (
        "s3",
        "list_objects_v2",
        {"Bucket": "bucket", "Prefix": "a b/"},
        [allow("s3:ListBucket", "arn:aws:s3:::bucket", StringLike={"s3:prefix": "a b/*"})],
    ),
    ("s3", "delete_object", {"Bucket": "bucket", "Key": "a"}, [allow("s3:DeleteObject", "arn:aws:s3:::*/a")]),
    (
        "logs",
        "create_log_stream",
        {"logGroupName": "/audit", "logStreamName": "s"},
        [allow("logs:CreateLogStream", "arn:aws:logs:*:*:log-group:/audit:*")],
    ),
]


def called(client: Any, name: str, asked: dict[str, Any]) -> str:
    """ "OK", or the code of the refusal."""
    try:
        getattr(client, name)(**asked)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "OK"


@pytest.mark.parametrize(
    ("service", "name", "asked", "enough"), CALLS, ids=[f"{case[0]} {case[1]} {len(case[3])}" for case in CALLS]
)
def test_each_call_needs_what_aws_says(
    world: StandIn,
    alice: Credentials,
    client: Client,
    service: str,
    name: str,
    asked: dict[str, Any],
    enough: list[dict[str, Any]],
) -> None:
    """With just that it passes; without any one part, or for another resource, it is denied."""
    asked, enough = json.loads(json.dumps([asked, enough]).replace("ACCOUNT", world.account))
    caller = client(service, alice)
    denied = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}
    for left_out in range(len(enough)):
        world.detach_policies("alice")
        for index, document in enumerate(enough):
            statement = document["Statement"][0]
            elsewhere = allow(statement["Action"], "arn:aws:x:::elsewhere")
            world.attach_policy("alice", elsewhere if index == left_out else document)
        assert called(caller, name, asked) in denied
    world.detach_policies("alice")
    assert called(caller, name, asked) in denied
    for document in enough:
        world.attach_policy("alice", document)
    assert called(caller, name, asked) == "OK"


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("tag_user", {"Tags": [{"Key": "other", "Value": "x"}]}),
        ("tag_user", {"Tags": [{"Key": "fleet", "Value": "x"}, {"Key": "other", "Value": "x"}]}),
        ("untag_user", {"TagKeys": ["team"]}),
    ],
)
def test_the_right_to_one_tag_is_for_one_tag(
    world: StandIn, alice: Credentials, client: Client, name: str, asked: dict[str, Any]
) -> None:
    """Not for another, nor for another beside it."""
    world.attach_policy("alice", allow("iam:*", **{"ForAllValues:StringEquals": {"aws:TagKeys": ["fleet"]}}))
    assert called(client("iam", alice), name, {"UserName": "bob", **asked}) == "AccessDenied"
    assert world.tags("bob") == {"team": "red"}


def test_what_is_not_there_is_denied_like_what_is(
    world: StandIn, alice: Credentials, client: Client, refusal: Refusal
) -> None:
    """Who may not know is not told: users, secrets, parameters, and objects of a bucket that he may not list."""
    world.attach_policy("alice", allow("s3:GetObject", "arn:aws:s3:::bucket/*"))
    world.attach_policy("alice", allow("ssm:GetParameter", "arn:*:ssm:*:*:parameter/mine/*"))
    assert refusal(client("iam", alice).list_access_keys, UserName="nobody")[0] == "AccessDenied"
    assert refusal(client("ssm", alice).get_parameter, Name="/fleet/no")[0] == "AccessDeniedException"
    assert refusal(client("ssm", alice).get_parameter, Name="/mine/no")[0] == "ParameterNotFound"
    assert refusal(client("secretsmanager", alice).get_secret_value, SecretId="no")[0] == "AccessDeniedException"
    assert refusal(client("s3", alice).get_object, Bucket="bucket", Key="no")[:2] == ("AccessDenied", 403)
    world.attach_policy("alice", allow("s3:ListBucket", "arn:aws:s3:::bucket"))
    assert refusal(client("s3", alice).get_object, Bucket="bucket", Key="no")[:2] == ("NoSuchKey", 404)


def test_a_roles_policies_bind_its_sessions(world: StandIn, client: Client, refusal: Refusal) -> None:
    """In its own account, in another; none of the caller's own rights come along."""
    world.attach_policy("alice", allow("*"))
    shop = world.in_account(world.accounts[1])
    shop.add_user("carol")
    role = shop.add_role("fleet")
    shop.attach_policy(role, allow("iam:ListUsers"))
    sts = client("sts", world.add_key("alice"))
    made = sts.assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    iam = client("iam", Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]))
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["carol"]
    code, _, sentence = refusal(iam.list_access_keys, UserName="carol")
    assert (code, "assumed-role/fleet/me is not authorized to perform: iam:ListAccessKeys" in sentence) == (
        "AccessDenied",
        True,
    )


def test_a_policy_for_the_organization(world: StandIn, client: Client) -> None:
    """`aws:PrincipalOrgID` is there for every member of it."""
    world.attach_policy("alice", allow("iam:*", StringEquals={"aws:PrincipalOrgID": world.organization_id}))
    assert called(client("iam", world.add_key("alice")), "list_users", {}) == "OK"
    world.detach_policies("alice")
    world.attach_policy("alice", allow("iam:*", StringEquals={"aws:PrincipalOrgID": "o-another"}))
    assert called(client("iam", Credentials(*pair_of(world))), "list_users", {}) == "AccessDenied"


def pair_of(world: StandIn) -> tuple[str, str]:
    """Alice's key again."""
    pair = world.pair(world.keys("alice")[0].key_id)
    return str(pair.key_id), str(pair.secret)


def test_no_policy_binds_root(world: StandIn, client: Client) -> None:
    """Strict or not."""
    assert called(client("iam", world.add_key(None)), "list_users", {}) == "OK"


def test_without_strictness_who_has_no_policy_may_do_everything(world: StandIn, client: Client) -> None:
    """Most tests are not about rights; who has one policy has no more than that."""
    world.settings.strict = False
    iam = client("iam", world.add_key("alice"))
    assert called(iam, "list_users", {}) == "OK"
    world.attach_policy("alice", allow("iam:GetUser"))
    assert called(iam, "list_users", {}) == "AccessDenied"


@pytest.mark.parametrize("name", policies.names())
def test_our_own_policies_are_understood(aws: StandIn, name: str) -> None:
    """Every part of each: none is refused."""
    aws.attach_policy("alice", json.loads(policies.text(name)))


def test_presigned_links_have_their_signers_rights(world: StandIn, alice: Credentials, client: Client) -> None:
    """At the moment of reading: whoever may not read any more has signed in vain."""
    import urllib.request
    from urllib.error import HTTPError

    world.attach_policy("alice", allow("s3:*"))
    s3 = client("s3", alice)
    s3.put_object(Bucket="bucket", Key="a", Body=b"x")
    url = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "a"}, ExpiresIn=60)
    assert urllib.request.urlopen(url, timeout=5).read() == b"x"  # noqa: S310
    world.detach_policies("alice")
    with pytest.raises(HTTPError, match="403"):
        urllib.request.urlopen(url, timeout=5)  # noqa: S310


def test_the_rules_are_quick(world: StandIn, alice: Credentials, client: Client) -> None:
    """A call with a policy of thirty statements takes milliseconds: fleets make thousands."""
    many = allow("iam:ListAccessKeys", "arn:*:iam::*:user/*")["Statement"] * 30
    world.attach_policy("alice", {"Version": "2012-10-17", "Statement": many})
    iam = client("iam", alice)
    iam.list_access_keys(UserName="bob")
    begin = time.monotonic()
    for _ in range(20):
        iam.list_access_keys(UserName="bob")
    assert time.monotonic() - begin < 3
