"""Puts the adapters of one fleet run together, out of what is handed in: for the command line and for Lambda alike.

Reads no environment and no clock. Nothing is sent before the first verb of an adapter is called.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from ..aws.account_calls import AccountCalls, Caller, CallRoute, CallSite
from ..aws.client import Aws
from ..aws.services import AwsCloud
from ..aws.signin import AskCode, AuthProfile, MfaSessions, Serials
from ..core.errors import NeedsPerson
from ..settings.fleet import FleetSettings
from .accounts import AwsOrganization
from .audit import AuditRun, AuditTrail, TakeLine, open_audit


def _nobody(whose: str, serial: str) -> str:
    raise NeedsPerson(f"an MFA code of {whose} {serial} is needed, but there is nobody to ask")


@dataclass(frozen=True, slots=True)
class FleetSigner:
    """Who signs. `profile` gives region and endpoints (None: what the environment names), `auth` is the profile that
    signs, "" for the environment's or default credentials. `ask` gives the code for a role that demands MFA;
    `sessions` (None: no MFA) and `serials` are for the key of a user whose policies demand it."""

    profile: str | None = None
    auth: str = ""
    ask: AskCode = _nobody
    sessions: MfaSessions | None = None
    serials: Serials = tuple


class Assembly:
    """The adapters of one run, each made once and when first needed. Safe to share between threads once made. `tell` is
    called with each endpoint that is not AWS's own, once and before anything is sent there. `patience` is for how many
    seconds throttling is waited out."""

    def __init__(
        self,
        aws: Aws,
        signer: FleetSigner,
        settings: FleetSettings,
        *,
        tell: Callable[[str], None] = lambda url: None,
        patience: float = 60.0,
    ) -> None:
        self.settings = settings
        self._aws = aws
        self._signer = signer
        self._tell = tell
        self._patience = patience
        self._organization: AwsOrganization | None = None

    def configured(self, settings: FleetSettings) -> Assembly:
        """The same with other settings: for settings that are fetched from AWS themselves. Who signs stays."""
        other = copy(self)  # with what was made so far
        other.settings = settings
        other._organization = None
        return other

    def now(self) -> datetime:
        """AWS's clock: this computer's, corrected by the last answer."""
        return self._aws.clock.now()

    def signing_key(self) -> str:
        """The id of the access key that signs, "" for a session, which outlives the key that it was made from."""
        credentials = self._auth.credentials()
        return "" if credentials.token else credentials.key_id

    @property
    def organization(self) -> AwsOrganization:
        """All accounts that the caller may look at."""
        where = self.settings.accounts
        if self._organization is None:
            self._organization = AwsOrganization(self._route, self._caller, self._own, where.role, where.external_id)
        return self._organization

    @cached_property
    def cloud(self) -> AwsCloud:
        """The services of the caller's own account."""
        return AwsCloud(self._own)

    def audit(self, command: str, token: str, otherwise: TakeLine, metrics: TakeLine | None = None) -> AuditTrail:
        """Where a run of this command is written down; see `open_audit`. `token` tells runs of one second apart."""
        name = f"{self.now().astimezone(UTC):%Y%m%dT%H%M%SZ}-{token}"
        run = AuditRun(name, command, self.settings.fingerprint, self.organization.me().arn)
        return open_audit(self.settings.audit, run, self.cloud, otherwise, metrics)

    @cached_property
    def _route(self) -> CallRoute:
        """Where the first calls go is named here, before the sign-in of a profile may go there too."""
        transport = self._aws.transport(self._signer.profile, wide=True)
        route = CallRoute(transport, self._tell, self._patience)
        route.announce(transport, "sts")
        return route

    @cached_property
    def _auth(self) -> AuthProfile:
        return AuthProfile(self._aws, self._signer.auth, self._signer.ask)

    @cached_property
    def _caller(self) -> Caller:
        calls = self._route.calls(CallSite("", self._auth.words))
        return Caller(self._auth, calls, self._signer.sessions, self._signer.serials)

    @cached_property
    def _own(self) -> AccountCalls:
        return AccountCalls(self._route, self._caller, CallSite("", self._auth.words))
