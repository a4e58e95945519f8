"""Calls on their way in threads of their own: the few of one look (`Running`), and those about many accounts or users
(`across`).

Threads are daemons, so that a call that hangs never keeps the process from ending after Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

from ..errors import Interrupted, Problem

S = TypeVar("S")
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

    def result(self) -> T:
        """Wait for the call to end; raises what it raised."""
        while not self._done.wait(_STEP):
            pass
        if self._error is not None:
            raise self._error
        return self._value


def across(
    do: Callable[[S], T],
    items: Sequence[S],
    workers: int = 8,
    done: Callable[[S], None] = lambda item: None,
) -> list[T | Problem]:
    """What `do` gives for each item, in their order, by at most so many threads; a Problem that it raises is the result
    of that item alone. `done` is called in this thread as each item ends, in whatever order.

    Interrupted and anything that is no Problem ends it all and is raised; so does Ctrl-C, at once: what is out is left
    to threads that do not keep the program from ending.
    """
    found: dict[int, T | Problem] = {}
    ended: SimpleQueue[tuple[int, T | BaseException, bool]] = SimpleQueue()
    todo = iter(enumerate(items))
    lock, over = Lock(), Event()

    def work() -> None:
        while not over.is_set():
            with lock:
                number, item = next(todo, (-1, None))
            if number < 0:
                return
            try:
                ended.put((number, do(item), True))  # type: ignore[arg-type]
            except BaseException as error:  # noqa: BLE001 - told, or raised in the caller's thread
                if _ends_all(error):
                    over.set()
                ended.put((number, error, False))

    for _ in range(min(workers, len(items))):
        Thread(target=work, daemon=True).start()
    try:
        while len(found) < len(items):
            with suppress(Empty):
                number, result, good = ended.get(timeout=_STEP)
                if not good and _ends_all(result):  # type: ignore[arg-type]
                    raise result  # type: ignore[misc]
                found[number] = result  # type: ignore[assignment]
                done(items[number])
    finally:
        over.set()
    return [found[number] for number in range(len(items))]


def _ends_all(error: BaseException) -> bool:
    return isinstance(error, Interrupted) or not isinstance(error, Problem)
