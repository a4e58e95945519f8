"""A few threads for many calls. Ends at once when the program is to end: what has not begun is dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from types import TracebackType
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


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
        for done, each in enumerate(as_completed(begun), 1):
            each.result()
            tick(done, len(items))
        return [each.result() for each in begun]

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=kind is None, cancel_futures=True)
