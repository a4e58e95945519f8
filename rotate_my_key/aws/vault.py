"""Secrets that settings name and never hold: the port `fleet.ports.Vault` on Secrets Manager and SSM.

Calls: secretsmanager:GetSecretValue, ssm:GetParameter, and kms:Decrypt for a key of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Gone, WrongUsage
from .account_calls import AccountCalls
from .service_errors import Leaving

_SECRET, _PARAMETER = "secretsmanager:", "ssm:"
_FORM = "name it as secretsmanager:NAME or ssm:NAME"


class NamedSecrets:
    """See the port. Safe to share between threads."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def secret(self, name: str) -> str:
        """See the port. A parameter that is no SecureString is refused: everybody who may list could read it."""
        if name.startswith(_SECRET) and name != _SECRET:
            return secret_value(self._calls, name.removeprefix(_SECRET))
        if not name.startswith(_PARAMETER) or name == _PARAMETER:
            raise WrongUsage("a channel's secret is not named as one", _FORM)  # perhaps it is the secret itself
        kind, value = self._parameter(name.removeprefix(_PARAMETER))
        if kind != "SecureString":
            raise WrongUsage(
                f"the parameter {name} is a {kind}, not a SecureString",
                f"aws ssm put-parameter --type SecureString --name {name.removeprefix(_PARAMETER)} --value ...",
            )
        return value

    def text(self, name: str) -> str:
        """See the port."""
        return self._parameter(name.removeprefix(_PARAMETER))[1]

    def _parameter(self, name: str) -> tuple[str, str]:
        try:
            return self._calls.at(_region_of(name)).call(
                "ssm:GetParameter", _type_and_value, {"Name": name, "WithDecryption": True}
            )
        except Gone:
            raise Gone(f"there is no SSM parameter {name}", "aws ssm describe-parameters") from None


def secret_value(calls: AccountCalls, name: str) -> str:
    """GetSecretValue, by name or ARN. Raises Gone, Denied."""
    try:
        return calls.at(_region_of(name)).call("secretsmanager:GetSecretValue", _value, {"SecretId": name})
    except (Gone, Leaving):
        raise Gone(f"there is no secret {name}, or it has no value", "aws secretsmanager list-secrets") from None


def _region_of(name: str) -> str:
    """An ARN says where it is."""
    return name.split(":")[3] if name.startswith("arn:") and name.count(":") >= 5 else ""


def _value(answer: Mapping[str, Any]) -> str:
    """Put there as text or as bytes."""
    return str(answer["SecretString"]) if "SecretString" in answer else bytes(answer["SecretBinary"]).decode()


def _type_and_value(answer: Mapping[str, Any]) -> tuple[str, str]:
    return str(answer["Parameter"]["Type"]), str(answer["Parameter"]["Value"])
