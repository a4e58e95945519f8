"""Lines to CloudWatch Logs: the port `fleet.ports.Logs`.

Calls: logs:PutLogEvents, logs:CreateLogStream. The limits are those of the API reference, PutLogEvents: at most 10,000
events and 1,048,576 bytes (UTF-8, and 26 for each event) in a batch, all within 24 hours, in time order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..errors import Gone, Problem
from . import answers
from .account_calls import AccountCalls
from .service_errors import Exists

_MOST, _BYTES, _EACH = 10_000, 1_048_576, 26
_SPAN = timedelta(hours=24) - timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Line = tuple[datetime, str]


class CloudWatchLogs:
    """See the port. Safe to share between threads."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def put(self, group: str, stream: str, lines: Sequence[Line]) -> None:
        """See the port. A line of more than a megabyte is refused before anything is sent; Problem also tells that AWS
        did not take a line (older than 14 days or the group's retention)."""
        for batch in list(batches(lines)):
            params = {
                "logGroupName": group,
                "logStreamName": stream,
                "logEvents": [{"timestamp": _milliseconds(at), "message": text} for at, text in batch],
            }
            try:
                refused = self._calls.call("logs:PutLogEvents", _refused, params)
            except Gone:
                self._create(group, stream)
                refused = self._calls.call("logs:PutLogEvents", _refused, params)
            if refused:
                raise Problem(
                    f"CloudWatch did not take lines for {group}: their time is too far away", "check the clock"
                )

    def _create(self, group: str, stream: str) -> None:
        params = {"logGroupName": group, "logStreamName": stream}
        try:
            self._calls.call("logs:CreateLogStream", answers.nothing, params)
        except Exists:  # another run was here
            pass
        except Gone:
            raise Gone(
                f"there is no log group {group}", f"aws logs create-log-group --log-group-name {group}"
            ) from None


def batches(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """The lines in time order, in portions that AWS takes. Raises Problem for one that is too long."""
    batch: list[Line] = []
    size = 0
    for at, text in sorted(lines, key=lambda line: line[0]):
        length = len(text.encode()) + _EACH
        if length > _BYTES:
            raise Problem("a line is too long for CloudWatch Logs (1 MB)")
        if batch and (len(batch) == _MOST or size + length > _BYTES or at - batch[0][0] > _SPAN):
            yield batch
            batch, size = [], 0
        batch.append((at, text or " "))  # an empty line is refused
        size += length
    if batch:
        yield batch


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _refused(answer: Mapping[str, Any]) -> bool:
    return bool(answer.get("rejectedLogEventsInfo"))
