from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotate_my_key.core.errors import WrongUsage
from rotate_my_key.core.model import (
    AccessKey,
    Credentials,
    Identity,
    LastUse,
    Look,
    Place,
    PlaceKind,
    is_exempt,
    made_by_it,
    second_in_use,
    wanted_by_it,
)
from rotate_my_key.core.policy import Policy, Verdict, format_duration, mask, parse_duration

MADE = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def day(count: float) -> timedelta:
    """So many days."""
    return timedelta(days=count)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        pytest.param("90d", day(90), id="days"),
        pytest.param("12h", day(0.5), id="hours"),
        pytest.param("30m", timedelta(minutes=30), id="minutes"),
        pytest.param("45s", timedelta(seconds=45), id="seconds"),
        pytest.param("2w", day(14), id="weeks"),
        pytest.param("0", day(0), id="0 needs no unit"),
        pytest.param("000", day(0), id="0 written longer"),
        pytest.param("0d", day(0), id="0 with a unit"),
        pytest.param("90 d", day(90), id="a space before the unit"),
        pytest.param("  90d ", day(90), id="spaces around"),
        pytest.param("90D", day(90), id="a capital unit"),
    ],
)
def test_a_duration_is_read(text: str, duration: timedelta) -> None:
    """A number with a unit is that long."""
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text", ["90", "", " ", "d", "-1d", "+1d", "1.5d", "1y", "1d12h", "90 days", "1d\nx", "1000000d", "ninety"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    """What is not a number with a unit is refused, with what to write."""
    with pytest.raises(WrongUsage) as caught:
        parse_duration(text)
    assert repr(text) in caught.value.message
    assert "90d" in caught.value.hint


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        pytest.param(day(0), "0", id="nothing"),
        pytest.param(day(90), "90d", id="whole days"),
        pytest.param(day(14), "14d", id="weeks are days"),
        pytest.param(timedelta(hours=36), "36h", id="whole hours"),
        pytest.param(timedelta(minutes=2), "2m", id="whole minutes"),
        pytest.param(timedelta(seconds=61), "61s", id="seconds"),
    ],
)
def test_a_duration_is_written_in_its_largest_unit(duration: timedelta, text: str) -> None:
    """The largest unit that divides it is used."""
    assert format_duration(duration) == text


@given(st.integers(0, 999_999).map(lambda seconds: timedelta(seconds=seconds)))
def test_what_is_written_is_read_back(duration: timedelta) -> None:
    """Writing and reading a duration gives the same duration."""
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("policy", "age", "verdict"),
    [
        pytest.param(Policy(), day(0), Verdict.FRESH, id="just made"),
        pytest.param(Policy(), day(75) - SECOND, Verdict.FRESH, id="a second before it is due"),
        pytest.param(Policy(), day(75), Verdict.DUE, id="due to the second"),
        pytest.param(Policy(), day(90) - SECOND, Verdict.DUE, id="a second before it is overdue"),
        pytest.param(Policy(), day(90), Verdict.OVERDUE, id="overdue to the second"),
        pytest.param(Policy(), day(4000), Verdict.OVERDUE, id="years old"),
        pytest.param(Policy(), -day(1), Verdict.FRESH, id="made tomorrow by a wrong clock"),
        pytest.param(Policy(day(10), day(15)), day(0), Verdict.DUE, id="remind_before above max_age: due at once"),
        pytest.param(Policy(day(10), day(10)), day(0), Verdict.DUE, id="remind_before equal to max_age: the same"),
        pytest.param(Policy(day(10), day(0)), day(9), Verdict.FRESH, id="no reminder: fresh to the end"),
        pytest.param(Policy(day(10), day(0)), day(10), Verdict.OVERDUE, id="no reminder: overdue, and never due"),
    ],
)
def test_the_verdict(policy: Policy, age: timedelta, verdict: Verdict) -> None:
    """Due from 75 days on and overdue from 90, if no policy says otherwise; the same instant in whatever zone."""
    key = AccessKey("AKIAEXAMPLE", "Active", MADE)
    for zone in (UTC, timezone(timedelta(hours=-9))):
        assert policy.verdict(key, (MADE + age).astimezone(zone)) is verdict


def test_when_a_key_is_due_and_overdue() -> None:
    """A policy can say the two dates."""
    assert Policy(day(10), day(4)).due_at(MADE) == MADE + day(6)
    assert Policy(day(10), day(40)).due_at(MADE) == MADE
    assert Policy(day(10), day(4)).overdue_at(MADE) == MADE + day(10)


@pytest.mark.parametrize(
    ("key_id", "shown"), [("AKIAIOSFODNN7EXAMPLE", "...MPLE"), ("abc", "...abc"), ("", "...")], ids=repr
)
def test_a_key_id_is_masked_on_screen(key_id: str, shown: str) -> None:
    """The last four characters are shown."""
    assert mask(key_id) == shown


def test_a_pair_never_shows_its_secret() -> None:
    """Neither secret nor token is in what Python prints of a pair."""
    shown = repr(Credentials("AKIAEXAMPLE", "the-secret", "the-token"))
    assert "AKIAEXAMPLE" in shown
    assert "the-secret" not in shown
    assert "the-token" not in shown


@pytest.mark.parametrize(
    ("status", "active"), [("Active", True), ("Inactive", False), ("Expired", False), ("active", False), ("", False)]
)
def test_only_active_is_active(status: str, active: bool) -> None:
    """Any other word of AWS's is not active."""
    assert AccessKey("AKIAEXAMPLE", status, MADE).active is active


@pytest.mark.parametrize(
    ("use", "evidence"),
    [
        pytest.param(LastUse(MADE, "s3", "eu-west-1"), True, id="another service"),
        pytest.param(LastUse(MADE, "iam", "us-east-1"), False, id="our own calls to IAM"),
        pytest.param(LastUse(MADE, "sts", "us-east-1"), False, id="our own calls to STS"),
        pytest.param(LastUse(None), False, id="never, or not known"),
    ],
)
def test_what_shows_that_somebody_needs_the_key(use: LastUse, evidence: bool) -> None:
    """Only a use that cannot have been ours is evidence."""
    assert use.is_evidence is evidence


@pytest.mark.parametrize(
    ("arn", "partition", "is_user", "is_root", "user"),
    [
        pytest.param("arn:aws:iam::123456789012:user/alice", "aws", True, False, "alice", id="a user"),
        pytest.param("arn:aws-cn:iam::123456789012:user/a/b/alice", "aws-cn", True, False, "alice", id="with a path"),
        pytest.param("arn:aws:iam::123456789012:root", "aws", False, True, "arn:aws:iam::123456789012:root", id="root"),
        pytest.param(
            "arn:aws-us-gov:sts::123456789012:assumed-role/Admin/alice", "aws-us-gov", False, False, "alice", id="role"
        ),
        pytest.param("arn:aws:iam::123456789012:user/root", "aws", True, False, "root", id="a user named root"),
    ],
)
def test_who_signed_in(arn: str, partition: str, is_user: bool, is_root: bool, user: str) -> None:
    """Partition, kind and user name come from the ARN."""
    who = Identity("123456789012", arn)
    assert (who.partition, who.is_user, who.is_root, who.user) == (partition, is_user, is_root, user)


def test_a_place_is_known_by_its_path_and_profile() -> None:
    """The kind tells how to write it, not which it is; places sort by path, then profile. A section that no SDK reads
    cannot be named: it is called by what stands in its brackets."""
    place = Place("/home/a/.aws/config", "work", PlaceKind.CONFIG)
    assert place == Place("/home/a/.aws/config", "work")
    assert hash(place) == hash(Place("/home/a/.aws/config", "work"))
    assert place != Place("/home/a/.aws/config", "play", PlaceKind.CONFIG)
    assert sorted([place, Place("/b", "a"), Place("/home/a/.aws/config", "play")])[1].profile == "play"
    assert [Place("/x", name).is_read for name in ("work", "[work]")] == [True, False]


@pytest.mark.parametrize(
    ("tags", "left_alone"),
    [
        ({"rotate-my-key": "exempt"}, True),
        ({"Rotate-My-Key": " Exempt "}, True),
        ({"rotate-my-key": "no"}, False),
        ({"exempt": "rotate-my-key"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_who_is_left_alone(tags: dict[str, str] | None, left_alone: bool) -> None:
    """The tag's key and value are read without regard to case, as IAM reads keys; unknown tags say nothing."""
    assert is_exempt(tags) is left_alone


NOTED = [
    ("nothing is noted", None, False, False),
    ("a notice was given", "1 ABCD2345:n2:f20261101:l20261104", False, True),
    ("IT made it", "1 EFGH6789:n1 ABCD2345:m20261101", True, False),
    ("another key is meant", "1 EFGH6789:n1:m20261101", False, False),
    ("another version wrote it", "2 ABCD2345:n1:m20261101", False, False),
    ("somebody else wrote it", "owned by ABCD2345:n1", False, False),
]


@pytest.mark.parametrize(("sentence", "value", "made", "wanted"), NOTED, ids=[case[0] for case in NOTED])
def test_what_it_has_noted_of_a_key(sentence: str, value: str | None, made: bool, wanted: bool) -> None:
    """By the tag of IT's side, whatever they call it; whoever is exempt is asked for nothing."""
    for name in ("Rotate-My-Key-Fleet", "a-tag-of-ours"):
        tags = {"team": "1 or 2", name: value} if value else None
        assert (made_by_it(tags, "AKIAIOSFABCD2345"), wanted_by_it(tags, "AKIAIOSFABCD2345")) == (made, wanted)
    assert not wanted_by_it({**(tags or {}), "rotate-my-key": "exempt"}, "AKIAIOSFABCD2345")


@pytest.mark.parametrize(("profile", "hint"), [("default", "rotate-my-key adopt"), ("a", "rotate-my-key adopt -p a")])
def test_a_key_that_it_made_waits_to_be_adopted(profile: str, hint: str) -> None:
    """It is no other computer's, and is not to be deleted."""
    own, other = AccessKey("AKIAOLDOLDOLDOLDOLD1", "Active", MADE), AccessKey("AKIAIOSFABCD2345", "Active", MADE)
    pair, who = Credentials(own.key_id, "x"), Identity("123456789012", "arn:aws:iam::123456789012:user/alice")
    tags = {"rotate-my-key-fleet": "1 ABCD2345:m20261101"}
    said, command = second_in_use(profile, own, other, None, Look(pair, who, (own, other), tags, None, MADE + day(3)))
    assert (said.split(",")[0], command) == ("a new key ...2345 from IT", hint)
