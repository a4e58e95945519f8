"""An auth profile: another profile of the same files whose credentials sign the IAM calls.

botocore's own providers make the credentials (SSO, `aws login`, assumed roles, processes, static keys) and renew them
when they are about to end. The metadata service is asked only where the profile itself says so (`credential_source`).
The secrets stay in memory.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from threading import RLock
from typing import Any

from botocore import exceptions as boto
from botocore.credentials import Credentials as BotoCredentials
from botocore.session import Session

from ..errors import KeyRefused, NeedsPerson, NotAllowed, Problem, mask
from ..model import Credentials, Identity
from . import answers
from .calls import Calls, Signers
from .errors import Sent, configuration, translate
from .failures import DENIED, EXPIRED, FAILURES, REFUSED, NotAws, code_of
from .session import Aws

# What botocore would try if nothing else answers; a profile that was named must answer for itself.
_NOBODYS = ("ec2-credentials-file", "boto-config", "container-role", "iam-role")
# Where none was named, a container's role counts: its address is in the environment (AWS_CONTAINER_CREDENTIALS_*).
_NEVER = ("ec2-credentials-file", "boto-config", "iam-role")

AskCode = Callable[[str, str], str]  # (whose, serial) -> the code


class AuthProfile:
    """Credentials of the profile `name`; `ask` gives the code for a role that demands MFA. Safe to share.

    "" are those in force: of the environment's variables or profile, else of the profile default, else of a container.
    """

    def __init__(self, aws: Aws, name: str, ask: AskCode) -> None:
        self.name = name
        self.words = f"profile {name}" if name else "the environment or default profile"
        self.replaced = False  # whether the profile has given other credentials since AWS refused the first
        self._aws = aws
        self._ask = ask
        self._found: BotoCredentials | None = None
        self._last: Credentials | None = None
        self._who: dict[str, Identity] = {}
        self._lock = RLock()

    def credentials(self) -> Credentials:
        """The credentials in force now, renewed if need be.

        Raises NeedsPerson if a person must sign in again, Problem if the profile cannot sign anything, TryLater.
        """
        with self._lock:
            try:
                self._last = self._current()
                return self._last
            except Problem:
                self._found = None
                raise
            except (*FAILURES, OSError, ValueError) as error:
                self._found, failure = None, error
        raise self._explain(failure)

    def _current(self) -> Credentials:
        try:
            frozen = self._load().get_frozen_credentials()
        except boto.RefreshWithMFAUnsupportedError:  # the role's session has ended: begin anew, with a new code
            self._found = None
            frozen = self._load().get_frozen_credentials()
        return Credentials(str(frozen.access_key), str(frozen.secret_key), frozen.token)

    def _load(self) -> BotoCredentials:
        if self._found is None:
            session = self._aws.sign_in_session(self.name or None)
            self._found = self._resolve(session)
        return self._found

    def _resolve(self, session: Session) -> BotoCredentials:
        resolver = session.get_component("credential_provider")
        for provider in _NOBODYS if self.name else _NEVER:
            resolver.remove(provider)
        role = resolver.get_provider("assume-role")
        # botocore has no other way than this to ask elsewhere than on the bare terminal.
        role._prompter = self._prompt
        found: Any = session.get_credentials()
        if found is None:
            raise Problem(f"{self.words} has nothing to sign in with", f"aws configure sso{self._flag}")
        return found  # type: ignore[no-any-return]

    @property
    def _flag(self) -> str:
        return f" --profile {shlex.quote(self.name)}" if self.name else ""

    def _prompt(self, prompt: str) -> str:
        """botocore's question is `Enter MFA code for SERIAL: `."""
        return self._ask(f"{self.words}, device", prompt.removeprefix("Enter MFA code for ").rstrip(": "))

    def identity(self, calls: Calls) -> Identity:
        """Who the profile is, at the endpoints of the profile that it signs for; asked once.

        Raises what `credentials` raises; NotAllowed if AWS does not accept them.
        """
        with self._lock:
            if calls.endpoint not in self._who:
                pair = self.credentials()
                try:
                    self._who[calls.endpoint] = calls.call(
                        "sts:GetCallerIdentity", Signers([pair]), answers.identity, {}
                    )
                except KeyRefused:
                    raise self._refused(pair) from None
            return self._who[calls.endpoint]

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

    def _sent(self, error: Exception) -> Sent:
        url = getattr(error, "kwargs", {}).get("endpoint_url") or "AWS"
        return Sent("the sign-in", self.words, str(url), None, self._aws.clock.offset)
