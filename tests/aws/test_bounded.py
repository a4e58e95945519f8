"""Every answer has an end and a size."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from rotate_my_key.aws.connections import Limits
from rotate_my_key.aws.errors import NotAws
from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import Problem, TryLater
from rotate_my_key.core.model import Credentials

PAIR = Credentials("AKIAEXAMPLEEXAMPLE00", "the-secret")
NARROW = Limits(seconds=12, size=20_000)
FAST = 40  # how much faster than ours the clock of these tests goes
DRIP = 0.01


class Slow:
    """A server that answers each connection with the parts of `reply`, as fast as they come."""

    def __init__(self) -> None:
        self.reply: Any = lambda: iter(())
        self.sent = 0
        self.over = False
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self.over:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                if not self.url.startswith("https"):
                    connection.recv(65536)
                for part in self.reply():
                    if self.over:
                        return
                    connection.sendall(part)
                    self.sent += len(part)
            except OSError:
                pass

    def stop(self) -> None:
        """Close all."""
        self.over = True
        self._socket.close()


@pytest.fixture
def slow() -> Iterator[Slow]:
    """That server."""
    server = Slow()
    yield server
    server.stop()


def dripping(*parts: bytes) -> Any:
    """The first part at once, the last again and again, a little later each time."""

    def reply() -> Iterator[bytes]:
        yield from parts[:-1]
        while True:
            time.sleep(DRIP)
            yield parts[-1]

    return reply


def ended(make_aws: Any, url: str, limits: Limits = NARROW) -> Problem:
    """How one sign-in ends."""
    account = IamAccount(
        make_aws(url, limits=limits, monotonic=lambda: time.monotonic() * FAST, sleep=lambda seconds: None)
    )
    with pytest.raises(Problem) as caught:
        account.look([PAIR])
    return caught.value


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "parts",
    [
        (b"H",),
        (HEAD, b"A"),
        (HEAD, b"A: b\r\n"),
        (HEAD + b"Content-Length: 99999\r\n\r\n", b" "),
        (HEAD + b"\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n \r\n0\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n",),
    ],
    ids=[
        "the status line",
        "a header",
        "headers",
        "a body of a known length",
        "a body up to the end of the connection",
        "chunks",
        "the length of a chunk",
        "trailers",
        "100 Continue",
    ],
)
def test_what_drips_comes_to_an_end(make_aws: Any, slow: Slow, parts: tuple[bytes, ...]) -> None:
    """Bytes keep coming, each well before any timeout; the call ends all the same, as one that may be repeated."""
    slow.reply = dripping(*parts)
    assert type(ended(make_aws, slow.url)) is TryLater


@pytest.mark.slow
def test_a_handshake_that_drips_comes_to_an_end(make_aws: Any, slow: Slow) -> None:
    """TLS too: a record of 16 kB whose bytes come one at a time."""
    slow.url = slow.url.replace("http", "https")
    slow.reply = dripping(b"\x16\x03\x03\x40\x00", b"\x02")
    assert type(ended(make_aws, slow.url)) is TryLater


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 ",
        HEAD + b"A: ",
        HEAD + b"\r\n",
        HEAD + b"Content-Length: 999999999\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["the status line", "a header", "a body", "a body of a known length", "the length of a chunk"],
)
def test_what_is_too_long_is_not_read(make_aws: Any, slow: Slow, start: bytes) -> None:
    """No more than the limit is taken, however much there is; it is said once and not asked for again."""
    slow.reply = lambda: iter([start, *[b"0" * 4096] * 50_000])
    problem = ended(make_aws, slow.url, Limits(seconds=30 * FAST, size=20_000))
    assert type(problem) is TryLater
    assert slow.sent < 100_000_000  # what fits into the buffers of two sockets, not what was to be sent


def test_sign_ins_that_botocore_makes_itself(make_aws: Any, slow: Slow, monkeypatch: Any) -> None:
    """A role or SSO behind an auth profile: its requests have the same bounds."""
    slow.reply = lambda: iter([HEAD + b"\r\n", *[b" " * 4096] * 50_000])
    monkeypatch.setenv("AWS_ENDPOINT_URL", slow.url)
    session = make_aws(limits=NARROW, monotonic=time.monotonic).sign_in_session(None)
    client = session.create_client("sts", aws_access_key_id="x", aws_secret_access_key="y")
    with pytest.raises(NotAws):
        client.get_caller_identity()


def test_nothing_is_unpacked(make_aws: Any, slow: Slow) -> None:
    """Nobody asked for a packed answer: it is none, and a bomb does not go off."""
    body = gzip.compress(bytes(50_000_000))
    slow.reply = lambda: [HEAD + f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body]
    assert "cut off or is not AWS's" in ended(make_aws, slow.url, Limits(seconds=30 * FAST)).message


def test_a_fleets_answers_may_be_longer(make_aws: Any, standin: Any, admin: Credentials) -> None:
    """A credential report of thousands of users is longer than anything that a laptop is told."""
    from rotate_my_key.aws.client import Transport

    long = "x" * 30_000
    standin.add_user("bob", tags={"note": "y" * 200})
    transport: Transport = make_aws(standin.url, limits=Limits(size=10)).transport(None)
    standin.settings.report_delay = 0
    with transport.pool("iam").borrow() as connection:
        assert transport.call("iam:ListUsers", admin, connection, lambda answer: len(answer["Users"]), {}) == 3
        with pytest.raises(Exception, match="not AWS's"):
            transport.call("iam:ListAccessKeys", admin, connection, lambda answer: long, {})


def test_an_answer_in_time_is_untouched(account: IamAccount, pair: Credentials) -> None:
    """Connections are used again and again, each answer with bounds of its own."""
    for _ in range(3):
        assert account.identify(pair).user == "alice"
    assert account.look([pair]).now - timedelta(days=1) < account.now()
