"""Proving that AWS knows a new key: sign-ins in a row, each on a connection of its own.

AWS says no on one host seconds after yes on another, so one success is no proof; connections of their own reach several
hosts. The polls before the first yes take turns on the row's connections, which are open when the row begins.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from ..errors import KeyRefused, OtherIdentity, Problem, TryLater, mask
from ..model import Credentials, Identity
from ..parallel import Running
from . import answers
from .calls import Calls
from .errors import translate
from .failures import FAILURES, Kind, kind
from .lanes import Lane
from .link import Link

_ACTION = "sts:GetCallerIdentity"


class Proof:
    """`timeout` and `interval` in seconds; times are read from `monotonic`."""

    def __init__(self, calls: Calls, link: Link, timeout: float, interval: float) -> None:
        self._calls = calls
        self._link = link
        self._timeout = timeout
        self._interval = interval
        self._sleep = calls.patience.sleep
        self._monotonic = calls.patience.monotonic

    def of(self, pair: Credentials, times: int) -> Identity:
        """See the port: `times` sign-ins in a row. Whatever passes by itself is a no, and begins the row again."""
        deadline = self._monotonic() + self._timeout
        with ExitStack() as held:
            lanes = [held.enter_context(self._link.lanes("sts").borrow()) for _ in range(times)]
            turn = 0
            while True:
                try:
                    return self._row(pair, lanes[turn:] + lanes[:turn])
                except FAILURES as error:
                    failure = error
                pause = self._calls.patience.poll()
                if kind(failure) is Kind.FINAL or self._monotonic() + pause > deadline:
                    break
                self._sleep(pause)
                turn = (turn + 1) % times
        raise self._ended(failure, pair)

    def _row(self, pair: Credentials, lanes: list[Lane]) -> Identity:
        """One row. The next sign-in does not wait for the one before to end, but is not begun after a no."""
        if not self._interval:
            return self._same(pair, self._at_once(pair, lanes))
        began = self._monotonic()
        first = self._sign_in(pair, lanes[0])
        running: list[Running[Identity]] = []
        for number, lane in enumerate(lanes[1:], start=1):
            wait = began + number * self._interval - self._monotonic()
            if wait > 0:
                self._sleep(wait)
            if any(sign_in.failed for sign_in in running):
                break
            running.append(Running(partial(self._sign_in, pair, lane)))
        return self._same(pair, [first, *(sign_in.result() for sign_in in running)])

    def _at_once(self, pair: Credentials, lanes: list[Lane]) -> list[Identity]:
        """Without an interval the whole row costs one round trip; all of it ends before a no is told."""
        running = [Running(partial(self._sign_in, pair, lane)) for lane in lanes[1:]]
        asked: list[Callable[[], Identity]] = [partial(self._sign_in, pair, lanes[0])]
        asked += [sign_in.result for sign_in in running]
        found: list[Identity] = []
        failure: Exception | None = None
        for answer in asked:
            try:
                found.append(answer())
            except FAILURES as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return found

    @staticmethod
    def _same(pair: Credentials, answers: list[Identity]) -> Identity:
        if any(answer != answers[0] for answer in answers):
            raise OtherIdentity(
                f"AWS says that key {mask(pair.key_id)} is {answers[0].arn}, and then that it is somebody else",
                "check the endpoint and the proxy with: rotate-my-key doctor",
            )
        return answers[0]

    def _sign_in(self, pair: Credentials, lane: Lane) -> Identity:
        return self._link.call(_ACTION, pair, lane, answers.identity, {})

    def _ended(self, failure: Exception, pair: Credentials) -> Problem:
        problem = translate(failure, self._calls.sent(_ACTION, pair))
        if not isinstance(problem, KeyRefused) or problem.wrong_secret:
            return problem
        return TryLater(
            f"AWS does not accept key {mask(pair.key_id)} yet, after {round(self._timeout)} s",
            "nothing is lost; repeat the command in a few minutes (propagation_timeout says how long it waits)",
        )
