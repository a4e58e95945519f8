"""A run that must end in time: what has not begun when the time is up is left, and can be told apart from what failed.

Pure but for the clock that is handed in. The engines know nothing of it: they see accounts that say "later".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ..errors import TryLater
from ..model import Identity
from .model import AwsAccount
from .ports import Directory, Organization


class OutOfTime(TryLater):
    """It was not begun, for want of time."""


class Deadline:
    """`left` gives the seconds until the run is ended from outside; `spare` of them are for what must be said at the
    end."""

    def __init__(self, left: Callable[[], float], spare: float) -> None:
        self._left = left
        self._spare = spare

    def left(self) -> float:
        """Seconds until nothing more may begin; not below 0."""
        return max(0.0, self._left() - self._spare)

    def check(self) -> None:
        """Raises OutOfTime when the time is up."""
        if self.left() <= 0:
            raise OutOfTime("no time was left for it in this run")


class InTime:
    """An Organization whose accounts answer until the time is up; `late` are those that did not any more."""

    def __init__(self, inner: Organization, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline
        self.late: set[str] = set()

    def me(self) -> Identity:
        """See the port."""
        return self._inner.me()

    def accounts(self) -> tuple[AwsAccount, ...]:
        """See the port."""
        return self._inner.accounts()

    @property
    def left_out(self) -> tuple[AwsAccount, ...]:
        """See the port."""
        return self._inner.left_out

    def directory(self, account: AwsAccount) -> Directory:
        """See the port."""
        return cast(Directory, _Timed(self._inner.directory(account), self))

    def check(self, account: AwsAccount) -> None:
        """Raises OutOfTime, and remembers for whom."""
        try:
            self._deadline.check()
        except OutOfTime:
            self.late.add(account.number)
            raise


# The verbs by which something begins. One that ends what was begun (an act, and what is remembered of it) must not be
# cut off: that is what the spare time is for.
_BEGIN = {"request_report", "report", "users", "find", "keys", "members"}


class _Timed:
    """A Directory that looks at the clock before it begins something."""

    def __init__(self, inner: Directory, organization: InTime) -> None:
        self._inner = inner
        self._organization = organization

    @property
    def account(self) -> AwsAccount:
        """See the port."""
        return self._inner.account

    def __getattr__(self, verb: str) -> Any:
        inner = getattr(self._inner, verb)
        if verb not in _BEGIN:
            return inner

        def timed(*args: Any, **named: Any) -> Any:
            self._organization.check(self._inner.account)
            return inner(*args, **named)

        return timed
