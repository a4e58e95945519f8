"""The report's forms: JSON values, CSV, and the page's own words."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import rotate_my_key.fleet.report
from rotate_my_key.core.errors import Denied
from rotate_my_key.fleet.report import KeyReport, page, safe, table, values
from rotate_my_key.settings.fleet import Owners
from tests.fleet.fakes import NOW, FakeDirectory

from .conftest import SETTINGS

Make = Callable[..., KeyReport]
CSS = (Path(rotate_my_key.fleet.report.__file__).parent / "templates" / "report" / "page.css").read_text()


def test_values_of_a_key(report: Make) -> None:
    """Ids are whole, times are in UTC, and what is not known is null."""
    found = {each["user"]: each for each in values(report())["keys"]}
    assert found["overdue"] == {
        "account": "111111111111",
        "account_name": "shop",
        "user": "overdue",
        "arn": "arn:aws:iam::111111111111:user/overdue",
        "key_id": "AKIA1111000000000003",
        "active": True,
        "verdict": "overdue",
        "created": "2026-08-19T12:00:00+00:00",
        "exact": True,
        "age_days": 98,
        "due": "2026-11-02T12:00:00+00:00",
        "overdue": "2026-11-17T12:00:00+00:00",
        "last_use": {"at": "2026-11-24T12:00:00+00:00", "service": "s3", "region": "eu-west-1"},
        "unused": False,
        "exempt": "",
        "uncertain": "",
        "owner": {"name": "overdue", "address": "overdue@example.com", "how": "user name"},
        "cis": ["1.14"],
    }
    assert (found["fresh"]["key_id"], found["fresh"]["exact"]) == (None, False)
    assert (found["unused"]["last_use"], found["unused"]["unused"]) == ({"at": None, "service": "", "region": ""}, True)
    assert found["svc-build"]["exempt"] == "name svc-*"
    assert [each["verdict"] for each in values(report())["keys"]][:2] == ["root", "overdue"]


def test_values_of_accounts(report: Make, accounts: list[FakeDirectory]) -> None:
    """An account that failed is there with its problem; counts are of the others."""
    accounts[1].broken["request_report"] = Denied("no role", "make one", action="sts:AssumeRole")
    found = values(report())
    assert found["accounts"][1] == {
        "account": "222222222222",
        "name": "",
        "users": 0,
        "source": "credential report",
        "at": None,
        "problem": {"message": "no role", "hint": "make one", "code": 5},
        "notes": [],
    }
    assert (found["counts"]["accounts"], found["counts"]["failed"], found["counts"]["users"]) == (2, 1, 5)
    assert {each["number"]: each["keys"] for each in found["controls"]} == {"1.4": 1, "1.12": 1, "1.14": 3}
    assert report().code == 5


def read(text: str) -> list[dict[str, str]]:
    """The rows of a CSV."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv(report: Make) -> None:
    """A row a key, whole ids, every key."""
    rows = {row["user"]: row for row in read(table(report()))}
    assert len(rows) == 8
    assert rows["overdue"]["key_id"] == "AKIA1111000000000003"
    assert rows["overdue"]["last_used"] == "2026-11-24T12:00:00+00:00"
    assert (rows["overdue"]["age_days"], rows["overdue"]["exact"], rows["overdue"]["cis"]) == ("98", "yes", "1.14")
    assert (rows["off"]["verdict"], rows["off"]["active"]) == ("inactive", "no")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("alice", "alice"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(text: str, cell: str) -> None:
    """A spreadsheet shows what a user called himself, and runs nothing."""
    assert safe(text) == cell


def test_csv_of_hostile_names(report: Make, accounts: list[FakeDirectory]) -> None:
    """IAM lets user names begin with = + - @, and tags hold them too."""
    accounts[0].user("=1+1", 98, owner="@SUM(A1)")
    accounts[0].user("+a,b", 98, owner='-2"x')
    rows = read(table(report()))
    assert {"'=1+1", "'+a,b"} <= {row["user"] for row in rows}
    cells = [cell for row in rows for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


def test_csv_of_an_account_that_failed(report: Make, accounts: list[FakeDirectory]) -> None:
    """It is a row with its problem, so that nobody takes its silence for health."""
    accounts[1].broken["request_report"] = Denied("no role", action="sts:AssumeRole")
    first = read(table(report()))[0]
    assert (first["verdict"], first["account"], first["problem"]) == ("problem", "222222222222", "no role")


def test_csv_says_what_is_unknown(report: Make, accounts: list[FakeDirectory]) -> None:
    """An unknown last use is not an empty one."""
    for each in accounts:
        each.broken["request_report"] = Denied("no report", action="iam:GenerateCredentialReport")
        each.broken["last_use"] = Denied("no")
    assert {row["last_used"] for row in read(table(report()))} == {"unknown"}


# The page


def test_the_page_escapes_what_others_wrote(report: Make, accounts: list[FakeDirectory]) -> None:
    """Names, tags and errors cannot become markup."""
    accounts[0].broken["request_report"] = Denied("<script>alert(1)</script>", action="sts:AssumeRole")
    accounts.append(FakeDirectory("333333333333", "<i>lab</i>"))
    accounts[2].user("alice", 98, owner="<b>Team</b>")
    text = page(report(replace(SETTINGS, owners=Owners())))
    assert not re.search("<script|<i>lab|<b>Team", text)
    assert "&lt;script&gt;alert(1)" in text
    assert "&lt;i&gt;lab&lt;/i&gt;" in text
    assert "&lt;b&gt;Team&lt;/b&gt;" in text


def test_the_page_needs_nothing_else(report: Make) -> None:
    """No script, no link, no picture; and a policy that forbids all of it."""
    text = page(report(), every=True)
    assert "default-src 'none'" in text
    assert not re.findall(r"https?://|<script|<link|<img|@import|url\(", text)


def test_the_page_shows_what_needs_attention(report: Make) -> None:
    """The others are counted; with `every` they are shown."""
    text, whole = page(report()), page(report(), every=True)
    names = ["overdue", "due", "oldest", "unused", "root"]
    assert all(f"<b>{name}</b>" in text for name in names)
    assert not any(f"<b>{name}</b>" in text for name in ("fresh", "svc-build", "off"))
    assert "3 more keys without need for action" in text
    assert all(f"<b>{name}</b>" in whole for name in [*names, "fresh", "svc-build", "off"])
    assert "without need" not in whole


def test_charts_say_the_same_in_words(report: Make) -> None:
    """Who does not see them is told every number."""
    text = page(report())
    assert 'aria-label="Verdicts. root: 1; overdue: 2; due: 1; fresh: 2; exempt: 1; inactive: 1"' in text
    assert "The benchmark has no exemptions, so keys of exempt users count here too." in text
    assert "Ages of active keys, without root. 0-30d: 1; 30-60d: 1; 60-75d: 0; 75-90d: 1; 90-180d: 1;" in text


def test_the_page_of_nothing(report: Make, accounts: list[FakeDirectory]) -> None:
    """An account without users and keys is a page too."""
    accounts[:] = [FakeDirectory("111111111111")]
    text = page(report())
    assert "Nothing needs attention." in text
    assert "0 users" in text


def test_stale_facts_are_dated(report: Make, accounts: list[FakeDirectory]) -> None:
    """A report may be four hours old; the page says of when it is."""
    accounts[0].now = NOW - timedelta(hours=3)
    assert "25 November 2026, 09:00 UTC" in page(report())


def _colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", css))


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


LIGHT, DARK = CSS.split("prefers-color-scheme: dark", 1)


@pytest.mark.parametrize("colours", [_colours(LIGHT), _colours(DARK)], ids=["light", "dark"])
@pytest.mark.parametrize("back", ["back", "card"])
def test_contrast(colours: dict[str, str], back: str) -> None:
    """Every colour of words can be read on both backgrounds (WCAG 2.2 AA, 4.5 to 1)."""
    behind = _luminance(colours[back])
    for name, colour in colours.items():
        if name not in ("back", "card", "line"):
            low, high = sorted((behind, _luminance(colour)))
            assert (high + 0.05) / (low + 0.05) >= 4.5, name
