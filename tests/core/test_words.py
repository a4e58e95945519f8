"""Small words for values: what a person reads of times, counts and lists; and the rows of `status`: what a verdict is,
and what --check says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rotate_my_key.core.policy import (
    STATIC,
    Policy,
    Row,
    by_others,
    check,
    day,
    join,
    judge,
    nearest,
    number,
    span,
    used,
    used_by,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text", "at_least"),
    [
        (0, "just now", "just now"),
        (59, "just now", "just now"),
        (60, "1 minute", "1+ minute"),
        (7199, "1 hour", "1+ hour"),
        (86400 * 98 + 5, "98 days", "98+ days"),
        (86400 * 4314, "4,314 days", "4,314+ days"),
    ],
)
def test_spans(seconds: int, text: str, at_least: str) -> None:
    """Rounded down to the largest unit."""
    duration = timedelta(seconds=seconds)
    assert (span(duration), span(duration, at_least=True)) == (text, at_least)


def test_lists_and_numbers() -> None:
    """As one writes them."""
    assert [join(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert [number(count, "key") for count in (0, 1, 1234)] == ["0 keys", "1 key", "1,234 keys"]
    assert number(2, "entry", "entries") == "2 entries"


def test_days() -> None:
    """The year is said if it is another one, or if nothing is there to compare."""
    assert day(NOW, NOW) == day(NOW).removesuffix(" 2026")
    assert day(NOW, NOW - timedelta(days=366)).endswith(" 2026")


@pytest.mark.parametrize(
    ("service", "region", "where"),
    [("s3", "eu-west-1", " by s3 in eu-west-1"), ("s3", "N/A", " by s3"), ("N/A", "", "")],
)
def test_last_uses(service: str, region: str, where: str) -> None:
    """With what is known of where; no date means never, or not known."""
    assert used(NOW - timedelta(hours=3), service, region, NOW) == f"last used 3 hours ago{where}"
    assert used(None, service, region, NOW) == "never used"


def use(hours: int, service: str) -> Row:
    """A last use as rows have it."""
    return {"at": (NOW - timedelta(hours=hours)).isoformat(), "service": service, "region": "eu-west-1"}


S3, STS, ROLE = use(5, "s3"), use(3, "sts"), use(1, "sts")
LOOKED: Row = {"seen_at": STS["at"]}


@pytest.mark.parametrize(
    ("now", "before", "text"),
    [
        pytest.param(S3, {}, "5 hours ago by s3 in eu-west-1", id="somebody else"),
        pytest.param(STS, {}, "3 hours ago by sts in eu-west-1", id="not by us: we never called"),
        pytest.param(STS, LOOKED, "3 hours ago by rotate-my-key", id="our own look"),
        pytest.param(ROLE, LOOKED, "1 hour ago by sts in eu-west-1", id="after our last call"),
        pytest.param(
            STS,
            {**LOOKED, "last_use": S3},
            "5 hours ago by s3 in eu-west-1; since then only by rotate-my-key",
            id="remembered by an older version",
        ),
        pytest.param(
            STS,
            {**LOOKED, "last_use": STS, "used_by_others": S3},
            "5 hours ago by s3 in eu-west-1; since then only by rotate-my-key",
            id="covered by our own call for long",
        ),
        pytest.param(None, {**LOOKED, "used_by_others": S3}, "5 hours ago by s3 in eu-west-1", id="no answer now"),
    ],
)
def test_our_own_calls_are_told_apart(now: Row | None, before: Row, text: str) -> None:
    """AWS tells the last use only, and every call of ours is one; what was seen of others before is not forgotten."""
    assert used_by(now, by_others(now, before), NOW) == f"last used {text}"


def test_nearest() -> None:
    """One of the names that are known, or nothing."""
    assert nearest("max_agee", ["keep_old", "max_age"]) == "max_age"
    assert (nearest("x", ["keep_old"]), nearest("max_age", [])) == ("", "")


def row(days: float | None = None, **facts: object) -> Row:
    """A key of that age, looked at just now."""
    created = None if days is None else (NOW - timedelta(days=days)).isoformat()
    return {"kind": STATIC, "profiles": ["a"], "created": created, "seen_at": NOW.isoformat(), **facts}


VERDICTS = [
    pytest.param(row(74.9), "fresh", id="a day before it is due"),
    pytest.param(row(75), "due", id="due to the second"),
    pytest.param(row(90), "overdue", id="overdue to the second"),
    pytest.param(row(1, unfinished="x"), "unfinished", id="a rotation is under way"),
    pytest.param(row(1, refused="x"), "refused", id="AWS says no"),
    pytest.param(row(1, unknown="x"), "unknown", id="not reachable"),
    pytest.param(row(), "unknown", id="never looked up"),
    pytest.param(row(99, exempt=True), "exempt", id="tagged exempt"),
    pytest.param(row(1, wanted=True), "due", id="IT asks for it"),
    pytest.param(row(95, wanted=True), "overdue", id="IT asks for it, and it is overdue anyway"),
    pytest.param(row(switched_off_until="2026-07-01"), "switched off", id="kept"),
    pytest.param(row(kind="sso"), "not rotatable", id="another sign-in"),
    pytest.param(row() | {"created": "soon"}, "unknown", id="a time that is none"),
    pytest.param(row() | {"created": "2026-01-01T00:00:00"}, "unknown", id="a time without a zone"),
    pytest.param(row() | {"created": 5}, "unknown", id="no text at all"),
]


@pytest.mark.parametrize(("facts", "verdict"), VERDICTS)
def test_the_verdict_of_a_row(facts: Row, verdict: str) -> None:
    """The first of these that applies."""
    assert judge(facts, Policy(), NOW)["verdict"] == verdict


CHECKS = [
    pytest.param([row(1)], "due", 0, id="fresh"),
    pytest.param([row(80)], "due", 3, id="due"),
    pytest.param([row(1, wanted=True)], "due", 3, id="due by IT's limits"),
    pytest.param([row(80)], "overdue", 0, id="due, and overdue is asked"),
    pytest.param([row(95)], "overdue", 3, id="overdue"),
    pytest.param([row(1), row()], "due", 75, id="one of unknown age"),
    pytest.param([row(95), row()], "due", 3, id="one due, one of unknown age"),
    pytest.param([row(1, refused="x")], "due", 75, id="refused"),
    pytest.param([row(95, exempt=True)], "due", 0, id="exempt"),
    pytest.param([row(95, unfinished="x")], "due", 3, id="unfinished and overdue"),
    pytest.param([row(1) | {"seen_at": (NOW - timedelta(days=8)).isoformat()}], "due", 75, id="seen too long ago"),
    pytest.param([row(1) | {"seen_at": None}], "due", 75, id="never seen"),
    pytest.param([], "due", 0, id="no key"),
]


@pytest.mark.parametrize(("facts", "least", "code"), CHECKS)
def test_check(facts: list[Row], least: str, code: int) -> None:
    """3 if any is due, 75 if that cannot be known, never 0 then."""
    judged = [judge(each, Policy(), NOW) for each in facts]
    assert check(judged, least, Policy(), NOW, timedelta(days=7).total_seconds()) == code
