"""Twenty kinds of people through 200 days under each preset: `company.txt` says who was told what, and which keys live.

The promises hold for every row, whatever the table says. `python -m tests.fleet.enforce.days` prints the table.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rotate_my_key.settings.fleet_ini import PRESETS, with_preset
from tests.fleet.enforce.days import BASE, KINDS, Days, Kind, company

TABLE = dict(
    part.split("\n", 1) for part in (Path(__file__).parent / "company.txt").read_text().strip("\n").split("\n\n")
)
GRACE, KEEP = 7, 7
NEVER_TOUCHED = ("bot", "service", "nobody", "foreign")  # exempt, or who cannot be told, or of whom nothing is known
LAST = {"staged-90": 80, "staged-30-60": 70, "two-key-loop": 90}  # whatever the user does


# On which day of a key the systems that the presets name do what; where ours differs, `--presets` says so.
SYSTEMS: dict[str, dict[str, int]] = {
    "tell-admin": {},  # the digest alone
    "mail-owners": {"mail": 100},
    "staged-90": {"IT makes B": 60, "A off": 80, "A gone": 90},
    "staged-30-60": {"mail": 30, "IT makes B": 60, "A off": 70, "A gone": 80},
    "two-key-loop": {"IT makes B": 90, "A off": 90},
}
DIFFERS = {"two-key-loop": {"IT makes B": (76, "the new key is created 14 days before")}}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_gives_what_the_system_gives_that_it_names(preset: str) -> None:
    """Day by day for who does nothing, as the table of the company has it; where it differs, the preset says so."""
    row = next(line for line in TABLE[f"== {preset}"].splitlines() if line.startswith("never: "))
    for what, day in SYSTEMS[preset].items():
        ours, said = DIFFERS.get(preset, {}).get(what, (day, ""))
        found = re.search(rf"(\d+)[-, \d]*(every \d+ )?{what}", row)
        assert found and int(found[1]) == ours
        assert said in PRESETS[preset].here


@pytest.mark.parametrize(
    ("preset", "password", "days"),
    [("tell-admin", False, [86, 87]), ("mail-owners", True, [100]), ("mail-owners", False, [])],
)
def test_the_digest_has_a_key_from_the_day_of_the_system(preset: str, password: bool, days: list[int]) -> None:
    """Of the two that only tell; the second leaves out bots, who have no password."""
    lived = Days(with_preset(preset, BASE), {"who": Kind(after=None, password=password)})
    sent = lived.live(days[-1] if days else 101).chat.sent
    assert [day for day, digest in enumerate(sent) if "1 overdue" in digest.subject] == days


def promises(days: Days, preset: str, every: int) -> None:
    """No row breaks one."""
    for name, rows in days.log.items():
        told = [(day, what) for day, what in rows if what.startswith("mail")]
        for day, what in rows:
            if re.fullmatch("[A-Z] off", what):
                dated = [(at, said) for at, said in told if re.search(r"off \d", said) and at + GRACE <= day]
                assert dated, f"{name} was not told {GRACE} days before: {days.said(name)}"
                assert int(re.findall(r"\d+", dated[-1][1])[0]) <= day, f"{name} was told another day"
        for day in {day for day, _ in told}:
            asked = [what for at, what in told if at == day and "done" not in what]
            assert len({what.split(",")[0] for what in asked}) <= 1, f"{name} was told two things on {day}"
        for key in re.findall("IT makes ([A-Z])", days.said(name)):
            made = next(day for day, what in rows if what == f"IT makes {key}")
            again = [day for day, what in rows if "IT makes" in what and made < day <= made + KEEP]
            assert not again, f"two new keys for {name}"
        if name in NEVER_TOUCHED:
            assert not re.search("off;|gone|IT makes", days.said(name)), name
    for name, user in days.directory.everybody.items() if preset in LAST else ():
        for key in user.keys.values():
            age = (days.now() - key.created).days
            if key.active and name not in (*NEVER_TOUCHED, "stubborn"):
                assert age <= LAST[preset] + every, f"{name} has a key of {age} days"


def test_a_company_with_weekly_runs() -> None:
    """Nothing is missed: each step comes a week later at most."""
    promises(company("staged-90").live(120, every=7), "staged-90", 7)


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_a_company_through_two_hundred_days(preset: str) -> None:
    """Day by day it is what the table says, and no promise is broken."""
    days = company(preset).live(200)
    promises(days, preset, 1)
    assert len(KINDS) >= 20
    assert days.table == TABLE[f"== {preset}"]
