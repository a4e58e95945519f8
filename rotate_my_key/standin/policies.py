"""Identity policies: whether the documents attached to a user allow a call.

Pure. As much of IAM's language as the policies of this project use: Effect, Action and NotAction with wildcards,
Resource with wildcards and `${aws:username}`, Bool and BoolIfExists on aws:MultiFactorAuthPresent. Anything else in a
document is refused when it is attached, so that no test passes because a part was not understood. The rules are those
of the IAM User Guide ("Policy evaluation logic"): a Deny decides, then an Allow; without either it is denied.

A user without any document may do everything: most tests are not about rights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import Refused, denied
from .rules import Call, Reason
from .sessions import Signer

Document = Mapping[str, Any]
_KNOWN = {"Sid", "Effect", "Action", "NotAction", "Resource", "Condition"}
_MFA = "aws:MultiFactorAuthPresent"
_ALWAYS = {"sts:GetCallerIdentity", "sts:GetSessionToken"}  # need no permission (STS API reference)


def check(document: Document) -> None:
    """Raises ValueError for anything that is not understood here."""
    if set(document) != {"Version", "Statement"} or document["Version"] != "2012-10-17":
        raise ValueError("a document has Version 2012-10-17 and Statement")
    for statement in document["Statement"]:
        conditions = statement.get("Condition", {})
        if set(statement) - _KNOWN or statement["Effect"] not in ("Allow", "Deny") or "Resource" not in statement:
            raise ValueError(statement)
        if set(conditions) - {"Bool", "BoolIfExists"} or any(set(keys) != {_MFA} for keys in conditions.values()):
            raise ValueError(conditions)


def admit(documents: Sequence[Document], call: Call, signer: Signer, resource: str) -> None:
    """Raises Refused (AccessDenied) if these documents, which are all of the signer's, do not allow the call."""
    action = f"{call.service}:{call.action}"
    effects = {
        statement["Effect"]
        for document in documents
        for statement in document["Statement"]
        if _applies(statement, action, resource, signer)
    }
    reason: Reason = "explicit" if "Deny" in effects else "implicit"
    if action == "sts:GetCallerIdentity" or not documents:
        return
    if "Deny" in effects or ("Allow" not in effects and action not in _ALWAYS):
        raise _denied(signer, action, resource, reason)


def _denied(signer: Signer, action: str, resource: str, reason: Reason) -> Refused:
    return denied(signer.arn, action, resource.rpartition(":")[2].replace("/", " ", 1), reason)


def _applies(statement: Mapping[str, Any], action: str, resource: str, signer: Signer) -> bool:
    name = signer.user.name if signer.user else ""
    listed = _list(statement.get("Action", statement.get("NotAction", [])))
    named = any(_matches(pattern, action, ignore_case=True) for pattern in listed)
    resources = [pattern.replace("${aws:username}", name) for pattern in _list(statement["Resource"])]
    return (
        named == ("Action" in statement)
        and any(_matches(pattern, resource) for pattern in resources)
        and all(_holds(operator, value[_MFA], signer) for operator, value in statement.get("Condition", {}).items())
    )


def _holds(operator: str, wanted: str, signer: Signer) -> bool:
    """The key is there only for temporary credentials (IAM User Guide, "AWS global condition context keys")."""
    if signer.key_id is not None:
        return operator == "BoolIfExists"
    return wanted == str(signer.mfa).lower()


def _matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), text, re.IGNORECASE if ignore_case else 0) is not None


def _list(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
