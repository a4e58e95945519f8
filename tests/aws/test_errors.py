"""What a person is told: each bad day has one line, its exit code and no secret."""

import re
import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import Denied, Gone, KeyRefused, NoRoom, NotAllowed, Problem, Throttled, TryLater
from rotate_my_key.core.model import Credentials
from tests.standin import StandIn

PAIR = Credentials("AKIAEXAMPLEEXAMPLE00", "the-secret")
DENIED = "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: iam:GetUser on resource: x"
QUARANTINE = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2"


def ended(account: IamAccount) -> Problem:
    """What a call ends with; its style is checked here."""
    with pytest.raises(Problem) as caught:
        account.identify(PAIR)
    problem = caught.value
    assert type(problem).__module__ == "rotate_my_key.core.errors"
    assert "\n" not in problem.message + problem.hint
    assert re.match(r"[a-z]|AWS |\d", problem.message)
    assert not problem.message.endswith(".")
    assert problem.hint
    assert "the-secret" not in str(problem) + problem.hint
    assert (problem.__cause__, problem.__context__) == (None, None)
    return problem


@pytest.mark.parametrize(
    ("code", "sentence", "status", "kind", "message"),
    [
        ("InvalidClientTokenId", "", 403, KeyRefused, r"does not accept the key \.\.\.LE00"),
        ("UnrecognizedClientException", "", 400, KeyRefused, "does not accept"),
        ("SignatureDoesNotMatch", "The request signature we calculated", 403, KeyRefused, "the secret key stored for"),
        ("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2", 403, TryLater, "clock is right now"),
        ("SignatureDoesNotMatch", "Signature not yet current: 1", 403, TryLater, "clock is right now"),
        ("RequestExpired", "", 400, TryLater, "clock is right now"),
        ("RequestTimeTooSkewed", "", 403, TryLater, "clock is right now"),
        ("ExpiredToken", "", 403, KeyRefused, "have expired"),
        ("AccessDenied", DENIED, 403, Denied, "not allowed to call iam:GetUser"),
        ("AccessDenied", f"{DENIED} with an explicit deny", 403, Denied, "a policy forbids iam:GetUser"),
        ("AccessDenied", f"{DENIED} with an explicit deny: {QUARANTINE}", 403, Denied, "leaked"),
        ("AccessDenied", "", 403, Denied, "not allowed to call sts:GetCallerIdentity"),
        ("LimitExceeded", "", 409, NoRoom, "allows two access keys per user"),
        ("NoSuchEntity", "", 404, Gone, "no such"),
        ("OptInRequired", "", 403, NotAllowed, "not enabled"),
        ("Throttling", "", 400, Throttled, "throttling sts:GetCallerIdentity"),
        ("RequestLimitExceeded", "", 503, Throttled, "throttling"),
        ("EntityTemporarilyUnmodifiable", "", 409, Throttled, "throttling"),
        ("ServiceUnavailable", "", 503, TryLater, r"trouble answering .* \(HTTP 503\)"),
        ("InternalFailure", "", 500, TryLater, "trouble"),
        ("ValidationError", "the-secret is bad", 400, Problem, "AWS refused sts:GetCallerIdentity: ValidationError"),
        ("what the-secret", "", 418, Problem, "AWS refused sts:GetCallerIdentity: HTTP 418"),
    ],
)
def test_what_aws_says(
    make_aws: Any, odd: Any, error_reply: Any, code: str, sentence: str, status: int, kind: type[Problem], message: str
) -> None:
    """Each of AWS's codes in our words, as the kind of problem that says what to do."""
    odd.replies = [error_reply(code, sentence, status)]
    problem = ended(IamAccount(make_aws(odd.url)))
    assert type(problem) is kind
    assert re.search(message, problem.message)


@pytest.mark.parametrize("status", [200, 302, 403, 404, 407, 502, 503])
def test_a_web_page(make_aws: Any, odd: Any, page_reply: Any, status: int) -> None:
    """A proxy or a captive portal answers instead of AWS."""
    odd.replies = [page_reply(status)]
    problem = ended(IamAccount(make_aws(odd.url)))
    assert type(problem) is TryLater
    assert "web page" in problem.message


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"<GetCallerIdentityResponse>", b"<GetCallerIdentityResponse/>", b"<?xml version='1.0'?><other/>"],
)
def test_an_answer_that_makes_no_sense(make_aws: Any, odd: Any, body: bytes) -> None:
    """Empty, other, cut off, or without what was asked for."""
    odd.replies = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)]
    problem = ended(IamAccount(make_aws(odd.url)))
    assert type(problem) is TryLater
    assert "cut off" in problem.message


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        (timedelta(hours=1), "60 minutes slow"),
        (timedelta(hours=-1), "60 minutes fast"),
        (timedelta(hours=5), "5 hours slow"),
        (timedelta(days=-400), "400 days fast"),
    ],
)
def test_a_wrong_clock(account: IamAccount, standin: StandIn, pair: Credentials, offset: timedelta, said: str) -> None:
    """How wrong, and which way, and that it is the clock and not the key."""
    standin.settings.clock_offset = offset.total_seconds()
    with pytest.raises(Problem, match=f"clock is {said}") as caught:
        account.look([pair])
    assert type(caught.value) is Problem
    assert "set-ntp" in caught.value.hint
    assert abs(account.clock_offset - offset) < timedelta(seconds=3)
    assert abs(account.now() - datetime.now(UTC)) < timedelta(seconds=3)  # ages are not reckoned by it


def test_no_such_host(make_aws: Any) -> None:
    """Offline, or a region that does not exist: it cannot be told apart, so both are named."""
    account = IamAccount(make_aws("https://sts.nowhere.invalid"))
    assert "cannot find sts.nowhere.invalid" in ended(account).message


def proxied(monkeypatch: Any, make_aws: Any, proxy: str) -> IamAccount:
    """An account behind a proxy."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    return IamAccount(make_aws("https://sts.example.invalid"))


def test_a_proxy_that_is_not_there(monkeypatch: Any, make_aws: Any) -> None:
    """It is the proxy, not AWS; its password is not shown."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    problem = ended(proxied(monkeypatch, make_aws, f"http://me:the-secret@127.0.0.1:{port}"))
    assert type(problem) is TryLater
    assert "the proxy cannot be reached" in problem.message


@pytest.mark.parametrize(("status", "kind", "said"), [(407, Problem, "user name"), (503, TryLater, "let through")])
def test_a_proxy_that_says_no(
    monkeypatch: Any, make_aws: Any, odd: Any, page_reply: Any, status: int, kind: type[Problem], said: str
) -> None:
    """It wants a password, or does not let through."""
    odd.replies = [page_reply(status)]
    problem = ended(proxied(monkeypatch, make_aws, odd.url))
    assert type(problem) is kind
    assert said in problem.message
    assert odd.requests[0].startswith(b"CONNECT sts.example.invalid:443")


def test_this_computer_needs_no_proxy(monkeypatch: Any, make_aws: Any, standin: StandIn, pair: Credentials) -> None:
    """What is meant for 127.0.0.1 does not leave the computer."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert IamAccount(make_aws(standin.url)).identify(pair).user == "alice"


def test_no_tls_at_the_other_end(make_aws: Any) -> None:
    """A server that speaks no TLS is not AWS."""
    server = socket.create_server(("127.0.0.1", 0))

    def speak() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"220 mail.example.com ESMTP\r\n")
                connection.recv(1000)

    threading.Thread(target=speak, daemon=True).start()
    problem = ended(IamAccount(make_aws(f"https://127.0.0.1:{server.getsockname()[1]}")))
    server.close()
    assert "no trusted connection to 127.0.0.1" in problem.message
