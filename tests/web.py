"""A web server on loopback that keeps what it is asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Asked(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


class Web(NamedTuple):
    """Where it listens, and what it was asked so far."""

    port: int
    asked: list[Asked]


@contextmanager
def serve(answer: Callable[[str], tuple[int, bytes]] = lambda path: (200, b"")) -> Iterator[Web]:
    """Answers each path with this status and page, whatever the method."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked.append(Asked(self.path, dict(self.headers), body))
            status, page = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        do_GET = do_POST = do_HEAD = do_CONNECT = _answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield Web(server.server_port, asked)
    finally:
        server.shutdown()
        server.server_close()
