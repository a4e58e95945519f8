"""IAM as the tests' AWS has it: keys and their lags, users and groups in pages, tags, the credential report."""

import csv
import io
import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.core.model import Credentials, LastUse
from tests.standin import StandIn
from tests.standin.conftest import Client, Refusal


def test_uses_are_recorded_and_shown_late(aws: StandIn, client: Client) -> None:
    """What was set shows at once, our own calls a quarter of an hour later, or at once if told so."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    pair = aws.add_key("alice", use=LastUse(at, "s3", "eu-west-1"))

    def last_used() -> dict[str, object]:
        answer = client("iam", pair).get_access_key_last_used(AccessKeyId=pair.key_id)
        use: dict[str, object] = answer["AccessKeyLastUsed"]
        return use

    assert last_used() == {"LastUsedDate": at, "ServiceName": "s3", "Region": "eu-west-1"}
    client("sns", pair, region="eu-central-1").list_topics()
    assert last_used()["ServiceName"] == "s3"
    aws.settings.last_use = 0
    assert (last_used()["ServiceName"], last_used()["Region"]) == ("iam", "us-east-1")
    aws.set_last_use(pair.key_id, LastUse(at, "ec2", "eu-west-1"))
    aws.settings.last_use = 900
    assert last_used()["ServiceName"] == "ec2"


def test_keys_of_a_deleted_user_are_refused(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """A user who is gone signs in no more; what moto refuses is recorded by its code."""
    aws.add_user("bob")
    pair = aws.add_key("bob")
    iam = client("iam", aws.add_key("alice"))
    iam.delete_user(UserName="bob")
    assert refusal(client("sts", pair).get_caller_identity)[0] == "InvalidClientTokenId"
    assert refusal(iam.delete_user, UserName="bob")[:2] == ("NoSuchEntity", 404)
    assert aws.calls[-1].outcome == "NoSuchEntity"


FOREVER = math.inf


def test_a_new_key_is_refused_for_a_while(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Each host by its own time; the keys that were there before work all the while."""
    old = aws.add_key("alice")
    aws.settings.propagation = {"sts": 0, "iam": FOREVER}
    new = aws.create_key("alice")
    client("sts", new).get_caller_identity()
    assert refusal(client("iam", new).get_user)[:2] == ("InvalidClientTokenId", 403)
    client("iam", old).get_user()
    aws.settings.propagation = 0
    client("iam", new).get_user()


def test_a_new_key_flaps(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Yes and no by the pattern, counted for each service, then yes for good."""
    aws.settings.flapping = {"sts": "ynny", "iam": "n"}
    pair = aws.create_key("alice")
    sts = client("sts", pair)
    assert refusal(client("iam", pair).get_user)[0] == "InvalidClientTokenId"
    sts.get_caller_identity()
    refusal(sts.get_caller_identity)
    refusal(sts.get_caller_identity)
    for _ in range(3):
        sts.get_caller_identity()
    client("iam", pair).get_user()


def test_a_reactivated_key_propagates_too(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Switched on again is as good as new."""
    pair = aws.add_key("alice", status="Inactive")
    aws.settings.propagation = FOREVER
    aws.set_status(pair.key_id, "Active")
    assert refusal(client("sts", pair).get_caller_identity)[0] == "InvalidClientTokenId"


def test_a_dead_key_works_for_a_while(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Switched off or deleted, it signs in as before until the lag is over; moto's answers included."""
    off, gone = aws.add_key("alice"), aws.add_key("alice")
    aws.settings.revocation = FOREVER
    aws.set_status(off.key_id, "Inactive")
    aws.delete_key(gone.key_id)
    for pair in (off, gone):
        assert client("sts", pair).get_caller_identity()["Arn"].endswith(":user/alice")
        assert client("iam", pair).get_user()["User"]["UserName"] == "alice"
        client("iam", pair).list_users()
    aws.settings.revocation = 0
    for pair in (off, gone):
        assert refusal(client("sts", pair).get_caller_identity)[0] == "InvalidClientTokenId"


def test_a_list_lags_behind_every_change(aws: StandIn, client: Client) -> None:
    """New keys are missing, deleted ones shown, a status is the old one; the changes themselves are true at once."""
    signer = aws.add_key("alice")
    aws.add_user("bob")
    first, second = aws.add_key("bob"), aws.add_key("bob")
    iam = client("iam", signer)
    aws.settings.listing = FOREVER
    iam.update_access_key(UserName="bob", AccessKeyId=first.key_id, Status="Inactive")
    iam.delete_access_key(UserName="bob", AccessKeyId=second.key_id)
    made = iam.create_access_key(UserName="bob")["AccessKey"]

    def listed() -> list[tuple[str, str]]:
        keys = iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]
        return [(key["AccessKeyId"], key["Status"]) for key in keys]

    assert listed() == [(first.key_id, "Active"), (second.key_id, "Active")]
    client("sts", Credentials(made["AccessKeyId"], made["SecretAccessKey"])).get_caller_identity()
    assert [key.status for key in aws.keys("bob")] == ["Inactive", "Active"]
    aws.settings.listing = 0
    assert listed() == [(first.key_id, "Inactive"), (made["AccessKeyId"], "Active")]


def test_a_deleted_key_that_is_still_listed_cannot_be_deleted_again(
    aws: StandIn, client: Client, refusal: Refusal
) -> None:
    """NoSuchEntity, whatever the list shows; and its place is free."""
    iam = client("iam", aws.add_key("alice"))
    second = aws.add_key("alice")
    aws.settings.listing = FOREVER
    iam.delete_access_key(UserName="alice", AccessKeyId=second.key_id)
    assert len(iam.list_access_keys()["AccessKeyMetadata"]) == 2
    again = refusal(iam.delete_access_key, UserName="alice", AccessKeyId=second.key_id)
    assert again[:2] == ("NoSuchEntity", 404)
    iam.create_access_key(UserName="alice")


def test_every_call_takes_its_time(aws: StandIn, client: Client) -> None:
    """Latency is waited before each call."""
    sts = client("sts", aws.add_key("alice"))
    sts.get_caller_identity()
    aws.settings.latency = 0.1
    start = time.monotonic()
    sts.get_caller_identity()
    assert time.monotonic() - start >= 0.1


@pytest.fixture
def iam(aws: StandIn, client: Client) -> Any:
    """A client that signs as alice."""
    return client("iam", aws.add_key("alice"))


def test_users_come_by_the_hundred(aws: StandIn, iam: Any) -> None:
    """Or by what is asked for, up to a thousand; each once."""
    for number in range(249):
        aws.add_user(f"user-{number}", path="/people/" if number % 2 else "/bots/")
    pages = [page["Users"] for page in iam.get_paginator("list_users").paginate()]
    assert [len(page) for page in pages] == [100, 100, 50]
    assert len({user["UserName"] for page in pages for user in page}) == 250
    assert len(iam.list_users(MaxItems=1000)["Users"]) == 250
    assert {user["Path"] for user in iam.list_users(PathPrefix="/bots/", MaxItems=200)["Users"]} == {"/bots/"}


def test_a_list_may_change_between_two_pages(aws: StandIn, iam: Any) -> None:
    """A marker stands behind a name: who goes or comes before it moves nobody."""
    for name in ("b", "c", "d", "e"):
        aws.add_user(name)
    aws.settings.page_size = 2
    first = iam.list_users()
    aws.delete_user("b")
    aws.add_user("aaron")
    second = iam.list_users(Marker=first["Marker"])
    assert [user["UserName"] for user in second["Users"]] == ["c", "d"]


def test_a_marker_that_is_none(iam: Any, refusal: Refusal) -> None:
    """It is refused, not taken for the beginning."""
    for marker in ("1", "5", "bm9uZQ==", "ü"):
        assert refusal(iam.list_users, Marker=marker)[:2] == ("InvalidInput", 400)


def test_the_last_sign_in_is_listed(aws: StandIn, iam: Any) -> None:
    """Only for who has a password and used it."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    aws.add_user("bob", password=True, signed_in=at)
    aws.add_user("carol", password=True)
    users = {user["UserName"]: user.get("PasswordLastUsed") for user in iam.list_users()["Users"]}
    assert users == {"alice": None, "bob": at, "carol": None}


# Tags


def tag(key: str, value: str = "x") -> list[dict[str, str]]:
    """One tag, as the call wants it."""
    return [{"Key": key, "Value": value}]


def test_the_keys_of_tags_know_no_case(aws: StandIn, iam: Any, refusal: Refusal) -> None:
    """The new spelling replaces the old; twice in one call is an error."""
    iam.tag_user(UserName="alice", Tags=tag("Owner", "a"))
    iam.tag_user(UserName="alice", Tags=tag("owner", "b"))
    assert aws.tags("alice") == {"owner": "b"}
    assert refusal(iam.tag_user, UserName="alice", Tags=[*tag("a"), *tag("A")])[0] == "InvalidInput"
    iam.untag_user(UserName="alice", TagKeys=["OWNER"])
    assert aws.tags("alice") == {}


def test_fifty_tags_and_no_more(aws: StandIn, iam: Any, refusal: Refusal) -> None:
    """The 51st is refused with 409; those that are there can still be changed."""
    aws.set_tags("alice", {f"tag-{number}": "x" for number in range(50)})
    assert refusal(iam.tag_user, UserName="alice", Tags=tag("one-more"))[:2] == ("LimitExceeded", 409)
    iam.tag_user(UserName="alice", Tags=tag("tag-7", "y"))
    assert (len(aws.tags("alice")), aws.tags("alice")["tag-7"]) == (50, "y")


@pytest.mark.parametrize(
    "value", ["x" * 257, "a;b", "a,b", "a{b}", "a|b", '"a"', "a\x00b", "a\tb", "a\nb", "a*b", "a#b", "(a)"], ids=repr
)
def test_what_a_value_may_not_be(iam: Any, refusal: Refusal, value: str) -> None:
    """Too long, or with a character that IAM does not take."""
    assert refusal(iam.tag_user, UserName="alice", Tags=tag("a", value))[:2] == ("ValidationError", 400)


NOW = datetime.now(UTC).replace(microsecond=0)
HEADER = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,"
    "access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
    "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,"
    "cert_2_last_rotated"
)


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


def test_passwords_devices_and_odd_paths(aws: StandIn, iam: Any) -> None:
    """None, never used, used; and MFA. The file stays CSV: paths may hold a comma."""
    aws.add_user("bot", "/x,y/")
    aws.add_user("bob", password=True)
    aws.add_user("carol", password=True, signed_in=NOW - timedelta(days=7))
    aws.add_mfa("carol")
    names = ("password_enabled", "password_last_used", "mfa_active")
    shown = {user: [row[name] for name in names] for user, row in made(iam).items()}
    assert shown["bot"] == ["false", "N/A", "false"]
    assert shown["bob"] == ["true", "no_information", "false"]
    assert shown["carol"] == ["true", iso(NOW - timedelta(days=7)), "true"]
    assert made(iam)["bot"]["arn"].endswith(":user/x,y/bot")
