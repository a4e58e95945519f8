"""Calls in one account: signed by whoever signs there, paced for all threads, patient, and explained to IT.

The signer is the caller, perhaps with an MFA session, or a role that they assume in another account. Credentials are
made when first needed and renewed before they end; they live in memory only. An account that cannot be entered says so
with its own first call, and holds up no other. One link, so one client a service and region and one set of connections,
serves all accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock, RLock
from typing import Any, Protocol, TypeVar

from ..errors import Denied, KeyRefused, TryLater
from ..model import Credentials, Identity
from . import answers
from .auth import AuthProfile
from .calls import Calls, Signers, always
from .errors import Sent
from .failures import FAILURES, Kind
from .link import Link, Read
from .mfa import MfaSessions, Serials
from .pace import Pace
from .patience import BUDGETS, Patience, Wanted
from .service_errors import CallSite, passes
from .session import Aws

_SOON = timedelta(minutes=5)  # a session that ends so soon is renewed before it is used
_SESSION = "rotate-my-key"  # names our sessions in CloudTrail


class Caller:
    """Who runs the command: `auth`, and for the key of a user whose policies demand it, one MFA session.

    `calls` are to the caller's own account. Without `sessions` no MFA.
    """

    def __init__(self, auth: AuthProfile, calls: Calls, sessions: MfaSessions | None, serials: Serials = tuple) -> None:
        self._auth = auth
        self._calls = calls
        self._sessions = sessions
        self._serials = serials
        self._who: Identity | None = None
        self._user: Identity | None = None  # whose MFA session signs
        self._lock = RLock()

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
        """See Source."""
        with self._lock:
            own = self._auth.credentials()
            in_session = self._user is not None and signed != own
            if signed not in (own, self.credentials()):  # another thread was here
                return
            if isinstance(problem, Denied):
                self._denied(problem, own, in_session)
            elif in_session and self._sessions:
                self._opened(self._sessions, own, signed)
            else:
                self._auth.replace(signed)

    def _denied(self, problem: Denied, own: Credentials, in_session: bool) -> None:
        if in_session:
            raise Denied(f"{problem.message}, even with MFA", problem.hint, action=problem.action)
        if own.token or not self._sessions or not self._sessions.may_help(problem, self.identity(), self._serials):
            raise problem
        self._opened(self._sessions, own, None)

    def _opened(
        self, sessions: MfaSessions, own: Credentials, bad: Credentials | None, *, denied: bool = True
    ) -> Credentials:
        user = self.identity()
        if not user.is_user:  # root's key: GetSessionToken would take its device, and nothing here is root's to do
            return own
        sessions.open(user, Signers([own]), self._calls, self._serials, 0.0, bad, denied=denied)
        self._user = user
        return sessions.of(user) or own


class Role:
    """A role in another account, assumed by `caller`: its credentials, made when first asked for.

    `calls` are to the caller's own STS; `now` is AWS's clock.
    """

    def __init__(self, arn: str, external_id: str, calls: AccountCalls, now: Callable[[], datetime]) -> None:
        self._arn = arn
        self._external_id = external_id
        self._calls = calls
        self._now = now
        self._made: tuple[Credentials, datetime] | None = None
        self._lock = RLock()

    def credentials(self) -> Credentials:
        """See Source."""
        with self._lock:
            if self._made is None or self._now() + _SOON > self._made[1]:
                self._made = self._assumed()
            return self._made[0]

    def _assumed(self) -> tuple[Credentials, datetime]:
        """AssumeRole, for its hour: a role that was assumed by a role gets no more (STS API reference)."""
        params = {"RoleArn": self._arn, "RoleSessionName": _SESSION}
        if self._external_id:
            params["ExternalId"] = self._external_id
        try:
            return self._calls.call("sts:AssumeRole", answers.role_session, params)
        except Denied as denied:
            raise Denied(
                f"the role {self._arn} is not there, or may not be assumed by the caller",
                "create it there: rotate-my-key fleet template --member-role",
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
_ZERO = timedelta(0)
_SIGNERS = 3  # how often one call is signed: as it is, with MFA or anew, and once more


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

    aws: Aws
    link: Link
    tell: Callable[[str], None]
    patience: float = THROTTLED
    _told: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def announce(self, link: Link, service: str) -> None:
        """Name the endpoint of a service if it is none of AWS's. Raises Problem for one that cannot be used."""
        url = link.url(service)
        with self._lock:
            if url in self._told:
                return
            self._told.add(url)
            if not link.is_own(url, service):
                self.tell(url)

    def calls(self, link: Link, where: CallSite, pace: Pace) -> Calls:
        """Calls over a link, for an account."""
        budgets = BUDGETS | {Kind.BUSY: self.patience}
        return Calls(self.aws, link, Patience(self.aws.sleep, self.aws.monotonic, budgets, pace), where.explain)

    def pace(self) -> Pace:
        """For one account."""
        return Pace(self.aws.sleep, self.aws.monotonic)


class AccountCalls:
    """Calls in the account that `where` names. Safe to share between threads."""

    def __init__(
        self,
        way: CallRoute,
        source: Source,
        where: CallSite,
        link: Link | None = None,
        paces: dict[str, Pace] | None = None,
    ) -> None:
        """`paces`: those of the services, which throttle each for itself."""
        self._way = way
        self._source = source
        self._where = where
        self._link = link or way.link
        self._paces: dict[str, Pace] = {} if paces is None else paces

    def at(self, region: str) -> AccountCalls:
        """The same in another region ("": this one)."""
        link = self._link.at(region)
        return self if link is self._link else AccountCalls(self._way, self._source, self._where, link, self._paces)

    @property
    def region(self) -> str:
        """The region in force, "" if none is set."""
        return self._link.region or ""

    def now(self) -> datetime:
        """AWS's clock."""
        return self._way.aws.clock.now()

    @property
    def patience(self) -> Patience:
        """How waiting is done here, for what only a service's own words tell."""
        return Patience(self._way.aws.sleep, self._way.aws.monotonic)

    def call(
        self,
        action: str,
        read: Read[T],
        params: Mapping[str, Any],
        *,
        again: Wanted = always,
        idle: float = float("inf"),
        read_timeout: float | None = None,
    ) -> T:
        """Call "sesv2:SendEmail" or the like; see Calls.call. Raises Problem."""
        service = action.split(":")[0]
        self._way.announce(self._link, service)
        calls = self._way.calls(self._link, self._where, self._paces.setdefault(service, self._way.pace()))

        def repeats(error: Exception) -> bool:
            return again(error) and passes(error)

        def send(pair: Credentials) -> T:
            return calls.call(
                action, Signers([pair]), read, params, again=repeats, idle=idle, read_timeout=read_timeout
            )

        for _ in range(_SIGNERS - 1):
            pair = self._source.credentials()
            try:
                return send(pair)
            except (Denied, KeyRefused) as problem:
                self._source.another(problem, pair)
        return send(self._source.credentials())

    def pages(
        self, action: str, read: Read[tuple[list[T], str | None]], params: Mapping[str, Any], marker: str
    ) -> Iterator[T]:
        """All entries of a list, page by page. `read` gives those of a page and the marker of the next, None at the
        end; `marker` is the parameter that takes it. A page may be empty and not the last. Raises TryLater for one that
        leads in a circle."""
        following: Mapping[str, Any] = {}
        seen: set[str] = set()
        while True:
            entries, token = self.call(action, read, {**params, **following})
            yield from entries
            if not token:
                return
            if token in seen:
                raise TryLater(f"the answers to {action} go round in a circle", "repeat the command later")
            seen.add(token)
            following = {marker: token}

    def presign(self, method: str, seconds: int, **params: Any) -> str:
        """See Link.presign. Raises Problem."""
        self._way.announce(self._link, "s3")
        pair = self._source.credentials()
        try:
            return self._link.presign(pair, method, seconds, **params)
        except FAILURES as error:
            failure = error
        raise self._where.explain(failure, Sent("s3:GetObject", pair.key_id, self._link.url("s3"), self.region, _ZERO))
