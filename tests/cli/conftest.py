"""A person at a desk: a home, profile files, AWS's stand-in, and `rotate-my-key` to type.

`run` is for what needs no terminal: the program in this process, with an environment of its own and no stdin.
`terminal` is for what does.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.cli.main import run as run_program
from rotate_my_key.core.model import Credentials
from tests import hints, warm
from tests.cli.terminal import Screen, Terminal
from tests.laptop import Finished
from tests.standin import StandIn

OLD = timedelta(days=98)


class Done(Finished):
    """How a run ended."""

    @property
    def json(self) -> Any:
        """Stdout, which must be one JSON object and nothing else."""
        return json.loads(self.out)

    def problem(self) -> tuple[str, str]:
        """The one error and its hint: two lines, the last that were said."""
        *_, error, hint = ["", *self.err.splitlines()]
        assert self.err.count("error: ") == 1, self.text
        assert error.startswith("error: "), self.text
        assert hint.startswith("hint: "), self.text
        return error.removeprefix("error: "), hint.removeprefix("hint: ")


@dataclass
class Desk:
    """One person's computer, with AWS beside it."""

    home: Path
    aws: StandIn
    capsys: pytest.CaptureFixture[str]
    env: dict[str, str] = field(default_factory=dict)

    # Files

    @property
    def credentials(self) -> Path:
        """~/.aws/credentials."""
        return self.home / ".aws" / "credentials"

    @property
    def config(self) -> Path:
        """~/.aws/config."""
        return self.home / ".aws" / "config"

    @property
    def state(self) -> Path:
        """The state dir."""
        return self.home / ".local" / "state" / "rotate-my-key"

    def settings(self, text: str) -> None:
        """Write config.ini."""
        file = self.home / ".config" / "rotate-my-key" / "config.ini"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def profiles(self, **pairs: Credentials) -> None:
        """Add profiles to the credentials file, each with a pair."""
        self.add("".join(f"[{name}]\n{lines(pair)}" for name, pair in pairs.items()))

    def add(self, text: str, file: Path | None = None) -> None:
        """Append to the credentials file, or to another."""
        file = file or self.credentials
        file.parent.mkdir(exist_ok=True)
        with file.open("a") as opened:
            opened.write(text)
        file.chmod(0o600)

    def held(self, profile: str = "default") -> str:
        """The key id in a profile of the credentials file."""
        found = re.search(rf"\[{profile}\][^\[]*aws_access_key_id *= *(\w+)", self.credentials.read_text())
        assert found
        return found[1]

    def snapshot(self) -> dict[str, tuple[bytes, int]]:
        """Every file in the home: bytes and mode."""
        return {
            str(p.relative_to(self.home)): (p.read_bytes(), p.stat().st_mode)
            for p in self.home.rglob("*")
            if p.is_file()
        }

    def ids(self, user: str = "alice") -> dict[str, str]:
        """A user's keys at AWS: their status by id."""
        return {key.key_id: key.status for key in self.aws.keys(user)}

    @property
    def changes(self) -> list[str]:
        """The calls that changed something at AWS."""
        return [
            c.action for c in self.aws.calls if c.action in ("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey")
        ]

    # Running

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """What the program sees; a value of "(unset)" takes a name out."""
        base = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.aws.url,
            "ROTATE_MY_KEY_PROOF_INTERVAL": "0",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }
        return {name: value for name, value in {**base, **self.env, **env}.items() if value != "(unset)"}

    def run(self, *words: str, **env: str) -> Done:
        """Run it without a terminal."""
        self.capsys.readouterr()
        with _alone(self.environment(env)):
            code = run_program(list(words), os.environ)
        shown = self.capsys.readouterr()
        hints.check(words, shown.err)
        return Done(code, *shown)

    def process(self, *words: str, **env: str) -> Done:
        """Run it as a process of its own, without a terminal."""
        done = warm.run(words, self.environment(env))
        hints.check(words, done.stderr)
        return Done(done.returncode, done.stdout, done.stderr)

    def terminal(self, *words: str, width: int = 100, **env: str) -> Terminal:
        """Run it in a terminal."""
        return Terminal(words, self.environment(env), self.home, width)

    def shown(self, *words: str, **env: str) -> Screen:
        """Run it in a terminal where it asks nothing."""
        return self.terminal(*words, **env).end()


def lines(pair: Credentials) -> str:
    """A pair as the lines of a profile."""
    return f"aws_access_key_id = {pair.key_id}\naws_secret_access_key = {pair.secret}\n"


@contextmanager
def _alone(env: Mapping[str, str]) -> Iterator[None]:
    """Nothing of whoever runs the tests is seen: botocore reads os.environ itself."""
    before, stdin = dict(os.environ), sys.stdin
    os.environ.clear()
    os.environ.update(env)
    with open(os.devnull) as nobody:
        sys.stdin = nobody
        try:
            yield
        finally:
            sys.stdin = stdin
            os.environ.clear()
            os.environ.update(before)


@pytest.fixture
def empty(tmp_path: Path, running: StandIn, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """A home without anything in it; AWS has a user alice."""
    running.reset()
    running.add_user("alice")
    home = tmp_path / "home"
    home.mkdir()
    yield Desk(home, running, capsys)
    running.all_well()


@pytest.fixture
def old(empty: Desk) -> Credentials:
    """Alice's key, 98 days old."""
    return empty.aws.add_key("alice", OLD)


@pytest.fixture
def desk(empty: Desk, old: Credentials) -> Desk:
    """A home with alice's old key in two profiles."""
    empty.add("# mine\n")
    empty.profiles(default=old, work=old)
    return empty


@pytest.fixture
def make_key(empty: Desk) -> Callable[..., Credentials]:
    """Make a key for a user, who is made if need be: `make_key("bob", days=3)`."""
    known = {"alice"}

    def make(user: str = "alice", days: int = 98, status: str = "Active", **tags: str) -> Credentials:
        if user not in known:
            known.add(user)
            empty.aws.add_user(user, tags={name.replace("_", "-"): value for name, value in tags.items()})
        return empty.aws.add_key(user, timedelta(days=days), status)

    return make
