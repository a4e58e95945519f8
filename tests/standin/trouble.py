"""`Trouble`: the verbs by which a stand-in is made to misbehave, and is watched."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

from .errors import Answer
from .front import Callback, Front
from .rules import Denial, Fault, Kind, Reason, Rules, When

Break = Literal["denied", "throttled", "500", "503", "hang"]


class Trouble:
    """What goes wrong on purpose, until `all_well`."""

    _front: Front

    def fault(
        self,
        action: str,
        kind: Kind,
        when: When = "before",
        times: int | None = 1,
        *,
        skip: int = 0,
        key_id: str | None = None,
        seconds: float = 3600,
        status: int = 200,
        account: str | None = None,
        service: str | None = None,
        change: Callable[[Answer], Answer] | None = None,
    ) -> None:
        """Spoil the answers of an action ("*": any), `times` times or for good (None), after `skip` good ones.

        `when`: "before" it is carried out, so it is not, or "after" it was (refused calls are not counted then).
        Kinds: "throttle" (Throttling, 400), "500", "503", "html" and "xhtml" (a captive portal's page with `status`;
        the second is well-formed XML), "reset" (TCP RST), "drop" (closed without an answer), "cut" (half an answer),
        "hang" (no answer for `seconds` or until `all_well`, then "drop"), "slow" (answered as usual, `seconds` late),
        "odd" (what `change` makes of the answer, or of an empty one).
        `account` limits it to the calls of that account's keys and roles, `service` to that service ("iam", "ses").
        """
        rule = Fault(
            action=action,
            kind=kind,
            when=when,
            times=times,
            skip=skip,
            key_id=key_id,
            seconds=seconds,
            status=status,
            account=account,
            service=service,
            change=change,
        )
        with self._front.lock:
            self._front.rules.faults.append(rule)

    def deny(
        self,
        action: str,
        times: int | None = None,
        explicit: bool = False,
        quarantine: bool = False,
        *,
        skip: int = 0,
        key_id: str | None = None,
        user: str | None = None,
        account: str | None = None,
        service: str | None = None,
    ) -> None:
        """Answer AccessDenied for an action ("*": any), `times` times or for good (None).

        `explicit`: a policy has a Deny, as those that demand MFA have; `quarantine`: AWSCompromisedKeyQuarantineV3 has.
        GetCallerIdentity cannot be denied at AWS, so "*" leaves it out, and naming it raises ValueError.
        """
        if action == "GetCallerIdentity":
            raise ValueError("AWS answers GetCallerIdentity whatever the policies say")
        reason: Reason = "quarantine" if quarantine else "explicit" if explicit else "implicit"
        rule = Denial(
            action=action,
            times=times,
            skip=skip,
            key_id=key_id,
            reason=reason,
            user=user,
            account=account,
            service=service,
        )
        with self._front.lock:
            self._front.rules.denials.append(rule)

    def demand_mfa(
        self, user: str | None = None, *, but: Collection[str] = ("ListMFADevices",), explicit: bool = True
    ) -> None:
        """Deny users all of IAM unless they signed in with MFA, but the actions in `but` (as a policy's NotAction).

        Without `explicit` it is an Allow with a condition that does not hold, and no Deny.
        """
        reason: Reason = "explicit" if explicit else "implicit"
        rule = Denial(action="*", reason=reason, user=user, unless_mfa=True, but=frozenset(but))
        with self._front.lock:
            self._front.rules.denials.append(rule)

    def all_well(self) -> None:
        """Take back all faults and denials; calls that hang are ended."""
        with self._front.lock:
            self._front.rules = Rules()
        self._front.wake()

    def on_call(self, callback: Callback, when: When = "before", action: str = "*") -> None:
        """Run `callback(call)` for each call of an action ("*": any).

        "before": nothing was done about it yet (with a fault "drop" nothing will be); "after": it was carried out or
        refused, and is not answered yet. It may take its time: other calls go on meanwhile.
        """
        with self._front.lock:
            self._front.callbacks.append((when, action, callback))

    def break_account(self, number: str, how: Break) -> None:
        """Make an account useless, until `all_well`.

        "denied": its roles let nobody in; "throttled", "500", "503", "hang": so end all calls of IAM there.
        """
        with self._front.lock:
            rules = self._front.rules
            if how == "denied":
                rules.denials.append(Denial(action="AssumeRole", account=number))
            else:
                kind: Kind = "throttle" if how == "throttled" else how
                rules.faults.append(Fault(action="*", service="iam", account=number, kind=kind, seconds=3600))
