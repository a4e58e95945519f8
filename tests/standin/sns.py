"""SNS: topics, and what is published to them.

Source: SNS API reference (Publish: what a subject may be, 256 KiB for a message).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from .cloud import Published
from .errors import Refused
from .protocols import cut, size
from .rules import Call
from .sessions import Signer
from .world import World

Payload = Mapping[str, Any]
Result = dict[str, Any]
_LONGEST = 256 * 1024


def create_topic(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """CreateTopic; one that is there is given again."""
    arn = topic_arn(world, call.region, payload.get("Name", ""))
    world.cloud.topics.add(arn)
    return {"TopicArn": arn}


def list_topics(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """ListTopics of the region."""
    mine = [arn for arn in world.cloud.topics if arn.split(":")[3] == call.region]
    count = size("", 100, 100, world.settings.page_size)
    page, token = cut(mine, str, payload.get("NextToken", ""), count)
    return {"Topics": [{"TopicArn": arn} for arn in page], **({"NextToken": token} if token else {})}


def publish(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """Publish. Raises Refused: NotFound, InvalidParameter, AuthorizationError."""
    topic, subject, message = (payload.get(name, "") for name in ("TopicArn", "Subject", "Message"))
    parts = topic.split(":")
    if len(parts) != 6 or parts[2] != "sns" or parts[3] != call.region:
        raise _wrong("TopicArn")
    if parts[4] != world.account:
        raise Refused("AuthorizationError", f"User: {signer.arn} is not authorized to perform: SNS:Publish", 403)
    if "Subject" in payload and not _good(subject):
        raise _wrong("Subject")
    if not message:
        raise Refused("InvalidParameter", "Invalid parameter: Empty message", 400)
    if len(message.encode()) > _LONGEST:
        raise Refused("InvalidParameter", "Invalid parameter: Message too long", 400)
    if topic not in world.cloud.topics:
        raise Refused("NotFound", "Topic does not exist", 404)
    world.cloud.published.append(Published(topic, subject, message))
    return {"MessageId": str(uuid.uuid4())}


def topic_arn(world: World, region: str, name: str) -> str:
    """The ARN of a topic of this account."""
    return f"arn:{world.settings.partition}:sns:{region}:{world.account}:{name}"


def _good(subject: str) -> bool:
    """ASCII that begins with a letter, number or mark, without line breaks or control characters, up to 100."""
    return 0 < len(subject) <= 100 and subject.isascii() and subject.isprintable() and not subject.startswith(" ")


def _wrong(name: str) -> Refused:
    return Refused("InvalidParameter", f"Invalid parameter: {name}", 400)
