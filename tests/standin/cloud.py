"""What an account has besides users: mail identities, topics, parameters, secrets, buckets, log groups. Values only.

Nothing here shows a secret in its `repr`. A region of "" means: found wherever it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

T = TypeVar("T")
Regional = dict[tuple[str, str], T]  # by region and name


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that SES took. `to` has all recipients."""

    sender: str
    to: tuple[str, ...]
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    region: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """A message that SNS took; `topic` is an ARN."""

    topic: str
    subject: str
    message: str = field(repr=False)


@dataclass(slots=True)
class Parameter:
    """An SSM parameter; `kind` is String, StringList or SecureString."""

    name: str
    value: str = field(repr=False)
    kind: str
    changed: datetime
    version: int = 1
    kms_key: str = ""


@dataclass(slots=True)
class Secret:
    """A secret of Secrets Manager. Without a value it was made and not filled yet.

    `deleted` is when it was deleted: it is kept until the recovery window ends (`gone`).
    """

    name: str
    arn: str
    region: str
    created: datetime
    changed: datetime
    value: str | None = field(default=None, repr=False)
    version: str = ""
    policy: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    kms_key: str = ""
    description: str = ""
    deleted: datetime | None = None
    gone: datetime | None = None


@dataclass(frozen=True, slots=True)
class Object:
    """An object in S3."""

    body: bytes = field(repr=False)
    at: datetime
    kind: str = "binary/octet-stream"
    encryption: str = "AES256"
    kms_key: str = ""
    tags: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Cloud:
    """All of it, of one account."""

    mails: list[Mail] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    identities: Regional[bool] = field(default_factory=dict)  # whether verified
    topics: set[str] = field(default_factory=set)  # ARNs
    parameters: Regional[Parameter] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)  # by ARN
    buckets: dict[str, dict[str, Object]] = field(default_factory=dict)
    logs: Regional[dict[str, list[tuple[int, str]]]] = field(default_factory=dict)  # streams with (ms, message)


def find(things: Mapping[tuple[str, str], T], region: str, name: str) -> T | None:
    """The one of this region, or the one that is everywhere."""
    return things.get((region, name), things.get(("", name)))


def tags_of(listed: object) -> dict[str, str]:
    """`[{"Key": k, "Value": v}]` as a mapping."""
    tags: Any = listed or ()
    return {tag["Key"]: tag.get("Value", "") for tag in tags}


def listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """The other way round."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
