"""CloudWatch Logs: groups, streams and events.

Source: CloudWatch Logs API reference (PutLogEvents: what a batch may be).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .cloud import find
from .errors import Refused
from .rules import Call
from .sessions import Signer
from .world import World

Payload = Mapping[str, Any]
Result = dict[str, Any]
_DAY = 24 * 3600 * 1000
_MOST_BYTES, _MOST_EVENTS, _OVERHEAD = 1_048_576, 10_000, 26


def create_group(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """CreateLogGroup. Raises Refused (ResourceAlreadyExistsException)."""
    name = str(payload.get("logGroupName") or "")
    if find(world.cloud.logs, call.region, name) is not None:
        raise Refused("ResourceAlreadyExistsException", "The specified log group already exists", 400)
    world.cloud.logs[call.region, name] = {}
    return {}


def create_stream(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """CreateLogStream. Raises Refused: ResourceAlreadyExistsException, ResourceNotFoundException."""
    streams, name = _streams(call, world, payload), str(payload.get("logStreamName") or "")
    if not name or ":" in name or "*" in name or len(name) > 512:
        raise _invalid("1 validation error detected: Value at 'logStreamName' failed to satisfy constraint")
    if name in streams:
        raise Refused("ResourceAlreadyExistsException", "The specified log stream already exists", 400)
    streams[name] = []
    return {}


def put_events(call: Call, world: World, signer: Signer, payload: Payload) -> Result:
    """PutLogEvents. Raises Refused: InvalidParameterException, ResourceNotFoundException."""
    stream = _streams(call, world, payload).get(str(payload.get("logStreamName") or ""))
    if stream is None:
        raise Refused("ResourceNotFoundException", "The specified log stream does not exist.", 400)
    events = [(int(event["timestamp"]), str(event["message"])) for event in payload.get("logEvents") or ()]
    _check(events)
    now = int(world.now().timestamp() * 1000)
    old = sum(at < now - 14 * _DAY for at, _ in events)
    new = next((index for index, (at, _) in enumerate(events) if at > now + _DAY // 12), len(events))
    stream.extend(events[old:new])
    rejected: Result = {"tooOldLogEventEndIndex": old} if old else {}
    if new < len(events):
        rejected["tooNewLogEventStartIndex"] = new
    token = {"nextSequenceToken": f"{len(stream):056}"}
    return {**token, **({"rejectedLogEventsInfo": rejected} if rejected else {})}


def _check(events: list[tuple[int, str]]) -> None:
    times = [at for at, _ in events]
    if not events or any(not message for _, message in events):
        raise _invalid("1 validation error detected: Value at 'logEvents' failed to satisfy constraint: length 1")
    if times != sorted(times):
        raise _invalid("Log events in a single PutLogEvents request must be in chronological order.")
    if times[-1] - times[0] > _DAY:
        raise _invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    length = sum(len(message.encode()) + _OVERHEAD for _, message in events)
    if length > _MOST_BYTES or len(events) > _MOST_EVENTS:
        raise _invalid(f"Upload too large: {length} bytes exceeds limit of {_MOST_BYTES}")


def _streams(call: Call, world: World, payload: Payload) -> dict[str, list[tuple[int, str]]]:
    found = find(world.cloud.logs, call.region, str(payload.get("logGroupName") or ""))
    if found is None:
        raise Refused("ResourceNotFoundException", "The specified log group does not exist.", 400)
    return found


def _invalid(sentence: str) -> Refused:
    return Refused("InvalidParameterException", sentence, 400)
