"""Handing something over through Secrets Manager: the port `fleet.ports.Secrets`.

Calls: secretsmanager: CreateSecret, PutResourcePolicy, PutSecretValue, TagResource, UpdateSecret (for another KMS key
of a secret that is there), GetSecretValue, DescribeSecret, DeleteSecret, ListSecrets; with a KMS key of one's own
kms:GenerateDataKey and kms:Decrypt.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ..errors import Gone, Interrupted, NotAllowed, Problem
from . import answers
from .account_calls import AccountCalls
from .service_errors import Exists, Leaving
from .vault import secret_value

_DELETING = 60.0  # seconds; a deletion without a recovery window is done in the background

Described = tuple[datetime, Mapping[str, str]]


class SecretsManager:
    """See the port. Safe to share between threads."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def put(self, name: str, value: str, policy: str, tags: Mapping[str, str], kms_key: str = "") -> str:
        """See the port. A new secret that could not be finished is removed again."""
        key = {"KmsKeyId": kms_key} if kms_key else {}
        arn = self._created(name, {"Tags": _pairs(tags), **key})
        try:
            named = {"SecretId": arn or name}
            if not arn and key:
                self._calls.call("secretsmanager:UpdateSecret", answers.nothing, {**named, **key})
            # BlockPublicPolicy: Secrets Manager itself refuses a policy that lets everybody read.
            self._calls.call(
                "secretsmanager:PutResourcePolicy",
                answers.nothing,
                {**named, "ResourcePolicy": policy, "BlockPublicPolicy": True},
            )
            found = self._calls.call(
                "secretsmanager:PutSecretValue", _arn, {**named, **_token(), "SecretString": value}
            )
            if not arn:
                self._calls.call("secretsmanager:TagResource", answers.nothing, {**named, "Tags": _pairs(tags)})
        except Interrupted:
            raise
        except Problem:
            if arn:
                self._take_back(arn)
            raise
        return found

    def _created(self, name: str, params: Mapping[str, Any]) -> str:
        """CreateSecret without a value; "" if one of this name is there, be it by an earlier attempt whose answer was
        lost."""
        params = {"Name": name, **_token(), **params}
        patience = self._calls.patience
        until = patience.monotonic() + _DELETING
        while True:
            try:
                return self._calls.call("secretsmanager:CreateSecret", _arn, params)
            except Exists:
                return ""
            except Leaving:
                pause = 4 * patience.poll()
                if patience.monotonic() + pause > until:
                    raise NotAllowed(
                        f"the secret {name} is about to be deleted, and until then its name is taken",
                        f"aws secretsmanager delete-secret --force-delete-without-recovery --secret-id {name}",
                    ) from None
            patience.sleep(pause)

    def _take_back(self, name: str) -> None:
        try:
            self.delete(name)
        except Interrupted:
            raise
        except Problem:
            pass  # what went wrong first is told; a secret without a value harms nobody

    def get(self, name: str) -> str:
        """See the port."""
        return secret_value(self._calls, name)

    def about(self, name: str) -> Described | None:
        """See the port."""
        try:
            return self._calls.call("secretsmanager:DescribeSecret", _described, {"SecretId": name})
        except Gone:
            return None

    def delete(self, name: str) -> None:
        """See the port."""
        params = {"SecretId": name, "ForceDeleteWithoutRecovery": True}
        with suppress(Gone, Leaving):
            self._calls.call("secretsmanager:DeleteSecret", answers.nothing, params)

    def names(self, prefix: str) -> Iterator[tuple[str, datetime, Mapping[str, str]]]:
        """See the port."""
        params = {"Filters": [{"Key": "name", "Values": [prefix]}], "MaxResults": 100}
        for name, changed, tags in self._calls.pages("secretsmanager:ListSecrets", _listed, params, "NextToken"):
            if name.startswith(prefix):
                yield name, changed, tags


def _token() -> dict[str, str]:
    """With the same token a repeated PutSecretValue makes no second version."""
    return {"ClientRequestToken": str(uuid.uuid4())}


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in tags.items()]


def _arn(answer: Mapping[str, Any]) -> str:
    return str(answer["ARN"])


def _entry(entry: Mapping[str, Any]) -> Described:
    """A secret that was never changed has only a day of birth."""
    changed: datetime = entry.get("LastChangedDate") or entry["CreatedDate"]
    return changed.astimezone(UTC), {tag["Key"]: tag["Value"] for tag in entry.get("Tags", ())}


def _described(answer: Mapping[str, Any]) -> Described | None:
    return None if answer.get("DeletedDate") else _entry(answer)


def _listed(answer: Mapping[str, Any]) -> tuple[list[tuple[str, datetime, Mapping[str, str]]], str | None]:
    entries = [(str(entry["Name"]), *_entry(entry)) for entry in answer["SecretList"]]
    return entries, answer.get("NextToken") or None
