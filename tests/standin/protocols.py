"""How each service speaks: the body that a result or a refusal travels in, and what a refusal is called there. Pure.

IAM, STS and SNS speak the query protocol (XML), Organizations, SSM, Secrets Manager and CloudWatch Logs JSON 1.1, SES
version 2 JSON over REST, S3 XML over REST. The names and statuses are those of "Common Errors" in the services' API
references.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from xml.sax.saxutils import escape as escape_xml

from .errors import Answer, Refused

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
