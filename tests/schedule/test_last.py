"""schedule.json: the contract with the reminder."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotate_my_key.schedule.job import Attempt, Runs, failure, forget_runs, is_done, keep_run, load_runs

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def ran(*codes: int, state: str) -> Runs | None:
    """What is known after runs with these exit codes, an hour apart."""
    for number, code in enumerate(codes):
        keep_run(state, Attempt(NOW + timedelta(hours=number), code, f"run {number}", "type this" if code else ""))
    return load_runs(state)


def test_the_form_of_the_file(tmp_path: Path) -> None:
    """As the package's docstring has it: version, last, settled; times with their zone. Forgotten it is gone, also when
    there is nothing to forget."""
    state = str(tmp_path)
    ran(5, 75, state=state)
    assert json.loads((tmp_path / "schedule.json").read_text()) == {
        "version": 1,
        "last": {"at": "2026-11-21T10:30:00+00:00", "code": 75, "message": "run 1", "hint": "type this"},
        "settled": {"at": "2026-11-21T09:30:00+00:00", "code": 5, "message": "run 0", "hint": "type this"},
    }
    for _ in range(2):
        forget_runs(state)
        assert load_runs(state) is None


# Exit codes of the runs, oldest first, and which run the reminder speaks of.
SPOKEN = {
    "never ran": ((), None),
    "all is well": ((0,), None),
    "denied": ((5,), 0),
    "a person is needed": ((4,), 0),
    "a problem": ((1,), 0),
    "offline at first": ((75,), None),
    "offline after a good one": ((0, 75, 75), None),
    "denied, then offline": ((5, 75), 0),
    "interrupted": ((0, 130), None),
    "denied, then well again": ((5, 0), None),
    "denied twice": ((5, 75, 1), 2),
}


@pytest.mark.parametrize(("codes", "spoken"), SPOKEN.values(), ids=SPOKEN.keys())
def test_what_the_reminder_speaks_of(tmp_path: Path, codes: tuple[int, ...], spoken: int | None) -> None:
    """The latest run that counts, if it failed: what is tried again by itself is no failure."""
    found = failure(ran(*codes, state=str(tmp_path)))
    assert (found and found.message) == (None if spoken is None else f"run {spoken}")


DONE = {
    "never ran": ((), 0, False),
    "just now": ((0,), 1, True),
    "a failure counts too": ((5,), 1, True),
    "offline does not": ((75,), 1, False),
    "twenty hours ago": ((0,), 20, False),
    "less": ((0,), 19, True),
    "in the future, by a wrong clock": ((0,), -1, False),
}


@pytest.mark.parametrize(("codes", "hours", "expected"), DONE.values(), ids=DONE.keys())
def test_whether_todays_run_is_over(tmp_path: Path, codes: tuple[int, ...], hours: int, expected: bool) -> None:
    """Once in twenty hours, so that a run a little late each day skips none."""
    assert is_done(ran(*codes, state=str(tmp_path)), NOW + timedelta(hours=hours)) is expected
