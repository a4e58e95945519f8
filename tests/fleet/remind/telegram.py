"""Telegram as far as it can be had without Telegram: its host is fixed in apprise, so a proxy on loopback takes the
place of the way there and answers for `api.telegram.org`, with a certificate of an authority of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.aws.authority import Authority
from tests.partitions.conftest import Proxy
from tests.web import Asked, serve


@dataclass
class Telegram:
    """What arrived, and what is answered. `environment` leads requests there."""

    environment: dict[str, str]
    asked: list[Asked]
    answer: tuple[int, dict[str, Any]] = (200, {"ok": True, "result": {"message_id": 1}})

    @property
    def requests(self) -> list[tuple[str, Any]]:
        """Path and JSON of each request."""
        assert {each.headers["Host"] for each in self.asked} <= {"api.telegram.org"}
        return [(each.path, json.loads(each.body)) for each in self.asked]


@contextmanager
def telegram(folder: Path) -> Iterator[Telegram]:
    """Listens on loopback."""
    with serve(lambda path: (found.answer[0], json.dumps(found.answer[1]).encode())) as web:
        authority = Authority(folder)
        with Proxy(authority, web.port) as proxy:
            network = {"HTTPS_PROXY": proxy.url, "NO_PROXY": "127.0.0.1,localhost"}
            found = Telegram({**network, "REQUESTS_CA_BUNDLE": str(authority.bundle)}, web.asked)
            yield found
            proxy.shutdown()
