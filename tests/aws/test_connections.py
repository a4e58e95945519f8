"""TLS with a company's own certificates, and the end and size of every answer."""

import gzip
import http.server
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.client import parse_headers
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

from rotate_my_key.aws.connections import Limits
from rotate_my_key.aws.errors import NotAws
from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import Problem, TryLater
from rotate_my_key.core.model import Credentials
from tests.aws.authority import Authority


def configure(text: str) -> None:
    """Another config file."""
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(text)


PAIR = Credentials("AKIAEXAMPLEEXAMPLE00", "the-secret")


class Secure:
    """A server with TLS that answers every call with the same bytes."""

    def __init__(self, context: ssl.SSLContext, answer: bytes) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.server.handle_error = lambda *args: None  # type: ignore[method-assign]
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A company's own."""
    return Authority(tmp_path)


@pytest.fixture
def pem(authority: Authority) -> Path:
    """Its certificate."""
    return authority.bundle


@pytest.fixture
def secure(authority: Authority, identity_reply: Any) -> Iterator[Secure]:
    """A server with a certificate that it signed."""
    server = Secure(authority.context("127.0.0.1"), identity_reply())
    yield server
    server.server.shutdown()
    server.server.server_close()


def test_a_certificate_that_nobody_knows(make_aws: Any, secure: Secure) -> None:
    """The hint names the variable for a company's own certificates."""
    with pytest.raises(Problem, match="certificate") as caught:
        IamAccount(make_aws(secure.url)).identify(PAIR)
    assert "AWS_CA_BUNDLE" in caught.value.hint


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_a_companys_own_certificates(make_aws: Any, secure: Secure, pem: Path, monkeypatch: Any, variable: str) -> None:
    """As botocore finds them."""
    monkeypatch.setenv(variable, str(pem))
    assert IamAccount(make_aws(secure.url)).identify(PAIR).user == "alice"


def test_the_bundle_is_not_a_certificate(make_aws: Any, secure: Secure, monkeypatch: Any, tmp_path: Path) -> None:
    """The file is named."""
    bundle = tmp_path / "bundle.txt"
    bundle.write_text("hello")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    with pytest.raises(Problem, match=r"the CA bundle .*bundle\.txt cannot be read"):
        IamAccount(make_aws(secure.url)).identify(PAIR)


@pytest.mark.parametrize("where", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "ca_bundle"])
def test_the_home_in_the_bundles_path(make_aws: Any, secure: Secure, pem: Path, monkeypatch: Any, where: str) -> None:
    """`~` is expanded, as urllib3 does it for botocore; a variable is not."""
    monkeypatch.setenv("HOME", str(pem.parent))

    def bundle(path: str) -> None:
        if where == "ca_bundle":
            configure(f"[default]\nca_bundle = {path}\n")
        else:
            monkeypatch.setenv(where, path)

    def by_botocore() -> str:
        client = botocore.session.Session().create_client(
            "sts", "eu-west-1", endpoint_url=secure.url, aws_access_key_id="x", aws_secret_access_key="x"
        )
        return str(client.get_caller_identity()["Arn"])

    bundle(f"~/{pem.name}")
    assert by_botocore().endswith("user/alice")
    assert IamAccount(make_aws(secure.url)).identify(PAIR).user == "alice"
    bundle(f"$HOME/{pem.name}")
    with pytest.raises(Exception, match=r"certificate|No such file"):
        by_botocore()
    with pytest.raises(Problem, match=r"the CA bundle .HOME/.* cannot be read: No such file"):
        IamAccount(make_aws(secure.url)).identify(PAIR)


@pytest.mark.parametrize(
    ("where", "named", "hint"),
    [
        ("AWS_CA_BUNDLE", "^AWS_CA_BUNDLE is empty", "unset AWS_CA_BUNDLE"),
        ("REQUESTS_CA_BUNDLE", "^REQUESTS_CA_BUNDLE is empty", "unset REQUESTS_CA_BUNDLE"),
        ("ca_bundle", r"^ca_bundle of profile default \(.*config, line 2\) is", "rotate-my-key doctor"),
    ],
)
def test_an_empty_bundle(make_aws: Any, secure: Secure, monkeypatch: Any, where: str, named: str, hint: str) -> None:
    """It is refused (older versions of botocore would trust anybody), and what is said names where it is set."""
    if where == "ca_bundle":
        configure("[default]\nca_bundle =\n")
    else:
        monkeypatch.setenv(where, "")
    with pytest.raises(Problem, match=named) as caught:
        IamAccount(make_aws(secure.url)).identify(PAIR)
    assert caught.value.hint == hint


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_a_bundle_that_is_no_file(make_aws: Any, secure: Secure, monkeypatch: Any, tmp_path: Path, name: str) -> None:
    """A pipe is not waited for, and a folder is none."""
    os.mkfifo(tmp_path / "pipe")
    for path, what in ((tmp_path / "pipe", "a pipe"), (tmp_path, "a folder")):
        monkeypatch.setenv(name, str(path))
        with pytest.raises(Problem, match=f"^{name} is {path}, which is not a regular file but {what}"):
            IamAccount(make_aws(secure.url)).identify(PAIR)


def test_a_certificate_of_another_host(
    make_aws: Any, identity_reply: Any, monkeypatch: Any, authority: Authority
) -> None:
    """The name is checked, not only who signed."""
    server = Secure(authority.context("127.0.0.2"), identity_reply())
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.bundle))
    with pytest.raises(Problem, match="certificate"):
        IamAccount(make_aws(server.url)).identify(PAIR)
    server.server.shutdown()


def test_the_bundle_is_read_once(make_aws: Any, secure: Secure, pem: Path, monkeypatch: Any) -> None:
    """For all connections: with the bundle gone after the first, the others still trust. botocore would fail here; if
    it stops failing, `connections` can be simpler."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(pem))
    account = IamAccount(make_aws(secure.url), proof_interval=timedelta(0))
    account.identify(PAIR)
    client = botocore.session.Session().create_client(
        "sts",
        "eu-west-1",
        endpoint_url=secure.url,
        aws_access_key_id="x",
        aws_secret_access_key="y",
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.get_caller_identity()
    pem.unlink()
    account.prove(PAIR, 3)
    client.close()
    with pytest.raises(OSError):
        client.get_caller_identity()


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
                    self._read(connection)
                for part in self.reply():
                    if self.over:
                        return
                    connection.sendall(part)
                    self.sent += len(part)
            except OSError:
                pass

    def _read(self, connection: socket.socket) -> None:
        """All of the request: what is left unread when a connection is closed resets it, and the answer is lost."""
        with connection.makefile("rb") as request:
            request.readline()
            request.read(int(parse_headers(request)["Content-Length"] or 0))

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


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"  # the next try is a connection of its own: none that is just closed


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
DRIPPING: dict[str, tuple[bytes, ...]] = {
    "the status line": (b"H",),
    "a header": (HEAD, b"A"),
    "headers": (HEAD, b"A: b\r\n"),
    "a body of a known length": (HEAD + b"Content-Length: 99999\r\n\r\n", b" "),
    "a body up to the end of the connection": (HEAD + b"\r\n", b" "),
    "chunks": (CHUNKED, b"1\r\n \r\n"),
    "the length of a chunk": (CHUNKED, b"0"),
    "trailers": (CHUNKED + b"1\r\n \r\n0\r\n", b"A: b\r\n"),
    "100 Continue": (b"HTTP/1.1 100 Continue\r\n\r\n",),
}


@pytest.mark.slow
@pytest.mark.parametrize("parts", DRIPPING.values(), ids=DRIPPING)
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
    from rotate_my_key.aws.calls import Calls

    long = "x" * 30_000
    standin.add_user("bob", tags={"note": "y" * 200})
    calls = Calls(make_aws(standin.url, limits=Limits(size=10)).transport(None))
    standin.settings.report_delay = 0
    with calls.transport.pool("iam").borrow() as connection:
        assert calls.send("iam:ListUsers", admin, connection, lambda answer: len(answer["Users"]), {}) == 3
        with pytest.raises(Exception, match="not AWS's"):
            calls.send("iam:ListAccessKeys", admin, connection, lambda answer: long, {})


def test_an_answer_in_time_is_untouched(account: IamAccount, pair: Credentials) -> None:
    """Connections are used again and again, each answer with bounds of its own."""
    for _ in range(3):
        assert account.identify(pair).user == "alice"
    assert account.look([pair]).now - timedelta(days=1) < account.now()
