"""Ctrl-C ends the program; while a rotation is at work the first ends it after the call that is out, the second at
once. So do the signals of a computer that goes down (SIGTERM) and of a terminal that is closed (SIGHUP)."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ..errors import Interrupted

_SLICE = 0.1  # seconds
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def handled(ask: Callable[[int, FrameType | None], None] | None = None) -> Iterator[None]:
    """Within the block these signals call `ask`, or are what Ctrl-C is to Python; nohup's SIGHUP stays ignored. In any
    other thread than the main one nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _SIGNALS}
    try:
        for number, action in before.items():
            if action is not signal.SIG_IGN or number == signal.SIGINT:
                signal.signal(number, ask or signal.default_int_handler)
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


class Stop:
    """Whether the person asked to stop."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._asked = threading.Event()
        self._say = say

    @contextmanager
    def on_interrupt(self) -> Iterator[None]:
        """Within the block the first Ctrl-C only asks; the second is Python's own."""
        with handled(self._ask):
            yield

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()
        again = "; press Ctrl-C again to stop at once" if number == signal.SIGINT else ""
        self._say(f"stopping after this step{again}")

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
