"""The distance that calls keep once AWS throttles."""

from __future__ import annotations

from typing import Any

import pytest

from rotate_my_key.aws.calls import RateLimiter


@pytest.fixture
def pace(time: Any) -> RateLimiter:
    """A pace on the test's clock."""
    return RateLimiter(time.sleep, time.monotonic)


def test_calls_go_out_as_they_come(pace: RateLimiter, time: Any) -> None:
    """As long as AWS answers."""
    for _ in range(5):
        pace.wait()
        pace.answered()
    assert time.slept == []


def test_throttling_spreads_the_calls_of_all_threads(pace: RateLimiter, time: Any) -> None:
    """Each waits for its turn, one distance after the other."""
    pace.throttled()
    for _ in range(3):
        pace.wait()
    assert time.slept == pytest.approx([0.05, 0.05, 0.05])


def test_calls_that_were_out_together_are_one_sign(pace: RateLimiter) -> None:
    """Eight threads that are throttled at once do not multiply the distance by 256."""
    for _ in range(8):
        pace.throttled()
    assert pace.distance == 0.05


def test_the_distance_doubles_up_to_two_seconds(pace: RateLimiter, time: Any) -> None:
    """Throttling that goes on."""
    for _ in range(10):
        pace.throttled()
        time.sleep(3)
    assert pace.distance == 2.0


def test_answers_bring_the_calls_together_again(pace: RateLimiter, time: Any) -> None:
    """Until they go out as they come."""
    pace.throttled()
    distances = []
    while pace.distance:
        pace.answered()
        distances.append(pace.distance)
    assert distances == sorted(distances, reverse=True)
    assert len(distances) < 20
