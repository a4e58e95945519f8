"""The one place that tries a call again; botocore's own retries are switched off.

Why one: botocore would send CreateAccessKey twice, and does not know InvalidClientTokenId of a key that is not known
everywhere yet. What passes by itself is waited for: no network for a short time (a laptop that wakes up; but "offline"
must be said soon), lost and broken answers for longer, throttling longest. Delays grow and are scattered.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TypeVar

from .failures import Kind, kind
from .pace import Pace

T = TypeVar("T")

# No further attempt begins after so many seconds since the first failure of that kind.
BUDGETS = {Kind.OFFLINE: 2.5, Kind.FLAKY: 12.0, Kind.BUSY: 20.0}
_FIRST_DELAY = {Kind.OFFLINE: 0.2, Kind.FLAKY: 0.05, Kind.BUSY: 0.4}
_LONGEST_DELAY = 4.0

Wanted = Callable[[Exception], bool]


class Patience:
    """How long to wait for what. `sleep` and `monotonic` (seconds) are handed in. Safe to share between threads.

    `budgets` are for each kind in seconds; with a `pace` the calls keep their distance once AWS throttles.
    """

    def __init__(
        self,
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
        budgets: Mapping[Kind, float] = BUDGETS,
        pace: Pace | None = None,
    ) -> None:
        self.sleep = sleep
        self.monotonic = monotonic
        self._budgets = budgets
        self._pace = pace

    def run(self, send: Callable[[], T], *, refused: float = 0.0, again: Wanted) -> T:
        """Give what `send` gives at last, or raise its last error as it is.

        `refused`: for how many seconds to wait for a key that AWS does not know. `again`: which errors may be tried
        again at all; it is asked about every error.
        """
        began: dict[Kind, float] = {}
        tries = 0
        while True:
            if self._pace:
                self._pace.wait()
            started = self.monotonic()
            try:
                answer = send()
            except Exception as error:
                what = kind(error)
                if self._pace and what is Kind.BUSY:
                    self._pace.throttled()
                if not again(error) or what is Kind.FINAL:
                    raise
                budget = refused if what is Kind.REFUSED else self._budgets[what]
                pause = self.poll() if what is Kind.REFUSED else _delay(what, tries)
                if self.monotonic() - began.setdefault(what, started) + pause > budget:
                    raise
            else:
                if self._pace:
                    self._pace.answered()
                return answer
            tries += 1
            self.sleep(pause)

    def poll(self) -> float:
        """Seconds between two questions whether AWS knows a new key: 0.5 to 1, scattered over many computers."""
        return random.uniform(0.5, 1.0)  # noqa: S311


def _delay(what: Kind, tries: int) -> float:
    longest: float = min(_FIRST_DELAY[what] * 2 ** min(tries, 10), _LONGEST_DELAY)
    return random.uniform(longest / 2, longest)  # noqa: S311
