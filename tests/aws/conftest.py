"""One stand-in a test process, a clock that needs no time, and servers that answer as AWS never would."""

import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.aws.client import Aws
from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.model import Credentials
from tests.standin import StandIn

MakeAws = Callable[..., Aws]


@pytest.fixture(autouse=True)
def own_files(nobody: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The AWS files of each test are its own."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


class Time:
    """A clock that moves only when somebody sleeps; `slept` is what they slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._now = 0.0
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        """No time passes but this clock's."""
        with self._lock:
            self.slept.append(seconds)
            self._now += seconds

    def monotonic(self) -> float:
        """Seconds."""
        return self._now


@pytest.fixture
def time() -> Time:
    """The clock of the test."""
    return Time()


@pytest.fixture
def standin(running: StandIn) -> StandIn:
    """The stand-in, empty but for alice."""
    running.reset()
    running.add_user("alice", tags={"team": "blue"})
    return running


@pytest.fixture
def pair(standin: StandIn) -> Credentials:
    """Alice's key, 98 days old."""
    return standin.add_key("alice", timedelta(days=98))


@pytest.fixture
def make_aws(time: Time) -> Iterator[MakeAws]:
    """Make an Aws for an endpoint: `make_aws(url)`."""
    made: list[Aws] = []

    def make(url: str = "", **settings: Any) -> Aws:
        settings = {
            "version": "1.2.3",
            "clock": lambda: datetime.now(UTC),
            "sleep": time.sleep,
            "monotonic": time.monotonic,
            "endpoint_url": url,
        } | settings
        made.append(Aws(os.environ, **settings))
        return made[-1]

    yield make
    for aws in made:
        aws.close()


@pytest.fixture(scope="session")
def one_clock() -> Time:
    """The clock of `one_aws`."""
    return Time()


@pytest.fixture(scope="session")
def one_aws(running: StandIn, one_clock: Time) -> Iterator[Aws]:
    """One for all tests that need many services: making their clients takes longer than most of these tests."""
    aws = Aws(
        os.environ,
        version="1.2.3",
        clock=lambda: datetime.now(UTC),
        sleep=one_clock.sleep,
        monotonic=one_clock.monotonic,
        endpoint_url=running.url,
    )
    yield aws
    aws.close()


@pytest.fixture
def slept(one_clock: Time) -> list[float]:
    """What is slept by `one_clock` in this test."""
    one_clock.slept.clear()
    return one_clock.slept


def actions(standin: StandIn) -> list[str]:
    """What was called."""
    return [call.action for call in standin.calls]


@pytest.fixture
def admin(standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> Credentials:
    """An admin's key, in the environment."""
    standin.add_user("admin")
    pair = standin.add_key("admin")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", pair.key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", pair.secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return pair


@pytest.fixture
def account(standin: StandIn, make_aws: MakeAws) -> IamAccount:
    """Alice's account on the stand-in; proofs follow each other at once."""
    return IamAccount(make_aws(standin.url), proof_interval=timedelta(0))


@pytest.fixture
def looked(account: IamAccount, standin: StandIn, pair: Credentials) -> IamAccount:
    """The account after the first look, and nothing recorded yet."""
    account.look([pair])
    standin.calls.clear()
    return account


class Odd(socketserver.ThreadingTCPServer):
    """Counts requests and answers each with `reply` (bytes, "reset", "close" or "hang"), or the next of a list."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: list[bytes | str] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next(self) -> bytes | str:
        """The last reply is given for ever."""
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may go away."""


class _Handler(socketserver.StreamRequestHandler):
    server: Odd

    def handle(self) -> None:
        self.server.connections += 1
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = self.rfile.readline()
                if not line:
                    return
                head += line
            length = [int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:")]
            self.server.requests.append(head + self.rfile.read(length[0] if length else 0))
            reply = self.server.next()
            if isinstance(reply, bytes):
                self.wfile.write(reply)
                continue
            if reply == "hang":
                self.server.over.wait(30)
            if reply == "reset":
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.rfile.close()
                self.request.close()
            return


@pytest.fixture
def odd() -> Iterator[Odd]:
    """A server that answers what it is told."""
    server = Odd()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


def reply(body: str, status: int = 200, kind: str = "text/xml", **headers: str) -> bytes:
    """An HTTP answer."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body.encode())}\r\n{more}\r\n"
    return (head + body).encode()


@pytest.fixture
def error_reply() -> Callable[..., bytes]:
    """Make AWS's answer for an error: `error_reply("AccessDenied", "...", 403)`."""

    def make(code: str, message: str = "", status: int = 403, **headers: str) -> bytes:
        body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        return reply(body + "<RequestId>1</RequestId></ErrorResponse>", status, **headers)

    return make


@pytest.fixture
def page_reply() -> Callable[..., bytes]:
    """Make an answer for people: `page_reply(302)`."""

    def make(status: int = 200, **headers: str) -> bytes:
        return reply("<html><body>Sign in, secret-on-the-page</body></html>", status, "text/html", **headers)

    return make


@pytest.fixture
def identity_reply() -> Callable[..., bytes]:
    """Make an answer to GetCallerIdentity: `identity_reply(arn)`."""

    def make(arn: str = "arn:aws:iam::123456789012:user/alice", **headers: str) -> bytes:
        facts = f"<Arn>{arn}</Arn><UserId>AIDAX</UserId><Account>123456789012</Account>"
        return reply(
            '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
            f"{facts}</GetCallerIdentityResult></GetCallerIdentityResponse>",
            **headers,
        )

    return make
