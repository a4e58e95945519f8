"""TLS: whom we trust, and how often the CA bundle is read."""

import http.server
import os
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials


def configure(text: str) -> None:
    """Another config file."""
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(text)


PAIR = Credentials("AKIAEXAMPLEEXAMPLE00", "the-secret")


def make_certificate(folder: Path, host: str) -> Path:
    """A certificate for a host, signed by itself, with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / f"{host}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return pem


class Secure:
    """A server with TLS that answers every call with the same bytes."""

    def __init__(self, pem: Path, answer: bytes) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.server.handle_error = lambda *args: None  # type: ignore[method-assign]
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1."""
    return make_certificate(tmp_path, "127.0.0.1")


@pytest.fixture
def secure(pem: Path, identity_reply: Any) -> Iterator[Secure]:
    """A server with that certificate."""
    server = Secure(pem, identity_reply())
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
        (
            "ca_bundle",
            r"^ca_bundle of profile default \(.*config, line 2\) is",
            "rotate-my-key doctor -p default",
        ),
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


def test_a_bundle_that_is_no_file(make_aws: Any, secure: Secure, monkeypatch: Any, tmp_path: Path) -> None:
    """A pipe is not waited for, and a folder is none."""
    os.mkfifo(tmp_path / "pipe")
    for path, what in ((tmp_path / "pipe", "a pipe"), (tmp_path, "a folder")):
        monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
        with pytest.raises(Problem, match=f"^AWS_CA_BUNDLE is {path}, which is not a regular file but {what}"):
            IamAccount(make_aws(secure.url)).identify(PAIR)


def test_a_certificate_of_another_host(make_aws: Any, identity_reply: Any, monkeypatch: Any, tmp_path: Path) -> None:
    """The name is checked, not only who signed."""
    pem = make_certificate(tmp_path, "127.0.0.2")
    server = Secure(pem, identity_reply())
    monkeypatch.setenv("AWS_CA_BUNDLE", str(pem))
    with pytest.raises(Problem, match="certificate"):
        IamAccount(make_aws(server.url)).identify(PAIR)
    server.server.shutdown()


def test_the_bundle_is_read_once(make_aws: Any, secure: Secure, pem: Path, monkeypatch: Any, tmp_path: Path) -> None:
    """For all connections: with the bundle gone after the first, the others still trust. botocore would fail here; if
    it stops failing, `lanes` can be simpler."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(pem.read_bytes())
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
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
    bundle.unlink()
    account.prove(PAIR, 3)
    client.close()
    with pytest.raises(OSError):
        client.get_caller_identity()
