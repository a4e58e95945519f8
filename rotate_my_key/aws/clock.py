"""AWS's clock, learned from the Date headers of its answers.

A Date header counts whole seconds and was written at some time between the request and the answer (a laptop may have
slept between them), so it only bounds AWS's time; our own clock is kept where it lies within.

AWS refuses what is signed more than a quarter of an hour from its own time. So a Date further away than that is never
what ages of keys are reckoned by: beside an answer that took the signature it is wrong, and is not heard; beside a
refusal our own clock may be, which is said, and nothing is decided.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_SECOND = timedelta(seconds=1)
_BORNE = timedelta(minutes=16)  # AWS's quarter of an hour, and what the request took


class AwsClock:
    """Our clock, corrected by the last Date header heard. Safe to share between threads.

    `local` is our clock. `offset` is what has to be added to it, as last heard; positive if ours is slow.
    """

    def __init__(self, local: Callable[[], datetime]) -> None:
        self.local = local
        self.offset = timedelta(0)

    def heard(self, date: str, asked: datetime, *, accepted: bool) -> None:
        """Take note of a Date header (RFC 9110 format); one that cannot be read is ignored.

        `asked`: when the request was sent, by our clock; `accepted`: AWS took its signature.
        """
        try:
            theirs = parsedate_to_datetime(date)
            theirs = theirs.replace(tzinfo=theirs.tzinfo or UTC).astimezone(UTC)
            offset = _offset(theirs, asked, self.local())
        except (TypeError, ValueError, OverflowError, IndexError):
            return
        if not accepted or abs(offset) <= _BORNE:
            self.offset = offset

    def now(self) -> datetime:
        """AWS's time, aware, in UTC."""
        return self.local() + (self.offset if abs(self.offset) <= _BORNE else timedelta(0))


def _offset(theirs: datetime, asked: datetime, answered: datetime) -> timedelta:
    if answered < theirs:
        return theirs - answered
    return min(theirs + _SECOND - asked, timedelta(0))
