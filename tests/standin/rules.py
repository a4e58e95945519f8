"""What goes wrong on purpose: faults and denials, each a rule that picks the calls it is for.

Pure. A rule counts down as it is applied; the caller holds the lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from .errors import Answer
from .protocols import Protocol

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
    seconds: float = 0
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
