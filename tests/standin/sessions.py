"""MFA devices and temporary credentials: who may sign with a session token, and with which code one is made.

Pure. The facts are those of the STS API reference (GetSessionToken, AssumeRole): a code is good for one use, a session
lives on after the key that made it, and one that was made without MFA may not call IAM.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from moto.iam.models import User as MotoUser

from rotate_my_key.core.model import Credentials

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(slots=True)
class Device:
    """An MFA device of a user. One that shows codes moves on to the next when `tick` is called, not by the clock.

    A security key or passkey (`shows_codes` is False) is listed like the others, and no code is ever right for it.
    """

    serial: str
    enabled: datetime
    shows_codes: bool = True
    _seed: bytes = field(default_factory=lambda: secrets.token_bytes(20), repr=False)
    _step: int = 1
    _used: int = 0

    @property
    def code(self) -> str:
        """What the device shows at the moment."""
        return self._code(self._step)

    def tick(self) -> str:
        """Half a minute passes: the next code."""
        self._step += 1
        return self.code

    def accepts(self, code: str) -> bool:
        """Whether the code is the current one or the one before, and was not used yet; then it is used."""
        for step in (self._step, self._step - 1):
            if self.shows_codes and step > self._used and hmac.compare_digest(code, self._code(step)):
                self._used = step
                return True
        return False

    def _code(self, step: int) -> str:
        digest = hmac.digest(self._seed, step.to_bytes(8, "big"), hashlib.sha1)
        return f"{int.from_bytes(digest[-4:], 'big') % 1_000_000:06d}"


@dataclass(slots=True)
class Role:
    """A role that may be assumed from some accounts or by some users or roles; with a code only if it demands MFA.

    `trusts` has account numbers and ARNs; `external_id` must be given if there is one.
    """

    name: str
    arn: str
    demands_mfa: bool
    trusts: tuple[str, ...] = ()
    external_id: str = ""
    id: str = field(default_factory=lambda: "AROA" + "".join(secrets.choice(_ALPHABET) for _ in range(17)))

    @property
    def account(self) -> str:
        """The number of its account."""
        return self.arn.split(":")[4]

    def trusts_in(self, arn: str, external_id: str) -> bool:
        """Whether a caller with this ARN (a session's: of its role) and this external id may come in."""
        return bool({arn, arn.split(":")[4]} & set(self.trusts)) and self.external_id in ("", external_id)


@dataclass(slots=True)
class Session:
    """Temporary credentials: a user's own (`role` is None) or a role's."""

    pair: Credentials
    user: MotoUser | None
    role: Role | None
    arn: str
    mfa: bool
    since: datetime
    until: datetime

    def may_call(self, service: str) -> bool:
        """A user's session may call IAM only if it was made with MFA."""
        return service != "iam" or self.mfa or self.role is not None


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a call. `key_id` is a long-term key's, None for a session, which began at `since`; `user` is None for
    root and for roles."""

    pair: Credentials
    user: MotoUser | None
    arn: str
    key_id: str | None = None
    mfa: bool = False
    role: Role | None = None
    since: datetime | None = None

    @property
    def is_root(self) -> bool:
        """Whether no policy binds it."""
        return self.user is None and self.role is None

    @property
    def user_id(self) -> str:
        """The unique id of a user, or of a role with the session's name behind it; "" for root."""
        if self.role:
            return f"{self.role.id}:{self.arn.rpartition('/')[2]}"
        return str(self.user.id) if self.user else ""

    @property
    def principal(self) -> str:
        """The ARN of the user or role to which policies are attached."""
        return self.role.arn if self.role else self.arn


def temporary_pair() -> Credentials:
    """A new key id of the kind ASIA with secret and token."""
    key_id = "ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16))
    return Credentials(key_id, secrets.token_urlsafe(30), "FwoGZXIvYXdz" + secrets.token_urlsafe(150))
