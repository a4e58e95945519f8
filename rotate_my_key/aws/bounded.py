"""The end and the size of one answer, counted on the socket, below all that HTTP may dress it in.

botocore's timeouts are for the time between two bytes, and it takes whatever length is sent. urllib3 makes the pieces
here: a pool makes connections, a connection makes the object that reads an answer, and that reads from `_Counted`.
Which bounds hold is a context variable, as a request stays in one thread.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any

from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSHTTPSConnection, AWSHTTPSConnectionPool


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


_BOUNDS: ContextVar[Bounds] = ContextVar("bounds")


@contextmanager
def by(bounds: Bounds) -> Iterator[None]:
    """Within the block these bounds hold for what this thread reads."""
    token = _BOUNDS.set(bounds)
    try:
        yield
    finally:
        _BOUNDS.reset(token)


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


class _Connection(AWSHTTPConnection):
    response_class = _Response  # type: ignore[assignment]


class _TlsConnection(AWSHTTPSConnection):
    response_class = _Response  # type: ignore[assignment]


class _Pool(AWSHTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS = {"http": _Pool, "https": _TlsPool}
