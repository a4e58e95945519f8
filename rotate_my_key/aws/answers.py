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


def session(answer: Answer) -> Credentials:
    """GetSessionToken."""
    made = answer["Credentials"]
    return Credentials(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def role_session(answer: Answer) -> tuple[Credentials, datetime]:
    """AssumeRole: the credentials, and when they end."""
    return session(answer), _utc(answer["Credentials"]["Expiration"])


def devices(answer: Answer) -> tuple[str, ...]:
    """ListMFADevices: the serial numbers. A user may have eight, so there is one page."""
    return tuple(device["SerialNumber"] for device in answer["MFADevices"])


def owner(answer: Answer) -> str:
    """GetAccessKeyLastUsed: the name of the user whose key it is; "" if it is no user's (root's)."""
    return answer.get("UserName") or ""


def user_arn(answer: Answer) -> str:
    """GetUser."""
    return str(answer["User"]["Arn"])


def policies(answer: Answer) -> tuple[str, ...]:
    """ListAttachedUserPolicies: the policies' names."""
    return tuple(policy["PolicyName"] for policy in answer["AttachedPolicies"])


def refused(answer: Answer) -> tuple[str, ...]:
    """SimulatePrincipalPolicy: the actions that would not be allowed."""
    results = answer["EvaluationResults"]
    return tuple(result["EvalActionName"] for result in results if result["EvalDecision"] != "allowed")


def nothing(answer: Answer) -> None:
    """An answer that only says yes."""


def _key(entry: Answer) -> AccessKey:
    return AccessKey(entry["AccessKeyId"], entry["Status"], _utc(entry["CreateDate"]))


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)
