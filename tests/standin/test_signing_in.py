"""Who is let in: signatures, keys, clocks; MFA devices, temporary credentials and roles."""

import http.client
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from rotate_my_key.core.model import Credentials
from tests.standin import StandIn
from tests.standin.conftest import Client, Refusal

SignIn = Callable[[Credentials], Credentials]

REFUSED = ("InvalidClientTokenId", 403, "The security token included in the request is invalid.")


@pytest.mark.parametrize("service", ["sts", "iam"])
@pytest.mark.parametrize("why", ["unknown", "deleted", "Inactive", "Expired", "session", "token"])
def test_dead_keys_are_refused_alike(aws: StandIn, client: Client, refusal: Refusal, service: str, why: str) -> None:
    """InvalidClientTokenId, 403, for whatever is not an active long-term key."""
    pair = aws.add_key("alice", status=why if why in ("Inactive", "Expired") else "Active")
    if why == "unknown":
        pair = Credentials("AKIAIOSFODNN7EXAMPLE", pair.secret)
    elif why == "session":
        pair = Credentials("ASIAIOSFODNN7EXAMPLE", pair.secret, "a-session-token")
    elif why == "token":
        pair = Credentials(pair.key_id, pair.secret, "a-session-token")
    elif why == "deleted":
        aws.delete_key(pair.key_id)
    caller = client(service, pair)
    assert refusal(caller.get_caller_identity if service == "sts" else caller.get_user) == REFUSED


def _signed(aws: StandIn, pair: Credentials, body: str, url: str = "") -> AWSRequest:
    request = AWSRequest("POST", url or aws.url + "/", data=body)
    request.headers["Content-Type"] = "application/x-www-form-urlencoded"
    SigV4Auth(BotoCredentials(pair.key_id, pair.secret), "sts", "us-east-1").add_auth(request)
    return request


def _send(aws: StandIn, path: str, body: str, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection(aws.url.removeprefix("http://"))
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    result = answer.status, answer.read().decode()
    connection.close()
    return result


BODY = "Action=GetCallerIdentity&Version=2011-06-15"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ("nothing", 200, "<Arn>"),
        ("the body", 403, "SignatureDoesNotMatch"),
        ("the path", 403, "SignatureDoesNotMatch"),
        ("a signed header", 403, "SignatureDoesNotMatch"),
        ("the query", 403, "SignatureDoesNotMatch"),
        ("no signature", 403, "MissingAuthenticationToken"),
        ("another scheme", 400, "IncompleteSignature"),
        ("no date", 400, "IncompleteSignature"),
    ],
    ids=lambda value: str(value),
)
def test_all_that_was_signed_is_checked(aws: StandIn, change: str, status: int, code: str) -> None:
    """A request that differs from what was signed is refused; errors are AWS's XML."""
    headers = dict(_signed(aws, aws.add_key("alice"), BODY).headers.items())
    path, body = "/", BODY
    match change:
        case "the body":
            body = BODY + "&X=1"
        case "the path":
            path = "/x"
        case "the query":
            path = "/?X=1"
        case "a signed header":
            headers["Content-Type"] += "; charset=utf-8"
        case "no signature":
            del headers["Authorization"]
        case "another scheme":
            headers["Authorization"] = "Basic YWxpY2U6c2VjcmV0"
        case "no date":
            del headers["X-Amz-Date"]
    answer = _send(aws, path, body, headers)
    assert answer[0] == status
    assert code in answer[1]
    assert status == 200 or re.match("<ErrorResponse.*<Error><Type>Sender</Type><Code>.*<RequestId>", answer[1])


def test_a_path_and_query_with_odd_characters_are_signed_as_aws_does(aws: StandIn) -> None:
    """Encoded once more for the path, sorted for the query."""
    url = aws.url + "/a%20b//c/?b=2&a=%2F&Action=GetCallerIdentity&a=1"
    headers = dict(_signed(aws, aws.add_key("alice"), "", url).headers.items())
    assert _send(aws, url.removeprefix(aws.url), "", headers)[0] == 200


@pytest.mark.parametrize(
    ("minutes", "sentence"), [(-16, "Signature not yet current: "), (16, "Signature expired: "), (14, ""), (-14, "")]
)
def test_a_clock_more_than_15_minutes_off_is_refused(
    aws: StandIn, client: Client, refusal: Refusal, minutes: int, sentence: str
) -> None:
    """As IAM and STS do: SignatureDoesNotMatch with a sentence of its own; the Date header tells the right time."""
    caller = client("sts", aws.add_key("alice"))
    aws.settings.clock_offset = minutes * 60
    if not sentence:
        caller.get_caller_identity()
        return
    code, status, said = refusal(caller.get_caller_identity)
    assert (code, status) == ("SignatureDoesNotMatch", 403)
    assert said.startswith(sentence)
    assert "15 min.)" in said


def test_other_services_need_a_good_key_too_and_are_moto(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """What is not ours goes to moto: the query protocol (IAM's roles) and JSON (EventBridge)."""
    pair = aws.add_key("alice")
    wrong = Credentials(pair.key_id, "x" * 40)
    assert client("iam", pair).list_roles()["Roles"] == []
    rule = client("events", pair).put_rule(Name="daily", ScheduleExpression="rate(1 day)")["RuleArn"]
    assert rule.split(":")[3:5] == ["eu-west-1", aws.account]
    assert refusal(client("iam", wrong).list_roles)[0] == "SignatureDoesNotMatch"
    assert refusal(client("events", wrong).list_rules)[0] == "InvalidSignatureException"


def pair_of(answer: dict[str, Any]) -> Credentials:
    """The credentials in an answer."""
    made = answer["Credentials"]
    return Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


@pytest.fixture
def session_for(aws: StandIn, client: Client) -> SignIn:
    """Sign in with MFA: `session_for(pair)`."""
    device = aws.add_mfa("alice")

    def make(pair: Credentials) -> Credentials:
        sts = client("sts", pair)
        return pair_of(sts.get_session_token(SerialNumber=device.serial, TokenCode=device.tick()))

    return make


@pytest.mark.parametrize("serial", ["arn:aws:iam::123456789012:mfa/somebody", "security key"])
def test_codes_of_the_wrong_device(aws: StandIn, client: Client, refusal: Refusal, serial: str) -> None:
    """One that is not the user's, or shows no codes."""
    key = aws.add_mfa("alice", shows_codes=False)
    sign_in = client("sts", aws.add_key("alice")).get_session_token
    code, status, sentence = refusal(
        sign_in, SerialNumber=key.serial if serial == "security key" else serial, TokenCode="123456"
    )
    assert (code, status) == ("AccessDenied", 403)
    assert sentence.startswith("MultiFactorAuthentication failed")


def test_a_session_without_mfa_may_not_call_iam(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """It looks like a bad key there, and signs in elsewhere."""
    session = pair_of(client("sts", aws.add_key("alice")).get_session_token())
    assert client("sts", session).get_caller_identity()
    assert refusal(client("iam", session).list_access_keys, UserName="alice")[0] == "InvalidClientTokenId"


def test_iam_wants_the_users_name_of_a_session(
    aws: StandIn, client: Client, refusal: Refusal, session_for: SignIn
) -> None:
    """ValidationError without it."""
    iam = client("iam", session_for(aws.add_key("alice")))
    for call in (iam.list_access_keys, iam.get_user, iam.create_access_key):
        assert refusal(call) == ("ValidationError", 400, "Must specify userName when calling with non-User credentials")
    assert len(iam.list_access_keys(UserName="alice")["AccessKeyMetadata"]) == 1


def test_no_session_of_a_session(aws: StandIn, client: Client, refusal: Refusal, session_for: SignIn) -> None:
    """GetSessionToken is for long-term keys."""
    session = session_for(aws.add_key("alice"))
    assert (
        refusal(client("sts", session).get_session_token)[2] == "Cannot call GetSessionToken with session credentials"
    )


@pytest.mark.parametrize("service", ["sts", "iam"])
@pytest.mark.parametrize(
    ("what", "code"),
    [("ended", "ExpiredToken"), ("token", "InvalidClientTokenId"), ("secret", "SignatureDoesNotMatch")],
)
def test_sessions_that_are_no_good(
    aws: StandIn, client: Client, refusal: Refusal, session_for: SignIn, service: str, what: str, code: str
) -> None:
    """Over, or with a wrong token or secret."""
    session = session_for(aws.add_key("alice"))
    if what == "ended":
        aws.end_sessions()
    token = "wrong" if what == "token" else session.token
    secret = "wrong" if what == "secret" else session.secret
    caller = client(service, Credentials(session.key_id, secret, token))
    call = caller.get_caller_identity if service == "sts" else caller.get_user
    parameters = {} if service == "sts" else {"UserName": "alice"}
    assert refusal(call, **parameters)[:2] == (code, 403)


def test_the_use_of_a_session_is_no_use_of_a_key(aws: StandIn, client: Client, session_for: SignIn) -> None:
    """Only long-term keys have a last use."""
    aws.settings.last_use = 0
    pair = aws.add_key("alice")
    session = session_for(pair)
    aws.settings.last_use = 900
    answer = client("iam", session).get_access_key_last_used(AccessKeyId=pair.key_id)
    assert answer["UserName"] == "alice"
    assert answer["AccessKeyLastUsed"]["ServiceName"] == "N/A"


@pytest.mark.parametrize("partition", ["aws-cn", "aws-us-gov"])
def test_partitions(aws: StandIn, client: Client, partition: str) -> None:
    """All ARNs are of the account's partition."""
    aws.reset()
    aws.settings.partition = partition
    aws.add_user("alice")
    pair = aws.add_key("alice")
    assert client("sts", pair).get_caller_identity()["Arn"] == f"arn:{partition}:iam::{aws.account}:user/alice"
    assert client("iam", pair).get_user()["User"]["Arn"].startswith(f"arn:{partition}:")
    assert aws.add_mfa("alice").serial.startswith(f"arn:{partition}:")
    assert aws.add_role("x").startswith(f"arn:{partition}:")
    root = client("sts", aws.add_key(None)).get_caller_identity()["Arn"]
    assert root == f"arn:{partition}:iam::{aws.account}:root"


def test_codes_and_tokens_are_not_recorded(aws: StandIn, client: Client, session_for: SignIn) -> None:
    """The record of calls holds no secret."""
    session = session_for(aws.add_key("alice"))
    client("sts", session).get_caller_identity()
    assert all("TokenCode" not in call.params for call in aws.calls)
    assert str(session.token) not in repr(aws.calls)
