"""What a failed call means: whether it passes by itself, whether it was surely not carried out, who was refused.

The facts are AWS's error codes and botocore's exceptions. Anything that is not one of `FAILURES` is a bug and passes
through. Never shows what it looks into: botocore's messages may quote whole answers, secrets included.
"""

from __future__ import annotations

import re
import socket
from enum import Enum, auto

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import NameResolutionError

FAILURES = (boto.BotoCoreError, boto.ClientError, ResponseParserError)

# botocore/retries/standard.py, ThrottledRetryableChecker: all codes seen for "too many requests".
_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "RequestThrottled",
        "SlowDown",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
    }
)
# IAM: the entity is being changed by somebody else just now; the request was not carried out.
_BUSY = _THROTTLED | {"EntityTemporarilyUnmodifiable", "ConcurrentModification"}
REFUSED = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
CLOCK = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
WRONG_SIGNATURE = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException"})
_HANDSHAKE = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "doesn't match")  # OpenSSL's words, and urllib3's
_FLAKY = frozenset({"RequestTimeout", "RequestTimeoutException", "InternalFailure", "ServiceFailure"})


class NotAws(boto.BotoCoreError):
    """An answer that is not AWS's: a web page, one that was cut off, is too `long`, or makes no sense."""

    fmt = "an answer with HTTP status {status} that is not AWS's"

    def __init__(self, status: int, *, page: bool = False, long: bool = False) -> None:
        super().__init__(status=status)
        self.status = status
        self.page = page
        self.long = long


class Kind(Enum):
    """What to do about a failure: OFFLINE, BUSY and FLAKY pass by themselves, REFUSED may, FINAL does not."""

    OFFLINE = auto()
    BUSY = auto()
    FLAKY = auto()
    REFUSED = auto()
    FINAL = auto()


def code_of(error: Exception) -> str:
    """AWS's error code, "" if AWS gave none."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def status_of(error: boto.ClientError) -> int:
    """The HTTP status of AWS's answer, 0 if it is not known."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def message_of(error: Exception) -> str:
    """AWS's sentence, "" if AWS gave none."""
    return str(error.response.get("Error", {}).get("Message", "")) if isinstance(error, boto.ClientError) else ""


def cause_of(error: boto.BotoCoreError) -> str:
    """What the network said, in its own words; for looking into, never for showing."""
    return str(error.kwargs.get("error", ""))


def kind(error: Exception) -> Kind:
    """Whether and how a failed call is tried again."""
    match error:
        case boto.ClientError():
            return kind_of_answer(code_of(error), status_of(error))
        case NotAws():
            return Kind.FLAKY if error.status >= 500 or not (error.page or error.long) else Kind.FINAL
        case boto.SSLError():
            return Kind.FINAL if is_handshake(error) else Kind.FLAKY
        case boto.EndpointConnectionError() | boto.ConnectTimeoutError() | boto.ProxyConnectionError():
            return Kind.OFFLINE
        case boto.HTTPClientError() | ResponseParserError():
            return Kind.FLAKY
    return Kind.FINAL


def kind_of_answer(code: str, status: int) -> Kind:
    """What AWS's own answer means."""
    if code in _BUSY or status == 429:
        return Kind.BUSY
    if code in REFUSED:
        return Kind.REFUSED
    if status >= 500 or status == 408 or code in _FLAKY:
        return Kind.FLAKY
    return Kind.FINAL


def is_handshake(error: boto.SSLError) -> bool:
    """Whether TLS failed before anything was sent; an SSL error may also cut off an answer."""
    return any(sign in cause_of(error) for sign in _HANDSHAKE)


def is_no_host(error: boto.EndpointConnectionError) -> bool:
    """Whether the host's name was not found."""
    return isinstance(error.kwargs.get("error"), NameResolutionError | socket.gaierror)


def is_certain(error: Exception) -> bool:
    """Whether the request was surely not carried out: it never left, or AWS itself said no."""
    if isinstance(error, boto.ClientError):
        if not re.fullmatch(r"[A-Za-z][\w.]+", code_of(error)):
            return False  # a no without a word may be anybody's
        return kind(error) in (Kind.BUSY, Kind.REFUSED) or (400 <= status_of(error) < 500 and status_of(error) != 408)
    if isinstance(error, NotAws | ResponseParserError):
        return False
    if isinstance(error, boto.SSLError):
        return is_handshake(error)
    if isinstance(error, boto.HTTPClientError):
        return kind(error) is Kind.OFFLINE
    return True  # botocore refused to build or to sign it


def is_about_time(message: str) -> bool:
    """Whether a wrong signature comes of a wrong clock ("Signature expired: ...", "Signature not yet current: ...")."""
    return bool(re.search(r"signature (expired|not yet current)", message, re.IGNORECASE))


def is_refusal(error: Exception) -> bool:
    """Whether AWS does not accept the signer, so that another one may have more luck."""
    code = code_of(error)
    return code in REFUSED | EXPIRED or (code in WRONG_SIGNATURE and not is_about_time(message_of(error)))
