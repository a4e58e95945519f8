"""Calls in threads: a few that go out together (`Running`, `side_by_side`), and many over a few threads (`Pool`).

A `Running` that hangs never keeps the process from ending after Ctrl-C. Where no thread can be started, or one dies for
want of memory as it begins, the calls are made one after the other. A pool ends with the calls that are out: what has
not begun is dropped."""

from __future__ import annotations

import sys
from _thread import start_new_thread  # Thread.start waits without an end for a thread that dies as it begins
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Lock, getprofile, gettrace
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future


T = TypeVar("T")

# Waiting in steps, because on Windows a wait without an end cannot be interrupted by Ctrl-C.
_STEP = 0.5


class Running(Generic[T]):
    """`call`, started at once; `result()` waits for what it gives or raises."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._taken = Lock()
        self._done = Event()
        self._error: BaseException | None = None
        try:
            start_new_thread(self._watched, ())
        except RuntimeError:  # "can't start new thread"
            self._run()

    def _watched(self) -> None:
        """As Thread would: by whoever profiles or traces this process."""
        sys.setprofile(getprofile())
        sys.settrace(gettrace())
        self._run()

    def _run(self) -> None:
        """Make the call, unless it is made already."""
        if not self._taken.acquire(blocking=False):
            return
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
            self._run()  # in vain, but for a thread that never began
        if self._error is not None:
            raise self._error
        return self._value


def side_by_side(calls: Sequence[Callable[[], T]], most: int = 8) -> list[T]:
    """Make the calls, so many at a time, and give their results in order. Raises the first error, when all have ended;
    none is begun any more after Ctrl-C."""
    todo = iter(enumerate(calls))
    lock = Lock()
    found: dict[int, T] = {}
    errors: dict[int, BaseException] = {}

    def work() -> None:
        while True:
            with lock:
                number, call = next(todo, (-1, None))
            if call is None or any(not isinstance(error, Exception) for error in list(errors.values())):
                return
            try:
                found[number] = call()
            except BaseException as error:  # noqa: BLE001 - raised below
                errors[number] = error

    running = [Running(work) for _ in calls[1:most]]
    work()
    for each in [] if any(isinstance(error, KeyboardInterrupt) for error in errors.values()) else running:
        each.result()
    if errors:
        raise errors[min(errors)]
    return [found[number] for number in range(len(calls))]


Item = TypeVar("Item")
Result = TypeVar("Result")


class Pool:
    """At most `workers` calls at a time. As a context: an exception leaves calls that are out to end by themselves."""

    def __init__(self, workers: int) -> None:
        from concurrent.futures import ThreadPoolExecutor  # the laptop does without

        self._threads = ThreadPoolExecutor(workers)

    def map(
        self,
        do: Callable[[Item], Result],
        items: Sequence[Item],
        tick: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Result]:
        """What `do` gives for each, in their order. `tick` is told in this thread how many are done, of how many. One
        item is done in this thread. Raises the first exception there was."""
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
