"""The stand-in's reading of identity policies: a Deny decides, then an Allow; what it does not know it refuses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rotate_my_key.core.model import Credentials
from tests.standin import policies
from tests.standin.errors import Refused
from tests.standin.rules import Call
from tests.standin.sessions import Signer

ARN = "arn:aws:iam::123456789012:user/alice"
MFA = "aws:MultiFactorAuthPresent"


class _User:
    """Only its name matters."""

    name = "alice"


def allowed(statements: list[dict[str, Any]], action: str, resource: str = ARN, how: str = "key") -> bool:
    """Whether alice may; `how` she signed in: "key", "session" or "mfa"."""
    service, _, name = action.partition(":")
    call = Call(name, service, "AKIA", {}, "", "", "", datetime.now(UTC), 1)
    user: Any = _User()
    signer = Signer(Credentials("AKIA", "-"), user, ARN, "AKIA" if how == "key" else None, mfa=how == "mfa")
    document = {"Version": "2012-10-17", "Statement": statements}
    policies.check_identity_policy(document)
    try:
        policies.admit([document], call, signer, resource)
    except Refused:
        return False
    return True


def allow(action: object = "iam:*", resource: object = "*", **more: Any) -> dict[str, Any]:
    """A statement that allows."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: object = "iam:*", **more: Any) -> dict[str, Any]:
    """A statement that denies."""
    return {"Effect": "Deny", "Action": action, "Resource": "*", **more}


BUT_ONE = {"Effect": "Deny", "NotAction": ["iam:GetUser"], "Resource": "*"}
WITHOUT_MFA = {"Condition": {"BoolIfExists": {MFA: "false"}}}
WITH_MFA = {"Condition": {"Bool": {MFA: "true"}}}
CASES = [
    ("nothing allows it", [], "iam:GetUser", ARN, "key", False),
    ("an Allow does", [allow()], "iam:GetUser", ARN, "key", True),
    ("a Deny goes before an Allow", [allow(), deny()], "iam:GetUser", ARN, "key", False),
    ("actions know no case", [allow("IAM:getuser")], "iam:GetUser", ARN, "key", True),
    ("a star in the middle", [allow("iam:*AccessKey*")], "iam:UpdateAccessKey", ARN, "key", True),
    ("another action", [allow("iam:*AccessKey*")], "iam:GetUser", ARN, "key", False),
    ("NotAction leaves one out", [allow(), BUT_ONE], "iam:GetUser", ARN, "key", True),
    ("NotAction takes all others", [allow(), BUT_ONE], "iam:CreateAccessKey", ARN, "key", False),
    ("the user's own name", [allow(resource="arn:*:iam::*:user/${aws:username}")], "iam:GetUser", ARN, "key", True),
    ("another's", [allow(resource="arn:aws:iam::*:user/${aws:username}")], "iam:GetUser", f"{ARN}2", "key", False),
    ("a dot is a dot", [allow(resource="arn:aws:iam::*:user.alice")], "iam:GetUser", ARN, "key", False),
    ("a question mark", [allow(resource="arn:aws:iam::*:user/alic?")], "iam:GetUser", ARN, "key", True),
    ("MFA wanted, none there", [allow(), deny(**WITHOUT_MFA)], "iam:GetUser", ARN, "key", False),
    ("MFA wanted, a session without", [allow(), deny(**WITHOUT_MFA)], "iam:GetUser", ARN, "session", False),
    ("MFA wanted and there", [allow(), deny(**WITHOUT_MFA)], "iam:GetUser", ARN, "mfa", True),
    ("Bool does not hold for a key without the fact", [allow(**WITH_MFA)], "iam:GetUser", ARN, "key", False),
    ("Bool holds with MFA", [allow(**WITH_MFA)], "iam:GetUser", ARN, "mfa", True),
    ("GetCallerIdentity is answered whatever they say", [deny("*")], "sts:GetCallerIdentity", "*", "key", True),
    ("GetSessionToken needs no Allow", [allow()], "sts:GetSessionToken", "*", "key", True),
    ("GetSessionToken can be denied", [deny("sts:*")], "sts:GetSessionToken", "*", "key", False),
]


@pytest.mark.parametrize(
    ("statements", "action", "resource", "how", "expected"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_evaluation(statements: list[dict[str, Any]], action: str, resource: str, how: str, expected: bool) -> None:
    """As the IAM User Guide's evaluation logic has it."""
    assert allowed(statements, action, resource, how) is expected


STRANGE: dict[str, object] = {
    "NotResource": {"Effect": "Allow", "Action": "*", "NotResource": "*"},
    "Principal": allow(Principal="*"),
    "a wrong Effect": {**allow(), "Effect": "allow"},
    "another operator": allow(Condition={"StringEquals": {"aws:username": "a"}}),
    "another key": allow(Condition={"Bool": {"aws:SecureTransport": "true"}}),
    "no Effect": {"Action": "*", "Resource": "*"},
    "no Action": {"Effect": "Allow", "Resource": "*"},
    "Action and NotAction": {**allow(), "NotAction": "iam:*"},
    "another variable": allow(resource="arn:aws:iam::*:user/${aws:userid}"),
    "no object": "allow",
    "no text": allow(action=[1]),
}


@pytest.mark.parametrize("what", ["old version", "no version", *STRANGE])
def test_what_is_not_understood_is_refused(what: str) -> None:
    """No test passes because a part of a policy was passed over."""
    versions = {"old version": {"Version": "2008-10-17"}, "no version": {}}
    document = {**versions.get(what, {"Version": "2012-10-17"}), "Statement": [STRANGE.get(what, allow())]}
    with pytest.raises(ValueError, match=r".+"):
        policies.check_identity_policy(document)
