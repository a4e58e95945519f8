"""Ctrl-C while a rotation is at work: the first ends after the call that is out, the second at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ..errors import Interrupted

_SLICE = 0.1  # seconds


class Stop:
    """Whether the person asked to stop."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._asked = threading.Event()
        self._say = say

    @contextmanager
    def on_interrupt(self) -> Iterator[None]:
        """Within the block the first Ctrl-C only asks; the second is Python's own."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()
        self._say("stopping after this step; press Ctrl-C again to stop at once")

    def check(self) -> None:
        """Raises Interrupted once the person asked to stop."""
        if self._asked.is_set():
            raise Interrupted("stopped; what was begun is finished by the next run", "rotate-my-key")

    def pause(self, seconds: float) -> None:
        """Sleep, in slices so that Ctrl-C is seen. Raises Interrupted."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(_SLICE, left))
        self.check()
