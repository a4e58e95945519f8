"""For all tests: AWS's stand-in, and a laptop beside it. Both are loaded when a test asks for them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import is_hypothesis_test, settings

if TYPE_CHECKING:
    from tests.laptop import Laptop
    from tests.standin import StandIn

# Asserts are rewritten once, not by each process of each run, whatever is said of bytecode: it is half of collecting.
sys.dont_write_bytecode, sys.pycache_prefix = False, str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")

if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # started by nohup or in the background, children would ignore it

# A busy machine is no fault of the code: nothing has a deadline.
settings.register_profile("sample", deadline=None, max_examples=20)
settings.register_profile("whole", deadline=None, max_examples=100)


def pytest_configure(config: pytest.Config) -> None:
    """What hypothesis makes up is a sample, and among the slow tests the whole."""
    settings.load_profile("whole" if config.option.markexpr == "slow" else "sample")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: much of a test is waiting."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every test of hypothesis is among the slow ones too; `-k nothing` runs none, whatever their names."""
    if config.option.keyword == "nothing":
        config.hook.pytest_deselected(items=items)
        items.clear()
    for item in items if config.option.markexpr == "slow" else ():
        if is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of whoever runs the tests is read in this process, nor any AWS file."""
    for name in list(os.environ):
        if name.upper().startswith(("AWS_", "HTTP", "NO_PROXY", "ALL_PROXY", "REQUESTS_", "SSL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


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
