"""Each preset, day by day from 0 to 200, with daily and with weekly runs, against what its description says.

A, B, C, ... are a user's keys in the order in which they were made; he uses what works every day, and takes over a key
of IT's on the next day unless a case says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from rotate_my_key.core.errors import WrongUsage
from rotate_my_key.settings.fleet import PRESETS, Enforce, FleetSettings, with_preset
from rotate_my_key.settings.fleet_ini import parse
from tests.fleet.enforce.days import Life

HERE = FleetSettings(enforce=Enforce(accounts=("123456789012",)))
ACTING = ["staged-90", "staged-30-60", "two-key-loop"]
EVERY = [1, 7]
Keys = list[tuple[int, str]]
ONE: Keys = [(0, "Active")]
TWO: Keys = [(40, "Active"), (0, "Active")]
SPARE: Keys = [(40, "Inactive"), (0, "Active")]
LATE: Keys = [(150, "Active")]  # first seen at this age: past every window
BOTH_LATE: Keys = [(200, "Active"), (150, "Active")]


def life(preset: str, keys: Keys, takes: int | None = 1, exempt: str = "") -> Life:
    """A user with such keys on day 0, under a preset."""
    found = Life(with_preset(preset, HERE), takes, exempt=exempt)
    for age, status in keys:
        found.key(age, status)
    return found


# preset, run every so many days, keys on day 0: what is done to them until the first key of his own is due again
TABLE: list[tuple[str, int, Keys, list[str]]] = [
    ("staged-90", 1, ONE, ["60 reissue A", "61 C takes over", "80 deactivate A", "90 delete A"]),
    ("staged-90", 7, ONE, ["63 reissue A", "64 C takes over", "84 deactivate A", "98 delete A"]),
    ("staged-90", 1, TWO, ["40 deactivate A", "50 delete A", "60 reissue B", "61 D takes over", "80 deactivate B"]),
    ("staged-90", 7, TWO, ["42 deactivate A", "56 delete A", "63 reissue B", "64 D takes over", "84 deactivate B"]),
    ("staged-90", 1, SPARE, ["10 delete A", "60 reissue B", "61 D takes over", "80 deactivate B", "90 delete B"]),
    ("staged-90", 7, SPARE, ["14 delete A", "63 reissue B", "64 D takes over", "84 deactivate B", "98 delete B"]),
    ("staged-90", 1, LATE, ["0 reissue A", "1 C takes over", "7 deactivate A", "17 delete A"]),
    ("staged-90", 7, LATE, ["0 reissue A", "1 C takes over", "7 deactivate A", "21 delete A"]),
    (
        "staged-90",
        1,
        BOTH_LATE,
        ["7 deactivate A", "17 delete A", "17 reissue B", "18 D takes over", "18 deactivate B"],
    ),
    (
        "staged-90",
        7,
        BOTH_LATE,
        ["7 deactivate A", "21 delete A", "21 reissue B", "22 D takes over", "28 deactivate B"],
    ),
    ("staged-30-60", 1, ONE, ["60 reissue A", "61 C takes over", "70 deactivate A", "80 delete A"]),
    ("staged-30-60", 7, ONE, ["63 reissue A", "64 C takes over", "70 deactivate A", "84 delete A"]),
    ("staged-30-60", 1, TWO, ["30 deactivate A", "40 delete A", "60 reissue B", "61 D takes over", "70 deactivate B"]),
    ("staged-30-60", 7, TWO, ["35 deactivate A", "49 delete A", "63 reissue B", "64 D takes over", "70 deactivate B"]),
    ("staged-30-60", 1, SPARE, ["10 delete A", "60 reissue B", "61 D takes over", "70 deactivate B", "80 delete B"]),
    ("staged-30-60", 7, SPARE, ["14 delete A", "63 reissue B", "64 D takes over", "70 deactivate B", "84 delete B"]),
    ("staged-30-60", 7, LATE, ["0 reissue A", "1 C takes over", "7 deactivate A", "21 delete A"]),
    ("two-key-loop", 1, ONE, ["90 reissue A", "91 C takes over", "91 deactivate A", "98 delete A"]),
    ("two-key-loop", 7, ONE, ["91 reissue A", "92 C takes over", "98 deactivate A", "105 delete A"]),
    ("two-key-loop", 1, TWO, ["50 deactivate A", "57 delete A", "90 reissue B", "91 D takes over", "91 deactivate B"]),
    ("two-key-loop", 7, TWO, ["56 deactivate A", "63 delete A", "91 reissue B", "92 D takes over", "98 deactivate B"]),
    ("two-key-loop", 1, SPARE, ["7 delete A", "90 reissue B", "91 D takes over", "91 deactivate B", "98 delete B"]),
    ("two-key-loop", 7, SPARE, ["7 delete A", "91 reissue B", "92 D takes over", "98 deactivate B", "105 delete B"]),
    (
        "two-key-loop",
        7,
        BOTH_LATE,
        ["7 deactivate A", "14 delete A", "14 reissue B", "15 D takes over", "21 deactivate B"],
    ),
]


@pytest.mark.parametrize(("preset", "every", "keys", "expected"), TABLE)
def test_what_is_done_when(preset: str, every: int, keys: Keys, expected: list[str]) -> None:
    """The days of each act; a weekly run does the same, at most a week later for each step."""
    found = life(preset, keys)
    found.live(every)
    assert [f"{day} {what}" for day, what in found.acts()][: len(expected)] == expected


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("preset", PRESETS)
def test_who_is_spared(preset: str, every: int) -> None:
    """Who is exempt or has no key: nothing is done and nothing is said, on any of 200 days."""
    for keys, exempt in [(TWO, "tag rotate-my-key=exempt"), (BOTH_LATE, "group bots"), ([], "")]:
        found = life(preset, keys, exempt=exempt)
        found.live(every)
        assert (found.log, found.told) == ([], [])


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("preset", ["tell-admin", "mail-owners"])
@pytest.mark.parametrize("keys", [ONE, TWO, SPARE, LATE, BOTH_LATE])
def test_reminders_touch_no_key(preset: str, every: int, keys: Keys) -> None:
    """(a) and (b) only tell: nothing is done to any key."""
    found = life(preset, keys)
    found.live(every)
    assert found.log == []


REMINDERS: list[tuple[int, Keys, list[tuple[int, str]]]] = [
    (1, ONE, [(day, "A") for day in range(90, 201, 3)]),
    (7, ONE, [(day, "A") for day in range(91, 201, 7)]),
    (1, TWO, [(day, "A") for day in range(50, 90, 3)] + [(day, "A B") for day in range(92, 201, 3)]),
    (7, TWO, [(day, "A") for day in range(56, 90, 7)] + [(day, "A B") for day in range(91, 201, 7)]),
    (1, SPARE, [(day, "B") for day in range(90, 201, 3)]),
    (1, LATE, [(day, "A") for day in range(0, 201, 3)]),
    (7, BOTH_LATE, [(day, "A B") for day in range(0, 201, 7)]),
]


@pytest.mark.parametrize(("every", "keys", "expected"), REMINDERS)
def test_mail_owners_tells_of_all_old_keys_every_three_days(
    every: int, keys: Keys, expected: list[tuple[int, str]]
) -> None:
    """One notice with all of his old keys; a switched-off key is no old key."""
    found = life("mail-owners", keys)
    found.live(every)
    assert found.told == expected


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("preset", ACTING)
@pytest.mark.parametrize("keys", [ONE, TWO, SPARE, LATE, BOTH_LATE])
@pytest.mark.parametrize("first", range(0, 7, 3))
def test_nobody_is_ever_without_a_key_that_works(preset: str, every: int, keys: Keys, first: int) -> None:
    """Who had a working key has one on each of 200 days, and is told before each act, whatever day runs begin on."""
    found = life(preset, keys)
    for day in range(201):
        found.day(day, runs=day >= first and (day - first) % every == 0)
        assert any(key.active for key in found.directory.everybody["alice"].keys.values()), day
    told = {name for _, names in found.told for name in names.split()} | {
        what.split()[1] for _, what in found.log if what.startswith("notify")
    }
    assert {what.split()[1] for _, what in found.log if what.startswith(("deactivate", "delete"))} <= told


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("preset", ACTING)
@pytest.mark.parametrize("keys", [ONE, LATE])
def test_who_never_fetches_his_new_key_keeps_his_old_one(preset: str, every: int, keys: Keys) -> None:
    """(c), (d) and (e) switch the old key off all the same, and the user stands still: he does not have the new one."""
    found = life(preset, keys, takes=None)
    found.live(every)
    assert next(iter(found.directory.everybody["alice"].keys.values())).active
    assert not [what for _, what in found.log if what in ("deactivate A", "delete A")]
    assert [what for _, what in found.log if "not fetched" in what]


# What the originals do, by their description, for an active key of that age


def original_c(age: int) -> str:
    """(c): windows of ages, whatever was done before."""
    return next((act for low, high, act in WINDOWS_C if low <= age <= high), "")


def original_d(age: int) -> str:
    """(d): on the day, and on no other."""
    return {30: "warn", 60: "create", 70: "deactivate", 80: "delete"}.get(age, "")


WINDOWS_C = [(60, 70, "create"), (80, 90, "deactivate"), (91, 10**6, "delete")]


def ages(first: int, every: int) -> Iterator[int]:
    """The ages at which runs see a key."""
    return iter(range(first, 201, every))


def acts_of(original: Callable[[int], str], first: int, every: int) -> list[str]:
    """What an original does to a key that its first run sees at that age."""
    return [act for age in ages(first, every) if (act := original(age))]


def test_c_creates_again_and_again_where_ours_creates_once() -> None:
    """Eleven daily runs in its window try to make eleven keys; the second try meets AWS's limit of two."""
    assert acts_of(original_c, 0, 1).count("create") == 11
    assert acts_of(original_c, 0, 7).count("create") == 2
    found = life("staged-90", ONE)
    found.live(1, days=120)
    assert [what for _, what in found.acts()].count("reissue A") == 1


def test_c_deletes_a_working_key_that_it_first_sees_late() -> None:
    """Past its windows it deletes an active key without a new one; ours makes the new one first and tells."""
    assert acts_of(original_c, 150, 1)[0] == "delete"
    assert "create" not in acts_of(original_c, 75, 7)
    found = life("staged-90", LATE)
    found.live(1, days=20)
    assert [what for _, what in found.acts()] == ["reissue A", "C takes over", "deactivate A", "delete A"]


def test_d_misses_its_days_with_weekly_runs() -> None:
    """Six of seven weekly schedules never see the day; ours comes at most six days late, on every one of them."""
    assert [first for first in range(7) if "warn" in acts_of(original_d, first, 7)] == [2]
    for first in range(7):
        found = life("staged-30-60", ONE)
        found.live(7, first=first)
        assert 30 <= found.told[0][0] <= 36
        (made,) = (day for day, what in found.acts() if what == "reissue A")
        assert 60 <= made <= 66


def test_e_deletes_the_older_key_in_use_where_ours_waits() -> None:
    """With two keys it makes room by deleting the older, in use or not; ours switches off first, after notice."""
    found = life("two-key-loop", BOTH_LATE)
    found.live(1, days=20)
    assert [each for each in found.acts() if each[1].endswith(" A")] == [(7, "deactivate A"), (14, "delete A")]
    assert found.told[0] == (0, "A B")


def test_a_preset_lies_below_the_file() -> None:
    """What fleet.ini says besides goes before it, and its name is in the settings."""
    text = "[enforce]\npreset = staged-90\ndeactivate_at = 85d\naccounts = 123456789012\n"
    enforce = parse(text, "fleet.ini", FleetSettings(), with_preset).enforce
    assert (enforce.preset, enforce.deactivate_at and enforce.deactivate_at.days) == ("staged-90", 85)
    assert enforce.reissue_at is not None


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_names_accounts(preset: str) -> None:
    """A preset alone does nothing to anybody."""
    assert PRESETS[preset].over(FleetSettings()).enforce.accounts == ()


def test_an_unknown_preset_is_named_with_those_there_are() -> None:
    """The hint lists them."""
    with pytest.raises(WrongUsage) as caught:
        with_preset("staged-9", FleetSettings())
    assert "staged-90" in caught.value.hint
