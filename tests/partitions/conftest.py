"""All of AWS on this computer: a proxy that answers for every host with the stand-in, behind real TLS.

The program finds its hosts by itself, and asks the proxy for them; what arrives at the stand-in shows which host was
meant and which region a signature is for. Nothing leaves the computer.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.aws.authority import Authority
from tests.cli.conftest import OLD, Desk
from tests.standin import StandIn


class Proxy(socketserver.ThreadingTCPServer):
    """An HTTP proxy whose CONNECT leads to `port` of this computer, whatever host was asked for."""

    daemon_threads = True

    def __init__(self, authority: Authority, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.authority = authority
        self.port = port
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """For HTTPS_PROXY."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Tunnel(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.request.recv(1)
        host = head.split()[1].decode().partition(":")[0]
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        inside = self.server.authority.context(host).wrap_socket(self.request, server_side=True)
        with inside, socket.create_connection(("127.0.0.1", self.server.port)) as outside:
            back = threading.Thread(target=_pump, args=(outside, inside), daemon=True)
            back.start()
            _pump(inside, outside)
            back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


MakeDesk = Callable[..., Desk]


@pytest.fixture
def all_of_aws(tmp_path: Path, running: StandIn, capsys: pytest.CaptureFixture[str]) -> Iterator[MakeDesk]:
    """Make a desk whose user is in a partition: `all_of_aws("aws-cn", "region = cn-north-1")`."""
    authority = Authority(tmp_path)
    proxies = []

    def make(partition: str, settings: str = "", **env: str) -> Desk:
        running.reset()
        running.settings.partition = partition
        running.add_user("alice")
        proxies.append(Proxy(authority, int(running.url.rpartition(":")[2])))
        home = tmp_path / "home"
        home.mkdir()
        network = {"HTTPS_PROXY": proxies[0].url, "AWS_CA_BUNDLE": str(authority.bundle)}
        desk = Desk(home, running, capsys, {"AWS_ENDPOINT_URL": "(unset)", **network, **env})
        desk.profiles(default=running.add_key("alice", OLD))
        if settings:
            desk.add(f"[default]\n{settings}\n", desk.config)
        return desk

    yield make
    running.all_well()
    for proxy in proxies:
        proxy.shutdown()
        proxy.server_close()
