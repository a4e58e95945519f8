"""A laptop as in tests/rotation, whose key has both signs that formats spell in their own ways."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rotation.conftest import AGE, Laptop, new_laptop
from tests.standin import StandIn


@pytest.fixture(scope="session")
def running() -> Iterator[StandIn]:
    """A stand-in that runs as long as the tests."""
    with StandIn() as standin:
        yield standin


@pytest.fixture
def laptop(tmp_path: Path, running: StandIn) -> Iterator[Laptop]:
    """A laptop whose key is due, in two profiles."""
    made = new_laptop(tmp_path / "home", running)
    pair = made.old
    while not {"/", "+"} <= set(pair.secret):
        running.delete_key(pair.key_id)
        pair = running.add_key("alice", age=AGE)
    data = made.original.replace(made.old.key_id.encode(), pair.key_id.encode())
    made.original = data.replace(made.old.secret.encode(), pair.secret.encode())
    made.file.write_bytes(made.original)
    made.old = pair
    yield made
    running.all_well()
    if made.process is not None and made.process.poll() is None:
        os.killpg(made.process.pid, signal.SIGKILL)
        made.process.wait()
