"""What a message looks like, and what IT may make of it."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.core.errors import WrongUsage
from rotate_my_key.core.model import LastUse, Recall
from rotate_my_key.core.policy import Verdict
from rotate_my_key.fleet.judge import Row
from rotate_my_key.fleet.messages import Channels, Renderer, digest_letters, digest_of, letters
from rotate_my_key.fleet.model import AwsAccount, Message, Owner
from rotate_my_key.fleet.notices import Digest, DigestCounts, Remark, plan_notices
from rotate_my_key.settings.fleet import Enforce, FleetSettings, Remind
from tests.fleet.fakes import NOW, FakeChannel, flat
from tests.fleet.remind.cases import OTHER, case, remembered

SETTINGS = FleetSettings(
    contact="#aws-help in the chat", remind=Remind(link="https://wiki.example.com/keys", escalate=("boss",))
)
TOLD = remembered("1 7EXAMPLE:n4:f20261101:l20261118")
RECALL = Recall(NOW - timedelta(days=1), NOW + timedelta(days=3), "stolen")


def called(row: Row) -> Row:
    """The same, recalled."""
    return replace(row, by_age=Verdict.OVERDUE, recall=RECALL)


def written(*cases: Row, folder: str = "", settings: FleetSettings = SETTINGS, which: int = 0) -> Message:
    """The first letter that goes out for these keys, or another."""
    channels = Channels(owners=(FakeChannel(),), escalate=(FakeChannel("boss", wants_address=False),))
    plan = plan_notices(cases, settings, NOW)
    return letters(plan, channels, settings, Renderer(folder, NOW))[which].message


def digest(*cases: Row, settings: FleetSettings = SETTINGS, reminds: bool = True, **more: Any) -> Message:
    """The digest after all of them were told."""
    channels = Channels((FakeChannel(),) if reminds else (), (FakeChannel("ops", wants_address=False),))
    plan, renderer = plan_notices(cases, settings, NOW), Renderer("", NOW)
    findings = Digest(NOW, DigestCounts(2, 10, 12, 1), **more)
    found = digest_of(plan, findings, plan.now, channels, renderer)
    return digest_letters(found, channels, settings, renderer)[0].message


TEXT = """\
Hello, your AWS access key needs to be replaced (maximum age is 90
days):

  ...MPLE of alice in production (123456789012)
    98 days old, overdue since 17 November 2026
    last used 3 hours ago by s3 in eu-west-1

On the computer that uses it, run:

    rotate-my-key

It creates a new key, verifies that it works, stores it in place of the
old one, and only then deactivates and deletes the old key. It takes
about half a minute and asks before it changes anything.

How to install rotate-my-key, and more:
  https://wiki.example.com/keys

Questions, or do you no longer need it? Contact: #aws-help in the chat.
Never send your secret access key to anyone: nobody needs it to help
you.
"""


def test_a_notice_says_whose_key_it_is_and_what_to_type() -> None:
    """User, account, age, since when, last use; link and contact."""
    message = written(case())
    assert (message.subject, message.to) == ("Your AWS access key is overdue for rotation", "alice@example.com")
    assert message.text == TEXT


@pytest.mark.parametrize(
    ("cases", "subject"),
    [
        ([case(age=80)], "Please replace your AWS access key by 5 December 2026"),
        ([case(tags=TOLD)], "Reminder 5: your AWS access key is overdue for rotation"),
        ([case(), case(account=OTHER, key_id="AKIAIOSFODNN7EXAMPL2")], "2 of your AWS access keys need to be replaced"),
        ([called(case(age=9))], "IT has recalled your AWS access key: replace it by 28 November 2026"),
        ([case(), called(case(age=9, key_id="AKIAIOSFODNN7EXAMPL2"))], "IT has recalled 1 of your AWS access keys"),
    ],
)
def test_subjects(cases: list[Row], subject: str) -> None:
    """A subject says what it is about, in one line."""
    assert written(*cases).subject == subject


@pytest.mark.parametrize(("limit", "by"), [(80, "2 December 2026"), (89, "4 December 2026"), (95, "5 December 2026")])
def test_a_key_is_due_before_it_is_deactivated(limit: int, by: str) -> None:
    """Where that comes first: nobody is asked for a new key by a day on which the old one is off already."""
    rules = Enforce(deactivate_at=timedelta(days=limit), accounts=("123456789012",))
    message = written(case(age=80), settings=replace(SETTINGS, enforce=rules))
    assert message.subject == f"Please replace your AWS access key by {by}"
    for text in (message.text, message.html):
        assert f"due for rotation by {by}" in flat(text)


def test_an_escalation_says_that_a_key_is_recalled() -> None:
    """With the reason, and without the maximum age, which does not matter then."""
    text = flat(written(called(case(tags=TOLD)), which=1).text)
    assert "98 days old, recalled by IT (stolen) on 24 November 2026, 4 reminders sent" in text
    assert "maximum age" not in text


def test_the_page_says_the_same_as_the_text() -> None:
    """Every fact of the text stands in the HTML too."""
    message = written(case(), case("deploy", 80, account=OTHER, address="alice@example.com", use=None, key_id=None))
    page = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", message.html)).split())
    for fact in ("...MPLE", "alice", "production (123456789012)", "98 days old", "overdue since 17 November 2026"):
        assert fact in page
    for fact in ("due for rotation by 5 December 2026", "last use unknown", "rotate-my-key rotate --all", "90 days"):
        assert fact in page
    assert '<a href="https://wiki.example.com/keys">' in message.html


def test_a_text_is_readable_in_72_columns() -> None:
    """Whatever the names are; a link, or a name that is longer, is left whole. For chats no paragraph is wrapped."""
    account = AwsAccount("123456789012", "the account of the department for " + "very long names " * 4)
    who: dict[str, Any] = {"name": "u" * 64, "account": account, "address": "u@example.com"}
    for found in (case(**who), case(**who, tags=TOLD, unsure="the members of group " + "g" * 128)):
        for which in (0, -1):
            message = written(found, which=which)
            lines, rows = message.text.splitlines(), message.rows.splitlines()
            assert [line for line in lines if len(line) > 72 and "g" * 128 not in line] == []
            assert (" ".join(message.text.split()), len(rows) < len(lines)) == (" ".join(message.rows.split()), True)


def test_values_are_no_markup() -> None:
    """Whatever somebody calls an account, a contact or the reason of a recall, it is text in the page."""
    evil = AwsAccount("123456789012", "<script>alert(1)</script>")
    settings = replace(SETTINGS, contact="<b>me</b>", remind=replace(SETTINGS.remind, link="javascript:alert(1)"))
    row = replace(called(case(account=evil)), recall=RECALL._replace(reason="<script>"))
    page = written(row, settings=settings).html
    assert "<script>" not in page and "<b>me" not in page
    assert "&lt;script&gt;" in page
    assert "href" not in page


def test_values_make_no_lines() -> None:
    """A line feed in a name adds neither a line to the text nor a header to the mail."""
    evil = AwsAccount("123456789012", "x\r\nBcc: everybody@example.com\u2028y")
    owner = Owner("alice\r\nBcc: all@example.com", "", "tag owner")
    found = replace(case(account=evil, tags=TOLD), owner=owner)
    channels = Channels(owners=(FakeChannel("chat", False),), escalate=(FakeChannel("boss", wants_address=False),))
    plan = plan_notices([found], SETTINGS, NOW)
    sent = [letter.message for letter in letters(plan, channels, SETTINGS, Renderer("", NOW))]
    assert len(sent) == 2
    for message in sent:
        assert message.subject.isprintable()
        assert not re.search(r"^\s*Bcc", message.text, re.MULTILINE)
        assert "\r" not in message.text


def test_the_fourth_notice_is_escalated() -> None:
    """Others are told who does not answer, and he is told that they are, where there are others."""
    alone = replace(SETTINGS, remind=replace(SETTINGS.remind, escalate=()))
    for settings, others in ((SETTINGS, True), (alone, False)):
        text = flat(written(case(tags=TOLD), settings=settings).text)
        assert ("others have been notified too" in text) is others
    escalation = written(case(tags=TOLD), which=1)
    assert escalation.subject == "AWS access keys: alice@example.com has not acted on 4 reminders"
    assert "reminded 4 times" in escalation.text
    assert "AKIAIOSFODNN7EXAMPLE of alice" in escalation.text  # others act on it, so its ID is whole
    assert escalation.to == ""


def test_root_is_not_told_to_rotate() -> None:
    """Its keys are to be deleted."""
    found = case(address="boss@example.com")
    root = replace(found, user=replace(found.user, arn="arn:aws:iam::123456789012:root"))
    text = " ".join(written(root).text.split())
    assert "Sign in to the console as root and delete it" in text
    assert "\n    rotate-my-key" not in written(root).text


def test_a_digest_without_old_keys() -> None:
    """It comes all the same, and says that its absence is the alarm."""
    message = digest()
    assert message.subject == "AWS access keys: none due"
    assert message.text == (
        "25 November 2026: 12 keys of 10 users in 2 accounts checked, 1 user\n"
        "exempt. No active key is due. Maximum age is 90 days.\n\n"
        "You get this message after every run, even if no key is due. If it is\n"
        "missing, the run did not happen.\n"
    )


def test_a_digest_tells_what_admins_must_know() -> None:
    """Accounts that failed come first, then what goes unanswered, then all old keys."""
    message = digest(
        case(tags=TOLD),
        case("bob", 80, address="", key_id="AKIAIOSFODNN7EXAMPL2"),
        broken=(Remark("staging", "denied"),),
    )
    assert message.subject == "AWS access keys: 1 overdue, 1 due, 2 problems"
    titles = re.findall(r"^([A-Z][\w ,]+) \(\d+\)$", message.text, re.MULTILINE)
    assert titles == ["Could not be checked", "Reminders without effect", "Old keys", "Owners without an address"]
    assert "Owners without an address (1)\n  production (123456789012): bob\n" in message.text
    assert "bob in production (123456789012), AKIAIOSFODNN7EXAMPL2 (no address): 80 days, due" in flat(message.text)
    assert "4 reminders; last" in message.text.replace("\n  ", " ")
    for title in titles:
        assert title in message.html


def test_a_digest_is_cut_where_a_chat_would_be_flooded() -> None:
    """Fifty rows of each list, the oldest keys, and where to find the rest."""
    many = [case(f"user{n}", 91 + n, key_id=f"AKIA{n:016d}") for n in range(60)]
    text = digest(*many).text
    assert "... and 10 more: rotate-my-key fleet report" in text
    assert "user59" in text and "user9 " not in text
    assert len(text) < 16 * 1024


def test_a_digest_of_a_watch_without_owners_speaks_of_no_reminders() -> None:
    """Where nobody but the admins is told, nothing is unanswered."""
    text = digest(case(tags=TOLD), reminds=False).text
    assert "without effect" not in text and "notified now" not in text
    assert "Old keys (1)" in text


def test_a_digest_on_demand() -> None:
    """With `digest` off it comes only if a key is old or something is wrong, and does not promise to come always."""
    off = replace(SETTINGS, remind=replace(SETTINGS.remind, digest=False))
    channels, renderer = Channels(admins=(FakeChannel("ops", False),)), Renderer("", NOW)
    plan = plan_notices([], off, NOW)
    assert digest_letters(digest_of(plan, Digest(NOW), (), channels, renderer), channels, off, renderer) == ()
    assert "every run" not in digest(case(), settings=off).text


# Templates of IT's own


OWN = {
    "replaces ours": ("Subject: Key of {{ keys[0].user }}\nPlease.\n", "Please.\n"),
    "may extend ours, and include a file of its own": (
        '{% include "built-in/owner.txt.j2" %}\n{% include "_foot.txt.j2" %}',
        f"{TEXT}Example Ltd\n",
    ),
    "may name the user's tags, one of which AWS's console makes for a key": (
        "Subject: Key of {{ keys[0].user }}\n{% set tags = keys[0].tags %}"
        "{{ tags.team }}|{{ tags.get(keys[0].key_id, '') }}|{{ tags.get('floor', 'unknown') }}\n",
        "data Bcc: all@example.com|laptop|unknown\n",
    ),
}


@pytest.mark.parametrize("what", OWN)
def test_a_template_of_its_own(tmp_path: Path, what: str) -> None:
    """By its file name; the others stay. Each value is one line."""
    template, text = OWN[what]
    (tmp_path / "owner.txt.j2").write_text(template)
    (tmp_path / "_foot.txt.j2").write_text("Example Ltd\n")
    tags = {"team": "data\r\nBcc: all@example.com", "AKIAIOSFODNN7EXAMPLE": "laptop"}
    message = written(case(tags=tags), folder=str(tmp_path))
    assert message.text == text
    assert "extend" in what or message.subject == "Key of alice"
    assert "rotate-my-key" in message.html


OWNER = "owner.txt.j2"
WRONG = [
    (OWNER, b"Subject: x\n\n{{ nothing }}\n", f"{OWNER}, line 3: .*'nothing' is undefined"),
    (OWNER, b"Subject: x\n{% if %}\n", f"{OWNER}, line 2: .*Expected an expression"),
    (OWNER, b"Subject: x\n{{ 1 / 0 }}", f"{OWNER}, line 2: .*division by zero"),
    (OWNER, b"Subject: x\n{{ keys.__class__.__mro__ }}", f"{OWNER}, line 2: .*unsafe"),
    (OWNER, b"Hello\n", f"{OWNER}, line 1: the first line is not `Subject: ...`"),
    (OWNER, b"Subject:\n", f"{OWNER}, line 1: the first line is not `Subject: ...`"),
    (OWNER, b"Subject: x\n\n{{ keys[0].secret }}", f"{OWNER}, line 3: .*no attribute 'secret'"),
    (OWNER, b'Subject: x\n{% include "_gone.j2" %}', rf"{OWNER}: there is no template _gone\.j2"),
    (OWNER, b"Subject: \xff\n", f"{OWNER}: .*utf-8"),
    ("onwer.txt.j2", b"Subject: x\n", r"onwer\.txt\.j2 does not replace any template"),  # else nobody would notice
    ("", b"", "/gone cannot be used: no such file"),
]


@pytest.mark.parametrize(("name", "template", "said"), WRONG)
def test_what_is_wrong_with_a_template(tmp_path: Path, name: str, template: bytes, said: str) -> None:
    """One line names the file, or the folder, the line and what is wrong with it."""
    if name:
        (tmp_path / name).write_bytes(template)
    with pytest.raises(WrongUsage, match=said) as caught:
        written(case(), folder=str(tmp_path if name else tmp_path / "gone"))
    assert caught.value.message.isprintable()
    assert name in (OWNER, "") or OWNER in caught.value.hint


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (None, "last use unknown"),
        (LastUse(None, "N/A", "N/A"), "never used"),
        (LastUse(NOW - timedelta(days=40), "s3", "N/A"), "last used 40 days ago by s3"),
    ],
)
def test_an_unknown_last_use_is_not_never(use: LastUse | None, said: str) -> None:
    """What could not be asked, what AWS has no record of, and a use."""
    assert f"    {said}\n" in written(case(use=use)).text
