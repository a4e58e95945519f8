"""IAM's credential report, read. Pure: the CSV is handed in.

What it is like (IAM User Guide, "Generate credential reports", and reports of real accounts):

- One row a user, root first as `<root_account>`; columns may be added, so they are found by name.
- `N/A`, `no_information` and `not_supported` stand for what is not there. A key that was never used has no date of use,
  nor has one whose use IAM does not know.
- A slot is a key if it is active or has a date; no id is told, and slot 1 need not be the older one.
- `last_rotated` is when the key was made or last changed: a key may be older than that, and is never younger.
- Whoever has more keys than there are slots has `additional_credentials_info`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from sys import intern
from typing import NamedTuple

from ..core.errors import Problem
from ..core.model import LastUse
from .model import FleetKey, FleetUser

_NOTHING = {"N/A", "no_information", "not_supported", ""}
_NEVER = LastUse(None)
_SLOT = re.compile(r"access_key_\d+(?=_active$)")
_ARN = re.compile(r"arn:[\w-]+:iam::(\d{12}):(?:user/.+|root)", re.DOTALL)


class ReportEntry(NamedTuple):
    """A row: the user with the keys that it tells of, and whether there are `more` of them."""

    user: FleetUser
    more: bool


class _Slot(NamedTuple):
    """The columns of one key."""

    name: str
    active: int
    rotated: int
    used: int
    region: int
    service: int


class _Head:
    """Where each column is. Raises Problem if one that we need is missing."""

    def __init__(self, names: Sequence[str]) -> None:
        self._at = {name.strip(): number for number, name in enumerate(names)}
        self.length = len(names)
        self.arn = self._column("arn")
        self.created = self._column("user_creation_time")
        self.password = self._column("password_enabled")
        self.signed_in = self._column("password_last_used")
        self.more = self._at.get("additional_credentials_info")
        self.slots = [self._slot(match[0]) for name in self._at if (match := _SLOT.match(name))]
        if not self.slots:
            self._column("access_key_1_active")

    def _column(self, name: str) -> int:
        if name not in self._at:
            raise Problem(f"the credential report has no column {name}")
        return self._at[name]

    def _slot(self, name: str) -> _Slot:
        parts = ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
        return _Slot(name, *(self._column(f"{name}_{part}") for part in parts))


def entries(text: str, account: str) -> Iterator[ReportEntry]:
    """Read a report of the account with this number.

    Raises Problem naming the line for what cannot be read: no row is passed over in silence.
    """
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = _Head(next(rows, []))
        for row in rows:
            if row:
                yield _entry(head, row, account)
    except (csv.Error, _Bad) as error:
        raise Problem(f"the credential report of {account} cannot be read: line {rows.line_num}: {error}") from None


class _Bad(ValueError):
    """What is wrong with a row."""


def _entry(head: _Head, row: Sequence[str], account: str) -> ReportEntry:
    if len(row) != head.length:
        raise _Bad(f"{len(row)} values, and the head has {head.length}")
    arn = row[head.arn]
    match = _ARN.fullmatch(arn)
    if not match or match[1] != account:
        raise _Bad(f"{arn!r} is no user of this account")
    created = _time(row[head.created], "user_creation_time")
    keys = (_key(slot, row, created) for slot in head.slots)
    user = FleetUser(
        account,
        arn,
        keys=tuple(key for key in keys if key),
        created=created,
        password=_yes(row[head.password]),
        signed_in=_time(row[head.signed_in], "password_last_used"),
    )
    return ReportEntry(user, head.more is not None and row[head.more].strip() not in _NOTHING)


def _key(slot: _Slot, row: Sequence[str], user_created: datetime | None) -> FleetKey | None:
    """An active key without a date is as old as its user: it cannot be older."""
    rotated = _time(row[slot.rotated], f"{slot.name}_last_rotated")
    active = bool(_yes(row[slot.active]))
    if rotated is None and not active:
        return None
    created = rotated or user_created
    if created is None:
        raise _Bad(f"{slot.name} is active and has no date")
    return FleetKey(active, created, last_use=_last_use(slot, row))


def _last_use(slot: _Slot, row: Sequence[str]) -> LastUse | None:
    if row[slot.used] == "not_supported":
        return None
    used = _time(row[slot.used], f"{slot.name}_last_used_date")
    return LastUse(used, _word(row[slot.service]), _word(row[slot.region])) if used else _NEVER


def _word(text: str) -> str:
    return "" if text in _NOTHING else intern(text)


def _yes(text: str) -> bool | None:
    match text.lower():
        case "true":
            return True
        case "false":
            return False
    if text not in _NOTHING:
        raise _Bad(f"{text!r} is neither true nor false")
    return None


def _time(text: str, name: str) -> datetime | None:
    if text in _NOTHING:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise _Bad(f"{name} is {text!r}, which is no time") from None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
