"""What the scheduler runs, how the system's schedulers are spoken to, and what came of the runs.

A scheduler starts programs with an environment of its own, so what moves files and connections is written down with the
job. Nothing secret is: a proxy's password stays out. Files that a scheduler reads (units, property lists) are written
only where they are ours or nobody's."""

from __future__ import annotations

import os
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from ..core.errors import Interrupted, Problem, TryLater, explain, shortage
from ..core.hints import quoted
from ..files.paths import Paths
from ..files.regular import read_regular
from ..files.write import make_folder, make_private_dir, read_private, remove_private, write_private
from ..state.records import Form

NAME = "rotate-my-key"
MARK = "made by `rotate-my-key schedule install`, removed by `rotate-my-key schedule uninstall`"
ROTATE = ("rotate", "--all", "--yes", "--quiet", "--keep-old", "7d")
KEPT_DAYS = 7
OVERLAP = "1d"  # unless somebody has set another: nobody is there to see what is running

# What moves our files, or the way to AWS. Settings (ROTATE_MY_KEY_...) belong into config.ini and are not among them.
_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}
_PROXIES = ("HTTPS_PROXY", "https_proxy")
_OTHERS = (
    *("XDG_CONFIG_HOME", "XDG_STATE_HOME", "NO_PROXY", "no_proxy", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
    *("AWS_DEFAULT_REGION", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS"),
)


def minute_of(seed: str) -> int:
    """The minute of each hour at which the computer of this seed has its turn: all of a company's at once would be
    throttled."""
    return zlib.crc32(seed.encode("utf-8", "surrogateescape")) % 60


class ScheduledJob(NamedTuple):
    """`program` is an absolute path that stays when the program is upgraded."""

    program: str
    environment: Mapping[str, str]

    def command(self) -> tuple[str, ...]:
        """All words of the command. Schedulers start it every hour: it rotates once a day, and what IT recalls."""
        return (self.program, "schedule", "run", "--daily", *ROTATE)


def make(program: str, env: Mapping[str, str], files: Mapping[str, str]) -> ScheduledJob:
    """The job as this environment has it. `files` are the absolute paths of "credentials" and "config". Raises Problem
    if something in it cannot stand in one line of a scheduler's file."""
    kept = {name: files[file] for name, file in _FILES.items() if name in env}
    kept |= {name: env[name] for name in (*_PROXIES, *_OTHERS) if env.get(name) and not _has_password(env, name)}
    for what, text in {"the program": program, **kept}.items():
        if not text.isprintable():
            raise Problem(f"{what} contains a line break or another control character: {text!r}", "move it elsewhere")
    return ScheduledJob(program, kept)


def this_job(env: Mapping[str, str], paths: Paths) -> ScheduledJob:
    """The job as it would be installed now. Raises Problem if this program was not installed."""
    return make(find_program(env, paths.home), env, {"credentials": paths.credentials, "config": paths.config})


def left_out(env: Mapping[str, str]) -> Sequence[str]:
    """The variables that the scheduled run would need and does not get."""
    return [name for name in _PROXIES if _has_password(env, name)]


def _has_password(env: Mapping[str, str], name: str) -> bool:
    return name in _PROXIES and "@" in env.get(name, "")


class Installation(NamedTuple):
    """What is there: the file or name in which it stands, when it runs next (None: not known), and what is wrong with
    it ("" for nothing)."""

    where: str
    next: datetime | None = None
    trouble: str = ""


_TIMEOUT = 30.0  # seconds
_MISSING = 127


class ProgramResult(NamedTuple):
    """How a program ended."""

    code: int
    out: bytes = b""
    err: bytes = b""

    @property
    def said(self) -> str:
        """The last line of what it complained about, for a message."""
        lines = (self.err or self.out).decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {self.code}")
        return "".join(letter if letter.isprintable() else "?" for letter in last)


class Commands:
    """Programs found in the PATH of an environment; they see that environment, and answer in English and in UTC."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = {**env, "LC_ALL": "C", "TZ": "UTC"}
        folders = env.get("PATH", os.defpath).split(os.pathsep)
        self._path = os.pathsep.join(folder for folder in folders if os.path.isabs(folder))

    def has(self, name: str) -> str | None:
        """Where there is such a program, if there is."""
        import shutil

        return shutil.which(name, path=self._path)

    def run(self, name: str, *words: str, folder: str | None = None, **env: str) -> ProgramResult:
        """Run it to its end, in that folder and with more variables. A program that is not there, or hangs, has a code
        other than 0. Raises TryLater where no process can be started just now."""
        import subprocess
        from tempfile import TemporaryFile

        program = self.has(name)
        if program is None:
            return ProgramResult(_MISSING, err=f"there is no program {name}".encode())
        try:
            with TemporaryFile() as out, TemporaryFile() as err:  # a pipe lasts as long as a child left behind
                done = subprocess.run(
                    [program, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=folder,
                    timeout=_TIMEOUT,
                    env={**self._env, **env},
                    check=False,
                )
                said = [(file.seek(0), file.read())[1] for file in (out, err)]
            return ProgramResult(done.returncode, *said)
        except subprocess.TimeoutExpired:
            why = f"gave no answer within {_TIMEOUT:.0f} seconds"
        except OSError as error:
            if scarce := shortage(error):
                raise scarce from None
            why = f"cannot be started: {(error.strerror or 'error').lower()}"
        return ProgramResult(_MISSING, err=f"{name} {why}".encode())


class Scheduler(ABC):
    """One scheduler of this user. Every verb may raise Problem: the scheduler refuses, or a file cannot be written."""

    title: str  # "a systemd user timer"
    program: tuple[str, ...]  # how it is spoken to: a program, and the words that always come first
    other = "installed for another program or other settings"

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    def usable(self) -> bool:
        """Whether this computer has it, and it answers."""
        return self._commands.has(self.program[0]) is not None

    @abstractmethod
    def install(self, job: ScheduledJob) -> bool:
        """Put the job in, or in place of an earlier one. Gives whether anything changed."""

    @abstractmethod
    def uninstall(self) -> bool:
        """Take it out, with all that `install` made. Gives whether there was anything; works without the scheduler."""

    @abstractmethod
    def installed(self, job: ScheduledJob | None = None) -> Installation | None:
        """What is there; None if nothing. With a job, `trouble` tells too if another one is there."""

    def _run(self, *words: str) -> ProgramResult:
        return self._commands.run(*self.program, *words)


_MOST = 1 << 16


def read_ours(path: str) -> bytes | None:
    """The content; None if it is not there or not of `schedule install`. Raises Problem if it cannot be read."""
    data = read_regular(path, most=_MOST) if os.path.lexists(path) else b""
    return data if MARK.encode() in data else None


def write_unit(path: str, text: bytes) -> bool:
    """Make or replace the file (0600). Gives whether it changed. Raises Problem if somebody else's file is there."""
    before = read_ours(path)
    if before == text:
        return False
    if before is None and os.path.lexists(path):
        raise Problem(
            f"{path} exists already, but `schedule install` did not create it",
            f"mv {quoted(path)} {quoted(f'{path}.old')}",
        )
    make_folder(os.path.dirname(path))
    write_private(os.path.realpath(path), text)
    return True


def remove_unit(path: str, top: str) -> bool:
    """Remove the file if it is ours, and the folders above it that are empty then, up to `top`, which stays."""
    gone = read_ours(path) is not None
    if gone:
        try:
            os.unlink(path)
        except OSError as error:
            raise explain(error, "remove", path) from None
    prune(os.path.dirname(path), top)
    return gone


def prune(folder: str, top: str) -> None:
    """Remove empty folders from this one upwards, below `top`."""
    with suppress(OSError):
        while folder.startswith(os.path.join(top, "")):
            os.rmdir(folder)
            folder = os.path.dirname(folder)


def find_program(env: Mapping[str, str], home: str, prefix: str = sys.prefix, platform: str = sys.platform) -> str:
    """The link or launcher that starts this very installation (`prefix` is its environment), absolute. install.sh makes
    a new environment for each version and a link that stays (~/.local/bin, PREFIX/bin); pipx and uv keep the
    environment. Raises Problem if this program was not installed."""
    name = f"{NAME}.exe" if platform == "win32" else NAME
    paths = [os.path.join(folder, name) for folder in _folders(env, home, prefix)]
    found = [path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)]
    if not found:
        raise Problem(f"cannot tell which program to start: {NAME} is not installed", "./install.sh")
    mine = os.path.join(os.path.realpath(prefix), "")
    leading = [path for path in found if os.path.realpath(path).startswith(mine)]
    links = [path for path in leading if not os.path.abspath(path).startswith(mine)]
    return (links or leading or found)[0]


def _folders(env: Mapping[str, str], home: str, prefix: str) -> Iterator[str]:
    for folder in env.get("PATH", "").split(os.pathsep):
        if os.path.isabs(folder):
            yield folder
    yield os.path.join(home, ".local", "bin")
    yield os.path.normpath(os.path.join(prefix, "..", "..", "..", "bin"))  # PREFIX/lib/rotate-my-key/venv-...
    yield os.path.join(prefix, "Scripts" if os.name == "nt" else "bin")


FILE = "schedule.json"
_AGAIN = (TryLater.code, Interrupted.code)  # the scheduler tries again by itself
_A_RUN = timedelta(minutes=10)
_A_DAY = timedelta(hours=20)  # less than a day, or a run a little late each time would skip one in the end


class Attempt(NamedTuple):
    """One run: when it ended (UTC), its exit code, and in words what came of it, with the next command if it failed."""

    at: datetime
    code: int
    message: str = ""
    hint: str = ""


class Runs(NamedTuple):
    """The latest run, and the latest that the scheduler does not try again by itself."""

    last: Attempt
    settled: Attempt | None


_RUNS = Form(Runs)


def load_runs(state_dir: str) -> Runs | None:
    """What is known; None if it never ran, or the file makes no sense (the next run writes it anew)."""
    try:
        return _RUNS.find(read_private(os.path.join(state_dir, FILE)))
    except Problem:
        return None


def keep_run(state_dir: str, attempt: Attempt) -> None:
    """Note a run. Raises Problem if it cannot be written."""
    before = load_runs(state_dir)
    attempt = attempt._replace(at=attempt.at.replace(microsecond=0))
    settled = attempt if attempt.code not in _AGAIN else before and before.settled
    make_private_dir(state_dir)
    write_private(os.path.join(state_dir, FILE), _RUNS.encode(Runs(attempt, settled)))


def forget_runs(state_dir: str) -> None:
    """Remove the file."""
    remove_private(os.path.join(state_dir, FILE))


def is_done(known: Runs | None, now: datetime) -> bool:
    """Whether today's run is over: it settled something less than a day ago."""
    return bool(known and known.settled and timedelta(0) <= now - known.settled.at < _A_DAY)


def has_answered(known: Runs | None, recall: datetime, ahead: timedelta) -> bool:
    """Whether a run has come to its end since IT recalled the key: then the next one is tomorrow's, whatever came of
    it. `ahead`: AWS's clock, which tells when that was, minus ours. A run may have begun just before."""
    return bool(known and known.settled and known.settled.at + ahead >= recall + _A_RUN)


def failure(known: Runs | None) -> Attempt | None:
    """What the reminder should speak of: the latest settled run, if it failed. 75 and 130 are tried again instead."""
    return known.settled if known and known.settled and known.settled.code else None
