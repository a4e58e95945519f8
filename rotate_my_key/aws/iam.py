"""IAM access keys: the verbs that laptop and fleet share, and one user with all that a rotation needs.

`IamAccount` is the port `rotation.ports.Account`, whose docstrings give the rules.

`Proof`: AWS says no on one host seconds after yes on another, so one sign-in is no proof. A row of them on connections
of their own reaches several hosts; the polls before the first yes take turns on the row's connections, which are open
when the row begins.

`rights`: found out by looking alone, for trying means changing. Two read calls tell, where they are allowed: IAM's
policy simulator, which knows policies, boundaries and conditions, and the list of attached policies, in which AWS puts
a user of a leaked key into quarantine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from ..core.errors import Denied, Gone, KeyRefused, OtherIdentity, Problem, TryLater, Unanswered
from ..core.hints import Hint
from ..core.model import RECALL_KEY, AccessKey, Credentials, Identity, LastUse, Look
from ..core.parallel import Running, side_by_side
from ..core.policy import mask
from .calls import (
    Answer,
    Calls,
    CredentialChain,
    SignedCall,
    all_pages,
    read_created,
    read_identity,
    read_keys,
    read_last_use,
    read_nothing,
    read_owners,
    read_tags,
    signed,
)
from .client import Aws
from .connections import Connection
from .errors import FAILURES, FailureKind, is_certain, kind, quarantined
from .signin import SigningStrategy

T = TypeVar("T")
Named = Mapping[str, Any]  # the parameter that names the user; empty for whoever has signed

_CREATE_TIMEOUT = 15.0  # seconds
_JUST_OPEN = 4.0  # seconds; a connection that was answered so lately is as good as a fresh one


def create_key(
    call: SignedCall, named: Named, again: Callable[[], None] = lambda: None, of: str = ""
) -> tuple[Credentials, AccessKey]:
    """CreateAccessKey. It is sent again only where it was certainly not carried out (throttled, not connected). `again`
    is called before that. Raises Unanswered if one may have been created or not; `of` says whose."""
    lost = False

    def certain(error: Exception) -> bool:
        nonlocal lost
        if is_certain(error):
            again()
            return True
        lost = True
        return False

    read, wait = partial(read_created, user=named.get("UserName")), _CREATE_TIMEOUT
    try:
        return call("iam:CreateAccessKey", read, named, again=certain, idle=_JUST_OPEN, read_timeout=wait)
    except Problem as problem:
        if not lost:
            raise
        said = f"a new key{of} may have been created or not: {problem.message}"
    raise Unanswered(said, "repeat the command")


def set_key_active(call: SignedCall, named: Named, key_id: str, active: bool) -> None:
    """UpdateAccessKey. Repeating it is harmless. Raises Denied, Gone."""
    params = {"AccessKeyId": key_id, "Status": "Active" if active else "Inactive"}
    call("iam:UpdateAccessKey", read_nothing, {**named, **params})


def delete_key(call: SignedCall, named: Named, key_id: str) -> None:
    """DeleteAccessKey. A lost reply followed by NoSuchEntity means that it was carried out. Raises Denied, Gone."""
    kinds: set[FailureKind] = set()

    def always(error: Exception) -> bool:
        kinds.add(kind(error))
        return True

    try:
        call("iam:DeleteAccessKey", read_nothing, {**named, "AccessKeyId": key_id}, again=always)
    except Gone:
        if not kinds & {FailureKind.FLAKY, FailureKind.BUSY}:
            raise


class User:
    """The user's IAM calls, and by whom they are signed. `name` is None until it is known; `who` is known after the
    first look. `own` are the user's keys, and `refused` is for how many seconds one that AWS refuses is waited for."""

    def __init__(self, calls: Calls, signing: SigningStrategy, name: str | None) -> None:
        self.calls, self.signing, self.name = calls, signing, name
        self.who: Identity | None = None
        self.own = CredentialChain(())
        self.listed: set[str] = set()  # whose keys the list was of, where no name was given
        self.refused = 0.0

    @property
    def signers(self) -> CredentialChain:
        """Who signs now."""
        return self.signing.signers(self.own, self.who)

    @property
    def named(self) -> Named:
        """The parameter that names the user; without it IAM means whoever has signed."""
        return {"UserName": self.name} if self.name else {}

    def call(self, action: str, read: Callable[[Answer], T], params: Named, **settings: Any) -> T:
        """A SignedCall by whoever signs for this user."""
        return self.signed(lambda signers: self.call_by(signers, action, read, params, **settings))

    def call_by(
        self,
        signers: CredentialChain,
        action: str,
        read: Callable[[Answer], T],
        params: Named,
        *,
        refused: float | None = None,
        **settings: Any,
    ) -> T:
        """The same by these; `refused` instead of the usual patience."""
        if refused is None:
            refused = self.refused if signers.pairs[0] in self.own.pairs else self.signing.patience(self.refused)
        return self.calls.call(action, signers, read, params, refused=refused, **settings)

    def signed(self, send: Callable[[CredentialChain], T]) -> T:
        """Send a call, signed by whoever signs for this user; after a no perhaps by somebody else."""
        return signed(lambda: self.signers, send, self.another)

    def another(self, problem: Denied | KeyRefused, signed: CredentialChain) -> None:
        """AWS said no to `signed`: gives back if somebody else signs from now on, else raises."""
        if self.who is None:
            raise problem
        self.signing.another(problem, signed, self.own, self.who, self.calls, self.refused)

    def keys(self, signers: CredentialChain, refused: float | None = None) -> tuple[AccessKey, ...]:
        """ListAccessKeys, all pages."""
        call = partial(self.call_by, signers, refused=refused)
        return tuple(all_pages(call, "iam:ListAccessKeys", self._page, self.named, "Marker"))

    def _page(self, answer: Answer) -> tuple[list[AccessKey], str | None]:
        self.listed |= read_owners(answer)
        return read_keys(answer, self.name, self.calls.now())

    def tags(self, signers: CredentialChain, refused: float = 0.0) -> dict[str, str] | None:
        """GetUser; None if it is denied."""
        try:
            return self.calls.call("iam:GetUser", signers, read_tags, self.named, refused=refused)
        except Denied:
            return None

    def last_use(self, signers: CredentialChain, key_id: str) -> LastUse | None:
        """GetAccessKeyLastUsed. Not worth waiting for: one more attempt, then it is unknown."""
        errors: list[Exception] = []

        def once_more(error: Exception) -> bool:
            errors.append(error)
            return len(errors) == 1

        try:
            return self.calls.call(
                "iam:GetAccessKeyLastUsed", signers, read_last_use, {"AccessKeyId": key_id}, again=once_more
            )
        except Problem:
            return None


_ACTION = "sts:GetCallerIdentity"


@dataclass(frozen=True, slots=True)
class Proof:
    """That AWS knows a new pair. `timeout` and `interval` in seconds, by the clock of `calls`."""

    calls: Calls
    pair: Credentials
    timeout: float
    interval: float

    def by(self, times: int) -> Identity:
        """See the port: `times` sign-ins in a row. Whatever passes by itself is a no, and begins the row again."""
        deadline = self.calls.retry.monotonic() + self.timeout
        with ExitStack() as held:
            pool = self.calls.transport.pool("sts")
            connections = [held.enter_context(pool.borrow()) for _ in range(times)]
            turn = 0
            while True:
                try:
                    return self._same(self._row(connections[turn:] + connections[:turn]))
                except FAILURES as error:
                    failure = error
                pause = self.calls.retry.poll()
                if kind(failure) is FailureKind.FINAL or self.calls.retry.monotonic() + pause > deadline:
                    break
                self.calls.retry.sleep(pause)
                turn = (turn + 1) % times
        raise self._ended(failure)

    def _row(self, connections: list[Connection]) -> list[Identity]:
        """One row. The next sign-in does not wait for the one before to end, but is not begun after a no."""
        if not self.interval:  # the whole row costs one round trip, and all of it ends before a no is told
            return side_by_side([partial(self._sign_in, each) for each in connections], len(connections))
        began = self.calls.retry.monotonic()
        first = self._sign_in(connections[0])
        running: list[Running[Identity]] = []
        for number, connection in enumerate(connections[1:], start=1):
            wait = began + number * self.interval - self.calls.retry.monotonic()
            if wait > 0:
                self.calls.retry.sleep(wait)
            if any(sign_in.failed for sign_in in running):
                break
            running.append(Running(partial(self._sign_in, connection)))
        return [first, *(sign_in.result() for sign_in in running)]

    def _sign_in(self, connection: Connection) -> Identity:
        return self.calls.send(_ACTION, self.pair, connection, read_identity, {})

    def _same(self, answers: list[Identity]) -> Identity:
        if any(answer != answers[0] for answer in answers):
            raise OtherIdentity(
                f"AWS says that key {mask(self.pair.key_id)} is {answers[0].arn}, and then that it is somebody else",
                Hint("doctor", lead="check the endpoint and the proxy with"),
            )
        return answers[0]

    def _ended(self, failure: Exception) -> Problem:
        problem = self.calls.explain(failure, _ACTION, self.pair)
        if not isinstance(problem, KeyRefused) or problem.wrong_secret:
            return problem
        return TryLater(
            f"AWS does not accept key {mask(self.pair.key_id)} yet, after {round(self.timeout)} s",
            "nothing is lost; repeat the command in a few minutes (propagation_timeout says how long it waits)",
        )


# What a rotation changes at AWS.
CHANGES = ("iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey")
_TAGGING = ("iam:TagUser", "iam:UntagUser")


@dataclass(frozen=True, slots=True)
class Rights:
    """`denied` are actions that no sign-in makes possible, `with_mfa` those that MFA does. `known` is False where AWS
    does not tell. `quarantined` is None where that is not known. By `tagging` the user may change what IT says in
    their tags."""

    denied: tuple[str, ...] = ()
    with_mfa: tuple[str, ...] = ()
    known: bool = False
    quarantined: bool | None = None
    tagging: tuple[str, ...] = ()


def is_quarantined(calls: Calls, signers: CredentialChain, named: Named) -> bool | None:
    """Whether AWS has found a key of this user in public; None if it does not tell."""

    def found(answer: Answer) -> bool:
        names = (policy["PolicyName"] for policy in answer["AttachedPolicies"])
        return any(name.startswith("AWSCompromisedKeyQuarantine") for name in names)

    try:
        return calls.call("iam:ListAttachedUserPolicies", signers, found, named)
    except Problem:
        return None


def _simulated(
    calls: Calls, signers: CredentialChain, arn: str, actions: tuple[str, ...], *, mfa: bool
) -> tuple[str, ...] | None:
    """Which of these actions on the user's own keys are not allowed; None if AWS does not tell."""
    present = str(mfa).lower()
    entries = [
        {"ContextKeyName": "aws:MultiFactorAuthPresent", "ContextKeyValues": [present], "ContextKeyType": "boolean"},
        {"ContextKeyName": "aws:TagKeys", "ContextKeyValues": [RECALL_KEY], "ContextKeyType": "stringList"},
    ]
    params = {"PolicySourceArn": arn, "ActionNames": list(actions), "ResourceArns": [arn], "ContextEntries": entries}

    def denied(answer: Answer) -> tuple[str, ...]:
        results = answer["EvaluationResults"]
        return tuple(result["EvalActionName"] for result in results if result["EvalDecision"] != "allowed")

    try:
        return calls.call("iam:SimulatePrincipalPolicy", signers, denied, params)
    except Problem:
        return None


_FLAP = 15.0  # seconds for which IAM may refuse a pair that STS has just accepted


class _LookCalls:
    """The calls of one look that are on their way, and who signed them; the list only if it is not there yet."""

    def __init__(
        self, user: User, signers: CredentialChain, pair: Credentials, listed: tuple[AccessKey, ...] | None = None
    ) -> None:
        self.user, self.signers = user, signers
        self.keys = Running(partial(user.keys, signers) if listed is None else lambda: listed)
        self.tags = Running(partial(user.tags, signers))
        self.used = Running(partial(user.last_use, signers, pair.key_id))


class IamAccount:
    """See the port. `profile` gives region and endpoints; `signing` decides who signs the IAM calls; `user` names the
    user whose keys it is about, and `partition` where they are, if that is known before the first look."""

    def __init__(
        self,
        aws: Aws,
        profile: str | None = None,
        *,
        propagation_timeout: timedelta = timedelta(minutes=2),
        proof_interval: timedelta = timedelta(seconds=1),
        signing: SigningStrategy | None = None,
        user: str | None = None,
        partition: str = "",
    ) -> None:
        self._aws = aws
        self._transport = aws.transport(profile).within(partition)
        self._calls = Calls(self._transport)
        self._timeout = propagation_timeout.total_seconds()
        self._interval = proof_interval.total_seconds()
        self._signing = signing or SigningStrategy()
        self._user = User(self._calls, self._signing, user)

    @property
    def endpoint(self) -> str:
        """Which AWS this is: the partition, or the URLs of endpoints that are not AWS's own."""
        return self._transport.endpoint

    @property
    def foreign_endpoints(self) -> tuple[str, ...]:
        """The endpoints in use that are not AWS's own, to be named in the question."""
        return self._transport.foreign

    def now(self) -> datetime:
        """AWS's clock."""
        return self._aws.clock.now()

    @property
    def clock_offset(self) -> timedelta:
        """AWS's clock minus ours, as of the last answer."""
        return self._aws.clock.offset

    def rights(self, arn: str) -> Rights:
        """What looking alone tells of the rights of the user looked at, whose ARN this is; for `doctor`. Never raises
        but Interrupted: what AWS does not tell is unknown."""
        calls, signers = self._calls, self._user.signers
        quarantined = is_quarantined(calls, signers, self._user.named)
        found = _simulated(calls, signers, arn, (*CHANGES, *_TAGGING), mfa=False)
        if found is None:
            return Rights(quarantined=quarantined)
        tagging = tuple(action for action in _TAGGING if action not in found)
        refused = tuple(action for action in found if action in CHANGES)
        still = _simulated(calls, signers, arn, refused, mfa=True) if refused else ()
        never = refused if still is None else still
        with_mfa = tuple(action for action in refused if action not in never)
        return Rights(never, with_mfa, True, quarantined, tagging)

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
            pause = self._calls.retry.poll()
            if all(refusal.wrong_secret for refusal in refusals) or self._aws.monotonic() + pause > deadline:
                raise refusals[0]
            self._aws.sleep(pause)

    def _look_as(self, pair: Credentials) -> Look:
        """All calls at once, if it is known who signs. The iam client is made while the first is on its way: beside
        another client's making it would take longer, not shorter (the GIL)."""
        own = CredentialChain((pair,))
        self._transport.client("sts")
        whose = Running(partial(self._signing.whose, pair, self._calls))
        self._transport.client("iam")
        plain = not self._signing.profile and self._signing.signers(own, self._user.who) is own
        if plain and not pair.token:  # IAM itself says whose key has signed
            asked = _LookCalls(User(self._calls, self._signing, None), own, pair)
            identity, refused = whose.result()
        else:
            identity, refused = whose.result()
            named = User(self._calls, self._signing, identity.user)
            asked = _LookCalls(named, self._signing.signers(own, identity), pair)
        if not identity.is_user:
            asked.used.result()
            return Look(pair, identity, (), None, None, self.now())
        self._transport.check_partition(identity)
        self._user.name, self._user.who = identity.user, identity
        self._user.own, self._user.refused = own, 0.0
        return self._seen(pair, identity, refused, asked)

    def _seen(self, pair: Credentials, identity: Identity, refused: KeyRefused | None, asked: _LookCalls) -> Look:
        """The look, once it is known who this is. A no to the list is answered here: patience, MFA, another try."""
        user, listed = self._user, self._listed(asked)
        signers = user.signers
        if signers.pairs != asked.signers.pairs:  # somebody who may say more signs now
            asked = _LookCalls(user, signers, pair, listed)
        try:
            tags = asked.tags.result()
        except KeyRefused:  # as in _listed
            tags = user.tags(signers, _FLAP)
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

    def _listed(self, asked: _LookCalls) -> tuple[AccessKey, ...]:
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
        return self._user.signed(partial(self._user.keys, refused=_FLAP))

    def identify(self, pair: Credentials) -> Identity:
        """GetCallerIdentity, once. Raises KeyRefused at once if AWS does not accept the pair."""
        return self._calls.call("sts:GetCallerIdentity", CredentialChain((pair,)), read_identity, {})

    def tags(self, pair: Credentials) -> dict[str, str]:
        """The tags of the pair's own user: GetUser, signed by the pair itself and sent once. Raises Problem."""
        return self._calls.call("iam:GetUser", CredentialChain((pair,)), read_tags, {}, again=lambda error: False)

    def keys(self) -> tuple[AccessKey, ...]:
        return self._user.signed(self._user.keys)

    def last_use(self, key_id: str) -> LastUse | None:
        return self._user.last_use(self._user.signers, key_id)

    # Signing in

    def sign_with(self, pairs: Sequence[Credentials]) -> None:
        """See the port. From now on a refusal is waited out for the propagation time."""
        self._user.own, self._user.refused = CredentialChain(tuple(pairs)), self._timeout

    def prove(self, pair: Credentials, times: int) -> Identity:
        return Proof(self._calls, pair, self._timeout, self._interval).by(times)

    # Changing

    def create(self, again: Callable[[], None] = lambda: None) -> tuple[Credentials, AccessKey]:
        sent: list[CredentialChain] = []

        def send(signers: CredentialChain, *call: Any, **settings: Any) -> Any:
            if sent:  # a person may have taken minutes over an MFA code
                again()
            sent.append(signers)
            try:
                return self._user.call_by(signers, *call, **settings)
            except Denied as problem:  # AWS does not always name the policy that denies; the user's list may
                if problem.explicit and is_quarantined(self._calls, signers, self._user.named):
                    raise quarantined(problem.action) from None
                raise

        def call(*call: Any, **settings: Any) -> Any:
            return self._user.signed(lambda signers: send(signers, *call, **settings))

        made = create_key(call, self._user.named, again)
        self._user.refused = self._timeout
        return made

    def set_active(self, key_id: str, active: bool) -> None:
        set_key_active(self._user.call, self._user.named, key_id, active)

    def delete(self, key_id: str) -> None:
        delete_key(self._user.call, self._user.named, key_id)
