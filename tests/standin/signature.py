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
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote

from .errors import Refused, no

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/aws4_request,"
    r"\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})"
)
_STAMP = "%Y%m%dT%H%M%SZ"
_TOLERANCE = timedelta(minutes=15)
_LONGEST = 7 * 24 * 3600  # seconds that a presigned URL may be good for


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
    """What the header says, or the query of a presigned URL. `token` is the session token that came along, or ""."""

    key_id: str
    day: str
    region: str
    service: str
    headers: tuple[str, ...]
    value: str
    at: datetime
    token: str
    expires: int | None = None  # seconds from `at`: for a presigned URL

    @property
    def scope(self) -> str:
        """What the signature is good for."""
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


def read(request: Request) -> Signature:
    """Read the signature off a request. Raises Refused: MissingAuthenticationToken, IncompleteSignature."""
    header = request.headers.get("authorization")
    if not header:
        return _read_query(dict(parse_qsl(request.query, keep_blank_values=True)))
    match = _HEADER.fullmatch(header)
    if not match:
        raise no("badly signed", "Authorization header is not a signature of version 4.")
    token = request.headers.get("x-amz-security-token", "")
    return _checked(match.groups(), request.headers.get("x-amz-date", ""), token)


def _read_query(query: Mapping[str, str]) -> Signature:
    """A URL that was signed beforehand, as S3 takes it."""
    if "AWSAccessKeyId" in query:
        sentence = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
        raise Refused("InvalidRequest", sentence, 400)
    if "X-Amz-Signature" not in query:
        raise no("not signed")
    names = ("Credential", "SignedHeaders", "Signature", "Expires")
    credential, headers, value, expires = (query.get(f"X-Amz-{name}", "") for name in names)
    match = _HEADER.fullmatch(
        f"{query.get('X-Amz-Algorithm')} Credential={credential}, SignedHeaders={headers}, Signature={value}"
    )
    if not match or match[4] != "s3" or not expires.isdigit() or not 1 <= int(expires) <= _LONGEST:
        raise Refused("AuthorizationQueryParametersError", "Query-string authentication is not valid.", 400)
    signed = _checked(match.groups(), query.get("X-Amz-Date", ""), query.get("X-Amz-Security-Token", ""))
    return replace(signed, expires=int(expires))


def _checked(groups: tuple[str | Any, ...], stamp: str, token: str) -> Signature:
    try:
        at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise no("badly signed", f"Date in X-Amz-Date header is not valid: '{stamp}'.") from None
    key_id, day, region, service, names, value = groups
    if not stamp.startswith(day) or "host" not in names.split(";"):
        raise no("badly signed", "Credential date or signed headers do not fit the request.")
    return Signature(key_id, day, region, service, tuple(names.split(";")), value, at, token)


def check(request: Request, signature: Signature, secret: str, now: datetime) -> None:
    """Let a right and fresh signature pass. Raises Refused (SignatureDoesNotMatch) for any other."""
    if signature.expires is None:
        _check_clock(signature.at, now)
    elif not signature.at - _TOLERANCE <= now < signature.at + timedelta(seconds=signature.expires):
        raise Refused("AccessDenied", "Request has expired", 403)
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
        raise no("signature")


def _check_clock(at: datetime, now: datetime) -> None:
    earliest, latest = now - _TOLERANCE, now + _TOLERANCE
    stamp, clock = at.strftime(_STAMP), now.strftime(_STAMP)
    if at < earliest:
        limit = earliest.strftime(_STAMP)
        raise no("clock", f"Signature expired: {stamp} is now earlier than {limit} ({clock} - 15 min.)")
    if at > latest:
        limit = latest.strftime(_STAMP)
        raise no("clock", f"Signature not yet current: {stamp} is still later than {limit} ({clock} + 15 min.)")


def _canonical(request: Request, signature: Signature) -> str:
    headers = [f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in signature.headers]
    query = sorted(
        tuple(pair.partition("=")[::2])
        for pair in request.query.split("&")
        if pair and not pair.startswith("X-Amz-Signature=")
    )
    return "\n".join(
        (
            request.method,
            _canonical_path(request.path, signature.service),
            "&".join(f"{name}={value}" for name, value in query),
            *headers,
            "",
            ";".join(signature.headers),
            "UNSIGNED-PAYLOAD" if signature.expires else _body_hash(request),
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
