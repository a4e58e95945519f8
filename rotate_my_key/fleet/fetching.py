"""Fetching a credential report that was asked for: with patience, and with few calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TypeVar

from ..errors import Gone, Problem, TryLater
from .ports import Directory

T = TypeVar("T")

# Seconds, each pause twice the one before: AWS takes a moment for a small account and up to a minute for a large one,
# and a report that comes within half a minute costs no more than ten calls.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0
_PATIENT = 10.0  # seconds: what failed after so long was waited for and tried again already, and is not begun anew
_ACCOUNTS = 16  # after so many in a row without an answer nothing is asked of the others


@dataclass(frozen=True, slots=True)
class ReportWait:
    """How to wait for reports: at most `longest` seconds for each account. `monotonic` is in seconds."""

    sleep: Callable[[float], None]
    monotonic: Callable[[], float]
    longest: float = 180.0


class NeverCame(TryLater):
    """AWS did not make the report in time."""


@dataclass
class Answering:
    """Whether AWS answers at all. Safe to share between threads.

    Where one account after the other only lets time pass, each of hundreds would do so; the rest is not asked.
    """

    monotonic: Callable[[], float]
    lost: int = 0
    last: TryLater | None = None
    _lock: Lock = field(default_factory=Lock)

    def ask(self, verb: Callable[[], T]) -> T:
        """What the verb gives. Raises TryLater without asking where nobody answered, and what the verb raises."""
        if self.last and self.lost >= _ACCOUNTS:
            raise TryLater(f"not asked any more: {self.last.message}", self.last.hint)
        began = self.monotonic()
        try:
            answer = verb()
        except TryLater as problem:
            if not isinstance(problem, NeverCame) and self.monotonic() - began >= _PATIENT:
                with self._lock:
                    self.lost, self.last = self.lost + 1, problem
            raise
        self.lost = 0
        return answer


def fetch(directory: Directory, ready: bool, asked_before: bool, waiting: ReportWait) -> tuple[str, datetime]:
    """The CSV, and when it was made. `ready` is what AWS said when it was asked for the report.

    The first try is made without asking if it is there by now, which is a call less: at once if it was `asked_before`
    other accounts were. Raises NeverCame, and what the directory raises.
    """
    until = waiting.monotonic() + waiting.longest
    pause, attempt = _FIRST_PAUSE, True
    if not ready and not asked_before:
        waiting.sleep(pause)
    while True:
        began = waiting.monotonic()
        problem: Problem = NeverCame(f"the credential report did not come within {waiting.longest:.0f} s")
        try:
            if ready or attempt:
                return directory.report()
        except (TryLater, Gone) as error:  # not there yet, or it has expired since
            problem = error if ready else problem
            if waiting.monotonic() - began >= _PATIENT:
                raise error from None
        if waiting.monotonic() >= until:
            raise problem
        pause, attempt = min(pause * 2, _LONGEST_PAUSE), False
        waiting.sleep(pause)
        ready = directory.request_report()
