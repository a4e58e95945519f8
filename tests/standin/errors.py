"""AWS's refusals: code, HTTP status and sentence as AWS words them, in IAM's and STS's words.

Pure. The codes and statuses are those of the IAM and STS API references ("Common Errors"); the sentences were
collected from what the real services answer. protocols.py says how other services word the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

QUARANTINE = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"


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


def key_refused() -> Refused:
    """One answer for every key that AWS does not take: unknown, deleted, inactive, or not known everywhere yet."""
    return Refused("InvalidClientTokenId", "The security token included in the request is invalid.", 403)


def expired() -> Refused:
    """A session is over."""
    return Refused("ExpiredToken", "The security token included in the request is expired", 403)


def no_user_name() -> Refused:
    """Temporary credentials are nobody's own: IAM wants to be told whom the call is about."""
    return Refused("ValidationError", "Must specify userName when calling with non-User credentials", 400)


def wrong_code() -> Refused:
    """The code is not the one that the device shows, or it was used already."""
    return Refused("AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code. ", 403)


def wrong_device() -> Refused:
    """The serial number is none of a device of this user."""
    sentence = (
        "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid "
        "and associated with this user."
    )
    return Refused("AccessDenied", sentence, 403)


def half_a_code() -> Refused:
    """A serial number without a code, or a code without a serial number."""
    sentence = "MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code. "
    return Refused("AccessDenied", sentence, 403)


def no_session_from_session() -> Refused:
    """GetSessionToken is for long-term keys."""
    return Refused("AccessDenied", "Cannot call GetSessionToken with session credentials", 403)


def not_signed() -> Refused:
    """No Authorization header."""
    return Refused("MissingAuthenticationToken", "Request is missing Authentication Token", 403)


def badly_signed(what: str) -> Refused:
    """An Authorization header that cannot be understood."""
    return Refused("IncompleteSignature", what, 400)


def wrong_signature() -> Refused:
    """Most often a wrong secret."""
    return Refused(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.",
        403,
    )


def wrong_clock(sentence: str) -> Refused:
    """The caller's clock is more than 15 minutes off; IAM and STS use the code of a wrong signature for it."""
    return Refused("SignatureDoesNotMatch", sentence, 403)


def throttled() -> Refused:
    """Too many calls."""
    return Refused("Throttling", "Rate exceeded", 400)


def broken(status: int) -> Refused:
    """AWS's own trouble: 500 or 503."""
    if status == 503:
        return Refused("ServiceUnavailable", "The service is unavailable. Please try again shortly.", 503)
    return Refused("InternalFailure", "The request processing has failed because of an unknown error.", status)


def denied(arn: str, action: str, resource: str, reason: str) -> Refused:
    """AccessDenied; `action` is like "iam:DeleteAccessKey", `reason` says which policy is to blame."""
    because = {
        "implicit": f"because no identity-based policy allows the {action} action",
        "explicit": "with an explicit deny in an identity-based policy",
        "resource": "with an explicit deny in a resource-based policy",
        "quarantine": f"with an explicit deny in an identity-based policy: {QUARANTINE}",
    }[reason]
    sentence = f"User: {arn} is not authorized to perform: {action} on resource: {resource} {because}"
    return Refused("AccessDenied", sentence, 403)


def role_denied(arn: str, role_arn: str) -> Refused:
    """AssumeRole into a role that is not there or does not trust the caller: one answer, which does not say which."""
    return Refused(
        "AccessDenied", f"User: {arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}", 403
    )


def no_such_user(name: str) -> Refused:
    """404."""
    return Refused("NoSuchEntity", f"The user with name {name} cannot be found.", 404)


def no_such_group(name: str) -> Refused:
    """404."""
    return Refused("NoSuchEntity", f"The group with name {name} cannot be found.", 404)


def no_such_key(key_id: str) -> Refused:
    """404."""
    return Refused("NoSuchEntity", f"The Access Key with id {key_id} cannot be found.", 404)


def no_room() -> Refused:
    """409: a user may have two access keys, and the quota cannot be raised."""
    return Refused("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", 409)


def invalid(sentence: str) -> Refused:
    """400: a parameter is missing or wrong."""
    return Refused("ValidationError", sentence, 400)


def page(status: int, kind: str) -> Answer:
    """What a captive portal or a proxy puts in AWS's place: a page for people, with 200, 403 or 502.

    "html" is no XML, and botocore raises ResponseParserError for it. "xhtml" is: at 200 botocore 1.44 raises a bare
    KeyError where it expects a result, and takes it for success where the action has none (DeleteAccessKey).
    """
    line_break = "<br/>" if kind == "xhtml" else "<br>"
    html = f"<!DOCTYPE html><html><head><title>Hotel</title></head><body>Welcome{line_break}Sign in</body></html>"
    return Answer(status, "text/html; charset=utf-8", html.encode(), f"{kind} {status}")
