"""`StandIn`: AWS on 127.0.0.1, which refuses what AWS refuses, and misbehaves when told to by the verbs of `Trouble`.

All verbs and attributes may be used at any time and from any thread, from `on_call` callbacks too. Each StandIn has a
random account number of its own; moto's state is one per process, split by account, so several may run side by side.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection
from types import TracebackType
from typing import Any, Literal, Self

from .account import Account
from .front import Callback, Front, Server
from .rules import Call, Denial, Fault, Kind, Reason, Rules, Settings, When

Break = Literal["denied", "throttled", "500", "503", "hang"]


class Trouble:
    """What goes wrong on purpose, until `all_well`."""

    _front: Front

    def fault(self, action: str, kind: Kind, when: When = "before", times: int | None = 1, **more: Any) -> None:
        """Spoil the answers of an action ("*": any), `times` times or for good (None).

        `when`: "before" it is carried out, so it is not, or "after" it was (refused calls are not counted then).
        Kinds: "throttle" (Throttling, 400), "500", "503", "html" and "xhtml" (a captive portal's page with `status`;
        the second is well-formed XML), "reset" (TCP RST), "drop" (closed without an answer), "cut" (half an answer),
        "hang" (no answer for `seconds` or until `all_well`, then "drop"), "slow" (answered as usual, `seconds` late),
        "odd" (what `change` makes of the answer, or of an empty one). `more` is what Rule and Fault take.
        """
        with self._front.lock:
            self._front.rules.faults.append(Fault(action=action, kind=kind, when=when, times=times, **more))

    def deny(
        self, action: str, times: int | None = None, explicit: bool = False, quarantine: bool = False, **more: Any
    ) -> None:
        """Answer AccessDenied for an action ("*": any), `times` times or for good (None).

        `explicit`: a policy has a Deny, as those that demand MFA have; `quarantine`: AWSCompromisedKeyQuarantineV3 has.
        GetCallerIdentity cannot be denied at AWS, so "*" leaves it out, and naming it raises ValueError. `more` is what
        Rule and Denial take.
        """
        if action == "GetCallerIdentity":
            raise ValueError("AWS answers GetCallerIdentity whatever the policies say")
        reason: Reason = "quarantine" if quarantine else "explicit" if explicit else "implicit"
        with self._front.lock:
            self._front.rules.denials.append(Denial(action=action, times=times, reason=reason, **more))

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


class Member(Account):
    """An account of the organization besides the main one."""

    def __init__(self, standin: StandIn, number: str) -> None:
        super().__init__(number)
        self._standin = standin

    @property
    def _front(self) -> Front:  # type: ignore[override]
        return self._standin._front


class StandIn(Account, Trouble):
    """A context manager; serves from `__enter__` (or `start`) to `__exit__` (or `stop`).

    `account` is the number of the main account; it stays, as the url does, over a `reset`. The verbs of Account mean
    that account:

        with StandIn() as aws:
            aws.add_user("alice", tags={"owner": "alice@example.com"}, password=True, groups=["dev"])
            pair = aws.add_key("alice", timedelta(days=98), use=LastUse(when, "s3", "eu-west-1"))
            aws.add_key(None, timedelta(days=700))            # root's
            aws.settings.report_polls = 2                     # the credential report takes a while
            run(..., AWS_ENDPOINT_URL=aws.url)
            assert [call.action for call in aws.calls] == [...]

    With `add_account` it becomes an organization. A member has the same verbs, and a role lets the main account in:

            shop = aws.add_account("shop")                    # shop.account is its number
            role = shop.add_role("fleet", external_id="x")    # its ARN, for AssumeRole
            shop.attach_policy(role, {...})                   # optional: what the role may do there
            shop.add_user("bob"); shop.add_key("bob", timedelta(days=200))
            aws.break_account(shop.account, "throttled")

    Other services: `verify`, `add_topic`, `add_parameter`, `add_secret`, `add_bucket`, `add_log_group` set them up,
    `mails`, `published`, `secrets`, `objects`, `log_lines` tell what became of them. `settings.strict` makes rights as
    strict as AWS's: who has no policy may do nothing.
    """

    def __init__(self) -> None:
        super().__init__(str(secrets.randbelow(9 * 10**11) + 10**11))
        self._front = Front(self.account)
        self._server: Server | None = None

    def start(self) -> Self:
        """Listen."""
        self._server = Server(lambda *call: self._front.respond(*call), lambda: self._front.world.now())
        return self

    def stop(self) -> None:
        """Listen no more; calls that hang are ended."""
        self._front.wake()
        if self._server:
            self._server.stop()
        self._server = None

    def reset(self) -> None:
        """Back to an empty account with default settings and no calls; connections are closed and counted anew."""
        self._front.wake()
        if self._server:
            self._server.hang_up()
        with self._front.lock:
            self._front.organization.forget()
        self._front = Front(self.account)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """For AWS_ENDPOINT_URL. Raises RuntimeError while it is not started."""
        if self._server is None:
            raise RuntimeError("the stand-in is not started")
        return self._server.url

    @property
    def connections(self) -> int:
        """How many TCP connections were opened."""
        return self._server.count if self._server else 0

    @property
    def settings(self) -> Settings:
        """How AWS behaves at the moment; `reset` puts new ones here."""
        return self._front.world.settings

    @property
    def calls(self) -> list[Call]:
        """What arrived so far, in order of arrival."""
        return self._front.calls

    def settle(self) -> None:
        """Wait for what a killed program has sent, which may still be at work: a fault that ends, a key that is aged or
        a clock that is set before it is answered would be another story. A call that is held up on purpose is not
        waited for."""
        server, until = self._server, time.monotonic() + 5
        while time.monotonic() < until:
            held = {call.connection for call in self.calls if call.outcome in ("hang", "slow")}
            if all(call.outcome for call in self.calls) and not (server and server.has_unread(held)):
                return
            time.sleep(0.01)

    # Accounts

    def add_account(self, name: str, number: str | None = None, state: str = "ACTIVE") -> Member:
        """One more account of the organization, empty; `state` is ACTIVE, SUSPENDED or PENDING_CLOSURE.

        Raises ValueError if there is one with this number.
        """
        number = number or str(secrets.randbelow(9 * 10**11) + 10**11)
        with self._front.lock:
            self._front.organization.add(number, name)
            self._front.organization.entries[number].state = state
        return self.in_account(number)

    def in_account(self, number: str) -> Member:
        """The verbs of an account, the main one's too. Raises KeyError."""
        with self._front.lock:
            return Member(self, self._front.organization.worlds[number].account)

    @property
    def accounts(self) -> list[str]:
        """The numbers of all accounts, the main one first."""
        with self._front.lock:
            return list(self._front.organization.worlds)
