"""AWS's clock, learned from the Date headers of its answers.

The Date header counts whole seconds, so it only bounds AWS's time; our own clock is kept where it lies within.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_SECOND = timedelta(seconds=1)


class AwsClock:
    """Our clock, corrected by the last Date header heard. Safe to share between threads."""

    def __init__(self, local: Callable[[], datetime]) -> None:
        self._local = local
        self._offset = timedelta(0)

    def heard(self, date: str) -> None:
        """Take note of a Date header (RFC 9110 format); one that cannot be read is ignored."""
        try:
            theirs = parsedate_to_datetime(date).astimezone(UTC)
        except (TypeError, ValueError):
            return
        ours = self._local()
        if ours < theirs:
            self._offset = theirs - ours
        elif ours > theirs + _SECOND:
            self._offset = theirs + _SECOND - ours
        else:
            self._offset = timedelta(0)

    @property
    def offset(self) -> timedelta:
        """What has to be added to our clock; positive if ours is slow."""
        return self._offset

    def now(self) -> datetime:
        """AWS's time, aware, in UTC."""
        return self._local() + self._offset
