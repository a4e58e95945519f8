"""kill -9 before every system call that changes a file or sends to AWS; the next plain run finishes the job.

Both ways of writing: by rename, and in place where the file has a second name.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from tests.standin import StandIn

from .conftest import Laptop, new_laptop
from .syscalls import STRACE, Point, kill_at, second_name, watch

LATER = 20  # seconds that pass at AWS before the next run, so that it need not wait for a key that may still show
SPARSE = 6  # for each way of writing

pytestmark = pytest.mark.skipif(STRACE is None, reason="NO STRACE HERE: kills at file operations are NOT tested")

New = Callable[[StandIn], Laptop]


@pytest.fixture(params=["by rename", "in place"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> New:
    """Make a fresh laptop whose credentials file is written that way."""
    numbers = count()

    def make(aws: StandIn) -> Laptop:
        laptop = new_laptop(tmp_path / str(next(numbers)) / "home", aws)
        if request.param == "in place":
            second_name(laptop.file)
        return laptop

    return make


def survives(laptop: Laptop, point: Point) -> bool:
    """Kill it there; the profile works and the next run settles. False if the point was not met."""
    if not kill_at(laptop, point):
        return False
    laptop.works()
    laptop.calm(LATER)
    laptop.settled()
    return True


def check(new: New, points: list[Point], workers: int) -> None:
    """Every point, some side by side; all that fail are told, not only the first."""
    idle = [StandIn().start() for _ in range(workers)]

    def one(point: Point) -> str:
        aws = idle.pop()
        try:
            if any(survives(new(aws), guess) for guess in point.nearby()):
                return ""
            return f"{point}\n  was not met"
        except AssertionError as error:
            return f"{point}\n  {error}"
        finally:
            idle.append(aws)

    try:
        with ThreadPoolExecutor(workers) as pool:
            failures = [failure for failure in pool.map(one, points) if failure]
    finally:
        for aws in idle:
            aws.stop()
    assert not failures, f"{len(failures)} of {len(points)} points:\n" + "\n".join(failures)


def test_killed_at_some_file_operations(new: New, running: StandIn) -> None:
    """A sample, spread over the whole run; the first and the last are in it."""
    points = watch(new(running))
    step = (len(points) - 1) / (SPARSE - 1)
    check(new, [points[round(number * step)] for number in range(SPARSE)], 1)


@pytest.mark.slow
def test_killed_at_every_file_operation(new: New, running: StandIn) -> None:
    """All of them."""
    points = watch(new(running))
    assert len(points) > 60
    check(new, points, os.cpu_count() or 1)
