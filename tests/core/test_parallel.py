"""Calls in threads: side by side, in order, ended by the first error or by Ctrl-C; where the system has none left."""

import _thread
import signal
import subprocess
import sys
import threading
from threading import Barrier, Event

import pytest

from rotate_my_key.core.errors import Gone
from rotate_my_key.core.parallel import Pool

PROGRAM = """
import _thread

def start_new_thread(*args):
    {does}

_thread.start_new_thread = start_new_thread

from rotate_my_key.core.parallel import Running, side_by_side

print(Running(lambda: 7).result(), side_by_side([lambda: 1, lambda: 2, lambda: 3]))
"""


@pytest.mark.parametrize(
    "does",
    [
        pytest.param('raise RuntimeError("can\'t start new thread")', id="none can be started"),
        pytest.param("return 1", id="one dies as it begins, for want of memory"),
    ],
)
def test_calls_without_threads(does: str) -> None:
    """They are made one after the other, each once."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(does=does)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "7 [1, 2, 3]\n"


def test_results_are_in_the_order_of_the_items() -> None:
    """Whichever ends first."""
    gates = [Event() for _ in range(3)]

    def work(number: int) -> int:
        if number < 2:
            gates[number + 1].wait(5)
        gates[number].set()
        return number

    with Pool(8) as pool:
        assert pool.map(work, [0, 1, 2]) == [0, 1, 2]


def test_so_many_at_a_time() -> None:
    """All workers are used, for one list after the other."""
    together = Barrier(4)
    with Pool(4) as pool:
        for _ in range(2):
            assert pool.map(lambda item: together.wait(5) >= 0, range(8)) == [True] * 8


def test_one_item_needs_no_thread() -> None:
    """It is done in the caller's."""
    with Pool(4) as pool:
        assert pool.map(lambda item: threading.current_thread(), ["item"]) == [threading.current_thread()]
        assert pool.map(lambda item: item, []) == []


def test_the_first_error_ends_it() -> None:
    """What has not begun is dropped: whoever wants a problem as a result catches it."""
    over, begun = Event(), []

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise Gone("it left")
        over.wait(10)

    with pytest.raises(Gone), Pool(1) as pool:
        pool.map(work, range(100))
    over.set()
    assert begun in ([0], [0, 1])


def test_ctrl_c_ends_it_at_once() -> None:
    """Calls that hang are left alone, and none is begun any more."""
    over, begun = Event(), []

    def work(number: int) -> None:
        begun.append(number)
        if len(begun) == 2:
            _thread.interrupt_main()
        over.wait(10)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell would have it ignored
    try:
        with pytest.raises(KeyboardInterrupt), Pool(2) as pool:
            pool.map(work, range(10))
    finally:
        signal.signal(signal.SIGINT, before)
    over.set()
    assert sorted(begun) == [0, 1]


def test_the_caller_is_told_how_many_are_done() -> None:
    """In the caller's own thread, for a progress bar."""
    told: list[tuple[int, int, bool]] = []
    me = threading.current_thread()
    with Pool(2) as pool:
        pool.map(lambda item: item, range(3), lambda *how: told.append((*how, threading.current_thread() is me)))
    assert told == [(done, 3, True) for done in range(4)]
