"""`fleet remind` as it is typed, against AWS's stand-in."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fleet.remind.conftest import READ, Company

SETTINGS = """\
contact = "#aws-help"

[owners]
domain = example.com

[remind]
owners = mail
admins = ops
escalate = ops
link = https://wiki.example.com/keys

[channels]
[[mail]]
kind = ses
sender = IT <it@example.com>

[[ops]]
kind = sns
topic = {topic}
"""


@pytest.fixture
def told(company: Company) -> Company:
    """Settings that mail owners and publish to admins."""
    change(company)
    return company


def change(company: Company, old: str = "", new: str = "", more: str = "") -> None:
    """These settings, with something replaced and more at their end."""
    text = SETTINGS.format(topic=company.aws.add_topic("rotate-my-key-ops", "eu-west-1"))
    company.settings((text.replace(old, new) if old else text) + more)


def test_owners_and_admins_are_told(told: Company) -> None:
    """Mails, the digest, what is remembered, and what is said."""
    done = told.remind("--yes")
    assert done.code == 0, done.text
    mails = sorted(told.aws.mails, key=lambda mail: mail.to)
    assert [mail.to for mail in mails] == [("alice@example.com",), ("bob@example.com",)]
    mail = mails[0]
    assert "98 days old, overdue since" in mail.text and "<li" in mail.html
    assert "last used 3 hours ago by s3 in eu-west-1" in mail.text
    (published,) = told.aws.published
    assert published.subject == "AWS access keys: 1 overdue, 1 due"
    assert (told.remembered("alice") or "").count(":n1:") == 1
    assert told.remembered("carol") is None
    assert done.out.splitlines() == [
        "1 account, 4 users, 4 keys: 1 overdue, 1 due",
        "  notified alice@example.com about 1 key (notice 1)",
        "  notified bob@example.com about 1 key (notice 1)",
        "  the digest went out via ops",
    ]


@pytest.mark.parametrize(
    ("more", "words", "to"),
    [
        ("", ["--user", "bob"], ["bob"]),
        ("\n[include]\nnames = a*,", [], ["alice"]),
        ("\n[limits]\n[[old]]\nnames = alice,\nmax_age = 365d", [], ["bob"]),
        ("\n[exempt]\n[[leave]]\nnames = alice,\nuntil = 2026-01-31", [], ["alice", "bob"]),
    ],
)
def test_some_users(told: Company, more: str, words: list[str], to: list[str]) -> None:
    """A trial, limits for some, an exemption that has ended: who is told, and what the digest says."""
    change(told, more=more)
    done = told.remind("--yes", *words)
    assert done.code == 0, done.text
    assert sorted(mail.to for mail in told.aws.mails) == [(f"{name}@example.com",) for name in to]
    assert ("[[leave]] of [exempt] ended on" in told.aws.published[0].message) is ("leave" in more)


def test_a_mail_names_the_limits_of_its_keys(told: Company) -> None:
    """One, or several where they differ."""
    told.person("bot", 20, owner="alice@example.com")
    change(told, more="\n[limits]\n[[bots]]\nnames = bot,\nmax_age = 20d")
    assert told.remind("--yes", "--user", "bot", "--user", "alice").code == 0
    (mail,) = told.aws.mails
    assert "(maximum age is 20 days or 90 days)" in " ".join(mail.text.split())


def test_without_a_terminal_it_does_not_ask(told: Company) -> None:
    """Exit 4 names the flag; nothing was sent or remembered."""
    done = told.remind()
    assert done.code == 4
    assert done.problem()[1] == "rotate-my-key fleet remind --yes"
    assert (told.aws.mails, told.aws.published, told.remembered("alice")) == ([], [], None)
    assert "2 owners will be notified via mail\nthe digest goes out via ops" in done.err


def test_a_dry_run_shows_every_message_and_changes_nothing(told: Company) -> None:
    """To whom, over what, subject and text; nothing but reading is called."""
    told.told_days_ago("bob", 1)
    done = told.remind("--dry-run")
    assert done.code == 0, done.text
    shown = done.out.splitlines()
    assert "--- via mail to alice@example.com" in shown
    assert "Subject: Your AWS access key is overdue for rotation" in shown
    assert "    rotate-my-key" in shown
    assert "--- via ops" in shown
    assert "--- bob@example.com was notified recently and is skipped" in shown
    assert shown[-1] == "Nothing was sent. 1 account, 4 users, 4 keys: 1 overdue, 1 due"
    assert told.actions <= {*READ, "sts:GetCallerIdentity", "sesv2:GetAccount", "ses:GetAccount"}
    assert told.remembered("alice") is None
    told.aws.settings.ses_sandbox = True  # what that means is said; a real run makes rows of it
    told.aws.verify("bob@example.com")
    assert "SES is in the sandbox" not in told.remind("--dry-run", "--quiet").out
    assert "channel mail: SES is in the sandbox" in told.remind("--dry-run").err


def test_before_anything_is_set_a_dry_run_shows_what_would_be_sent(company: Company) -> None:
    """The first command that somebody types; without --dry-run it says what is missing."""
    company.settings("[owners]\ndomain = example.com\n")
    done = company.remind("--dry-run")
    assert done.code == 0, done.text
    assert "to alice@example.com" in done.out
    assert "there is no channel yet (owners in [remind])" in done.err
    failed = company.remind("--yes")
    assert failed.code == 2
    assert "sets no channel for owners or admins" in failed.problem()[0]


def test_json(told: Company) -> None:
    """Ids whole, every letter, the numbers; a dry run has the same form."""
    (alice,) = told.aws.keys("alice")
    dry = told.remind("--dry-run", "--json").json
    done = told.remind("--yes", "--json").json
    assert (dry["dry_run"], done["dry_run"], done["version"]) == (True, False, 1)
    assert [done[name] for name in ("accounts", "users", "keys", "overdue", "due", "told")] == [1, 4, 4, 1, 1, 2]
    first = done["notices"][0]
    assert (first["address"], first["told"], first["number"]) == ("alice@example.com", True, 1)
    assert (first["keys"][0]["key_id"], first["keys"][0]["age_days"]) == (alice.key_id, 98)
    assert first["letters"][0]["subject"] == "Your AWS access key is overdue for rotation"
    assert done["digest"]["letters"][0]["channel"] == "ops"
    assert [each["letters"] for each in dry["notices"]] == [each["letters"] for each in done["notices"]]
    assert dry["digest"] == done["digest"]
    sent = {mail.to[0]: (mail.subject, mail.text.strip()) for mail in told.aws.mails}
    letters = [letter for each in dry["notices"] for letter in each["letters"]]
    assert {each["to"]: (each["subject"], each["text"].strip()) for each in letters} == sent
    assert [(each["subject"], each["text"]) for each in dry["digest"]["letters"]] == [
        (each.subject, each.message) for each in told.aws.published
    ]


def test_wrong_settings_are_found_before_anything_is_sent(company: Company) -> None:
    """Exit 2 and one line."""
    channel = "kind = sns\ntopic = arn:aws:sns:eu-west-1:123456789012:x\n"
    company.settings(f"[remind]\nadmins = x\ntemplates = /nowhere\n[channels]\n[[x]]\n{channel}")
    done = company.remind("--yes")
    assert done.code == 2
    assert done.problem()[0] == "the template folder /nowhere cannot be used: no such file or directory"
    company.settings("[remind]\nadmins = mail\n[channels]\n[[mail]]\nkind = ses\nsender = it@example.com\n")
    done = company.remind("--yes")
    assert (done.code, done.problem()[0]) == (2, "channel mail has no address to send to")
    assert company.actions == set()


def test_tagging_denied(told: Company) -> None:
    """Everybody is told; the exit code says that AWS does not allow something."""
    told.aws.deny("TagUser")
    done = told.remind("--yes")
    assert (done.code, len(told.aws.mails)) == (5, 2)
    assert "iam:TagUser" in told.aws.published[0].message
    (line, hint) = done.err.splitlines()[-2:]
    assert "warning: 2 users (" in line and " were notified, and will be again by the next run: " in line
    assert hint == "hint: allow it: rotate-my-key policy fleet-remind"


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "sent"), [("y\r", 2), ("n\r", 0), ("\r", 0)])
def test_in_a_terminal_it_asks_once(told: Company, answer: str, sent: int) -> None:
    """What is about to be sent stands above the question; no answer is no."""
    run = told.it.terminal("fleet", "remind")
    run.until("2 owners will be notified via mail")
    run.answer("Send now? [y/N]", answer)
    screen = run.end()
    assert (screen.code, len(told.aws.mails)) == (0, sent)
    assert ("notified alice@example.com about 1 key" in screen.text) == bool(sent)
    assert ("Nothing was sent." in screen.text) == (not sent)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["looking", "asked"])
def test_stopped_before_anything_is_sent(told: Company, when: str) -> None:
    """Ctrl-C says so; it is nothing of the laptop's own rotation."""
    if when == "looking":
        told.aws.settings.report_polls = 1000
    run = told.it.terminal("fleet", "remind")
    run.until("collecting reports" if when == "looking" else "Send now?")
    run.type("\x03")
    done = run.end()
    assert (done.code, told.aws.mails) == (130, [])
    assert "rotate-my-key status" not in done.text
    assert "stopped (nothing was sent)" in done.text or "Cancelled. Nothing changed." in done.text


def test_without_addresses_nobody_is_told_and_all_are_named(told: Company) -> None:
    """User names are no addresses and no domain is set: rows, and no fault of the run."""
    change(told, "domain = example.com", "")
    done = told.remind("--yes")
    assert (done.code, told.aws.mails) == (0, [])
    warning = "2 users have no address, so nobody is notified about their keys: alice and bob\nhint: set tag, domain or"
    assert done.err.count("address") == 1 and warning in done.err
    asked = told.remind()
    assert warning in asked.err and asked.err.index(warning) < asked.err.index("the digest goes out")
    rows, said = told.remind("--dry-run", "--json").json["unaddressed"], "no address is known for"
    assert rows == [{"about": f"{name} in {told.aws.account}", "text": f"{said} {name}"} for name in ("alice", "bob")]
    assert told.remembered("alice") is None
    assert "Owners without an address (2)" in told.aws.published[0].message
    assert "0 owners notified now" in told.aws.published[0].message


def test_report_and_reminder_count_alike(told: Company) -> None:
    """Root's keys, of whatever age, are neither overdue nor due. No tag and no domain makes an address for root, which
    is named apart: the mapping does."""
    told.aws.add_key(None, timedelta(days=400))
    told.aws.add_key(None, timedelta(days=3))
    run = told.remind("--yes", "--json")
    done, nobody = run.json, f"warning: root of account {told.aws.account} has no address, so nobody is notified"
    assert nobody in run.err and "users have no address" not in run.err
    assert "hint: add <root_account>,ADDRESS to the mapping of [owners]" in run.err
    counts = told.it.run("fleet", "report", "--json").json["counts"]
    assert {name: done[name] for name in ("root", "overdue", "due")} == {"root": 2, "overdue": 1, "due": 1}
    assert {name: counts[name] for name in ("root", "overdue", "due")} == {"root": 2, "overdue": 1, "due": 1}
    assert told.aws.published[0].subject.startswith("AWS access keys: 1 overdue, 1 due, 2 of root, ")
    shown = told.remind("--dry-run").out.splitlines()[-1]
    assert shown == "Nothing was sent. 1 account, 4 users, 6 keys: 2 of root, 1 overdue, 1 due"


def test_a_channel_without_a_region_fails_a_dry_run(told: Company) -> None:
    """The real run would fail too: said once, with what to do."""
    other = "\n[[other]]\nkind = ses\nsender = it@example.com\nto = it@example.com\n"
    change(told, "admins = ops", "admins = ops, other", other)
    del told.it.env["AWS_DEFAULT_REGION"]
    done = told.remind("--dry-run")
    assert done.code == 1
    assert done.err.count("no region is set, and sesv2 needs one") == 1
    assert done.err.splitlines()[-1].startswith("hint: set AWS_DEFAULT_REGION=")
    assert "--- via mail to alice@example.com" in done.out


@pytest.mark.slow
def test_a_template_is_tried_though_nobody_is_to_be_told(told: Company, tmp_path: Path) -> None:
    """What is wrong in it is found before anything is asked of AWS."""
    (tmp_path / "escalation.txt.j2").write_text("Subject: x\n{{ keys[0].nmae }}\n")
    change(told, "[remind]", f"[remind]\ntemplates = {tmp_path}")
    done = told.remind("--dry-run")
    assert done.code == 2
    assert done.problem()[0].startswith(f"{tmp_path / 'escalation.txt.j2'}, line 2: ")
    assert told.actions == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["owner", "escalation", "digest"])
def test_every_template_can_be_extended(told: Company, tmp_path: Path, name: str) -> None:
    """Ours with a line more pass the trial."""
    (tmp_path / f"{name}.txt.j2").write_text(f'{{% include "built-in/{name}.txt.j2" %}}\nExample Ltd\n')
    change(told, "[remind]", f"[remind]\ntemplates = {tmp_path}")
    assert told.remind("--dry-run").code == 0


@pytest.mark.slow
def test_a_role_that_is_nowhere_is_one_line(told: Company) -> None:
    """Not a warning for each account: it is rather a wrong setting, so that comes first."""
    for name in ("one", "two", "three"):
        told.account(name)
    change(told, more="\n[accounts]\nrole = nosuchrole\n")
    done = told.remind("--dry-run")
    warnings = [line for line in done.err.splitlines() if "nosuchrole" in line]
    assert len(warnings) == 2
    assert warnings[0].startswith("warning: 3 accounts (") and ": the role nosuchrole is not there" in warnings[0]
    assert warnings[1].startswith("hint: check role in [accounts] (nosuchrole); create it there: ")
    assert done.err.count("hint: ") == 1


def test_who_may_be_exempt_is_told_and_marked(told: Company) -> None:
    """The group could not be read: better one message too many; the message and the digest say why."""
    change(told, "[remind]", "[exempt]\ngroups = robots,\n[remind]")
    told.aws.add_group("robots", ["alice"])
    told.aws.deny("GetGroup")
    done = told.remind("--yes")
    assert len(told.aws.mails) == 2
    assert "(It may be exempt: the members of group robots could not be read.)" in " ".join(
        told.aws.mails[0].text.split()
    )
    digest = " ".join(told.aws.published[0].message.split())
    assert "May be exempt, but this could not be read (2)" in digest
    assert f"alice in {told.aws.account}: the members of group robots" in digest
    both = f"alice in {told.aws.account} and bob in {told.aws.account}"
    assert f"{both} may be exempt: the members of group robots could not be read" in done.err


@pytest.mark.slow
def test_who_does_not_answer_is_shown_to_others(told: Company) -> None:
    """The fourth notice: the question names the escalation, and a dry run shows it."""
    told.told_days_ago("alice", 3, notices=3)
    shown = told.remind("--dry-run").out
    assert "Subject: Reminder 4: your AWS access key is overdue for rotation" in shown
    assert "Subject: AWS access keys: alice@example.com has not acted on 3 reminders" in shown
    assert "1 escalation via ops" in told.remind().err
    assert told.remind("--yes").code == 0
    assert [each.subject for each in told.aws.published] == [
        "AWS access keys: alice@example.com has not acted on 3 reminders",
        "AWS access keys: 1 overdue, 1 due",
    ]


def test_nothing_to_send(told: Company) -> None:
    """With `digest` off and no old key it asks nothing and sends nothing."""
    change(told, "[remind]", "[remind]\ndigest = no")
    for name in ("alice", "bob"):
        for key in told.aws.keys(name):
            told.aws.delete_key(key.key_id)
    done = told.remind()
    assert (done.code, told.aws.published) == (0, [])
    assert done.out.splitlines()[-1] == "Nothing to send."


@pytest.mark.slow
def test_an_audit(told: Company) -> None:
    """A line for each key of which somebody was told, and one for the end of the run; if it cannot be written the
    messages went out all the same, and the exit code says so."""
    file = told.it.home / "audit.jsonl"
    change(told, more=f"\n[audit]\nfile = {file}\n")
    assert told.remind("--yes").code == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["what"], line.get("user")) for line in sorted(lines[:2], key=lambda line: str(line["user"]))] == [
        ("notified", "alice"),
        ("notified", "bob"),
    ]
    assert (lines[2]["what"], lines[2]["details"]["told"]) == ("ended", "2")
    change(told, more="\n[audit]\nlog_group = gone\n")
    told.told_days_ago("alice", 9)
    done = told.remind("--yes")
    assert (done.code, len(told.aws.mails)) == (1, 3)
    assert "warning: alice@example.com and the end of the run: the audit cannot be written" in done.err


@pytest.mark.slow
def test_many_owners_are_counted(told: Company) -> None:
    """In a terminal twenty names are enough."""
    for number in range(25):
        told.person(f"user{number:02d}", 100)
    done = told.remind("--yes")
    assert len([line for line in done.out.splitlines() if line.startswith("  notified ")]) == 20
    assert "  and 7 other owners (--json lists all)" in done.out
