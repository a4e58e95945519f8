"""SSM and Secrets Manager: values by name, who may read them, and what is never shown."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rotate_my_key.core.model import Credentials
from tests.standin import StandIn

Client = Callable[..., Any]
Refusal = Callable[..., tuple[str, int, str]]
ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


# SSM


@pytest.fixture
def ssm(aws: StandIn, client: Client) -> Any:
    """A client that signs as alice."""
    return client("ssm", aws.add_key("alice"))


def test_parameters(aws: StandIn, ssm: Any, refusal: Refusal) -> None:
    """By name or ARN; what is not there is an error for one and a list for several."""
    aws.add_parameter("/fleet/settings", "max_age = 90d")
    parameter = ssm.get_parameter(Name="/fleet/settings")["Parameter"]
    assert (parameter["Type"], parameter["Value"]) == ("String", "max_age = 90d")
    assert parameter["ARN"] == f"arn:aws:ssm:eu-west-1:{aws.account}:parameter/fleet/settings"
    assert ssm.get_parameter(Name=parameter["ARN"])["Parameter"]["Value"] == "max_age = 90d"
    assert refusal(ssm.get_parameter, Name="/fleet/other")[:2] == ("ParameterNotFound", 400)
    several = ssm.get_parameters(Names=["/fleet/settings", "/fleet/other"])
    assert [each["Name"] for each in several["Parameters"]] == ["/fleet/settings"]
    assert several["InvalidParameters"] == ["/fleet/other"]


def test_a_secure_string_must_be_decrypted(aws: StandIn, ssm: Any) -> None:
    """Without being asked to, SSM gives what it stores; neither is in the record."""
    aws.add_parameter("/fleet/urls", "tgram://token", secure=True)
    sealed = ssm.get_parameter(Name="/fleet/urls")["Parameter"]
    assert (sealed["Type"], "tgram" in sealed["Value"]) == ("SecureString", False)
    assert ssm.get_parameter(Name="/fleet/urls", WithDecryption=True)["Parameter"]["Value"] == "tgram://token"
    ssm.put_parameter(Name="/fleet/urls", Value="slack://other", Overwrite=True)
    assert ssm.get_parameter(Name="/fleet/urls", WithDecryption=True)["Parameter"]["Version"] == 2
    text = repr(aws.calls) + repr(aws._world.cloud)
    assert not [secret for secret in ("tgram://", "slack://") if secret in text]


def test_a_parameter_is_not_overwritten_by_mistake(ssm: Any, refusal: Refusal) -> None:
    """Only if the caller says so."""
    ssm.put_parameter(Name="x", Value="1", Type="String")
    assert refusal(ssm.put_parameter, Name="x", Value="2", Type="String")[0] == "ParameterAlreadyExists"
    assert ssm.put_parameter(Name="x", Value="2", Overwrite=True)["Version"] == 2


# Secrets Manager


@pytest.fixture
def vault(aws: StandIn, client: Client) -> Any:
    """A client that signs as alice."""
    return client("secretsmanager", aws.add_key("alice"))


def test_a_secret_from_beginning_to_end(aws: StandIn, vault: Any, refusal: Refusal) -> None:
    """Made empty, filled, read by name and by ARN, described without its value, deleted at once."""
    arn = vault.create_secret(Name="k/alice", Tags=[{"Key": "a", "Value": "b"}], Description="a key")["ARN"]
    assert arn.startswith(f"arn:aws:secretsmanager:eu-west-1:{aws.account}:secret:k/alice-")
    sentence = refusal(vault.get_secret_value, SecretId=arn)
    assert (sentence[0], "AWSCURRENT" in sentence[2]) == ("ResourceNotFoundException", True)
    vault.put_secret_value(SecretId="k/alice", SecretString="s3cr3t-value")
    for name in ("k/alice", arn, arn[:-7]):
        assert vault.get_secret_value(SecretId=name)["SecretString"] == "s3cr3t-value"
    told = vault.describe_secret(SecretId=arn)
    assert (told["Name"], told["Tags"], told["Description"]) == ("k/alice", [{"Key": "a", "Value": "b"}], "a key")
    vault.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    assert refusal(vault.get_secret_value, SecretId="k/alice")[0] == "ResourceNotFoundException"
    assert aws.secrets == {}
    assert "s3cr3t-value" not in repr(aws.calls)


def test_a_name_is_taken_once(aws: StandIn, vault: Any, refusal: Refusal) -> None:
    """And by one that waits for its deletion too; after deletion without recovery it is free after a while."""
    vault.create_secret(Name="a", SecretString="x")
    assert refusal(vault.create_secret, Name="a", SecretString="y")[:2] == ("ResourceExistsException", 400)
    vault.delete_secret(SecretId="a", RecoveryWindowInDays=7)
    assert aws.secrets["a"].deleted
    for call in (vault.create_secret, vault.get_secret_value, vault.put_secret_value):
        asked = {"Name": "a"} if call == vault.create_secret else {"SecretId": "a"}
        more = {"SecretString": "z"} if call == vault.put_secret_value else {}
        assert refusal(call, **asked, **more)[0] == "InvalidRequestException"
    aws.settings.secret_deletion = 3600
    vault.delete_secret(SecretId="a", ForceDeleteWithoutRecovery=True)
    assert refusal(vault.create_secret, Name="a")[0] == "InvalidRequestException"
    aws.settings.secret_deletion = 0
    vault.delete_secret(SecretId="a", ForceDeleteWithoutRecovery=True)
    vault.create_secret(Name="a")


def test_deleting_what_is_not_there(vault: Any, refusal: Refusal) -> None:
    """At once: no error. With a window: there must be something to keep."""
    vault.delete_secret(SecretId="nobody", ForceDeleteWithoutRecovery=True)
    assert refusal(vault.delete_secret, SecretId="nobody")[0] == "ResourceNotFoundException"
    assert refusal(vault.delete_secret, SecretId="x", RecoveryWindowInDays=3)[0] == "InvalidParameterException"


def test_secrets_are_listed_in_pages(aws: StandIn, vault: Any) -> None:
    """By the beginning of their names, without values and without deleted ones."""
    for name in ("k/a", "k/b", "k/c", "other", "k/gone"):
        aws.add_secret(name, "x", {"owner": name})
    vault.delete_secret(SecretId="k/gone")
    aws.settings.page_size = 2
    named = [{"Key": "name", "Values": ["k/"]}]
    pages = [page["SecretList"] for page in vault.get_paginator("list_secrets").paginate(Filters=named)]
    assert [[secret["Name"] for secret in page] for page in pages] == [["k/a", "k/b"], ["k/c"]]
    assert pages[0][0]["Tags"] == [{"Key": "owner", "Value": "k/a"}]
    found = vault.list_secrets(Filters=[{"Key": "tag-value", "Values": ["oth"]}])["SecretList"]
    assert [secret["Name"] for secret in found] == ["other"]
    assert len(vault.list_secrets(IncludePlannedDeletion=True, MaxResults=100)["SecretList"]) == 2


def for_reader(arn: str) -> str:
    """The policy of a secret that one principal alone may read."""
    read = {"Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    allow = {"Effect": "Allow", "Principal": {"AWS": arn}, **read}
    others = {"ArnNotEquals": {"aws:PrincipalArn": arn}}
    return json.dumps(document(allow, {"Effect": "Deny", "Principal": "*", **read, "Condition": others}))


def test_a_secrets_policy_says_who_may_read(aws: StandIn, client: Client, vault: Any, refusal: Refusal) -> None:
    """A user with no rights of his own may read his; nobody else may, not even who may do everything."""
    aws.settings.strict = True
    aws.attach_policy("alice", document(ANYTHING))
    bob = aws.add_user("bob")
    aws.add_user("carol")
    for name in ("k/bob", "k/carol"):
        aws.add_secret(name, f"value of {name}")
    vault.put_resource_policy(SecretId="k/bob", ResourcePolicy=for_reader(bob.arn), BlockPublicPolicy=True)
    his = client("secretsmanager", aws.add_key("bob"))
    assert his.get_secret_value(SecretId="k/bob")["SecretString"] == "value of k/bob"
    assert refusal(his.get_secret_value, SecretId="k/carol")[:2] == ("AccessDeniedException", 400)
    assert refusal(his.describe_secret, SecretId="k/bob")[0] == "AccessDeniedException"
    code, _, sentence = refusal(vault.get_secret_value, SecretId="k/bob")
    assert (code, "explicit deny in a resource-based policy" in sentence) == ("AccessDeniedException", True)
    hers = client("secretsmanager", aws.add_key("carol"))
    assert refusal(hers.get_secret_value, SecretId="k/bob")[0] == "AccessDeniedException"


def test_a_role_may_be_the_reader(aws: StandIn, client: Client, vault: Any) -> None:
    """By its ARN, whatever its session is called."""
    aws.settings.strict = True
    aws.attach_policy("alice", document(ANYTHING))
    role = aws.add_role("developers")
    aws.add_secret("k/bob", "x")
    vault.put_resource_policy(SecretId="k/bob", ResourcePolicy=for_reader(role))
    session = aws.role_session(role)
    assert client("secretsmanager", session).get_secret_value(SecretId="k/bob")["SecretString"] == "x"


def test_one_session_of_a_role_may_be_the_reader(aws: StandIn, client: Client, vault: Any, refusal: Refusal) -> None:
    """`aws:userid` ends in the session's name: two people with one role are told apart."""
    aws.attach_policy("alice", document(ANYTHING))
    role = aws.add_role("developers")
    aws.add_secret("k/bob", "x")
    read = {"Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    others = {"StringNotLike": {"aws:userid": "*:bob@example.com"}}
    policy = document({"Effect": "Deny", "Principal": "*", **read, "Condition": others})
    vault.put_resource_policy(SecretId="k/bob", ResourcePolicy=json.dumps(policy))

    def of(name: str) -> Any:
        made = client("sts", aws.pair(aws.keys("alice")[0].key_id)).assume_role(RoleArn=role, RoleSessionName=name)
        keys = made["Credentials"]
        pair = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        return client("secretsmanager", pair)

    assert of("bob@example.com").get_secret_value(SecretId="k/bob")["SecretString"] == "x"
    assert refusal(of("carol@example.com").get_secret_value, SecretId="k/bob")[0] == "AccessDeniedException"


def test_between_accounts_both_sides_must_agree(aws: StandIn, client: Client, vault: Any, refusal: Refusal) -> None:
    """The secret's policy and the reader's own; and AWS's default key does not open it for another account."""
    shop = aws.add_account("shop")
    bob = shop.add_user("bob")
    arn = aws.add_secret("k/bob", "x")
    his = client("secretsmanager", shop.add_key("bob"))
    for reader in (his, client("secretsmanager", shop.add_key(None))):
        assert refusal(reader.get_secret_value, SecretId=arn)[0] == "AccessDeniedException"
    vault.put_resource_policy(SecretId="k/bob", ResourcePolicy=for_reader(bob.arn))
    code, _, sentence = refusal(his.get_secret_value, SecretId=arn)
    assert (code, "default KMS service key" in sentence) == ("InvalidRequestException", True)
    aws.secrets["k/bob"].kms_key = "arn:aws:kms:eu-west-1:111122223333:key/1"
    assert his.get_secret_value(SecretId=arn)["SecretString"] == "x"
    assert refusal(his.get_secret_value, SecretId="k/bob")[0] == "ResourceNotFoundException"
    shop.attach_policy("bob", document({"Effect": "Allow", "Action": "iam:*", "Resource": "*"}))
    assert refusal(his.get_secret_value, SecretId=arn)[0] == "AccessDeniedException"
    read = {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": arn}
    shop.attach_policy("bob", document(read))
    assert refusal(his.get_secret_value, SecretId=arn)[2] == "Access to KMS is not allowed"
    key = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "arn:aws:kms:*:*:key/1"}
    shop.attach_policy("bob", document(key))
    assert his.get_secret_value(SecretId=arn)["SecretString"] == "x"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{}", "MalformedPolicyDocumentException"),
        ("no json", "MalformedPolicyDocumentException"),
        (for_reader("arn:aws:iam::ACCOUNT:user/nobody"), "MalformedPolicyDocumentException"),
        (for_reader("arn:aws:iam::ACCOUNT:role/nobody"), "MalformedPolicyDocumentException"),
        (json.dumps(document({**ANYTHING, "Principal": {"Service": "ec2.amazonaws.com"}})), "Malformed"),
        (json.dumps(document({**ANYTHING, "Principal": "*"})), "PublicPolicyException"),
    ],
    ids=["empty", "no JSON", "no such user", "no such role", "not understood", "for everybody"],
)
def test_policies_that_a_secret_cannot_have(aws: StandIn, vault: Any, refusal: Refusal, text: str, code: str) -> None:
    """Also one that names somebody who is not there: it must be made after the user."""
    aws.add_secret("k", "x")
    asked = {"SecretId": "k", "ResourcePolicy": text.replace("ACCOUNT", aws.account), "BlockPublicPolicy": True}
    assert refusal(vault.put_resource_policy, **asked)[0].startswith(code)
    assert "ResourcePolicy" not in vault.get_resource_policy(SecretId="k")


def test_a_recovery_window_ends(aws: StandIn, vault: Any, refusal: Refusal) -> None:
    """By the server's clock."""
    aws.add_secret("k", "x")
    vault.delete_secret(SecretId="k")
    aws.secrets["k"].gone -= timedelta(days=31)  # type: ignore[operator]
    assert refusal(vault.describe_secret, SecretId="k")[0] == "ResourceNotFoundException"
