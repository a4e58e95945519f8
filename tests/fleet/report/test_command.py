"""`fleet report` over HTTP against the stand-in: accounts, pages, denials, throttling, and its three other forms."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from rotate_my_key.core.model import LastUse
from tests.cli.conftest import Desk
from tests.cli.test_json_docs import compare

DAY = timedelta(days=1)


def now() -> datetime:
    """The time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def used(days: float = 1) -> LastUse:
    """A use by S3, so many days ago."""
    return LastUse(now() - days * DAY, "s3", "eu-west-1")


def calls(it: Desk) -> Counter[str]:
    """How often each action was called."""
    return Counter(call.action for call in it.aws.calls)


def settings(it: Desk, text: str) -> str:
    """Write fleet settings; gives the path."""
    file = it.home / "fleet.ini"
    file.write_text(text)
    return str(file)


def fleet(it: Desk, text: str = "[accounts]\nrole = fleet\n") -> list[str]:
    """The words that report on the whole organization."""
    return ["fleet", "report", "--settings", settings(it, text)]


@pytest.fixture
def shop(it: Desk) -> Desk:
    """The main account has an old key and one of root's, a second account an old key and a young one."""
    it.aws.add_user("bob", tags={"owner": "team@example.com"})
    it.aws.add_key("bob", 98 * DAY, use=used())
    it.aws.add_key(None, 700 * DAY)
    member = it.aws.add_account("shop", "222222222222")
    member.add_role("fleet")
    member.add_user("carol")
    member.add_key("carol", 80 * DAY, use=used())
    member.add_user("dave")
    member.add_key("dave", 8 * DAY, use=used())
    it.env["AWS_DEFAULT_REGION"] = "eu-west-1"
    return it


def test_one_account(shop: Desk) -> None:
    """Without settings it is the own account: what needs attention, root's first, and few calls."""
    done = shop.run("fleet", "report")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "1 account, 2 users, 3 keys; due at 75d, overdue at 90d"
    assert lines[1] == "1 of root, 1 overdue, 0 due, 1 fresh, 0 exempt, 0 inactive, 1 not used for 45d"
    assert lines[2].endswith("Foundations Benchmark v3.0.0: 1 fail 1.4, 1 fail 1.5, 1 fail 1.12, 2 fail 1.14")
    table = [line.split() for line in lines if line.startswith(("VERDICT", "root", "overdue"))]
    assert [row[:2] for row in table] == [["VERDICT", "USER"], ["root", "root"], ["overdue", "bob"]]
    assert table[2][2].startswith("...")
    assert "team@example.com" in lines[-3]
    assert lines[-1] == "1 more key without need for action (--all shows every key)"
    assert "\x1b" not in done.text
    assert calls(shop) == Counter(
        GetCallerIdentity=1, GenerateCredentialReport=1, GetCredentialReport=1, ListAccessKeys=1, ListUserTags=1
    )
    assert "VERDICT" not in shop.run("fleet", "report", "--user", "alice").out  # whose key is fresh


def test_the_whole_organization(shop: Desk) -> None:
    """Each account by the role there, with its name. AWS lets nobody into a suspended one; that it was left out is
    said."""
    shop.aws.add_account("gone", "333333333333", state="SUSPENDED")
    done = shop.run(*fleet(shop), "--all")
    assert done.code == 0, done.text
    assert done.out.startswith("2 accounts, 4 users, 5 keys")
    assert "333333333333" not in done.out
    assert "left out, as suspended or about to be closed: 1 account (gone (333333333333))\n" in done.err
    assert "left out" not in shop.run("fleet", "report").err
    (carol,) = [line for line in done.out.splitlines() if " carol " in line]
    assert carol.startswith("due")
    assert "shop (222222222222)" in carol
    assert any(line.startswith("fresh") and " dave " in line and "8+ days" in line for line in done.out.splitlines())
    keys = shop.run(*fleet(shop), "--exact", "--json").json["keys"]
    assert all(key["exact"] for key in keys if key["verdict"] != "root")


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_an_account_that_fails_is_a_row(shop: Desk, quiet: list[str]) -> None:
    """The others are reported; stderr names it and what to do, also with --quiet; the exit code is its own."""
    shop.aws.break_account("222222222222", "denied")
    done = shop.run(*fleet(shop), *quiet)
    assert done.code == 5
    assert done.out.startswith("2 accounts (1 failed), 2 users")
    (row,) = [line for line in done.out.splitlines() if line.startswith("unknown")]
    assert row.startswith("unknown  account shop (222222222222): ")
    assert any(line.startswith("overdue") and " bob " in line for line in done.out.splitlines())
    warning = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert warning == [warning[0]]
    assert warning[0].startswith("warning: account shop (222222222222): ")
    assert any(line.startswith("hint: ") for line in done.err.splitlines())
    assert shop.run(*fleet(shop), "--user", "carol").code == 5  # she may be there


@pytest.mark.slow
def test_stopped(shop: Desk) -> None:
    """Ctrl-C: nothing was changed, and the hint is the command as it was typed."""
    shop.aws.settings.report_polls = 1000
    run = shop.terminal("fleet", "report", "--exact")
    run.until("collecting reports")
    run.type("\x03")
    done = run.end()
    assert (done.code, done.lines[-2:]) == (
        130,
        ["stopped (nothing was changed)", "hint: rotate-my-key fleet report --exact"],
    )


def test_the_same_fault_of_many_accounts_is_one_row(shop: Desk) -> None:
    """On stdout with all of them, on stderr with some; the hint once, and first what is likely."""
    for number in range(3, 8):
        shop.aws.add_account(f"a{number}", str(number) * 12)
    done = shop.run(*fleet(shop, "[accounts]\nrole = nosuchrole\n"))
    assert done.code == 5
    (row,) = [line for line in done.out.splitlines() if line.startswith("unknown")]
    assert row.startswith("unknown  6 accounts (shop (222222222222), a3 (333333333333), ")
    assert row.endswith("a7 (777777777777)): the role nosuchrole is not there, or may not be assumed by the caller")
    (warning, hint) = [line for line in done.err.splitlines() if not line.startswith("note: ")]
    assert warning.startswith("warning: 6 accounts (") and " and 3 more): the role nosuchrole is not" in warning
    make = "create it there: rotate-my-key fleet template --member-role"
    assert hint == f"hint: check role in [accounts] (nosuchrole); {make}"


def test_who_is_exempt(shop: Desk) -> None:
    """The benchmark counts exempt users' keys, and the bars leave root's out: that is said. Without tags it is not
    known who is exempt."""
    shop.aws.set_tags("bob", {"rotate-my-key": "exempt"})
    lines = shop.run("fleet", "report").out.splitlines()
    assert lines[1].startswith("1 of root, 0 overdue")
    assert lines[2].endswith("2 fail 1.14 (the benchmark has no exemptions)")
    assert lines[5].split(maxsplit=2) == ["AGE", "KEYS", "active keys of users, without root"]
    shop.aws.deny("ListUserTags")
    done = shop.run("fleet", "report")
    (bob,) = [line for line in done.out.splitlines() if " bob " in line]
    assert (done.code, bob.endswith("exempt? the tags of bob could not be read")) == (0, True)
    assert "1 key of users who may be exempt: this could not be read" in done.out


def test_owners_by_the_mapping_file(shop: Desk) -> None:
    """The file's address goes before the tag."""
    mapping = shop.home / "owners.csv"
    mapping.write_text("bob,robert@example.com\n")
    words = fleet(shop, f"[owners]\nmapping = {mapping}\n")
    assert "robert@example.com" in shop.run(*words).out
    mapping.write_text("bob\n")
    assert shop.run(*words).problem()[0] == f"{mapping}, line 1: 1 values instead of two"
    mapping.write_bytes(b"bob,\xff@example.com\n")
    assert shop.run(*words).problem()[0] == f"{mapping} is not UTF-8 text"
    mapping.unlink()
    assert shop.run(*words).problem()[0] == f"there is no file {mapping}"


def test_an_inactive_key_without_dates(shop: Desk) -> None:
    """IAM's guide says that the report may not tell of it; then it is not there unless keys are listed."""
    shop.aws.settings.report_hides_inactive = True
    key = shop.aws.keys("bob")[0]
    shop.aws.set_status(key.key_id, "Inactive")
    assert not [each for each in shop.run("fleet", "report", "--json").json["keys"] if each["user"] == "bob"]


@pytest.mark.slow
def test_an_account_without_users(it: Desk) -> None:
    """Nobody, nothing: that is a report too."""
    it.aws.add_account("empty", "333333333333").add_role("fleet")
    words = fleet(it, "[accounts]\nrole = fleet\nonly = 333333333333,\n")
    done = {form: it.run(*words, *form.split()) for form in ("", "--csv", "--html", "--json")}
    assert [(each.code, each.err.count("error")) for each in done.values()] == [(0, 0)] * 4
    assert done[""].out.splitlines()[0] == "1 account, 0 users, 0 keys; due at 75d, overdue at 90d"
    assert "VERDICT" not in done[""].out
    assert all(said in done["--html"].out for said in ("Nothing needs attention.", "0 users"))


@pytest.mark.slow
def test_names_with_all_their_signs(shop: Desk) -> None:
    """Signs that IAM allows, and owners in letters from anywhere; in CSV no name and no tag is a formula."""
    for name, owner in (("=svc+a,b@x_.-", "Zoë Å, \u5f20\u4f1f"), ("+a,b", '-2"x'), ("=1+1", "@SUM(A1)")):
        shop.aws.add_user(name, tags={"owner": owner})
        shop.aws.add_key(name, 98 * DAY, use=used())
    assert "=svc+a,b@x_.-" in shop.run("fleet", "report").out
    rows = list(csv.DictReader(io.StringIO(shop.run("fleet", "report", "--csv").out)))
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]
    assert {(row["user"], row["owner"]) for row in rows} >= {
        ("'=svc+a,b@x_.-", "Zoë Å, \u5f20\u4f1f"),
        ("'+a,b", "'-2\"x"),
        ("'=1+1", "'@SUM(A1)"),
    }
    assert "Zoë Å, \u5f20\u4f1f" in shop.run("fleet", "report", "--html").out


def test_json_is_as_documented(shop: Desk) -> None:
    """Exactly the fields of docs/json.md, with an account that failed, and a last use that is not known."""
    whole = shop.run(*fleet(shop), "--json").json
    shop.aws.break_account("222222222222", "denied")
    shop.aws.deny("GenerateCredentialReport")
    shop.aws.deny("GetAccessKeyLastUsed")
    shop.aws.set_status(shop.aws.keys("bob")[0].key_id, "Inactive")
    shop.aws.add_key("bob", 97 * DAY)
    (shop.home / "old.json").write_text(json.dumps(whole))
    since = shop.run(*fleet(shop), "--json", "--since", str(shop.home / "old.json")).json
    compare("`fleet report --json`", whole, since)
    assert (whole["by"], whole["organization"][:2]) == (f"arn:aws:iam::{shop.aws.account}:user/alice", "o-")
    assert whole["command"] == f"rotate-my-key fleet report --json --settings {shop.home}/fleet.ini"


def test_files_with_their_digests(shop: Desk) -> None:
    """`--out`: page, CSV and JSON in a folder that is made, and what `sha256sum --check` takes on stdout. They have
    whole IDs, for IT to act on, and no secret. `--html` prints the page."""
    done = shop.run(*fleet(shop), "--out", str(shop.home / "evidence"))
    assert done.code == 0, done.text
    files = {name: shop.home / "evidence" / name for digest, name in map(str.split, done.out.splitlines())}
    assert [each.partition(".")[2] for each in files] == ["json", "csv", "html"]
    assert done.out == "".join(f"{sha256(file.read_bytes()).hexdigest()}  {name}\n" for name, file in files.items())
    (key,), shown = shop.aws.keys("bob"), shop.run(*fleet(shop), "--html")
    *others, page = [file.read_text() for file in files.values()]
    assert all(each.startswith("<!doctype html>") and key.key_id in each for each in (page, shown.out))
    assert not any(shop.aws.pair(key.key_id).secret in each for each in (*others, page, shown.text))
    (shop.home / "file").touch()
    assert shop.run(*fleet(shop), "--out", str(shop.home / "file")).code == 1


def test_since_an_earlier_report(shop: Desk) -> None:
    """What changed, in lines; a file that is no report is refused before AWS is asked."""
    old = shop.home / "old.json"
    old.write_text(shop.run(*fleet(shop), "--json").out)
    shop.aws.set_status(shop.aws.keys("bob")[0].key_id, "Inactive")
    lines = shop.run(*fleet(shop), "--since", str(old)).out.splitlines()
    assert lines[-1] == "1 key no longer needs attention, 0 new"
    assert "overdue 1 -> 0, due 1 -> 1, fresh 2 -> 2, exempt 0 -> 0, inactive 0 -> 1, unused" in lines[-2]
    shop.aws.calls.clear()
    old.write_text("{}")
    done = shop.run("fleet", "report", "--since", str(old))
    assert (done.code, done.problem()[0]) == (2, f"{old} is not a report as --json prints it")
    assert shop.run("fleet", "report", "--since", str(shop.home / "none.json")).code == 1
    assert not shop.aws.calls


@pytest.mark.parametrize(
    ("words", "root", "bob", "code"),
    [
        ([], False, 98, 0),
        (["--check"], False, 98, 3),
        (["--check"], False, 80, 3),
        (["--check", "overdue"], False, 98, 3),
        (["--check", "overdue"], False, 80, 0),
        (["--check"], False, 10, 0),
        (["--check", "overdue"], True, 10, 3),
    ],
)
def test_check(it: Desk, words: list[str], root: bool, bob: int, code: int) -> None:
    """Exit 3 if a key is due or overdue, or root's; the exempt do not count; with --quiet nothing is printed."""
    it.aws.add_user("bob")
    it.aws.add_key("bob", bob * DAY, use=used())
    it.aws.add_user("bot", tags={"rotate-my-key": "exempt"})
    it.aws.add_key("bot", 400 * DAY, use=used())
    if root:
        it.aws.add_key(None, DAY)
    done = it.run("fleet", "report", "--quiet", *words)
    assert (done.code, bool(done.out)) == (code, not words)


@pytest.mark.parametrize(("well", "code"), [(False, 3), (True, 5)])
def test_check_of_an_account_that_fails(shop: Desk, well: bool, code: int) -> None:
    """What could not be checked is never 0, and a key that is due is 3 whatever else failed."""
    shop.aws.break_account("222222222222", "denied")
    for user in ("bob", None) if well else ():
        shop.aws.delete_key(shop.aws.keys(user)[0].key_id)
    assert shop.run(*fleet(shop), "--check").code == code


def test_what_makes_no_sense_is_refused_before_aws_is_asked(it: Desk) -> None:
    """Two forms at a time; and, by every command, an account whose number cannot be one. Without a role an account that
    is not ours is refused as well, when it is known who we are."""
    for two in ("--json --csv", "--html --json", "--csv --html", "--out x --json"):
        assert it.run("fleet", "report", *two.split()).code == 2, two
    for words in ("report", "remind --yes", "enforce", "revoke bob", "recall --by 3d --reason lost"):
        done = it.run("fleet", *words.split(), "--account", "12")
        assert (done.code, done.problem()[0]) == (2, "'12' is not an account number"), words
    assert not it.aws.calls
    done = it.run(*fleet(it, "[accounts]\nonly = 444444444444,\n"))
    assert (done.code, "no role is set" in done.problem()[0], [*calls(it)]) == (2, True, ["GetCallerIdentity"])


def test_a_denied_organization(shop: Desk) -> None:
    """It is not known which accounts there are: that is an error, not an empty report."""
    shop.aws.deny("ListAccounts")
    done = shop.run(*fleet(shop), "--json")
    assert done.code == 5
    assert "keys" not in done.json
    assert "sign in to the management account or a delegated administrator, or set only in [accounts]" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "seen", "unseen"), [(80, "", "OWNER"), (110, "OWNER", "eu-west-1"), (200, "eu-west-1", "?")]
)
def test_a_narrow_terminal_is_shown_less(shop: Desk, width: int, seen: str, unseen: str) -> None:
    """No row is broken over lines: owners, then services and account numbers are left out."""
    lines = shop.shown(*fleet(shop), width=width).lines
    rows = [line for line in lines if line.startswith(("VERDICT", "root", "overdue", "due"))]
    assert len(rows) == 4
    assert lines[lines.index(rows[0]) + 3] == rows[-1]
    assert seen in "".join(rows)
    assert unseen not in "".join(rows)


@pytest.mark.slow
@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_long_address_is_not_broken(shop: Desk, width: int) -> None:
    """It stands whole in its row, or below it where the terminal is too narrow, and is left out where owners are."""
    owner = "maria.magdalena.von.oesterreich@accounting.subsidiary.example.com"
    shop.aws.set_tags("bob", {"owner": owner})
    screen = shop.shown(*fleet(shop), width=width)
    assert max(map(len, screen.lines)) <= width
    assert (owner in screen.text) == (width >= 100)


@pytest.mark.slow
def test_a_terminal_sees_colours_and_progress(shop: Desk) -> None:
    """A bar that goes away again, and colours; neither with NO_COLOR and --quiet."""
    shop.aws.settings.report_polls = 1
    shown = shop.shown(*fleet(shop), width=160)
    assert shown.code == 0
    assert "collecting reports" in shown.stream
    assert "collecting reports" not in shown.text
    assert any("\x1b[31m" in line for line in shown.styled)
    plain = shop.shown(*fleet(shop), "--quiet", NO_COLOR="1")
    assert "\x1b[31m" not in plain.stream
    assert "collecting" not in plain.stream


def test_a_report_of_three_hours_ago_is_used_again(shop: Desk) -> None:
    """AWS gives it; it is said of when it is, and lists show what happened since."""
    shop.run("fleet", "report")
    shop.aws.age_report(timedelta(hours=3))
    shop.aws.add_key("bob", timedelta(0), use=LastUse(now(), "s3", "eu-west-1"))
    found = shop.run("fleet", "report", "--json").json
    at = datetime.fromisoformat(found["accounts"][0]["at"])
    assert timedelta(hours=3) <= now() - at < timedelta(hours=3, minutes=5)
    made = sorted(datetime.fromisoformat(key["created"]) for key in found["keys"] if key["user"] == "bob")
    assert [each > at for each in made] == [False, True]
