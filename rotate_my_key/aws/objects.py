"""Handing something over through S3: the port `fleet.ports.Objects`.

Calls: s3: PutObject, GetObject, DeleteObject, ListBucket; with a KMS key of one's own kms:GenerateDataKey and
kms:Decrypt. botocore follows a bucket to its region by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from ..errors import Gone
from . import answers
from .account_calls import AccountCalls

_WEEK = 7 * 24 * 3600  # seconds; no signature of version 4 is good for longer


class S3:
    """See the port. Safe to share between threads."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    def put(self, bucket: str, name: str, body: bytes, kms_key: str = "") -> None:
        """See the port. Without a key of one's own S3 encrypts with its own (AES256)."""
        params: dict[str, Any] = {"Bucket": bucket, "Key": name, "Body": body}
        if kms_key:
            params |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
        else:
            params["ServerSideEncryption"] = "AES256"
        try:
            self._calls.call("s3:PutObject", answers.nothing, params)
        except Gone:
            raise _no_bucket(bucket) from None

    def get(self, bucket: str, name: str) -> bytes:
        """See the port."""
        try:
            return self._calls.call("s3:GetObject", _body, {"Bucket": bucket, "Key": name})
        except Gone:
            raise Gone(f"there is no s3://{bucket}/{name}", f"aws s3 ls s3://{bucket}/") from None

    def delete(self, bucket: str, name: str) -> None:
        """See the port. S3 says yes for one that is not there. Raises Gone if there is no such bucket."""
        try:
            self._calls.call("s3:DeleteObject", answers.nothing, {"Bucket": bucket, "Key": name})
        except Gone:
            raise _no_bucket(bucket) from None

    def names(self, bucket: str, prefix: str) -> Iterator[tuple[str, datetime]]:
        """See the port. Raises Gone if there is no such bucket."""
        params = {"Bucket": bucket, "Prefix": prefix}
        try:
            yield from self._calls.pages("s3:ListObjectsV2", _listed, params, "ContinuationToken")
        except Gone:
            raise _no_bucket(bucket) from None

    def link(self, bucket: str, name: str, seconds: int) -> str:
        """See the port. At most a week; one that a role or a session signs ends with its credentials, if sooner."""
        return self._calls.presign("get_object", min(seconds, _WEEK), Bucket=bucket, Key=name)


def _no_bucket(bucket: str) -> Gone:
    return Gone(f"there is no bucket {bucket}", "aws s3 ls")


def _body(answer: Mapping[str, Any]) -> bytes:
    body: bytes = answer["Body"].read()
    return body


def _listed(answer: Mapping[str, Any]) -> tuple[list[tuple[str, datetime]], str | None]:
    entries = [(str(entry["Key"]), entry["LastModified"].astimezone(UTC)) for entry in answer.get("Contents", ())]
    return entries, answer.get("NextContinuationToken") or None
