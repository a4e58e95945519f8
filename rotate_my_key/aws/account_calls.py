"""Calls in one account of a fleet: signed by whoever signs there, rate-limited, retried, and explained to IT.

The signer is the caller, perhaps with an MFA session, or a role that they assume in another account. Credentials are
made when first needed and renewed before they end; they live in memory only. An account that cannot be entered says so
with its own first call, and holds up no other. One transport, so one client a service and region, serves all accounts.

`CallSite` turns failures into Problems with IT's next command. No message holds a value, a body or a signed URL. The
codes are those of each service's API reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock, RLock
from typing import Any, Protocol, TypeVar

from botocore.exceptions import ClientError, ParamValidationError

from ..core.errors import Denied, Gone, KeyRefused, NoRoom, NotAllowed, Problem, TryLater
from ..core.hints import Hint
from ..core.model import Credentials, Identity
from ..core.policy import mask
from .calls import (
    BUDGETS,
    Answer,
    Calls,
    CredentialChain,
    RateLimiter,
    Read,
    RetryPolicy,
    Wanted,
    all_pages,
    always,
    in_utc,
    read_session,
    signed,
)
from .client import Transport
from .connections import is_own
from .errors import DENIED, FAILURES, FailedRequest, FailureKind, code_of, message_of, translate
from .signin import AuthProfile, MfaSessions, Serials

_DENIED = DENIED | {"AuthorizationError", "AuthorizationErrorException", "KMSAccessDenied", "KMSAccessDeniedException"}
# Which policy has an action (rotate-my-key policy NAME): the first whose pattern fits.
_POLICIES = (
    (r"iam:(CreateAccessKey|GetUser|ListGroups\w+)|secretsmanager:(?!Get)\w+|s3:(Get|Delete|List)\w+", "fleet-reissue"),
    (r"iam:(\w+LoginProfile|\w+UserPolicy)", "fleet-revoke"),
    (r"iam:(UpdateAccessKey|DeleteAccessKey|UntagUser)|logs:\w+|s3:PutObject", "fleet-enforce"),
    (
        r"iam:TagUser|organizations:List(\w+ForParent|TagsForResource)|ses:\w+|sns:\w+|secretsmanager:GetSecretValue",
        "fleet-remind",
    ),
    (r".*", "fleet-report"),
)
# What the services say where a KMS key of one's own is in the way, without naming the action ("Access to KMS is not
# allowed", Secrets Manager; "The ciphertext refers to a customer master key that does not exist ...", SSM).
_KMS = re.compile(r"^(Access to KMS|The ciphertext refers)")
_KMS_ACTIONS = dict.fromkeys(("secretsmanager:PutSecretValue", "secretsmanager:CreateSecret"), "kms:GenerateDataKey")


def _is_daily(error: Exception) -> bool:
    """SES: "Daily message quota exceeded"."""
    return bool(re.search(r"daily.*quota", message_of(error), re.IGNORECASE))


class Exists(Problem):
    """There is one of this name already."""


class Leaving(Problem):
    """A secret is being deleted, and its name is taken until that is done."""


@contextmanager
def gone(message: str, hint: str) -> Iterator[None]:
    """What is gone, or about to be, in words of the caller's. Raises Gone."""
    try:
        yield
    except (Gone, Leaving):
        raise Gone(message, hint) from None


# Codes of which nothing else need be known: the kind of problem, what is said and the hint.
_CODES: dict[str, tuple[type[Problem], str, str]] = {
    "NoSuch(Entity|Bucket|Key)|((Resource|Parent|Target)?NotFound)(Exception)?|Parameter(Version)?NotFound": (
        *(Gone, "there is no such thing for {action}{there}", "check the name"),
    ),
    "Resource(Already)?ExistsException": (Exists, "there is one of this name already ({action})", ""),
    "ReportNotPresent|ReportExpired|ReportInProgress": (
        *(TryLater, "the credential report is not ready", "repeat the command in a minute"),
    ),
    "AccountSuspendedException|SendingPausedException": (
        *(NotAllowed, "SES does not send for this account", "look at it with: aws sesv2 get-account"),
    ),
}


@dataclass(frozen=True, slots=True)
class CallSite:
    """In whose name a call is made: the account's number ("" for the caller's own), and who signs, in words."""

    account: str
    signer: str

    def explain(self, error: Exception, sent: FailedRequest) -> Problem:
        """The problem to raise for a failure; see Calls."""
        sent = replace(sent, action=re.sub("^sesv2:", "ses:", sent.action))  # as policies call it
        if isinstance(error, ParamValidationError):  # its message quotes the values
            return Problem(f"invalid parameter for {sent.action}", "check the names in the settings")
        found = self._answered(error, sent.action) if isinstance(error, ClientError) else None
        return found or self._reworded(translate(error, sent), sent)

    def _answered(self, error: ClientError, action: str) -> Problem | None:
        code, message = code_of(error), message_of(error)
        for codes, (kind, said, hint) in _CODES.items():
            if re.fullmatch(codes, code):
                return kind(said.format(action=action, there=self._there), hint)
        if code == "AWSOrganizationsNotInUseException":
            hint = "name accounts: only = ... in [accounts]"
            return Denied("this account is in no organization", hint, action=action)
        if code == "InvalidRequestException" and ("deletion" in message or "deleted" in message):
            return Leaving(f"it is about to be deleted ({action})")
        if code in ("MessageRejected", "MailFromDomainNotVerifiedException"):
            return _rejected(message)
        if code == "BadRequestException" and action.startswith("ses:"):
            return Problem(
                f"SES does not understand the mail{_reason(message)}",
                "check sender and to in [channels], and the owner's address in the tag or mapping of [owners]",
            )
        if _is_daily(error):
            return TryLater("SES sends no more today: the daily quota is used up", "repeat the command tomorrow")
        if code in ("LimitExceeded", "LimitExceededException"):
            match action:
                case "iam:CreateAccessKey":
                    return NoRoom("the user has two access keys already", "delete an inactive one")
                case "iam:TagUser":
                    return NotAllowed("the user has 50 tags already", "take a tag off that user")
            return NotAllowed(f"a quota of AWS is used up: {action}", "look at the service quotas of the account")
        if code in DENIED and _KMS.search(message):
            return self._denied(Denied(""), _KMS_ACTIONS.get(action, "kms:Decrypt"))
        if code in _DENIED - DENIED:
            return self._denied(Denied("", action=action), action)
        return None

    def _reworded(self, problem: Problem, sent: FailedRequest) -> Problem:
        if isinstance(problem, Denied) and not problem.quarantined:
            return self._denied(problem, sent.action)
        if isinstance(problem, KeyRefused):
            return KeyRefused(
                f"AWS does not accept the credentials of {self.signer} (key {mask(sent.key_id)}){self._there}",
                "look at them with: aws sts get-caller-identity (a region that is not enabled says the same)",
                wrong_secret=problem.wrong_secret,
            )
        if type(problem) is Problem and isinstance(problem.hint, Hint):
            return Problem(f"{problem.message}{self._there}", "check region, endpoint and names in the settings")
        return problem

    def _denied(self, denied: Denied, action: str) -> Denied:
        action = denied.action or action
        if denied.explicit:
            what = f"a policy forbids {action}{self._there} (explicit deny)"
        else:
            what = f"{self.signer} is not allowed to call {action}{self._there}"
        return Denied(what, _allow(denied, action), action=action, explicit=denied.explicit, mfa=denied.mfa)

    @property
    def _there(self) -> str:
        return f" in account {self.account}" if self.account else ""


def _allow(denied: Denied, action: str) -> str:
    """The hint: what allows an action."""
    if action.startswith("kms:"):
        return "allow it in the policy of the KMS key, and to who signs"
    name = next(policy for pattern, policy in _POLICIES if re.fullmatch(pattern, action))
    if denied.explicit and not denied.mfa:
        return "ask who made that policy"
    mfa = "if MFA is demanded, add --mfa-code CODE; else " if denied.explicit else ""
    if action == "organizations:ListAccounts":  # whatever the policies allow, other accounts may not
        mfa += "sign in to the management account or a delegated administrator, or set only in [accounts]; else "
    return Hint("policy", name, lead=f"{mfa}allow it")


def _rejected(message: str) -> Problem:
    """SES names who is not verified: "... in region EU-WEST-1: alice@example.com"."""
    if "verified" not in message:
        said = f"SES rejected the mail{_reason(message)}"
        return NotAllowed(said, "look at the account's standing with: aws sesv2 get-account")
    names = re.search(r"region [\w-]+: ([\w@.+, <>-]{3,200})$", message)
    who = f"not verified: {names[1]}" if names else "the sender or the address is not verified"
    return NotAllowed(
        f"SES does not send this: {who}",
        "verify it in SES (aws sesv2 create-email-identity --email-identity ADDRESS), or leave SES's sandbox",
    )


# What SES says of a mail that it does not take, as far as it may be repeated: the rest may quote anything.
_REASONS = re.compile(
    r"Missing (final '@domain'|domain)|(Domain (contains|starts|ends)|Local address contains)( [A-Za-z-]+){,6}"
    r"|Illegal address|Address blacklisted|on the suppression list|Sending (suspended|paused) for this account"
    r"|Message length is more than \d+ bytes",
    re.IGNORECASE,
)


def _reason(message: str) -> str:
    found = _REASONS.search(message)
    return f": {found[0]}" if found else ""


_SOON = timedelta(minutes=5)  # a session that ends so soon is renewed before it is used
_SESSION = "rotate-my-key"  # names our sessions in CloudTrail


class Caller:
    """Who runs the command: `auth`, and for the key of a user whose policies demand it, one MFA session. `calls` are to
    the caller's own account. Without `sessions` no MFA."""

    def __init__(self, auth: AuthProfile, calls: Calls, sessions: MfaSessions | None, serials: Serials = tuple) -> None:
        self._auth, self._calls, self._sessions, self._serials = auth, calls, sessions, serials
        self._who: Identity | None = None
        self._user: Identity | None = None  # whose MFA session signs
        self._lock = RLock()

    @property
    def in_session(self) -> bool:
        """Whether an MFA session of the caller's signs by now."""
        return self._user is not None

    def identity(self) -> Identity:
        """GetCallerIdentity, asked once. Raises Problem."""
        with self._lock:
            self._who = self._who or self._auth.identity(self._calls)
            return self._who

    def credentials(self) -> Credentials:
        """See Source. A code that came with the command is used at once: it is good for half a minute."""
        with self._lock:
            session = self._sessions.of(self._user) if self._sessions and self._user else None
            if session:
                return session
            own = self._auth.credentials()
            if self._sessions and self._sessions.expected and not own.token:
                return self._opened(self._sessions, own, None, denied=False)
            return own

    def another(self, problem: Denied | KeyRefused, signed: Credentials) -> None:
        with self._lock:
            own = self._auth.credentials()
            in_session = self._user is not None and signed != own
            if signed not in (own, self.credentials()):  # another thread was here
                return
            if in_session and isinstance(problem, Denied):
                raise Denied(f"{problem.message}, even with MFA", problem.hint, action=problem.action)
            if in_session and self._sessions:
                self._opened(self._sessions, own, signed)
            elif isinstance(problem, KeyRefused):
                self._auth.replace(signed)
            elif self._sessions and not own.token and self._sessions.may_help(problem, self.identity(), self._serials):
                self._opened(self._sessions, own, None)
            else:
                raise problem

    def _opened(
        self, sessions: MfaSessions, own: Credentials, bad: Credentials | None, *, denied: bool = True
    ) -> Credentials:
        user = self.identity()
        if not user.is_user:  # root's key: GetSessionToken would take its device, and nothing here is root's to do
            return own
        sessions.open(user, CredentialChain((own,)), self._calls, self._serials, 0.0, bad, denied=denied)
        self._user = user
        return sessions.of(user) or own


class Role:
    """A role in another account, assumed by `caller`: its credentials, made when first asked for. `calls` are to the
    caller's own STS; `now` is AWS's clock."""

    def __init__(self, arn: str, external_id: str, calls: AccountCalls, now: Callable[[], datetime]) -> None:
        self._arn, self._external_id, self._calls, self._now = arn, external_id, calls, now
        self._made: tuple[Credentials, datetime] | None = None
        self._lock = RLock()

    def credentials(self) -> Credentials:
        with self._lock:
            if self._made is None or self._now() + _SOON > self._made[1]:
                self._made = self._assumed()
            return self._made[0]

    def _assumed(self) -> tuple[Credentials, datetime]:
        """AssumeRole, for its hour: a role that was assumed by a role gets no more (STS API reference)."""
        params = {"RoleArn": self._arn, "RoleSessionName": _SESSION}
        if self._external_id:
            params["ExternalId"] = self._external_id

        def read(answer: Answer) -> tuple[Credentials, datetime]:
            return read_session(answer), in_utc(answer["Credentials"]["Expiration"])

        try:
            return self._calls.call("sts:AssumeRole", read, params)
        except Denied as denied:
            raise Denied(
                f"the role {self._arn} is not there, or may not be assumed by the caller",
                Hint("fleet", "template", "--member-role", lead="create it there"),
                action=denied.action,
                explicit=denied.explicit,
            ) from None

    def another(self, problem: Denied | KeyRefused, signed: Credentials) -> None:
        """See Source. A session that AWS has ended is made anew, once."""
        if isinstance(problem, Denied):
            raise problem
        with self._lock:
            if self._made is None or self._made[0] != signed:
                return
            self._made = None


T = TypeVar("T")

THROTTLED = 60.0  # seconds; hundreds of users are read in a row, and IAM gives an account few calls a second


class Source(Protocol):
    """Who signs in one account. Safe to share between threads."""

    def credentials(self) -> Credentials:
        """Those in force now, renewed if need be. Raises Problem."""

    def another(self, problem: Denied | KeyRefused, signed: Credentials) -> None:
        """AWS said no to a call that these signed. Gives back if `credentials` are others now; else raises."""


@dataclass
class CallRoute:
    """The way to AWS that all accounts share. `tell` is called with each endpoint that is not AWS's own, once and
    before anything is sent there. `patience`: for how many seconds throttling is waited out."""

    transport: Transport
    tell: Callable[[str], None]
    patience: float = THROTTLED
    _told: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def announce(self, transport: Transport, service: str) -> None:
        """Name the endpoint of a service if it is none of AWS's. Raises Problem for one that cannot be used."""
        url = transport.url(service)
        with self._lock:
            if url in self._told:
                return
            self._told.add(url)
            if not is_own(url, service):
                self.tell(url)

    def calls(self, where: CallSite, transport: Transport | None = None, limiter: RateLimiter | None = None) -> Calls:
        """Calls for an account: patient, and explained to IT."""
        aws, budgets = self.transport.aws, BUDGETS | {FailureKind.BUSY: self.patience}
        retry = RetryPolicy(aws.sleep, aws.monotonic, budgets, limiter or RateLimiter(aws.sleep, aws.monotonic))
        return Calls(transport or self.transport, retry, where.explain)


class AccountCalls:
    """Calls in the account that `where` names. Safe to share between threads."""

    def __init__(
        self,
        route: CallRoute,
        source: Source,
        where: CallSite,
        transport: Transport | None = None,
        limiters: dict[str, RateLimiter] | None = None,
    ) -> None:
        """`limiters`: those of the services, which throttle each for itself."""
        self._kept = self._route, self._source, self._where = route, source, where
        self._transport = transport or route.transport
        self.now = self._transport.aws.clock.now  # AWS's clock
        self._limiters: dict[str, RateLimiter] = {} if limiters is None else limiters

    def at(self, region: str) -> AccountCalls:
        """The same in another region ("": this one)."""
        there = self._transport.at(region)
        return self if there is self._transport else AccountCalls(*self._kept, there, self._limiters)

    @property
    def region(self) -> str:
        """The region in force, "" if none is set."""
        return self._transport.region or ""

    @property
    def retry(self) -> RetryPolicy:
        """How waiting is done here, for what only a service's own words tell."""
        return RetryPolicy(self._transport.aws.sleep, self._transport.aws.monotonic)

    def call(
        self,
        action: str,
        read: Read[T],
        params: Mapping[str, Any],
        *,
        again: Wanted = always,
        **settings: Any,
    ) -> T:
        """Call "sesv2:SendEmail" or the like; see Calls.call. Raises Problem."""
        service = action.split(":")[0]
        self._route.announce(self._transport, service)
        aws = self._transport.aws
        limiter = self._limiters.setdefault(service, RateLimiter(aws.sleep, aws.monotonic))
        calls = self._route.calls(self._where, self._transport, limiter)

        def wanted(error: Exception) -> bool:  # a quota of a day or of an account goes by the codes of throttling
            return again(error) and code_of(error) != "LimitExceededException" and not _is_daily(error)

        def send(pair: Credentials) -> T:
            return calls.call(action, CredentialChain((pair,)), read, params, again=wanted, **settings)

        return signed(self._source.credentials, send, self._source.another)

    def pages(
        self, action: str, read: Read[tuple[list[T], str | None]], params: Mapping[str, Any], marker: str
    ) -> Iterator[T]:
        """See all_pages."""
        return all_pages(self.call, action, read, params, marker)

    def presign(self, method: str, seconds: int, **params: Any) -> str:
        """See Transport.presign. Raises Problem."""
        self._route.announce(self._transport, "s3")
        pair = self._source.credentials()
        try:
            return self._transport.presign(pair, method, seconds, **params)
        except FAILURES as error:
            failure = error
        raise self._route.calls(self._where, self._transport).explain(failure, "s3:GetObject", pair)
