"""The fleet's settings as values: what `fleet.ini` or an SSM parameter says, with a default for everything. Pure.

Durations are timedeltas; empty texts and tuples mean "not set". `max_age` and `remind_before` are the laptop's own
settings unless the fleet's file says otherwise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ..core.errors import WrongUsage
from ..core.model import EXEMPT_KEY, EXEMPT_VALUE, FLEET_KEY
from ..core.policy import Policy, format_duration

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]?\d|2[0-3])-([01]?\d|2[0-4])")


@dataclass(frozen=True, slots=True)
class Accounts:
    """Which accounts: the caller's own alone, or with `role` those of the organization by assuming that role there.
    `only` and `but` are account numbers; with `only` no organization need be asked."""

    role: str = ""
    external_id: str = ""
    only: tuple[str, ...] = ()
    but: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Owners:
    """Who owns a user's keys. `by` is the order in which it is tried: of `tag`, `name`, `mapping`. `tag` names a user
    tag that holds an address; `domain` makes an address of a user name that is none; `mapping` is a CSV file."""

    by: tuple[str, ...] = ("mapping", "tag", "name")
    tag: str = "owner"
    domain: str = ""
    mapping: str = ""


@dataclass(frozen=True, slots=True)
class Who:
    """Some users. `tags` are `KEY=VALUE` or `KEY`; `paths` begin with what is given; `names` are patterns with `*` and
    `?`; `accounts` are numbers. Who is meant fits every list that is not empty, by one of its values."""

    tags: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()


WHO = ("tags", "paths", "names", "groups", "accounts")


@dataclass(frozen=True, slots=True)
class Rule(Who):
    """What is said of some users under a `title`, to the end of the day `until` (UTC), and `by` whom it was approved.
    `limits` are values of Policy and of Enforce by their names; an exemption has none."""

    title: str = ""
    until: date | None = None
    by: str = ""
    limits: Mapping[str, Any] = field(default_factory=dict)

    def over(self, today: date) -> bool:
        """Whether it no longer counts."""
        return self.until is not None and today > self.until


@dataclass(frozen=True, slots=True)
class Exempt(Who):
    """Who is left alone: whoever fits one of these lists, or one of `rules`. `never_signed_in`: users who have no
    password (bots)."""

    tags: tuple[str, ...] = (f"{EXEMPT_KEY}={EXEMPT_VALUE}",)
    never_signed_in: bool = False
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """One way to tell somebody. `kind` is ses, sns or apprise; `topic` is an ARN, `urls` names a secret, as
    `secretsmanager:NAME` or `ssm:NAME`: an apprise URL is a token. `to` are fixed addresses, for mail to admins;
    `mention` is how a chat addresses somebody, `{name}` in it is the owner's."""

    name: str
    kind: str
    sender: str = ""
    region: str = ""
    topic: str = ""
    urls: str = ""
    to: tuple[str, ...] = ()
    mention: str = ""

    @property
    def personal(self) -> bool:
        """Whether whoever is meant is addressed, and not only a chat or a topic in which they may be."""
        return self.kind == "ses" or bool(self.mention)


@dataclass(frozen=True, slots=True)
class Remind:
    """When to tell whom. `owners`, `admins` and `escalate` name channels; escalation begins with the notice after
    `escalate_after` unanswered ones (0: never). `digest`: whether admins get one each run. `templates` is a folder with
    templates of IT's own. `before` are days before a key is overdue on which owners are told, instead of every
    `repeat`. `tag` is where it is remembered what was sent."""

    owners: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    escalate: tuple[str, ...] = ()
    repeat: timedelta = timedelta(days=3)
    before: tuple[str, ...] = ()
    escalate_after: int = 3
    digest: bool = True
    templates: str = ""
    link: str = ""
    tag: str = FLEET_KEY


@dataclass(frozen=True, slots=True)
class Enforce:
    """What is done to keys that are too old; None: never.

    `deactivate_at` is an age; `delete_after` counts from when a key was switched off. `reissue_at` is the age at which
    IT makes a new key; the old one waits for it until `deactivate_anyway_at`. An act needs `notices` recorded notices,
    the first at least `grace` before it. `accounts` is where anything may be done: numbers, `all`, organizational
    units (`ou-...`, a root `r-...`), `tag:KEY=VALUE` of accounts; `survey.resolved` adds their numbers. Empty means
    nowhere. `weekdays` (of DAYS), `hours` (`9-17` from 9:00 until before 17:00, `22-6` over midnight) and `timezone`
    say when. `most` acts a run.
    """

    preset: str = ""
    deactivate_at: timedelta | None = None
    deactivate_anyway_at: timedelta | None = None
    delete_after: timedelta | None = None
    reissue_at: timedelta | None = None
    unused_for: timedelta | None = None
    notices: int = 1
    grace: timedelta = timedelta(days=7)
    accounts: tuple[str, ...] = ()
    weekdays: tuple[str, ...] = ("mon", "tue", "wed", "thu", "fri")
    hours: str = "9-17"
    timezone: str = "UTC"
    most: int = 10

    @property
    def ages(self) -> tuple[timedelta, ...]:
        """The ages at which something is done to an active key, as far as they are set."""
        ages = (self.deactivate_at, self.deactivate_anyway_at, self.reissue_at, self.unused_for)
        return tuple(age for age in ages if age is not None)


def span_of(hours: str) -> tuple[int, int]:
    """Where `9-17` begins and ends; 22-6 goes over midnight. Raises WrongUsage."""
    found = _HOURS.fullmatch(hours)
    if not found or int(found[1]) == int(found[2]):
        raise WrongUsage(f"{hours!r} is not a span of hours", "write it like 9-17, or 0-24 for always")
    return int(found[1]), int(found[2])


def zone(name: str) -> tzinfo:
    """A time zone by its name in the IANA database; UTC needs no database. Raises WrongUsage."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, ZoneInfoNotFoundError) as error:
        missing = isinstance(error, ZoneInfoNotFoundError) and not available_timezones()
    known = " (this system has no time zones: pip install tzdata)" if missing else ""
    raise WrongUsage(f"{name!r} is not a time zone{known}", "write it like UTC or Europe/Vienna")


@dataclass(frozen=True, slots=True)
class ReissueSettings:
    """How a key that IT makes reaches its user; off unless `enabled`. `through` is secretsmanager or s3; `reader` is
    the ARN of a role that may read beside the user, `{user}` in it is their name; what was not fetched is deleted after
    `keep`."""

    enabled: bool = False
    through: str = "secretsmanager"
    reader: str = ""
    bucket: str = ""
    prefix: str = "rotate-my-key/"
    kms_key: str = ""
    region: str = ""
    keep: timedelta = timedelta(days=7)
    link_for: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Where events are written: a `file` of JSON lines, a CloudWatch `log_group`, an S3 `bucket`; any of them, or none.
    `namespace` is that of the metrics."""

    file: str = ""
    log_group: str = ""
    bucket: str = ""
    prefix: str = "rotate-my-key/audit/"
    region: str = ""
    namespace: str = "RotateMyKey"


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """All of it. `text` is what was read, `where` names it for people. `unused_after` is the age of a last use at which
    CIS wants a credential disabled. Of `limits` the first that fits a user counts. `include`: whoever is told and acted
    upon fits each of these."""

    policy: Policy = field(default_factory=Policy)
    unused_after: timedelta = timedelta(days=45)
    contact: str = ""
    exact: bool = False
    accounts: Accounts = field(default_factory=Accounts)
    owners: Owners = field(default_factory=Owners)
    exempt: Exempt = field(default_factory=Exempt)
    limits: tuple[Rule, ...] = ()
    include: tuple[Who, ...] = ()
    channels: Mapping[str, ChannelSettings] = field(default_factory=dict)
    remind: Remind = field(default_factory=Remind)
    enforce: Enforce = field(default_factory=Enforce)
    reissue: ReissueSettings = field(default_factory=ReissueSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    where: str = "built-in"
    text: str = ""

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with what was read and with the limits and rules in force."""
        said = f"{self.policy}{self.enforce}{self.include or ''}{self.text}".encode()
        return hashlib.sha256(said).hexdigest()[:12]

    def limited(self, limit: Rule | None) -> FleetSettings:
        """The same with the values of a limit."""
        if limit is None:
            return self
        said = limit.limits
        policy = {name: value for name, value in said.items() if name in Policy._fields}
        rest = {name: value for name, value in said.items() if name not in policy}
        return replace(self, policy=self.policy._replace(**policy), enforce=replace(self.enforce, **rest))

    @property
    def variants(self) -> tuple[FleetSettings, ...]:
        """What may count for a user: the general limits, and each of the others."""
        return (self, *(self.limited(each) for each in self.limits))

    @property
    def reissues(self) -> bool:
        """Whether IT makes new keys at some age."""
        return any(each.enforce.reissue_at is not None for each in self.variants)

    def groups(self, today: date) -> tuple[str, ...]:
        """The groups whose members must be known."""
        rules = (each for each in (*self.exempt.rules, *self.limits) if not each.over(today))
        return tuple(dict.fromkeys(group for who in (self.exempt, *rules, *self.include) for group in who.groups))

    def ended(self, today: date) -> tuple[str, ...]:
        """What no longer counts."""
        kinds = {"exempt": self.exempt.rules, "limits": self.limits}
        return tuple(
            f"[[{each.title}]] of [{kind}] ended on {each.until}{f' (by {each.by})' if each.by else ''}"
            for kind, rules in kinds.items()
            for each in rules
            if each.over(today)
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of settings that can be used."""
        before, age = self.policy.remind_before, self.policy.max_age
        first = max(each.policy.remind_before for each in self.variants)
        found = []
        if before >= age and self.where != "built-in":  # then they are the laptop's, which says so itself
            said = f"remind_before ({format_duration(before)}) is not below max_age ({format_duration(age)})"
            found.append(f"{self.where}: {said}, so every key is due at once")
        if early := [each for each in self.remind.before if timedelta(int(each)) > first]:
            said = f"before = {', '.join(early)} in [remind] is more than remind_before ({format_duration(first)})"
            found.append(f"{self.where}: {said}, so nobody is notified that early")
        return tuple(found)


AGES = ("deactivate_at", "deactivate_anyway_at", "delete_after", "reissue_at", "unused_for")  # of Enforce
