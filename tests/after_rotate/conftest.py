"""A laptop whose settings have commands to run after a rotation, with AWS's stand-in beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rotation.conftest import Laptop, new_laptop
from tests.standin import StandIn


@pytest.fixture(scope="session")
def running() -> Iterator[StandIn]:
    """A stand-in that runs as long as the tests."""
    with StandIn() as standin:
        yield standin


@pytest.fixture
def laptop(tmp_path: Path, running: StandIn) -> Iterator[Laptop]:
    """A laptop whose key is due."""
    yield new_laptop(tmp_path / "home", running)
    running.all_well()


def settings(laptop: Laptop, text: str) -> Path:
    """Write config.ini."""
    file = laptop.home / ".config" / "rotate-my-key" / "config.ini"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    file.parent.parent.chmod(0o700)
    file.write_text(text)
    file.chmod(0o600)
    return file


def script(folder: Path, name: str, text: str) -> Path:
    """A program."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text)
    file.chmod(0o700)
    return file
