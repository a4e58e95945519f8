"""IAM's policy simulator: what the rules in force would say to calls that are not made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .rules import Call, Rules

_MFA = "aws:MultiFactorAuthPresent"


def simulate(rules: Rules, call: Call, params: Mapping[str, str]) -> dict[str, Any]:
    """The result of SimulatePrincipalPolicy for a user. No rule counts down."""
    user = params["PolicySourceArn"].rsplit("/", 1)[-1]
    mfa = (
        params.get("ContextEntries.member.1.ContextKeyName") == _MFA
        and params.get("ContextEntries.member.1.ContextKeyValues.member.1") == "true"
    )
    named = (params.get(f"ActionNames.member.{number}") for number in range(1, 129))
    results = [
        {"EvalActionName": name, "EvalDecision": _decision(rules, call, name, user, mfa)} for name in named if name
    ]
    return {"EvaluationResults": results, "IsTruncated": False}


def _decision(rules: Rules, call: Call, name: str, user: str, mfa: bool) -> str:
    service, _, action = name.partition(":")
    made = replace(call, service=service, action=action)
    for rule in rules.denials:
        if rule.is_for(made, user, mfa) and replace(rule).takes(made):
            return "implicitDeny" if rule.reason == "implicit" else "explicitDeny"
    return "allowed"
