"""What a request asks for: the action and what comes with it, whatever protocol it is written in. Pure.

Query protocol: the parameters. JSON: the body. REST: what path, query, headers and body say, in the API's names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from .protocols import Protocol
from .signature import Request

Payload = dict[str, Any]
_UNTOLD = ("secret", "password", "token", "code")  # a parameter with one of these in its name is not recorded
_NEVER, _ALWAYS = {"Message", "Value", "Signature"}, {"SecretId"}
_SES = (
    ("POST", r"/v2/email/outbound-emails", "SendEmail"),
    ("GET", r"/v2/email/account", "GetAccount"),
    ("POST", r"/v2/email/identities", "CreateEmailIdentity"),
    ("GET", r"/v2/email/identities/(?P<EmailIdentity>[^/]+)", "GetEmailIdentity"),
)
_S3_OBJECT = {"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
_S3_BUCKET = {"PUT": "CreateBucket", "HEAD": "HeadBucket"}
_S3_KNOWN = {"x-id", "list-type", "prefix", "max-keys", "continuation-token", "start-after", "delimiter"}
_S3_KNOWN |= {"encoding-type", "fetch-owner", "location"}


def read(request: Request, service: str, protocol: Protocol) -> tuple[str, Payload]:
    """The action's name (the HTTP method, if it cannot be told) and what comes with it."""
    match protocol:
        case "json":
            return request.headers.get("x-amz-target", request.method).rpartition(".")[2], _json(request)
        case "rest-json":
            return _ses(request)
        case "rest-xml":
            return _s3(request)
        case "query":
            params = _params(request)
            return params.get("Action", request.method), dict(params)


def told(payload: Mapping[str, Any]) -> dict[str, str]:
    """What may stand in the record of calls: plain parameters, no secrets, no texts of messages."""
    plain = {name: value for name, value in payload.items() if isinstance(value, str | int)}
    return {name: str(value) for name, value in plain.items() if not _is_secret(name)}


def _params(request: Request) -> dict[str, str]:
    """The parameters of the query protocol, from the url and from a form; no others."""
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    body = request.body.decode("utf-8", "replace") if form else ""
    return dict(parse_qsl(request.query, keep_blank_values=True) + parse_qsl(body, keep_blank_values=True))


def _json(request: Request) -> Payload:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _ses(request: Request) -> tuple[str, Payload]:
    for method, path, action in _SES:
        match = re.fullmatch(path, request.path)
        if method == request.method and match:
            return action, {**_json(request), **{name: unquote(value) for name, value in match.groupdict().items()}}
    return request.method, {}


def _s3(request: Request) -> tuple[str, Payload]:
    bucket, slash, key = request.path.lstrip("/").partition("/")
    pairs = parse_qsl(request.query, keep_blank_values=True)
    query = {name: value for name, value in pairs if not name.startswith("X-Amz-")}
    payload: Payload = {"Bucket": bucket, **query, "Headers": request.headers, "Body": request.body}
    if slash and key:
        payload["Key"] = unquote(key)
    if unknown := set(query) - _S3_KNOWN:
        return f"{request.method} ?{'&'.join(sorted(unknown))}", payload
    if key:
        return _S3_OBJECT.get(request.method, request.method), payload
    if request.method == "GET" and bucket:
        return "GetBucketLocation" if "location" in query else "ListObjectsV2", payload
    return _S3_BUCKET.get(request.method, request.method), payload


def _is_secret(name: str) -> bool:
    return name in _NEVER or (name not in _ALWAYS and any(part in name.lower() for part in _UNTOLD))
