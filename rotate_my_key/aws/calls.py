"""One call from the verb to the answer: who signs, what is tried again, which Problem it ends with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from ..errors import Problem
from ..model import Credentials
from .errors import Sent, translate
from .failures import FAILURES, is_refusal
from .link import Link, Read
from .patience import Patience, Wanted
from .session import Aws

T = TypeVar("T")
Explain = Callable[[Exception, Sent], Problem]


def always(error: Exception) -> bool:
    """Any error may be tried again (if it is of a kind that passes at all)."""
    return True


class Signers:
    """The pairs that may sign, the one to be tried first in front: AWS's last yes decides."""

    def __init__(self, pairs: Sequence[Credentials]) -> None:
        self.pairs = tuple(pairs)

    def accepted(self, pair: Credentials) -> None:
        """AWS took this one: begin with it next time, so that a dead one costs one call and not one each time."""
        if self.pairs[0] is not pair:
            self.pairs = (pair, *(other for other in self.pairs if other is not pair))


class Calls:
    """Calls over one link, with patience; `explain` makes a Problem of a failure. Safe to share between threads."""

    def __init__(self, aws: Aws, link: Link, patience: Patience | None = None, explain: Explain = translate) -> None:
        self._aws = aws
        self._link = link
        self._explain = explain
        self.patience = patience or Patience(aws.sleep, aws.monotonic)

    @property
    def endpoint(self) -> str:
        """Which AWS these calls go to; see Link."""
        return self._link.endpoint

    def now(self) -> datetime:
        """AWS's clock."""
        return self._aws.clock.now()

    def call(
        self,
        action: str,
        signers: Signers,
        read: Read[T],
        params: Mapping[str, Any],
        *,
        refused: float = 0.0,
        again: Wanted = always,
        idle: float = float("inf"),
        read_timeout: float | None = None,
    ) -> T:
        """Call "iam:ListAccessKeys" or the like and give what `read` makes of the answer.

        `refused`, `again`: see Patience.run. `idle`: take a connection that was answered within so many seconds, or
        open one. Raises Problem; its `__cause__` and `__context__` are empty, as botocore's errors may quote secrets.
        """
        service = action.split(":")[0]
        last = signers.pairs[0]

        def send(pair: Credentials) -> T:
            nonlocal last
            last = pair
            with self._link.lanes(service).borrow(idle) as lane:
                return self._link.call(action, pair, lane, read, params, read_timeout)

        try:
            return self.patience.run(lambda: _first_accepted(signers, send), refused=refused, again=again)
        except FAILURES as error:
            failure = error
        raise self._explain(failure, self.sent(action, last))

    def sent(self, action: str, pair: Credentials) -> Sent:
        """The circumstances of a failure."""
        service = action.split(":")[0]
        return Sent(action, pair.key_id, self._link.url(service), self._link.region, self._aws.clock.offset)


def _first_accepted(signers: Signers, send: Callable[[Credentials], T]) -> T:
    """Raises what the last said if AWS accepts none."""
    *others, last = signers.pairs
    for pair in others:
        try:
            answer = send(pair)
        except FAILURES as error:
            if not is_refusal(error):
                raise
        else:
            signers.accepted(pair)
            return answer
    answer = send(last)
    signers.accepted(last)
    return answer
