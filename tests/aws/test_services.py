"""Mail, topics, secrets, objects and logs over HTTP: what arrives, and what each refusal becomes."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.aws.client import Aws
from rotate_my_key.aws.services import AwsCloud, batches, subject_for
from rotate_my_key.core.errors import Denied, Gone, NotAllowed, Problem, TryLater, WrongUsage
from rotate_my_key.core.model import Credentials
from rotate_my_key.fleet.assembly import Assembly, FleetSigner
from rotate_my_key.settings.fleet import FleetSettings
from tests.aws.conftest import actions
from tests.standin import StandIn

NOW = datetime.now(UTC)


@pytest.fixture
def assembly(one_aws: Aws, admin: Credentials) -> Assembly:
    """The adapters of a run."""
    return Assembly(one_aws, FleetSigner(), FleetSettings())


@pytest.fixture
def cloud(assembly: Assembly) -> AwsCloud:
    """The services."""
    return assembly.cloud


def readable_by(standin: StandIn, action: str = "secretsmanager:GetSecretValue") -> str:
    """A resource policy for alice."""
    who = {"AWS": f"arn:aws:iam::{standin.account}:user/alice"}
    statement = {"Effect": "Allow", "Principal": who, "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


# Any service


def slow(kind: str) -> Any:
    """A kind of failure that is one for every way of speaking alike."""
    return pytest.param(kind, marks=pytest.mark.slow)


@pytest.mark.parametrize("kind", ["throttle", "503", "cut", *(slow("500"), slow("reset"), slow("drop"))])
@pytest.mark.parametrize("service", ["json", "rest-json", "query", "rest-xml"])
def test_what_passes_by_itself_is_tried_again(cloud: AwsCloud, standin: StandIn, service: str, kind: Any) -> None:
    """Whichever way a service speaks."""
    standin.add_parameter("/x", "v")
    standin.add_bucket("box")
    topic = standin.add_topic("t", "eu-west-1")
    standin.fault("*", kind, times=2)
    match service:
        case "json":
            assert cloud.vault().text("/x") == "v"
        case "rest-json":
            assert cloud.mail().sandbox() is False
        case "query":
            cloud.topics().publish(topic, "s", "t")
        case "rest-xml":
            assert list(cloud.objects().names("box", "")) == []
    assert len(standin.calls) == 3


@pytest.mark.parametrize("kind", ["html", "xhtml"])
@pytest.mark.parametrize("service", ["json", "rest-json", "query", "rest-xml"])
def test_a_captive_portal_is_one_line(cloud: AwsCloud, standin: StandIn, service: str, kind: Any) -> None:
    """botocore would take some of these pages for success."""
    topic = standin.add_topic("t", "eu-west-1")
    standin.fault("*", kind, times=None)
    calls = {
        "json": lambda: cloud.logs().put("g", "s", [(NOW, "x")]),
        "rest-json": lambda: cloud.mail().send("it@example.com", "bob@example.com", "s", "t"),
        "query": lambda: cloud.topics().publish(topic, "s", "t"),
        "rest-xml": lambda: cloud.objects().put("box", "n", b"x"),
    }
    with pytest.raises(TryLater, match="answered with a web page"):
        calls[service]()


def test_a_service_needs_a_region(make_aws: Any, admin: Credentials, standin: StandIn, monkeypatch: Any) -> None:
    """Where none is set, none is guessed: secrets would be somewhere. What settings name is given."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assembly = Assembly(make_aws(standin.url), FleetSigner(), FleetSettings())
    cloud = assembly.cloud
    with pytest.raises(WrongUsage, match="no region is set, and ssm needs one"):
        cloud.vault().text("/x")
    standin.add_parameter("/x", "v", region="eu-north-1")
    assert cloud.vault("eu-north-1").text("/x") == "v"
    assert standin.calls[-1].region == "eu-north-1"
    assert assembly.organization.me().account == standin.account  # IAM and STS are everywhere


def test_one_client_for_a_region_and_its_connections(cloud: AwsCloud, standin: StandIn) -> None:
    """However often a service is asked for."""
    standin.add_parameter("/x", "v")
    for _ in range(5):
        cloud.vault().text("/x")
        cloud.vault("eu-west-1").text("/x")
    assert standin.connections == 1


def test_what_is_denied_names_the_action_and_the_policy(cloud: AwsCloud, standin: StandIn) -> None:
    """As policies name it: `ses`, not the name of the API."""
    standin.deny("SendEmail")
    with pytest.raises(Denied, match=r"is not allowed to call ses:SendEmail$") as caught:
        cloud.mail().send("it@example.com", "bob@example.com", "s", "t")
    assert caught.value.hint == "allow it: rotate-my-key policy fleet-remind"


# Mail


def test_a_mail_with_text_and_html_arrives(cloud: AwsCloud, standin: StandIn) -> None:
    """In UTF-8; a subject is one line, whatever a user name brings along."""
    standin.verify("example.com")
    cloud.mail().send("IT <it@example.com>", "bob@example.com", "Schlüssel\r\nBcc: eve@x", "Grüße", "<b>Grüße</b>")
    (mail,) = standin.mails
    assert (mail.sender, mail.to) == ("IT <it@example.com>", ("bob@example.com",))
    assert (mail.subject, mail.text, mail.html) == ("Schlüssel Bcc: eve@x", "Grüße", "<b>Grüße</b>")


def test_who_is_not_verified_is_named(cloud: AwsCloud, standin: StandIn) -> None:
    """In the sandbox the owner too must be verified."""
    standin.verify("it@example.com")
    standin.settings.ses_sandbox = True
    with pytest.raises(NotAllowed, match=r"SES does not send this: not verified: bob@example\.com") as caught:
        cloud.mail().send("it@example.com", "bob@example.com", "s", "t")
    assert "create-email-identity" in caught.value.hint


@pytest.mark.parametrize("sandbox", [True, False])
def test_the_sandbox_is_told(cloud: AwsCloud, standin: StandIn, sandbox: bool) -> None:
    """So that a dry run can say who would get nothing."""
    standin.settings.ses_sandbox = sandbox
    assert cloud.mail().sandbox() is sandbox


def test_a_sandbox_that_may_not_be_known_is_unknown(cloud: AwsCloud, standin: StandIn) -> None:
    """It is no reason to send nothing."""
    standin.deny("GetAccount")
    assert cloud.mail().sandbox() is None


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("TooManyRequestsException", "Daily message quota exceeded.", "no more today"),
        ("LimitExceededException", "", "a quota of AWS is used up: ses:SendEmail"),
    ],
)
def test_a_quota_is_not_waited_for(
    make_aws: Any, odd: Any, admin: Credentials, time: Any, code: str, message: str, said: str
) -> None:
    """AWS uses the codes of throttling for it; a minute would not help."""
    body = json.dumps({"__type": code, "message": message})
    head = f"HTTP/1.1 429 X\r\nx-amzn-errortype: {code}\r\nContent-Length: {len(body)}\r\n\r\n"
    odd.replies = [(head + body).encode()]
    with pytest.raises(Problem, match=said):
        Assembly(make_aws(odd.url), FleetSigner(), FleetSettings()).cloud.mail().send("it@x.org", "bob@x.org", "s", "t")
    assert (len(odd.requests), time.slept) == (1, [])


# Topics


def test_a_topic_is_in_the_region_of_its_arn(cloud: AwsCloud, standin: StandIn) -> None:
    """Whatever region is in force."""
    topic = standin.add_topic("t", "us-west-2")
    cloud.topics().publish(topic, "Keys", "three are due")
    (published,) = standin.published
    assert (published.topic, published.subject, published.message) == (topic, "Keys", "three are due")
    assert standin.calls[-1].region == "us-west-2"


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("3 keys are due", "3 keys are due"),
        ("Schlüssel\nvon Bob", "Schl?ssel von Bob"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 97 + "..."),
        ("  ", ""),
    ],
    ids=["as it is", "ASCII in one line", "100 characters", "one more", "nothing"],
)
def test_a_subject_as_sns_takes_it(cloud: AwsCloud, standin: StandIn, subject: str, shown: str) -> None:
    """At most 100 characters of ASCII in one line; SNS refuses a subject of nothing."""
    assert subject_for(subject) == shown
    cloud.topics().publish(standin.add_topic("t", "eu-west-1"), subject, "t")
    assert standin.published[-1].subject == shown


def test_a_topic_that_is_not_there(cloud: AwsCloud, standin: StandIn) -> None:
    """It is named. That it is a topic's ARN the settings see to."""
    topic = standin.add_topic("t", "eu-west-1")
    with pytest.raises(Gone, match=f"there is no topic {topic}x"):
        cloud.topics().publish(f"{topic}x", "s", "t")


# Vault


def test_secrets_by_name_and_by_arn(cloud: AwsCloud, standin: StandIn) -> None:
    """An ARN says where it is; a parameter is decrypted."""
    standin.add_parameter("/hook", "https://token@example", secure=True)
    arn = standin.add_secret("hook", "tgram://token", region="us-west-2")
    vault = cloud.vault()
    assert vault.secret("ssm:/hook") == "https://token@example"
    assert vault.secret(f"secretsmanager:{arn}") == "tgram://token"
    assert standin.calls[-1].region == "us-west-2"


def test_a_secret_in_a_plain_parameter_is_refused(cloud: AwsCloud, standin: StandIn) -> None:
    """Everybody who may read parameters could read it; its value is not told."""
    standin.add_parameter("/hook", "https://token@example")
    with pytest.raises(WrongUsage, match="the parameter ssm:/hook is a String, not a SecureString") as caught:
        cloud.vault().secret("ssm:/hook")
    assert "token" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize("name", ["ssm:/nix", "secretsmanager:nix", "secretsmanager:empty", "secretsmanager:leaving"])
def test_a_secret_that_is_not_there(cloud: AwsCloud, standin: StandIn, name: str) -> None:
    """Or has no value yet, or is being deleted."""
    standin.add_secret("empty", None)
    standin.add_secret("leaving", "x", region="eu-west-1")
    standin.settings.secret_deletion = 3600
    cloud.secrets().delete("leaving")
    with pytest.raises(Gone, match=name.partition(":")[2]):
        cloud.vault().secret(name)


# Secrets to hand over


def test_a_secret_is_made_with_its_policy_before_its_value(cloud: AwsCloud, standin: StandIn) -> None:
    """At no time does somebody else read it."""
    policy = readable_by(standin)
    arn = cloud.secrets().put("k/bob", "value", policy, {"for": "bob"})
    assert actions(standin) == ["CreateSecret", "PutResourcePolicy", "PutSecretValue"]
    secret = standin.secrets["k/bob"]
    assert (secret.arn, secret.value, json.loads(secret.policy)) == (arn, "value", json.loads(policy))
    assert cloud.secrets().get("k/bob") == cloud.secrets().get(arn) == "value"
    assert all("value" not in str(call) for call in standin.calls)


def test_one_that_is_there_gets_its_tags_last(cloud: AwsCloud, standin: StandIn) -> None:
    """They tell that the value is stored."""
    secrets = cloud.secrets()
    first = secrets.put("k/bob", "old", readable_by(standin), {"for": "bob"})
    standin.calls.clear()
    assert secrets.put("k/bob", "new", readable_by(standin), {"for": "eve"}) == first
    assert actions(standin) == ["CreateSecret", "PutResourcePolicy", "PutSecretValue", "TagResource"]
    assert (standin.secrets["k/bob"].value, standin.secrets["k/bob"].tags) == ("new", {"for": "eve"})


@pytest.mark.parametrize(("kms_key", "anew"), [("alias/mine", False), ("alias/other", True)])
def test_another_kms_key_makes_it_anew(cloud: AwsCloud, standin: StandIn, kms_key: str, anew: bool) -> None:
    """What was there was encrypted for others."""
    secrets = cloud.secrets()
    secrets.put("k/bob", "old", readable_by(standin), {}, "alias/mine")
    standin.settings.secret_deletion = 0
    standin.calls.clear()
    secrets.put("k/bob", "new", readable_by(standin), {}, kms_key)
    assert ("DeleteSecret" in actions(standin)) is anew
    assert (standin.secrets["k/bob"].value, standin.secrets["k/bob"].kms_key) == ("new", kms_key)


@pytest.mark.parametrize("action", ["CreateSecret", "PutResourcePolicy", "PutSecretValue"])
def test_a_lost_answer_makes_no_second_secret(cloud: AwsCloud, standin: StandIn, action: str) -> None:
    """Every step may be repeated."""
    standin.fault(action, "drop", "after")
    cloud.secrets().put("k/bob", "value", readable_by(standin), {"for": "bob"})
    assert (standin.secrets["k/bob"].value, standin.secrets["k/bob"].tags) == ("value", {"for": "bob"})


@pytest.mark.parametrize("action", ["PutResourcePolicy", "PutSecretValue"])
def test_a_secret_that_cannot_be_finished_is_removed_again(cloud: AwsCloud, standin: StandIn, action: str) -> None:
    """Only a new one; the denial is told."""
    standin.deny(action)
    with pytest.raises(Denied, match=f"secretsmanager:{action}"):
        cloud.secrets().put("k/bob", "value", readable_by(standin), {})
    assert actions(standin)[-1] == "DeleteSecret"


def test_a_name_that_is_just_being_given_back_is_waited_for(
    make_aws: Any, admin: Credentials, standin: StandIn, time: Any
) -> None:
    """AWS deletes in the background; then the name is free."""
    standin.settings.secret_deletion = 3600

    def sleep(seconds: float) -> None:
        time.sleep(seconds)
        standin.settings.secret_deletion = 0

    secrets = Assembly(make_aws(standin.url, sleep=sleep), FleetSigner(), FleetSettings()).cloud.secrets()
    secrets.put("k/bob", "old", readable_by(standin), {})
    secrets.delete("k/bob")
    secrets.put("k/bob", "new", readable_by(standin), {})
    assert standin.secrets["k/bob"].value == "new"
    assert len(time.slept) == 1


def test_a_name_that_stays_taken_is_told(cloud: AwsCloud, standin: StandIn) -> None:
    """Somebody deleted it with a recovery window; a minute is enough to wait."""
    standin.settings.secret_deletion = 3600
    cloud.secrets().put("k/bob", "old", readable_by(standin), {})
    cloud.secrets().delete("k/bob")
    with pytest.raises(NotAllowed, match="k/bob is about to be deleted, and until then its name is taken"):
        cloud.secrets().put("k/bob", "new", readable_by(standin), {})


def test_secrets_are_listed_by_the_beginning_of_their_names(cloud: AwsCloud, standin: StandIn) -> None:
    """All pages, with their tags and the time of the last change."""
    standin.settings.page_size = 2
    for number in range(5):
        standin.add_secret(f"k/{number}", "v", {"n": str(number)})
    standin.add_secret("other/k/1", "v")
    found = list(cloud.secrets().names("k/"))
    assert [name for name, _, _ in found] == [f"k/{number}" for number in range(5)]
    assert [tags["n"] for _, _, tags in found] == [str(number) for number in range(5)]
    assert all(abs(changed - datetime.now(UTC)) < timedelta(minutes=1) for _, changed, _ in found)
    changed, tags = cloud.secrets().about("k/1") or (NOW, {})
    assert (changed.tzinfo, tags) == (UTC, {"n": "1"})


# Objects


@pytest.mark.parametrize(("kms_key", "encryption"), [("", "AES256"), ("alias/mine", "aws:kms")])
def test_an_object_is_put_encrypted_and_read(cloud: AwsCloud, standin: StandIn, kms_key: str, encryption: str) -> None:
    """By S3's own key or one's own."""
    standin.add_bucket("keys")
    cloud.objects().put("keys", "k/bob.json", b'{"a": 1}', kms_key)
    stored = standin.objects("keys")["k/bob.json"]
    assert (stored.body, stored.encryption, stored.kms_key) == (b'{"a": 1}', encryption, kms_key)
    assert cloud.objects().get("keys", "k/bob.json") == b'{"a": 1}'


def test_objects_are_listed_to_the_end(cloud: AwsCloud, standin: StandIn) -> None:
    """All pages; names that URLs write otherwise too."""
    standin.add_bucket("keys")
    standin.settings.page_size = 2
    names = [f"k/a b+{number}%ü.json" for number in range(5)]
    for name in (*names, "other"):
        cloud.objects().put("keys", name, b"x")
    found = list(cloud.objects().names("keys", "k/"))
    assert [name for name, _ in found] == names
    assert all(abs(at - datetime.now(UTC)) < timedelta(minutes=1) for _, at in found)


def test_a_link_is_good_for_whoever_has_it(cloud: AwsCloud, standin: StandIn, admin: Credentials) -> None:
    """No call is made for it, and the secret that signs is not in it."""
    standin.add_bucket("keys")
    cloud.objects().put("keys", "k/bob.json", b"body")
    standin.calls.clear()
    link = cloud.objects().link("keys", "k/bob.json", 3600)
    assert not standin.calls
    assert "X-Amz-Expires=3600" in link
    assert admin.secret not in link
    with urllib.request.urlopen(link) as answer:  # noqa: S310 - the stand-in's
        assert answer.read() == b"body"


def test_a_link_is_good_for_a_week_at_most(cloud: AwsCloud) -> None:
    """S3 refuses one that claims more."""
    assert "X-Amz-Expires=604800" in cloud.objects().link("keys", "k", 10**7)


@pytest.mark.parametrize("verb", ["put", "get", "delete", "names"])
def test_a_bucket_that_is_not_there(cloud: AwsCloud, verb: str) -> None:
    """Each verb says so."""
    objects = cloud.objects()
    calls: dict[str, Any] = {
        "put": lambda: objects.put("nix", "n", b""),
        "get": lambda: objects.get("nix", "n"),
        "delete": lambda: objects.delete("nix", "n"),
        "names": lambda: list(objects.names("nix", "")),
    }
    with pytest.raises(Gone, match="nix"):
        calls[verb]()


def test_a_name_that_s3_does_not_take(cloud: AwsCloud, standin: StandIn) -> None:
    """Refused here; botocore's own words would quote what is sent."""
    with pytest.raises(Problem, match="invalid parameter for s3:PutObject") as caught:
        cloud.objects().put("no bucket", "n", b"secret")
    assert caught.value.__cause__ is caught.value.__context__ is None
    with pytest.raises(Problem, match="s3:GetObject"):
        cloud.objects().link("no bucket", "n", 60)
    assert not standin.calls


def test_a_bucket_in_another_region_is_followed(make_aws: Any, odd: Any, admin: Credentials) -> None:
    """S3 says where it is, and the call is signed again for there."""
    moved = (
        b"HTTP/1.1 301 Moved\r\nx-amz-bucket-region: eu-central-1\r\nContent-Type: application/xml\r\n"
        b"Content-Length: 57\r\n\r\n<Error><Code>PermanentRedirect</Code><Message/></Error>  "
    )
    odd.replies = [moved, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"]
    objects = Assembly(make_aws(odd.url), FleetSigner(), FleetSettings()).cloud.objects()
    assert objects.get("keys", "k") == b"body"
    assert [b"/eu-central-1/s3/" in request for request in odd.requests] == [False, True]


def test_what_only_aws_knows_is_not_asked_of_others(make_aws: Any, odd: Any, admin: Credentials) -> None:
    """No checksum that S3 does not demand, and no question before a few bytes are sent."""
    odd.replies = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
    Assembly(make_aws(odd.url), FleetSigner(), FleetSettings()).cloud.objects().put("keys", "k", b"body")
    (request,) = odd.requests
    assert request.startswith(b"PUT /keys/k HTTP/1.1")
    assert request.endswith(b"\r\n\r\nbody")
    assert not any(word in request.lower() for word in (b"expect:", b"x-amz-checksum", b"aws-chunked"))


# Logs


def test_lines_are_written_and_the_stream_is_made(cloud: AwsCloud, standin: StandIn) -> None:
    """In time order, whatever order they come in; the second time the stream is there."""
    standin.add_log_group("/rotate-my-key")
    logs = cloud.logs()
    logs.put("/rotate-my-key", "2026/11", [(NOW + timedelta(seconds=1), "second"), (NOW, "first")])
    logs.put("/rotate-my-key", "2026/11", [(NOW + timedelta(seconds=2), "third")])
    assert standin.log_lines("/rotate-my-key") == ["first", "second", "third"]
    assert actions(standin) == ["PutLogEvents", "CreateLogStream", "PutLogEvents", "PutLogEvents"]


def test_a_log_group_that_is_not_there(cloud: AwsCloud) -> None:
    """IT makes it; we do not."""
    with pytest.raises(Gone, match="there is no log group nix"):
        cloud.logs().put("nix", "s", [(NOW, "x")])


def test_lines_that_aws_did_not_take_are_told(cloud: AwsCloud, standin: StandIn) -> None:
    """AWS says yes, and in the answer that it dropped some."""
    standin.add_log_group("g")
    with pytest.raises(Problem, match="CloudWatch did not take lines for g"):
        cloud.logs().put("g", "s", [(NOW - timedelta(days=20), "old")])


def test_batches_are_what_aws_takes() -> None:
    """10,000 lines, a megabyte with 26 bytes for each line, 24 hours."""
    assert [len(batch) for batch in batches([(NOW, "x")] * 10_001)] == [10_000, 1]
    assert [len(batch) for batch in batches([(NOW, "ü" * 262_132)] * 3)] == [1, 1, 1]
    assert [len(batch) for batch in batches([(NOW, "x" * 524_262)] * 3)] == [2, 1]
    days = [(NOW + timedelta(hours=hours), "x") for hours in (0, 23, 24, 25)]
    assert [len(batch) for batch in batches(days)] == [2, 2]
    with pytest.raises(Problem, match="too long"):
        list(batches([(NOW, "x" * 1_048_560)]))
    assert list(batches([])) == []
