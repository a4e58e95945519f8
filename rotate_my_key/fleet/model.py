"""The words of the fleet: all users and keys of some accounts, and what IT is told of them.

Pure. Times are aware datetimes in UTC. Nothing here can hold a secret: no type has a field for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from ..core.model import LastUse


@dataclass(frozen=True, slots=True, order=True)
class AwsAccount:
    """An AWS account: its number of twelve digits, and its name in the organization if that is known."""

    number: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.number})" if self.name else self.number


Finder = Callable[[str, str], str]  # where a new key waits, of account and user; "" if none does or it is not known


@dataclass(frozen=True, slots=True)
class FleetKey:
    """One access key of somebody. `key_id` is None where only the credential report told of it; `created` is then the
    report's `last_rotated`. `last_use` is None if it could not be known (denied, throttled): unknown, not "never"."""

    active: bool
    created: datetime
    key_id: str | None = None
    last_use: LastUse | None = None


@dataclass(frozen=True, slots=True)
class FleetUser:
    """A user of an account, or its root, whose `name` is `root`. `tags` and `groups` are None where they were not asked
    for or are denied, `signed_in`, the last sign-in with the password, for never or unknown, and `password`, `mfa` if
    nobody knows."""

    account: str
    arn: str
    keys: tuple[FleetKey, ...] = ()
    created: datetime | None = None
    tags: Mapping[str, str] | None = None
    groups: frozenset[str] | None = None
    password: bool | None = None
    signed_in: datetime | None = None
    password_set: datetime | None = None
    mfa: bool | None = None
    name: str = field(init=False, repr=False, compare=False)  # kept, for a run asks for it a dozen times

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.arn.rsplit(":", 1)[-1].rsplit("/", 1)[-1])

    @property
    def is_root(self) -> bool:
        """Root's ARN ends in `:root`."""
        return self.arn.endswith(":root")

    @property
    def path(self) -> str:
        """The user's path, `/` for none."""
        return "/" + "".join(f"{part}/" for part in self.arn.rsplit(":", 1)[-1].split("/")[1:-1])


class SurveySource(Enum):
    """Where an account's facts come from."""

    REPORT = "credential report"
    LISTS = "lists"


@dataclass(frozen=True, slots=True)
class AccountSurvey:
    """What was found in one account; `problem` and `hint` say why it could not be looked at. `at` is when the facts
    were true: a credential report may be four hours old. `notes` are for a person. `code` is the exit code of what went
    wrong, 0 if nothing did; it is set too where only some users could not be looked at."""

    account: AwsAccount
    users: tuple[FleetUser, ...] = ()
    source: SurveySource = SurveySource.REPORT
    at: datetime | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()
    code: int = 0
    hint: str = ""


_ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\"\\]+@[^\s@,;:<>()\[\]\"\\]+")


def addresses_in(text: str) -> tuple[str, ...]:
    """The mail addresses of a text that has nothing else but blanks, commas and semicolons, each once; else none."""
    found = dict.fromkeys(filter(None, re.split("[ ,;]+", text)))
    return tuple(found) if all(_ADDRESS.fullmatch(each) and each.isprintable() for each in found) else ()


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom to tell of a user's keys. `address` is a mail address or several, or whatever a channel needs, "" if none is
    known; `how` says where it comes from: `tag owner`, `user name`, `mapping`, or `mapping of the account`: they need
    not be the user's own then."""

    name: str
    address: str = ""
    how: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel carries. `to` is an address for channels that need one (mail), else ""; `rows` is the text with
    each paragraph in one line, for chats, which wrap it themselves."""

    subject: str
    text: str
    html: str = ""
    to: str = ""
    rows: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit: who was told what, what was done and why. `what` is a word such as `notified`,
    `deactivated` or `revoked`; `policy` is the fingerprint of the settings that decided. `details` has no secrets."""

    at: datetime
    what: str
    account: str = ""
    user: str = ""
    key_id: str = ""
    why: str = ""
    policy: str = ""
    outcome: str = "done"
    details: Mapping[str, str] = field(default_factory=dict)
