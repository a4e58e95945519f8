"""What is denied is answered with a policy that has it."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from rotate_my_key import policies
from rotate_my_key.aws.account_calls import CallSite
from rotate_my_key.aws.errors import FailedRequest
from rotate_my_key.core.errors import Denied, Gone, KeyRefused, NoRoom, NotAllowed, Problem, Throttled, TryLater

ZERO = timedelta(0)


def explained(code: str, message: str = "", action: str = "iam:ListUsers", status: int = 400) -> Problem:
    """The Problem for an answer of AWS."""
    error = ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, "X"
    )
    sent = FailedRequest(action, "AKIAIOSFODNN7EXAMPLE", "https://iam.amazonaws.com", "eu-west-1", ZERO)
    return CallSite("123456789012", "the role fleet").explain(error, sent)


def allowed(name: str) -> set[str]:
    """The actions of a policy that is printed."""
    found: set[str] = set()
    for statement in json.loads(policies.text(name))["Statement"]:
        actions = statement["Action"]
        found |= {actions} if isinstance(actions, str) else set(actions)
    return found


FLEET = [name for name in policies.names() if name.startswith("fleet-")]
EVERY = sorted({action for name in FLEET for action in allowed(name) if not action.startswith("kms:")})


@pytest.mark.parametrize("action", EVERY)
def test_the_hint_names_a_policy_that_has_the_action(action: str) -> None:
    """And it is one that the program prints."""
    problem = explained("AccessDenied", action=action, status=403)
    assert isinstance(problem, Denied)
    named = re.search(r"allow it: rotate-my-key policy ([\w-]+)$", problem.hint)
    assert named
    assert action in allowed(named[1])


@pytest.mark.parametrize(
    ("code", "message", "action", "kind", "said"),
    [
        ("AuthorizationError", "", "sns:Publish", Denied, "the role fleet is not allowed to call sns:Publish"),
        ("AccessDeniedException", "", "sesv2:SendEmail", Denied, "not allowed to call ses:SendEmail in account 1234"),
        ("AccessDenied", "with an explicit deny in a service control policy", "iam:ListUsers", Denied, "forbids iam:L"),
        (
            "AccessDeniedException",
            "Access to KMS is not allowed",
            "secretsmanager:GetSecretValue",
            Denied,
            "kms:Decrypt",
        ),
        (
            *("AccessDenied", "User: x is not authorized to perform: kms:GenerateDataKey on resource: y"),
            *("s3:PutObject", Denied, "not allowed to call kms:GenerateDataKey"),
        ),
        ("ResourceNotFoundException", "", "logs:PutLogEvents", Gone, "no such thing for logs:PutLogEvents"),
        ("LimitExceeded", "", "iam:CreateAccessKey", NoRoom, "two access keys"),
        ("LimitExceeded", "", "iam:TagUser", NotAllowed, "50 tags"),
        ("LimitExceededException", "", "secretsmanager:PutSecretValue", NotAllowed, "a quota of AWS is used up"),
        ("MessageRejected", "Email address is not verified.", "sesv2:SendEmail", NotAllowed, "address is not verified"),
        ("MailFromDomainNotVerifiedException", "", "sesv2:SendEmail", NotAllowed, "SES rejected the mail"),
        ("MessageRejected", "secret-in-it", "sesv2:SendEmail", NotAllowed, "SES rejected the mail"),
        ("MessageRejected", "Address blacklisted.", "sesv2:SendEmail", NotAllowed, "the mail: Address blacklisted$"),
        ("BadRequestException", "Missing final '@domain'", "sesv2:SendEmail", Problem, "mail: Missing final '@domain'"),
        (
            *("BadRequestException", "Local address contains control or whitespace: secret-in-it"),
            *("sesv2:SendEmail", Problem, "mail: Local address contains control or whitespace$"),
        ),
        ("BadRequestException", "secret-in-it", "sesv2:SendEmail", Problem, "SES does not understand the mail"),
        ("AccountSuspendedException", "", "sesv2:SendEmail", NotAllowed, "does not send for this account"),
        ("TooManyRequestsException", "Daily message quota exceeded.", "sesv2:SendEmail", TryLater, "no more today"),
        ("TooManyRequestsException", "Maximum sending rate", "sesv2:SendEmail", Throttled, "throttling ses:SendEmail"),
        ("InvalidClientTokenId", "", "iam:ListUsers", KeyRefused, "of the role fleet .key ...MPLE. in account 1234"),
        ("ExpiredToken", "", "iam:ListUsers", KeyRefused, "of the role fleet"),
        ("ReportInProgress", "", "iam:GetCredentialReport", TryLater, "not ready"),
        ("Strange", "secret-in-it", "iam:ListUsers", Problem, "AWS refused iam:ListUsers: Strange in account 1234"),
    ],
)
def test_each_refusal_is_a_line(code: str, message: str, action: str, kind: type[Problem], said: str) -> None:
    """With a hint, and without AWS's own words, which may quote what was sent."""
    problem = explained(code, message, action)
    assert type(problem) is kind
    assert re.search(said, problem.message)
    assert problem.hint
    assert "secret-in-it" not in f"{problem.message}{problem.hint}"


def test_a_kms_key_in_the_way_is_named() -> None:
    """No policy of ours helps there."""
    hint = explained("AccessDeniedException", "Access to KMS is not allowed", "secretsmanager:GetSecretValue").hint
    assert hint == "allow it in the policy of the KMS key, and to who signs"
