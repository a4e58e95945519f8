"""The program as a real process that begins with its modules loaded: loading them is most of what a run costs.

A server loads them once and runs nothing itself. For each run it forks: a process with an environment, a session and
streams or a terminal of its own, which can be signalled and killed like any other. It starts cold where starting is
the point: under strace, with another locale, and where a fork cannot be trusted (macOS, Windows).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, TextIO

ROOT = Path(__file__).resolve().parents[1]
COLD = (sys.executable, "-m", "rotate_my_key")
_LONGEST = 1 << 20  # bytes of a request: arguments and environment
BASE = {"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
_SETTINGS = {"PYTHONUTF8", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONWARNINGS"}  # what Python reads as it starts


class Warm:
    """A run, with the verbs of a `subprocess.Popen` whose streams are pipes."""

    def __init__(self, pid: int, end: socket.socket, out: TextIO, err: TextIO) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout, self.stderr = out, err
        self._end = end

    def poll(self) -> int | None:
        """How it ended, None while it runs."""
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        code = self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("rotate-my-key", timeout or 0)
        return code

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it still says, and its end. Raises subprocess.TimeoutExpired, and may be called again then."""
        until = None if timeout is None else time.monotonic() + timeout
        left = [stream for stream in (self.stdout, self.stderr) if not stream.closed]
        said = dict.fromkeys(left, b"")
        while left:
            ready, _, _ = select.select(left, [], [], None if until is None else max(0, until - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired("rotate-my-key", timeout or 0)
            for stream in ready:
                data = os.read(stream.fileno(), 65536)
                said[stream] += data
                if not data:
                    left.remove(stream)
        texts = [said.get(stream, b"").decode() for stream in (self.stdout, self.stderr)]
        self.stdout.close()
        self.stderr.close()
        self.wait(None if until is None else max(0.0, until - time.monotonic()))
        return texts[0], texts[1]

    def _wait(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._end], [], [], timeout)[0]:
            self.returncode = int(self._end.recv(64))
            self._end.close()
        return self.returncode


Process = Warm | subprocess.Popen[str]


def cold(command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start any command in the same way."""
    return subprocess.Popen(
        command,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _can(env: Mapping[str, str]) -> bool:
    """Whether a run with this environment may begin warm."""
    return sys.platform == "linux" and env.items() >= BASE.items() and not _SETTINGS.intersection(env)


def start(args: Sequence[str], env: Mapping[str, str]) -> Process:
    """Start the program, in a session of its own and with nobody at stdin."""
    if not _can(env):
        return cold([*COLD, *args], env)
    out, out_there = os.pipe()
    err, err_there = os.pipe()
    with open(os.devnull) as nobody:
        pid, end = _begin(args, env, str(ROOT), (nobody.fileno(), out_there, err_there))
    os.close(out_there)
    os.close(err_there)
    return Warm(pid, end, os.fdopen(out), os.fdopen(err))


def run(args: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the program of this checkout to its end."""
    process = start(args, {**BASE, "PYTHONPATH": str(ROOT), **env})
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(args, process.wait(), out, err)


def in_terminal(args: Sequence[str], env: Mapping[str, str], cwd: str, columns: int) -> tuple[Process, int]:
    """Start the program in a terminal of 40 lines; gives its other side, too."""
    import termios

    def enter() -> None:
        os.login_tty(there)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # in the background of a script it is ignored

    here, there = os.openpty()
    termios.tcsetwinsize(there, (40, columns))
    process: Process
    if _can(env):
        pid, end = _begin(args, env, cwd, (there,))
        process = Warm(pid, end, io.StringIO(), io.StringIO())
    else:
        process = subprocess.Popen([*COLD, *args], env=env, cwd=cwd, preexec_fn=enter)
    os.close(there)
    return process, here


def _begin(
    args: Sequence[str], env: Mapping[str, str], cwd: str, streams: tuple[int, ...]
) -> tuple[int, socket.socket]:
    """Have it started with these streams, or with a terminal: its process, and where its end will be told."""
    end, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = json.dumps([list(args), dict(env), cwd]).encode()
    socket.send_fds(_Server.here().connection, [request], [*streams, there.fileno()])
    there.close()
    return int(end.recv(64)), end


class _Server:
    """The process that forks; one for all tests of this one."""

    _running: _Server | None = None

    def __init__(self) -> None:
        self.connection, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"from tests.warm import serve; serve({there.fileno()})"],
            cwd=ROOT,
            env={**BASE, "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            pass_fds=[there.fileno()],
            start_new_session=True,
        )
        there.close()
        atexit.register(self.stop)

    @classmethod
    def here(cls) -> _Server:
        """The one that runs, or a new one."""
        if cls._running is None or cls._running.process.poll() is not None:
            cls._running = cls()
        return cls._running

    def stop(self) -> None:
        """End it; it ends too if whoever started it is gone."""
        self.connection.close()
        self.process.wait()


# --- the server ------------------------------------------------------------------------------------------------------


def serve(number: int) -> None:
    """Answer requests on that socket until its other side is gone."""
    connection = socket.socket(fileno=number)
    _load()
    ended, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(tell)
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([connection, ended], [], [])
        if ended in ready:
            os.read(ended, 4096)
            _report(running)
        if connection in ready:
            data, fds, _, _ = socket.recv_fds(connection, _LONGEST, 4)
            if not data:
                return
            _fork(connection, data, fds, running)


def _load() -> None:
    """What a run on a laptop may load: all modules, and AWS's data. It is not gone through again at each collection."""
    import rotate_my_key

    for found in pkgutil.walk_packages(rotate_my_key.__path__, "rotate_my_key."):
        if found.name.split(".")[1] not in ("demo", "fleet") and found.name.split(".")[-1] not in ("__main__", "demo"):
            with suppress(ImportError):  # of another system
                importlib.import_module(found.name)
    for name in ("encodings.idna", "filelock"):  # which it loads where it needs them
        importlib.import_module(name)
    from rotate_my_key.aws.client import Aws

    aws = Aws({}, version="", clock=lambda: datetime.now(UTC), sleep=time.sleep, monotonic=time.monotonic)
    for service in ("iam", "sts"):
        aws.transport("").client(service)
    gc.freeze()


def _fork(connection: socket.socket, data: bytes, fds: list[int], running: dict[int, socket.socket]) -> None:
    *streams, report = fds
    pid = os.fork()
    if pid == 0:
        _run(data, streams, [connection.fileno(), report, *(end.fileno() for end in running.values())])
    for stream in streams:
        os.close(stream)
    running[pid] = socket.socket(fileno=report)
    running[pid].send(str(pid).encode())


def _run(data: bytes, streams: list[int], close: list[int]) -> NoReturn:
    """What a new process is from here on: the program, and nothing of the server."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if len(streams) == 1:
        os.login_tty(streams[0])
        signal.signal(signal.SIGINT, signal.default_int_handler)  # see in_terminal
    else:
        os.setsid()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
    os.closerange(3, max(*close, *streams) + 1)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115  they stay open
    args, env, cwd = json.loads(data)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = ["rotate-my-key", *args]
    from rotate_my_key.cli.main import main

    main()


def _report(running: dict[int, socket.socket]) -> None:
    """Tell of those that have ended."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with suppress(OSError), running.pop(pid) as end:  # nobody may be interested any more
            end.send(str(os.waitstatus_to_exitcode(status)).encode())
