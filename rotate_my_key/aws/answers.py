"""AWS's answers as values of `rotate_my_key.model`. Pure.

An answer that lacks something, or holds what AWS would not say, raises KeyError, ValueError, or whatever comes of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ..model import AccessKey, Credentials, Identity, LastUse

Answer = Mapping[str, Any]

_ARN = re.compile(r"arn:aws[\w-]*:(iam|sts)::(\d{12}):[!-~]+")
_KEY_ID = re.compile(r"AKIA[A-Z0-9]{12,124}")  # IAM User Guide, "IAM identifiers": other letters are other things
_KEY_IDS = re.compile(r"\w{16,128}")  # IAM API reference, `accessKeyIdType`
_DAY = timedelta(days=1)


def identity(answer: Answer) -> Identity:
    """GetCallerIdentity."""
    return _identity(answer["Account"], answer["Arn"])


def _identity(account: str, arn: str) -> Identity:
    found = _ARN.fullmatch(arn)
    if found is None or found[2] != account:
        raise ValueError(arn)
    return Identity(account, arn)


def page(answer: Answer, user: str | None, now: datetime) -> tuple[list[AccessKey], str | None]:
    """ListAccessKeys of a user (None: not known yet): the keys of one page, and the marker of the next if there is one.

    Keys of two users, a key that is made only after `now` (AWS's time), or one key twice are no such list.
    """
    entries = answer["AccessKeyMetadata"]
    keys = [_key(entry) for entry in entries]
    users = owners(answer) | ({user} if user else set())
    if len(users) > 1 or len({key.key_id for key in keys}) < len(keys):
        raise ValueError(users)
    if any(key.created > now + _DAY for key in keys):
        raise ValueError(now)
    return keys, answer["Marker"] if answer.get("IsTruncated") else None


def owners(answer: Answer) -> set[str]:
    """ListAccessKeys: the users whose keys are on the page; one at most. Root's keys are nobody's."""
    return {entry["UserName"] for entry in answer["AccessKeyMetadata"] if "UserName" in entry}


def tags(answer: Answer) -> dict[str, str]:
    """GetUser."""
    return {tag["Key"]: tag["Value"] for tag in answer["User"].get("Tags", ())}


def last_use(answer: Answer) -> LastUse:
    """GetAccessKeyLastUsed. Without a date it says N/A for service and region: never, or not known yet."""
    used = answer["AccessKeyLastUsed"]
    at = used.get("LastUsedDate")
    return LastUse(_utc(at), used["ServiceName"], used["Region"]) if at else LastUse(None)


def created(answer: Answer, user: str | None) -> tuple[Credentials, AccessKey]:
    """CreateAccessKey: the only time that AWS tells the secret, which may look like anything.

    Without a key of this user with a secret it is no answer."""
    made = answer["AccessKey"]
    pair = _pair(made, _KEY_ID)
    if made["UserName"] != (user or made["UserName"]):
        raise ValueError(user)
    return pair, _key(made)


def session(answer: Answer) -> Credentials:
    """GetSessionToken."""
    made = answer["Credentials"]
    pair = _pair(made, _KEY_IDS)
    return Credentials(pair.key_id, pair.secret, _text(made["SessionToken"]))


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
    arn = str(answer["User"]["Arn"])
    return _identity(arn.split(":")[4], arn).arn


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
    return AccessKey(_matching(_KEY_IDS, entry["AccessKeyId"]), _text(entry["Status"]), _utc(entry["CreateDate"]))


def _pair(made: Answer, key_id: re.Pattern[str]) -> Credentials:
    return Credentials(_matching(key_id, made["AccessKeyId"]), _text(made["SecretAccessKey"]))


def _matching(form: re.Pattern[str], value: str) -> str:
    if not form.fullmatch(value):
        raise ValueError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _utc(at: datetime) -> datetime:
    """AWS's services began in 2006; a date outside of what this program can see is none."""
    at = at.astimezone(UTC)
    if not 2006 <= at.year < 2200:
        raise ValueError(at)
    return at
