"""The services beside IAM and STS: moto's answers, and what stands before them."""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError

import pytest

from rotate_my_key.core.model import Credentials
from tests.standin import StandIn
from tests.standin.conftest import Client, Refusal

Service = Callable[[str], Any]
DAY = 24 * 3600 * 1000
ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@pytest.fixture
def service(aws: StandIn, client: Client) -> Service:
    """A client that signs as alice: `service("ssm")`."""
    pair = aws.add_key("alice")
    return lambda name: client(name, pair)


def mail(sender: str = "IT <it@example.com>", *to: str) -> dict[str, Any]:
    """A mail, as SendEmail wants it."""
    body = {"Text": {"Data": "the text"}, "Html": {"Data": "<p>the text"}}
    content = {"Simple": {"Subject": {"Data": "your key"}, "Body": body}}
    return {"FromEmailAddress": sender, "Destination": {"ToAddresses": list(to or ("bob@x.org",))}, "Content": content}


@pytest.fixture
def ses(service: Service) -> Any:
    """SES, version 2."""
    return service("sesv2")


def test_a_sender_must_be_verified(aws: StandIn, ses: Any, refusal: Refusal) -> None:
    """In the region where it is sent from; a domain counts for those below it, an address for itself alone."""
    aws.verify("other@example.com")
    aws.verify("example.com", region="us-east-1")
    code, status, sentence = refusal(ses.send_email, **mail())
    assert (code, status) == ("MessageRejected", 400)
    assert "failed the check in region EU-WEST-1: IT <it@example.com>" in sentence
    ses.create_email_identity(EmailIdentity="it@example.com")
    assert refusal(ses.send_email, **mail())[0] == "MessageRejected"
    aws.verify("example.com", region="eu-west-1")
    assert ses.send_email(**mail("it@mail.example.com"))
    assert refusal(ses.send_email, **mail("it@badexample.com"))[0] == "MessageRejected"


def test_what_is_no_mail(aws: StandIn, ses: Any, refusal: Refusal) -> None:
    """Without recipient, with something that is no address, without content."""
    aws.verify("example.com")
    wrong = [
        {**mail(), "Destination": {}},
        mail("it@example.com", "bob"),
        {**mail(), "Content": {"Simple": {"Subject": {"Data": ""}, "Body": {}}}},
        {**mail(), "Content": {"Template": {"TemplateName": "x"}}},
    ]
    assert {refusal(ses.send_email, **each)[:2] for each in wrong} == {("BadRequestException", 400)}


def test_each_service_says_no_in_its_own_words(aws: StandIn, service: Any, client: Client, refusal: Refusal) -> None:
    """Names and statuses differ from IAM's."""
    ses, s3 = service("sesv2"), service("s3")
    aws.add_bucket("bucket")
    aws.deny("SendEmail", times=1)
    aws.fault("SendEmail", "throttle")
    aws.fault("SendEmail", "500", skip=1)
    said = [refusal(ses.send_email, **mail())[:2] for _ in range(3)]
    assert said == [("TooManyRequestsException", 429), ("AccessDeniedException", 403), ("InternalServerError", 500)]
    unknown = client("s3", Credentials("AKIAIOSFODNN7EXAMPLE", "x"))
    assert refusal(unknown.list_objects_v2, Bucket="bucket")[:2] == ("InvalidAccessKeyId", 403)
    aws.fault("GetObject", "throttle")
    assert refusal(s3.get_object, Bucket="bucket", Key="x")[:2] == ("SlowDown", 503)
    aws.deny("GetObject")
    assert refusal(s3.get_object, Bucket="bucket", Key="x")[:2] == ("AccessDenied", 403)


def test_a_message_is_published(aws: StandIn, service: Service, refusal: Refusal) -> None:
    """To a topic of the region and the account, with a text; it can be looked at, and is not in the record."""
    sns, topic, far = service("sns"), aws.add_topic("keys", "eu-west-1"), aws.add_topic("keys", "us-east-1")
    assert sns.publish(TopicArn=topic, Subject="your key", Message="the text")["MessageId"]
    (told,) = aws.published
    assert (told.topic, told.subject, told.message) == (topic, "your key", "the text")
    assert "the text" not in repr(aws.published) + repr(aws.calls)
    other = topic.replace(aws.account, "123456789012")
    wrong = [(topic + "x", "x"), (far, "x"), (other, "x"), (topic, ""), (topic, "ü" * 131073)]
    refused = [refusal(sns.publish, TopicArn=arn, Message=text)[0] for arn, text in wrong]
    assert refused == ["NotFound", "InvalidParameter", "AuthorizationError", "InvalidParameter", "InvalidParameter"]
    for subject in ("", "x" * 101, "schlüssel", "two\nlines", " blank", "tab\t"):
        said = refusal(sns.publish, TopicArn=topic, Subject=subject, Message="x")
        assert said == ("InvalidParameter", 400, "Invalid parameter: Subject")
    sns.publish(TopicArn=topic, Subject="x" * 100, Message="x")
    assert len(aws.published) == 2


def test_batches_of_events(aws: StandIn, service: Service, refusal: Refusal) -> None:
    """In order, of a day, of a mebibyte with 26 bytes for each event; what is too old is left out, and told."""

    def event(at: int, message: str = "x") -> dict[str, Any]:
        return {"timestamp": int(time.time() * 1000) + at, "message": message}

    aws.add_log_group("/audit")
    logs, stream = service("logs"), {"logGroupName": "/audit", "logStreamName": "s"}
    assert refusal(logs.put_log_events, **stream, logEvents=[event(0)])[0] == "ResourceNotFoundException"
    assert refusal(logs.create_log_stream, logGroupName="/audit", logStreamName="a:b")[0] == "InvalidParameterException"
    for name in ("s", "a"):
        logs.create_log_stream(logGroupName="/audit", logStreamName=name)
        logs.put_log_events(logGroupName="/audit", logStreamName=name, logEvents=[event(-2, name), event(-1, "z")])
    assert aws.log_lines("/audit") == ["a", "z", "s", "z"]
    whole = [event(0, "x" * 900_000), event(0, "x" * 148_524)]
    wrong = [[event(0), event(-10)], [event(-DAY - 1000), event(0)], [*whole, event(0)], [event(0)] * 10_001]
    for events in wrong:
        refused = refusal(logs.put_log_events, **stream, logEvents=events)
        assert refused[:2] == ("InvalidParameterException", 400)
    assert "rejectedLogEventsInfo" not in logs.put_log_events(**stream, logEvents=whole)
    assert logs.put_log_events(**stream, logEvents=[event(-15 * DAY)])["rejectedLogEventsInfo"]


# Secrets Manager


@pytest.fixture
def vault(service: Service) -> Any:
    """Secrets Manager."""
    return service("secretsmanager")


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def for_reader(arn: str) -> str:
    """The policy of a secret that one principal alone may read."""
    read = {"Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    allow = {"Effect": "Allow", "Principal": {"AWS": arn}, **read}
    others = {"ArnNotEquals": {"aws:PrincipalArn": arn}}
    return json.dumps(document(allow, {"Effect": "Deny", "Principal": "*", **read, "Condition": others}))


def test_a_secrets_policy_says_who_may_read(aws: StandIn, client: Client, vault: Any, refusal: Refusal) -> None:
    """A user or role with no rights of its own may read its secret; nobody else, not even who may do everything."""
    aws.settings.strict = True
    aws.attach_policy("alice", document(ANYTHING))
    bob, role = aws.add_user("bob"), aws.add_role("developers")
    aws.add_user("carol")
    for name, reader in (("k/bob", bob.arn), ("k/role", role), ("k/carol", "")):
        aws.add_secret(name, f"value of {name}")
        if reader:
            vault.put_resource_policy(SecretId=name, ResourcePolicy=for_reader(reader), BlockPublicPolicy=True)
    his = client("secretsmanager", aws.add_key("bob"))
    assert his.get_secret_value(SecretId="k/bob")["SecretString"] == "value of k/bob"
    assert refusal(his.get_secret_value, SecretId="k/carol")[:2] == ("AccessDeniedException", 400)
    assert refusal(his.describe_secret, SecretId="k/bob")[0] == "AccessDeniedException"
    code, _, sentence = refusal(vault.get_secret_value, SecretId="k/bob")
    assert (code, "explicit deny in a resource-based policy" in sentence) == ("AccessDeniedException", True)
    hers = client("secretsmanager", aws.add_key("carol"))
    assert refusal(hers.get_secret_value, SecretId="k/bob")[0] == "AccessDeniedException"
    session = client("secretsmanager", aws.role_session(role))
    assert session.get_secret_value(SecretId="k/role")["SecretString"] == "value of k/role"


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


# S3


@pytest.fixture
def s3(aws: StandIn, service: Service) -> Any:
    """S3; there is a bucket."""
    aws.add_bucket("bucket")
    return service("s3")


def test_a_bucket_of_another_account_is_closed(aws: StandIn, s3: Any, refusal: Refusal) -> None:
    """And its name is taken."""
    aws.add_account("shop").add_bucket("theirs")
    assert refusal(s3.put_object, Bucket="theirs", Key="x", Body=b"")[:2] == ("AccessDenied", 403)
    where = {"LocationConstraint": "eu-west-1"}
    assert refusal(s3.create_bucket, Bucket="theirs", CreateBucketConfiguration=where)[1] == 409


def get(url: str) -> tuple[int, str]:
    """Status and body of a GET without any header of ours."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def link(s3: Any) -> Callable[..., str]:
    """A presigned URL of an object: `link("name", seconds)`."""

    def make(name: str = "a key/ü+~&.json", seconds: int = 60) -> str:
        s3.put_object(Bucket="bucket", Key=name, Body=b"the body")
        url: str = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": name}, ExpiresIn=seconds)
        return url

    return make


def test_what_ends_a_link(aws: StandIn, link: Callable[..., str], client: Client) -> None:
    """Its time, by the server's clock; the session or the key that signed it."""
    url = link()
    session = aws.role_session(aws.add_role("fleet"))
    params = {"Bucket": "bucket", "Key": "a key/ü+~&.json"}
    short = client("s3", session).generate_presigned_url("get_object", params, ExpiresIn=3600)
    assert get(short) == (200, "the body")
    aws.settings.clock_offset = 50
    assert get(url)[0] == 200
    aws.settings.clock_offset = 61
    status, body = get(url)
    assert (status, "<Code>AccessDenied</Code><Message>Request has expired" in body) == (403, True)
    aws.settings.clock_offset = 0
    aws.end_sessions()
    assert "ExpiredToken" in get(short)[1]
    aws.set_status(aws.keys("alice")[0].key_id, "Inactive")
    assert "InvalidAccessKeyId" in get(url)[1]


def test_a_link_is_good_for_one_thing(aws: StandIn, link: Callable[..., str]) -> None:
    """Not for another object, a longer time, another method, a life of more than a week, or in the old way."""
    url = link("one")
    link("two")
    for changed in (url.replace("/one", "/two"), url.replace("Expires=60", "Expires=600")):
        status, body = get(changed)
        assert (status, "SignatureDoesNotMatch" in body) == (403, True)
    put = urllib.request.Request(url, b"x", method="PUT")  # noqa: S310
    with pytest.raises(HTTPError, match="403"):
        urllib.request.urlopen(put, timeout=5)  # noqa: S310
    assert "AuthorizationQueryParametersError" in get(url.replace("Expires=60", "Expires=604801"))[1]
    plain = url.partition("?")[0]
    assert get(f"{plain}?AWSAccessKeyId=AKIA&Signature=x&Expires=9999999999")[0] == 400
    assert get(plain)[0] == 403
