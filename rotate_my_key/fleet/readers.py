"""Who may read a secret that is handed over: its user, or the role he signs in with, and nobody else. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from ..errors import WrongUsage

_MAY = ["secretsmanager:GetSecretValue", "secretsmanager:DeleteSecret"]


def readers(user_arn: str, reader: str, user: str) -> tuple[str, ...]:
    """The ARNs that may read: the user's, and that of the role he signs in with (`reissue.reader`).

    Raises WrongUsage for a reader that is no role or session of one.
    """
    if not reader:
        return (user_arn,)
    arn = reader.replace("{user}", user)
    if not re.fullmatch(r"arn:[\w-]+:(iam::\d{12}:role/|sts::\d{12}:assumed-role/[^/]+/)\S+", arn):
        raise WrongUsage(
            f"reissue.reader {reader!r} is neither a role's ARN nor a session's",
            "write it like arn:aws:iam::123456789012:role/{user} or arn:aws:sts::123456789012:assumed-role/ROLE/{user}",
        )
    return (user_arn, arn)


def reading_policy(arns: tuple[str, ...]) -> str:
    """The secret's resource policy: these may read and delete it, nobody else may read, whatever other policies say.

    aws:PrincipalArn is the role's ARN for a session, and aws:userid ends in its name (IAM User Guide, "Global condition
    keys"). ListSecrets and the like show no value. BatchGetSecretValue needs GetSecretValue.
    """
    document = {"Version": "2012-10-17", "Statement": [*_allow(arns), *_deny(arns)]}
    return json.dumps(document, separators=(",", ":"))


def _allow(arns: tuple[str, ...]) -> list[dict[str, Any]]:
    """A principal has no wildcards; where a reader has one, its account decides who it is, within the condition."""
    exact = [arn for arn in arns if not _is_pattern(arn)]
    rows: list[dict[str, Any]] = [_row("Reader", "Allow", {"AWS": exact}, _MAY)]
    for number, arn in enumerate(sorted(set(arns) - set(exact))):
        row = _row(f"ReaderLike{number}", "Allow", {"AWS": _account_of(arn)}, _MAY)
        condition: dict[str, Any] = {"ArnLike": {"aws:PrincipalArn": _principals(arn)}}
        if session := _session_of(arn):
            condition["StringLike"] = {"aws:userid": f"*:{session}"}
        rows.append({**row, "Condition": condition})
    return rows


def _deny(arns: tuple[str, ...]) -> list[dict[str, Any]]:
    all_of_them = [principal for arn in arns for principal in _principals(arn)]
    denied = _row("NobodyElse", "Deny", "*", _MAY[:1])
    rows = [{**denied, "Condition": {"ArnNotLike": {"aws:PrincipalArn": all_of_them}}}]
    for number, arn in enumerate(arn for arn in arns if _session_of(arn)):
        condition = {
            "ArnLike": {"aws:PrincipalArn": _principals(arn)},
            "StringNotLike": {"aws:userid": f"*:{_session_of(arn)}"},
        }
        rows.append({**denied, "Sid": f"NoOtherSession{number}", "Condition": condition})
    return rows


def _row(sid: str, effect: str, principal: object, actions: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": effect, "Principal": principal, "Action": actions, "Resource": "*"}


def _is_pattern(arn: str) -> bool:
    return "*" in arn or "?" in arn


def _account_of(arn: str) -> str:
    _, partition, _, _, account, _ = arn.split(":", 5)
    return f"arn:{partition}:iam::{account}:root"


def _session_of(arn: str) -> str:
    return arn.split("/", 2)[2] if ":assumed-role/" in arn else ""


def _principals(arn: str) -> list[str]:
    """As aws:PrincipalArn has it: a session is its role, whose path the session's ARN does not tell."""
    if ":assumed-role/" not in arn:
        return [arn]
    role = arn.split("/")[1]
    base = _account_of(arn).removesuffix("root")
    return [f"{base}role/{role}", f"{base}role/*/{role}"]
