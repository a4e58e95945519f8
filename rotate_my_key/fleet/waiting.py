"""Where keys wait for their users: Secrets Manager or S3, behind the same few verbs.

- A secret holds the key, its tag the slip, and its policy says who may read: IT cannot.
- In S3 slip and key are two objects; who may read the bucket may read the key.

What is stored last says that all of it is stored, what is removed last says that all of it is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from ..errors import Gone, Problem, WrongUsage
from ..model import Identity
from ..settings.fleet import ReissueSettings
from ..stores.delivered import reservation
from .handover import TAG, HandoverRecord, decode, encode, place_name, place_of, secret_name, secret_place
from .ports import Cloud, Objects, Secrets
from .readers import reading_policy


class HandoverStore(Protocol):
    """Where keys wait. Every verb may raise Problem; no message holds a secret."""

    def check(self, account: str) -> None:
        """Raise Problem if keys of that account cannot be handed over here."""

    def reserve(self, slip: HandoverRecord, readers: tuple[str, ...]) -> HandoverRecord:
        """Make the place, with the slip and who may read, before there is a key; gives the slip as it is now."""

    def store(self, slip: HandoverRecord, readers: tuple[str, ...], delivery: str) -> HandoverRecord:
        """Put the key there, then the slip, which names it; gives the slip as it is now."""

    def find(self, account: str, user: str) -> HandoverRecord | None:
        """The slip of a user, as it is now."""

    def everybody(self) -> Iterator[tuple[str, str]]:
        """Account and user of each place. It may lag by minutes."""

    def remove(self, account: str, user: str) -> None:
        """Remove key and slip. A place that is not there is no error."""

    def where(self, slip: HandoverRecord) -> str:
        """What to give to `adopt`: no secret."""

    def link(self, slip: HandoverRecord) -> str:
        """A presigned URL of the key: a secret. Raises WrongUsage if there is no such thing here."""


def named(where: str) -> str:
    """The file or parameter to write into: the one that was read, or the one to make."""
    return "fleet.ini" if where == "built-in" else where


def waiting(cloud: Cloud, me: Identity, settings: ReissueSettings, where: str = "fleet.ini") -> HandoverStore:
    """The places that the settings choose, which were read from `where`. Raises WrongUsage."""
    if settings.through == "secretsmanager":
        return SecretStore(cloud.secrets(settings.region), me, settings.prefix, settings.kms_key, named(where))
    there = f"under [reissue] in {named(where)}"
    if settings.through != "s3":
        raise WrongUsage(f"reissue.through is {settings.through!r}", f"write secretsmanager or s3 {there}")
    if not settings.bucket:
        raise WrongUsage("reissue.through is s3, and reissue.bucket is not set", f"set bucket {there}")
    return BucketStore(cloud.objects(settings.region), settings)


@dataclass(frozen=True)
class SecretStore:
    """Secrets Manager of the account of `me`, who runs the fleet."""

    secrets: Secrets
    me: Identity
    prefix: str
    kms_key: str = ""
    settings: str = "fleet.ini"  # where they stand

    def check(self, account: str) -> None:
        """AWS's own KMS key can be used in its own account only (Secrets Manager User Guide, "Resource-based
        policies")."""
        if account != self.me.account and not self.kms_key:
            raise WrongUsage(
                f"account {account} cannot read a secret of account {self.me.account} without a KMS key of yours",
                f"set kms_key under [reissue] in {self.settings}, and let the account use it",
            )

    def reserve(self, slip: HandoverRecord, readers: tuple[str, ...]) -> HandoverRecord:
        """See Waiting."""
        return self._put(slip, readers, reservation())

    def store(self, slip: HandoverRecord, readers: tuple[str, ...], delivery: str) -> HandoverRecord:
        """See Waiting."""
        return self._put(slip, readers, delivery)

    def _put(self, slip: HandoverRecord, readers: tuple[str, ...], value: str) -> HandoverRecord:
        name = secret_name(self.prefix, slip.account, slip.user)
        arn = self.secrets.put(name, value, reading_policy(readers), {TAG: encode(slip)}, self.kms_key)
        return replace(slip, spot=f"{arn.split(':')[3]}/{arn[-6:]}")

    def find(self, account: str, user: str) -> HandoverRecord | None:
        """See Waiting. Raises Problem if somebody else's secret has that name."""
        found = self.secrets.about(secret_name(self.prefix, account, user))
        return (
            None
            if found is None
            else _read(found[1].get(TAG, ""), account, user, secret_name(self.prefix, account, user))
        )

    def everybody(self) -> Iterator[tuple[str, str]]:
        """See Waiting."""
        for name, _, tags in self.secrets.names(self.prefix):
            place = secret_place(self.prefix, name)
            if place and TAG in tags:
                yield place

    def remove(self, account: str, user: str) -> None:
        """See Waiting."""
        self.secrets.delete(secret_name(self.prefix, account, user))

    def where(self, slip: HandoverRecord) -> str:
        """`secretsmanager:` and the ARN: from another account or region a name is not enough."""
        region, _, end = slip.spot.partition("/")
        name = secret_name(self.prefix, slip.account, slip.user)
        arn = f"arn:{self.me.partition}:secretsmanager:{region}:{self.me.account}:secret:{name}-{end}"
        return f"secretsmanager:{arn if region and end else name}"

    def link(self, slip: HandoverRecord) -> str:
        """See Waiting."""
        raise WrongUsage("there are links with reissue.through = s3 only", f"rotate-my-key adopt {self.where(slip)}")


@dataclass(frozen=True)
class BucketStore:
    """A bucket."""

    objects: Objects
    settings: ReissueSettings

    def check(self, account: str) -> None:
        """Who may read is the bucket's matter, or the link's."""

    def _name(self, account: str, user: str, what: str) -> str:
        return f"{self.settings.prefix}{place_name(account, user)}/{what}"

    def _put(self, slip: HandoverRecord, what: str, text: str) -> None:
        name = self._name(slip.account, slip.user, what)
        self.objects.put(self.settings.bucket, name, text.encode(), self.settings.kms_key)

    def reserve(self, slip: HandoverRecord, readers: tuple[str, ...]) -> HandoverRecord:
        """See Waiting."""
        self._put(slip, "slip", encode(slip))
        return slip

    def store(self, slip: HandoverRecord, readers: tuple[str, ...], delivery: str) -> HandoverRecord:
        """See Waiting."""
        self._put(slip, "key", delivery)
        self._put(slip, "slip", encode(slip))
        return slip

    def find(self, account: str, user: str) -> HandoverRecord | None:
        """See Waiting. By the list, which S3 keeps up to date: asked for an object that is not there it says "denied"
        to who may not list the whole bucket."""
        name = self._name(account, user, "slip")
        there = {found for found, _ in self.objects.names(self.settings.bucket, self._name(account, user, ""))}
        if name not in there:
            return None
        try:
            text = self.objects.get(self.settings.bucket, name)
        except Gone:
            return None
        slip = _read(text.decode(errors="replace"), account, user, name)
        return replace(slip, taken=True) if slip.key_id and self._name(account, user, "key") not in there else slip

    def everybody(self) -> Iterator[tuple[str, str]]:
        """See Waiting."""
        for name, _ in self.objects.names(self.settings.bucket, self.settings.prefix):
            place = place_of(name.removeprefix(self.settings.prefix).removesuffix("/slip"))
            if place and name.endswith("/slip"):
                yield place

    def remove(self, account: str, user: str) -> None:
        """See Waiting."""
        for what in ("key", "slip"):
            self.objects.delete(self.settings.bucket, self._name(account, user, what))

    def where(self, slip: HandoverRecord) -> str:
        """`s3://bucket/name`, with the region if the settings name one."""
        region = f"?region={self.settings.region}" if self.settings.region else ""
        return f"s3://{self.settings.bucket}/{self._name(slip.account, slip.user, 'key')}{region}"

    def link(self, slip: HandoverRecord) -> str:
        """See Waiting."""
        seconds = int(self.settings.link_for.total_seconds())
        return self.objects.link(self.settings.bucket, self._name(slip.account, slip.user, "key"), seconds)


def _read(text: str, account: str, user: str, name: str) -> HandoverRecord:
    slip = decode(text, account, user)
    if slip is None:
        raise Problem(
            f"{name} is there, and was not written by this version of rotate-my-key fleet reissue; it is left alone",
            "look at it, and remove it if nobody needs it",
        )
    return slip
