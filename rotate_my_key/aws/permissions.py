"""What can be known of a user's rights by looking alone; nothing is tried out, for trying means changing.

Two read calls tell, where they are allowed: IAM's policy simulator, which knows policies, boundaries and conditions,
and the list of attached policies, in which AWS puts a user of a leaked key into quarantine. Many may call neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import Problem
from . import answers
from .calls import Calls, Signers

# What a rotation changes at AWS.
CHANGES = ("iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey")
_MFA = "aws:MultiFactorAuthPresent"


@dataclass(frozen=True, slots=True)
class Rights:
    """`denied` are actions that no sign-in makes possible, `with_mfa` those that MFA does. `known` is False where AWS
    does not tell. `quarantined` is None where that is not known."""

    denied: tuple[str, ...] = ()
    with_mfa: tuple[str, ...] = ()
    known: bool = False
    quarantined: bool | None = None


def rights(calls: Calls, signers: Signers, user: str, arn: str) -> Rights:
    """Ask both. Never raises but Interrupted: what AWS does not tell is unknown."""
    quarantined = _quarantined(calls, signers, user)
    refused = _simulated(calls, signers, arn, CHANGES, mfa=False)
    if refused is None:
        return Rights(quarantined=quarantined)
    still = _simulated(calls, signers, arn, refused, mfa=True) if refused else ()
    never = refused if still is None else still
    with_mfa = tuple(action for action in refused if action not in never)
    return Rights(never, with_mfa, True, quarantined)


def _quarantined(calls: Calls, signers: Signers, user: str) -> bool | None:
    try:
        names = calls.call("iam:ListAttachedUserPolicies", signers, answers.policies, {"UserName": user})
    except Problem:
        return None
    return any(name.startswith("AWSCompromisedKeyQuarantine") for name in names)


def _simulated(
    calls: Calls, signers: Signers, arn: str, actions: tuple[str, ...], *, mfa: bool
) -> tuple[str, ...] | None:
    """Which of these actions on the user's own keys are not allowed; None if AWS does not tell."""
    context = {"ContextKeyName": _MFA, "ContextKeyValues": [str(mfa).lower()], "ContextKeyType": "boolean"}
    params: Mapping[str, Any] = {
        "PolicySourceArn": arn,
        "ActionNames": list(actions),
        "ResourceArns": [arn],
        "ContextEntries": [context],
    }
    try:
        return calls.call("iam:SimulatePrincipalPolicy", signers, answers.refused, params)
    except Problem:
        return None
