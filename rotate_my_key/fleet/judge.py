"""Every key with what is to be thought of it: its verdict, its owner, whether it is exempt, and what it fails. Pure.

Fresh, due and overdue are the laptop's own (`Policy.verdict`); what a key is beyond its age goes before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from ..policy import Verdict
from ..settings.fleet import FleetSettings
from .cis import Control, is_unused, violated
from .model import AccountSurvey, AwsAccount, FleetKey, FleetUser, Owner
from .owners import Addresses, exempt, owner_of, unreadable


class Status(Enum):
    """What a key is, in the order in which it matters."""

    ROOT = "root"
    OVERDUE = "overdue"
    DUE = "due"
    FRESH = "fresh"
    EXEMPT = "exempt"
    INACTIVE = "inactive"


_ORDER = {standing: number for number, standing in enumerate(Status)}
_BY_AGE = {Verdict.OVERDUE: Status.OVERDUE, Verdict.DUE: Status.DUE, Verdict.FRESH: Status.FRESH}


@dataclass(frozen=True, slots=True)
class Row:
    """One key. `by_age` is its verdict if age were all that counts; `exempt` says why its user is left alone, and
    `uncertain` what keeps us from knowing that, both "" if nothing. `fails` are the benchmark's recommendations."""

    account: AwsAccount
    user: FleetUser
    key: FleetKey
    standing: Status
    by_age: Verdict
    age: timedelta
    owner: Owner
    exempt: str = ""
    uncertain: str = ""
    unused: bool = False
    fails: tuple[Control, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the age is exact: without an id it is from the credential report, and the key may be older."""
        return self.key.key_id is not None

    @property
    def attention(self) -> bool:
        """Whether somebody should do something about it."""
        return self.standing in (Status.ROOT, Status.OVERDUE, Status.DUE) or self.unused


def judge(surveys: Iterable[AccountSurvey], settings: FleetSettings, mapping: Addresses, now: datetime) -> list[Row]:
    """All keys: root's first, then the overdue, the due, the unused, the rest; the oldest first among equals."""
    return sorted(_rows(surveys, settings, mapping, now), key=_place)


def _rows(
    surveys: Iterable[AccountSurvey], settings: FleetSettings, mapping: Addresses, now: datetime
) -> Iterator[Row]:
    for survey in surveys:
        for user in survey.users:
            if user.keys:
                owner = owner_of(user, settings.owners, mapping)
                reason = exempt(user, settings.exempt, None)
                for key in user.keys:
                    yield _row(survey.account, user, key, settings, owner, reason, now)


def _row(
    account: AwsAccount,
    user: FleetUser,
    key: FleetKey,
    settings: FleetSettings,
    owner: Owner,
    reason: str,
    now: datetime,
) -> Row:
    by_age = settings.policy.verdict(key, now)
    standing = _standing(user, key, reason, by_age)
    unused = is_unused(key, settings.unused_after, now)
    needed = standing in (Status.OVERDUE, Status.DUE) or unused
    return Row(
        account,
        user,
        key,
        standing,
        by_age,
        max(now - key.created, timedelta(0)),
        owner,
        reason,
        unreadable(user, settings.exempt, None) if needed else "",
        unused and standing is not Status.EXEMPT,
        tuple(violated(key, now, root=user.is_root)),
    )


def _standing(user: FleetUser, key: FleetKey, reason: str, by_age: Verdict) -> Status:
    if user.is_root:
        return Status.ROOT
    if not key.active:
        return Status.INACTIVE
    return Status.EXEMPT if reason else _BY_AGE[by_age]


def _place(row: Row) -> tuple[int, bool, timedelta, str, str, str]:
    return (
        _ORDER[row.standing],
        row.standing is Status.FRESH and not row.unused,
        -row.age,
        row.account.number,
        row.user.name,
        row.key.key_id or "",
    )
