"""A call from its arrival to its answer: recorded, delayed, spoiled, checked, allowed, carried out.

The order: callbacks and faults "before"; signature and key; policy; the action; callbacks and faults "after". The lock
is held only while the account is read or changed, so a call that hangs or whose callback blocks holds up no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from . import behind, errors, iam, protocols, rights, services, signature
from .errors import Answer, Refused, no
from .rules import Call, Rules, Settings, When, simulate
from .server import HangUp
from .sessions import Signer
from .signature import Request
from .world import Organization, World

Callback = Callable[[Call], object]


class Front:
    """All that a stand-in knows between two resets."""

    def __init__(self, account: str) -> None:
        self.organization = Organization(account, Settings())
        self.rules = Rules()
        self.calls: list[Call] = []
        self.callbacks: list[tuple[When, str, Callback]] = []
        self.lock = threading.RLock()
        self._awake = threading.Event()

    @property
    def world(self) -> World:
        """The main account."""
        return self.organization.main

    def wake(self) -> None:
        """End all waiting (hang, slow, latency) at once."""
        awake, self._awake = self._awake, threading.Event()
        awake.set()

    def respond(self, request: Request, connection: int) -> Answer:
        """Answer one request. Raises HangUp where a fault takes the answer away."""
        call, payload = self._record(request, connection)
        self._tell("before", call)
        self._wait(self.world.settings.latency)
        answer = self._spoil("before", call)
        if answer is None:
            answer = self._answer(request, payload, call)
            call.done = answer.status < 400
            self._tell("after", call)
            answer = (self._spoil("after", call, answer) if call.done else None) or answer
        call.outcome = answer.outcome
        return answer

    def _record(self, request: Request, connection: int) -> tuple[Call, protocols.Payload]:
        try:
            signed = signature.read(request)
            key_id, service, region = signed.key_id, signed.service, signed.region
        except Refused:
            key_id = service = region = ""
        world = self.organization.world_of(key_id)
        protocol = protocols.of(service, request.headers)
        action, payload = protocols.read(request, service, protocol)
        call = Call(
            action=action,
            service=service,
            key_id=key_id,
            params=protocols.told(payload),
            user_agent=request.headers.get("user-agent", ""),
            host=request.headers.get("host", ""),
            region=region,
            at=self.world.now(),
            connection=connection,
            account=world.account if world else "",
            protocol=protocol,
        )
        with self.lock:
            self.calls.append(call)
        return call, payload

    def _tell(self, when: When, call: Call) -> None:
        with self.lock:
            callbacks = [tell for moment, action, tell in self.callbacks if moment == when and call.is_a(action)]
        for tell in callbacks:
            tell(call)

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._awake.wait(seconds)

    def _spoil(self, when: When, call: Call, answer: Answer | None = None) -> Answer | None:
        """What a fault makes of the answer; None if nothing."""
        with self.lock:
            fault = self.rules.fault(call, when)
        if fault is None:
            return None
        call.outcome = fault.kind
        match fault.kind:
            case "throttle":
                return self._refusal(no("throttled"), call)
            case "500" | "503":
                return self._refusal(no(fault.kind), call)
            case "html" | "xhtml":
                return errors.page(fault.status, fault.kind)
            case "cut":
                return replace(answer or self._refusal(no("503"), call), cut=True, outcome="cut")
            case "odd":
                assert fault.change is not None
                return fault.change(answer or Answer(200, "text/xml", b""))
            case "slow":
                self._wait(fault.seconds)
                return answer
            case "hang":
                self._wait(fault.seconds)
                raise HangUp
            case "reset" | "drop":
                raise HangUp(reset=fault.kind == "reset")

    def _answer(self, request: Request, payload: protocols.Payload, call: Call) -> Answer:
        try:
            with self.lock:
                world, signer = self._admit(request, payload, call)
                if call.action == "SimulatePrincipalPolicy":
                    return iam.render("iam", call.action, simulate(self.rules, call, payload))
                answer = iam.carry_out(call.action, call.service, world, signer, payload)
                if answer is None:
                    answer = services.guard(world, call, signer, payload)
                where = services.home(world, call, payload)
            if answer is None:
                answer = behind.forward(services.shortened(world, call, request), where)
                if answer.status < 400:
                    services.published(world, call, payload)
            return answer
        except Refused as refused:
            return self._refusal(refused, call)

    def _refusal(self, refused: Refused, call: Call) -> Answer:
        return protocols.refusal(refused, call.protocol, call.service)

    def _admit(self, request: Request, payload: protocols.Payload, call: Call) -> tuple[World, Signer]:
        """The account and who signed, if AWS takes the key and a policy allows the action. Raises Refused."""
        signed = signature.read(request)
        world = self.organization.world_of(signed.key_id) or self.world
        signer = world.signer(signed.key_id, signed.token, signed.service)
        signature.check(request, signed, signer.pair.secret, world.now())
        world.used(signer, signed.service, signed.region)
        name = signer.user.name if signer.user else None
        denial = self.rules.denial(call, name, signer.mfa)
        if denial:
            whom = f"user {call.params.get('UserName', name)}" if call.service == "iam" else "*"
            raise errors.denied(signer.arn, f"{call.service}:{call.action}", whom, denial.reason)
        rights.admit(world, call, signer, payload)
        return world, signer
