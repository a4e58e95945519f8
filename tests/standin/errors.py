"""AWS's refusals: code, HTTP status and sentence as AWS words them, in IAM's and STS's words.

Pure. The codes and statuses are those of the IAM and STS API references ("Common Errors"); the sentences were
collected from what the real services answer. protocols.py says how other services word the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. `outcome` is what the record of calls says of it; `cut`: the second half of the body is lost.

    A header "Date" replaces the server's own, "" leaves it out. `wire`, if any, is sent instead of all else, as it is.
    """

    status: int
    content_type: str
    body: bytes
    outcome: str = "OK"
    cut: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    wire: Iterable[bytes] = ()


class Refused(Exception):
    """AWS says no: the call was not carried out."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


# What AWS says no to: code, status, sentence. One sentence for every key that it does not take: unknown, deleted,
# inactive, or not known everywhere yet; one for a role that is not there and one that does not let the caller in.
_SAYS: dict[str, tuple[str, int, str]] = {
    "key": ("InvalidClientTokenId", 403, "The security token included in the request is invalid."),
    "expired": ("ExpiredToken", 403, "The security token included in the request is expired"),
    "whom": ("ValidationError", 400, "Must specify userName when calling with non-User credentials"),
    "code": ("AccessDenied", 403, "MultiFactorAuthentication failed with invalid MFA one time pass code. "),
    "device": (
        "AccessDenied",
        403,
        "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid "
        "and associated with this user.",
    ),
    "half a code": (
        "AccessDenied",
        403,
        "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code. ",
    ),
    "session": ("AccessDenied", 403, "Cannot call GetSessionToken with session credentials"),
    "not signed": ("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
    "badly signed": ("IncompleteSignature", 400, "{}"),
    "signature": (
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.",
    ),
    "clock": ("SignatureDoesNotMatch", 403, "{}"),
    "throttled": ("Throttling", 400, "Rate exceeded"),
    "500": ("InternalFailure", 500, "The request processing has failed because of an unknown error."),
    "503": ("ServiceUnavailable", 503, "The service is unavailable. Please try again shortly."),
    "role": ("AccessDenied", 403, "User: {} is not authorized to perform: sts:AssumeRole on resource: {}"),
    "user": ("NoSuchEntity", 404, "The user with name {} cannot be found."),
    "group": ("NoSuchEntity", 404, "The group with name {} cannot be found."),
    "no such key": ("NoSuchEntity", 404, "The Access Key with id {} cannot be found."),
    "room": ("LimitExceeded", 409, "Cannot exceed quota for AccessKeysPerUser: 2"),
    "invalid": ("ValidationError", 400, "{}"),
}
_BECAUSE = {
    "implicit": "because no identity-based policy allows the {} action",
    "explicit": "with an explicit deny in an identity-based policy",
    "resource": "with an explicit deny in a resource-based policy",
    "quarantine": "with an explicit deny in an identity-based policy: "
    "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3",
}


def no(what: str, *words: str) -> Refused:
    """One of these refusals."""
    code, status, sentence = _SAYS[what]
    return Refused(code, sentence.format(*words), status)


def denied(arn: str, action: str, resource: str, reason: str) -> Refused:
    """AccessDenied; `action` is like "iam:DeleteAccessKey", `reason` says which policy is to blame."""
    because = _BECAUSE[reason].format(action)
    sentence = f"User: {arn} is not authorized to perform: {action} on resource: {resource} {because}"
    return Refused("AccessDenied", sentence, 403)


def page(status: int, kind: str) -> Answer:
    """What a captive portal or a proxy puts in AWS's place: a page for people, with 200, 403 or 502.

    "html" is no XML, and botocore raises ResponseParserError for it. "xhtml" is: at 200 botocore 1.44 raises a bare
    KeyError where it expects a result, and takes it for success where the action has none (DeleteAccessKey).
    """
    line_break = "<br/>" if kind == "xhtml" else "<br>"
    html = f"<!DOCTYPE html><html><head><title>Hotel</title></head><body>Welcome{line_break}Sign in</body></html>"
    return Answer(status, "text/html; charset=utf-8", html.encode(), f"{kind} {status}")
