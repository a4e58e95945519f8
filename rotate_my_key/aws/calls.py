"""Sends one API call: picks who signs, retries, reads the answer, and turns errors into Problems.

- `read_...` make values of AWS's answers. One that lacks something, or holds what AWS would not say, raises KeyError,
  ValueError, or whatever comes of it.
- `RetryPolicy` alone tries a call again; botocore's own retries are off. botocore would send CreateAccessKey twice,
  and does not know InvalidClientTokenId of a key that is not known everywhere yet. What passes by itself is waited
  for: no network for a short time (a laptop that wakes up; but "offline" must be said soon), lost and broken answers
  for longer, throttling longest. Delays grow and are scattered.
- `RateLimiter` is shared by all threads of one account. Calls go out as they come until AWS throttles one; then they
  keep a distance that doubles with each throttling and shrinks with each answer."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Protocol, TypeVar

from botocore import xform_name

from ..core.errors import Denied, KeyRefused, Problem, TryLater
from ..core.model import AccessKey, Credentials, Identity, LastUse
from .client import LONG, RequestContext, Transport, calling
from .connections import Connection
from .errors import FAILURES, FailedRequest, FailureKind, NotAws, is_refusal, kind, translate

Answer = Mapping[str, Any]
T = TypeVar("T")
Read = Callable[[Answer], T]

_ARN = re.compile(r"arn:aws[\w-]*:(iam|sts)::\d{12}:[!-~]+")
_KEY_ID = re.compile(r"AKIA[A-Z0-9]{12,124}")  # IAM User Guide, "IAM identifiers": other letters are other things
_KEY_IDS = re.compile(r"\w{16,128}")  # IAM API reference, `accessKeyIdType`
_DAY = timedelta(days=1)


def read_identity(answer: Answer) -> Identity:
    """GetCallerIdentity."""
    arn = _matching(_ARN, answer["Arn"])
    if arn.split(":")[4] != answer["Account"]:
        raise ValueError(arn)
    return Identity(answer["Account"], arn)


def read_keys(answer: Answer, user: str | None, now: datetime) -> tuple[list[AccessKey], str | None]:
    """ListAccessKeys of a user (None: not known yet): the keys of one page, and the marker of the next if there is one.
    Keys of two users, a key that is made only after `now` (AWS's time), or one key twice are no such list."""
    entries = answer["AccessKeyMetadata"]
    keys = [_key(entry) for entry in entries]
    users = read_owners(answer) | ({user} if user else set())
    if len(users) > 1 or len({key.key_id for key in keys}) < len(keys):
        raise ValueError(users)
    if any(key.created > now + _DAY for key in keys):
        raise ValueError(now)
    return keys, answer["Marker"] if answer.get("IsTruncated") else None


def read_owners(answer: Answer) -> set[str]:
    """ListAccessKeys: the users whose keys are on the page; one at most. Root's keys are nobody's."""
    return {entry["UserName"] for entry in answer["AccessKeyMetadata"] if "UserName" in entry}


def read_tags(answer: Answer) -> dict[str, str]:
    """GetUser."""
    return {tag["Key"]: tag["Value"] for tag in answer["User"].get("Tags", ())}


def read_last_use(answer: Answer) -> LastUse:
    """GetAccessKeyLastUsed. Without a date it says N/A for service and region: never, or not known yet."""
    used = answer["AccessKeyLastUsed"]
    at = used.get("LastUsedDate")
    return LastUse(in_utc(at), used["ServiceName"], used["Region"]) if at else LastUse(None)


def read_created(answer: Answer, user: str | None) -> tuple[Credentials, AccessKey]:
    """CreateAccessKey: the only time that AWS tells the secret, which may look like anything. Without a key of this
    user with a secret it is no answer."""
    made = answer["AccessKey"]
    if made["UserName"] != (user or made["UserName"]):
        raise ValueError(user)
    return Credentials(_matching(_KEY_ID, made["AccessKeyId"]), _text(made["SecretAccessKey"])), _key(made)


def read_session(answer: Answer) -> Credentials:
    """GetSessionToken."""
    made = answer["Credentials"]
    key_id = _matching(_KEY_IDS, made["AccessKeyId"])
    return Credentials(key_id, _text(made["SecretAccessKey"]), _text(made["SessionToken"]))


def read_owner(answer: Answer) -> str:
    """GetAccessKeyLastUsed: the name of the user whose key it is; "" if it is no user's (root's)."""
    return answer.get("UserName") or ""


def read_user_arn(answer: Answer) -> str:
    """GetUser."""
    return _matching(_ARN, answer["User"]["Arn"])


def read_nothing(answer: Answer) -> None:
    """An answer that only says yes."""


def _key(entry: Answer) -> AccessKey:
    return AccessKey(_matching(_KEY_IDS, entry["AccessKeyId"]), _text(entry["Status"]), in_utc(entry["CreateDate"]))


def _matching(form: re.Pattern[str], value: str) -> str:
    if not form.fullmatch(value):
        raise ValueError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def in_utc(at: datetime) -> datetime:
    """AWS's services began in 2006; a date outside of what this program can see is none."""
    at = at.astimezone(UTC)
    if not 2006 <= at.year < 2200:
        raise ValueError(at)
    return at


_FIRST, _LONGEST = 0.05, 2.0  # seconds between two calls
_SHRINK = 0.9  # an answer brings the calls so much closer
_AT_ONCE = 0.01  # below this they go out as they come


class RateLimiter:
    """`sleep` and `monotonic` (seconds) are handed in. Safe to share between threads: that is what it is for."""

    def __init__(self, sleep: Callable[[float], None], monotonic: Callable[[], float]) -> None:
        self._sleep, self._monotonic = sleep, monotonic
        self._lock = Lock()
        self._distance = 0.0
        self._next = float("-inf")
        self._since = float("-inf")

    @property
    def distance(self) -> float:
        """Seconds between two calls now; 0 for none."""
        return self._distance

    def wait(self) -> None:
        """Take a turn, and wait until it comes."""
        with self._lock:
            now = self._monotonic()
            turn = max(now, self._next)
            self._next = turn + self._distance
        if turn > now:
            self._sleep(turn - now)

    def throttled(self) -> None:
        """AWS said that it is too much: twice the distance. Calls that were out together count as one sign."""
        with self._lock:
            now = self._monotonic()
            if now - self._since >= self._distance:
                self._since = now
                self._distance = min(max(2 * self._distance, _FIRST), _LONGEST)
                self._next = max(self._next, now + self._distance)

    def answered(self) -> None:
        """AWS answered: a little closer."""
        with self._lock:
            distance = self._distance * _SHRINK
            self._distance = distance if distance >= _AT_ONCE else 0.0


# No further attempt begins after so many seconds since the first failure of that kind.
BUDGETS = {FailureKind.OFFLINE: 2.5, FailureKind.FLAKY: 12.0, FailureKind.BUSY: 20.0}
_FIRST_DELAY = {FailureKind.OFFLINE: 0.2, FailureKind.FLAKY: 0.05, FailureKind.BUSY: 0.4}
_LONGEST_DELAY = 4.0
_LONG = 2.0  # seconds of throttling that a person is told of

Wanted = Callable[[Exception], bool]


class RetryPolicy:
    """How long to wait for what. `sleep` and `monotonic` (seconds) are handed in. Safe to share between threads.
    `budgets` are for each kind in seconds; with a `limiter` the calls keep their distance once AWS throttles; `busy` is
    called while that takes longer than a person expects."""

    def __init__(
        self,
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
        budgets: Mapping[FailureKind, float] = BUDGETS,
        limiter: RateLimiter | None = None,
        busy: Callable[[], None] = lambda: None,
    ) -> None:
        self.sleep, self.monotonic, self._busy = sleep, monotonic, busy
        self._budgets, self._limiter = budgets, limiter

    def run(self, send: Callable[[], T], *, refused: float = 0.0, again: Wanted) -> T:
        """Give what `send` gives at last, or raise its last error as it is. `refused`: for how many seconds to wait for
        a key that AWS does not know. `again`: which errors may be tried again at all; it is asked about every error."""
        began: dict[FailureKind, float] = {}
        tries = 0
        while True:
            if self._limiter:
                self._limiter.wait()
            started = self.monotonic()
            try:
                answer = send()
            except Exception as error:
                what = kind(error)
                if self._limiter and what is FailureKind.BUSY:
                    self._limiter.throttled()
                if not again(error) or what is FailureKind.FINAL:
                    raise
                budget = refused if what is FailureKind.REFUSED else self._budgets[what]
                pause = self.poll() if what is FailureKind.REFUSED else _delay(what, tries)
                took = self.monotonic() - began.setdefault(what, started)
                if took + pause > budget:
                    raise
                if what is FailureKind.BUSY and took + pause > _LONG:
                    self._busy()
            else:
                if self._limiter:
                    self._limiter.answered()
                return answer
            tries += 1
            self.sleep(pause)

    def poll(self) -> float:
        """Seconds between two questions whether AWS knows a new key: 0.5 to 1, scattered over many computers."""
        return random.uniform(0.5, 1.0)  # noqa: S311


def _delay(what: FailureKind, tries: int) -> float:
    longest: float = min(_FIRST_DELAY[what] * 2 ** min(tries, 10), _LONGEST_DELAY)
    return random.uniform(longest / 2, longest)  # noqa: S311


_PAGES = 10_000  # of one list
Explain = Callable[[Exception, FailedRequest], Problem]


def always(error: Exception) -> bool:
    """Any error may be tried again (if it is of a kind that passes at all)."""
    return True


@dataclass(eq=False, slots=True)
class CredentialChain:
    """The pairs that may sign, the one to be tried first in front: AWS's last yes decides."""

    pairs: tuple[Credentials, ...]

    def first_accepted(self, send: Callable[[Credentials], T]) -> T:
        """What `send` gives with the first pair that AWS accepts. Next time that one is tried first, so that a dead one
        costs one call and not one each time. Raises what the last said if AWS accepts none."""
        *others, last = self.pairs
        for pair in others:
            try:
                answer = send(pair)
            except FAILURES as error:
                if not is_refusal(error):
                    raise
            else:
                break
        else:
            pair, answer = last, send(last)
        if self.pairs[0] is not pair:
            self.pairs = (pair, *(other for other in self.pairs if other is not pair))
        return answer


class Calls:
    """Calls over one transport, with retries; `explain` makes a Problem of a failure. Safe to share between threads."""

    def __init__(self, transport: Transport, retry: RetryPolicy | None = None, explain: Explain = translate) -> None:
        self.transport = transport
        self.retry = retry or RetryPolicy(transport.aws.sleep, transport.aws.monotonic, busy=transport.aws.busy)
        self.now = transport.aws.clock.now
        self._explain = explain

    def call(
        self,
        action: str,
        signers: CredentialChain,
        read: Read[T],
        params: Mapping[str, Any],
        *,
        refused: float = 0.0,
        again: Wanted = always,
        idle: float = float("inf"),
        read_timeout: float | None = None,
    ) -> T:
        """Call "iam:ListAccessKeys" or the like and give what `read` makes of the answer. `refused`, `again`: see
        RetryPolicy.run. `idle`: take a connection that was answered within so many seconds, or open one. Raises
        Problem; its `__cause__` and `__context__` are empty, as botocore's errors may quote secrets."""
        last, tries = signers.pairs[0], 0

        def send(pair: Credentials) -> T:
            nonlocal last, tries
            last, tries = pair, tries + 1
            with self.transport.pool(action.split(":")[0]).borrow(idle) as connection:
                return self.send(action, pair, connection, read, params, read_timeout, tries)

        try:
            return self.retry.run(lambda: signers.first_accepted(send), refused=refused, again=again)
        except FAILURES as error:
            failure = error
        raise self.explain(failure, action, last)

    def send(
        self,
        action: str,
        pair: Credentials,
        connection: Connection,
        read: Read[T],
        params: Mapping[str, Any],
        read_timeout: float | None = None,
        tries: int = 1,
    ) -> T:
        """Send a call once, on this connection, and give what `read` makes of the answer. Raises one of FAILURES; the
        timeout is in seconds; with this the call was sent `tries` times. The answer may say anything: whatever botocore
        or `read` make of it, it ends as NotAws."""
        service, name = action.split(":")
        client = self.transport.client(service)
        protocol, clock = str(client.meta.service_model.protocol), self.transport.aws.clock
        call = RequestContext(pair, connection, read_timeout, clock, name, protocol, LONG.get(name, 0))
        try:
            with calling(call), self.transport.logged(action, call, tries):
                return read(getattr(client, xform_name(name))(**params))
        except (*FAILURES, Problem):
            raise
        except Exception:
            if not call.status:  # nothing has come yet, so this is a fault of ours
                raise
        raise NotAws(call.status)

    def explain(self, error: Exception, action: str, pair: Credentials) -> Problem:
        """The problem to raise for a failure of such a call."""
        there = self.transport
        url, offset = there.url(action.split(":")[0]), there.aws.clock.offset
        return self._explain(error, FailedRequest(action, pair.key_id, url, there.region, offset))


S = TypeVar("S")


def signed(signer: Callable[[], S], send: Callable[[S], T], another: Callable[[Denied | KeyRefused, S], None]) -> T:
    """What `send` gives with the signer in force; after a no with another one, twice at most: the keys or a session,
    and one more session. `another` gives back if there is one, else it raises."""
    for _ in range(2):
        used = signer()
        try:
            return send(used)
        except (Denied, KeyRefused) as problem:
            another(problem, used)
    return send(signer())


class SignedCall(Protocol):
    """One call that somebody signs: `AccountCalls.call`, `iam.User.call`. See Calls.call."""

    def __call__(
        self,
        action: str,
        read: Read[T],
        params: Mapping[str, Any],
        /,
        *,
        again: Wanted = ...,
        idle: float = ...,
        read_timeout: float | None = ...,
    ) -> T:
        """Send it."""


def all_pages(
    call: SignedCall, action: str, read: Read[tuple[list[T], str | None]], params: Mapping[str, Any], marker: str
) -> Iterator[T]:
    """All entries of a list, page by page. `read` gives those of a page and the marker of the next, None at the end;
    `marker` is the parameter that takes it. A page may be empty and not the last. Raises TryLater for a list without
    an end."""
    following: Mapping[str, Any] = {}
    seen: set[str] = set()
    while True:
        entries, token = call(action, read, {**params, **following})
        yield from entries
        if not token:
            return
        if token in seen or len(seen) > _PAGES:
            raise TryLater(f"the answers to {action} have no end", "repeat the command later")
        seen.add(token)
        following = {marker: token}
