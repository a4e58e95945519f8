"""The program as a real process that begins with its modules loaded: loading them is most of what a run costs.

A server loads them once and runs nothing itself. For each run it forks: a process with an environment, a session and
streams of its own, which can be signalled and killed like any other. It starts cold where starting is the point: under
strace, in a terminal, with another locale, and where a fork cannot be trusted (macOS, Windows).
"""

from __future__ import annotations

import atexit
import gc
import importlib
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
from pathlib import Path
from typing import NoReturn, TextIO

ROOT = Path(__file__).resolve().parents[1]
COLD = (sys.executable, "-m", "rotate_my_key")
_LONGEST = 1 << 20  # bytes of a request: arguments and environment
_BASE = {"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
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


def start(args: Sequence[str], env: Mapping[str, str]) -> Warm | subprocess.Popen[str]:
    """Start the program, in a session of its own and with nobody at stdin."""
    if sys.platform != "linux" or not _BASE.items() <= env.items() or _SETTINGS.intersection(env):
        return cold([*COLD, *args], env)
    server = _Server.here()
    out, out_there = os.pipe()
    err, err_there = os.pipe()
    end, end_there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = json.dumps([list(args), dict(env)]).encode()
    socket.send_fds(server.connection, [request], [out_there, err_there, end_there.fileno()])
    os.close(out_there)
    os.close(err_there)
    end_there.close()
    return Warm(int(end.recv(64)), end, os.fdopen(out), os.fdopen(err))


class _Server:
    """The process that forks; one for all tests of this one."""

    _running: _Server | None = None

    def __init__(self) -> None:
        self.connection, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"from tests.warm import serve; serve({there.fileno()})"],
            cwd=ROOT,
            env={**_BASE, "PATH": os.environ["PATH"]},
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
            data, fds, _, _ = socket.recv_fds(connection, _LONGEST, 3)
            if not data:
                return
            _fork(connection, data, fds, running)


def _load() -> None:
    """All modules that a run on a laptop may load; they are not gone through again at each collection."""
    import rotate_my_key

    for found in pkgutil.walk_packages(rotate_my_key.__path__, "rotate_my_key."):
        if found.name.split(".")[1] not in ("demo", "fleet") and found.name.split(".")[-1] not in (
            "__main__",
            "demo",
        ):
            with suppress(ImportError):  # of another system
                importlib.import_module(found.name)
    gc.freeze()


def _fork(connection: socket.socket, data: bytes, fds: list[int], running: dict[int, socket.socket]) -> None:
    out, err, report = fds
    pid = os.fork()
    if pid == 0:
        _run(data, out, err, [connection.fileno(), report, *(end.fileno() for end in running.values())])
    os.close(out)
    os.close(err)
    running[pid] = socket.socket(fileno=report)
    running[pid].send(str(pid).encode())


def _run(data: bytes, out: int, err: int, close: list[int]) -> NoReturn:
    """What a new process is from here on: the program, and nothing of the server."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, max(*close, out, err) + 1)
    sys.stdout, sys.stderr = open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115  they stay open
    args, env = json.loads(data)
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
