"""A few threads for many calls. Ends at once when the program is to end: what has not begun is dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_STEP = 0.5  # seconds


class Pool:
    """At most `workers` calls at a time. As a context: an exception leaves calls that are out to end by themselves."""

    def __init__(self, workers: int) -> None:
        self._threads = ThreadPoolExecutor(workers)

    def map(
        self,
        do: Callable[[Item], Result],
        items: Sequence[Item],
        tick: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Result]:
        """What `do` gives for each, in their order. `tick` is told in this thread how many are done, of how many.

        One item is done in this thread. Raises the first exception there was.
        """
        if items:
            tick(0, len(items))
        if len(items) == 1:
            results = [do(items[0])]
            tick(1, 1)
            return results
        begun: list[Future[Result]] = [self._threads.submit(do, item) for item in items]
        ended: SimpleQueue[Future[Result]] = SimpleQueue()
        for each in begun:
            each.add_done_callback(ended.put)
        for done in range(1, len(items) + 1):
            _next(ended).result()
            tick(done, len(items))
        return [each.result() for each in begun]

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=kind is None, cancel_futures=True)


def _next(ended: SimpleQueue[Future[Result]]) -> Future[Result]:
    """Waiting in steps, because on Windows a wait without an end cannot be interrupted by Ctrl-C."""
    while True:
        with suppress(Empty):
            return ended.get(timeout=_STEP)
