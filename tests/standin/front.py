"""A call from its arrival on 127.0.0.1 to its answer: recorded, delayed, spoiled, checked, allowed, carried out.

The order: callbacks and faults "before"; signature and key; policy; the action; callbacks and faults "after". The lock
is held only while the account is read or changed, so a call that hangs or whose callback blocks holds up no other.
One thread a connection; connections are kept open and counted.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import socketserver
import struct
import sys
import threading
import uuid
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from . import behind, errors, iam, policies, protocols, rights, services, signature
from .errors import Answer, Refused, no
from .rules import Call, Rules, Settings, When, simulate
from .sessions import Signer
from .signature import Request
from .world import Organization, World

Respond = Callable[[Request, int], Answer]


class HangUp(Exception):
    """Raised instead of an answer: the connection ends, with a TCP RST if `reset`, else with an ordinary close."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self.reset = reset


class Server(socketserver.ThreadingTCPServer):
    """Serves `respond(request, connection number)` on a free port until `stop`."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, respond: Respond, now: Callable[[], datetime]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.respond = respond
        self.now = now
        self.count = 0
        self._open: dict[socket.socket, int] = {}  # with their numbers
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="stand-in", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection, and count it."""
        with self._lock:
            connection, address = super().get_request()
            self.count += 1
            self._open[connection] = self.count
            return connection, address

    def number_of(self, connection: socket.socket) -> int:
        """The number of an open connection."""
        with self._lock:
            return self._open[connection]

    def has_unread(self, but: Collection[int]) -> bool:
        """Whether something has arrived that nobody has looked at yet: a connection, a request or a connection's end,
        but on the connections of these numbers."""
        with selectors.DefaultSelector() as selector, self._lock:
            for each in [self.socket, *(each for each, number in self._open.items() if number not in but)]:
                if each.fileno() >= 0:  # else it was reset
                    selector.register(each, selectors.EVENT_READ)
            return bool(selector.select(0))

    def shutdown_request(self, request: Any) -> None:
        """The connection is over."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close all connections and count anew."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.count = 0

    def stop(self) -> None:
        """Close everything; the port is free afterwards."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        self.hang_up()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        super().setup()
        self.number = self.server.number_of(self.connection)

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:  # the client is gone
            return self._end(reset=False)
        names = {name.lower() for name in self.headers}
        headers = {name: ",".join(self.headers.get_all(name, ())) for name in names}
        path, _, query = self.path.partition("?")
        try:
            answer = self.server.respond(Request(self.command, path, query, headers, body), self.number)
        except HangUp as end:
            self._end(reset=end.reset)
        else:
            self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _serve  # noqa: N815 - names that http.server calls

    def _send(self, answer: Answer) -> None:
        for part in answer.wire:
            self.wfile.write(part)
        if answer.wire:
            return self._end(reset=False)
        request_id = "" if "html" in answer.content_type else str(uuid.uuid4())  # a page for people is not AWS's
        own = {"Date": format_datetime(self.server.now(), usegmt=True), "x-amzn-RequestId": request_id}
        headers = {**own, **answer.headers}
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
        head = (
            f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
            f"Content-Type: {answer.content_type}\r\n"
            f"{more}Content-Length: {len(answer.body)}\r\n\r\n"
        )
        body = b"" if self.command == "HEAD" else answer.body
        self.wfile.write(head.encode() + (body[: len(body) // 2] if answer.cut else body))
        return self._end(reset=False) if answer.cut else None

    def _end(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            # Lingering for no time makes the kernel send RST instead of FIN, as soon as the last handle is closed.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


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
                    tags = {"aws:TagKeys": ("rotate-my-key-recall",), **policies.who(signer)}
                    asks = [policies.Ask(f"iam:{each}", signer.principal, tags) for each in ("TagUser", "UntagUser")]
                    mine = world.documents.get(signer.principal, ())
                    may = {ask.action for ask in asks if policies.decide(mine, ask, signer) == "Allow"}
                    return iam.render("iam", call.action, simulate(self.rules, call, payload, may))
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
