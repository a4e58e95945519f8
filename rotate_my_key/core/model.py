"""The words of the domain.

Pure: imports the standard library only, reads no clock, no file and no environment. Times are aware datetimes in UTC,
durations are timedeltas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import NamedTuple

from .hints import Hint
from .policy import OUR_SERVICES, TWO_KEYS, Row, mask, old, stamp, used

_LATELY = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A pair: an access key id with its secret, and the session token if it is a temporary one."""

    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One entry of ListAccessKeys. `status` is AWS's word: Active, Inactive or Expired (since 2025)."""

    key_id: str
    status: str
    created: datetime

    @property
    def active(self) -> bool:
        """Anything but Active is not active."""
        return self.status == "Active"


@dataclass(frozen=True, slots=True)
class LastUse:
    """What GetAccessKeyLastUsed says; `at` is None for "never, or not known": it lags by 15 minutes and more."""

    at: datetime | None
    service: str = ""
    region: str = ""

    @property
    def is_evidence(self) -> bool:
        """Whether somebody needs the key: our own calls are signed with it and count as a use of `iam` or `sts`."""
        return self.at is not None and self.service not in OUR_SERVICES


def second_in_use(profile: str, own: AccessKey, other: AccessKey, use: LastUse | None, look: Look) -> tuple[str, Hint]:
    """What is said of a user's second active key, which nothing here holds: AWS allows no third, so computers that have
    one each need to share one, and one that IT made and nobody has used waits to be adopted. `profile` holds our own
    key here."""
    now = look.now
    if made_by_it(look.tags, other.key_id) and not (use and use.at):
        said = f"a new key {mask(other.key_id)} from IT, {old(now - other.created)}, waiting to be adopted"
        message = "IT's message says where to get it"
        return f"{said}; {message}", Hint("adopt", profile=profile)
    last = used(use.at, use.service, use.region, now) if use else "last use unknown"
    said = (
        f"a second active key {mask(other.key_id)} ({old(now - other.created)}, {last}), probably used on another "
        f"computer, and {TWO_KEYS}"
    )
    if use and (use.at is None or now - use.at > _LATELY):
        return said, Hint("delete-key", other.key_id, profile=profile, lead="if no other computer has it")
    younger = other.created > own.created
    delete = Hint("delete-key", own.key_id if younger else other.key_id, "-p", profile)
    rest = f"; {delete}; from then on rotate with --overlap 7d, and carry the new key over"
    to_here = Hint("import", profile=profile, lead="on that computer rotate-my-key export, here", rest=rest)
    return said, to_here if younger else Hint(
        "export", profile=profile, rest=f", on that computer rotate-my-key import{rest}"
    )


@dataclass(frozen=True, slots=True)
class Identity:
    """What GetCallerIdentity says: the account number and the ARN of who signed."""

    account: str
    arn: str

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn`, `aws-us-gov`, ..."""
        return self.arn.split(":")[1]

    @property
    def is_user(self) -> bool:
        """Whether it is an IAM user: only a user's long-term key can be rotated."""
        return ":user/" in self.arn

    @property
    def is_root(self) -> bool:
        """Root's ARN ends in `:root`."""
        return self.arn.endswith(":root")

    @property
    def user(self) -> str:
        """The user name: the last part of the ARN, without the path."""
        return self.arn.rsplit("/", 1)[-1]


EXEMPT_KEY, EXEMPT_VALUE = "rotate-my-key", "exempt"  # the user tag by which laptop and fleet leave a user alone


def is_exempt(tags: Mapping[str, str] | None) -> bool:
    """Whether a user is tagged `rotate-my-key` = `exempt`; who may not read the tags (None) cannot know. IAM takes the
    tag keys of a user without regard to case (IAM User Guide, "Tags for IAM resources")."""
    said = (value for key, value in (tags or {}).items() if key.lower() == EXEMPT_KEY)
    return any(value.strip().lower() == EXEMPT_VALUE for value in said)


FLEET_KEY = "rotate-my-key-fleet"  # the user tag in which IT's side remembers each key: see fleet/memory.py


def _noted(tags: Mapping[str, str] | None, key_id: str, letter: str) -> bool:
    """Whether that tag has this fact of a key: `1 ABCD2345:n2:f20261101`, by the last eight characters of the id. IT
    may give it another name (`tag` in [remind]), so it is known by its value."""
    said = [value.split() for value in (tags or {}).values()]
    parts = [part.split(":") for version, *parts in filter(None, said) if version == "1" for part in parts]
    return any(fact[:1] == letter for name, *facts in parts if name == key_id[-8:] for fact in facts)


def made_by_it(tags: Mapping[str, str] | None, key_id: str) -> bool:
    """Whether IT made this key."""
    return _noted(tags, key_id, "m")


def wanted_by_it(tags: Mapping[str, str] | None, key_id: str) -> bool:
    """Whether IT has asked for this key to be replaced: by its limits the key is due, whatever the ones here are."""
    return _noted(tags, key_id, "n") and not is_exempt(tags)


RECALL_KEY = "rotate-my-key-recall"  # the user tag by which IT recalls keys: see Recall


class Recall(NamedTuple):
    """IT wants every key of a user that was made before `at` to be replaced `by` then; `reason` is for people. The
    tag's value is `1 2026-12-02T05:41:00+00:00 2026-12-09T22:59:00+00:00 laptop stolen`. A tag of a user has at most
    256 characters out of letters, digits, blanks and `_.:/=+-@` (IAM API reference, Tag)."""

    at: datetime
    by: datetime
    reason: str

    @property
    def value(self) -> str:
        """The tag's value."""
        return f"1 {stamp(self.at)} {stamp(self.by)} {self.reason}"

    @property
    def row(self) -> Row:
        """As `--json` and the cached status have it."""
        return {"at": stamp(self.at), "by": stamp(self.by), "reason": self.reason}


def read_recall(tags: Mapping[str, str] | None) -> Recall | None:
    """What the user's tag says; None if there is none, or it makes no sense."""
    said = next((value for key, value in (tags or {}).items() if key.lower() == RECALL_KEY), "")
    if not said:
        return None
    version, *words = said.split(None, 3) or [""]
    try:
        at, by = (datetime.fromisoformat(word) for word in words[:2])
        if not 2006 <= at.year <= by.year <= 2200:  # since IAM has access keys; and what no calendar can show is no day
            return None
        reason = "".join(letter if letter.isprintable() else " " for letter in " ".join(words[2:])).strip()
        known = version == "1" and at.tzinfo and by.tzinfo
        return Recall(at.astimezone(UTC), by.astimezone(UTC), reason) if known else None
    except ValueError:
        return None


def recalled(tags: Mapping[str, str] | None, created: datetime, now: datetime) -> Recall | None:
    """The recall of a key made then; None for one that was made since, or whose user is exempt, and for a recall of a
    time to come, which no new key could satisfy."""
    recall = read_recall(tags)
    return recall if recall and created < recall.at <= now and not is_exempt(tags) else None


class PlaceKind(Enum):
    """What kind of spot holds a pair."""

    CREDENTIALS = "credentials"
    CONFIG = "config"
    KEYRING = "keyring"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One spot on this computer that holds a pair: a profile's section in a file, or a keyring entry. A section that
    botocore reads for no profile is named in its brackets: `[work]` in the config file. `path` is absolute, as the user
    names it (links are followed only when it is written); for a keyring entry it is the path of the config file whose
    `credential_process` leads there."""

    path: str
    profile: str
    kind: PlaceKind = field(default=PlaceKind.CREDENTIALS, compare=False)

    @property
    def is_read(self) -> bool:
        """Whether it is a profile of botocore's, which `-p` can name."""
        return not self.profile.startswith("[")

    def json(self) -> dict[str, str]:
        """As `--json` and the cached status have it."""
        return {"path": self.path, "profile": self.profile, "kind": self.kind.value}


@dataclass(frozen=True, slots=True)
class InPlace:
    """A write that cannot be atomic, noted before it happens, so that the next run can heal a torn one."""

    place: Place
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Look:
    """What AWS says of a key and its user, fetched together. `signer` is the pair that AWS accepted. `tags` is None if
    GetUser was denied (no obstacle). `last_use` is None if it could not be known (denied, throttled): unknown, not
    "never". `now` is AWS's clock (Date header). `auth_profile` is the profile that signs IAM's calls in place of the
    pair; then the pair itself need not work: `dead`."""

    signer: Credentials
    identity: Identity
    keys: tuple[AccessKey, ...]
    tags: dict[str, str] | None
    last_use: LastUse | None
    now: datetime
    auth_profile: str | None = None
    dead: bool = False

    @property
    def use(self) -> dict[str, str | None] | None:
        """The last use as `--json` and the cached status have it; None if it is not known."""
        use = self.last_use
        return {"at": stamp(use.at), "service": use.service or None, "region": use.region or None} if use else None


@dataclass(frozen=True, slots=True)
class Holding:
    """What a place holds, as an SDK reads it: a pair, or None if there is nothing there that can be read. `away`: its
    very file is not there or cannot be opened, so that nobody knows what it holds when it comes back."""

    place: Place
    pair: Credentials | None
    away: bool = False
