"""Rights over HTTP: what each call asks for, on which resource, and under which conditions a policy allows it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rotate_my_key import policies
from rotate_my_key.core.model import Credentials
from tests.standin import StandIn
from tests.standin import policies as rules
from tests.standin.conftest import Client, Refusal

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


# What is called with what: a policy that is just enough, as action, resource and conditions; what ";" divides is all
# needed. ACCOUNT stands for the number, KEY for a key of KMS.
CALLS = """
iam list_users {}: iam:ListUsers
iam generate_credential_report {}: iam:GenerateCredentialReport
iam list_access_keys {"UserName": "bob"}: iam:ListAccessKeys arn:aws:iam::ACCOUNT:user/people/*
iam list_user_tags {"UserName": "bob"}: iam:ListUserTags arn:*:iam::*:user/*
iam get_group {"GroupName": "admins"}: iam:GetGroup arn:*:iam::*:group/admins
iam tag_user {"UserName": "bob", "Tags": [{"Key": "fleet", "Value": "x"}]}: iam:TagUser arn:*:iam::*:user/* ForAllValues:StringEquals aws:TagKeys fleet
iam untag_user {"UserName": "bob", "TagKeys": ["fleet"]}: iam:UntagUser * ForAllValues:StringEquals aws:TagKeys fleet Null aws:TagKeys false
iam create_access_key {"UserName": "bob"}: iam:CreateAccessKey arn:*:iam::*:user/people/*
sts assume_role {"RoleArn": "arn:aws:iam::ACCOUNT:role/fleet", "RoleSessionName": "me", "ExternalId": "xyz"}: sts:AssumeRole arn:*:iam::*:role/fleet StringEquals sts:ExternalId xyz
organizations list_accounts {}: organizations:ListAccounts
sesv2 send_email MAIL: ses:SendEmail arn:*:ses:eu-west-1:ACCOUNT:identity/example.com
sesv2 get_account {}: ses:GetAccount
sns publish {"TopicArn": "arn:aws:sns:eu-west-1:ACCOUNT:keys", "Message": "x"}: sns:Publish arn:aws:sns:*:*:keys
ssm get_parameter {"Name": "/fleet/plain"}: ssm:GetParameter arn:*:ssm:*:*:parameter/fleet/*
ssm get_parameter {"Name": "/fleet/sealed", "WithDecryption": true}: ssm:GetParameter; kms:Decrypt KEY StringEquals kms:ViaService ssm.eu-west-1.amazonaws.com
secretsmanager get_secret_value {"SecretId": "k/bob"}: secretsmanager:GetSecretValue arn:*:secretsmanager:*:*:secret:k/bob-??????
secretsmanager get_secret_value {"SecretId": "k/locked"}: secretsmanager:GetSecretValue; kms:Decrypt KEY
secretsmanager create_secret {"Name": "k/new", "SecretString": "x", "Tags": [{"Key": "a", "Value": "b"}], "KmsKeyId": "KEY"}: secretsmanager:CreateSecret arn:*:secretsmanager:*:*:secret:k/*; secretsmanager:TagResource * ForAllValues:StringEquals aws:TagKeys a; kms:GenerateDataKey KEY; kms:Decrypt KEY
secretsmanager delete_secret {"SecretId": "k/bob", "ForceDeleteWithoutRecovery": true}: secretsmanager:DeleteSecret arn:*:secretsmanager:*:*:secret:k/*
secretsmanager list_secrets {}: secretsmanager:ListSecrets
s3 put_object {"Bucket": "bucket", "Key": "a/b"}: s3:PutObject arn:aws:s3:::bucket/a/*
s3 put_object {"Bucket": "bucket", "Key": "a", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "KEY"}: s3:PutObject; kms:GenerateDataKey KEY
s3 list_objects_v2 {"Bucket": "bucket", "Prefix": "a_b/"}: s3:ListBucket arn:aws:s3:::bucket StringLike s3:prefix a_b/*
s3 delete_object {"Bucket": "bucket", "Key": "a"}: s3:DeleteObject arn:aws:s3:::*/a
logs create_log_stream {"logGroupName": "/audit", "logStreamName": "s"}: logs:CreateLogStream arn:aws:logs:*:*:log-group:/audit:*
"""  # noqa: E501 - a line a call


def policy(words: str) -> dict[str, Any]:
    """`action resource operator key value ...` as a policy."""
    action, *more = words.split()
    conditions = {more[at]: {more[at + 1]: more[at + 2]} for at in range(1, len(more), 3)}
    return allow(action, *more[:1], **conditions)


def called(client: Any, name: str, asked: dict[str, Any]) -> str:
    """ "OK", or the code of the refusal."""
    try:
        getattr(client, name)(**asked)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "OK"


@pytest.mark.parametrize("row", CALLS.strip().splitlines(), ids=lambda row: row.rpartition("}:")[2][:60].strip())
def test_each_call_needs_what_aws_says(world: StandIn, alice: Credentials, client: Client, row: str) -> None:
    """With just that it passes; without any one part, or for another resource, it is denied."""
    row = row.replace("ACCOUNT", world.account).replace("KEY", KEY).replace("MAIL", json.dumps(MAIL))
    made, _, needed = row.rpartition("}: ")
    service, name, given = f"{made}}}".split(" ", 2)
    asked, enough = json.loads(given), [policy(words) for words in needed.split("; ")]
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


SENDER = "sts:ExternalId"
TAGS = "aws:TagKeys"
TAGGED = "aws:userid"
BEGAN = "aws:TokenIssueTime"
CASES = [
    ("equal", "StringEquals", SENDER, ["a", "b"], ("b",), True),
    ("not equal", "StringEquals", SENDER, ["a", "b"], ("c",), False),
    ("a star is no wildcard", "StringEquals", SENDER, ["a*"], ("ab",), False),
    ("no case is spared", "StringEquals", SENDER, ["A"], ("a",), False),
    ("equal, but it is not there", "StringEquals", SENDER, ["a"], None, False),
    ("equal if it is there", "StringEqualsIfExists", SENDER, ["a"], None, True),
    ("equal if it is there, and is not", "StringEqualsIfExists", SENDER, ["a"], ("b",), False),
    ("like", "StringLike", SENDER, ["*@example.com"], ("it@example.com",), True),
    ("like, whole", "StringLike", SENDER, ["*@example.com"], ("it@example.com.org",), False),
    ("one letter", "StringLike", SENDER, ["?@a"], ("ab@a",), False),
    ("not like", "StringNotLike", SENDER, ["*@example.com"], ("it@example.com",), False),
    ("an ARN", "ArnLike", "aws:PrincipalArn", ["arn:aws:iam::*:role/x*"], ("arn:aws:iam::1:role/xy",), True),
    ("not that ARN", "ArnNotEquals", "aws:PrincipalArn", ["arn:a"], ("arn:b",), True),
    ("MFA", "Bool", "aws:MultiFactorAuthPresent", "true", ("true",), True),
    ("no MFA", "Bool", "aws:MultiFactorAuthPresent", "true", ("false",), False),
    ("MFA is not there", "Bool", "aws:MultiFactorAuthPresent", "false", None, False),
    ("MFA is not there, if it is", "BoolIfExists", "aws:MultiFactorAuthPresent", "false", None, True),
    ("it is not there", "Null", TAGS, "true", None, True),
    ("it is there", "Null", TAGS, "false", ("a",), True),
    ("it should be there", "Null", TAGS, "false", None, False),
    ("all of them", "ForAllValues:StringEquals", TAGS, ["a", "b"], ("a", "b"), True),
    ("one too many", "ForAllValues:StringEquals", TAGS, ["a"], ("a", "b"), False),
    ("all of none", "ForAllValues:StringEquals", TAGS, ["a"], None, True),
    ("before", "DateLessThan", BEGAN, "2026-11-25T12:00:00Z", ("2026-11-25T11:59:59Z",), True),
    ("not before", "DateLessThan", BEGAN, "2026-11-25T12:00:00Z", ("2026-11-25T12:00:00Z",), False),
    ("a key has no beginning", "DateLessThan", BEGAN, "2026-11-25T12:00:00Z", None, False),
]


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "found", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_operators(operator: str, key: str, wanted: Any, found: tuple[str, ...] | None, expected: bool) -> None:
    """As the IAM User Guide has them."""
    block = {operator: {key: wanted}}
    rules.check(block)
    assert rules.hold(block, {key: found} if found is not None else {}) is expected


def test_all_conditions_must_hold() -> None:
    """Of all operators, and all keys of each."""
    block = {"StringEquals": {SENDER: "a", TAGGED: "b"}, "Null": {TAGS: "true"}}
    right = {SENDER: ("a",), TAGGED: ("b",)}
    assert rules.hold(block, right)
    for wrong in ({**right, SENDER: ("x",)}, {**right, TAGGED: ("x",)}, {**right, TAGS: ("x",)}):
        assert not rules.hold(block, wrong)


@pytest.mark.parametrize(
    "block",
    [
        {"NumericLessThan": {"s3:max-keys": "10"}},
        {"StringEquals": {"aws:SourceIp": "10.0.0.1"}},
        {"StringEquals": {TAGS: ["a"]}},
        {"ForAllValues:StringEquals": {SENDER: ["a"]}},
        {"ForSomeValues:StringEquals": {TAGS: ["a"]}},
        {"Bool": {SENDER: "true"}},
        {"StringEquals": {"aws:MultiFactorAuthPresent": "true"}},
        {"StringEquals": {SENDER: "${aws:username}"}},
        {"Bool": {"aws:MultiFactorAuthPresent": True}},
        {"StringEquals": {"aws:RequestTag/a": "x"}},
    ],
    ids=lambda block: str(block)[1:40],
)
def test_what_is_not_understood_is_refused(block: dict[str, Any]) -> None:
    """An unknown operator, key or value; and a set without a quantity, which AWS evaluates in ways to stay clear of."""
    with pytest.raises(ValueError, match=r".+"):
        rules.check(block)
