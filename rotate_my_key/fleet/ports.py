"""What the fleet needs of the world outside, handed in. The adapters stand in `aws/` and `fleet/notify/`.

Every verb raises kinds of `Problem` and nothing else; no message holds a secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from ..model import AccessKey, Credentials, Identity, LastUse
from .model import AwsAccount, Event, FleetUser, Message


class Directory(Protocol):
    """The users and keys of one account. Safe to share between threads.

    Raises Denied if a call is not allowed, Gone for what is not there, TryLater when patience has ended. The first verb
    of a member account assumes the role there, and raises what that raises.
    """

    @property
    def account(self) -> AwsAccount:
        """Which account it is."""

    def request_report(self) -> bool:
        """GenerateCredentialReport: whether a report is ready now. AWS makes a new one at most every four hours."""

    def report(self) -> tuple[str, datetime]:
        """GetCredentialReport: the CSV, and when it was generated. Raises TryLater while it is not ready."""

    def users(self) -> Iterator[FleetUser]:
        """ListUsers, page by page; without keys, tags and groups."""

    def find(self, user: str) -> FleetUser:
        """GetUser, with what tags it tells; without keys and groups. Raises Gone if there is no such user, Denied."""

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        """ListAccessKeys of a user name, all pages."""

    def last_use(self, key_id: str) -> LastUse | None:
        """GetAccessKeyLastUsed; None if it is denied or throttled: unknown."""

    def tags(self, user: str) -> Mapping[str, str] | None:
        """ListUserTags, all pages; None if it is denied."""

    def members(self, group: str) -> frozenset[str]:
        """GetGroup, all pages: the names of its users. Raises Gone if there is no such group, Denied."""

    def tag(self, user: str, key: str, value: str) -> None:
        """TagUser with this one tag. Raises Denied, NotAllowed (the user has 50 tags already), Gone."""

    def untag(self, user: str, key: str) -> None:
        """UntagUser with this one tag. Raises Denied, Gone."""

    def set_active(self, user: str, key_id: str, active: bool) -> None:
        """UpdateAccessKey. Repeating it is harmless. Raises Denied, Gone."""

    def delete(self, user: str, key_id: str) -> None:
        """DeleteAccessKey. A lost reply followed by NoSuchEntity means that it was carried out. Raises Denied, Gone."""

    def create(self, user: str) -> tuple[Credentials, AccessKey]:
        """CreateAccessKey, sent once. Raises NoRoom, Denied, Gone; Unanswered if one may have been made or not."""


class Organization(Protocol):
    """All accounts that the caller may look at. Safe to share between threads."""

    def me(self) -> Identity:
        """GetCallerIdentity of who runs the fleet command."""

    def accounts(self) -> tuple[AwsAccount, ...]:
        """Organizations ListAccounts, all pages, the active ones. Raises Denied where there is no organization."""

    @property
    def left_out(self) -> tuple[AwsAccount, ...]:
        """Those that `accounts` came upon and left out: suspended, or about to be closed."""

    def directory(self, account: AwsAccount) -> Directory:
        """The directory of an account: by the role there, or without one for the caller's own."""


class Channel(Protocol):
    """A way to tell somebody something."""

    @property
    def name(self) -> str:
        """Its name in the settings."""

    @property
    def wants_address(self) -> bool:
        """Whether a message needs a `to` (mail), or the channel has a fixed audience (a topic, a chat)."""

    def deliver(self, message: Message) -> None:
        """Send it. Raises Problem; neither URL nor token is in the message."""

    def check(self) -> tuple[str, ...]:
        """What a person should know before sending, such as that SES is still in its sandbox; sends nothing."""


class Cloud(Protocol):
    """The services of the caller's own account besides IAM. `region` "" is that of the profile or environment."""

    def mail(self, region: str = "") -> Mail:
        """SES."""

    def topics(self, region: str = "") -> Topics:
        """SNS."""

    def vault(self, region: str = "") -> Vault:
        """Secrets Manager and SSM, for what settings name."""

    def secrets(self, region: str = "") -> Secrets:
        """Secrets Manager, for keys that are handed over."""

    def objects(self, region: str = "") -> Objects:
        """S3."""

    def logs(self, region: str = "") -> Logs:
        """CloudWatch Logs."""


class Mail(Protocol):
    """SES (API version 2)."""

    def send(self, sender: str, to: str, subject: str, text: str, html: str = "") -> None:
        """SendEmail to one address. Raises Denied, Gone (no such identity), NotAllowed (not verified: sandbox)."""

    def sandbox(self) -> bool | None:
        """GetAccount: whether SES sends to verified addresses only; None if that may not be known."""


class Topics(Protocol):
    """SNS."""

    def publish(self, topic: str, subject: str, text: str) -> None:
        """Publish to a topic (its ARN). SNS wants a subject of at most 100 ASCII characters; it is cut to that."""


class Secrets(Protocol):
    """Secrets Manager as a way to hand something over."""

    def put(self, name: str, value: str, policy: str, tags: Mapping[str, str], kms_key: str = "") -> str:
        """Make or replace a secret with its resource policy (JSON), the policy before the value; gives its ARN.

        One that is there gets the tags last: they tell that the value is stored.
        """

    def get(self, name: str) -> str:
        """The value, by name or ARN. Raises Denied, Gone."""

    def about(self, name: str) -> tuple[datetime, Mapping[str, str]] | None:
        """DescribeSecret: time of the last change and tags; None if it is not there, or is being deleted."""

    def delete(self, name: str) -> None:
        """At once, without a recovery window. One that is not there is no error."""

    def names(self, prefix: str) -> Iterator[tuple[str, datetime, Mapping[str, str]]]:
        """Name, time of the last change and tags of those that begin so, all pages. It lags by minutes."""


class Objects(Protocol):
    """S3."""

    def put(self, bucket: str, name: str, body: bytes, kms_key: str = "") -> None:
        """PutObject, encrypted at rest."""

    def get(self, bucket: str, name: str) -> bytes:
        """GetObject. Raises Gone, Denied."""

    def delete(self, bucket: str, name: str) -> None:
        """DeleteObject. One that is not there is no error."""

    def names(self, bucket: str, prefix: str) -> Iterator[tuple[str, datetime]]:
        """ListObjectsV2, all pages: name and time of the last change."""

    def link(self, bucket: str, name: str, seconds: int) -> str:
        """A presigned URL for GetObject. It is a secret: whoever has it may read. No call is made."""


class Logs(Protocol):
    """CloudWatch Logs."""

    def put(self, group: str, stream: str, lines: Sequence[tuple[datetime, str]]) -> None:
        """PutLogEvents in time order, in batches that AWS takes; the stream is made if absent. Raises Gone (group)."""


class Vault(Protocol):
    """Secrets that settings name and never hold: `secretsmanager:NAME` or `ssm:NAME` (a SecureString)."""

    def secret(self, name: str) -> str:
        """The value. Raises WrongUsage for another form of name, Denied, Gone, TryLater; no message has the value."""

    def text(self, name: str) -> str:
        """An SSM parameter that is no secret, such as settings (`ssm:NAME` or `NAME`)."""


class Audit(Protocol):
    """Where events are written down, each durable when the verb returns."""

    def record(self, *events: Event) -> None:
        """Write a line for each. Raises Problem if they cannot be kept."""

    def close(self, numbers: Mapping[str, float]) -> None:
        """End the run: one metric line with these numbers (CloudWatch's embedded metric format)."""
