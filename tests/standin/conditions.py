"""The conditions of policies: which operators and keys there are, and whether they hold.

Pure. Rules of the IAM User Guide ("IAM JSON policy elements: Condition operators"): a key that the call does not have
fails every operator but the negated ones, `...IfExists` and `ForAllValues:`. Values are compared after wildcards only
by the `Like` operators and by those for ARNs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Values = tuple[str, ...]
Context = Mapping[str, Values]

_KEYS = {
    *("aws:MultiFactorAuthPresent", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID"),
    *("aws:RequestedRegion", "aws:TagKeys", "aws:userid", "kms:ViaService"),
    *("ses:FromAddress", "ses:Recipients", "sts:ExternalId", "sts:RoleSessionName"),
    *("s3:prefix", "s3:x-amz-server-side-encryption", "secretsmanager:Name", "secretsmanager:SecretId"),
}
_TAGGED = re.compile(r"(?:aws:(?:Request|Resource|Principal)|iam:Resource|secretsmanager:Resource)Tag/.+")
_MANY = {"aws:TagKeys", "ses:Recipients"}  # such keys need ForAllValues: or ForAnyValue:
_MFA = "aws:MultiFactorAuthPresent"


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Whether a pattern with `*` and `?` is all of the text."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _same(pattern: str, text: str) -> bool:
    return pattern == text


_OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {  # how to compare, and whether it is negated
    "StringEquals": (_same, False),
    "StringNotEquals": (_same, True),
    "StringLike": (matches, False),
    "StringNotLike": (matches, True),
    "ArnEquals": (matches, False),
    "ArnLike": (matches, False),
    "ArnNotEquals": (matches, True),
    "ArnNotLike": (matches, True),
    "Bool": (_same, False),
}


def check(block: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises ValueError for an operator, a key or a value that is not understood here."""
    for operator, keys in block.items():
        quantity, name, _ = _parts(operator)
        if name != "Null" and name not in _OPERATORS:
            raise ValueError(operator)
        for key, values in keys.items():
            if key not in _KEYS and not _TAGGED.fullmatch(key):
                raise ValueError(key)
            if (name == "Bool") != (key == _MFA) and name != "Null":
                raise ValueError(f"{operator} on {key}")
            if (key in _MANY) != bool(quantity) and name != "Null":
                raise ValueError(f"{operator} on {key}: a key with several values wants ForAllValues or ForAnyValue")
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
    return (any if quantity == "ForAnyValue" else all)(map(fits, found))


def _parts(operator: str) -> tuple[str, str, bool]:
    """`ForAllValues:StringLikeIfExists` is ("ForAllValues", "StringLike", True)."""
    quantity, colon, name = operator.rpartition(":")
    if colon and quantity not in ("ForAllValues", "ForAnyValue"):
        raise ValueError(operator)
    return quantity, name.removesuffix("IfExists"), name.endswith("IfExists")


def _list(values: Any) -> Sequence[Any]:
    return values if isinstance(values, list | tuple) else [values]
