"""Handing something over through Secrets Manager: the port `fleet.ports.Secrets`.

Calls: secretsmanager: CreateSecret, PutResourcePolicy, PutSecretValue, TagResource, GetSecretValue, DescribeSecret,
DeleteSecret, ListSecrets; with a KMS key of one's own kms:GenerateDataKey and kms:Decrypt.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ..errors import Gone, NotAllowed, Problem
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
        """See the port. A new secret that could not be finished is removed again; one that is there and has another KMS
        key is made anew."""
        made = self._created(name, tags, kms_key)
        named = {"SecretId": made or name}
        try:
            # BlockPublicPolicy: Secrets Manager itself refuses a policy that lets everybody read.
            self._calls.call(
                "secretsmanager:PutResourcePolicy",
                answers.nothing,
                {**named, "ResourcePolicy": policy, "BlockPublicPolicy": True},
            )
            stored = {**named, **_token(), "SecretString": value}
            arn = self._calls.call("secretsmanager:PutSecretValue", _arn, stored)
            if not made:
                self._calls.call("secretsmanager:TagResource", answers.nothing, {**named, "Tags": _pairs(tags)})
        except Problem:
            if made:
                self._take_back(made)
            raise
        return arn

    def _created(self, name: str, tags: Mapping[str, str], kms_key: str) -> str:
        """CreateSecret without a value; "" if one of this name is there, be it by an earlier attempt whose answer was
        lost."""
        params: dict[str, Any] = {"Name": name, **_token(), "Tags": _pairs(tags)}
        if kms_key:
            params["KmsKeyId"] = kms_key
        patience = self._calls.patience
        until = patience.monotonic() + _DELETING
        while True:
            try:
                return self._calls.call("secretsmanager:CreateSecret", _arn, params)
            except Exists:
                if not kms_key or self._has_key(name, kms_key):
                    return ""
                self.delete(name)
            except Leaving:
                pass
            pause = 4 * patience.poll()
            if patience.monotonic() + pause > until:
                raise NotAllowed(
                    f"the secret {name} is about to be deleted, and until then its name is taken",
                    f"aws secretsmanager delete-secret --force-delete-without-recovery --secret-id {name}",
                )
            patience.sleep(pause)

    def _has_key(self, name: str, kms_key: str) -> bool:
        """Whether a secret has this KMS key; each may be named by an id, an alias or its ARN."""
        try:
            found = self._calls.call("secretsmanager:DescribeSecret", _kms_key, {"SecretId": name})
        except Gone:
            return False
        return found.rpartition("/")[2] == kms_key.rpartition("/")[2]

    def _take_back(self, name: str) -> None:
        with suppress(Problem):  # what went wrong first is told; a secret without a value harms nobody
            self.delete(name)

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


def _kms_key(answer: Mapping[str, Any]) -> str:
    return str(answer.get("KmsKeyId", ""))


def _entry(entry: Mapping[str, Any]) -> Described:
    """A secret that was never changed has only a day of birth."""
    changed: datetime = entry.get("LastChangedDate") or entry["CreatedDate"]
    return changed.astimezone(UTC), {tag["Key"]: tag["Value"] for tag in entry.get("Tags", ())}


def _described(answer: Mapping[str, Any]) -> Described | None:
    return None if answer.get("DeletedDate") else _entry(answer)


def _listed(answer: Mapping[str, Any]) -> tuple[list[tuple[str, datetime, Mapping[str, str]]], str | None]:
    entries = [(str(entry["Name"]), *_entry(entry)) for entry in answer["SecretList"]]
    return entries, answer.get("NextToken") or None
