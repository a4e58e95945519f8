"""The report's forms: JSON values, CSV, and the page's own words."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

import rotate_my_key.fleet.report
from rotate_my_key import __version__
from rotate_my_key.core.errors import Denied, WrongUsage
from rotate_my_key.fleet.report import Earlier, KeyReport, ReportOrigin, keep, safe, stem, values
from rotate_my_key.settings.fleet import Owners
from tests.fleet.fakes import NOW, FakeDirectory

from .conftest import SETTINGS, page, table

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
        "exempt_until": None,
        "exempt_by": "",
        "exempt_ended": "",
        "uncertain": "",
        "owner": {"name": "overdue", "address": "overdue@example.com", "how": "user name"},
        "cis": ["1.14"],
        "recall": None,
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
    assert [found["counts"][name] for name in ("accounts", "failed", "users")] == [2, 1, 5]
    failing = {each["number"]: each["keys"] for each in found["controls"] if each["keys"]}
    assert failing == {"1.4": 1, "1.12": 1, "1.14": 3}
    (mfa,) = [each for each in found["controls"] if each["number"] == "1.10"]
    assert (mfa["v5"], mfa["v7"], mfa["unit"], mfa["rate"]) == ("1.9", "2.10", "user with a password", 0)
    assert (mfa["checked"], mfa["failed"], mfa["exempt"], mfa["keys"]) == (5, 5, 0, 0)
    assert {each["user"]: each["cis"] for each in found["sign_ins"]}["root"] == ["1.5"]
    assert report().code == 5


def read(text: str) -> list[dict[str, str]]:
    """The rows of a CSV."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_csv(report: Make, accounts: list[FakeDirectory]) -> None:
    """A row a key, whole ids, every key; a number is no truth value."""
    accounts[0].user("new", 1)
    rows = {row["user"]: row for row in read(table(report()))}
    assert (len(rows), rows["new"]["age_days"]) == (9, "1")
    assert rows["overdue"]["key_id"] == "AKIA1111000000000003"
    assert rows["overdue"]["last_used"] == "2026-11-24T12:00:00+00:00"
    assert (rows["overdue"]["age_days"], rows["overdue"]["exact"], rows["overdue"]["cis"]) == ("98", "yes", "1.14")
    assert (rows["off"]["verdict"], rows["off"]["active"]) == ("inactive", "no")


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    """A spreadsheet shows what a user called himself, and runs nothing. What it would not run stays as it is."""
    assert safe(text) == f"'{text}"
    assert [safe(each) for each in ("alice", "a=b", "")] == ["alice", "a=b", ""]


def test_csv_of_what_is_not_known(report: Make, accounts: list[FakeDirectory]) -> None:
    """An account that failed is a row with its problem, so that nobody takes its silence for health. An unknown last
    use is not an empty one."""
    accounts[1].broken["request_report"] = Denied("no role", action="sts:AssumeRole")
    first = read(table(report()))[0]
    assert (first["verdict"], first["account"], first["problem"]) == ("problem", "222222222222", "no role")
    for each in accounts:
        each.broken["request_report"] = Denied("no report", action="iam:GenerateCredentialReport")
        each.broken["last_use"] = Denied("no")
    assert {row["last_used"] for row in read(table(report()))} == {"unknown"}


def earlier(report: Make, **changes: object) -> Earlier:
    """What a report was, read from its JSON."""
    found = {"version": 1, **json.loads(json.dumps(values(report()), default=list)), **changes}
    return Earlier(json.dumps(found).encode(), "old.json")


# The page


def test_the_page_escapes_what_others_wrote(report: Make, accounts: list[FakeDirectory]) -> None:
    """Names, tags and errors cannot become markup."""
    accounts[0].broken["request_report"] = Denied("<script>alert(1)</script>", action="sts:AssumeRole")
    accounts.append(FakeDirectory("333333333333", "<i>lab</i>"))
    accounts[2].user("alice", 98, owner="<b>Team</b>")
    (key,) = [each for each in values(report())["keys"] if each["user"] == "oldest"]
    rogue = earlier(report, keys=[key | {"user": "<script>", "key_id": "<i>lab", "arn": "<b>Team"}])
    rogue.name, origin = "<script>", ReportOrigin("<script>", "<i>lab", "<b>Team")
    made = report(replace(SETTINGS, owners=Owners(), where="<script>"), origin=origin, earlier=rogue)
    text = page(made, every=True)
    assert made.change and made.change.solved
    assert not re.search("<script|<i>lab|<b>Team", text)
    assert "&lt;script&gt;alert(1)" in text
    assert "&lt;i&gt;lab&lt;/i&gt;" in text
    assert "&lt;b&gt;Team&lt;/b&gt;" in text


def test_the_page_shows_what_needs_attention(report: Make) -> None:
    """The others are counted; with `every` they are shown. It needs nothing else: no script, no link, no picture; and a
    policy that forbids all of it. Who does not see the charts is told every number."""
    text, whole = page(report()), page(report(), every=True)
    names = ["root", "oldest", "overdue", "due", "unused", "svc-build"]
    assert users(text, "keys") == names
    assert "2 more keys without need for action" in text
    assert users(whole, "keys") == [*names[:5], "fresh", "svc-build", "off"]
    assert "without need" not in whole
    assert "default-src 'none'" in whole
    assert not re.findall(r"https?://|<script|<link|<img|@import|url\(", whole)
    assert 'aria-label="Verdicts. root: 1; overdue: 2; due: 1; fresh: 2; exempt: 1; inactive: 1"' in text
    assert "Ages of active keys, without root. 0-30d: 1; 30-60d: 1; 60-75d: 0; 75-90d: 1; 90-180d: 1;" in text


def section(text: str, name: str) -> str:
    """A section of the page."""
    return text.partition(f'<section aria-labelledby="{name}">')[2].partition("</section>")[0]


def users(text: str, name: str) -> list[str]:
    """Whom a table of the page lists."""
    return re.findall(r'data-label="User"><b>(.*?)</b>', section(text, name))


def cells(text: str, name: str) -> list[list[str]]:
    """The rows of a table of the page, as words."""
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in section(text, name).split("<tr ")[1:]]
    return [[" ".join(html.unescape(re.sub("<[^>]*>", " ", cell)).split()) for cell in row] for row in rows if row]


@pytest.mark.parametrize("every", [False, True])
def test_every_figure_can_be_counted_on_the_page(report: Make, accounts: list[FakeDirectory], every: bool) -> None:
    """As many keys are listed with a number as fail it, the exempt ones too: an auditor counts them."""
    accounts[0].user("svc-old", 200, 300)
    made = report()
    text = page(made, every=every)
    listed = Counter(number for row in cells(text, "keys") for number in row[-1].split(", "))
    assert {each.number: seen.keys for each, seen in made.figures.items()} == {
        each.number: listed[each.number] for each in made.figures
    }
    assert [row for row in cells(text, "cis") if row[0] == "1.14"] == [
        ["1.14", "1.13", "2.12", "access keys are replaced every 90 days or less for each key", "9", "6", "3", "33 %"]
    ]
    assert cells(text, "exempt") == [
        ["shop (111111111111)", "svc-build", "name svc-*", "1 of 1", "400 days"],
        ["shop (111111111111)", "svc-old", "name svc-*", "2 of 2", "300 days"],
    ]
    assert users(text, "sign-ins")[:2] == ["root", "root"]


def test_the_page_says_who_made_it(report: Make, accounts: list[FakeDirectory]) -> None:
    """Caller, organization, command, program, rules with their version, limits, who is exempt, how old it is: a report
    may be four hours old."""
    accounts[0].now = NOW - timedelta(hours=3)
    made = report(origin=ReportOrigin("arn:aws:iam::111111111111:user/it", "o-example", "rotate-my-key <b>"))
    found = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page(made)))
    assert found == {
        "Made by": "<code>arn:aws:iam::111111111111:user/it</code>",
        "Organization": "o-example",
        "Command": "<code>rotate-my-key &lt;b&gt;</code>",
        "Program": f"rotate-my-key {__version__}",
        "Rules": f"fleet.ini, version {SETTINGS.fingerprint}",
        "Limits": "A key is due after 75 days and overdue after 90 days. It is unused after 45 days without use.",
        "Exempt": "tag rotate-my-key=exempt and name svc-*",
        "Oldest data": "25 November 2026, 09:00 UTC",
    }


def test_accounts_come_first_and_add_up(report: Make, accounts: list[FakeDirectory]) -> None:
    """Those that could not be checked are first, and counted apart; a row has the sum of the others; so for owners. The
    head leads to each part."""
    accounts.append(FakeDirectory("333333333333"))
    accounts[2].broken["request_report"] = Denied("no role", action="sts:AssumeRole")
    text = page(report())
    assert text.index('id="accounts"') < text.index('id="cis"') < text.index('id="keys"')
    jumps, ids = (set(re.findall(rf'{name}="#?([\w-]+)"', text)) for name in ("href", " id"))
    assert {"accounts", "exempt", "keys"} <= jumps <= ids
    assert "2 accounts checked" in text
    assert "Accounts: 2 checked, 1 not" in text
    failed, first, second, total = cells(text, "accounts")
    assert failed[0].split() == ["333333333333", "no", "role"]
    assert failed[1] == "unknown"
    assert first[:10] == ["shop (111111111111)", "5", "6", "1", "1", "1", "1", "1", "1", "1"]
    assert second[:10] == ["222222222222", "2", "2", "0", "1", "0", "1", "0", "0", "2"]
    assert total[:10] == ["All", "7", "8", "1", "2", "1", "2", "1", "1", "3"]
    *owners, rest, everybody = cells(text, "owners")
    assert [owner[0] for owner in owners] == [
        *("root", "oldest@example.com", "overdue@example.com", "due@example.com", "unused@example.com")
    ]
    assert (rest[:2], everybody[1:]) == (["3 other owners", "3"], total[2:10])


def test_the_page_names_its_data(report: Make) -> None:
    """Three files of one name; the page has the names of the two others and the SHA-256 of their bytes."""
    files: dict[str, bytes] = {}
    made = report()
    kept = keep(made, stem(made), files.__setitem__)
    assert list(files) == [f"access-keys-20261125T120000Z.{ending}" for ending in ("json", "csv", "html")]
    assert [(each.name, each.sha256) for each in kept] == [
        (name, sha256(data).hexdigest()) for name, data in files.items()
    ]
    text = files[kept[2].name].decode()
    assert all(f"{each.name}<small>SHA-256 <code>{each.sha256}</code>" in text for each in kept[:2])
    assert json.loads(files[kept[0].name])["keys"] == list(values(made)["keys"])
    assert "SHA-256" not in page(made)


def test_a_report_is_compared_with_an_earlier_one(report: Make, accounts: list[FakeDirectory]) -> None:
    """Which keys need nothing any more and what became of them, which are new, and each number then and now."""
    then = earlier(report)
    (key_id,) = accounts[0].everybody["overdue"].keys
    accounts[0].set_active("overdue", key_id, False)
    del accounts[1].everybody["oldest"]
    accounts[0].user("late", 99)
    now = report(earlier=then)
    assert now.change
    assert [(each.then["user"], each.was, each.now) for each in now.change.solved] == [
        ("oldest", "overdue", "gone"),
        ("overdue", "overdue", "inactive"),
    ]
    assert [row.user.name for row in now.change.new] == ["late"]
    text = page(now)
    assert [row for row in cells(text, "change") if row[0] in ("overdue keys", "v3.0.0 1.14, failed")] == [
        ["overdue keys", "2", "1", "-1"],
        ["v3.0.0 1.14, failed", "4", "3", "-1"],
    ]
    assert ["222222222222", "oldest AKIA2222000000000001", "overdue", "gone"] in cells(text, "change")
    assert ["shop (111111111111)", "late AKIA1111000000000006", "needed nothing", "overdue"] in cells(text, "change")
    assert "The rules changed" not in text
    assert "The rules changed" in page(report(replace(SETTINGS, text="max_age"), earlier=then))


def test_only_accounts_that_both_reports_cover_are_compared(report: Make, accounts: list[FakeDirectory]) -> None:
    """That an account could not be checked solves nothing, and one that is new is no decline."""
    then = earlier(report)
    accounts[1].broken["request_report"] = Denied("no role", action="sts:AssumeRole")
    accounts.append(FakeDirectory("333333333333"))
    accounts[2].user("late", 99)
    change = report(earlier=then).change
    assert change
    assert (list(change.solved), list(change.new), change.apart) == ([], [], ["222222222222", "333333333333"])


NO_REPORTS = (b"", b"[]", b"\xff", b'{"version": 1, "keys": []}', b"[" * 100_000)


@pytest.mark.parametrize("data", [*NO_REPORTS, b'{"version": 1, "keys": [{"verdict": []}]}', b'{"version": 2}'])
def test_what_is_no_report_is_refused(data: bytes) -> None:
    """Whatever the file is, with the command that makes one."""
    with pytest.raises(WrongUsage) as caught:
        Earlier(data, "old.json")
    newer = data == b'{"version": 2}'
    said = "was made by a newer version (format 2)" if newer else "is not a report as --json prints it"
    assert (caught.value.message, caught.value.hint) == (f"old.json {said}", "rotate-my-key fleet report --json")


def test_what_an_earlier_report_may_be(report: Make) -> None:
    """Of a day that a calendar shows, and with a zone. The first format had no figures of passwords and MFA; what it
    had is compared."""
    for at in ("0001-01-01T00:00:00+14:00", "2026-12-01T00:00:00", "soon"):
        with pytest.raises(WrongUsage, match="is not a report"):
            earlier(report, at=at)
    first = earlier(report, controls=[{"number": "1.14", "title": "x", "keys": 3}])
    assert first.failed == {}
    assert page(report(earlier=first))


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
