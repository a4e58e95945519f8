"""Where AWS is, and the connections to its hosts: regions and endpoints, proxies, what may be sent unencrypted, shared
TLS, and a time and a size limit for each answer.

`Models` reads botocore's data files in half the time. botocore walks over the folders of all 400 services before it
loads one, and reads JSON into OrderedDicts, from the days when a dict had no order. `Loader` and its `file_loader` are
its documented points of extension; 43 ms of every start.

botocore keeps a pool and a TLS context in every client, and loads the CA bundle (14 ms) for each connection. Here all
connections share one context; and a caller can demand a connection that was just in use (a request sent on one that the
server has meanwhile closed has an unknown outcome), or several at once.

botocore's timeouts are for the time between two bytes, and it takes whatever length is sent. Limits are counted on the
socket, below HTTP, so that status line, headers, chunks and trailers count as well as the body. Nothing is unpacked
(nothing packed is asked for), and redirects are not followed."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from http.client import HTTPResponse
from ipaddress import IPv6Address, ip_address
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
    AWSResponse,
)
from botocore.exceptions import DataNotFoundError, HTTPClientError
from botocore.httpsession import URLLib3Session, create_urllib3_context, get_cert_path
from botocore.loaders import JSONFileLoader, Loader, create_loader
from botocore.utils import get_environ_proxies
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from ..core.errors import Problem
from ..core.policy import nearest
from .errors import NotAws

HOT = ("iam", "sts")  # what a rotation needs
WIDE = (*HOT, "organizations", "sesv2", "sns", "ssm", "secretsmanager", "s3", "logs")
# The first part of a service's hosts where it is not the service's name (botocore's `endpointPrefix`).
_PREFIX = {"sesv2": "email"}
_ENDPOINTS = {_PREFIX.get(service, service) for service in WIDE}


@cache
def _content(file_path: str) -> Any:
    for opened, ending in ((open, "json"), (gzip.open, "json.gz")):
        try:
            with opened(f"{file_path}.{ending}", "rb") as file:
                return json.loads(file.read())
        except FileNotFoundError:
            continue
    return None


class _PlainJson(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        """The content of `file_path`.json or .json.gz, or None; each is read once a process. Endpoints of services that
        are not ours would take 4 MB."""
        found = _content(file_path)
        if found and os.path.basename(file_path) == "endpoints":
            for partition in found.get("partitions", ()):
                services = partition.get("services", {})
                partition["services"] = {name: services[name] for name in _ENDPOINTS & services.keys()}
        return found


class Models(Loader):
    """Knows the services that are named. `data_path` is AWS_DATA_PATH or None; the folders are botocore's."""

    def __init__(self, data_path: str | None, services: tuple[str, ...] = HOT) -> None:
        self._services = services
        paths = create_loader(data_path).search_paths
        super().__init__(extra_search_paths=paths, file_loader=_PlainJson(), include_default_search_paths=False)

    def list_available_services(self, type_name: str) -> list[str]:
        """Those that have this kind of data."""
        found = []
        for service in self._services:
            with suppress(DataNotFoundError):
                self.list_api_versions(service, type_name)
                found.append(service)
        return found


@cache
def _partitions() -> list[Any]:
    partitions: list[Any] = Models(None).load_data("partitions")["partitions"]
    return partitions


def known_regions() -> frozenset[str]:
    """Every region of every partition, and the pseudo-regions like `aws-global`."""
    return frozenset(region for partition in _partitions() for region in partition["regions"])


def main_region(partition: str) -> str:
    """The region of a partition that holds what is global in it, such as IAM."""
    regions = (each["outputs"]["implicitGlobalRegion"] for each in _partitions() if each["id"] == partition)
    return next(regions, "us-east-1")


def partition_of(region: str) -> str:
    """`aws`, `aws-cn`, ...; "" for a region that this botocore does not know."""
    return next((partition["id"] for partition in _partitions() if region in partition["regions"]), "")


def nearest_region(region: str) -> str | None:
    """The region that was probably meant; None if it is one, or looks like one that this botocore is too old for. A new
    region has a place and a number of its own: `eu-south-3` may be one, `eu-sowth-1` is not. Of several the first is
    meant, and of `eu-west-1a` the region."""

    real: set[str] = {name for name in known_regions() if re.search(r"\d$", name)}
    places = {re.sub(r"-\d+$", "", name) for name in real}
    if region in known_regions() or re.sub(r"-\d+$", "", region) in places:
        return None
    text = region.lower().replace("_", "-")
    named = re.findall(r"[a-z]+(?:-[a-z]+)+-\d+", text)
    if found := next((name for name in named if name in real), ""):
        return str(found)
    likely = sorted(name for name in real if "iso" in text or "iso" not in name)
    return nearest(text, likely) or "us-east-1"


# What every parser reads alike: no user info, no backslash, no blank, nothing that is not ASCII, no zone. Of an address
# in digits only the usual form; the C library would read 127.1, 0x7f.1 and 2130706433 too.
_URL = re.compile(r"(https?)://([\w.-]+|\[[\da-f:.]+\])(:[1-9]\d{0,4})?([/?][!-\[\]-~]*)?", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"(.*\.)?(\d+|0x[\da-f]*)\.?")
_OURS = IPv6Address("::1")
_SET = "look at AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_IAM, AWS_ENDPOINT_URL_STS, and endpoint_url in the profile"


def is_own(url: str, service: str) -> bool:
    """Whether this is an endpoint of AWS itself: regional, global, FIPS, dual stack or a VPC's own."""
    host = urlsplit(url).hostname or ""
    suffixes = {part["outputs"][name] for part in _partitions() for name in ("dnsSuffix", "dualStackDnsSuffix")}
    name, ending = _PREFIX.get(service, service), "|".join(map(re.escape, suffixes))
    vpc = r"((bucket\.)?vpce-[\w-]+\.)?"
    return bool(re.fullmatch(rf"{vpc}{name}(-fips)?(\.dualstack)?(\.[a-z0-9-]+)?(\.vpce)?\.({ending})", host))


def check_url(url: str) -> None:
    """Raises Problem for an endpoint that two libraries could read differently, and for plain http to another computer.
    No message holds the URL: there may be a password in it."""
    parts = _parts(url)
    if parts is None:
        raise Problem("the endpoint is not an address that can be used: only http(s)://HOST:PORT/PATH is", _SET)
    scheme, host = parts
    if scheme != "https" and not is_loopback(url):
        raise Problem(
            f"the endpoint {host} is not encrypted: others could read what is sent",
            "use https in AWS_ENDPOINT_URL (or endpoint_url in the profile); http is for this computer only",
        )


def _parts(url: str) -> tuple[str, str] | None:
    """Scheme and host, if urllib3, which connects, and urllib, with which botocore signs, read what we read."""
    found = _URL.fullmatch(url)
    if not found:
        return None
    scheme, host = found[1].lower(), found[2].lower()
    try:
        theirs, signed = parse_url(url), urlsplit(url)
        if {theirs.host, f"[{signed.hostname}]" if host[0] == "[" else signed.hostname} != {host}:
            return None
        if theirs.port != signed.port or theirs.auth or (theirs.scheme, signed.scheme) != (scheme, scheme):
            return None
        if host[0] == "[" or _DIGITS.fullmatch(host):
            ip_address(host.strip("[]"))
    except (LocationParseError, ValueError):
        return None
    return scheme, host


def is_loopback(url: str) -> bool:
    """Whether it is this computer itself; `localhost` is what it resolves to."""
    _, host = _parts(url) or ("", "")
    try:
        found = socket.getaddrinfo(host, None) if host == "localhost" else [(0, 0, 0, "", (host.strip("[]"),))]
        addresses = [ip_address(entry[4][0]) for entry in found]
    except (OSError, ValueError):
        return False
    return all(address == _OURS if address.version == 6 else address.is_loopback for address in addresses)


def proxies(url: str) -> dict[str, str]:
    """The proxies for a URL. None for this computer itself: the request would leave it, readable."""
    return {} if is_loopback(url) else dict(get_environ_proxies(url))


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
        self._sock, self._raw = sock, raw

    def readable(self) -> bool:
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


def _counting(pool: type[Any], connection: type[Any]) -> type[Any]:
    """The same pool, whose connections count what they read."""
    counted = type(connection.__name__, (connection,), {"response_class": _Response})
    return type(pool.__name__, (pool,), {"ConnectionCls": counted})


_POOLS = {
    "http": _counting(AWSHTTPConnectionPool, AWSHTTPConnection),
    "https": _counting(AWSHTTPSConnectionPool, AWSHTTPSConnection),
}


CONNECT_TIMEOUT = 4.0  # seconds, for each address of the host, and for TLS
READ_TIMEOUT = 10.0  # seconds between two bytes
_SOCKET_OPTIONS = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


def check_key_log(environ: Mapping[str, str]) -> None:
    """OpenSSL writes the keys of each connection to SSLKEYLOGFILE (but not where Python is isolated). Raises Problem if
    it cannot; a pipe that nobody reads is not waited for."""
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
    opened by the first request and again whenever it was lost. The two overridden methods and the pools are botocore's
    own inner ones. Should they vanish, everything still works, but each connection loads the CA bundle again and
    answers have no end; tests/aws would notice."""

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
        check_url(request.url)
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
        self._url, self._tls = url, tls
        self._proxies = proxies(url)
        self._monotonic, self._limits = monotonic, limits
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
