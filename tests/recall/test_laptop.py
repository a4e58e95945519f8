"""A recalled key on a laptop: whatever looks at AWS takes it for overdue at once, and says why, and by when."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from rotate_my_key.core.model import EXEMPT_KEY, RECALL_KEY, Credentials, Recall, read_recall, recalled
from tests.cli.conftest import Desk

DAILY = ("schedule", "run", "--daily", "rotate", "--all", "--yes", "--quiet", "--keep-old", "7d")
Make = Callable[[str, int], Credentials]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 12, 2, 5, 41, tzinfo=UTC)


@pytest.fixture
def fresh(empty: Desk, make_key: Make) -> Desk:
    """A desk with a key of ten days, which the daily run has seen."""
    empty.profiles(default=make_key("alice", 10))
    assert empty.run(*DAILY).code == 0
    return empty


def recall(desk: Desk, by: timedelta = 7 * DAY, reason: str = "laptop stolen", at: timedelta = timedelta()) -> None:
    """What `fleet recall` writes; `at` is how long ago."""
    now = datetime.now(UTC)
    desk.aws.set_tags("alice", {RECALL_KEY: Recall(now - at, now + by, reason).value})


def hours_later(desk: Desk, hours: int) -> None:
    """As if the last runs of the schedule had been so long before."""
    file = desk.state / "schedule.json"
    runs = json.loads(file.read_text())
    for each in filter(None, (runs["last"], runs["settled"])):
        each["at"] = (datetime.fromisoformat(each["at"]) - hours * HOUR).isoformat()
    file.write_text(json.dumps(runs))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (Recall(NOW, NOW + DAY, "a b").value, Recall(NOW, NOW + DAY, "a b")),
        (Recall(NOW, NOW + DAY, "").value, Recall(NOW, NOW + DAY, "")),
        (f"1 {NOW.isoformat()} {NOW.isoformat()} a\u2028b", Recall(NOW, NOW, "a b")),
        (f"1 {NOW.astimezone(timezone(14 * HOUR)).isoformat()} {NOW.isoformat()} x", Recall(NOW, NOW, "x")),
        (f"2 {NOW.isoformat()} {NOW.isoformat()} x", None),
        (f"1 {NOW.isoformat()}", None),
        ("1 2026-12-02T05:41:00 2026-12-02T05:41:00 x", None),
        ("1 yesterday today x", None),
        ("", None),
        ("1 0001-01-01T00:00:00+14:00 2026-12-05T00:00:00+00:00 x", None),
    ],
)
def test_the_tag_is_read_back(value: str, found: Recall | None) -> None:
    """What makes no sense, or is of a newer version, is no recall; a reason cannot break a line. Times are
    in UTC, so that every form shows the same day."""
    assert repr(read_recall({RECALL_KEY.upper(): value})) == repr(found)


def test_a_recall_of_a_time_to_come_is_none_yet() -> None:
    """A new key could not satisfy it."""
    tags = {RECALL_KEY: Recall(NOW + HOUR, NOW + DAY, "x").value}
    assert [bool(recalled(tags, NOW - DAY, NOW + hours * HOUR)) for hours in (0, 1, 2)] == [False, True, True]


def test_it_is_overdue_everywhere(fresh: Desk) -> None:
    """`status`, its check, the question, the reminder, `doctor` and JSON: with the reason and the day."""
    recall(fresh, by=HOUR)
    said = "IT has recalled it; replace it by t"  # today or tomorrow
    shown = fresh.run("status")
    assert "overdue" in shown.out and said in shown.out and ": laptop stolen" in shown.out
    assert "1 key is overdue: rotate-my-key rotate -p default" in shown.err
    assert fresh.run("status", "--check", "overdue").code == 3
    assert fresh.run("status", "--cached", "--check", "overdue").code == 3
    (row,) = fresh.run("status", "--json").json["keys"]
    assert (row["verdict"], row["recall"]["reason"]) == ("overdue", "laptop stolen")
    assert row["overdue"] == row["recall"]["at"]
    assert "IT has recalled the access key of default; replace it by " in fresh.run("reminder", "show").out
    assert said in fresh.run("doctor").out
    assert said in fresh.run("rotate", "--dry-run").text
    asked = fresh.terminal("rotate")
    asked.answer("Rotate it?", "n\r")
    assert said in asked.end().text


def test_a_new_key_satisfies_it(fresh: Desk) -> None:
    """`rotate` replaces the key, whatever its age; after that nothing is asked for."""
    before = fresh.held()
    recall(fresh)
    assert fresh.run("rotate", "--yes").code == 0
    assert fresh.held() != before
    assert fresh.run("status", "--check").code == 0
    assert "IT has recalled" not in fresh.run("status").text + fresh.run("reminder", "show").out
    calls = len(fresh.changes)
    assert fresh.run("rotate", "--yes").code == 0
    assert len(fresh.changes) == calls


def test_the_schedule_answers_within_its_hour(fresh: Desk) -> None:
    """One call an hour notices it; the rotation follows at once, and the old key works no longer than IT lets it."""
    before = fresh.held()
    hours_later(fresh, 2)
    recall(fresh, by=2 * HOUR)
    assert fresh.run(*DAILY).code == 0
    assert fresh.held() != before
    (row,) = [row for row in fresh.run("status", "--json").json["keys"] if row["key_id"] == before]
    assert datetime.fromisoformat(row["works_until"]) < datetime.now(UTC) + 2 * HOUR
    calls = len(fresh.aws.calls)
    assert fresh.run(*DAILY).code == 0
    assert [call.action for call in fresh.aws.calls[calls:]] == ["GetUser"]


def test_what_fails_is_not_tried_every_hour(fresh: Desk) -> None:
    """A refusal waits for the next day, with one call an hour; the reminder tells the person meanwhile."""
    fresh.aws.deny("CreateAccessKey")
    hours_later(fresh, 2)
    recall(fresh, at=HOUR)
    assert fresh.run(*DAILY).code == 5
    calls = len(fresh.aws.calls)
    assert fresh.run(*DAILY).code == 0
    assert [call.action for call in fresh.aws.calls[calls:]] == ["GetUser"]
    assert "IT has recalled" in fresh.run("reminder", "show").out
    hours_later(fresh, 20)
    assert fresh.run(*DAILY).code == 5


@pytest.mark.parametrize("kind", ["throttle", "drop", "deny"])
def test_a_look_that_fails_is_sent_once(fresh: Desk, kind: Any) -> None:
    """Throttled, offline or denied: one call, silence, and the daily run is not affected."""
    recall(fresh)
    hours_later(fresh, 2)
    if kind == "deny":
        fresh.aws.deny("GetUser")
    else:
        fresh.aws.fault("GetUser", kind, times=1)
    calls = len(fresh.aws.calls)
    done = fresh.run(*DAILY)
    assert (done.code, done.text, len(fresh.aws.calls) - calls) == (0, "", 1)


def test_many_keys_take_turns(empty: Desk, make_key: Make) -> None:
    """At most two calls an hour, whatever the number of keys: those first that were not looked at for longest."""
    empty.profiles(**{name: make_key(name, 10) for name in ("alice", "bob", "carol", "dave")})
    assert empty.run(*DAILY).code == 0
    users = []
    for _ in range(2):
        time.sleep(1.1)  # what was seen when is kept in whole seconds, and so are keys
        calls = len(empty.aws.calls)
        assert empty.run(*DAILY).code == 0
        looks = empty.aws.calls[calls:]
        assert [call.action for call in looks] == ["GetUser", "GetUser"]
        users += [call.key_id for call in looks]
    assert len(set(users)) == 4


@pytest.mark.parametrize("why", ["exempt", "undone", "excluded", "older than the key"])
def test_who_is_not_meant(fresh: Desk, why: str) -> None:
    """An exempt user, one whose recall was taken back, an excluded profile, a key made since: nothing is rotated."""
    hours_later(fresh, 2)
    recall(fresh, at=11 * DAY if why == "older than the key" else timedelta())
    if why == "exempt":
        fresh.aws.set_tags("alice", {EXEMPT_KEY: "exempt", **fresh.aws.tags("alice")})
    elif why == "undone":
        fresh.run("status")
        fresh.aws.set_tags("alice", {RECALL_KEY: "undone"})
    elif why == "excluded":
        fresh.settings("exclude = default\n")
    assert fresh.run(*DAILY).code == 0
    assert fresh.changes == []
    assert "IT has recalled" not in fresh.run("reminder", "show").out


def test_an_old_key_that_is_kept_gives_way(fresh: Desk) -> None:
    """A recall soon after a rotation: the old key that was kept, inactive, goes for it; one that still works is waited
    for, until the day that IT set."""
    first = fresh.held()
    assert fresh.run("rotate", "--force", "--yes", "--keep-old", "7d").code == 0
    second = fresh.held()
    hours_later(fresh, 2)
    time.sleep(1.1)
    recall(fresh)
    assert fresh.run(*DAILY).code == 0
    assert fresh.held() not in (first, second)
    assert first not in fresh.ids() and fresh.ids()[second] == "Active"
    time.sleep(1.1)
    recall(fresh)  # once more: the one before works for a day
    hours_later(fresh, 2)
    third = fresh.held()
    assert fresh.run(*DAILY).code == 75
    assert (fresh.held(), fresh.ids()[second]) == (third, "Active")
    recall(fresh, by=-HOUR)
    assert fresh.run(*DAILY).code == 0
    assert fresh.held() != third and second not in fresh.ids()


@pytest.mark.parametrize("code", [5, pytest.param(75, marks=pytest.mark.slow)])
def test_an_unfinished_rotation_is_finished_first(fresh: Desk, code: int) -> None:
    """Its new key was made before the recall, too, so it is replaced in the same run, whether AWS had said no or had
    not answered."""
    for action in ("UpdateAccessKey", "DeleteAccessKey"):
        fresh.aws.deny(action) if code == 5 else fresh.aws.fault(action, "drop", times=None)
    assert fresh.run("rotate", "--force", "--yes").code == code
    made = fresh.held()
    fresh.aws.all_well()
    time.sleep(1.1)
    hours_later(fresh, 2)
    recall(fresh)
    assert fresh.run(*DAILY).code == 0
    assert fresh.held() != made
    assert fresh.run("status", "--check").code == 0
