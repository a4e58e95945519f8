"""Programs that are running while their key is rotated by a run that is killed, and put back: boto3, `aws` in a loop
and the JavaScript SDK, each calling AWS every 100 ms, and how many of these calls failed.

Spans that are minutes are made seconds where a program may do so: the programs ask again 3 seconds after an answer that
expires as usual (see `caller.py`, `caller.mjs`), and once they have, each note is made older by the time that
it waits. All else is real: this program, its answers, its notes, the SDKs, and every clock that signs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from rotate_my_key.cli.credentials import SPARE
from rotate_my_key.core.policy import LIVE, LIVE_SOON
from tests.keyring.conftest import AWS, ROTATE, KeyringLaptop, new_server
from tests.keyring.test_real_keyring import PLAIN, STORE
from tests.standin import StandIn

HERE = Path(__file__).parent
AFTER = 3  # seconds after which a program asks again
_JS_WINDOW = 300


class Caller:
    """A program, and what it said."""

    def __init__(self, name: str, command: Sequence[str], laptop: KeyringLaptop, folder: Path, cwd: Path) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=laptop.environment(), cwd=cwd, stdout=log, stderr=subprocess.DEVNULL
            )

    def lines(self) -> list[str]:
        """A line a call."""
        return self._log.read_text().splitlines()

    def failed(self) -> list[str]:
        """Those that failed."""
        return [line for line in self.lines() if line.startswith("failed")]

    def goes_on(self) -> None:
        """Wait for two more calls, so that what comes next finds it at work."""
        before, until = len(self.lines()), time.monotonic() + 120
        while len(self.lines()) < before + 2:
            if time.monotonic() > until or self._process.poll() is not None:
                raise AssertionError(f"{self.name} has stopped: {self.lines()[-3:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """It ends."""
        self._process.kill()
        self._process.wait()


@contextmanager
def callers(laptop: KeyringLaptop, folder: Path, node: Path | None, *, live: bool) -> Iterator[list[Caller]]:
    """The programs, each at work. `node` is a folder with the JavaScript SDK."""
    call = f"{AWS} sts get-caller-identity --profile work >/dev/null"
    script = f"while :; do {call} && echo ok || echo failed; sleep 0.1; done"
    ahead = str(round((LIVE.total_seconds() - SPARE - _JS_WINDOW - AFTER) * 1000))
    commands = {
        "boto3": [sys.executable, "-m", "tests.bench.caller", "work", *([str(AFTER)] if live else [])],
        "aws": ["sh", "-c", script],
        **({"JavaScript": ["node", "caller.mjs", "work", *([ahead] if live else [])]} if node else {}),
    }
    made: list[Caller] = []
    try:
        for name, command in commands.items():
            cwd = node if node and name == "JavaScript" else HERE.parents[1]
            made.append(Caller(name, command, laptop, folder, cwd))
        for each in made:
            each.goes_on()
        yield made
    finally:
        for each in made:
            each.stop()


def javascript(folder: Path) -> Path | None:
    """Install the JavaScript SDK there; None, said loudly, where that cannot be."""
    if not shutil.which("npm"):
        print("NO NPM HERE: the JavaScript SDK is NOT tried")
        return None
    shutil.copy(HERE / "caller.mjs", folder)
    packages = ("@aws-sdk/client-sts@3", "@aws-sdk/credential-providers@3")
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", *packages], cwd=folder, capture_output=True)
    if done.returncode:
        print("NPM CANNOT INSTALL IT HERE: the JavaScript SDK is NOT tried")
        return None
    return folder


def through_it_all(laptop: KeyringLaptop, programs: Sequence[Caller], *, live: bool) -> None:
    """A rotation that is killed, and finished; with a live profile it ends, the next one is kept and undone. That ends
    too, and one key is left. With a plain file the overlap goes on: it ends for what runs by a new start alone."""

    def run(*args: str, code: int = 0) -> None:
        done = laptop.run(*args)
        assert done.code == code, done.text
        for each in programs:
            each.goes_on()

    def ended(span: timedelta) -> None:
        time.sleep(2 * AFTER)
        for each in programs:
            each.goes_on()
        laptop.time_passes(span)
        run(*ROTATE)

    overlap = () if live else ("--overlap", "10m")
    laptop.at("CreateAccessKey", 1, lambda call: laptop.signal(), "after")
    run(*ROTATE, *overlap, code=-9)
    run(*ROTATE, *overlap)
    if live:
        ended(LIVE)
        run(*ROTATE, "--force", "--keep-old", "1d")
        run("undo", "--yes")
        ended(LIVE_SOON)
        assert len(laptop.aws.keys("alice")) == 1


def running() -> None:
    """Print how many calls each program made and how many failed: with a live profile, in a keyring that is a file; and
    with a profile in the credentials file, within an overlap."""
    with tempfile.TemporaryDirectory() as made:
        node = Path(made) / "js"
        node.mkdir()
        js = javascript(node)
        print(f"\n{'Programs that are running':38}{'calls':>8}{'failed':>8}  limit")
        for what, live in (("live profile", True), ("plain file", False)):
            with StandIn() as aws:
                laptop = new_server(Path(made) / what, aws, text=PLAIN)
                assert not live or laptop.run(*STORE).code == 0
                with callers(laptop, Path(made) / what, js, live=live) as programs:
                    through_it_all(laptop, programs, live=live)
            for each in programs:
                print(f"  {f'{what}, {each.name}':36}{len(each.lines()):>8}{len(each.failed()):>8}  0")
                print(*(f"    {line}" for line in each.failed()[:3]), sep="\n", end="")
