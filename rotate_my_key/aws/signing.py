"""Who signs the IAM calls for one user: the auth profile, else the MFA session, else the user's own keys.

What is asked about a pair itself (GetCallerIdentity, the proofs) is always signed by that pair; nothing here decides
about it. A session is opened only after AWS has said no to the plain call.
"""

from __future__ import annotations

from typing import Protocol

from ..errors import Denied, Gone, KeyRefused, NeedsPerson, Problem, mask
from ..model import Credentials, Identity
from . import answers
from .auth import AuthProfile
from .calls import Calls, Signers
from .link import Read
from .mfa import MfaSessions, Serials, even_with_mfa

_WHO = "sts:GetCallerIdentity"
_FLAP = 3.0  # seconds; temporary credentials are known everywhere at once, as their token says who they are


class Signing(Protocol):
    """A strategy. `profile` is the auth profile's name, if one signs."""

    profile: str | None

    def whose(self, pair: Credentials, calls: Calls) -> tuple[Identity, KeyRefused | None]:
        """The user whose pair it is; and AWS's refusal, if the pair itself does not work but its user is certain.

        Raises KeyRefused, Problem.
        """

    def signers(self, own: Signers, user: Identity | None) -> Signers:
        """Who signs for this user now. `own` are the user's keys; if they sign, they are given as they are."""

    def patience(self, refused: float) -> float:
        """For how many seconds to wait if AWS refuses a signer that is none of the user's keys; those get `refused`."""

    def another(
        self, problem: Denied | KeyRefused, signed: Signers, own: Signers, user: Identity, calls: Calls, refused: float
    ) -> None:
        """AWS said no to a call that `signed` signed. Gives back if `signers` are others now, who may be tried.

        Raises `problem`, or what a person must do about it. `refused`: see Calls.call.
        """


class OwnKeys:
    """The user's keys, and an MFA session of his once a policy demands it. Without `sessions` no MFA."""

    profile: str | None = None

    def __init__(self, sessions: MfaSessions | None = None, serials: Serials = tuple) -> None:
        self._sessions = sessions
        self._serials = serials

    def whose(self, pair: Credentials, calls: Calls) -> tuple[Identity, KeyRefused | None]:
        """See Signing."""
        return calls.call(_WHO, Signers([pair]), answers.identity, {}), None

    def signers(self, own: Signers, user: Identity | None) -> Signers:
        """See Signing."""
        session = self._sessions.of(user) if self._sessions and user else None
        return Signers([session]) if session else own

    def patience(self, refused: float) -> float:
        """See Signing."""
        return min(refused, _FLAP)

    def another(
        self, problem: Denied | KeyRefused, signed: Signers, own: Signers, user: Identity, calls: Calls, refused: float
    ) -> None:
        """See Signing."""
        session = signed.pairs[0] if signed.pairs[0] not in own.pairs else None
        if self._sessions is None:
            raise problem
        if isinstance(problem, KeyRefused):
            if session is None:
                raise problem
        elif session is not None:
            raise even_with_mfa(problem)
        elif not self._sessions.may_help(problem, user, self._serials):
            raise problem
        self._sessions.open(user, own, calls, self._serials, refused, session)


class ByProfile:
    """Another profile's credentials, for the pair's own user, who is named. `own` takes over where that profile holds
    the very pair that it is about."""

    def __init__(self, auth: AuthProfile, own: OwnKeys) -> None:
        self.profile: str | None = auth.name
        self._auth = auth
        self._own = own

    def whose(self, pair: Credentials, calls: Calls) -> tuple[Identity, KeyRefused | None]:
        """See Signing. Raises Problem if the accounts differ."""
        if self._auth.credentials().key_id == pair.key_id:
            self.profile = None
            return self._own.whose(pair, calls)
        signer = self._auth.identity(calls)
        try:
            identity, _ = self._own.whose(pair, calls)
        except KeyRefused as refused:
            return self._owner(pair, refused, signer, calls), refused
        if identity.account != signer.account:
            raise Problem(
                f"profile {self._auth.name} signs in to account {signer.account}, and key {mask(pair.key_id)} is "
                f"{identity.user}'s in account {identity.account}",
                "name a profile of that account with --auth-profile, or none: --auth-profile ''",
            )
        return identity, None

    def _owner(self, pair: Credentials, refused: KeyRefused, signer: Identity, calls: Calls) -> Identity:
        """Whose a key is that does not work: IAM knows it by its id, in the auth profile's own account only."""
        name = self._asked(pair, calls, "iam:GetAccessKeyLastUsed", answers.owner, {"AccessKeyId": pair.key_id})
        if not name:
            raise KeyRefused(
                f"key {mask(pair.key_id)} does not work, and account {signer.account} (profile {self._auth.name}) has "
                "no user with such a key",
                "ask IT for a new key, and put it in place with: rotate-my-key adopt",
                wrong_secret=refused.wrong_secret,
            )
        return Identity(signer.account, self._asked(pair, calls, "iam:GetUser", answers.user_arn, {"UserName": name}))

    def _asked(self, pair: Credentials, calls: Calls, action: str, read: Read[str], params: dict[str, str]) -> str:
        try:
            return calls.call(action, self._signers(), read, params)
        except Gone:
            return ""
        except Denied as denied:
            raise _not_certain(pair, f"profile {self._auth.name} is not allowed to call {denied.action}") from None

    def signers(self, own: Signers, user: Identity | None) -> Signers:
        """See Signing."""
        return self._signers() if self.profile else self._own.signers(own, user)

    def patience(self, refused: float) -> float:
        """See Signing. A key that has just taken the place of another is young."""
        return refused if self._auth.replaced else min(refused, _FLAP)

    def _signers(self) -> Signers:
        return Signers([self._auth.credentials()])

    def another(
        self, problem: Denied | KeyRefused, signed: Signers, own: Signers, user: Identity, calls: Calls, refused: float
    ) -> None:
        """See Signing. A static key that another run has just replaced is read again; a denial is final."""
        if not self.profile:
            return self._own.another(problem, signed, own, user, calls, refused)
        if isinstance(problem, KeyRefused):
            return self._auth.replace(signed.pairs[0])
        raise Denied(
            f"profile {self._auth.name}: {problem.message}",
            f"ask IT to let profile {self._auth.name} manage the access keys of {user.user}",
            action=problem.action,
            explicit=problem.explicit,
            quarantined=problem.quarantined,
        )


def _not_certain(pair: Credentials, why: str) -> Problem:
    return NeedsPerson(
        f"key {mask(pair.key_id)} does not work, and whose it is cannot be known for certain: {why}",
        "name a profile with more rights: rotate-my-key rotate --auth-profile NAME",
    )
