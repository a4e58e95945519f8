"""Two runs at once would tell everybody twice: the second waits for the first, and plans only then."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rotate_my_key.cli.app import App
from rotate_my_key.cli.fleet.common import alone
from rotate_my_key.core.errors import TryLater
from rotate_my_key.files.private import Lock
from tests.fleet.enforce.conftest import Firm
from tests.fleet.enforce.test_commands import RULES


@click.command("enforce")
@click.option("--apply", is_flag=True)
@click.pass_obj
def command(app: App, /, apply: bool) -> None:
    """Takes the lock, and does not wait long."""
    alone(app, 0.1)
    click.echo("at work")


def looks(firm: Firm) -> int:
    """How many lists were asked for."""
    return sum(call.action.startswith("List") for call in firm.aws.calls)


@pytest.mark.slow
@pytest.mark.parametrize("words", [("enforce", "--apply", "--yes"), ("remind", "--yes")], ids=["enforce", "remind"])
def test_the_second_waits_for_the_first(firm: Firm, words: tuple[str, ...]) -> None:
    """It says so, and goes on as soon as it may."""
    firm.settings(RULES.format(account=firm.aws.account))
    firm.it.run("fleet", words[0], *(["--dry-run"] if words[0] == "remind" else []))  # what is imported is imported
    firm.it.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = looks(firm)
    lock = Lock(str(firm.it.state / "fleet.lock"), 1)
    lock.__enter__()
    calls: list[int] = []

    def release() -> None:
        time.sleep(1.5)
        calls.append(looks(firm) - before)
        lock.__exit__(None, None, None)

    thread = threading.Thread(target=release)
    thread.start()
    done = firm.it.run("fleet", *words)
    thread.join()
    assert (done.code, calls) == (0, [0]), done.text
    assert "another fleet run is at work; waiting for it" in done.text


@pytest.mark.parametrize("words", [("enforce",), ("remind", "--dry-run")], ids=["enforce", "remind"])
def test_who_only_looks_waits_for_nobody(firm: Firm, words: tuple[str, ...]) -> None:
    """Nothing is done and nobody told."""
    firm.settings(RULES.format(account=firm.aws.account))
    firm.it.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with Lock(str(firm.it.state / "fleet.lock"), 1):
        done = firm.it.run("fleet", *words)
    assert done.code == 0, done.text
    assert "waiting" not in done.text


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    """Exit 75, and the hint is the command itself; afterwards the lock is free."""
    app = App({"HOME": str(tmp_path)})
    Path(app.paths.state_dir).mkdir(parents=True, mode=0o700)
    with Lock(str(Path(app.paths.state_dir) / "fleet.lock"), 1):
        found = CliRunner().invoke(command, ["--apply"], obj=app, prog_name="rotate-my-key fleet enforce")
    assert isinstance(found.exception, TryLater)
    assert found.exception.hint == "rotate-my-key fleet enforce --apply"
    for _ in range(2):
        assert CliRunner().invoke(command, ["--apply"], obj=app).output == "at work\n"
