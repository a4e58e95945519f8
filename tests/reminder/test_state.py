"""When something is said, and the file that tells it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotate_my_key.core.policy import Policy
from rotate_my_key.reminder import state
from rotate_my_key.reminder.folder import derive
from rotate_my_key.reminder.state import DAY, FAILED, KEPT, KEY, UNFINISHED, Item, State, line

from .conftest import Home, key, wait_for

NOW = int(time.time())
POLICY = Policy()
ROOT = Path(__file__).resolve().parents[2]


def _fields(item: Item) -> tuple[object, ...]:
    return tuple(getattr(item, name) for name in sorted(Item.__slots__))


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
numbers = st.integers(0, 99_999_999_999)
items = st.builds(
    Item, st.sampled_from([KEY, UNFINISHED, KEPT, FAILED]), names, st.lists(names, max_size=3).map(tuple),
    numbers, numbers, numbers, numbers,
)  # fmt: skip


@given(st.lists(items, max_size=5), numbers)
def test_what_is_written_is_read(found: list[Item], limit: int) -> None:
    """Any names and ids; every line but the first is of harmless letters, whatever they are, and what is said of them
    is one printable line."""
    data = state.encode(State(found, limit), {})
    back = state.decode(data)
    assert back is not None
    assert [_fields(item) for item in back.items] == [_fields(item) for item in found]
    assert set(data) <= set(b"abcdefghijklmnopqrstuvwxyz0123456789 ,-\n")
    first = data.split(b"\n")[0].decode()
    assert first == (str(min(item.at for item in found)) if found else "-")
    assert line(found, limit, NOW, "default").isprintable()


@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    """Nonsense is no state, or one without nonsense in it."""
    head = b"1\nrotate-my-key-reminder 1\nlimit 1\nsnoozed 0\n"
    for each in (data, head + data, head + data + b"\n"):
        found = state.decode(each)
        assert found is None or line(found.items, 1, NOW, "x").isprintable()


@pytest.mark.parametrize(
    ("said", "again"),
    [("2026-03-03 09:00", "2026-03-04 00:00"), ("2026-03-03 23:30", "2026-03-04 07:30"),
     ("2026-03-03 00:10", "2026-03-04 00:00")],
)  # fmt: skip
def test_once_a_day(said: str, again: str) -> None:
    """On the next calendar day, and not twice in one night."""
    moment, expected = (int(datetime.fromisoformat(text).timestamp()) for text in (said, again))
    item = Item(KEY, "A", (), moment - DAY)
    assert state.following(item, {item.label: moment}) == expected


def test_a_kept_key_is_said_once_and_when_its_time_is_over() -> None:
    """Not on each day of a week."""
    item = Item(KEPT, "A", (), 0, NOW + 7 * DAY)
    assert state.following(item, {}) == 0
    assert state.following(item, {item.label: NOW}) == NOW + 7 * DAY


def test_an_old_key_whose_time_is_over_goes_without_a_word(home: Home) -> None:
    """Its end is started, once a day, in a child; a reminder that was put off does not put that off."""
    before = NOW - DAY
    home.write(Item(KEPT, "A", (), 0, before), key(), snoozed=NOW + 9 * DAY)
    assert int((home.state / "state").read_text().split()[0]) == before
    ran = home.state / "ran"
    code = (
        f"import sys; sys.path.append({str(ROOT)!r}); from rotate_my_key.reminder.login import main; "
        f"main({str(home.state)!r}, lambda words: open({str(ran)!r}, 'a').write(' '.join(words) + ';'))"
    )
    for _ in range(2):
        done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("", "")
        assert wait_for(ran) == "-q reminder finish;"


def test_a_clock_that_was_wrong() -> None:
    """What was said in the future does not count."""
    assert state.decode_said(f"key 41 {NOW + 10 * DAY}\nkey 42 {NOW}\n".encode(), NOW) == {"key 42": NOW}


def _row(days: float, **more: object) -> dict[str, object]:
    created = datetime.now(UTC) - timedelta(days=days)
    return {"kind": "static pair", "profiles": ["p"], "key_id": "AKIA1", "created": created.isoformat(), **more}


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "SSO", "profiles": ["p"], "key_id": None},
        _row(98, exempt=True),
        _row(98, refused="the key does not sign in"),
        _row(98, created=None),
        _row(98, created="yesterday"),
        _row(98, profiles=["bot", "p"]),
    ],
    ids=["not rotatable", "exempt", "refused", "of unknown age", "nonsense", "excluded"],
)
def test_who_is_not_reminded(row: dict[str, object]) -> None:
    """Keys that cannot or should not be rotated."""
    assert derive([row], POLICY, ["bot"]).items == []


def test_an_unfinished_rotation_is_mentioned_while_a_run_can_finish_it() -> None:
    """What only a person can settle is for status and doctor; the age of a key that is in use is told all the same."""
    assert [item.kind for item in derive([_row(10, unfinished="x")], POLICY).items] == [UNFINISHED]
    rows = [_row(10, unfinished="x", told=True), _row(10, unfinished="x", told=True, created=None)]
    assert [item.kind for item in derive(rows, POLICY).items] == [KEY]


def test_when_a_key_is_due() -> None:
    """The policy's own answer, in epoch seconds; the earliest is the first line."""
    rows = [_row(10), _row(20, key_id="AKIA2")]
    found = derive(rows, POLICY)
    created = datetime.fromisoformat(str(rows[1]["created"]))
    assert state.first(found, {}) == int(POLICY.due_at(created).timestamp())
    assert found.limit == 90 * DAY


def test_several_keys_in_one_line() -> None:
    """The oldest first, and not more than three names. Only what is overdue is called so; beside it what is due is due,
    and a single one is no plural."""
    found = [key(80 + number, f"p{number}") for number in range(5)]
    said = "the access keys of p4 (84 days), p3 (83 days) and 3 more are due for replacement."
    assert line(found, 90 * DAY, NOW, "default") == f"rotate-my-key: {said} Type: rotate-my-key --all"
    found = [key(98, "work"), key(92, "side"), key(80, "default")]
    assert line(found, 90 * DAY, NOW, "default") == (
        "rotate-my-key: OVERDUE: the access keys of work (98 days) and side (92 days) are past the maximum age of 90 "
        "days; the access key of default (80 days) is due for replacement. Type: rotate-my-key --all"
    )


@pytest.mark.parametrize(
    ("names", "active", "typed"),
    [(("default",), "default", ""), (("default",), "work", " -p default"), (("a b", "ok"), "x", " -p ok"),
     (("-p",), "x", " --all"), (("$(x)",), "x", " --all"), (("$(x)",), "$(x)", "")],
)  # fmt: skip
def test_what_to_type(names: tuple[str, ...], active: str, typed: str) -> None:
    """A command that does it, and that a shell takes as it stands."""
    assert line([key(80, *names)], 90 * DAY, NOW, active).endswith(f"Type: rotate-my-key{typed}")


# The due path


def say(home: Home) -> str:
    """What the block runs; stdout."""
    tool = home.real_tool()
    command = [sys.executable, "-I", "-S", tool.script, str(home.state)]
    env = home.environment({"AWS_EC2_METADATA_DISABLED": "true", "XDG_CONFIG_HOME": ""})
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
    return done.stdout


def test_the_due_path_imports_next_to_nothing(home: Home) -> None:
    """Neither click nor re, json, typing or contextlib: it is a bare Python."""
    home.due()
    heavy = {"click", "re", "json", "typing", "contextlib", "subprocess", "pathlib", "datetime", "logging"}
    heavy |= {"collections"}
    code = (
        f"import sys; sys.path.append({str(ROOT)!r}); from rotate_my_key.reminder.login import main; "
        f"main({str(home.state)!r}, print); print(sorted(set(sys.modules) & {heavy!r}))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "rotate-my-key: the access key" in done.stdout


def test_a_key_that_may_be_gone_is_looked_at_first(home: Home) -> None:
    """AWS was last asked weeks ago: silence while it is asked, and the line the next time, whatever came of it."""
    home.write(key(80, seen=40 * DAY))
    (home.state / "asked").unlink()
    assert say(home) == ""
    assert (home.state / "asked").exists()
    home.write(key(80, seen=40 * DAY))
    assert say(home) == ""  # seconds later the answer may still be on its way
    home.asked(ago=20)
    home.write(key(80, seen=40 * DAY))
    assert "80 days old" in say(home)


def test_a_run_that_was_killed_while_speaking(home: Home) -> None:
    """Its claim is nobody's after a minute. Where none can be made there is silence, rather than a line in every
    pane."""
    home.due()
    (home.state / "saying").mkdir()
    assert say(home) == ""
    (home.state / "saying").rmdir()
    (home.state / "saying").write_text("")
    assert say(home) == ""
    os.utime(home.state / "saying", (NOW - 100,) * 2)
    assert say(home) == ""
    assert "80 days old" in say(home)
