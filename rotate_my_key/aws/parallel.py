"""A call on its way in a thread of its own: enough for the few calls that go out together.

Threads are daemons, so that a call that hangs never keeps the process from ending after Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

# Waiting in steps, because on Windows a wait without an end cannot be interrupted by Ctrl-C.
_STEP = 0.5


class Running(Generic[T]):
    """`call`, started at once; `result()` waits for what it gives or raises."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._done = Event()
        self._error: BaseException | None = None
        Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._value = self._call()
        except BaseException as error:  # noqa: BLE001 - `result` raises it
            self._error = error
        finally:
            self._done.set()

    @property
    def failed(self) -> bool:
        """Whether it has ended with an error already."""
        return self._done.is_set() and self._error is not None

    def wait(self, seconds: float) -> bool:
        """Wait so long at most; whether it has ended."""
        return self._done.wait(seconds)

    def result(self) -> T:
        """Wait for the call to end; raises what it raised."""
        while not self._done.wait(_STEP):
            pass
        if self._error is not None:
            raise self._error
        return self._value
