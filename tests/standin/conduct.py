"""`Settings`: how AWS behaves at the moment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class Settings:
    """How AWS behaves at the moment; durations in seconds. Each may be changed at any time and counts from then on.

    `latency`: waited before every call. `propagation`: how long a new or reactivated key is refused; `flapping`: after
    that, yes or no for each further call of such a key ("nnyny"), then yes; each is a value for all services or a
    mapping like {"sts": 2, "iam": 8}. `revocation`: how long a key works on after it was switched off or deleted.
    `listing`: how late ListAccessKeys is, `last_use`: how late GetAccessKeyLastUsed is (at AWS a quarter of an hour
    and more). `clock_offset`: how far the server's clock is ahead of ours. `page_size`: no list gives more on a page,
    whatever the caller asks for (by default what each action gives at most). `partition`: of all accounts, in all ARNs
    ("aws", "aws-cn", "aws-us-gov"); to be set before there are users.

    A credential report is ready `report_delay` seconds after it was asked for, and after `report_polls` calls were told
    that it is not; an account's report of less than four hours is given again. `report_hides_inactive`: a key that is
    switched off has N/A for dates, as the IAM User Guide says, though the live service shows them.

    `secret_deletion`: how long the name of a secret that was deleted without recovery is not free yet.
    `ses_sandbox`: SES sends to verified addresses only, as in every new account. `strict`: users and roles to whom no
    policy is attached may do nothing, as at AWS; else they may do everything.
    """

    latency: float = 0
    propagation: float | Mapping[str, float] = 0
    flapping: str | Mapping[str, str] = ""
    revocation: float = 0
    listing: float = 0
    last_use: float = 900
    clock_offset: float = 0
    page_size: int = 1000
    partition: str = "aws"
    report_delay: float = 0
    report_polls: int = 0
    report_hides_inactive: bool = False
    secret_deletion: float = 0
    ses_sandbox: bool = False
    strict: bool = False

    def propagation_of(self, service: str) -> float:
        """Seconds until this service knows a new key."""
        return self.propagation.get(service, 0) if isinstance(self.propagation, Mapping) else self.propagation

    def flapping_of(self, service: str) -> str:
        """The pattern of this service."""
        return self.flapping.get(service, "") if isinstance(self.flapping, Mapping) else self.flapping
