"""How AWS behaves at the moment: its settings, and what goes wrong on purpose, by rules that pick their calls. Pure.

A rule counts down as it is applied; the caller holds the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from .errors import Answer
from .protocols import Protocol


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


Kind = Literal["throttle", "500", "503", "html", "xhtml", "reset", "drop", "cut", "hang", "slow", "odd"]
When = Literal["before", "after"]
Reason = Literal["implicit", "explicit", "resource", "quarantine"]


@dataclass(slots=True)
class Call:
    """One request that arrived. Never holds a secret.

    `host` is the Host header, `region` and `service` what it was signed for, `at` the server's clock, `connection` the
    number of the TCP connection it came on (1, 2, ...). `account` is the signer's, "" if the key is unknown. `outcome`
    is "" until it is answered, then "OK", AWS's error code, "html 403", or the kind of fault that took the answer;
    `done` tells whether it was carried out. `protocol` is how the service speaks.
    """

    action: str
    service: str
    key_id: str
    params: dict[str, str]
    user_agent: str
    host: str
    region: str
    at: datetime
    connection: int
    account: str = ""
    protocol: Protocol = "query"
    outcome: str = ""
    done: bool = False

    def is_a(self, action: str) -> bool:
        """Whether it is a call of this action; "*" is any."""
        return action in ("*", self.action)

    @property
    def accounts(self) -> set[str]:
        """The accounts that it touches: the signer's, and that of a role which is assumed."""
        return {self.account, *self.params.get("RoleArn", "").split(":")[4:5]}


@dataclass(slots=True, kw_only=True)
class Rule:
    """Applies to `times` calls (None: for good) of an action ("*": any), after letting `skip` of them pass.

    `key_id`, `service` and `account` limit it to the calls of that key, to that service, in that account.
    """

    action: str
    times: int | None = None
    skip: int = 0
    key_id: str | None = None
    service: str | None = None
    account: str | None = None

    def takes(self, call: Call) -> bool:
        """Whether this call is one of them; counts."""
        if not call.is_a(self.action) or self.key_id not in (None, call.key_id) or self.times == 0:
            return False
        if self.service not in (None, call.service) or self.account not in (None, *call.accounts):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(slots=True, kw_only=True)
class Fault(Rule):
    """How the answer is spoiled, and whether the call is carried out first (`when` is "after") or not."""

    kind: Kind
    when: When = "before"
    seconds: float = 3600
    status: int = 200
    change: Callable[[Answer], Answer] | None = None


@dataclass(slots=True, kw_only=True)
class Denial(Rule):
    """No policy allows it, or one denies it. `user` limits it to the calls of that user.

    `unless_mfa`: it is for IAM calls of users who did not sign in with MFA, but those of the actions in `but`.
    """

    reason: Reason = "implicit"
    user: str | None = None
    unless_mfa: bool = False
    but: frozenset[str] = frozenset()

    def is_for(self, call: Call, user: str | None, mfa: bool) -> bool:
        """Whether this caller and this call may be meant; does not count."""
        if self.user not in (None, user):
            return False
        return not self.unless_mfa or (call.service == "iam" and not mfa and bool(user) and call.action not in self.but)


@dataclass(slots=True)
class Rules:
    """All rules in force, in the order they were made: the first that takes a call decides."""

    faults: list[Fault] = field(default_factory=list)
    denials: list[Denial] = field(default_factory=list)

    def fault(self, call: Call, when: When) -> Fault | None:
        """The fault for this call, if any."""
        return next((fault for fault in self.faults if fault.when == when and fault.takes(call)), None)

    def denial(self, call: Call, user: str | None, mfa: bool = False) -> Denial | None:
        """The denial for this call by this user, if any; `mfa`: the caller signed in with MFA."""
        if call.action == "GetCallerIdentity":  # answered whatever the policies say
            return None
        return next((rule for rule in self.denials if rule.is_for(call, user, mfa) and rule.takes(call)), None)


_MFA = "aws:MultiFactorAuthPresent"


def simulate(rules: Rules, call: Call, params: Mapping[str, str], tagging: Collection[str] = ()) -> dict[str, Any]:
    """The result of SimulatePrincipalPolicy for a user. No rule counts down. Of tags only `tagging` is allowed."""
    user = params["PolicySourceArn"].rsplit("/", 1)[-1]
    mfa = (
        params.get("ContextEntries.member.1.ContextKeyName") == _MFA
        and params.get("ContextEntries.member.1.ContextKeyValues.member.1") == "true"
    )
    named = (params.get(f"ActionNames.member.{number}") for number in range(1, 129))
    results = [
        {"EvalActionName": name, "EvalDecision": _decision(rules, call, name, user, mfa)} for name in named if name
    ]
    for each in results:
        if each["EvalActionName"] in ("iam:TagUser", "iam:UntagUser") and each["EvalActionName"] not in tagging:
            each["EvalDecision"] = "implicitDeny"
    return {"EvaluationResults": results, "IsTruncated": False}


def _decision(rules: Rules, call: Call, name: str, user: str, mfa: bool) -> str:
    service, _, action = name.partition(":")
    made = replace(call, service=service, action=action)
    for rule in rules.denials:
        if rule.is_for(made, user, mfa) and replace(rule).takes(made):
            return "implicitDeny" if rule.reason == "implicit" else "explicitDeny"
    return "allowed"
