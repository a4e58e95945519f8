"""The rows of `status`: what a verdict is, and what --check says of them."""

from datetime import UTC, datetime, timedelta

import pytest

from rotate_my_key.core.policy import STATIC, Policy, Row, check, judge

NOW = datetime(2026, 6, 1, tzinfo=UTC)


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
