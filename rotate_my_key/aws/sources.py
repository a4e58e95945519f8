"""Who signs the fleet's calls: the caller, perhaps with an MFA session, and the roles he assumes in other accounts.

Credentials are made when first needed and renewed before they end; they live in memory only. An account that cannot be
entered says so with its own first call, and holds up no other.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import RLock

from ..errors import Denied, KeyRefused
from ..model import Credentials, Identity
from . import answers
from .account_calls import AccountCalls
from .auth import AuthProfile
from .calls import Calls, Signers
from .mfa import MfaSessions, Serials

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
