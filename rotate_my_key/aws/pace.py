"""The distance between calls to one account, found out as they go: many threads must not hammer one that throttles.

Calls go out as they come until AWS throttles one. Then they keep a distance that doubles with each throttling and
shrinks with each answer, for all threads together (delays of each thread's own would let each find out for itself).
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

_FIRST, _LONGEST = 0.05, 2.0  # seconds between two calls
_SHRINK = 0.9  # an answer brings the calls so much closer
_AT_ONCE = 0.01  # below this they go out as they come


class Pace:
    """`sleep` and `monotonic` (seconds) are handed in. Safe to share between threads: that is what it is for."""

    def __init__(self, sleep: Callable[[float], None], monotonic: Callable[[], float]) -> None:
        self._sleep = sleep
        self._monotonic = monotonic
        self._lock = Lock()
        self._distance = 0.0
        self._next = float("-inf")
        self._since = float("-inf")

    @property
    def distance(self) -> float:
        """Seconds between two calls now; 0 for none."""
        return self._distance

    def wait(self) -> None:
        """Take a turn, and wait until it comes."""
        with self._lock:
            now = self._monotonic()
            turn = max(now, self._next)
            self._next = turn + self._distance
        if turn > now:
            self._sleep(turn - now)

    def throttled(self) -> None:
        """AWS said that it is too much: twice the distance. Calls that were out together count as one sign."""
        with self._lock:
            now = self._monotonic()
            if now - self._since >= self._distance:
                self._since = now
                self._distance = min(max(2 * self._distance, _FIRST), _LONGEST)
                self._next = max(self._next, now + self._distance)

    def answered(self) -> None:
        """AWS answered: a little closer."""
        with self._lock:
            distance = self._distance * _SHRINK
            self._distance = distance if distance >= _AT_ONCE else 0.0
