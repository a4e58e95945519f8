"""Calls about many things, side by side."""

from __future__ import annotations

import _thread
import threading
from threading import Barrier, Event

import pytest

from rotate_my_key.aws.parallel import across
from rotate_my_key.errors import Gone, Interrupted


def test_results_are_in_the_order_of_the_items() -> None:
    """Whichever ends first."""
    gates = [Event() for _ in range(3)]

    def work(number: int) -> int:
        if number < 2:
            gates[number + 1].wait(5)
        gates[number].set()
        return number

    assert across(work, [0, 1, 2]) == [0, 1, 2]


def test_so_many_at_a_time() -> None:
    """All workers are used, and no more threads are made than there are items."""
    together = Barrier(4)
    assert across(lambda item: bool(together.wait(5)) or True, range(8), 4) == [True] * 8
    before = threading.active_count()
    names = across(lambda item: threading.active_count(), [1], 8)
    assert names == [before + 1]


def test_a_problem_is_the_result_of_its_item_alone() -> None:
    """The others are done."""

    def work(number: int) -> int:
        if number == 1:
            raise Gone("it left")
        return number

    first, second, third = across(work, [0, 1, 2])
    assert (first, third) == (0, 2)
    assert isinstance(second, Gone)


@pytest.mark.parametrize("error", [Interrupted("stopped"), KeyError("a fault")], ids=["stopped", "a fault"])
def test_what_is_no_problem_of_one_item_ends_it_all(error: Exception) -> None:
    """Ctrl-C in a question, and faults of this program."""
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        raise error

    with pytest.raises(type(error)):
        across(work, range(1000), 1)
    assert len(begun) < 1000


def test_ctrl_c_ends_it_at_once() -> None:
    """Calls that hang are left alone, and none is begun any more."""
    over, begun = Event(), []

    def work(number: int) -> None:
        begun.append(number)
        if len(begun) == 2:
            _thread.interrupt_main()
        over.wait(10)

    with pytest.raises(KeyboardInterrupt):
        across(work, range(10), 2)
    over.set()
    assert sorted(begun) == [0, 1]


def test_the_caller_is_told_as_items_end() -> None:
    """In the caller's own thread, for a progress bar."""
    told: list[tuple[int, bool]] = []
    me = threading.current_thread()
    across(lambda item: item, range(5), 2, lambda item: told.append((item, threading.current_thread() is me)))
    assert sorted(told) == [(item, True) for item in range(5)]


def test_nothing_to_do() -> None:
    """No threads, no results."""
    assert across(lambda item: item, []) == []
