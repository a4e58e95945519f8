"""AWS's answers as values of `rotate_my_key.model`. Pure; an answer that lacks something raises KeyError."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..model import AccessKey, Credentials, Identity, LastUse

Answer = Mapping[str, Any]


def identity(answer: Answer) -> Identity:
    """GetCallerIdentity."""
    return Identity(answer["Account"], answer["Arn"])


def page(answer: Answer) -> tuple[list[AccessKey], str | None]:
    """ListAccessKeys: the keys of one page, and the marker of the next if there is one."""
    keys = [_key(entry) for entry in answer["AccessKeyMetadata"]]
    return keys, answer["Marker"] if answer.get("IsTruncated") else None


def tags(answer: Answer) -> dict[str, str]:
    """GetUser."""
    return {tag["Key"]: tag["Value"] for tag in answer["User"].get("Tags", ())}


def last_use(answer: Answer) -> LastUse:
    """GetAccessKeyLastUsed. Without a date it says N/A for service and region: never, or not known yet."""
    used = answer["AccessKeyLastUsed"]
    at = used.get("LastUsedDate")
    return LastUse(_utc(at), used["ServiceName"], used["Region"]) if at else LastUse(None)


def created(answer: Answer) -> tuple[Credentials, AccessKey]:
    """CreateAccessKey: the only time that AWS tells the secret."""
    made = answer["AccessKey"]
    return Credentials(made["AccessKeyId"], made["SecretAccessKey"]), _key(made)


def policies(answer: Answer) -> tuple[str, ...]:
    """ListAttachedUserPolicies: the policies' names."""
    return tuple(policy["PolicyName"] for policy in answer["AttachedPolicies"])


def nothing(answer: Answer) -> None:
    """An answer that only says yes."""


def _key(entry: Answer) -> AccessKey:
    return AccessKey(entry["AccessKeyId"], entry["Status"], _utc(entry["CreateDate"]))


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
