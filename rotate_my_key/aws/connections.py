"""Connections to AWS's hosts: shared TLS, a time and a size limit for each answer, and whether it is AWS's.

botocore keeps a pool and a TLS context in every client, and loads the CA bundle (14 ms) for each connection. Here all
connections share one context; and a caller can demand a connection that was just in use (a request sent on one that
the server has meanwhile closed has an unknown outcome), or several at once.

botocore's timeouts are for the time between two bytes, and it takes whatever length is sent. Limits are counted on
the socket, below HTTP, so that status line, headers, chunks and trailers count as well as the body. Nothing is
unpacked (nothing packed is asked for), and redirects are not followed.

A captive portal or a proxy answers with a page for people. botocore takes one that is well-formed XML for success
where an action has no result, and JSON that it cannot read for an error's message; so `is_aws` looks at the bytes
first.
"""

from __future__ import annotations

import io
import os
import re
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPResponse
from threading import Lock
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
    AWSResponse,
)
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session, create_urllib3_context, get_cert_path

from ..core.errors import Problem
from . import endpoints
from .errors import NotAws

_START = rb"\s*(<\?xml[^>]*>\s*)?<"
_PAGE = re.compile(_START + rb"(!doctype\s+)?html", re.IGNORECASE)
_ROOT = re.compile(_START + rb"(\w+:)?(\w+)Response[\s>]")
_JSON = re.compile(rb"\s*(\{|\Z)")  # some actions answer with nothing
# An S3 object may be anything. A document type is never AWS's; it is where XML declares entities.
_REST_XML = re.compile(rb"(?!" + _START + rb"(!doctype|html))", re.IGNORECASE)

# By botocore's `protocol` of the service.
_BODIES = {"json": _JSON, "rest-json": _JSON, "rest-xml": _REST_XML}


def is_aws(protocol: str, action: str, status: int, body: bytes) -> bool:
    """Whether a service of this protocol may answer an action so. Where an action has no result, botocore would take
    the answer to any other one for a yes."""
    if protocol != "query":
        return bool(_BODIES[protocol].match(body))
    root = _ROOT.match(body)
    if root is None or body.count(b"<SecretAccessKey>") > 1:  # one key has one secret
        return False
    return root[3].decode() == (action if status < 300 else "Error")


def is_page(body: bytes) -> bool:
    """Whether it is a web page."""
    return bool(_PAGE.match(body))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may take: `seconds` from the beginning of the connection to the last byte, `size` in bytes with
    its headers."""

    seconds: float = 30.0
    size: int = 1 << 20


class Bounds:
    """The limits of one answer as they are used up; `exceeded` once it was too long."""

    def __init__(self, monotonic: Callable[[], float], seconds: float, size: int) -> None:
        self._monotonic = monotonic
        self._end = monotonic() + seconds
        self._left = size
        self.exceeded = False

    def seconds(self) -> float:
        """How long the next bytes may be waited for. Raises TimeoutError."""
        left = self._end - self._monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        return left

    def count(self, size: int) -> None:
        """So many bytes have come. Raises OSError."""
        self._left -= size
        if self._left < 0:
            self.exceeded = True
            raise OSError("the answer is too long")


_BOUNDS: ContextVar[Bounds] = ContextVar("bounds")  # those of the answer that this thread reads


class _Counted(io.RawIOBase):
    """A socket's bytes, counted and timed."""

    def __init__(self, sock: Any, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Raises TimeoutError, OSError."""
        bounds = _BOUNDS.get()
        usual, left = self._sock.gettimeout(), bounds.seconds()
        self._sock.settimeout(left if usual is None else min(usual, left))
        count: int | None = self._raw.readinto(buffer)
        bounds.count(count or 0)
        return count

    def close(self) -> None:
        """Close the socket's own file too."""
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **settings: Any) -> None:
        super().__init__(sock, *args, **settings)
        self.fp = io.BufferedReader(_Counted(sock, self.fp.detach()))


class _CountedConnection(AWSHTTPConnection):
    response_class = _Response  # type: ignore[assignment]


class _CountedTlsConnection(AWSHTTPSConnection):
    response_class = _Response  # type: ignore[assignment]


class _CountedPool(AWSHTTPConnectionPool):
    ConnectionCls = _CountedConnection


class _CountedTlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _CountedTlsConnection


_POOLS = {"http": _CountedPool, "https": _CountedTlsPool}


CONNECT_TIMEOUT = 4.0  # seconds, for each address of the host, and for TLS
READ_TIMEOUT = 10.0  # seconds between two bytes
_SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


def check_key_log(environ: Mapping[str, str]) -> None:
    """OpenSSL writes the keys of each connection to SSLKEYLOGFILE (but not where Python is isolated).

    Raises Problem if it cannot; a pipe that nobody reads is not waited for.
    """
    path = environ.get("SSLKEYLOGFILE")
    if not path or sys.flags.ignore_environment:
        return
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o600))
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or "not a path").lower()
        raise Problem(f"the file that SSLKEYLOGFILE names cannot be opened: {why}", "unset SSLKEYLOGFILE") from None


class Tls:
    """The TLS context, made when the first connection needs it. `bundle` is a path, or True for botocore's own CAs."""

    def __init__(self, bundle: str | bool) -> None:
        self.bundle = bundle
        self._context: ssl.SSLContext | None = None
        self._lock = Lock()

    def context(self) -> ssl.SSLContext:
        """Raises Problem if the CA bundle cannot be read."""
        with self._lock:
            if self._context is None:
                context: ssl.SSLContext = create_urllib3_context()
                try:
                    context.load_verify_locations(get_cert_path(self.bundle))  # type: ignore[arg-type]
                except OSError as error:  # ssl.SSLError is one
                    raise Problem(
                        f"the CA bundle {self.bundle} cannot be read: {error.strerror or 'not a certificate file'}",
                        "set AWS_CA_BUNDLE (or ca_bundle in the profile) to the file with your company's certificates",
                    ) from None
                self._context = context
            return self._context


class Connection(URLLib3Session):
    """One connection, as botocore's HTTP session with a TLS context from outside, loaded already; None: its own. It is
    opened by the first request and again whenever it was lost.

    The two overridden methods and the pools are botocore's own inner ones. Should they vanish, everything still works,
    but each connection loads the CA bundle again and answers have no end; tests/aws would notice.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None,
        bundle: str | bool,
        proxies: Mapping[str, str],
        monotonic: Callable[[], float],
        limits: Limits,
    ) -> None:
        self._loaded = context
        self._now = monotonic
        self._limits = limits
        self._answered = float("-inf")
        super().__init__(
            verify=bundle,  # type: ignore[arg-type]
            proxies=proxies,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),  # type: ignore[arg-type]
            max_pool_connections=1,
            socket_options=_SOCKET_OPTIONS,  # type: ignore[arg-type]
        )
        self._pool_classes_by_scheme = self._manager.pool_classes_by_scheme = _POOLS  # type: ignore[attr-defined]

    def _get_ssl_context(self) -> ssl.SSLContext:
        return self._loaded or create_urllib3_context()

    def _setup_ssl_cert(self, conn: Any, url: str, verify: str | bool) -> None:
        super()._setup_ssl_cert(conn, url, verify)  # type: ignore[misc]
        if self._loaded is not None:
            conn.ca_certs = None

    def send(self, request: Any, size: int = 0) -> AWSResponse:
        """Send once; the answer may have `size` bytes if that is more than usual. Raises botocore's HTTPClientError and
        its kinds, NotAws for an answer that is too long, Problem for a URL that may not be used."""
        endpoints.check(request.url)
        bounds = Bounds(self._now, self._limits.seconds, max(size, self._limits.size))
        token = _BOUNDS.set(bounds)
        try:
            response = super().send(request)
        except HTTPClientError:
            if not bounds.exceeded:
                raise
        else:
            self._answered = self._now()
            return response
        finally:
            _BOUNDS.reset(token)
        raise NotAws(0, long=True)

    def idle(self) -> float:
        """Seconds since the last answer; infinite if there was none."""
        return self._now() - self._answered


class ConnectionPool:
    """The open connections to one endpoint, the one used last on top; each is used by one call at a time."""

    def __init__(self, url: str, tls: Tls, monotonic: Callable[[], float], limits: Limits) -> None:
        self._url = url
        self._tls = tls
        self._proxies = endpoints.proxies(url)
        self._monotonic = monotonic
        self._limits = limits
        self._free: list[Connection] = []
        self._lock = Lock()

    @contextmanager
    def borrow(self, idle: float = float("inf")) -> Iterator[Connection]:
        """A connection for this caller alone until the block ends: one answered within `idle` seconds, or a new one."""
        connection = self._take(idle)
        try:
            yield connection
        finally:
            with self._lock:
                self._free.append(connection)

    def _take(self, idle: float) -> Connection:
        with self._lock:
            if self._free and self._free[-1].idle() <= idle:
                return self._free.pop()
        # Through a proxy botocore's own way is kept: a TLS connection to the proxy itself wants other certificates.
        shared = self._url.startswith("https:") and not self._proxies
        context = self._tls.context() if shared else None
        return Connection(context, self._tls.bundle, self._proxies, self._monotonic, self._limits)

    def close(self) -> None:
        """Drop all connections that are not in use."""
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()
