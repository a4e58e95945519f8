"""From a fresh account to a laptop whose credentials file holds a key that IT has never seen, over HTTP."""

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotate_my_key.core.model import Credentials
from rotate_my_key.fleet.messages import day
from tests.cli.test_json_docs import compare

from .office import REGION, Office

MAIL = """
[remind]
owners = mail,
[channels]
[[mail]]
kind = ses
sender = it@example.com
"""

Spoil = Callable[[Office, str], str]


def test_through_secrets_manager(office: Office) -> None:
    """Told by mail, fetched with the old key, put where that was, rotated at once; the delivery is gone."""
    office.channels = f"{MAIL}[enforce]\ndeactivate_at = 120d\naccounts = {office.aws.account}\n"
    office.aws.verify("it@example.com")
    office.aws.verify("alice@example.com")
    done = office.reissue()
    assert done.code == 0, done.text
    handed = office.new_id()
    (mail,) = office.aws.mails
    assert mail.to == ("alice@example.com",)
    off = f"will be deactivated on {day(datetime.now(UTC) + timedelta(days=22))}, or a few days later, "
    assert f"{off}even if you do not have it." in " ".join(mail.text.split())
    assert f"The old key {off}whether it was fetched or not." in done.err
    place = next(line.split()[-1] for line in mail.text.splitlines() if "rotate-my-key adopt" in line)
    office.quiet(done.text, mail.text, mail.subject)
    adopted = office.adopt(place)
    assert adopted.code == 0, adopted.text
    office.settled(handed)
    assert office.waiting() == []
    office.quiet(adopted.text)


def test_through_s3_by_a_link(bucket: Office) -> None:
    """Given to standard input; the file that held it was for its owner alone. The sweep clears the place."""
    link = bucket.link()
    file = bucket.it.home / "link"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    handed = bucket.new_id()
    done = bucket.paste(f"{link}\n")
    assert done.code == 0, done.text
    bucket.settled(handed)
    assert "Signature" not in done.text
    assert len(bucket.waiting()) == 2
    bucket.age(timedelta(hours=1))
    swept = bucket.sweep("--json")
    assert [row["fate"] for row in swept.json["handovers"]] == ["cleared"]
    assert bucket.waiting() == []


@pytest.mark.slow
def test_through_s3_by_a_role(bucket: Office) -> None:
    """The auth profile only fetches: it may do nothing with keys."""
    place = bucket.place()
    role = bucket.aws.add_role("Reader")
    bucket.aws.allow(role, "s3:GetObject", "s3:DeleteObject", resource="arn:aws:s3:::handover/*")
    session = bucket.aws.role_session(role)
    bucket.alice.add(
        f"[sso]\naws_access_key_id = {session.key_id}\naws_secret_access_key = {session.secret}\n"
        f"aws_session_token = {session.token}\nregion = {REGION}\n",
        bucket.alice.home / "sso",
    )
    bucket.alice.add(f"[profile sso]\ncredential_process = {_process(bucket, session)}\n", bucket.alice.config)
    handed = bucket.new_id()
    done = bucket.adopt(place, "--auth-profile", "sso", AWS_DEFAULT_REGION=REGION)
    assert done.code == 0, done.text
    bucket.settled(handed)
    assert [name.rpartition("/")[2] for name in bucket.waiting()] == ["slip"]


def _process(office: Office, session: Credentials) -> str:
    """A program that prints a session, as SSO helpers do."""
    pair = {"AccessKeyId": session.key_id, "SecretAccessKey": session.secret, "SessionToken": session.token}
    file = office.alice.home / "session.json"
    file.write_text(json.dumps({"Version": 1, **pair}))
    return f"cat {file}"


@pytest.mark.slow
def test_on_a_fresh_laptop(office: Office) -> None:
    """No profile is there: it is made. Only the session that bears her name may fetch."""
    office.aws.delete_key(office.old.key_id)
    role = office.aws.add_role("Developer")
    office.settings["reader"] = f"arn:aws:sts::{office.aws.account}:assumed-role/Developer/{{user}}"
    place = office.place("--for-profile", "work")
    office.alice.credentials.unlink()
    office.alice.add(
        f"[profile dev]\nrole_arn = {role}\nsource_profile = base\nrole_session_name = alice\n", office.alice.config
    )
    office.aws.add_user("base")
    office.aws.allow("base", "sts:AssumeRole")
    office.alice.profiles(base=office.aws.add_key("base"))
    handed = office.new_id()
    done = office.adopt(place, "--auth-profile", "dev")
    assert done.code == 0, done.text
    assert office.held("work").key_id != handed
    assert office.alice.ids() == {office.held("work").key_id: "Active"}
    assert office.waiting() == []


@pytest.mark.slow
def test_nobody_else_can_fetch_it(office: Office) -> None:
    """Neither IT, nor another user, nor another session of the same role, whatever their policies allow."""
    office.settings["reader"] = f"arn:aws:sts::{office.aws.account}:assumed-role/Developer/{{user}}"
    role = office.aws.add_role("Developer")
    place = office.place()
    office.aws.add_user("admin")
    for who in ("it", "admin", role):
        office.aws.allow(who, "*")
    office.alice.credentials.unlink()
    others = {"it": office.aws.add_key("it"), "admin": office.aws.add_key("admin")}
    office.alice.profiles(**others)
    office.alice.add(
        f"[profile dev]\nrole_arn = {role}\nsource_profile = admin\nrole_session_name = bob\n", office.alice.config
    )
    for profile in ("it", "admin", "dev"):
        done = office.adopt(place, "--auth-profile", profile, "-p", "new")
        assert done.code == 5, done.text
        assert "cannot be fetched with profile" in done.problem()[0]
        assert "[new]" not in office.alice.credentials.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "rights", [[], ["iam:ListAccessKeys", "iam:UpdateAccessKey", "iam:DeleteAccessKey", "iam:GetUser"]]
)
def test_a_user_who_may_not_make_keys(office: Office, rights: list[str]) -> None:
    """The key is put in place and stays as IT made it; said, with exit code 5, and no later run complains of that. The
    old one goes where that is allowed; else it is left to IT."""
    office.aws.detach_policies("alice")
    if rights:
        office.aws.allow("alice", *rights)
    place = office.place()
    handed = office.new_id()
    done = office.adopt(place)
    assert done.code == 5, done.text
    assert rights or "set up but was not replaced" in done.text
    assert office.held().key_id == handed
    assert office.alice.ids() == {**({} if rights else {office.old.key_id: "Active"}), handed: "Active"}
    assert office.waiting() == []
    assert office.alice.run("doctor").text.count("handed-key") == 0
    if rights:
        again = office.alice.run("rotate", "-y", "-p", "work")
        assert again.code == 0, again.text


@pytest.mark.slow
def test_deleting_the_delivery_may_be_denied(office: Office) -> None:
    """A note; the sweep does it."""
    place = office.place()
    handed = office.new_id()
    office.aws.deny("DeleteSecret", user="alice")
    done = office.adopt(place)
    assert done.code == 0, done.text
    assert "(IT will delete it)" in done.text
    office.settled(handed)
    office.aws.all_well()
    office.age(timedelta(hours=1))
    swept = office.sweep()
    assert office.waiting() == [], swept.text


# Links


def test_a_link_is_refused_on_the_command_line(bucket: Office) -> None:
    """Others could read it there; nothing is fetched."""
    link = bucket.link()
    before = len(bucket.aws.calls)
    done = bucket.adopt(link)
    assert done.code == 2
    assert "others can read what is typed here" in done.problem()[0]
    assert link not in done.text
    assert len(bucket.aws.calls) == before


def test_a_link_does_not_open_the_key_of_a_later_one(bucket: Office) -> None:
    """`--renew` makes another key and another link; whoever has the first gets nothing by it."""
    first = bucket.link()
    bucket.age_all(1)
    assert bucket.reissue("--renew", "--link-file", str(bucket.it.home / "link")).code == 0
    done = bucket.paste(first)
    assert (done.code, "what the link leads to is gone" in done.problem()[0]) == (5, True), done.text
    handed = bucket.new_id()
    assert bucket.paste((bucket.it.home / "link").read_text()).code == 0
    bucket.settled(handed)


def elsewhere(where: str) -> Spoil:
    """The same signature, on another address."""
    return lambda bucket, link: f"{where}{link.partition('?')[2]}"


def expired(bucket: Office, link: str) -> str:
    """Its five minutes are over."""
    bucket.aws.settings.clock_offset += 600
    return link


def answers(kind: str) -> Spoil:
    """S3 answers so, whenever it is asked."""

    def spoil(bucket: Office, link: str) -> str:
        bucket.aws.fault("GetObject", kind, times=None)  # type: ignore[arg-type]
        return link

    return spoil


BAD_LINKS: list[tuple[str, Spoil, int, str]] = [
    ("cut off", lambda bucket, link: link[:-8], 5, "the link is incomplete"),
    ("elsewhere", elsewhere("https://evil.example/x?"), 1, "which is not S3"),
    ("of another object", lambda bucket, link: link.replace("/alice/", "/bob/"), 5, "the link is incomplete"),
    ("unsigned", lambda bucket, link: link.partition("?")[0], 1, "not a link that S3 has signed"),
    ("plain", elsewhere("http://evil.example/x?"), 1, "is not encrypted"),
    ("looks like S3", elsewhere("https://s3.amazonaws.com.evil.example/?"), 1, "is not S3"),
    ("expired", expired, 5, "the link has expired"),
    *((f"answered by {kind}", answers(kind), 75, "") for kind in ("drop", "html", "503")),
]


def sample(rows: list[Any], by_default: int) -> list[Any]:
    """The first rows in the default run, the others among the slow tests; a row begins with its name."""
    slow = [()] * by_default + [(pytest.mark.slow,)] * (len(rows) - by_default)
    return [pytest.param(*row[1:], id=row[0], marks=marks) for row, marks in zip(rows, slow, strict=True)]


@pytest.mark.parametrize(("spoil", "code", "words"), sample(BAD_LINKS, 2))
def test_bad_links(bucket: Office, spoil: Spoil, code: int, words: str) -> None:
    """Refused in a line that does not show them, or tried later; nothing is changed."""
    bucket.settings["link_for"] = "5m"
    done = bucket.paste(spoil(bucket, bucket.link()))
    assert done.code == code, done.text
    text, hint = done.problem()
    assert words in text
    assert "expired" not in words or hint == "ask IT for a new one"
    assert not any(each in done.text for each in ("X-Amz", "Signature", "/alice/"))
    assert bucket.held() == bucket.old


# What is delivered

TAMPERED: list[tuple[str, dict[str, object], int, str]] = [
    ("another user", {"user": "bob", "arn": "BOB"}, 1, "but it belongs to"),
    ("another secret", {"secret": "x" * 40}, 5, "AWS does not accept the new key from IT"),
    ("newer", {"version": 9}, 1, "this version of rotate-my-key cannot read"),
    ("reserved only", {"reserved": True}, 1, "is not there yet"),
    ("replaces another key", {"replaces": "AKIAXXXXXXXXXXXXXXXX"}, 1, "holds a working key"),
]


@pytest.mark.parametrize(("changes", "code", "words"), sample(TAMPERED, 1))
def test_a_delivery_that_was_tampered_with(office: Office, changes: dict[str, object], code: int, words: str) -> None:
    """Refused; file and keys stay as they are."""
    if "arn" in changes:
        changes = {**changes, "arn": f"arn:aws:iam::{office.aws.account}:user/bob"}
    place = office.deliver(**changes)
    before = office.alice.ids()
    done = office.adopt(place)
    assert done.code == code, done.text
    assert words in done.problem()[0]
    assert "cannot be fetched" not in done.text
    assert office.alice.ids() == before
    assert office.alice.credentials.read_text() == office.original


@pytest.mark.slow
def test_another_persons_delivery(office: Office) -> None:
    """Bob's link in alice's hands: her profile keeps its key."""
    office.aws.add_user("bob")
    bobs = office.aws.add_key("bob")
    arn = f"arn:aws:iam::{office.aws.account}:user/bob"
    place = office.deliver(user="bob", arn=arn, key_id=bobs.key_id, secret=bobs.secret, replaces="")
    done = office.adopt(place, "-p", "work")
    assert done.code == 1
    assert "holds a key of alice" in done.problem()[0]
    assert office.alice.credentials.read_text() == office.original


@pytest.mark.parametrize("name", ["secretsmanager:", "secretsmanager:a b", "s3://handover", "s3://UPPER/x", "s3:///x"])
def test_names_that_make_no_sense(office: Office, name: str) -> None:
    """Exit code 2, and nothing is asked."""
    done = office.adopt(name)
    assert done.code == 2, done.text


@pytest.mark.slow
def test_nobody_here_can_sign_in(office: Office) -> None:
    """The old key is dead: another profile, or a link."""
    place = office.place()
    office.aws.delete_key(office.old.key_id)
    done = office.adopt(place, "-p", "work")
    assert done.code == 5, done.text
    assert "--auth-profile NAME; or ask IT for a link" in done.problem()[1]


@pytest.mark.slow
def test_a_dead_old_key_gives_way(bucket: Office) -> None:
    """Switched off by IT: a link needs no key that works."""
    link = bucket.link()
    handed = bucket.new_id()
    bucket.aws.set_status(bucket.old.key_id, "Inactive")
    done = bucket.paste(link)
    assert done.code == 0, done.text
    bucket.settled(handed)


# Bad days


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["throttle", "500", "drop"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_bad_days(office: Office, kind: str, when: str) -> None:
    """Each service answers badly once at every call of both runs: the result is the same."""
    stored = ("PutSecretValue", "PutResourcePolicy", "GetSecretValue")
    for action in (*stored, "UpdateAccessKey", "DeleteAccessKey", "TagUser"):
        office.aws.fault(action, kind, when)  # type: ignore[arg-type]
    place = office.place()
    handed = office.new_id()
    done = office.adopt(place)
    assert done.code == 0, done.text
    office.settled(handed)


def test_nothing_is_made_before_somebody_says_so(office: Office) -> None:
    """A dry run says what would be done. Without a terminal the flag is named, exit code 4, and so it is where an
    inactive key must give way first: the whole command stands there."""
    before, settings = office.alice.ids(), office.it.home / "fleet.ini"
    done = office.reissue("--dry-run")
    assert done.code == 0, done.text
    assert "A new key will be created, and will wait in Secrets Manager for 7 days, until " in done.text
    done = office.reissue(yes=False)
    assert (done.code, done.problem()[1]) == (4, f"rotate-my-key fleet reissue alice --settings {settings} --yes")
    assert (office.alice.ids(), office.waiting()) == (before, [])
    office.aws.set_status(office.aws.add_key("alice").key_id, "Inactive")
    done = office.reissue()
    hint = f"rotate-my-key fleet reissue alice --yes --settings {settings} --replace-inactive"
    assert (done.code, done.problem()[1]) == (4, hint), done.text


def test_json_has_no_secret(office: Office) -> None:
    """Neither the key's nor a link's."""
    done = office.reissue("--json")
    assert (done.json["ending"], done.json["key_id"]) == ("made", office.new_id())
    office.quiet(done.text)


@pytest.mark.slow
@pytest.mark.parametrize("accounts", [0, 1, 2])
def test_a_user_of_another_account(office: Office, accounts: int) -> None:
    """He is looked for wherever the role leads; the one account that has him is named, with the command."""
    members = [office.aws.add_account(f"member-{number}") for number in range(2)]
    for number, member in enumerate(members):
        member.allow(member.add_role("rotate-my-key-fleet"), "iam:*")
        if number < accounts:
            member.add_user("bob-1")
    office.aws.allow("it", "organizations:ListAccounts")
    office.channels = "[accounts]\nrole = rotate-my-key-fleet\n"
    done = office.reissue(user="bob-1")
    assert done.code == 1, done.text
    text, hint = done.problem()
    assert f"there is no user bob-1 in {office.aws.account}" in text
    if accounts == 1:
        assert text.endswith(f"but there is one in {members[0].account}")
        assert hint.startswith("rotate-my-key fleet reissue bob-1 ")
        assert f"--account {members[0].account}" in hint
    elif accounts == 2:
        assert all(member.account in text for member in members)
        assert hint.endswith("--account NUMBER")
    else:
        assert text.endswith("nor in any of 2 other accounts")


@pytest.mark.slow
def test_a_link_is_pasted(bucket: Office) -> None:
    """Into a question that does not show it; then it is asked, and done."""
    link = bucket.link()
    handed = bucket.new_id()
    terminal = bucket.alice.terminal("adopt")
    terminal.answer("Access key ID, or the link from IT (hidden)", f"{link}\r")
    terminal.answer("Use this key?", "y\r")
    screen = terminal.end()
    assert screen.code == 0, screen.text
    assert "X-Amz" not in screen.stream
    bucket.settled(handed)


@pytest.mark.slow
def test_it_is_declined(office: Office) -> None:
    """Nothing is changed, and it waits on."""
    place = office.place()
    before = office.alice.ids()
    terminal = office.alice.terminal("adopt", place)
    terminal.answer("Use this key?", "n\r")
    assert terminal.end().code == 4
    assert (office.alice.ids(), office.held()) == (before, office.old)
    assert len(office.waiting()) == 1


@pytest.mark.slow
def test_the_commands_that_run_afterwards(office: Office) -> None:
    """They are told of each key before the one that it replaces goes: of IT's, then of the one that stays."""
    told = office.alice.home / "told"
    office.alice.settings(f"[after_rotate]\n[[note]]\ncommand = tee, -a, {told}\n")
    place, handed = office.place(), office.new_id()
    done = office.adopt(place)
    assert done.code == 0, done.text
    values = map(json.loads, told.read_text().replace("}{", "}\n{").splitlines())
    changes = [(value["old_key_id"], value["new_key_id"]) for value in values]
    assert changes == [(office.old.key_id, handed), (handed, office.held().key_id)]


@pytest.mark.slow
def test_the_json_is_as_documented(office: Office) -> None:
    """Of a key that was made, of one that waits, of a dry run, of what cannot be told; and of the sweep."""
    dry = office.reissue("--dry-run", "--json")
    made = office.reissue("--json")
    office.channels = MAIL
    again = office.reissue("--json")
    assert again.code == 1, again.text
    compare("`fleet reissue USER --json`", dry.json, made.json, again.json)
    waits = office.sweep("--json")
    office.age(timedelta(days=8))
    office.aws.deny("UpdateAccessKey", times=1)
    failed = office.sweep("--json")
    assert failed.code == 5
    compare("`fleet reissue --sweep --json`", waits.json, failed.json, office.sweep("--json").json)


def test_one_mfa_code_fetches_and_rotates(office: Office) -> None:
    """Where MFA is demanded for everything: the code is good once, so one session carries the whole run."""
    device = office.aws.add_mfa("alice")
    office.aws.allow("alice", "iam:*")
    place = office.deliver()
    handed = office.new_id()
    office.aws.demand_mfa("alice")
    adopted = office.adopt(place, "--mfa-code", device.code)
    assert adopted.code == 0, adopted.text
    office.settled(handed)
    assert [call.action for call in office.aws.calls].count("GetSessionToken") == 1
