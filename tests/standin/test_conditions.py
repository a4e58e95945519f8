"""The conditions of policies: every operator, with the key there, not there, and there several times."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standin import policies

KEY = "ses:FromAddress"
TAGS = "aws:TagKeys"
TAGGED = "aws:RequestTag/team"
CASES = [
    ("equal", "StringEquals", KEY, ["a", "b"], ("b",), True),
    ("not equal", "StringEquals", KEY, ["a", "b"], ("c",), False),
    ("a star is no wildcard", "StringEquals", KEY, ["a*"], ("ab",), False),
    ("no case is spared", "StringEquals", KEY, ["A"], ("a",), False),
    ("equal, but it is not there", "StringEquals", KEY, ["a"], None, False),
    ("equal if it is there", "StringEqualsIfExists", KEY, ["a"], None, True),
    ("equal if it is there, and is not", "StringEqualsIfExists", KEY, ["a"], ("b",), False),
    ("not equal to any", "StringNotEquals", KEY, ["a", "b"], ("c",), True),
    ("not equal, but to one it is", "StringNotEquals", KEY, ["a", "b"], ("b",), False),
    ("what is not there is not equal", "StringNotEquals", KEY, ["a"], None, True),
    ("like", "StringLike", KEY, ["*@example.com"], ("it@example.com",), True),
    ("like, whole", "StringLike", KEY, ["*@example.com"], ("it@example.com.org",), False),
    ("one letter", "StringLike", KEY, ["?@a"], ("ab@a",), False),
    ("not like", "StringNotLike", KEY, ["*@example.com"], ("it@example.com",), False),
    ("an ARN", "ArnLike", "aws:PrincipalArn", ["arn:aws:iam::*:role/x*"], ("arn:aws:iam::1:role/xy",), True),
    ("equal ARNs have wildcards", "ArnEquals", "aws:PrincipalArn", ["arn:*"], ("arn:aws:iam::1:role/x",), True),
    ("not that ARN", "ArnNotEquals", "aws:PrincipalArn", ["arn:a"], ("arn:b",), True),
    ("MFA", "Bool", "aws:MultiFactorAuthPresent", "true", ("true",), True),
    ("no MFA", "Bool", "aws:MultiFactorAuthPresent", "true", ("false",), False),
    ("MFA is not there", "Bool", "aws:MultiFactorAuthPresent", "false", None, False),
    ("MFA is not there, if it is", "BoolIfExists", "aws:MultiFactorAuthPresent", "false", None, True),
    ("it is not there", "Null", TAGS, "true", None, True),
    ("it is there", "Null", TAGS, "false", ("a",), True),
    ("it should be there", "Null", TAGS, "false", None, False),
    ("all of them", "ForAllValues:StringEquals", TAGS, ["a", "b"], ("a", "b"), True),
    ("one too many", "ForAllValues:StringEquals", TAGS, ["a"], ("a", "b"), False),
    ("all of none", "ForAllValues:StringEquals", TAGS, ["a"], None, True),
    ("one of them", "ForAnyValue:StringEquals", TAGS, ["a"], ("a", "b"), True),
    ("one of none", "ForAnyValue:StringEquals", TAGS, ["a"], None, False),
    ("none of them", "ForAllValues:StringNotEquals", TAGS, ["a"], ("b", "c"), True),
    ("a tag of the call", "StringEquals", TAGGED, "x", ("x",), True),
]


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "found", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_operators(operator: str, key: str, wanted: Any, found: tuple[str, ...] | None, expected: bool) -> None:
    """As the IAM User Guide has them."""
    block = {operator: {key: wanted}}
    policies.check(block)
    assert policies.hold(block, {key: found} if found is not None else {}) is expected


def test_all_conditions_must_hold() -> None:
    """Of all operators, and all keys of each."""
    block = {"StringEquals": {KEY: "a", TAGGED: "b"}, "Null": {TAGS: "true"}}
    right = {KEY: ("a",), TAGGED: ("b",)}
    assert policies.hold(block, right)
    for wrong in ({**right, KEY: ("x",)}, {**right, TAGGED: ("x",)}, {**right, TAGS: ("x",)}):
        assert not policies.hold(block, wrong)


@pytest.mark.parametrize(
    "block",
    [
        {"NumericLessThan": {"s3:max-keys": "10"}},
        {"StringEquals": {"aws:SourceIp": "10.0.0.1"}},
        {"StringEquals": {TAGS: ["a"]}},
        {"ForAllValues:StringEquals": {KEY: ["a"]}},
        {"ForSomeValues:StringEquals": {TAGS: ["a"]}},
        {"Bool": {KEY: "true"}},
        {"StringEquals": {"aws:MultiFactorAuthPresent": "true"}},
        {"StringEquals": {KEY: "${aws:username}"}},
        {"Bool": {"aws:MultiFactorAuthPresent": True}},
        {"StringEquals": {"aws:RequestTag/": "x"}},
    ],
    ids=lambda block: str(block)[1:40],
)
def test_what_is_not_understood_is_refused(block: dict[str, Any]) -> None:
    """An unknown operator, key or value; and a set without a quantity, which AWS evaluates in ways to stay clear of."""
    with pytest.raises(ValueError, match=r".+"):
        policies.check(block)
