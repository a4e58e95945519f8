"""What a failed call means, and how it is told: as a kind of `rotate_my_key.core.errors.Problem` with its hint.

The facts are AWS's error codes and botocore's exceptions. Anything that is not one of `FAILURES` is a bug and passes
through. No message holds a secret or the body of an answer: botocore's own messages may, so they are looked into and
never passed on."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any
from urllib.parse import urlsplit

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError
from urllib3.exceptions import NameResolutionError

from ..core.errors import CodeRefused, Denied, Gone, KeyRefused, NoRoom, NotAllowed, Problem, Throttled, TryLater
from ..core.hints import Again, Hint
from ..core.policy import mask

FAILURES = (boto.BotoCoreError, boto.ClientError, ResponseParserError)

# botocore/retries/standard.py, ThrottledRetryableChecker: all codes seen for "too many requests".
_THROTTLED = frozenset(
    {
        *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException", "RequestThrottled"),
        *("TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException"),
        *("RequestLimitExceeded", "BandwidthLimitExceeded", "LimitExceededException", "SlowDown"),
        *("PriorRequestNotComplete", "EC2ThrottledException"),
    }
)
# IAM: the entity is being changed by somebody else just now; the request was not carried out.
_BUSY = _THROTTLED | {"EntityTemporarilyUnmodifiable", "ConcurrentModification"}
REFUSED = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
CLOCK = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
WRONG_SIGNATURE = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException"})
_NO_HOST = (NameResolutionError, socket.gaierror)
_HANDSHAKE = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "doesn't match")  # OpenSSL's words, and urllib3's
_FLAKY = frozenset({"RequestTimeout", "RequestTimeoutException", "InternalFailure", "ServiceFailure"})


class NotAws(boto.BotoCoreError):
    """An answer that is not AWS's: a web page, one that was cut off, is too `long`, or makes no sense."""

    fmt = "an answer with HTTP status {status} that is not AWS's"

    def __init__(self, status: int, *, page: bool = False, long: bool = False) -> None:
        super().__init__(status=status)
        self.status, self.page, self.long = status, page, long


class FailureKind(Enum):
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


def kind(error: Exception) -> FailureKind:
    """Whether and how a failed call is tried again."""
    match error:
        case boto.ClientError():
            return kind_of_answer(code_of(error), status_of(error))
        case NotAws():
            return FailureKind.FLAKY if error.status >= 500 or not (error.page or error.long) else FailureKind.FINAL
        case boto.SSLError():
            return FailureKind.FINAL if is_handshake(error) else FailureKind.FLAKY
        case boto.EndpointConnectionError() | boto.ConnectTimeoutError() | boto.ProxyConnectionError():
            return FailureKind.OFFLINE
        case boto.HTTPClientError() | ResponseParserError():
            return FailureKind.FLAKY
    return FailureKind.FINAL


def kind_of_answer(code: str, status: int) -> FailureKind:
    """What AWS's own answer means."""
    if code in _BUSY or status == 429:
        return FailureKind.BUSY
    if code in REFUSED:
        return FailureKind.REFUSED
    if status >= 500 or status == 408 or code in _FLAKY:
        return FailureKind.FLAKY
    return FailureKind.FINAL


def is_handshake(error: boto.SSLError) -> bool:
    """Whether TLS failed before anything was sent; an SSL error may also cut off an answer."""
    return any(sign in cause_of(error) for sign in _HANDSHAKE)


def is_certain(error: Exception) -> bool:
    """Whether the request was surely not carried out: it never left, or AWS itself said no."""
    if isinstance(error, boto.ClientError):
        if not re.fullmatch(r"[A-Za-z][\w.]+", code_of(error)):
            return False  # a no without a word may be anybody's
        return kind(error) in (FailureKind.BUSY, FailureKind.REFUSED) or (
            400 <= status_of(error) < 500 and status_of(error) != 408
        )
    if isinstance(error, NotAws | ResponseParserError):
        return False
    if isinstance(error, boto.SSLError):
        return is_handshake(error)
    if isinstance(error, boto.HTTPClientError):
        return kind(error) is FailureKind.OFFLINE
    return True  # botocore refused to build or to sign it


def is_about_time(message: str) -> bool:
    """Whether a wrong signature comes of a wrong clock ("Signature expired: ...", "Signature not yet current: ...")."""
    return bool(re.search(r"signature (expired|not yet current)", message, re.IGNORECASE))


def is_refusal(error: Exception) -> bool:
    """Whether AWS does not accept the signer, so that another one may have more luck."""
    code = code_of(error)
    return code in REFUSED | EXPIRED or (code in WRONG_SIGNATURE and not is_about_time(message_of(error)))


_MINUTE = timedelta(minutes=1)
# Explicit denies that are for a whole account or company, not for users without MFA ("Troubleshoot access denied
# error messages", IAM user guide).
_ABOVE = re.compile(r"explicit deny in an? (service control|resource control|VPC endpoint) policy")


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """The request that failed: `action` as in a policy ("iam:CreateAccessKey"), who signed, where it went."""

    action: str
    key_id: str
    url: str
    region: str | None
    offset: timedelta  # AWS's clock minus ours


def translate(error: Exception, sent: FailedRequest) -> Problem:
    """The problem to raise for a failure."""
    if isinstance(error, boto.ClientError):
        return _answered(code_of(error), message_of(error), status_of(error), sent)
    if isinstance(error, NotAws | ResponseParserError):
        if isinstance(error, NotAws) and error.page:
            return TryLater(
                "something between this computer and AWS answered with a web page (a proxy or a captive portal)",
                "sign in to the network in a browser, or set HTTPS_PROXY, then repeat the command",
            )
        if isinstance(error, NotAws) and error.long:
            return TryLater(f"the answer to {sent.action} is too long to be AWS's", "repeat the command later")
        return TryLater(f"the answer to {sent.action} was cut off or is not AWS's", "repeat the command")
    return _network(error, sent) or configuration(error)


def _answered(code: str, message: str, status: int, sent: FailedRequest) -> Problem:
    if code in REFUSED:
        return KeyRefused(
            f"AWS does not accept the key {mask(sent.key_id)}: it is unknown, deleted or inactive",
            Again("--auth-profile", "NAME", lead="if you can sign in another way", rest="; else ask IT for a new key"),
        )
    if code in CLOCK or (code in WRONG_SIGNATURE and is_about_time(message)):
        return _wrong_clock(sent)
    if code in WRONG_SIGNATURE:
        return KeyRefused(
            f"the secret key stored for {mask(sent.key_id)} is wrong",
            Hint("doctor", lead="check the profile with"),
            wrong_secret=True,
        )
    if code in EXPIRED:
        return KeyRefused("the temporary credentials have expired", "sign in again, then repeat the command")
    if code in DENIED:
        return _no_mfa(message) or denied(message, sent.action)
    if code == "LimitExceeded":
        return NoRoom(
            "AWS allows two access keys per user, and this user has two", Hint("status", lead="see them with")
        )
    if code == "NoSuchEntity":
        return Gone("AWS has no such access key or user", Hint("status", lead="see what there is with"))
    match kind_of_answer(code, status):
        case FailureKind.BUSY:
            return Throttled(f"AWS is throttling {sent.action}", "wait a minute, then repeat the command")
        case FailureKind.FLAKY:
            return TryLater(f"AWS has trouble answering {sent.action} (HTTP {status})", "repeat the command later")
    if code in ("OptInRequired", "RegionDisabledException"):
        return NotAllowed("AWS has not enabled this account or region", "ask IT, or set another region in the profile")
    name = code if re.fullmatch(r"\w{1,60}", code) else f"HTTP {status}"
    return Problem(f"AWS refused {sent.action}: {name}", Hint("doctor", lead="check profile and endpoint with"))


def _no_mfa(message: str) -> CodeRefused | None:
    """What STS says of a code that it does not accept: an AccessDenied of its own kind."""
    if not message.startswith("MultiFactorAuthentication failed"):
        return None
    if "serial number is valid" in message:
        return CodeRefused(
            "AWS does not know this MFA device as the user's",
            Hint("config", "show", lead="see what is set"),
            device=True,
        )
    return CodeRefused(
        "AWS does not accept this MFA code: it is wrong, or was used already",
        "wait for the next code (up to 30 s), then repeat the command",
    )


def _wrong_clock(sent: FailedRequest) -> Problem:
    off = abs(sent.offset)
    if off < _MINUTE:  # the clock agrees with AWS's by now, or AWS has not said what time it is
        said = "AWS rejected the time of a request, but this computer's clock is right now; was it asleep?"
        return TryLater(said, "repeat the command")
    days, hours, minutes = round(off / timedelta(days=1)), round(off / timedelta(hours=1)), round(off / _MINUTE)
    amount = f"{days} days" if days > 2 else f"{hours} hours" if hours > 2 else f"{minutes} minutes"
    how = "slow" if sent.offset > timedelta(0) else "fast"
    return Problem(
        f"this computer's clock is {amount} {how}, so AWS does not accept its requests",
        "set the clock (on Linux: sudo timedatectl set-ntp true), then repeat the command",
    )


def denied(message: str, action: str) -> Denied:
    """AccessDenied. AWS names the action, and the policy too where it may be known ("with an explicit deny in ...")."""
    named = re.search(r"not authorized to perform: ([\w-]+:\w+)", message)
    action = named[1] if named else action
    if "AWSCompromisedKeyQuarantine" in message:
        return quarantined(action)
    if "explicit deny" in message:
        return Denied(
            f"a policy forbids {action} (explicit deny)",
            "if your company demands MFA for this, add --mfa-code CODE; else ask IT",
            action=action,
            explicit=True,
            mfa=not _ABOVE.search(message),
        )
    return Denied(
        f"you are not allowed to call {action}",
        Hint("policy", "self", lead="ask IT for the rights that this prints"),
        action=action,
    )


def quarantined(action: str) -> Denied:
    """AWS attaches AWSCompromisedKeyQuarantine* to the user of a key that it found in public."""
    return Denied(
        "AWS found this key in public and put the user in quarantine: the key has leaked",
        "tell IT at once; it replaces the key and lifts the quarantine",
        action=action,
        explicit=True,
        quarantined=True,
    )


def _network(error: Exception, sent: FailedRequest) -> Problem | None:
    host = urlsplit(sent.url).hostname or sent.url
    match error:
        case boto.ProxyConnectionError():
            if " 407" in cause_of(error):
                return Problem(
                    "the proxy wants a user name and a password", "set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT"
                )
            said = "the proxy cannot be reached or does not let through to AWS"
            return TryLater(said, "check HTTPS_PROXY and NO_PROXY")
        case boto.SSLError():
            if not is_handshake(error):
                return TryLater(f"the connection to {host} broke", "try again")
            return Problem(
                f"no trusted connection to {host}: its certificate is not one that this computer knows",
                "if your company inspects TLS, set AWS_CA_BUNDLE to its certificate file",
            )
        case boto.EndpointConnectionError() if isinstance(error.kwargs.get("error"), _NO_HOST):
            region = f" (region {sent.region} of the profile)" if sent.region and sent.region in host else ""
            return TryLater(f"cannot find {host}: no network, or no such host{region}", "check network and region")
        case boto.EndpointConnectionError() | boto.ConnectTimeoutError():
            return TryLater(f"cannot reach {host}", "check the network (and HTTPS_PROXY), then repeat the command")
        case boto.ReadTimeoutError():
            return TryLater(f"{host} does not answer in time", "repeat the command later")
        case boto.HTTPClientError() if not isinstance(error, boto.InvalidProxiesConfigError):
            return TryLater(f"the connection to {host} broke", "repeat the command")
    return None


_LOOK = Hint("doctor", lead="look at the profile with")
# Not what may be secret.
_A_VARIABLE = re.compile(r"AWS_(?!ACCESS|SECRET|SESSION|SECURITY|PROFILE)|REQUESTS_CA_BUNDLE")
_CONFIGURATION: dict[type[Exception], str] = {
    boto.InvalidRegionError: "the region is not a region's name",
    boto.ConfigParseError: "the AWS config or credentials file cannot be read as an INI file",
    boto.ProfileNotFound: "there is no such profile",
    boto.InvalidProxiesConfigError: "the proxy settings cannot be used",
    boto.EndpointProviderError: "there is no endpoint for these settings (region, FIPS, dual stack)",
}


def configuration(
    error: Exception, environ: Mapping[str, str] | None = None, profile: Mapping[str, Any] | None = None, name: str = ""
) -> Problem:
    """What botocore says of settings that it cannot use, before anything was sent. It names the variable, or the
    setting of the profile `name`, if it is one of these."""
    detail: dict[str, Any] = getattr(error, "kwargs", {})
    variable = _named(error, {name: value for name, value in (environ or {}).items() if _A_VARIABLE.match(name)})
    for cause, message in _CONFIGURATION.items():
        if isinstance(error, cause):
            names = [str(detail[name]) for name in ("profile", "region_name", "path") if name in detail]
            return Problem(": ".join([message, *names]), f"unset {variable}" if variable else _LOOK)
    if variable:
        return Problem(f"the value of {variable} cannot be used", f"unset {variable}")
    if setting := _named(error, profile or {}):
        doctor = Hint("doctor", profile=name)
        return Problem(f"the value of {setting} in profile {name} cannot be used", doctor)
    if str(error).startswith("Invalid endpoint"):  # botocore's ValueError; one of a [services] section
        return Problem("an endpoint_url of this profile is not an address that can be used", _LOOK)
    return Problem(f"the AWS settings of this profile cannot be used ({type(error).__name__})", _LOOK)


def _named(error: Exception, settings: Mapping[str, Any]) -> str:
    """The setting that botocore complains of: by its name, else by its value."""
    said = f"{error} {' '.join(getattr(error, 'kwargs', ()))}"
    plain = re.sub(r"\W", "_", said.lower())
    names = [name for name in settings if name.lower().removeprefix("aws_") in plain]
    return next(iter(names or [name for name, value in settings.items() if value and str(value) in said]), "")
