"""The services of the caller's own account besides IAM: mail, topics, logs, and those of `delivery.py`.

- SES, API version 2: ses:SendEmail, ses:GetAccount. A mail whose answer was lost is sent again: twice is better than
  never.
- SNS: sns:Publish. A topic is in the region that its ARN names, whatever region is in force.
- CloudWatch Logs: logs:PutLogEvents, logs:CreateLogStream. The limits are those of the API reference, PutLogEvents:
  at most 10,000 events and 1,048,576 bytes (UTF-8, and 26 for each event) in a batch, all within 24 hours, in time
  order.

Every verb raises kinds of `Problem` and nothing else; no message holds a secret."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.errors import Denied, Gone, Problem
from .account_calls import Exists, gone
from .calls import read_nothing
from .delivery import S3, NamedSecrets, SecretsManager, Service


class Ses(Service):
    """Mail."""

    def send(self, sender: str, to: str, subject: str, text: str, html: str = "") -> None:
        """SendEmail to one address. Raises Denied, Gone (no such identity), NotAllowed (not verified: sandbox).
        `sender` may have a name: `IT <it@example.com>`."""
        body = {"Text": _utf8(text)} | ({"Html": _utf8(html)} if html else {})
        params = {
            "FromEmailAddress": sender,
            "Destination": {"ToAddresses": [to]},
            "Content": {"Simple": {"Subject": _utf8(" ".join(subject.split())), "Body": body}},
        }
        with gone(f"SES has no identity for {sender}", "aws sesv2 list-email-identities"):
            self._calls.call("sesv2:SendEmail", read_nothing, params)

    def sandbox(self) -> bool | None:
        """GetAccount: whether SES sends to verified addresses only; None if that may not be known."""
        try:
            return self._calls.call("sesv2:GetAccount", lambda answer: not answer["ProductionAccessEnabled"], {})
        except Denied:
            return None


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}


_SUBJECT = 100  # characters (SNS API reference, Publish)


class Sns(Service):
    """Topics."""

    def publish(self, topic: str, subject: str, text: str) -> None:
        """Publish to a topic (its ARN) a text of at most 256 KB. Raises Gone, Denied. SNS wants a subject of at most
        100 ASCII characters; it is cut to that."""
        params: dict[str, Any] = {"TopicArn": topic, "Message": text or "-"}
        if fitting := subject_for(subject):
            params["Subject"] = fitting
        if topic.endswith(".fifo"):
            params |= {"MessageGroupId": "rotate-my-key", "MessageDeduplicationId": str(uuid.uuid4())}
        with gone(f"there is no topic {topic}", "aws sns list-topics"):
            self._calls.at(topic.split(":")[3]).call("sns:Publish", read_nothing, params)


def subject_for(subject: str) -> str:
    """As SNS takes it: ASCII, one line, at most 100 characters, not beginning with a blank; "" if nothing is left."""
    printable = "".join(letter if letter.isprintable() else " " for letter in subject)
    plain = " ".join(printable.split()).encode("ascii", "replace").decode()
    return plain if len(plain) <= _SUBJECT else plain[: _SUBJECT - 3].rstrip() + "..."


_MOST, _BYTES, _EACH = 10_000, 1_048_576, 26
_MILLISECOND = timedelta(milliseconds=1)
_SPAN = timedelta(hours=24) - _MILLISECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Line = tuple[datetime, str]


class CloudWatchLogs(Service):
    """Log groups."""

    def put(self, group: str, stream: str, lines: Sequence[Line]) -> None:
        """PutLogEvents in time order, in batches that AWS takes; the stream is made if absent. Raises Gone (group). A
        line of more than a megabyte is refused before anything is sent; Problem also tells that AWS did not take a line
        (older than 14 days or the group's retention)."""
        for batch in list(batches(lines)):
            params = {
                "logGroupName": group,
                "logStreamName": stream,
                "logEvents": [{"timestamp": (at - _EPOCH) // _MILLISECOND, "message": text} for at, text in batch],
            }
            try:
                refused = self._calls.call("logs:PutLogEvents", _refused, params)
            except Gone:
                self._create(group, stream)
                refused = self._calls.call("logs:PutLogEvents", _refused, params)
            if refused:
                said = f"CloudWatch did not take lines for {group}: their time is too far away"
                raise Problem(said, "check the clock")

    def _create(self, group: str, stream: str) -> None:
        params = {"logGroupName": group, "logStreamName": stream}
        with (
            suppress(Exists),  # another run was here
            gone(f"there is no log group {group}", f"aws logs create-log-group --log-group-name {group}"),
        ):
            self._calls.call("logs:CreateLogStream", read_nothing, params)


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


def _refused(answer: Mapping[str, Any]) -> bool:
    return bool(answer.get("rejectedLogEventsInfo"))


class AwsCloud(Service):
    """Each service in a `region`, "" for that of the profile or environment."""

    def mail(self, region: str = "") -> Ses:
        """SES."""
        return Ses(self._calls.at(region))

    def topics(self, region: str = "") -> Sns:
        """SNS."""
        return Sns(self._calls.at(region))

    def vault(self, region: str = "") -> NamedSecrets:
        """Secrets Manager and SSM, for what settings name."""
        return NamedSecrets(self._calls.at(region))

    def secrets(self, region: str = "") -> SecretsManager:
        """Secrets Manager, for keys that are handed over."""
        return SecretsManager(self._calls.at(region))

    def objects(self, region: str = "") -> S3:
        """S3."""
        return S3(self._calls.at(region))

    def logs(self, region: str = "") -> CloudWatchLogs:
        """CloudWatch Logs."""
        return CloudWatchLogs(self._calls.at(region))
