"""Who signs the IAM calls for one user: the auth profile, else an MFA session, else the user's own keys.

What is asked about a pair itself (GetCallerIdentity, the proofs) is always signed by that pair. A session is opened
only after AWS has said no to the plain call. All secrets stay in memory.

- `AuthProfile`: another profile of the same files. botocore's own providers make its credentials (SSO, `aws login`,
  assumed roles, processes, static keys) and renew them when they are about to end. The metadata service is asked only
  where the profile itself says so (`credential_source`).
- `MfaSessions`: one session a user and run, whichever profiles and notes lead to that user. A code is good for one
  use, and a session lives on after the key that made it (STS API reference, GetSessionToken). Codes come through
  `Codes`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, Protocol

import boto3
from botocore import exceptions as boto
from botocore.credentials import Credentials as BotoCredentials

from ..core.errors import CodeRefused, Denied, Gone, KeyRefused, NeedsPerson, NotAllowed, Problem
from ..core.hints import Again, Hint
from ..core.model import Credentials, Identity
from ..core.policy import mask
from .calls import Calls, CredentialChain, Read, read_identity, read_owner, read_session, read_user_arn
from .client import Aws
from .errors import (
    DENIED,
    EXPIRED,
    FAILURES,
    REFUSED,
    FailedRequest,
    NotAws,
    code_of,
    configuration,
    is_certain,
    translate,
)

# What botocore would try if nothing else answers; a profile that was named must answer for itself.
_NOBODYS = ("ec2-credentials-file", "boto-config", "container-role", "iam-role")
# Where none was named, a container's role counts: its address is in the environment (AWS_CONTAINER_CREDENTIALS_*).
_NEVER = ("ec2-credentials-file", "boto-config", "iam-role")

_WHO = "sts:GetCallerIdentity"
AskCode = Callable[[str, str], str]  # (whose, serial) -> the code


class AuthProfile:
    """Credentials of the profile `name`; `ask` gives the code for a role that demands MFA. Safe to share. "" are those
    in force: of the environment's variables or profile, else of the profile default, else of a container."""

    def __init__(self, aws: Aws, name: str, ask: AskCode) -> None:
        self.name = name
        self.words = f"profile {name}" if name else "the environment or default profile"
        self.replaced = False  # whether the profile has given other credentials since AWS refused the first
        self._aws, self._ask = aws, ask
        self._found: BotoCredentials | None = None
        self._last: Credentials | None = None
        self._who: dict[str, Identity] = {}
        self._lock = RLock()

    def credentials(self) -> Credentials:
        """The credentials in force now, renewed if need be. Raises NeedsPerson if a person must sign in again, Problem
        if the profile cannot sign anything, TryLater."""
        with self._lock:
            try:
                self._found = self._found or self._resolved()
                try:
                    frozen = self._found.get_frozen_credentials()
                except boto.RefreshWithMFAUnsupportedError:  # the role's session has ended: begin anew, with a new code
                    self._found = self._resolved()
                    frozen = self._found.get_frozen_credentials()
                self._last = Credentials(str(frozen.access_key), str(frozen.secret_key), frozen.token)
                return self._last
            except Problem:
                self._found = None
                raise
            except (*FAILURES, OSError, ValueError) as error:
                self._found, failure = None, error
        raise self._explain(failure)

    def _resolved(self) -> BotoCredentials:
        core = self._aws.sign_in_session(self.name or None)
        resolver = core.get_component("credential_provider")
        for provider in _NOBODYS if self.name else _NEVER:
            resolver.remove(provider)
        # botocore has no other way than this to ask elsewhere than on the bare terminal. Its question is `Enter MFA
        # code for SERIAL: `.
        resolver.get_provider("assume-role")._prompter = lambda prompt: self._ask(
            f"{self.words}, device", prompt.removeprefix("Enter MFA code for ").rstrip(": ")
        )
        found: Any = boto3.Session(botocore_session=core).get_credentials()
        if found is None:
            raise Problem(f"{self.words} has nothing to sign in with", f"aws configure sso{self._flag}")
        return found  # type: ignore[no-any-return]

    @property
    def _flag(self) -> str:
        return f" --profile {shlex.quote(self.name)}" if self.name else ""

    def identity(self, calls: Calls) -> Identity:
        """Who the profile is, at the endpoints of the profile that it signs for; asked once. Raises what `credentials`
        raises; NotAllowed if AWS does not accept them."""
        with self._lock:
            where = calls.transport.endpoint
            if where not in self._who:
                pair = self.credentials()
                try:
                    self._who[where] = calls.call(_WHO, CredentialChain((pair,)), read_identity, {})
                except KeyRefused:
                    raise self._refused(pair) from None
            return self._who[where]

    def replace(self, refused: Credentials) -> None:
        """AWS refused these: read the profile again. Raises NotAllowed if it still gives the same."""
        with self._lock:
            if self._last != refused:
                return
            self._found = None
            if self.credentials() == refused:
                raise self._refused(refused)
            self.replaced = True

    def _refused(self, pair: Credentials) -> Problem:
        return NotAllowed(
            f"AWS does not accept the credentials of {self.words} (key {mask(pair.key_id)})",
            f"look at it with: aws sts get-caller-identity{self._flag}",
        )

    def _explain(self, error: Exception) -> Problem:
        name, flag = self.words, self._flag
        match error:
            case boto.SSOError() | boto.TokenRetrievalError() | boto.NoAuthTokenError():
                return NeedsPerson(f"the SSO sign-in of {name} has ended", f"aws sso login{flag}")
            case boto.MissingDependencyException():
                return Problem(
                    f"{name} signs in with `aws login`, which needs a part of botocore that is not installed",
                    f"name a profile with: credential_process = aws configure export-credentials{flag}",
                )
            case boto.LoginError():
                return NeedsPerson(f"the sign-in of {name} has ended", f"aws login{flag}")
            case boto.CredentialRetrievalError() | OSError() | ValueError():
                return Problem(
                    f"the credential_process of {name} gave no credentials",
                    f"look at it with: aws sts get-caller-identity{flag}",
                )
            case boto.ProfileNotFound():
                absent = error.kwargs.get("profile", self.name)
                return Problem(f"there is no profile {absent} to sign with", "aws configure list-profiles")
            case boto.ClientError():
                return self._answered(error)
        if isinstance(error, boto.HTTPClientError | NotAws):
            return translate(error, self._sent(error))
        problem = configuration(error)
        return Problem(f"{name}: {problem.message}", problem.hint)

    def _answered(self, error: boto.ClientError) -> Problem:
        problem = translate(error, self._sent(error))
        if isinstance(problem, NeedsPerson) or code_of(error) not in DENIED | REFUSED | EXPIRED:
            return problem
        return NotAllowed(
            f"{self.words} cannot sign in: AWS answers {code_of(error)} to {error.operation_name}",
            f"look at it with: aws sts get-caller-identity{self._flag}",
        )

    def _sent(self, error: Exception) -> FailedRequest:
        url = getattr(error, "kwargs", {}).get("endpoint_url") or "AWS"
        return FailedRequest("the sign-in", self.words, str(url), None, self._aws.clock.offset)


_SECONDS = 3600  # a rotation takes minutes; 900 is the least that AWS gives
_TRIES = 3
_SERIAL = re.compile(r"[\w+=/:,.@-]{9,256}", re.ASCII)  # STS API reference, GetSessionToken
_ARN = re.compile(r"arn:[\w-]+:iam::(\d+):(\w+)/.*", re.ASCII)


class Codes(Protocol):
    """Who gives the codes: a person, or an option on the command line. Safe to use from several threads."""

    @property
    def given(self) -> bool:
        """Whether a code came with the command and was not used yet: somebody expects that MFA is wanted."""

    def code(self, whose: str, serial: str, complaint: str) -> str:
        """The six digits. `whose` is like "alice's device"; `complaint`: what was wrong with the last one. Raises
        NeedsPerson where nobody can be asked, Interrupted."""

    def choose(self, user: str, serials: Sequence[str]) -> str:
        """Which of the user's devices shall give the code. Raises NeedsPerson."""


@dataclass(frozen=True, slots=True)
class Serial:
    """The serial number of a device, an ARN for a virtual one, and where it is set: "mfa_serial of profile work"."""

    value: str
    where: str


Serials = Callable[[], Sequence[Serial]]


class MfaSessions:
    """The sessions of one run. Safe to share between threads; one code is asked for at a time."""

    def __init__(self, codes: Codes, seconds: int = _SECONDS) -> None:
        """`seconds`: how long a session lasts."""
        self._codes, self._seconds = codes, seconds
        self._sessions: dict[Identity, Credentials] = {}
        self._renewed: set[Identity] = set()
        self._lock = RLock()

    def of(self, user: Identity) -> Credentials | None:
        """The session of that user, if one was opened."""
        return self._sessions.get(user)

    @property
    def expected(self) -> bool:
        """Whether a code came with the command and was not used yet."""
        return self._codes.given

    def may_help(self, denied: Denied, user: Identity, serials: Serials) -> bool:
        """Whether this denial looks like one for want of MFA. A Deny in the user's own policy does. An action that is
        just not allowed, or that is denied to a whole company, does only where a device is set for this user or a code
        came with the command."""
        if denied.quarantined:
            return False
        return denied.mfa or self._codes.given or bool(_fitting(serials(), user))

    def open(
        self,
        user: Identity,
        own: CredentialChain,
        calls: Calls,
        serials: Serials,
        refused: float,
        bad: Credentials | None,
        *,
        denied: bool = True,
    ) -> None:
        """Make a session for the user, asking for a code; nothing is done if another thread has just made one. `own`
        signs, for `refused` see Calls.call. `bad` is the session that AWS refused: it is replaced, once. `denied`: AWS
        has said no; else a code came with the command. Raises NeedsPerson: no device, several, one that shows no codes,
        a wrong code, nobody to ask."""
        with self._lock:
            if self._sessions.get(user) not in (None, bad):
                return
            if bad is not None and user in self._renewed:
                raise NeedsPerson(f"AWS has refused two MFA sessions of {user.user}", "repeat the command later")
            device = self._device(user, own, calls, serials, denied)
            complaint = "AWS has ended the MFA session" if bad else ""
            self._sessions[user] = self._session(user, device, own, calls, refused, complaint)
            self._renewed |= {user} if bad else set()

    def _session(
        self, user: Identity, device: Serial, own: CredentialChain, calls: Calls, refused: float, complaint: str
    ) -> Credentials:
        for _ in range(_TRIES):
            code = self._codes.code(f"{user.user}'s device", device.value, complaint)
            params: dict[str, str | int] = {
                "SerialNumber": device.value,
                "TokenCode": code,
                "DurationSeconds": self._seconds,
            }
            try:
                # A code whose answer was lost may be used up, so it is not sent again.
                return calls.call("sts:GetSessionToken", own, read_session, params, refused=refused, again=is_certain)
            except CodeRefused as problem:
                if problem.device:
                    raise NeedsPerson(
                        f"AWS does not know {device.value} ({device.where}) as an MFA device of {user.user}",
                        Hint(*_SET, _example(user), lead="set the right one, as the console shows it"),
                    ) from None
                complaint = problem.message
        raise NeedsPerson(
            f"AWS did not accept {_TRIES} codes of {user.user}'s device {device.value}",
            "check the clock of the device, wait for its next code, then repeat the command",
        )

    def _device(self, user: Identity, own: CredentialChain, calls: Calls, serials: Serials, denied: bool) -> Serial:
        """The profile's or the setting's device, else what AWS lists."""
        fitting = _fitting(serials(), user)
        if not fitting:
            return self._listed(user, own, calls, denied)
        found = fitting[0]
        if not _SERIAL.fullmatch(found.value):
            raise NeedsPerson(
                f"{found.value!r} ({found.where}) is not an MFA device", "it looks like " + _example(user)
            )
        if not _shows_codes(found.value):
            raise _no_codes(user, f"the MFA device {found.value} ({found.where})")
        return found

    def _listed(self, user: Identity, own: CredentialChain, calls: Calls, denied: bool) -> Serial:
        def read(answer: Mapping[str, Any]) -> list[str]:  # a user may have eight devices, so there is one page
            return [device["SerialNumber"] for device in answer["MFADevices"]]

        try:
            listed = calls.call("iam:ListMFADevices", own, read, {"UserName": user.user})
        except Denied:
            raise NeedsPerson(
                f"AWS requires MFA for this, and you are not allowed to list the MFA devices of {user.user}",
                Hint(*_SET, _example(user), rest=" (the console shows it: security credentials)"),
            ) from None
        able = [serial for serial in listed if _shows_codes(serial)]
        if not listed:
            why = "denied by a policy, probably because MFA is missing" if denied else "a code was given"
            raise NeedsPerson(
                f"{why}, and {user.user} has no MFA device",
                Again("--auth-profile", "NAME", lead=f"register one in the console, or {_OTHER_WAY}"),
            )
        if not able:
            raise _no_codes(user, f"{user.user}'s MFA device")
        return Serial(able[0] if len(able) == 1 else self._codes.choose(user.user, able), "ListMFADevices")


def _fitting(serials: Sequence[Serial], user: Identity) -> list[Serial]:
    """Without those that belong to another account: a setting is for all profiles. (Hardware tokens have no ARN.)"""
    arns = ((serial, _ARN.fullmatch(serial.value)) for serial in serials)
    return [serial for serial, arn in arns if arn is None or arn[1] == user.account]


def _shows_codes(serial: str) -> bool:
    """Security keys and passkeys have the ARN `...:u2f/user/NAME/...`, whatever they are called."""
    arn = _ARN.fullmatch(serial)
    return arn is None or arn[2] != "u2f"


def _example(user: Identity) -> str:
    return f"arn:{user.partition}:iam::{user.account}:mfa/{user.user}"


_SET = ("config", "set", "mfa_serial")
_OTHER_WAY = "sign in another way (SSO, a role) and name that profile"


def _no_codes(user: Identity, which: str) -> Problem:
    return NeedsPerson(
        f"AWS requires MFA for this, and {which} is a security key or passkey, which gives no codes",
        Again("--auth-profile", "NAME", lead=_OTHER_WAY),
    )


_FLAP = 3.0  # seconds; temporary credentials are known everywhere at once, as their token says who they are


class SigningStrategy:
    """Who signs for one user: the profile `auth` if one is named (for the pair's own user, who is named then), else
    their own keys, and an MFA session of theirs once a policy demands it. Without `sessions` no MFA. `profile` is the
    auth profile's name while it signs: not where it holds the very pair that it is about."""

    def __init__(
        self, sessions: MfaSessions | None = None, serials: Serials = tuple, auth: AuthProfile | None = None
    ) -> None:
        self.profile = auth.name if auth else None
        self._auth, self._sessions, self._serials = auth, sessions, serials

    def whose(self, pair: Credentials, calls: Calls) -> tuple[Identity, KeyRefused | None]:
        """The user whose pair it is; and AWS's refusal, if the pair itself does not work but its user is certain.
        Raises KeyRefused, Problem if the accounts differ."""
        auth = self._auth
        if auth and auth.credentials().key_id == pair.key_id:
            self.profile = auth = None
        signer = auth.identity(calls) if auth else None
        try:
            identity = calls.call(_WHO, CredentialChain((pair,)), read_identity, {})
        except KeyRefused as refused:
            if auth is None or signer is None:
                raise
            return self._owner(auth, pair, refused, signer, calls), refused
        if auth and signer and identity.account != signer.account:
            raise Problem(
                f"profile {auth.name} signs in to account {signer.account}, and key {mask(pair.key_id)} is "
                f"{identity.user}'s in account {identity.account}",
                "name a profile of that account with --auth-profile, or none: --auth-profile ''",
            )
        return identity, None

    def _owner(
        self, auth: AuthProfile, pair: Credentials, refused: KeyRefused, signer: Identity, calls: Calls
    ) -> Identity:
        """Whose a key is that does not work: IAM knows it by its id, in the auth profile's own account only."""

        def ask(action: str, read: Read[str], **params: str) -> str:
            try:
                return calls.call(action, CredentialChain((auth.credentials(),)), read, params)
            except Gone:
                return ""
            except Denied as denied:
                raise NeedsPerson(
                    f"key {mask(pair.key_id)} does not work, and its owner is not certain: profile {auth.name} is not "
                    f"allowed to call {denied.action}",
                    Hint("rotate", "--auth-profile", "NAME", lead="name a profile with more rights"),
                ) from None

        name = ask("iam:GetAccessKeyLastUsed", read_owner, AccessKeyId=pair.key_id)
        if not name:
            raise KeyRefused(
                f"key {mask(pair.key_id)} does not work, and account {signer.account} (profile {auth.name}) has "
                "no user with such a key",
                Hint("adopt", lead="ask IT for a new key, and put it in place with"),
                wrong_secret=refused.wrong_secret,
            )
        return Identity(signer.account, ask("iam:GetUser", read_user_arn, UserName=name))

    def signers(self, own: CredentialChain, user: Identity | None) -> CredentialChain:
        """Who signs for this user now. `own` are the user's keys; if they sign, they are given as they are."""
        if self.profile and self._auth:
            return CredentialChain((self._auth.credentials(),))
        session = self._sessions.of(user) if self._sessions and user else None
        return CredentialChain((session,)) if session else own

    def patience(self, refused: float) -> float:
        """For how many seconds to wait if AWS refuses a signer that is none of the user's keys; those get `refused`,
        and so does a key of the auth profile that has just taken the place of another: it is young."""
        return refused if self._auth and self._auth.replaced else min(refused, _FLAP)

    def another(
        self,
        problem: Denied | KeyRefused,
        signed: CredentialChain,
        own: CredentialChain,
        user: Identity,
        calls: Calls,
        refused: float,
    ) -> None:
        """AWS said no to a call that `signed` signed. Gives back if `signers` are others now, who may be tried. Raises
        `problem`, or what a person must do about it. `refused`: see Calls.call. A static key of the auth profile that
        another run has just replaced is read again; a denial of that profile is final."""
        if self.profile and self._auth:
            if isinstance(problem, KeyRefused):
                return self._auth.replace(signed.pairs[0])
            raise Denied(
                f"profile {self._auth.name}: {problem.message}",
                f"ask IT to let profile {self._auth.name} manage the access keys of {user.user}",
                action=problem.action,
                explicit=problem.explicit,
                quarantined=problem.quarantined,
            )
        if self._sessions is None:
            raise problem
        session = None if signed.pairs[0] in own.pairs else signed.pairs[0]
        if isinstance(problem, KeyRefused):
            if not session:
                raise problem
        elif session and not problem.quarantined:
            raise Denied(
                f"{problem.message}, even with MFA",
                Hint("policy", "self-mfa", lead="ask IT for the rights that this prints"),
                action=problem.action,
                explicit=problem.explicit,
            )
        elif session or not self._sessions.may_help(problem, user, self._serials):
            raise problem
        return self._sessions.open(user, own, calls, self._serials, refused, session)
