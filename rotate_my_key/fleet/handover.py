"""A handover: the place where a new key waits for its user, and the record that tells what it is about.

- The record holds what cannot be looked up, and no secret. It is written before the key is made, so that a run that is
  killed leaves a trace of what it made. A place is named after account and user: each user has one.
- In Secrets Manager a secret holds the key, its tag the record, and its policy says who may read: the user, or the role
  they sign in with, and nobody else. It is in the user's own account; with a KMS key that other accounts may use, in
  that of who runs the fleet (AWS's own can be used in its own account only; Secrets Manager User Guide,
  "Resource-based policies"). In S3 record and key are two objects; who may read the bucket may read the key.
- What is stored last says that all of it is stored, what is removed last says that all of it is gone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..aws.delivery import S3, SecretsManager
from ..aws.services import AwsCloud
from ..core.errors import Gone, Problem, WrongUsage
from ..core.model import AccessKey, Identity
from ..settings.fleet import FleetSettings, ReissueSettings
from ..state.transit import reservation
from .accounts import AwsOrganization
from .model import AwsAccount, Finder
from .survey import accounts_of

VERSION = "1"
TAG = "rotate-my-key-handover"  # the tag of a secret that holds the record
_LINK = timedelta(days=7)  # S3 User Guide, "Download and upload objects with presigned URLs"
BUSY = timedelta(minutes=2)  # within this time after the sending another run may still be at work
# CreateAccessKey is sent once: 20 s of throttling, then 15 s for an answer. CreateDate has whole seconds.
_BEFORE, _AFTER = timedelta(seconds=2), timedelta(seconds=45)

# Not a hyphen with six more characters: Secrets Manager takes that for the end of an ARN.
_END = "/handover"
_PLAIN = re.compile(r"[\w.@+-]", re.ASCII)
_NAME = re.compile(r"(\d{12})/((?:[\w.@+-]|=[0-9A-F]{2})+)", re.ASCII)
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class HandoverRecord:
    """What a hand-over is about. `at` is when CreateAccessKey was to be sent, by AWS's clock; `run` names the run that
    did it; `had` are the ids that the user had then; `replaces` is one of them or "". `key_id` is the key that waits
    there, "" until it is stored. `spot` is for a secret its region and the end of its ARN, for an object its name.
    `taken`: what waited is gone."""

    account: str
    user: str
    at: datetime
    run: str
    had: tuple[str, ...] = ()
    replaces: str = ""
    key_id: str = ""
    spot: str = ""
    taken: bool = False


def encode(record: HandoverRecord) -> str:
    """A text of at most 256 letters, digits, blanks and `_.:/=+-@`: it fits a tag. Without account and user: they are
    in the name of the place."""
    facts = {"at": f"{record.at.astimezone(UTC):{_TIME}}", "run": record.run, "for": record.replaces}
    facts |= {"key": record.key_id, "in": record.spot}
    parts = [f"{name}={value}" for name, value in facts.items() if value]
    return " ".join((VERSION, *parts, *(f"had={key_id}" for key_id in record.had)))


def decode(text: str, account: str, user: str) -> HandoverRecord | None:
    """The record of that place, or None if it is none of ours or of another version: it is left alone."""
    version, *parts = text.split() or [""]
    facts = [part.partition("=") for part in parts]
    known = {name: value for name, _, value in facts}
    try:
        at = datetime.strptime(known["at"], _TIME).replace(tzinfo=UTC)
        run = known["run"]
    except (KeyError, ValueError):
        return None
    if version != VERSION:
        return None
    had = tuple(value for name, _, value in facts if name == "had")
    replaces, key_id, spot = (known.get(name, "") for name in ("for", "key", "in"))
    return HandoverRecord(account, user, at, run, had, replaces, key_id, spot)


def place_name(account: str, user: str) -> str:
    """`123456789012/alice`, in what names of secrets and objects may have: other characters become `=2C`."""
    quoted = (each if _PLAIN.fullmatch(each) else f"={ord(each):02X}" for each in user)
    return f"{account}/{''.join(quoted)}"


def secret_name(prefix: str, account: str, user: str) -> str:
    """The name of the secret."""
    return f"{prefix}{place_name(account, user)}{_END}"


def place_of(name: str) -> tuple[str, str] | None:
    """Account and user of `123456789012/alice`; None if it is not such a name."""
    found = _NAME.fullmatch(name)
    if not found:
        return None
    return found[1], re.sub(r"=([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), found[2])


def secret_place(prefix: str, name: str) -> tuple[str, str] | None:
    """Account and user of a secret; None if it is no hand-over."""
    ours = name.startswith(prefix) and name.endswith(_END)
    return place_of(name[len(prefix) : -len(_END)]) if ours else None


def made_then(record: HandoverRecord, keys: Iterable[AccessKey]) -> AccessKey | None:
    """The key of a CreateAccessKey whose answer never arrived: exactly one id that was unknown before, made within the
    request's time. Whoever acts on it must know that nobody uses it."""
    new = [key for key in keys if key.key_id not in record.had]
    found = [key for key in new if record.at - _BEFORE <= key.created <= record.at + _AFTER]
    return found[0] if len(found) == 1 and not record.key_id else None


_MAY = ["secretsmanager:GetSecretValue", "secretsmanager:DeleteSecret"]


def readers(user_arn: str, reader: str, user: str) -> tuple[str, ...]:
    """The ARNs that may read: the user's, and that of the role they sign in with (`reissue.reader`). Raises WrongUsage
    for a reader that is no role or session of one."""
    if not reader:
        return (user_arn,)
    arn = reader.replace("{user}", user)
    if not re.fullmatch(r"arn:[\w-]+:(iam::\d{12}:role/|sts::\d{12}:assumed-role/[^/]+/)\S+", arn):
        raise WrongUsage(
            f"reissue.reader {reader!r} is not the ARN of a role or of a role session",
            "write it like arn:aws:iam::123456789012:role/{user} or arn:aws:sts::123456789012:assumed-role/ROLE/{user}",
        )
    return (user_arn, arn)


def reading_policy(arns: tuple[str, ...]) -> str:
    """The secret's resource policy: these may read and delete it, nobody else may read, whatever other policies say.
    aws:PrincipalArn is the role's ARN for a session, and aws:userid ends in its name (IAM User Guide, "Global condition
    keys"). ListSecrets and the like show no value. BatchGetSecretValue needs GetSecretValue. A principal has no
    wildcards; where a reader has one, its account decides who it is, within the condition."""
    exact = [arn for arn in arns if "*" not in arn and "?" not in arn]
    rows: list[dict[str, Any]] = [_row("Reader", "Allow", {"AWS": exact}, _MAY)]
    for number, arn in enumerate(sorted(set(arns) - set(exact))):
        condition: dict[str, Any] = {"ArnLike": {"aws:PrincipalArn": _principals(arn)}}
        if session := _session_of(arn):
            condition["StringLike"] = {"aws:userid": f"*:{session}"}
        allowed = _row(f"ReaderLike{number}", "Allow", {"AWS": f"{_iam_of(arn)}root"}, _MAY)
        rows.append({**allowed, "Condition": condition})
    denied = _row("NobodyElse", "Deny", "*", _MAY[:1])
    all_of_them = [principal for arn in arns for principal in _principals(arn)]
    rows.append({**denied, "Condition": {"ArnNotLike": {"aws:PrincipalArn": all_of_them}}})
    for number, arn in enumerate(arn for arn in arns if _session_of(arn)):
        like = {"aws:PrincipalArn": _principals(arn)}
        condition = {"ArnLike": like, "StringNotLike": {"aws:userid": f"*:{_session_of(arn)}"}}
        rows.append({**denied, "Sid": f"NoOtherSession{number}", "Condition": condition})
    return json.dumps({"Version": "2012-10-17", "Statement": rows}, separators=(",", ":"))


def _row(sid: str, effect: str, principal: object, actions: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": effect, "Principal": principal, "Action": actions, "Resource": "*"}


def _iam_of(arn: str) -> str:
    _, partition, _, _, account, _ = arn.split(":", 5)
    return f"arn:{partition}:iam::{account}:"


def _session_of(arn: str) -> str:
    return arn.split("/", 2)[2] if ":assumed-role/" in arn else ""


def _principals(arn: str) -> list[str]:
    """As aws:PrincipalArn has it: a session is its role, whose path the session's ARN does not tell."""
    if ":assumed-role/" not in arn:
        return [arn]
    role = arn.split("/")[1]
    return [f"{_iam_of(arn)}role/{role}", f"{_iam_of(arn)}role/*/{role}"]


def finder(cloud: AwsCloud, organization: AwsOrganization, settings: FleetSettings) -> Finder:
    """Gives where a key waits for a user, "" if none does or that cannot be known: a message without it still says that
    one waits."""

    def find(account: str, user: str) -> str:
        try:
            store = waiting(cloud, organization, settings)
            record = store.find(account, user)
            return store.where(record) if record and record.key_id and not record.taken else ""
        except Problem:
            return ""

    return find if settings.reissue.enabled else lambda account, user: ""


def named(where: str) -> str:
    """The file or parameter to write into: the one that was read, or the one to make."""
    return "fleet.ini" if where == "built-in" else where


def check(settings: ReissueSettings, where: str) -> None:
    """Whether keys can be handed over by these settings, which were read from `where`. Raises WrongUsage."""
    readers("", settings.reader, "user")
    if settings.through == "s3" and not settings.bucket:
        hint = f"set bucket under [reissue] in {named(where)}"
        raise WrongUsage("reissue.through is s3, but reissue.bucket is not set", hint)
    if settings.through == "s3" and settings.link_for > _LINK:
        raise WrongUsage("reissue.link_for is above 7 days, the most that S3 allows", "set link_for = 12h in [reissue]")
    arn = settings.kms_key.split(":")
    if len(arn) > 1 and settings.region not in ("", arn[3]):
        what = f"reissue.kms_key is in {arn[3]}, but reissue.region is {settings.region}"
        raise WrongUsage(what, "set both to one region in [reissue]")


def waiting(cloud: AwsCloud, organization: AwsOrganization, settings: FleetSettings) -> HandoverStore:
    """The places that the settings choose. Raises WrongUsage."""
    reissue = settings.reissue
    check(reissue, settings.where)
    if reissue.through == "s3":
        return BucketStore(cloud.objects(reissue.region), reissue)

    def there(account: str) -> SecretsManager:
        return organization.cloud(AwsAccount(account)).secrets(reissue.region)

    def accounts() -> list[str]:
        return [each.number for each in accounts_of(organization, settings.accounts)]

    return SecretStore(cloud.secrets(reissue.region), organization.me(), reissue, there, accounts)


@dataclass(frozen=True)
class SecretStore:
    """Where keys wait: Secrets Manager of the account of `me`, who runs the fleet, or of the user's, as `there` gives
    it; `accounts` are the numbers of all in which there may be users. Every verb may raise Problem; no message holds a
    secret."""

    secrets: SecretsManager
    me: Identity
    settings: ReissueSettings
    there: Callable[[str], SecretsManager]
    accounts: Callable[[], Collection[str]]

    def _home(self, account: str) -> str:
        """The account that has the secret of a user of this one."""
        return self.me.account if self.settings.kms_key else account

    def _secrets(self, account: str) -> SecretsManager:
        return self.secrets if self._home(account) == self.me.account else self.there(account)

    def reserve(self, record: HandoverRecord, readers: tuple[str, ...]) -> HandoverRecord:
        """Make the place, with the record and who may read, before there is a key; gives the record as it is now."""
        return self.store(record, readers, reservation())

    def store(self, record: HandoverRecord, readers: tuple[str, ...], delivery: str) -> HandoverRecord:
        """Put the key there, then the record, which names it; gives the record as it is now."""
        name = secret_name(self.settings.prefix, record.account, record.user)
        secrets = self._secrets(record.account)
        arn = secrets.put(name, delivery, reading_policy(readers), {TAG: encode(record)}, self.settings.kms_key)
        return replace(record, spot=f"{arn.split(':')[3]}/{arn[-6:]}")

    def find(self, account: str, user: str) -> HandoverRecord | None:
        """The record of a user, as it is now. Raises Problem if somebody else's has that name. Without a user it only
        raises what listing raises: see `everybody`."""
        if not user:
            return next((None for _ in self._secrets(account).names(self.settings.prefix)), None)
        name = secret_name(self.settings.prefix, account, user)
        found = self._secrets(account).about(name)
        return _read(found[1].get(TAG, ""), account, user, name) if found else None

    def everybody(self) -> Iterator[tuple[str, str]]:
        """Account and user of each place, and "" for the user where that cannot be listed. It may lag by minutes."""
        for account in dict.fromkeys((self.me.account, *(() if self.settings.kms_key else self.accounts()))):
            try:
                names = list(self._secrets(account).names(self.settings.prefix))
            except Problem:
                yield account, ""  # who looks there meets it again, and the others are swept
                continue
            for name, _, tags in names:
                place = secret_place(self.settings.prefix, name)
                if place and TAG in tags and self._home(place[0]) == account:
                    yield place

    def remove(self, account: str, user: str) -> None:
        """Remove key and record. A place that is not there is no error."""
        self._secrets(account).delete(secret_name(self.settings.prefix, account, user))

    def where(self, record: HandoverRecord) -> str:
        """What to give to `adopt`, no secret: `secretsmanager:` and the ARN, as from another account or region a name
        is not enough."""
        region, _, end = record.spot.partition("/")
        name = secret_name(self.settings.prefix, record.account, record.user)
        arn = f"arn:{self.me.partition}:secretsmanager:{region}:{self._home(record.account)}:secret:{name}-{end}"
        return f"secretsmanager:{arn if region and end else name}"

    def link(self, record: HandoverRecord) -> str:
        """A presigned URL of the key: a secret. Raises WrongUsage: there is none here."""
        raise WrongUsage("links need reissue.through = s3", f"rotate-my-key adopt {self.where(record)}")


@dataclass(frozen=True)
class BucketStore:
    """A bucket."""

    objects: S3
    settings: ReissueSettings

    def _name(self, account: str, user: str, what: str) -> str:
        return f"{self.settings.prefix}{place_name(account, user)}/{what}"

    def _key(self, record: HandoverRecord) -> str:
        return self._name(record.account, record.user, record.spot or "key")  # "key": by an earlier version

    def _there(self, account: str, user: str) -> list[str]:
        folder = self._name(account, user, "")
        names = (name for name, _ in self.objects.names(self.settings.bucket, folder))
        return [name for name in names if name.removeprefix(folder).startswith(("key", "slip"))]

    def _put(self, name: str, text: str) -> None:
        self.objects.put(self.settings.bucket, name, text.encode(), self.settings.kms_key)

    def reserve(self, record: HandoverRecord, readers: tuple[str, ...]) -> HandoverRecord:
        """As in SecretStore. An earlier key goes, and with it what its links lead to."""
        slip = self._name(record.account, record.user, "slip")
        self._put(slip, encode(record))
        for name in self._there(record.account, record.user):
            if name not in (slip, self._key(record)):
                self.objects.delete(self.settings.bucket, name)
        return record

    def store(self, record: HandoverRecord, readers: tuple[str, ...], delivery: str) -> HandoverRecord:
        """As in SecretStore. Its name is this run's, so that no link made earlier leads to it."""
        record = replace(record, spot=f"key-{record.run}")
        self._put(self._key(record), delivery)
        return self.reserve(record, readers)

    def find(self, account: str, user: str) -> HandoverRecord | None:
        """As in SecretStore. By the list, which S3 keeps up to date: asked for an object that is not there it says
        "denied" to who may not list the whole bucket."""
        name, there = self._name(account, user, "slip"), self._there(account, user)
        if name not in there:
            return None
        try:
            text = self.objects.get(self.settings.bucket, name)
        except Gone:
            return None
        record = _read(text.decode(errors="replace"), account, user, name)
        return replace(record, taken=bool(record.key_id) and self._key(record) not in there)

    def everybody(self) -> Iterator[tuple[str, str]]:
        """As in SecretStore."""
        for name, _ in self.objects.names(self.settings.bucket, self.settings.prefix):
            place = place_of(name.removeprefix(self.settings.prefix).removesuffix("/slip"))
            if place and name.endswith("/slip"):
                yield place

    def remove(self, account: str, user: str) -> None:
        """As in SecretStore."""
        for name in sorted(self._there(account, user)):  # the slip last
            self.objects.delete(self.settings.bucket, name)

    def where(self, record: HandoverRecord) -> str:
        """`s3://bucket/name`, with the region if the settings name one."""
        region = f"?region={self.settings.region}" if self.settings.region else ""
        return f"s3://{self.settings.bucket}/{self._key(record)}{region}"

    def link(self, record: HandoverRecord) -> str:
        """As in SecretStore."""
        seconds = int(self.settings.link_for.total_seconds())
        return self.objects.link(self.settings.bucket, self._key(record), seconds)


HandoverStore = SecretStore | BucketStore


def _read(text: str, account: str, user: str, name: str) -> HandoverRecord:
    record = decode(text, account, user)
    if record is None:
        raise Problem(
            f"{name} exists, but was not written by this version of rotate-my-key fleet reissue",
            "look at it, and remove it if nobody needs it",
        )
    return record
