"""One IAM user at AWS: the port `rotation.ports.Account` on botocore. Its rules stand in the port's docstrings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from ..errors import Denied, Gone, KeyRefused, Problem, TryLater, Unanswered
from ..model import AccessKey, Credentials, Identity, LastUse, Look
from ..parallel import Running
from . import answers
from .attempts import Attempts
from .calls import Calls, Signers
from .errors import quarantined
from .permissions import Rights, rights
from .proof import Proof
from .session import Aws
from .signing import OwnKeys, Signing
from .user import User

T = TypeVar("T")

_CREATE_TIMEOUT = 15.0  # seconds
_JUST_OPEN = 4.0  # seconds; a connection that was answered so lately is as good as a fresh one
_FLAP = 15.0  # seconds for which IAM may refuse a pair that STS has just accepted


@dataclass(frozen=True, slots=True)
class _Asked:
    """The calls of one look that are on their way, and who signed them."""

    signers: Signers
    keys: Running[tuple[AccessKey, ...]]
    user: User
    tags: Running[dict[str, str] | None]
    used: Running[LastUse | None]


class IamAccount:
    """See the port. `profile` gives region and endpoints; `signing` decides who signs the IAM calls; `user` names the
    user whose keys it is about, and `partition` where he is, if that is known before the first look."""

    def __init__(
        self,
        aws: Aws,
        profile: str | None = None,
        *,
        propagation_timeout: timedelta = timedelta(minutes=2),
        proof_interval: timedelta = timedelta(seconds=1),
        signing: Signing | None = None,
        user: str | None = None,
        partition: str = "",
    ) -> None:
        self._aws = aws
        self._link = aws.link(profile).within(partition)
        self._calls = Calls(aws, self._link)
        self._timeout = propagation_timeout.total_seconds()
        self._interval = proof_interval.total_seconds()
        self._signing = signing or OwnKeys()
        self._user = User(self._calls, self._signing, user)

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

    @property
    def clock_offset(self) -> timedelta:
        """AWS's clock minus ours, as of the last answer."""
        return self._aws.clock.offset

    def rights(self, arn: str) -> Rights:
        """What looking alone tells of the rights of the user looked at, whose ARN this is; for `doctor`."""
        return rights(self._calls, self._user.signers, self._user.name or "", arn)

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
        """All calls at once, if it is known who signs. The iam client is made while the first is on its way: beside
        another client's making it would take longer, not shorter (the GIL)."""
        own = Signers([pair])
        self._link.client("sts")
        whose = Running(partial(self._signing.whose, pair, self._calls))
        self._link.client("iam")
        plain = not self._signing.profile and self._signing.signers(own, self._user.who) is own
        if plain and not pair.token:  # IAM itself says whose key has signed
            asked = _ask(User(self._calls, self._signing, None), own, pair)
            identity, refused = whose.result()
        else:
            identity, refused = whose.result()
            named = User(self._calls, self._signing, identity.user)
            asked = _ask(named, self._signing.signers(own, identity), pair)
        if not identity.is_user:
            asked.used.result()
            return Look(pair, identity, (), None, None, self.now())
        self._link.check_partition(identity)
        self._user.known(identity, [pair], 0.0)
        return self._seen(pair, identity, refused, asked)

    def _seen(self, pair: Credentials, identity: Identity, refused: KeyRefused | None, asked: _Asked) -> Look:
        """The look, once it is known who this is. A no to the list is answered here: patience, MFA, another try."""
        user, listed = self._user, self._listed(asked)
        signers = user.signers
        if signers.pairs != asked.signers.pairs:  # somebody who may say more signs now
            asked = _ask(user, signers, pair, listed)
        tags = _settled(asked.tags, lambda: user.tags(signers, _FLAP))
        active = any(key.key_id == pair.key_id and key.active for key in listed)
        profile = self._signing.profile
        return Look(
            signer=signers.pairs[0] if profile else pair,
            identity=identity,
            keys=listed,
            tags=tags,
            last_use=asked.used.result(),
            now=self.now(),
            auth_profile=profile,
            dead=bool(profile) and (not active or bool(refused and refused.wrong_secret)),
        )

    def _listed(self, asked: _Asked) -> tuple[AccessKey, ...]:
        """STS has accepted the pair, so a refusal by IAM means that IAM does not know it yet."""
        try:
            keys = asked.keys.result()
            if not asked.user.listed <= {self._user.name}:
                raise TryLater("AWS's answers are about two users", "repeat the command")
            return keys
        except Denied as problem:
            self._user.another(problem, asked.signers)
        except KeyRefused:
            pass
        return self._user.signed(lambda signers: self._user.keys(signers, _FLAP))

    def identify(self, pair: Credentials) -> Identity:
        """GetCallerIdentity, once. Raises KeyRefused at once if AWS does not accept the pair."""
        return self._calls.call("sts:GetCallerIdentity", Signers([pair]), answers.identity, {})

    def keys(self) -> tuple[AccessKey, ...]:
        """See the port."""
        user = self._user
        return user.signed(lambda signers: user.keys(signers, user.patience(signers)))

    def last_use(self, key_id: str) -> LastUse | None:
        """See the port."""
        return self._user.last_use(self._user.signers, key_id)

    # Signing in

    def sign_with(self, pairs: Sequence[Credentials]) -> None:
        """See the port. From now on a refusal is waited out for the propagation time."""
        self._user.sign_with(pairs, self._timeout)

    def prove(self, pair: Credentials, times: int) -> Identity:
        """See the port."""
        return Proof(self._calls, self._link, self._timeout, self._interval).of(pair, times)

    # Changing

    def create(self, again: Callable[[], None] = lambda: None) -> tuple[Credentials, AccessKey]:
        """See the port. It is sent again only where it was certainly not carried out (throttled, not connected)."""
        attempts = Attempts(again)
        sent: list[Signers] = []

        def send(signers: Signers) -> tuple[Credentials, AccessKey]:
            if sent:  # a person may have taken minutes over an MFA code
                again()
            sent.append(signers)
            try:
                return self._calls.call(
                    "iam:CreateAccessKey",
                    signers,
                    partial(answers.created, user=self._user.name),
                    self._user.named,
                    refused=self._user.patience(signers),
                    again=attempts.if_certain,
                    idle=_JUST_OPEN,
                    read_timeout=_CREATE_TIMEOUT,
                )
            except Denied as problem:
                if problem.explicit and self._is_quarantined(signers):
                    raise quarantined(problem.action) from None
                raise

        try:
            made = self._user.signed(send)
        except Problem as problem:
            failure = problem
        else:
            self._user.refused = self._timeout
            return made
        if attempts.lost:
            raise Unanswered(f"a new key may have been made or not: {failure.message}", "repeat the command")
        raise failure

    def _is_quarantined(self, signers: Signers) -> bool:
        """AWS does not always name the policy that denies; the user's own list of policies may."""
        try:
            names = self._calls.call("iam:ListAttachedUserPolicies", signers, answers.policies, self._user.named)
        except (Denied, KeyRefused, TryLater):
            return False
        return any(name.startswith("AWSCompromisedKeyQuarantine") for name in names)

    def set_active(self, key_id: str, active: bool) -> None:
        """See the port."""
        params = self._user.named | {"AccessKeyId": key_id, "Status": "Active" if active else "Inactive"}
        self._user.signed(
            lambda signers: self._calls.call(
                "iam:UpdateAccessKey", signers, answers.nothing, params, refused=self._user.patience(signers)
            )
        )

    def delete(self, key_id: str) -> None:
        """See the port. A NoSuchEntity after an earlier attempt means that this one was carried out."""
        attempts = Attempts()
        params = self._user.named | {"AccessKeyId": key_id}
        try:
            self._user.signed(
                lambda signers: self._calls.call(
                    "iam:DeleteAccessKey",
                    signers,
                    answers.nothing,
                    params,
                    refused=self._user.patience(signers),
                    again=attempts.always,
                )
            )
        except Gone:
            if not attempts.lost:
                raise


def _ask(user: User, signers: Signers, pair: Credentials, listed: tuple[AccessKey, ...] | None = None) -> _Asked:
    """Send the calls of a look; the list only if it is not there yet."""
    return _Asked(
        signers,
        Running(partial(user.keys, signers) if listed is None else lambda: listed),
        user,
        Running(partial(user.tags, signers)),
        Running(partial(user.last_use, signers, pair.key_id)),
    )


def _settled(first: Running[T], again: Callable[[], T]) -> T:
    """STS has accepted the pair, so a no from IAM means that IAM does not know it yet."""
    try:
        return first.result()
    except KeyRefused:
        return again()
