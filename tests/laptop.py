"""A laptop with one key, AWS's stand-in beside it, and the program as a real process between them."""

import json
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.core.model import Credentials
from tests import hints, warm
from tests.standin import Call, StandIn
from tests.warm import Process

AGE = timedelta(days=98)
PATIENCE = 60  # seconds after which a process counts as hanging

# Everything an editor must not touch: comments of both kinds, odd spacing, another user's profile, an unknown setting.
COMMENTED = """\
# my keys; do not lose them
; (a second kind of comment)

[default]
aws_access_key_id = {id}
aws_secret_access_key = {secret}
region=eu-west-1
# {{braces}}, tabs\tand trailing blanks

[other]
aws_access_key_id = AKIAOTHERSOMEBODY000
aws_secret_access_key = 0therSecret0therSecret0therSecret0therSe

[work]
\t# indented comment
aws_access_key_id={id}
aws_secret_access_key={secret}
s3 =
  max_concurrent_requests = 20

# the end"""


@dataclass(frozen=True)
class Finished:
    """A process that has ended; `code` is negative for a signal."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that was shown."""
        return self.out + self.err


@dataclass
class Laptop:
    """One person's computer. `old` is the key that was there at first, `original` the file's bytes then."""

    home: Path
    aws: StandIn
    old: Credentials
    original: bytes
    env: dict[str, str] = field(default_factory=dict)
    process: Process | None = None
    program: tuple[str, ...] = warm.COLD
    words: Sequence[str] = ()

    @property
    def file(self) -> Path:
        """The credentials file."""
        return self.home / ".aws" / "credentials"

    @property
    def state(self) -> Path:
        """The state dir."""
        return self.home / ".local" / "state" / "rotate-my-key"

    @property
    def rotations(self) -> Path:
        """Where notes and staged records are."""
        return self.state / "rotations"

    # Running

    def command(self, args: Sequence[str]) -> list[str]:
        """What a shell would run; plain and consenting unless told otherwise."""
        return [*self.program, *(args or ("--yes",))]

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """A login's environment; nothing of the tests' own leaks in."""
        base = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.aws.url,
            "ROTATE_MY_KEY_PROOF_INTERVAL": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "LC_ALL": "C.UTF-8",
        }
        return {k: v for k, v in {**base, **self.env, **(env or {})}.items() if v != "(unset)"}

    def start(self, *args: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()) -> Process:
        """Start the program; `before` is put in front of it (strace, unshare)."""
        command, self.words = self.command(args), args
        if before or self.program != warm.COLD:
            self.process = warm.cold([*before, *command], self.environment(env))
        else:
            self.process = warm.start(command[len(self.program) :], self.environment(env))
        return self.process

    def run(self, *args: str, env: Mapping[str, str] | None = None, before: Sequence[str] = ()) -> Finished:
        """Run the program to its end, whatever that is."""
        return self.end(self.start(*args, env=env, before=before))

    def end(self, process: Process) -> Finished:
        """Wait for a process that was started; one that hangs is killed and fails the test."""
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"it hangs:\n{out}{err}") from None
        assert process.returncode is not None
        if process.returncode < 0:
            self.aws.settle()
        hints.check(self.words, err)
        return Finished(process.returncode, out, err)

    def signal(self, number: int = signal.SIGKILL) -> None:
        """Send the running process a signal; after SIGKILL it is gone when this returns."""
        assert self.process is not None
        os.kill(self.process.pid, number)
        if number == signal.SIGKILL:
            wait_for_end(self.process.pid)

    def at(self, action: str, nth: int, do: Callable[[Call], object], when: str = "before") -> None:
        """Call `do` when the `nth` call (from 1) of an action arrives, or before it is answered."""
        seen = 0
        lock = threading.Lock()

        def tell(call: Call) -> None:
            nonlocal seen
            with lock:
                seen += 1
                mine = seen == nth
            if mine:
                do(call)

        self.aws.on_call(tell, when, action)  # type: ignore[arg-type]

    def calm(self, later: float = 0) -> None:
        """Faults are over, and so many seconds have passed at AWS."""
        self.aws.all_well()
        self.aws.settings.clock_offset += later

    def time_flies(self) -> None:
        """From now on some seconds pass at AWS with each list of keys, so that looking again and again is soon over."""

        def pass_time(call: Call) -> None:
            self.aws.settings.clock_offset += 8

        self.aws.on_call(pass_time, "before", "ListAccessKeys")

    # Looking

    def pair(self, profile: str = "default") -> Credentials:
        """The pair in the file, read by nobody's code but these lines."""
        values: dict[str, str] = {}
        section = ""
        for line in self.file.read_bytes().decode(errors="replace").split("\n"):
            text = line.strip()
            if text.startswith("["):
                section = text.strip("[]")
            elif section == profile and "=" in text and not text.startswith(("#", ";")):
                name, _, value = text.partition("=")
                values[name.strip()] = value.strip()
        return Credentials(values["aws_access_key_id"], values["aws_secret_access_key"])

    def put_in(self, pair: Credentials) -> None:
        """What `aws configure` does, for both profiles: other values, from now on."""
        mine = self.pair()
        data = self.file.read_bytes().replace(mine.key_id.encode(), pair.key_id.encode())
        self.file.write_bytes(data.replace(mine.secret.encode(), pair.secret.encode()))

    def bobs_key(self, age: timedelta = AGE) -> Credentials:
        """A key of somebody else in the same account."""
        self.aws.add_user("bob")
        return self.aws.add_key("bob", age=age)

    def stored(self) -> set[str]:
        """The ids of alice's keys that are still there and whose secret is in the state folder."""
        data = b"".join(path.read_bytes() for path in self.rotations.glob("*"))
        keys = [self.aws.pair(key.key_id) for key in self.aws.keys("alice")]
        return {pair.key_id for pair in keys if pair.secret.encode() in data}

    def works(self, *profiles: str) -> Credentials:
        """Each profile names a key that is Active at AWS, with its very secret; gives the first's."""
        for profile in profiles or ("default", "work"):
            pair = self.pair(profile)
            status = {key.key_id: key.status for key in self.aws.keys("alice")}
            assert status.get(pair.key_id) == "Active", f"[{profile}] names {pair.key_id}, AWS has {status}"
            assert self.aws.pair(pair.key_id) == pair, f"[{profile}] has a wrong secret"
        return self.pair((profiles or ("default",))[0])

    def files(self) -> dict[str, bytes]:
        """Every file under the home, by its path from there."""
        found = (p for p in self.home.rglob("*") if p.is_file() and not p.is_symlink())
        return {str(p.relative_to(self.home)): p.read_bytes() for p in found}

    def leftovers(self) -> list[str]:
        """Files that a finished run must not leave."""
        fine = {".aws/credentials"} | {
            f".local/state/rotate-my-key/{name}"
            for name in ("lock", "history.jsonl", "status.json", "reminder/state", "reminder/due")
        }
        return sorted(set(self.files()) - fine)

    def secrets(self) -> list[str]:
        """The secrets of every key that alice ever had."""
        keys = self.aws._front.world._past_and_present(self.aws._front.world.user("alice"))
        return [key.pair.secret for key in keys]

    def history(self) -> list[dict[str, object]]:
        """The lines of the history."""
        path = self.state / "history.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def unchanged_but_for_the_pair(self) -> None:
        """A byte diff of the file shows the two values and nothing else."""
        now, pair = self.file.read_bytes(), self.pair()
        back = now.replace(pair.key_id.encode(), self.old.key_id.encode())
        assert back.replace(pair.secret.encode(), self.old.secret.encode()) == self.original

    def tidy(self) -> None:
        """Nothing is left behind, and no secret is anywhere but in the profile file."""
        assert self.leftovers() == []
        for name, data in self.files().items():
            if not name.startswith(".aws/"):
                found = [secret for secret in self.secrets() if secret.encode() in data]
                assert not found, f"a secret rests in {name}"
        if self.state.exists():
            assert stat.S_IMODE(self.state.stat().st_mode) == 0o700
            for path in self.state.rglob("*"):
                assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path

    def age_temporaries(self) -> None:
        """An hour passes for whatever a killed run has left half-written."""
        for path in self.home.rglob(".rotate-my-key.*.tmp"):
            os.utime(path, (time.time() - 3600,) * 2)

    def settled(self, *, runs: int = 1, codes: Sequence[int] = (0,), rotated: bool | None = True) -> list[Finished]:
        """The next plain runs end well, and then all is as after a rotation that nothing disturbed."""
        self.age_temporaries()
        done = [self.run() for _ in range(runs)]
        told = "\n".join(f"exit {each.code}\n{each.text}" for each in done)
        assert done[-1].code == 0, told
        assert all(each.code in codes for each in done[:-1]), told
        pair = self.works()
        assert [key.key_id for key in self.aws.keys("alice")] == [pair.key_id], told
        self.unchanged_but_for_the_pair()
        self.tidy()
        lines = [(line["action"], line["old"], line["new"]) for line in self.history()]
        assert len(lines) == len(set(lines)), f"the history repeats itself: {lines}"
        if rotated is not None:
            assert (pair.key_id != self.old.key_id) is rotated, told
        return done


def wait_for_end(pid: int) -> None:
    """Until the process runs no more, whoever asks how it ended."""
    while not _gone(pid):
        time.sleep(0.001)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def sampled(rows: Iterable[str], *usual: str) -> list[Any]:
    """The rows of a table as parameters: those named go into the default run, the others are slow."""
    names = list(rows)
    assert set(usual) <= set(names), set(usual) - set(names)
    return [pytest.param(name, marks=[] if name in usual else pytest.mark.slow) for name in names]


def new_laptop(home: Path, aws: StandIn, *, crlf: bool = False, text: str = COMMENTED, mode: int = 0o600) -> Laptop:
    """A fresh home whose credentials file has one pair in two profiles, 98 days old; `aws` is emptied."""
    aws.reset()
    aws.add_user("alice")
    old = aws.add_key("alice", age=AGE)
    folder = home / ".aws"
    folder.mkdir(parents=True)
    data = text.format(id=old.key_id, secret=old.secret).encode()
    data = data.replace(b"\n", b"\r\n") if crlf else data
    (folder / "credentials").write_bytes(data)
    (folder / "credentials").chmod(mode)
    return Laptop(home, aws, old, data)
