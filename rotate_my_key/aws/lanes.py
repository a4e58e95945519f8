"""Connections to one endpoint: one to a lane, each lane used by one call at a time.

botocore keeps a pool and a TLS context in every client and loads the CA bundle (14 ms) again for each connection. Here
all lanes share one context, loaded once; and a caller can demand a lane that is just open (a request sent on a
connection that the server has meanwhile closed has an unknown outcome), or several lanes at once.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session, create_urllib3_context, get_cert_path

from ..errors import Problem

CONNECT_TIMEOUT = 4.0  # seconds, for each address of the host
READ_TIMEOUT = 10.0
_SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


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


class _Wire(URLLib3Session):
    """botocore's HTTP session with a TLS context from outside, loaded already.

    The two overridden methods are botocore's own inner ones. Should they vanish, everything still works and each
    connection loads the CA bundle again; tests/aws/test_lanes.py would notice.
    """

    def __init__(self, context: ssl.SSLContext | None, bundle: str | bool, proxies: Mapping[str, str]) -> None:
        self._loaded = context
        super().__init__(
            verify=bundle,  # type: ignore[arg-type]
            proxies=proxies,
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),  # type: ignore[arg-type]
            max_pool_connections=1,
            socket_options=_SOCKET_OPTIONS,  # type: ignore[arg-type]
        )

    def _get_ssl_context(self) -> ssl.SSLContext:
        return self._loaded or create_urllib3_context()

    def _setup_ssl_cert(self, conn: Any, url: str, verify: str | bool) -> None:
        super()._setup_ssl_cert(conn, url, verify)  # type: ignore[misc]
        if self._loaded is not None:
            conn.ca_certs = None


class Lane:
    """One connection; it is opened by the first request and again whenever it was lost."""

    def __init__(self, wire: _Wire, monotonic: Callable[[], float]) -> None:
        self._wire = wire
        self._monotonic = monotonic
        self._answered = float("-inf")

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Send once; redirects are not followed. Raises botocore's HTTPClientError and its kinds."""
        response = self._wire.send(request)
        self._answered = self._monotonic()
        return response

    def idle(self) -> float:
        """Seconds since the last answer; infinite if there was none."""
        return self._monotonic() - self._answered

    def close(self) -> None:
        """Drop the connection."""
        self._wire.close()


class Lanes:
    """The open lanes to one endpoint, the one used last on top."""

    def __init__(self, url: str, tls: Tls, proxies: Mapping[str, str], monotonic: Callable[[], float]) -> None:
        self._url = url
        self._tls = tls
        self._proxies = proxies
        self._monotonic = monotonic
        self._free: list[Lane] = []
        self._lock = Lock()

    @contextmanager
    def borrow(self, idle: float = float("inf")) -> Iterator[Lane]:
        """A lane for this caller alone until the block ends: one answered within `idle` seconds, or a new one."""
        lane = self._take(idle)
        try:
            yield lane
        finally:
            with self._lock:
                self._free.append(lane)

    def _take(self, idle: float) -> Lane:
        with self._lock:
            if self._free and self._free[-1].idle() <= idle:
                return self._free.pop()
        return Lane(self._open(), self._monotonic)

    def _open(self) -> _Wire:
        # Through a proxy botocore's own way is kept: a TLS connection to the proxy itself wants other certificates.
        shared = self._url.startswith("https:") and not self._proxies
        return _Wire(self._tls.context() if shared else None, self._tls.bundle, self._proxies)

    def close(self) -> None:
        """Drop all connections that are not in use."""
        with self._lock:
            free, self._free = self._free, []
        for lane in free:
            lane.close()
