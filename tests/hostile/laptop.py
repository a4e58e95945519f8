"""A laptop whose every part is real but for its time: sleeping takes none, and AWS's clock goes with it."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from rotate_my_key.aws.client import Aws
from rotate_my_key.aws.connections import Limits
from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.aws.signin import MfaSessions, SigningStrategy
from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials
from rotate_my_key.core.policy import Policy
from rotate_my_key.keyring.store import LocalStaging
from rotate_my_key.profiles.file import ProfilePaths
from rotate_my_key.profiles.places import LocalPlaces
from rotate_my_key.rotation.engine import Waiter
from rotate_my_key.rotation.facts import LocalState
from rotate_my_key.rotation.ports import Ending
from rotate_my_key.rotation.prepare import RotateOptions
from rotate_my_key.rotation.run import Job, Run
from rotate_my_key.state.history import FileHistory
from rotate_my_key.state.notes import FileNotes
from tests.engine.computer import Yes
from tests.engine.fakes import FakeProgress
from tests.hostile.odd import Odd
from tests.standin import StandIn
from tests.standin.errors import Answer

HASTY = Limits(seconds=0.5)  # for answers that do not end: real time passes


@dataclass
class Ended:
    """How a run ended: exit codes, what was said, whether a key was replaced."""

    codes: list[int]
    said: list[str] = field(default_factory=list)
    rotated: bool = False
    fresh: bool = False


class _Time:
    """How much was slept on the laptop that is in use."""

    slept = 0.0
    sleeper: Callable[[float], None] = time.sleep

    def sleep(self, seconds: float) -> None:
        self.sleeper(seconds)

    def monotonic(self) -> float:
        return time.monotonic() + self.slept

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.slept)


_TIME = _Time()


@cache
def _way(url: str, limits: Limits) -> Aws:
    """The way to AWS; to make its clients anew for each laptop would take most of the time."""
    return Aws(
        os.environ,
        version="0",
        clock=_TIME.now,
        sleep=_TIME.sleep,
        monotonic=_TIME.monotonic,
        endpoint_url=url,
        limits=limits,
    )


class Laptop:
    """Alice's, with a key of so many days in one profile, and AWS beside it. Her IAM calls need MFA if `mfa`."""

    def __init__(self, home: Path, aws: StandIn, *, days: int = 98, mfa: bool = False) -> None:
        aws.all_well()
        aws.reset()
        _TIME.slept = 0.0
        aws.add_user("alice")
        self.aws = aws
        self.old = aws.add_key("alice", timedelta(days=days))
        self.mfa = aws.add_mfa("alice") if mfa else None
        if mfa:
            aws.demand_mfa("alice")
        self.given = False  # a code that came with the command
        self.file = home / "credentials"
        self.file.write_text(
            f"[default]\naws_access_key_id = {self.old.key_id}\naws_secret_access_key = {self.old.secret}\n"
        )
        self._state = home / "state"
        rotations = str(self._state / "rotations")
        self._here = LocalState(
            LocalPlaces(ProfilePaths(str(self.file), str(home / "config"))),
            LocalStaging(rotations),
            FileNotes(rotations),
            FileHistory(str(self._state / "history.jsonl")),
        )

    # Time and the person

    def sleep(self, seconds: float) -> None:
        """So many seconds pass, here and at AWS."""
        _TIME.slept += seconds
        self.aws.settings.clock_offset = _TIME.slept

    def code(self, whose: str, serial: str, complaint: str) -> str:
        """The next code of the device."""
        assert self.mfa
        return self.mfa.tick()

    def choose(self, user: str, serials: Sequence[str]) -> str:
        """The first."""
        return serials[0]

    # AWS misbehaves

    def answers(self, action: str, odd: Odd, times: int | None, skip: int = 0) -> None:
        """From now on that action is answered so."""
        self.aws.fault(action, "odd", "after", times, skip=skip, change=odd)

    def next_secret(self, secret: str) -> None:
        """The next key that is made has this secret, at AWS too."""

        def make(answer: Answer) -> Answer:
            for key in self.aws._front.world._past_and_present(self.aws._front.world.user("alice")):
                if key.id != self.old.key_id and key.pair.secret.encode() in answer.body:
                    body = answer.body.replace(key.pair.secret.encode(), secret.encode())
                    key.moto.secret_access_key = secret
                    return Answer(answer.status, answer.content_type, body)
            raise AssertionError("no key was made")

        self.aws.fault("CreateAccessKey", "odd", "after", 1, change=make)

    # Running

    def pair(self) -> Credentials:
        """What the profile holds."""
        values = dict(line.split(" = ", 1) for line in self.file.read_text().split("\n") if " = " in line)
        return Credentials(values["aws_access_key_id"], values["aws_secret_access_key"])

    def rotate(self, limits: Limits = Limits()) -> Ended:  # noqa: B008 - it is frozen
        """`rotate --yes`. Anything but a Problem is raised: the program would call it a fault of its own."""
        aws = _way(self.aws.url, limits)
        aws.clock.offset = timedelta(0)
        _TIME.sleeper = self.sleep
        account = IamAccount(
            aws,
            propagation_timeout=timedelta(seconds=5),  # of the laptop's time; but each poll takes real time
            proof_interval=timedelta(0),
            signing=SigningStrategy(MfaSessions(self) if self.mfa else None),
        )
        progress, waiter = FakeProgress(), Waiter(self.sleep, lambda: None)
        options = RotateOptions(Policy())
        run = Run(self._here, options, Yes(), nullcontext, lambda note: account, lambda note: progress, waiter)
        gc.disable()  # deep in an answer an earlier run's finalizers would have no stack left
        try:
            results = run.rotate([Job(("default",), self.pair, lambda: account, progress)])
        except Problem as problem:
            return Ended([problem.code], [problem.message])
        finally:
            gc.enable()
            aws.close()
        problems = [result.problem for result in results if result.problem]
        endings = [result.outcome.ending for result in results if result.outcome]
        return Ended(
            [problem.code for problem in problems] or [0],
            [problem.message for problem in problems],
            self.pair() != self.old,
            Ending.FRESH in endings,
        )

    # Looking

    def keys(self) -> dict[str, str]:
        """The keys that AWS has, with their status."""
        return {key.key_id: key.status for key in self.aws.keys("alice")}

    def works(self) -> bool:
        """The profile holds an active key with its very secret."""
        pair = self.pair()
        return self.keys().get(pair.key_id) == "Active" and self.aws.pair(pair.key_id) == pair

    def tidy(self) -> bool:
        """AWS has the profile's key and no other, and nothing is stored any more."""
        left = [path.name for path in (self._state / "rotations").glob("*")] if self._state.exists() else []
        return self.works() and len(self.keys()) == 1 and not left
