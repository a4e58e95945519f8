"""IAM's credential report, as it comes and as it should not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import LastUse
from rotate_my_key.fleet.credential_report import entries
from rotate_my_key.fleet.model import FleetKey, FleetUser

from .fakes import HEAD

ACCOUNT = "123456789012"
BORN = "2020-01-01T00:00:00"
SINCE = f"{BORN}+00:00"
NO_KEY = "false,N/A,N/A,N/A,N/A"
CERTIFICATES = "false,N/A,false,N/A"


def row(
    name: str = "alice",
    first: str = NO_KEY,
    second: str = NO_KEY,
    *,
    arn: str = "",
    signing_in: str = "true,no_information",
    since: str = SINCE,
) -> str:
    """A row of the report, with what stands in its two slots."""
    arn = arn or f"arn:aws:iam::{ACCOUNT}:user/{name}"
    return f"{name},{arn},{since},{signing_in},N/A,N/A,false,{first},{second},{CERTIFICATES}\n"


def read(*rows: str, head: str = HEAD) -> list[FleetUser]:
    """The users of a report."""
    return [user for user, _ in entries(f"{head}\n{''.join(rows)}", ACCOUNT)]


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_user_with_two_keys() -> None:
    """Both slots are told, in the report's order, whichever is the older."""
    first = "true,2026-11-01T10:00:00+00:00,2026-11-20T08:00:00Z,eu-west-1,s3"
    second = "false,2026-01-01T10:00:00+00:00,N/A,N/A,N/A"
    (user,) = read(row(first=first, second=second, signing_in="true,2026-11-24T07:00:00+00:00"))
    assert user.keys == (
        FleetKey(True, at("2026-11-01T10:00:00"), None, LastUse(at("2026-11-20T08:00:00"), "s3", "eu-west-1")),
        FleetKey(False, at("2026-01-01T10:00:00"), None, LastUse(None)),
    )
    assert (user.password, user.signed_in, user.created) == (True, at("2026-11-24T07:00:00"), at(BORN))
    assert (user.password_set, user.mfa) == (None, False)


def test_root() -> None:
    """Root is a row like any other, whose password cannot be told of."""
    arn = f"arn:aws:iam::{ACCOUNT}:root"
    keys = "true,2019-05-05T00:00:00+00:00,2026-11-20T08:00:00+00:00,us-east-1,iam"
    user = read(row("<root_account>", keys, arn=arn, signing_in="not_supported,2026-11-01T00:00:00+00:00"))[0]
    assert user.is_root
    assert user.name == "root"
    assert user.password is None
    assert len(user.keys) == 1


MADE, FIRST, NEVER = "true,2026-11-01T10:00:00Z", at("2026-11-01T10:00:00"), LastUse(None)
SLOTS: dict[str, tuple[str, FleetKey | None]] = {
    "no key": (NO_KEY, None),
    "no key, in other words": ("not_supported,not_supported,no_information,N/A,N/A", None),
    "capital letters": (f"{MADE.upper()},N/A,N/A,N/A", FleetKey(True, FIRST, None, NEVER)),
    "an inactive key whose date is not told is no key": ("FALSE,N/A,2026-11-01T10:00:00Z,eu-west-1,s3", None),
    "an active key without a date is of its user's age": (
        "true,N/A,N/A,N/A,N/A",
        FleetKey(True, at(BORN), None, NEVER),
    ),
    "a use without region": (f"{MADE},{SINCE},N/A,s3", FleetKey(True, FIRST, None, LastUse(at(BORN), "s3", ""))),
    "a use that is not told is unknown, not never": (f"{MADE}{',not_supported' * 3}", FleetKey(True, FIRST)),
    "another time zone": ("true,2026-11-01T12:00:00+02:00,N/A,N/A,N/A", FleetKey(True, FIRST, None, NEVER)),
}


@pytest.mark.parametrize("case", SLOTS)
def test_a_slot(case: str) -> None:
    """What stands in a slot, and which key that is."""
    slot, key = SLOTS[case]
    expected = (key,) if key else ()
    assert read(row(first=slot))[0].keys == expected
    assert read(row(second=slot))[0].keys == expected


@pytest.mark.parametrize(("said", "more"), [("N/A", False), ("", False), ("1 more: ListAccessKeys", True)])
def test_more_keys_than_slots(said: str, more: bool) -> None:
    """The column that AWS added for it says so."""
    text = f"{HEAD},additional_credentials_info\n{row().strip()},{said}\n"
    assert [has_more for _, has_more in entries(text, ACCOUNT)] == [more]


def test_columns_in_another_order_and_new_ones() -> None:
    """Columns are found by name; one more slot is one more key. Blank lines are neither users nor faults."""
    names = HEAD.split(",")
    values = row(first="true,2026-11-01T10:00:00Z,N/A,N/A,N/A").strip().split(",")
    slot = [name.replace("_1_", "_3_") for name in names if name.startswith("access_key_1_")]
    head = ",".join(["new", *reversed(names), *slot])
    assert len(read(",".join(["x", *reversed(values), *values[8:13]]), head=head)[0].keys) == 2
    assert len(read("\n", row(), "\r\n")) == 1


def test_names_as_iam_allows_them() -> None:
    """Commas in quotes, signs, paths and letters from anywhere. GovCloud and China have ARNs of their own."""
    arn = f"arn:aws:iam::{ACCOUNT}:user/bots/été/a"
    users = read(
        row('"smith,j+=@."', arn=f'"arn:aws:iam::{ACCOUNT}:user/smith,j+=@."'), row("a", arn=arn), row("\u5f20\u4f1f")
    )
    assert [user.name for user in users] == ["smith,j+=@.", "a", "\u5f20\u4f1f"]
    assert users[1].path == "/bots/été/"
    arns = (f"arn:{each}:iam::{ACCOUNT}:user/a" for each in ("aws-us-gov", "aws-cn"))
    assert len(read(*(row(arn=each) for each in arns))) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column arn"),
        ("user,arn\n", "has no column user_creation_time"),
        (HEAD.replace("access_key_1_last_used_region,", ""), "has no column access_key_1_last_used_region"),
        (",".join(HEAD.split(",")[:8]), "has no column access_key_1_active"),
        (f"{HEAD}\nalice,arn\n", "line 2: 2 values, but the header has 22"),
        (f"{HEAD}\n{row()}{row(arn='arn:aws:iam::210987654321:user/bob')}", "line 3: 'arn:aws:iam::210987654321"),
        (f"{HEAD}\n{row(arn='alice')}", "line 2: 'alice' is not a user of this account"),
        (f"{HEAD}\n{row(first='maybe,N/A,N/A,N/A,N/A')}", "line 2: 'maybe' is neither true nor false"),
        (f"{HEAD}\n{row(first='true,soon,N/A,N/A,N/A')}", "access_key_1_last_rotated is 'soon', which is not a time"),
        (f"{HEAD}\n{row(first='true,N/A,N/A,N/A,N/A', since='N/A')}", "access_key_1 is active but has no date"),
        (f'{HEAD}\n"alice', "line 2: unexpected end of data"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, said: str) -> None:
    """No row is passed over in silence: the line and what is wrong with it are named."""
    with pytest.raises(Problem) as caught:
        list(entries(text, ACCOUNT))
    assert said in caught.value.message
