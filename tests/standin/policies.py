"""Policies: whether the documents attached to a user, a role or a secret allow a call, and whether conditions hold.

Pure. As much of IAM's language as the policies of this project use: Effect, Action and NotAction with wildcards,
Resource with wildcards and `${aws:username}`, Principal with AWS principals, and conditions.
Anything else in a document is refused when it is attached, so that no test passes because a part was not understood.
The rules are those of the IAM User Guide ("Policy evaluation logic": a Deny decides, then an Allow; without either it
is denied. "Condition operators": a key that the call does not have fails every operator but the negated ones,
`...IfExists` and `ForAllValues:`; wildcards count only in the `Like` operators and in those for ARNs).

A user without any document may do everything, unless the settings say `strict`: most tests are not about rights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import Refused, denied
from .rules import Call, Reason
from .sessions import Signer

Values = tuple[str, ...]
Context = Mapping[str, Values]

_KEYS = {
    *("aws:MultiFactorAuthPresent", "aws:PrincipalArn", "aws:TagKeys", "aws:TokenIssueTime", "aws:userid"),
    *("kms:ViaService", "sts:ExternalId", "s3:prefix"),
}
_MANY = {"aws:TagKeys"}  # such keys need ForAllValues:
_MFA = "aws:MultiFactorAuthPresent"


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Whether a pattern with `*` and `?` is all of the text."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _same(pattern: str, text: str) -> bool:
    return pattern == text


_OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {  # how to compare, and whether it is negated
    "StringEquals": (_same, False),
    "StringLike": (matches, False),
    "StringNotLike": (matches, True),
    "ArnLike": (matches, False),
    "ArnNotEquals": (matches, True),
    "ArnNotLike": (matches, True),
    "Bool": (_same, False),
    "DateLessThan": (lambda limit, moment: moment < limit, False),  # both in UTC, in the form with a Z
}


def check(block: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises ValueError for an operator, a key or a value that is not understood here."""
    for operator, keys in block.items():
        quantity, name, _ = _parts(operator)
        if name != "Null" and name not in _OPERATORS:
            raise ValueError(operator)
        for key, values in keys.items():
            if key not in _KEYS:
                raise ValueError(key)
            if (name == "Bool") != (key == _MFA) and name != "Null":
                raise ValueError(f"{operator} on {key}")
            if (key in _MANY) != bool(quantity) and name != "Null":
                raise ValueError(f"{operator} on {key}: a key with several values wants ForAllValues")
            if any(not isinstance(value, str) or "${" in value for value in _list(values)):
                raise ValueError(values)


def hold(block: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether all conditions of a statement hold."""
    return all(
        _holds(operator, _list(values), context.get(key))
        for operator, keys in block.items()
        for key, values in keys.items()
    )


def _holds(operator: str, wanted: Sequence[str], found: Values | None) -> bool:
    quantity, name, if_exists = _parts(operator)
    if name == "Null":
        return (found is None) == (wanted[0] == "true")
    compare, negated = _OPERATORS[name]

    def fits(value: str) -> bool:
        return any(compare(each, value) for each in wanted) != negated

    if found is None:
        return if_exists or quantity == "ForAllValues" or (negated and not quantity)
    return all(map(fits, found))


def _parts(operator: str) -> tuple[str, str, bool]:
    """`ForAllValues:StringLikeIfExists` is ("ForAllValues", "StringLike", True)."""
    quantity, colon, name = operator.rpartition(":")
    if colon and quantity != "ForAllValues":
        raise ValueError(operator)
    return quantity, name.removesuffix("IfExists"), name.endswith("IfExists")


def _list(values: Any) -> Sequence[Any]:
    return values if isinstance(values, list | tuple) else [values]


Document = Mapping[str, Any]
Verdict = Literal["Allow", "Deny", "Forbid", "Delegate", ""]
_KNOWN = {"Sid", "Effect", "Action", "NotAction", "Resource", "Condition"}
_ALWAYS = {"sts:GetCallerIdentity", "sts:GetSessionToken"}  # need no permission (STS API reference)
_VARIABLE = "${aws:username}"
_PRINCIPAL = re.compile(r"\*|\d{12}|arn:[\w-]+:(?:iam|sts)::\d{12}:(?:root|user/.+|role/.+|assumed-role/.+)")


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for: an action such as `iam:TagUser`, on a resource, and what conditions may look at."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


def check_identity_policy(document: Document) -> None:
    """Raises ValueError for anything in an identity policy that is not understood here."""
    for statement in _statements(document):
        if set(statement) - _KNOWN:
            raise ValueError(statement)
        _check(statement)


def check_resource_policy(document: Document) -> None:
    """Raises ValueError for anything in a secret's policy that is not understood here."""
    for statement in _statements(document):
        if set(statement) - _KNOWN - {"Principal"} or "Principal" not in statement:
            raise ValueError(statement)
        principal = statement["Principal"]
        if principal != "*" and (not isinstance(principal, dict) or set(principal) != {"AWS"}):
            raise ValueError(principal)
        if not all(_PRINCIPAL.fullmatch(each) for each in _named(statement)):
            raise ValueError(principal)
        _check(statement)


def _statements(document: Document) -> Sequence[Mapping[str, Any]]:
    names = set(document) if isinstance(document, dict) else set()
    if names - {"Id"} != {"Version", "Statement"} or document["Version"] != "2012-10-17":
        raise ValueError("a document has Version 2012-10-17 and Statement")
    statements = document["Statement"]
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not all(isinstance(statement, dict) for statement in statements):
        raise ValueError("a statement is an object")
    return statements


def _check(statement: Mapping[str, Any]) -> None:
    if statement.get("Effect") not in ("Allow", "Deny") or "Resource" not in statement:
        raise ValueError(statement)
    if ("Action" in statement) == ("NotAction" in statement):
        raise ValueError("a statement has either Action or NotAction")
    for name in ("Action", "NotAction", "Resource"):
        if not all(isinstance(each, str) for each in _texts(statement.get(name, []))):
            raise ValueError(statement)
    if any("${" in pattern.replace(_VARIABLE, "") for pattern in _texts(statement["Resource"])):
        raise ValueError(statement["Resource"])
    check(statement.get("Condition", {}))


def admit(
    documents: Sequence[Document], call: Call, signer: Signer, resource: str, context: Context | None = None
) -> None:
    """Raises Refused (AccessDenied) if these documents, which are all of the signer's, do not allow the call."""
    ask = Ask(f"{call.service}:{call.action}", resource, {**who(signer), **(context or {})})
    verdict = decide(documents, ask, signer)
    if documents and not passes(ask, verdict):
        raise refused(signer, ask, verdict)


def passes(ask: Ask, verdict: Verdict) -> bool:
    """Whether a call goes through with this verdict: some need no permission, one cannot even be denied."""
    if ask.action == "sts:GetCallerIdentity" or verdict == "Allow":
        return True
    return verdict == "" and ask.action in _ALWAYS


def who(signer: Signer) -> dict[str, Values]:
    """What conditions may know of a caller: MFA and when they began only of temporary credentials (IAM User Guide)."""
    mfa = {"aws:MultiFactorAuthPresent": (str(signer.mfa).lower(),)} if signer.key_id is None else {}
    since = {"aws:TokenIssueTime": (f"{signer.since:%Y-%m-%dT%H:%M:%SZ}",)} if signer.since else {}
    return {"aws:PrincipalArn": (signer.principal,), **mfa, **since}


def decide(documents: Sequence[Document], ask: Ask, signer: Signer) -> Verdict:
    """What identity policies say."""
    name = signer.user.name if signer.user else None
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _statements(document)
        if _applies(statement, ask, name)
    }
    return "Deny" if "Deny" in effects else "Allow" if "Allow" in effects else ""


def decide_resource(document: Document | None, ask: Ask, signer: Signer) -> Verdict:
    """What a resource's own policy says: "Forbid", or "Delegate", which leaves it to the caller's own policies."""
    effects = {
        (statement["Effect"], how)
        for statement in (_statements(document) if document else ())
        if (how := _means(statement, signer)) and _applies(statement, ask, None)
    }
    if any(effect == "Deny" for effect, _ in effects):
        return "Forbid"
    return "Allow" if ("Allow", "itself") in effects else "Delegate" if effects else ""


def principals(document: Document) -> list[str]:
    """All ARNs and accounts that a resource's policy names."""
    return [each for statement in _statements(document) for each in _named(statement) if each != "*"]


def is_public(document: Document) -> bool:
    """Whether anybody at all is allowed something, without a condition."""
    return any(
        statement["Effect"] == "Allow" and "*" in _named(statement) and not statement.get("Condition")
        for statement in _statements(document)
    )


def refused(signer: Signer, ask: Ask, verdict: Verdict) -> Refused:
    """AccessDenied, as it is worded for this ask."""
    reasons: dict[Verdict, Reason] = {"Deny": "explicit", "Forbid": "resource"}
    reason = reasons.get(verdict, "implicit")
    whom = ask.resource
    if ask.action.startswith("iam:"):
        whom = ask.resource.rpartition(":")[2].replace("/", " ", 1)
    return denied(signer.arn, ask.action, whom, reason)


def _named(statement: Mapping[str, Any]) -> Sequence[str]:
    principal = statement["Principal"]
    return _texts(principal if isinstance(principal, str) else principal["AWS"])


def _means(statement: Mapping[str, Any], signer: Signer) -> str:
    """Whether a statement means the caller "itself" or his "account"; "" for neither."""
    account = signer.principal.split(":")[4]
    named = set(_named(statement))
    if named & {"*", signer.arn, signer.principal}:
        return "itself"
    return "account" if {account} & {each if each.isdigit() else _root(each) for each in named} else ""


def _root(arn: str) -> str:
    return arn.split(":")[4] if arn.endswith(":root") else ""


def _applies(statement: Mapping[str, Any], ask: Ask, name: str | None) -> bool:
    listed = _texts(statement.get("Action", statement.get("NotAction", [])))
    named = any(matches(pattern, ask.action, ignore_case=True) for pattern in listed)
    resources = [_filled(pattern, name) for pattern in _texts(statement["Resource"])]
    return (
        named == ("Action" in statement)
        and any(pattern is not None and matches(pattern, ask.resource) for pattern in resources)
        and hold(statement.get("Condition", {}), ask.context)
    )


def _filled(pattern: str, name: str | None) -> str | None:
    """The pattern with the user's name in it; None where there is no user to name."""
    if _VARIABLE not in pattern:
        return pattern
    return pattern.replace(_VARIABLE, name) if name is not None else None


def _texts(value: str | Sequence[str]) -> Sequence[str]:
    return [value] if isinstance(value, str) else value
