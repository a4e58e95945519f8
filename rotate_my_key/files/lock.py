"""One run at a time, for this user of the computer.

The system's own file locks, so that a killed run leaves none behind. The file stays where it is: removing it would let
two runs lock two files of one name. Own code and not the filelock package, whose import alone costs 30 ms.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from types import TracebackType

from ..errors import TryLater
from . import platform
from .trouble import explain

_POLL = 0.05  # seconds


class Lock:
    """`with Lock(path, timeout):` holds the lock; `timeout` in seconds, `on_wait` is called once if it has to wait;
    `pause` sleeps, and may raise whatever ends the waiting.

    Raises TryLater if another run holds it for longer than that. `waited` tells afterwards whether there was a wait.
    The folder must exist.
    """

    def __init__(
        self,
        path: str,
        timeout: float,
        on_wait: Callable[[], None] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._timeout = timeout
        self._on_wait = on_wait
        self._pause = pause
        self._fd = -1
        self.waited = False

    def __enter__(self) -> Lock:
        """Take the lock, waiting for it if need be."""
        try:
            self._fd = os.open(self._path, os.O_CREAT | platform.WRITE | platform.NO_FOLLOW, 0o600)
            self._take()
        except OSError as error:
            self._close()
            raise explain(error, "lock", self._path) from None
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of the lock; closing the file does it."""
        self._close()

    def _take(self) -> None:
        until = time.monotonic() + self._timeout
        while not platform.try_lock(self._fd):
            if not self.waited:
                self.waited = True
                if self._on_wait:
                    self._on_wait()
            left = until - time.monotonic()
            if left <= 0:
                raise TryLater(
                    f"another run of rotate-my-key is at work{self._who()}", "let it end, then run rotate-my-key again"
                )
            self._pause(min(_POLL, left))
        self._sign()

    def _sign(self) -> None:
        """Leave the process number for who has to wait; a full disk is no reason not to run."""
        try:
            os.ftruncate(self._fd, 0)
            platform.write_at(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            return

    def _who(self) -> str:
        number = platform.read_all(self._fd, 20).strip()
        return f" (process {number.decode()})" if number.isdigit() else ""

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
