"""Calls in one account: signed by whoever signs there, paced for all threads, patient, and explained to IT.

One link, so one client a service and region and one set of connections, serves all accounts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Any, Protocol, TypeVar

from ..errors import Denied, KeyRefused
from ..model import Credentials
from .calls import Calls, Read, Signers, always
from .errors import Sent
from .failures import FAILURES, Kind
from .link import Link
from .pace import Pace
from .patience import BUDGETS, Patience, Wanted
from .service_errors import CallSite, passes
from .session import Aws

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
        end; `marker` is the parameter that takes it. A page may be empty and not the last."""
        following: Mapping[str, Any] = {}
        while True:
            entries, token = self.call(action, read, {**params, **following})
            yield from entries
            if not token:
                return
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
