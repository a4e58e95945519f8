"""IAM's credential report, read. Pure: the CSV is handed in.

What it is like (IAM User Guide, "Generate credential reports", and reports of real accounts): one row a user, root
first as `<root_account>`; columns may be added, so they are found by name. `N/A`, `no_information` and `not_supported`
stand for what is not there. A slot is a key if it is active or has a date; no id is told. `last_rotated` is when the
key was made or last changed: a key may be older than that, and is never younger. One that was used before its date was
switched off and on since, so its age must be listed. Whoever has more keys than there are slots has
`additional_credentials_info`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from sys import intern

from ..core.errors import Problem
from ..core.model import LastUse
from .model import FleetKey, FleetUser

_NOTHING = {"N/A", "no_information", "not_supported", ""}
_NEVER = LastUse(None)
_MINUTE = timedelta(minutes=1)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")  # as of a file that is opened with newline=""
_SLOT = re.compile(r"access_key_\d+(?=_active$)")
_ARN = re.compile(r"arn:[\w-]+:iam::(\d{12}):(?:user/.+|root)", re.DOTALL)


_NEEDED = (
    *("arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed", "mfa_active"),
)
_OF_A_SLOT = ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
_Row = Mapping[str, str]  # by column


def entries(text: str, account: str) -> Iterator[tuple[FleetUser, bool]]:
    """The users of a report of the account with this number, each with whether they have more keys than it tells of, or
    older ones than it says. Raises Problem naming the line that cannot be read: no row is passed over."""
    rows = csv.reader((line[0] for line in _LINE.finditer(text)), strict=True)  # a StringIO would take 4 bytes a letter
    try:
        head = [name.strip() for name in next(rows, [])]
        slots = [match[0] for name in head if (match := _SLOT.match(name))] or ["access_key_1"]
        for name in (*_NEEDED, *(f"{slot}_{part}" for slot in slots for part in _OF_A_SLOT)):
            if name not in head:
                raise Problem(f"the credential report has no column {name}")
        for row in rows:
            if row and len(row) != len(head):
                raise _Bad(f"{len(row)} values, but the header has {len(head)}")
            if row:
                yield _entry(dict(zip(head, row, strict=True)), slots, account)
    except (csv.Error, _Bad) as error:
        raise Problem(f"the credential report of {account} cannot be read: line {rows.line_num}: {error}") from None


class _Bad(ValueError):
    """What is wrong with a row."""


def _entry(row: _Row, slots: Sequence[str], account: str) -> tuple[FleetUser, bool]:
    arn = row["arn"]
    match = _ARN.fullmatch(arn)
    if not match or match[1] != account:
        raise _Bad(f"{arn!r} is not a user of this account")
    created = _time(row, "user_creation_time")
    user = FleetUser(
        account,
        arn,
        keys=tuple(key for slot in slots if (key := _key(slot, row, created))),
        created=created,
        password=_yes(row["password_enabled"]),
        signed_in=_time(row, "password_last_used"),
        password_set=_time(row, "password_last_changed"),
        mfa=_yes(row["mfa_active"]),
    )
    uses = ((key.created, key.last_use.at) for key in user.keys if key.active and key.last_use and key.last_use.at)
    older = any(used < created - _MINUTE for created, used in uses)  # AWS cuts uses to minutes
    return user, older or row.get("additional_credentials_info", "").strip() not in _NOTHING


def _key(slot: str, row: _Row, user_created: datetime | None) -> FleetKey | None:
    """An active key without a date is as old as its user: it cannot be older."""
    rotated = _time(row, f"{slot}_last_rotated")
    active = bool(_yes(row[f"{slot}_active"]))
    if rotated is None and not active:
        return None
    created = rotated or user_created
    if created is None:
        raise _Bad(f"{slot} is active but has no date")
    used = _time(row, f"{slot}_last_used_date")
    use = LastUse(used, *(_word(row[f"{slot}_last_used_{part}"]) for part in ("service", "region"))) if used else _NEVER
    return FleetKey(active, created, last_use=None if row[f"{slot}_last_used_date"] == "not_supported" else use)


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


def _time(row: _Row, name: str) -> datetime | None:
    text = row[name]
    if text in _NOTHING:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise _Bad(f"{name} is {text!r}, which is not a time") from None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
