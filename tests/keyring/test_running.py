"""Programs that are running on a server without a desktop follow a rotation: boto3 and the aws command."""

import os
from pathlib import Path

import pytest

from tests.bench.running import callers, through_it_all
from tests.keyring.conftest import new_server
from tests.keyring.test_real_keyring import PLAIN, STORE
from tests.standin import StandIn


@pytest.mark.slow
@pytest.mark.parametrize("live", [True, False], ids=["live profile", "plain file, within the overlap"])
def test_no_call_fails(tmp_path: Path, running: StandIn, live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a rotation, an undo, and a run that is killed and resumed; what is simulated stands in the bench."""
    laptop = new_server(tmp_path / "home", running, text=PLAIN)
    monkeypatch.setitem(os.environ, "KEPT_IN", str(laptop.kept))
    assert not live or laptop.run(*STORE).code == 0
    with callers(laptop, tmp_path, None, live=live) as programs:
        through_it_all(laptop, programs, live=live)
    assert {each.name: each.failed() for each in programs} == {"boto3": [], "aws": []}
