"""`fleet recall` marks users; laptops see it; `fleet enforce` switches off what is late; the report shows the curve."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta

import pytest

from rotate_my_key.core.model import RECALL_KEY, Recall, read_recall
from rotate_my_key.fleet.recall import read_by
from rotate_my_key.settings.fleet import Enforce, FleetSettings
from tests.fleet.enforce.conftest import RULES, TAG, Firm, firm, its

__all__ = ["firm", "its"]

BY = ("--by", "3d", "--reason", "laptop stolen", "--yes")
DAY = timedelta(days=1)


@pytest.fixture
def shop(firm: Firm) -> Firm:
    """Alice and bob have young keys, carol is exempt, dave has none."""
    firm.settings(RULES.format(account=firm.aws.account))
    firm.person("alice", 20)
    firm.person("bob", 40)
    firm.person("carol", 40, rotate_my_key="exempt")
    firm.aws.add_user("dave")
    return firm


def mark(firm: Firm, name: str) -> Recall | None:
    """What a user's tag says."""
    return read_recall(firm.aws.tags(name))


def test_everybody_who_is_not_exempt_is_marked(shop: Firm) -> None:
    """A dry run changes nothing; consent is asked for; owners get a mail with the day; the same reason goes on.
    [include] leaves nobody out."""
    shop.settings(f"[include]\nnames = eve,\n{RULES.format(account=shop.aws.account)}")
    dry = shop.it.run("fleet", "recall", "--all", *BY, "--dry-run")
    assert (dry.code, mark(shop, "alice")) == (0, None)
    assert "2 users would be recalled" in dry.out and "carol" in dry.err
    assert shop.it.run("fleet", "recall", "--all", *BY[:-1]).code == 4
    done = shop.it.run("fleet", "recall", "--all", *BY)
    assert done.code == 0, done.text
    found = mark(shop, "alice")
    assert found and found.reason == "laptop stolen" and found == mark(shop, "bob")
    assert (mark(shop, "carol"), mark(shop, "dave")) == (None, None)
    assert len(shop.aws.mails) == 2
    assert "recalled" in shop.aws.mails[0].text and "deactivated on" in shop.aws.mails[0].text
    again = shop.it.run("fleet", "recall", "--all", "--by", "5d", *BY[2:]).code
    moved = mark(shop, "alice")
    assert again == 0 and moved and (moved.at, moved.by > found.by) == (found.at, True)
    assert len(shop.aws.mails) == 2
    assert shop.it.run("fleet", "recall", "--all", "--by", "2d", *BY[2:]).code == 0  # earlier than was told
    assert len(shop.aws.mails) == 4
    assert shop.it.run("fleet", "recall", "--all", "--undo", "--yes").code == 0
    assert RECALL_KEY not in shop.aws.tags("alice")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--all", "--by", "10m", "--reason", "x"), "look once an hour"),
        (("--all", "--by", "soon", "--reason", "x"), "is not a time"),
        (("--all", "--by", "999999w", "--reason", "x"), "is not a time"),
        (("--all", "--by", "9999-12-31", "--reason", "x"), "more than a year"),
        (("--all", "--by", "2026-01-01", "--reason", "x"), "is over"),
        (("--all", "--by", "3d", "--reason", "a, b"), "cannot hold"),
        (("--all", "--by", "3d"), "needs --by and --reason"),
        (("--by", "3d", "--reason", "x"), "say whose keys"),
        (("--all", "--owner", "a@b", "--by", "3d", "--reason", "x"), "say whose keys"),
    ],
)
def test_what_cannot_be_meant(shop: Firm, words: tuple[str, ...], says: str) -> None:
    """Exit 2, and nothing is marked."""
    done = shop.it.run("fleet", "recall", *words)
    assert (done.code, says in done.err, mark(shop, "alice")) == (2, True, None)


@pytest.mark.parametrize(
    ("text", "zone", "by"),
    [
        ("2026-12-09", "UTC", "2026-12-09T23:59"),
        ("2026-12-09", "Europe/Vienna", "2026-12-09T22:59"),
        ("2026-12-09", "Pacific/Auckland", "2026-12-09T10:59"),
        ("2026-12-09", "America/Los_Angeles", "2026-12-09T23:59"),
        ("20261209", "America/New_York", "2026-12-09T23:59"),
        ("2026-12-09T17:00", "America/Los_Angeles", "2026-12-10T01:00"),
        ("2026-12-09T17:00+01:00", "America/Los_Angeles", "2026-12-09T16:00"),
        ("3d", "America/Los_Angeles", "2026-12-06T06:00"),
    ],
)
def test_a_day_is_the_same_one_wherever_it_is_named(text: str, zone: str, by: str) -> None:
    """Messages name it in UTC, where it must not be the next one."""
    settings = FleetSettings(enforce=Enforce(timezone=zone))
    found = read_by(text, datetime(2026, 12, 3, 6, tzinfo=UTC), settings)
    assert f"{found.astimezone(UTC):%Y-%m-%dT%H:%M}" == by


@pytest.mark.parametrize("kind", ["no rights", "one owner"])
def test_part_of_it(shop: Firm, kind: str) -> None:
    """Without the right to tag, or to see the tags: exit 5; an owner's users alone."""
    if kind == "no rights":
        shop.aws.deny("TagUser")
        done = shop.it.run("fleet", "recall", "--all", *BY)
        assert (done.code, mark(shop, "alice")) == (5, None)
        shop.aws.deny("ListUserTags")
        assert shop.it.run("fleet", "recall", "--all", "--undo", "--yes").code == 5
        return
    done = shop.it.run("fleet", "recall", "--owner", "bob@example.com", *BY)
    assert done.code == 0, done.text
    assert mark(shop, "bob") and not mark(shop, "alice")
    shop.person("bob2", 30, owner="bob@example.com")
    assert shop.it.run("fleet", "recall", "--owner", "bob@example.com", "--by", "2d", *BY[2:]).code == 0
    assert shop.aws.mails[-1].subject == "IT has recalled 2 of your AWS access keys"


def test_nothing_is_done_that_cannot_be_written_down(shop: Firm) -> None:
    """Not a user is marked where the audit cannot be written; where it fails in the end, owners are told."""
    audit = shop.it.state / "fleet-audit.jsonl"
    audit.mkdir(parents=True)
    done = shop.it.run("fleet", "recall", "--all", *BY)
    assert (done.code, mark(shop, "alice"), mark(shop, "bob")) == (1, None, None)
    assert "audit cannot be written (cannot write" in done.err
    audit.rmdir()
    shop.settings(f"[audit]\nlog_group = /rotate-my-key/audit\n{RULES.format(account=shop.aws.account)}")
    shop.aws.add_log_group("/rotate-my-key/audit")
    shop.aws.deny("PutLogEvents", skip=2)
    done = shop.it.run("fleet", "recall", "--all", *BY)
    assert (done.code, len(shop.aws.mails), "warning: the audit" in done.err) == (1, 2, True), done.text


def late(shop: Firm, name: str, told: int = 3) -> None:
    """A recall whose day is over, and of which its user was told so many days ago for the day after; 0 for never."""
    now = datetime.now(UTC)
    if told:
        shop.told(name, told)
        shop.aws.set_tags(name, {**shop.aws.tags(name), TAG: f"{shop.aws.tags(name)[TAG]}:y1"})
    shop.aws.set_tags(name, {**shop.aws.tags(name), RECALL_KEY: Recall(now - 4 * DAY, now - DAY, "lost").value})


@pytest.mark.parametrize(("told", "status"), [(2, "Inactive"), (3, "Active"), (5, "Active"), (0, "Active")])
def test_enforce_switches_off_what_is_late(shop: Firm, told: int, status: str) -> None:
    """After a notice of this day, and not after one of an earlier day or none: then one goes out first."""
    late(shop, "alice", told)
    done = shop.enforce("--apply", "--yes")
    assert done.code == 0, done.text
    assert set(shop.ids("alice").values()) == {status}
    assert set(shop.ids("bob").values()) == {"Active"}
    assert "recalled on" in shop.aws.mails[0].text


def test_an_ordinary_notice_on_the_day_of_a_recall_is_none_of_it(shop: Firm) -> None:
    """However often its owner was told of its age: the recall is told first."""
    late(shop, "alice", 0)
    shop.told("alice", 3)
    assert shop.enforce("--apply", "--yes").code == 0
    assert (set(shop.ids("alice").values()), len(shop.aws.mails)) == ({"Active"}, 1)


def test_a_second_recall_puts_off_no_day(shop: Firm) -> None:
    """What is open by an earlier day stays so, and the plan says of which recall it is."""
    assert shop.it.run("fleet", "recall", "--user", "alice", *BY).code == 0
    first = mark(shop, "alice")
    done = shop.it.run("fleet", "recall", "--all", "--by", "7d", "--reason", "incident", "--yes")
    both = mark(shop, "alice"), mark(shop, "bob")
    assert first and both[0] and both[1]
    assert (both[0].by, both[0].reason, both[1].by > first.by) == (first.by, "incident", True)
    assert ": laptop stolen)" in done.err


def test_a_recall_of_a_time_to_come_is_none(shop: Firm) -> None:
    """No new key could satisfy it: whoever tags themselves so is recalled like everybody."""
    now = datetime.now(UTC).replace(microsecond=0)
    shop.aws.set_tags("alice", {RECALL_KEY: Recall(now + 9 * DAY, now + 20 * DAY, "laptop stolen").value})
    assert shop.it.run("fleet", "recall", "--all", *BY).code == 0
    assert (mark(shop, "alice"), len(shop.aws.mails)) == (mark(shop, "bob"), 2)


def test_all_accounts_are_enforced_accounts(shop: Firm) -> None:
    """`accounts = all` counts when it is said what will be done."""
    shop.settings(RULES.format(account="all"))
    done = shop.it.run("fleet", "recall", "--user", "alice", *BY)
    assert "nothing is deactivated" not in done.err
    assert "deactivated on" in shop.aws.mails[0].text


@pytest.mark.parametrize(("how", "code"), [("denied", 5), pytest.param("throttled", 75, marks=pytest.mark.slow)])
def test_a_mail_that_does_not_arrive_is_said(shop: Firm, how: str, code: int) -> None:
    """The recall stands; the exit code is that of the mail, and the JSON says whom it did not reach."""
    if how == "denied":
        shop.aws.deny("SendEmail")
    else:
        shop.aws.fault("SendEmail", "throttle", times=None)
    done = shop.it.run("fleet", "recall", "--user", "alice", *BY, "--json")
    assert done.code == code and done.json["untold"] and mark(shop, "alice")


def test_without_a_channel_it_is_said(shop: Firm) -> None:
    """Nobody can be told of the recall."""
    (shop.it.home / ".config" / "rotate-my-key" / "fleet.ini").write_text("")
    done = shop.it.run("fleet", "recall", "--user", "alice", *BY)
    assert done.code == 0 and "nobody was notified: no channel" in done.err


@pytest.mark.parametrize(
    ("words", "says"),
    [(("--user", "carol", *BY), "Nobody was recalled.\n"), (("--all", "--undo"), "Nothing to undo.\n")],
)
def test_where_nobody_is_recalled_nothing_more_is_said(shop: Firm, words: tuple[str, ...], says: str) -> None:
    """Neither what computers do next, nor how to undo it."""
    done = shop.it.run("fleet", "recall", *words)
    assert (done.code, done.out) == (0, says)


def test_undo_removes_any_tag(shop: Firm) -> None:
    """One of a newer version, too."""
    shop.aws.set_tags("alice", {RECALL_KEY: "2 whatever"})
    assert shop.it.run("fleet", "recall", "--user", "alice", "--undo", "--yes").code == 0
    assert RECALL_KEY not in shop.aws.tags("alice")


def test_a_new_key_is_ready(shop: Firm) -> None:
    """Where IT makes keys, one is made in the run that switches the old one off."""
    rules = RULES.format(account=shop.aws.account) + "reissue_at = 80d\n[reissue]\nenabled = yes\n"
    shop.settings(rules)
    late(shop, "alice", 2)
    done = shop.enforce("--apply", "--yes")
    assert done.code == 0, done.text
    assert sorted(shop.ids("alice").values()) == ["Active", "Inactive"]


def marked(shop: Firm, name: str, days: int, by: int, told: str = "") -> None:
    """Recalled so many days ago, to be replaced so many days from now; and what the fleet remembers of their key."""
    now, key = datetime.now(UTC), shop.aws.keys(name)[0].key_id[-8:]
    known = {TAG: f"1 {key}:{told.format(day=f'{now - days * DAY:%Y%m%d}')}"} if told else {}
    mark = Recall(now - days * DAY, now + by * DAY, "incident 4711").value
    shop.aws.set_tags(name, {**shop.aws.tags(name), RECALL_KEY: mark, **known})


@pytest.mark.parametrize(
    ("age", "told", "enforced", "says"),
    [
        (20, "", True, "It will be deactivated on"),
        (80, "", True, "It will be deactivated on"),
        (80, "n2:f{day}:l{day}:w1:d{day}", True, "It will be deactivated on"),
        (20, "n1:f{day}:l{day}:w1:d{day}:y6", True, "It will be deactivated on"),
        (20, "", False, "Replace it by"),
        (98, "", False, "Replace it by"),
    ],
)
def test_a_reminder_tells_the_truth_once(shop: Firm, age: int, told: str, enforced: bool, says: str) -> None:
    """Young, due or overdue, told of the recall or not: one mail with its reason, one day and the command; `enforce`
    then says nothing else, and counts it. The digest knows it too."""
    shop.settings(RULES.format(account=shop.aws.account if enforced else ""))
    shop.person("erin", age)
    marked(shop, "erin", days=4, by=2, told=told)
    assert shop.it.run("fleet", "remind", "--yes").code == 0
    (mail,) = shop.aws.mails
    day = f"{datetime.now(UTC) + 2 * DAY:%-d %B %Y}"
    assert mail.subject.endswith(f"IT has recalled your AWS access key: replace it by {day}")
    text = " ".join(mail.text.split())
    assert f"{age} days old, recalled by IT (incident 4711) on" in text and f"{says} {day}" in text
    assert "maximum age" not in text and "due" not in text and "run: rotate-my-key It" in text
    assert "recalled by IT (incident 4711)" in mail.html and f"{says} {day}" in mail.html
    (digest,) = shop.aws.published
    assert "1 overdue (1 recalled), 0 due" in digest.subject
    assert f"recalled by IT (incident 4711), to be replaced by {day}" in " ".join(digest.message.split())
    assert shop.it.run("fleet", "remind", "--yes").code == 0
    assert shop.enforce("--apply", "--yes").code == 0 or not enforced
    assert len(shop.aws.mails) == 1
    assert not enforced or ":y" in shop.aws.tags("erin")[TAG]


def test_the_report_shows_who_has_answered(shop: Firm) -> None:
    """How many were recalled, have rotated, are open, and their names and owners, in every form;
    the keys that are open are overdue, whatever their age. Without `--recalls` the tags of young keys are not read."""
    marked(shop, "alice", 3, -1)
    marked(shop, "bob", 3, -1)
    shop.aws.add_key("alice", timedelta(days=2))
    report = ("fleet", "report", "--recalls")
    done = shop.it.run(*report, "--json").json
    (curve,) = done["recalls"]
    assert [curve[name] for name in ("users", "rotated", "both", "open", "off")] == [2, 1, 1, 1, 0]
    open_user = {"account": shop.aws.account, "user": "bob", "owner": "bob@example.com"}
    assert (curve["open_users"], done["counts"]["recalled"], done["counts"]["overdue"]) == ([open_user], 2, 2)
    (key,) = [key for key in done["keys"] if key["user"] == "bob"]
    assert (key["verdict"], key["overdue"], key["recall"]["reason"]) == (
        "overdue",
        key["recall"]["at"],
        "incident 4711",
    )
    text = shop.it.run(*report).out
    assert "2 users: 1 rotated (1 with an old key that still works), 1 open" in text
    assert "2 overdue (2 recalled)" in text and f"open: bob in {shop.aws.account} (bob@example.com)" in text
    assert "recalled on 20" in text and ": incident 4711" in text
    page = shop.it.run(*report, "--html").out
    assert '<h2 id="recalls">Recalls</h2>' in page and 'aria-label="Users who have rotated, by day' in page
    assert page.count("bob@example.com") > 1 and "to be replaced by" in page
    rows = list(csv.DictReader(shop.it.run(*report, "--csv").out.splitlines()))
    assert [row["recall_reason"] for row in rows if row["user"] == "bob"] == ["incident 4711"]
    quiet = shop.it.run(*report, "--check", "-q")
    assert (quiet.code, quiet.out) == (3, "")
    assert shop.it.run("fleet", "report", "--check", "-q").code == 0
    one = shop.it.run(*report, "--user", "alice").out
    assert "1 user: 1 rotated" in one and "bob" not in one


@pytest.mark.parametrize("tag", ["", "tag = team-memory\n"])
def test_a_bot_without_an_owner_is_marked_and_not_cut_off(shop: Firm, tag: str) -> None:
    """Nobody could be told of it, so `enforce` spares it; the mark is the same whatever `[remind] tag` says."""
    channels = (
        f"[owners]\nby = tag\n[remind]\nowners = mail\n{tag}[channels]\n[[mail]]\nkind = ses\nsender = a@example.com\n"
    )
    file = shop.it.home / ".config" / "rotate-my-key" / "fleet.ini"
    file.write_text(RULES.format(account=shop.aws.account) + channels)
    assert shop.it.run("fleet", "recall", "--all", *BY).code == 0
    assert mark(shop, "alice")
    late(shop, "alice", 0)
    assert shop.enforce("--apply", "--yes").code == 0
    assert set(shop.ids("alice").values()) == {"Active"}


@pytest.mark.slow
def test_throttled_users_are_named_and_the_next_run_goes_on(shop: Firm) -> None:
    """Exit 75; the same words once more mark who is left, and leave the others as they are."""
    shop.aws.fault("TagUser", "throttle", times=None)
    assert shop.it.run("fleet", "recall", "--user", "alice", *BY).code == 75
    shop.aws.all_well()
    assert shop.it.run("fleet", "recall", "--all", *BY).code == 0
    assert mark(shop, "alice") and mark(shop, "bob")
