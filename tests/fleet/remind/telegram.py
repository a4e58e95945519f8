"""Telegram as far as it can be had without Telegram: its host is fixed in apprise, so a proxy on loopback takes the
place of the way there and answers for `api.telegram.org`, with a certificate of an authority of its own.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "api.telegram.org"


@dataclass
class Telegram:
    """What arrived: path and JSON of each request. `environment` leads requests there."""

    environment: dict[str, str]
    requests: list[tuple[str, Any]] = field(default_factory=list)
    answer: tuple[int, dict[str, Any]] = (200, {"ok": True, "result": {"message_id": 1}})


@contextmanager
def telegram(folder: Path) -> Iterator[Telegram]:
    """Listens on loopback."""
    certificate = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        found = Telegram(
            {"HTTPS_PROXY": url, "REQUESTS_CA_BUNDLE": str(certificate), "NO_PROXY": "127.0.0.1,localhost"}
        )
        threading.Thread(target=_serve, args=(server, context, found), daemon=True).start()
        yield found


def _serve(server: socket.socket, context: ssl.SSLContext, found: Telegram) -> None:
    with suppress(OSError):  # closed
        while True:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                _answer(connection, context, found)


def _answer(connection: socket.socket, context: ssl.SSLContext, found: Telegram) -> None:
    head, _ = _head(connection)
    if not head.startswith(f"CONNECT {HOST}:443 ".encode()):
        connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        return
    connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    with context.wrap_socket(connection, server_side=True) as secured:
        head, body = _head(secured)
        lines = head.decode().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:"))
        while len(body) < length:
            body += secured.recv(65536)
        found.requests.append((lines[0].split()[1], json.loads(body)))
        status, value = found.answer
        text = json.dumps(value).encode()
        secured.sendall(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text
        )


def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            break
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body


def _certificate(folder: Path) -> Path:
    """Key and certificate in one file; it vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "telegram.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return file
