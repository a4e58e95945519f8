"""HTTP/1.1 on 127.0.0.1: connections that are kept open and counted, and the ways in which they break.

Knows requests, answers and sockets, nothing of AWS. One thread a connection.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from .errors import Answer
from .signature import Request

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
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="stand-in", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def opened(self, connection: socket.socket) -> int:
        """Count a connection; gives its number."""
        with self._lock:
            self.count += 1
            self._open.add(connection)
            return self.count

    def shutdown_request(self, request: Any) -> None:
        """The connection is over."""
        with self._lock:
            self._open.discard(request)
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
        self.number = self.server.opened(self.connection)

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
        headers = {"Date": format_datetime(self.server.now(), usegmt=True), **answer.headers}
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
