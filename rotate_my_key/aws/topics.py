"""Notices through SNS: the port `fleet.ports.Topics`.

Calls: sns:Publish. A topic is in the region that its ARN names, whatever region is in force.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from ..errors import Gone, WrongUsage
from . import answers
from .account_calls import AccountCalls

_ARN = re.compile(r"arn:[\w-]+:sns:(?P<region>[\w-]+):\d{12}:[\w-]+(?P<fifo>\.fifo)?", re.ASCII)
_SUBJECT = 100  # characters (SNS API reference, Publish)
_MESSAGE = 262_144  # bytes
_CUT = "\n[cut: longer than SNS allows]"


class Sns:
    """See the port. Safe to share between threads."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def publish(self, topic: str, subject: str, text: str) -> None:
        """See the port. Raises WrongUsage for what is no topic's ARN, Gone, Denied."""
        arn = _ARN.fullmatch(topic)
        if arn is None:
            raise WrongUsage(
                f"{topic} is not the ARN of a topic", "write it like arn:aws:sns:eu-west-1:123456789012:NAME"
            )
        params: dict[str, Any] = {"TopicArn": topic, "Message": _fitting(text) or "-"}
        if fitting := subject_for(subject):
            params["Subject"] = fitting
        if arn["fifo"]:
            params |= {"MessageGroupId": "rotate-my-key", "MessageDeduplicationId": str(uuid.uuid4())}
        try:
            self._calls.at(arn["region"]).call("sns:Publish", answers.nothing, params)
        except Gone:
            raise Gone(f"there is no topic {topic}", "aws sns list-topics") from None


def subject_for(subject: str) -> str:
    """As SNS takes it: ASCII, one line, at most 100 characters, not beginning with a blank; "" if nothing is left."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in " ".join(subject.split()))
    return plain if len(plain) <= _SUBJECT else plain[: _SUBJECT - 3].rstrip() + "..."


def _fitting(text: str) -> str:
    data = text.encode()
    if len(data) <= _MESSAGE:
        return text
    return data[: _MESSAGE - len(_CUT)].decode(errors="ignore") + _CUT
