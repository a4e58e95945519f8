"""Signature Version 4, the server's half: what was signed, by which key, for which service, and whether it is right.

Pure. Follows "Signature Version 4 signing process" of the AWS General Reference: the canonical request is built anew
from what arrived, so a changed body, header, path or query is found out as a wrong secret is.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from .errors import badly_signed, not_signed, wrong_clock, wrong_signature

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request,"
    r"\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})"
)
_STAMP = "%Y%m%dT%H%M%SZ"
_TOLERANCE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it came over the wire: `path` and `query` undecoded, header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """What the Authorization header says. `token` is the session token that came along, or ""."""

    key_id: str
    day: str
    region: str
    service: str
    headers: tuple[str, ...]
    value: str
    at: datetime
    token: str

    @property
    def scope(self) -> str:
        """What the signature is good for."""
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


def read(request: Request) -> Signature:
    """Read the signature off a request. Raises Refused: MissingAuthenticationToken, IncompleteSignature."""
    header = request.headers.get("authorization")
    if not header:
        raise not_signed()
    match = _HEADER.fullmatch(header)
    if not match:
        raise badly_signed("Authorization header is not a signature of version 4.")
    stamp = request.headers.get("x-amz-date", "")
    try:
        at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise badly_signed(f"Date in X-Amz-Date header is not valid: '{stamp}'.") from None
    key_id, day, region, service, names, value = match.groups()
    if not stamp.startswith(day) or "host" not in names.split(";"):
        raise badly_signed("Credential date or signed headers do not fit the request.")
    token = request.headers.get("x-amz-security-token", "")
    return Signature(key_id, day, region, service, tuple(names.split(";")), value, at, token)


def check(request: Request, signature: Signature, secret: str, now: datetime) -> None:
    """Let a right and fresh signature pass. Raises Refused (SignatureDoesNotMatch) for any other."""
    _check_clock(signature.at, now)
    to_sign = "\n".join(
        (
            "AWS4-HMAC-SHA256",
            signature.at.strftime(_STAMP),
            signature.scope,
            hashlib.sha256(_canonical(request, signature).encode()).hexdigest(),
        )
    )
    key = f"AWS4{secret}".encode()
    for part in signature.scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), signature.value):
        raise wrong_signature()


def _check_clock(at: datetime, now: datetime) -> None:
    earliest, latest = now - _TOLERANCE, now + _TOLERANCE
    stamp, clock = at.strftime(_STAMP), now.strftime(_STAMP)
    if at < earliest:
        limit = earliest.strftime(_STAMP)
        raise wrong_clock(f"Signature expired: {stamp} is now earlier than {limit} ({clock} - 15 min.)")
    if at > latest:
        limit = latest.strftime(_STAMP)
        raise wrong_clock(f"Signature not yet current: {stamp} is still later than {limit} ({clock} + 15 min.)")


def _canonical(request: Request, signature: Signature) -> str:
    headers = [f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in signature.headers]
    query = sorted(tuple(pair.partition("=")[::2]) for pair in request.query.split("&") if pair)
    return "\n".join(
        (
            request.method,
            _canonical_path(request.path, signature.service),
            "&".join(f"{name}={value}" for name, value in query),
            *headers,
            "",
            ";".join(signature.headers),
            _body_hash(request),
        )
    )


def _canonical_path(path: str, service: str) -> str:
    """S3 signs the path as it is; all others normalise it and encode it once more."""
    if service == "s3":
        return path
    tidy = posixpath.normpath(path).replace("//", "/")
    return quote(tidy + ("/" if path.endswith("/") and tidy != "/" else ""), safe="/~")


def _body_hash(request: Request) -> str:
    """The hash that was signed: of the body, unless S3's header says that the body is not signed."""
    named = request.headers.get("x-amz-content-sha256", "")
    if named.startswith(("UNSIGNED-PAYLOAD", "STREAMING-")):
        return named
    return hashlib.sha256(request.body).hexdigest()
