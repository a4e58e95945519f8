"""The credential report: asked for, waited for, read, and grown old."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.core.model import LastUse
from tests.standin import StandIn

Client = Callable[..., Any]
Refusal = Callable[..., tuple[str, int, str]]
NOW = datetime.now(UTC).replace(microsecond=0)
HEADER = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,"
    "access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
    "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,"
    "cert_2_last_rotated"
)


@pytest.fixture
def iam(aws: StandIn, client: Client) -> Any:
    """A client that signs as alice."""
    return client("iam", aws.add_key("alice"))


def made(iam: Any) -> dict[str, dict[str, str]]:
    """The rows of a report by user, after asking for one."""
    while iam.generate_credential_report()["State"] != "COMPLETE":
        pass
    return rows(iam.get_credential_report())


def rows(answer: Any) -> dict[str, dict[str, str]]:
    """The rows by user."""
    text = answer["Content"].decode()
    assert text.startswith(HEADER + "\n<root_account>,arn:aws:iam::")
    return {row["user"]: row for row in csv.DictReader(io.StringIO(text))}


def iso(at: datetime) -> str:
    """As the report writes it."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def test_it_is_asked_for_waited_for_and_read(aws: StandIn, iam: Any, refusal: Refusal) -> None:
    """STARTED, then INPROGRESS for as many calls as the settings say, then COMPLETE; the same again for four hours."""
    aws.settings.report_polls = 2
    assert refusal(iam.get_credential_report)[:2] == ("ReportNotPresent", 410)
    first = iam.generate_credential_report()
    assert first["State"] == "STARTED"
    assert first["Description"].startswith("No report exists")
    assert iam.generate_credential_report()["State"] == "INPROGRESS"
    assert refusal(iam.get_credential_report)[:2] == ("ReportInProgress", 404)
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    answer = iam.get_credential_report()
    assert answer["ReportFormat"] == "text/csv"
    assert abs(answer["GeneratedTime"] - datetime.now(UTC)) < timedelta(seconds=5)
    aws.add_user("late")
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    assert "late" not in rows(iam.get_credential_report())


def test_it_may_take_time(aws: StandIn, iam: Any) -> None:
    """`report_delay` is in seconds."""
    aws.settings.report_delay = 3600
    assert [iam.generate_credential_report()["State"] for _ in range(3)] == ["STARTED", "INPROGRESS", "INPROGRESS"]


def test_it_tells_what_was_true_when_it_was_asked_for(aws: StandIn, iam: Any) -> None:
    """What happens afterwards is not in it."""
    aws.add_user("bob")
    iam.generate_credential_report()
    aws.delete_user("bob")
    iam.generate_credential_report()
    assert "bob" in rows(iam.get_credential_report())


def test_it_expires_after_four_hours(aws: StandIn, iam: Any, refusal: Refusal) -> None:
    """Until then it keeps its time and content; then it must be asked for anew."""
    made(iam)
    aws.add_user("late")
    aws.age_report(timedelta(hours=3, minutes=55))
    age = datetime.now(UTC) - iam.get_credential_report()["GeneratedTime"]
    assert timedelta(hours=3, minutes=54) < age < timedelta(hours=4)
    assert "late" not in made(iam)
    aws.age_report(timedelta(minutes=6))
    assert refusal(iam.get_credential_report)[:2] == ("ReportExpired", 410)
    assert iam.generate_credential_report()["State"] == "STARTED"
    assert "late" in made(iam)


def test_a_user_with_keys(aws: StandIn, iam: Any) -> None:
    """Both slots agree with ListAccessKeys and GetAccessKeyLastUsed, in the order of ids, not of ages."""
    aws.add_user("bob", "/people/", age=timedelta(days=300))
    use = LastUse(NOW - timedelta(days=3), "s3", "eu-west-1")
    old = aws.add_key("bob", timedelta(days=200), use=use)
    new = aws.add_key("bob", timedelta(days=10), status="Inactive")
    row = made(iam)["bob"]
    first = 1 if old.key_id < new.key_id else 2
    slots = {
        name: [row[f"access_key_{slot}_{name}"] for slot in (first, 3 - first)] for name in ("active", "last_rotated")
    }
    assert slots["active"] == ["true", "false"]
    assert slots["last_rotated"] == [iso(key.created) for key in aws.keys("bob")]
    used = [row[f"access_key_{first}_last_used_{name}"] for name in ("date", "region", "service")]
    assert used == [iso(NOW - timedelta(days=3)), "eu-west-1", "s3"]
    assert row[f"access_key_{3 - first}_last_used_date"] == "N/A"
    assert row["arn"] == f"arn:aws:iam::{aws.account}:user/people/bob"
    assert row["user_creation_time"] == iso(iam.get_user(UserName="bob")["User"]["CreateDate"])


def test_neither_slot_is_always_the_older(aws: StandIn, iam: Any) -> None:
    """Over many users both happen."""
    for number in range(40):
        aws.add_user(f"u{number}")
        aws.add_key(f"u{number}", timedelta(days=200))
        aws.add_key(f"u{number}", timedelta(days=10))
    older = [
        row["access_key_1_last_rotated"] < row["access_key_2_last_rotated"] for row in list(made(iam).values())[2:]
    ]
    assert len(older) == 40
    assert {True, False} == set(older)


def test_a_key_that_was_switched_off_was_changed_then(aws: StandIn, iam: Any) -> None:
    """`last_rotated` is no age: it moves when the status does."""
    aws.add_user("bob")
    pair = aws.add_key("bob", timedelta(days=200))
    aws.set_status(pair.key_id, "Inactive")
    row = made(iam)["bob"]
    assert row["access_key_1_active"] == "false"
    assert row["access_key_1_last_rotated"] >= iso(NOW)


def test_inactive_keys_may_be_hidden(aws: StandIn, iam: Any) -> None:
    """As the user guide says that they are."""
    aws.settings.report_hides_inactive = True
    aws.add_user("bob")
    aws.add_key("bob", timedelta(days=200), status="Inactive")
    assert made(iam)["bob"]["access_key_1_last_rotated"] == "N/A"


def test_the_last_quarter_of_an_hour_is_not_in_it(aws: StandIn, iam: Any) -> None:
    """As in GetAccessKeyLastUsed: alice has just signed."""
    assert made(iam)["alice"]["access_key_1_last_used_date"] == "N/A"


def test_passwords(aws: StandIn, iam: Any) -> None:
    """None, never used, used; and MFA."""
    aws.add_user("bot")
    aws.add_user("bob", password=True)
    aws.add_user("carol", password=True, signed_in=NOW - timedelta(days=7))
    aws.add_mfa("carol")
    names = ("password_enabled", "password_last_used", "mfa_active")
    shown = {user: [row[name] for name in names] for user, row in made(iam).items()}
    assert shown["bot"] == ["false", "N/A", "false"]
    assert shown["bob"] == ["true", "no_information", "false"]
    assert shown["carol"] == ["true", iso(NOW - timedelta(days=7)), "true"]


def test_root(aws: StandIn, iam: Any) -> None:
    """First, with keys, and without what AWS does not tell of a root password."""
    plain = made(iam)["<root_account>"]
    assert (plain["access_key_1_active"], plain["access_key_1_last_rotated"]) == ("false", "N/A")
    assert (plain["password_enabled"], plain["password_last_used"]) == ("not_supported", "no_information")
    aws.age_report(timedelta(hours=5))
    aws.add_key(None, timedelta(days=900))
    aws.add_mfa(None)
    aws.set_root_sign_in(NOW - timedelta(days=1))
    row = made(iam)["<root_account>"]
    assert (row["access_key_1_active"], row["mfa_active"]) == ("true", "true")
    assert row["access_key_1_last_rotated"] == iso(aws.keys(None)[0].created)
    assert row["password_last_used"] == iso(NOW - timedelta(days=1))
    assert row["password_last_changed"] == "not_supported"


def test_a_comma_in_a_path_is_quoted(aws: StandIn, iam: Any) -> None:
    """The file stays CSV: names and paths may hold `,`, `=`, `+` and `@`."""
    aws.add_user("a,b=c+d@e", "/x,y/")
    assert made(iam)["a,b=c+d@e"]["arn"].endswith(":user/x,y/a,b=c+d@e")


def test_a_report_cannot_be_aged_before_there_is_one(aws: StandIn) -> None:
    """A test that forgets to ask for it is told."""
    with pytest.raises(ValueError, match="no report"):
        aws.age_report(timedelta(hours=1))


def test_each_account_has_its_own(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """What one asked for, another has not."""
    shop = aws.add_account("shop")
    shop.add_user("bob")
    made(client("iam", aws.add_key("alice")))
    iam = client("iam", shop.add_key("bob"))
    assert refusal(iam.get_credential_report)[0] == "ReportNotPresent"
    assert set(made(iam)) == {"<root_account>", "bob"}
