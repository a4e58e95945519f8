"""For all tests: AWS's stand-in, and a laptop beside it. Both are loaded when a test asks for them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.standin import StandIn

if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # started by nohup or in the background, children would ignore it

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def running() -> Iterator[StandIn]:
    """A stand-in that runs as long as the tests."""
    from tests.standin import StandIn

    with StandIn() as standin:
        yield standin


@pytest.fixture
def laptop(tmp_path: Path, running: StandIn) -> Iterator[Laptop]:
    """A laptop whose key is due, in two profiles."""
    from tests.laptop import new_laptop

    made = new_laptop(tmp_path / "home", running)
    yield made
    running.all_well()
    if made.process is not None and made.process.poll() is None:
        os.killpg(made.process.pid, signal.SIGKILL)
        made.process.wait()
