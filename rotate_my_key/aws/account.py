"""One IAM user at AWS: the port `rotation.ports.Account` on botocore. Its rules stand in the port's docstrings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from ..errors import Denied, Gone, Interrupted, KeyRefused, Problem, TryLater, Unanswered
from ..model import AccessKey, Credentials, Identity, LastUse, Look
from . import answers
from .calls import Calls, Signers
from .errors import quarantined
from .failures import Kind, is_certain, kind
from .parallel import Running
from .proof import Proof
from .session import Aws

T = TypeVar("T")

_CREATE_TIMEOUT = 15.0  # seconds
_JUST_OPEN = 4.0  # seconds; a connection that was answered so lately is as good as a fresh one
_FLAP = 15.0  # seconds for which IAM may refuse a pair that STS has just accepted


class IamAccount:
    """See the port. `profile` gives region and endpoints; `user` names the user whose keys it is about, if it is known
    before the first look (an auth profile signs for another user)."""

    def __init__(
        self,
        aws: Aws,
        profile: str | None = None,
        *,
        propagation_timeout: timedelta = timedelta(minutes=2),
        proof_interval: timedelta = timedelta(seconds=1),
        user: str | None = None,
    ) -> None:
        self._aws = aws
        self._link = aws.link(profile)
        self._calls = Calls(aws, self._link)
        self._timeout = propagation_timeout.total_seconds()
        self._interval = proof_interval.total_seconds()
        self._user = user
        self._signers = Signers(())
        self._refused = 0.0  # seconds for which a refused signer is waited for

    @property
    def endpoint(self) -> str:
        """Which AWS this is: the partition, or the URLs of endpoints that are not AWS's own."""
        return self._link.endpoint

    @property
    def foreign_endpoints(self) -> tuple[str, ...]:
        """The endpoints in use that are not AWS's own, to be named in the question."""
        return self._link.foreign

    def now(self) -> datetime:
        """AWS's clock."""
        return self._aws.clock.now()

    # Looking

    def look(self, pairs: Sequence[Credentials], *, patient: bool = False) -> Look:
        """See the port. For root, roles and other sessions `keys` is empty, and `identity` says why."""
        deadline = self._aws.monotonic() + (self._timeout if patient else 0.0)
        while True:
            refusals: list[KeyRefused] = []
            for pair in pairs:
                try:
                    return self._look_as(pair)
                except KeyRefused as error:
                    refusals.append(error)
            pause = self._calls.patience.poll()
            if all(refusal.wrong_secret for refusal in refusals) or self._aws.monotonic() + pause > deadline:
                raise refusals[0]
            self._aws.sleep(pause)

    def _look_as(self, pair: Credentials) -> Look:
        """All calls at once. The iam client is made while the first is on its way: beside another client's making it
        would take longer, not shorter (the GIL)."""
        self._link.client("sts")
        asked = Running(partial(self.identify, pair))
        self._link.client("iam")
        # IAM tells a session nothing about "me": then the user has to be named.
        user = asked.result().user if pair.token else None
        keys = Running(partial(self._list, Signers([pair]), user))
        tags = Running(partial(self._tags, pair, user))
        used = None if pair.token else self._last_use(Signers([pair]), pair.key_id)
        identity = asked.result()
        if not identity.is_user:
            return Look(pair, identity, (), None, None, self.now())
        listed = _settled(keys, lambda: self._list(Signers([pair]), identity.user, _FLAP))
        labels = _settled(tags, lambda: self._tags(pair, identity.user, _FLAP))
        self._user, self._signers, self._refused = identity.user, Signers([pair]), 0.0
        return Look(pair, identity, listed, labels, used, self.now())

    def identify(self, pair: Credentials) -> Identity:
        """GetCallerIdentity, once. Raises KeyRefused at once if AWS does not accept the pair."""
        return self._calls.call("sts:GetCallerIdentity", Signers([pair]), answers.identity, {})

    def _list(self, signers: Signers, user: str | None, refused: float = 0.0) -> tuple[AccessKey, ...]:
        keys: list[AccessKey] = []
        params = _named(user)
        while True:
            page, marker = self._calls.call("iam:ListAccessKeys", signers, answers.page, params, refused=refused)
            keys += page
            if not marker:
                return tuple(keys)
            params["Marker"] = marker

    def _tags(self, pair: Credentials, user: str | None, refused: float = 0.0) -> dict[str, str] | None:
        try:
            return self._calls.call("iam:GetUser", Signers([pair]), answers.tags, _named(user), refused=refused)
        except Denied:
            return None

    def _last_use(self, signers: Signers, key_id: str) -> LastUse | None:
        """Not worth waiting for: one more attempt, then it is unknown."""
        more = iter((True,))
        try:
            return self._calls.call(
                "iam:GetAccessKeyLastUsed",
                signers,
                answers.last_use,
                {"AccessKeyId": key_id},
                again=lambda error: next(more, False),
            )
        except Interrupted:
            raise
        except Problem:
            return None

    def keys(self) -> tuple[AccessKey, ...]:
        """See the port."""
        return self._list(self._signers, self._user, self._refused)

    def last_use(self, key_id: str) -> LastUse | None:
        """See the port."""
        return self._last_use(self._signers, key_id)

    # Signing in

    def sign_with(self, pairs: Sequence[Credentials]) -> None:
        """See the port. From now on a refusal is waited out for the propagation time."""
        self._signers = Signers(pairs)
        self._refused = self._timeout

    def prove(self, pair: Credentials, times: int) -> Identity:
        """See the port."""
        return Proof(self._calls, self._link, self._timeout, self._interval).of(pair, times)

    # Changing

    def create(self) -> tuple[Credentials, AccessKey]:
        """See the port. It is sent again only where it was certainly not carried out (throttled, not connected)."""
        lost: list[Exception] = []

        def again(error: Exception) -> bool:
            certain = is_certain(error)
            if not certain:
                lost.append(error)
            return certain

        try:
            made = self._calls.call(
                "iam:CreateAccessKey",
                self._signers,
                answers.created,
                _named(self._user),
                refused=self._refused,
                again=again,
                idle=_JUST_OPEN,
                read_timeout=_CREATE_TIMEOUT,
            )
        except Problem as problem:
            failure = problem
        else:
            self._refused = self._timeout
            return made
        if lost:
            raise Unanswered(f"a new key may have been made or not: {failure.message}", "repeat the command")
        if isinstance(failure, Denied) and failure.explicit and self._is_quarantined():
            raise quarantined(failure.action)
        raise failure

    def _is_quarantined(self) -> bool:
        """AWS does not always name the policy that denies; the user's own list of policies may."""
        try:
            names = self._calls.call(
                "iam:ListAttachedUserPolicies", self._signers, answers.policies, _named(self._user)
            )
        except (Denied, TryLater):
            return False
        return any(name.startswith("AWSCompromisedKeyQuarantine") for name in names)

    def set_active(self, key_id: str, active: bool) -> None:
        """See the port."""
        params = _named(self._user) | {"AccessKeyId": key_id, "Status": "Active" if active else "Inactive"}
        self._calls.call("iam:UpdateAccessKey", self._signers, answers.nothing, params, refused=self._refused)

    def delete(self, key_id: str) -> None:
        """See the port. A NoSuchEntity after an earlier attempt means that this one was carried out."""
        earlier = False

        def again(error: Exception) -> bool:
            nonlocal earlier
            earlier = earlier or kind(error) in (Kind.FLAKY, Kind.BUSY)
            return True

        params = _named(self._user) | {"AccessKeyId": key_id}
        try:
            self._calls.call(
                "iam:DeleteAccessKey", self._signers, answers.nothing, params, refused=self._refused, again=again
            )
        except Gone:
            if not earlier:
                raise


def _named(user: str | None) -> dict[str, str]:
    return {"UserName": user} if user else {}


def _settled(first: Running[T], again: Callable[[], T]) -> T:
    """STS has accepted the pair, so a no from IAM means that IAM does not know it yet."""
    try:
        return first.result()
    except KeyRefused:
        return again()
