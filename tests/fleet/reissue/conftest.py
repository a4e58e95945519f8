"""An office for each test; the stand-in runs as long as the tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standin import StandIn

from .office import Office, new_office


@pytest.fixture
def office(tmp_path: Path, running: StandIn, capsys: pytest.CaptureFixture[str]) -> Iterator[Office]:
    """Secrets Manager."""
    yield new_office(tmp_path, running, capsys)
    running.all_well()


@pytest.fixture
def bucket(tmp_path: Path, running: StandIn, capsys: pytest.CaptureFixture[str]) -> Iterator[Office]:
    """S3."""
    yield new_office(tmp_path, running, capsys, "s3")
    running.all_well()
