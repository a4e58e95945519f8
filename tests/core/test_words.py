"""Small words for values: what a person reads of times, counts and lists."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rotate_my_key.core.policy import Row, by_others, day, join, nearest, number, span, used, used_by

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
