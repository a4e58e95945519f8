"""When keys may be touched: weekdays and hours where the people are."""

from __future__ import annotations

import zoneinfo
from datetime import datetime
from pathlib import Path

import pytest

from rotate_my_key.core.errors import WrongUsage
from rotate_my_key.fleet.rules import closed
from rotate_my_key.settings.fleet import Enforce, zone

# sentence, settings, moment in UTC, open?
CASES: list[tuple[str, Enforce, str, bool]] = [
    ("a Wednesday at noon", Enforce(), "2026-11-25T12:00", True),
    ("the first minute", Enforce(), "2026-11-25T09:00", True),
    ("a minute before", Enforce(), "2026-11-25T08:59", False),
    ("the last minute", Enforce(), "2026-11-25T16:59", True),
    ("the end is no more within", Enforce(), "2026-11-25T17:00", False),
    ("a Saturday", Enforce(), "2026-11-28T12:00", False),
    ("noon in Tokyo is night in UTC", Enforce(timezone="Asia/Tokyo"), "2026-11-25T03:00", True),
    ("Sunday evening in UTC is Monday in Tokyo", Enforce(timezone="Asia/Tokyo"), "2026-11-29T23:00", False),
    ("Sunday night in UTC is Monday morning in Tokyo", Enforce(timezone="Asia/Tokyo"), "2026-11-30T00:30", True),
    ("in summer Vienna is two hours ahead", Enforce(timezone="Europe/Vienna"), "2026-07-01T07:00", True),
    ("in winter it is one", Enforce(timezone="Europe/Vienna"), "2026-12-01T07:00", False),
    ("the whole day", Enforce(hours="0-24"), "2026-11-25T23:59", True),
    ("over midnight, before it", Enforce(hours="22-6"), "2026-11-25T23:00", True),
    ("over midnight, after it", Enforce(hours="22-6"), "2026-11-26T05:59", True),
    ("over midnight, at noon", Enforce(hours="22-6"), "2026-11-25T12:00", False),
    ("no day at all", Enforce(weekdays=()), "2026-11-25T12:00", False),
]


@pytest.mark.parametrize(("sentence", "enforce", "moment", "is_open"), CASES, ids=[case[0] for case in CASES])
def test_moments(sentence: str, enforce: Enforce, moment: str, is_open: bool) -> None:
    """Each row is a sentence, the settings and a moment in UTC."""
    assert (closed(enforce, datetime.fromisoformat(f"{moment}+00:00")) == "") is is_open


def test_it_says_when_it_is_and_when_it_may() -> None:
    """In the time zone of the settings."""
    enforce = Enforce(timezone="Europe/Vienna")
    said = closed(enforce, datetime.fromisoformat("2026-11-25T18:00+00:00"))
    assert said == "it is 19:00 in Europe/Vienna, and acts are allowed from 9 to 17 o'clock"
    said = closed(enforce, datetime.fromisoformat("2026-11-28T23:30+00:00"))
    assert said == "it is Sunday in Europe/Vienna, and acts are allowed on mon, tue, wed, thu, fri"


def test_without_time_zones_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows without tzdata: not one zone is known, but UTC needs none."""
    monkeypatch.setitem(__import__("sys").modules, "tzdata", None)
    zoneinfo.reset_tzpath([str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        with pytest.raises(WrongUsage) as caught:
            zone("Europe/Vienna")
        assert closed(Enforce(), datetime.fromisoformat("2026-11-25T12:00+00:00")) == ""
    finally:
        zoneinfo.reset_tzpath()
    assert "this system has no time zones" in caught.value.message
    assert "pip install tzdata" in caught.value.message
