"""What travels: what a request asks for, the body of a result or a refusal, and lists in pages. Pure.

IAM, STS and SNS speak the query protocol (XML), Organizations, SSM, Secrets Manager and CloudWatch Logs JSON 1.1, SES
version 2 JSON over REST, S3 XML over REST. The names and statuses are those of "Common Errors" in the services' API
references. A page ends with a token that names its last element, so that a list may change between two pages: nothing
that stays is left out or shown twice, as with AWS's own tokens.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape as escape_xml

from .errors import Answer, Refused
from .signature import Request

Protocol = Literal["query", "json", "rest-json", "rest-xml"]
_JSON = {"organizations", "ssm", "secretsmanager", "logs"}
_COMMON = {
    "AccessDenied": "AccessDeniedException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "ExpiredToken": "ExpiredTokenException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "IncompleteSignature": "IncompleteSignatureException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "Throttling": "ThrottlingException",
    "ValidationError": "ValidationException",
    "InternalFailure": "InternalServerError",
    "ServiceUnavailable": "ServiceUnavailableException",
}
_S3 = {
    "InvalidClientTokenId": ("InvalidAccessKeyId", 403),
    "ExpiredToken": ("ExpiredToken", 400),
    "MissingAuthenticationToken": ("AccessDenied", 403),
    "Throttling": ("SlowDown", 503),
    "InternalFailure": ("InternalError", 500),
}
_OTHER = {
    ("organizations", "ThrottlingException"): "TooManyRequestsException",
    ("ses", "ThrottlingException"): "TooManyRequestsException",
    ("ses", "ValidationException"): "BadRequestException",
    ("sns", "AccessDenied"): "AuthorizationError",
}


def of(service: str, headers: Mapping[str, str]) -> Protocol:
    """The protocol of a request."""
    if service in _JSON or "x-amz-target" in headers:
        return "json"
    return {"ses": "rest-json", "s3": "rest-xml"}.get(service, "query")  # type: ignore[return-value]


def result(protocol: Protocol, said: Mapping[str, Any]) -> Answer:
    """What a service that speaks JSON gives; a date becomes seconds since 1970."""
    kind = "application/x-amz-json-1.1" if protocol == "json" else "application/json"
    return Answer(200, kind, json.dumps(said, default=_seconds).encode())


def refusal(refused: Refused, protocol: Protocol = "query", service: str = "") -> Answer:
    """AWS says no, in the words of this service."""
    match protocol:
        case "query":
            return _query(refused, _OTHER.get((service, refused.code), refused.code))
        case "rest-xml":
            return _s3(refused)
        case "json" | "rest-json":
            code = _COMMON.get(refused.code, refused.code)
            return _json(refused, _OTHER.get((service, code), code), protocol)


def _text(message: str) -> str:
    """As it may stand in XML, which has no control characters."""
    return escape_xml("".join(c if c.isprintable() else "?" for c in message))


def _query(refused: Refused, code: str) -> Answer:
    fault = "Sender" if refused.status < 500 else "Receiver"
    body = (
        '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<Error><Type>{fault}</Type><Code>{code}</Code><Message>{_text(refused.message)}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return Answer(refused.status, "text/xml", body.encode(), code)


def _s3(refused: Refused) -> Answer:
    code, status = _S3.get(refused.code, (refused.code, refused.status))
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{_text(refused.message)}</Message>"
        f"<RequestId>{uuid.uuid4().hex[:16].upper()}</RequestId></Error>"
    )
    return Answer(status, "application/xml", body.encode(), code)


def _json(refused: Refused, code: str, protocol: Protocol) -> Answer:
    """JSON 1.1 says no with 400 whatever the reason, REST with a status that says it."""
    if protocol == "json":
        status = 400 if refused.status < 500 else refused.status
        body = {"__type": code, "message": refused.message}
        return Answer(status, "application/x-amz-json-1.1", json.dumps(body).encode(), code)
    status = 429 if code == "TooManyRequestsException" else refused.status
    body = {"message": refused.message}
    return Answer(status, "application/json", json.dumps(body).encode(), code, headers={"x-amzn-errortype": code})


def _seconds(value: object) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(value)


T = TypeVar("T")


def cut(items: Iterable[T], name: Callable[[T], str], token: str, size: int) -> tuple[list[T], str]:
    """The page behind a token ("": the first) and the next token ("": this is the last page).

    `name` gives each element's own name, and the order of the list. Raises Refused (InvalidInput) for a token that is
    none.
    """
    last = _read(token)
    rest = sorted((item for item in items if last is None or name(item) > last), key=name)
    page = rest[: max(size, 1)]
    return page, _made(name(page[-1])) if len(rest) > len(page) else ""


def size(wanted: object, default: int, most: int, limit: int) -> int:
    """How many elements a page has: what was asked for, at most what the action gives, at most `limit`."""
    return min(int(str(wanted)) if wanted else default, most, limit)


def _made(last: str) -> str:
    return base64.urlsafe_b64encode(f"after:{last}".encode()).decode()


def _read(token: str) -> str | None:
    if not token:
        return None
    try:
        said = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        said = ""
    if not said.startswith("after:"):
        raise Refused("InvalidInput", "Invalid pagination token", 400)
    return said.removeprefix("after:")


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
            return request.headers.get("x-amz-target", request.method).rpartition(".")[2], _body(request)
        case "rest-json":
            return _ses(request)
        case "rest-xml":
            return _object(request)
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


def _body(request: Request) -> Payload:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _ses(request: Request) -> tuple[str, Payload]:
    for method, path, action in _SES:
        match = re.fullmatch(path, request.path)
        if method == request.method and match:
            return action, {**_body(request), **{name: unquote(value) for name, value in match.groupdict().items()}}
    return request.method, {}


def _object(request: Request) -> tuple[str, Payload]:
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
