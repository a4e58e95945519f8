"""Where requests may go: an endpoint is read as the library reads it that connects."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.aws.connections import check_url
from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials

PAIR = Credentials("AKIAEXAMPLEEXAMPLE00", "the-secret")


class Trap:
    """Counts who connects, on two addresses of this computer."""

    def __init__(self) -> None:
        self.count = 0
        first = socket.create_server(("127.0.0.1", 0))
        self.port = first.getsockname()[1]
        self._sockets = [first, socket.create_server(("127.0.0.2", self.port))]
        for each in self._sockets:
            threading.Thread(target=self._accept, args=(each,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.count += 1
            connection.close()

    def close(self) -> None:
        """Listen no more."""
        for each in self._sockets:
            each.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    """That server."""
    made = Trap()
    yield made
    made.close()


REFUSED = {
    "a backslash before an @": "http://127.0.0.2:PORT\\@127.0.0.1:PORT",
    "a backslash in the path": "http://127.0.0.1:PORT/\\x",
    "user info": "http://127.0.0.1@127.0.0.2:PORT",
    "user info with a password": "http://me:hunter2@127.0.0.1:PORT",
    "an empty user": "http://@127.0.0.1:PORT",
    "a tab": "http://127.0.0.1\t:PORT",
    "a line end": "http://127.0.0.1:PORT\n/",
    "a blank before": " http://127.0.0.1:PORT",
    "a blank behind": "http://127.0.0.1:PORT ",
    "a zero byte, spelled": "http://127.0.0.1%00.example.com:PORT",
    "a percent sign in the host": "http://127%2E0.0.1:PORT",
    "a host that is not ASCII": "https://\uff11\uff12\uff17.0.0.1:PORT",
    "a host with an umlaut": "https://b\u00fccher.example",
    "a full stop that is none": "http://127\u30020\u30020\u30021:PORT",
    "no host": "http://:PORT",
    "no host at all": "https:///path",
    "no scheme": "127.0.0.1:PORT",
    "another scheme": "ftp://127.0.0.1:PORT",
    "a scheme without slashes": "http:127.0.0.1:PORT",
    "one slash": "http:/127.0.0.1:PORT",
    "port 0": "http://127.0.0.1:0",
    "a port with zeros before": "http://127.0.0.1:0080",
    "a port that is too high": "http://127.0.0.1:65536",
    "a port that is none": "http://127.0.0.1:http",
    "a negative port": "http://127.0.0.1:-1",
    "two ports": "http://127.0.0.1:PORT:PORT",
    "a short address": "http://127.1:PORT",
    "a number": "http://2130706433:PORT",
    "a hexadecimal number": "http://0x7f.1:PORT",
    "octal numbers": "http://0177.0.0.1:PORT",
    "zeros before": "http://127.000.000.001:PORT",
    "too many numbers": "http://127.0.0.1.5:PORT",
    "a number too high": "http://127.0.0.256:PORT",
    "a zone": "http://[fe80::1%25lo]:PORT",
    "an IPv6 address without brackets": "http://::1:PORT",
    "half a bracket": "http://[::1:PORT",
    "an IPv6 address of nothing": "http://[:::]:PORT",
    "a fragment": "http://127.0.0.1:PORT#@127.0.0.2",
    "plain to another computer": "http://192.0.2.1",
    "plain to a host that begins like ours": "http://127.0.0.1.example.com",
    "plain to a host that ends like ours": "http://evil.localhost.example.com",
    "plain to a name below localhost": "http://x.localhost:PORT",
    "plain to any address": "http://0.0.0.0:PORT",
    "plain to any IPv6 address": "http://[::]:PORT",
    "plain to ours, dressed as IPv6": "http://[::ffff:127.0.0.1]:PORT",
    "plain to a private address": "http://10.0.0.1:PORT",
}


@pytest.mark.parametrize("how", list(REFUSED))
def test_an_endpoint_that_could_be_read_in_two_ways(how: str) -> None:
    """Refused, and no message has a password in it."""
    with pytest.raises(Problem) as caught:
        check_url(REFUSED[how].replace("PORT", "8080"))
    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "https://sts.eu-west-1.amazonaws.com",
        "https://sts.eu-west-1.amazonaws.com:443/",
        "HTTPS://STS.Eu-West-1.AmazonAWS.com",
        "https://10.0.0.1/prefix/",
        "https://[2001:db8::1]:8443",
        "https://my_host.corp.example",
        "https://xn--bcher-kva.example",
        "https://bucket.s3.eu-west-1.amazonaws.com/a%20b@c/d?X-Amz-Signature=a%2Fb&c=~",
        "http://127.0.0.1:4566",
        "http://127.8.9.1",
        "http://localhost:4566/",
        "http://LOCALHOST:4566",
        "http://[::1]:4566",
    ],
)
def test_endpoints_as_people_have_them(url: str) -> None:
    """Encrypted, or on this computer."""
    check_url(url)


@pytest.mark.parametrize("where", ["environment", "profile", "services"])
@pytest.mark.parametrize("how", ["a backslash before an @", "user info", "a tab", "a short address", "a number"])
def test_nothing_is_sent_there(make_aws: Any, monkeypatch: Any, trap: Trap, how: str, where: str) -> None:
    """Wherever the endpoint is set: neither of the two addresses that it could mean is connected to."""
    url = REFUSED[how].replace("PORT", str(trap.port))
    lines = {
        "environment": "",
        "profile": f"endpoint_url = {url}\n",
        "services": f"services = mine\n[services mine]\niam =\n  endpoint_url = {url}\nsts =\n  endpoint_url = {url}\n",
    }
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(f"[profile work]\n{lines[where]}")
    if where == "environment":
        monkeypatch.setenv("AWS_ENDPOINT_URL_IAM", url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
    with pytest.raises(Problem, match=r"endpoint|AWS_ENDPOINT_URL"):
        IamAccount(make_aws(), "work").look([PAIR])
    assert trap.count == 0
