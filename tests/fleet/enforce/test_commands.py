"""`fleet enforce` and `fleet revoke` as they are typed, over HTTP, under the policies that the program prints.

Two runs at once would tell everybody twice: the second waits for the first, and plans only then.
"""

from __future__ import annotations

import json
import re
import stat
import threading
import time
from pathlib import Path

import botocore.session
import click
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from rotate_my_key import policies
from rotate_my_key.cli.app import App
from rotate_my_key.cli.fleet.common import alone
from rotate_my_key.core.errors import TryLater
from rotate_my_key.files.platform import Lock
from rotate_my_key.fleet.rules import SkipRule
from rotate_my_key.settings.fleet import AGES, FleetSettings
from rotate_my_key.settings.fleet_ini import PRESETS, with_preset
from tests.cli.conftest import Desk
from tests.cli.terminal import ROOT
from tests.cli.test_json_docs import compare
from tests.fleet.enforce.conftest import RULES, TAG, Firm
from tests.standin.account import Account
from tests.test_docs import table

PAGE = (ROOT / "docs/it/enforce.md").read_text()


def test_without_apply_it_only_shows(ready: Firm) -> None:
    """What would be done and what is spared, each with its reason; nothing is changed, nobody is told."""
    done = ready.enforce()
    assert done.code == 0, done.text
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    old, new = (next(iter(ready.ids(name)))[-4:] for name in ("alice", "bob"))
    assert lines[:2] == ["Owners to notify:", *[line for line in lines if line.startswith(f"...{new} of bob")]]
    assert f"...{old} of alice in {ready.aws.account}: 97 days old (maximum age is 90 days)" in lines
    assert any("of dave in" in line and line.endswith("tag rotate-my-key=exempt") for line in lines)
    assert lines[-1] == "5 users in 1 account: 1 notice, 1 action."
    assert ready.changes == set()
    assert ready.aws.mails == []
    assert ready.audit == []


def test_with_apply_it_acts_and_everybody_is_told(ready: Firm) -> None:
    """The key goes off, the tag remembers, owner and admins are told, the audit has it, in a file of ours alone. It
    asks before: without a terminal it names the flag and does nothing."""
    done = ready.enforce("--apply")
    assert (done.code, done.problem()[1], ready.changes) == (4, "rotate-my-key fleet enforce --apply --yes", set())
    done = ready.enforce("--apply", "--yes")
    assert done.code == 0, done.text
    assert done.out == "1 owner notified, 1 deactivated.\n"
    assert list(ready.ids("alice").values()) == ["Inactive"]
    assert list(ready.ids("dave").values()) == ["Active"]
    assert sorted(mail.to[0] for mail in ready.aws.mails) == ["alice@example.com", "bob@example.com"]
    assert "fleet enforce --undo alice" in ready.aws.published[0].message
    assert [(line["what"], line.get("user", ""), line["outcome"]) for line in ready.audit] == [
        ("begun", "", "done"),
        ("notified", "bob", "done"),
        ("deactivated", "alice", "intended"),
        ("deactivated", "alice", "done"),
        ("ended", "", "done"),
    ]
    assert all(line["by"].endswith(":user/fleet") for line in ready.audit)
    assert stat.S_IMODE((ready.it.state / "fleet-audit.jsonl").stat().st_mode) == 0o600
    assert ready.enforce("--apply", "--yes").out == "Nothing to do.\n"


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code", "status"), [("y\r", 0, "Inactive"), ("\r", 4, "Active")])
def test_a_person_is_asked_once(ready: Firm, answer: str, code: int, status: str) -> None:
    """What would be done is on the screen before the question; Enter alone is no. So it is before revoking."""
    run = ready.it.terminal("fleet", "enforce", "--apply")
    run.until("To deactivate:")
    run.answer("Continue? [y/N]", answer)
    screen = run.end()
    assert (screen.code, list(ready.ids("alice").values())) == (code, [status]), screen.text
    run = ready.it.terminal("fleet", "revoke", "carol")
    run.until("active, 3 days old")
    run.answer("Deactivate 1 key now? [y/N]", answer)
    screen = run.end()
    assert (screen.code, list(ready.ids("carol").values())) == (code, [status]), screen.text


def test_it_is_taken_back(ready: Firm) -> None:
    """`--undo` switches on what enforce switched off, and what somebody else switched off stays so."""
    ready.enforce("--apply", "--yes")
    (other,) = ready.ids("carol")
    ready.aws.set_status(other, "Inactive")
    done = ready.it.run("fleet", "enforce", "--undo", "alice", "-y")
    assert done.code == 0, done.text
    assert list(ready.ids("alice").values()) == ["Active"]
    assert re.fullmatch(r"1 \w{8}:b\d{8}", ready.aws.tags("alice")[TAG])  # nothing but the day
    assert ready.audit[-2]["what"] == "restored"
    done = ready.it.run("fleet", "enforce", "--undo", "carol", "-y")
    assert (done.code, done.out) == (0, "Nothing to undo.\n"), done.text
    assert list(ready.ids("carol").values()) == ["Inactive"]
    assert "deactivated by somebody else" in done.err


def test_as_json(ready: Firm) -> None:
    """Planned acts, then done ones, with whole ids."""
    (key_id,) = ready.ids("alice")
    planned = ready.enforce("--json").json
    assert [(act["act"], act["user"], act["state"]) for act in planned["acts"]] == [
        ("notify", "bob", "planned"),
        ("deactivate", "alice", "planned"),
    ]
    assert [(each["rule"], each["user"]) for each in planned["spared"]] == [("exempt", "dave")]
    done = ready.enforce("--apply", "--yes", "--json").json
    assert (done["applied"], done["acts"][1]["state"], done["acts"][1]["key_id"]) == (True, "done", key_id)


def test_a_preset_needs_no_settings_to_be_shown(firm: Firm) -> None:
    """A dry run with a preset alone: what it would do, and that no account is named."""
    firm.person("alice", 200)
    done = firm.enforce("--preset", "staged-90")
    assert done.code == 0, done.text
    lines = done.out.splitlines()
    assert lines[0] == (
        "No account is listed in [enforce] accounts, so nothing will be changed, and no channel for owners is set in "
        "[remind]. The rules would do this:"
    )
    assert lines[1] == "Owners to notify:"
    assert "Users to get a new key from IT:" in lines
    assert lines[-1] == "2 users in 1 account: 1 notice, 1 action."


@pytest.mark.parametrize(
    ("of", "other", "names"),
    [
        ("remind", "enforce", ["tell-admin", "mail-owners"]),
        ("enforce", "remind", ["staged-90", "staged-30-60", "two-key-loop"]),
    ],
)
def test_the_presets_are_shown_under_the_command_they_are_for(of: str, other: str, names: list[str]) -> None:
    """Without AWS, with what they do and their settings, and where the others are; JSON has all."""
    from rotate_my_key.cli.fleet import command

    shown, as_json = (
        CliRunner().invoke(command, [of, "--presets", *more], obj=App({})).output for more in ((), ("--json",))
    )
    assert [line for line in shown.splitlines() if line in PRESETS] == names
    assert all(f"    {line}\n" in shown for name in names for line in PRESETS[name].settings if line)
    assert shown.endswith(f"rotate-my-key fleet {other} --presets\n")
    values = json.loads(as_json)["presets"]
    assert [each["name"] for each in values if each["command"] == of] == names
    assert len(values) == len(PRESETS)


WRONG: dict[str, tuple[str, str, str]] = {
    "nothing set": ("", "nothing to enforce", "--preset staged-90"),
    "no accounts": ("--apply --preset staged-90", "no account is listed", "set accounts"),
    "no such preset": ("--preset staged", "there is no preset staged", "staged-90"),
    "no number": ("--account shop", "'shop' is not an account number", "twelve digits"),
    "no name": ("--user a*", "'a*' is not a user name", "fleet report"),
    "undo of a user": ("--undo alice --user bob", "--undo cannot be combined", "--undo alice"),
    "undo and apply": ("--undo alice --apply", "--undo cannot be combined", "--undo alice"),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_what_cannot_be_meant_is_refused(firm: Firm, sentence: str) -> None:
    """Exit 2, one line and what to type."""
    words, message, hint = WRONG[sentence]
    done = firm.enforce(*words.split())
    assert (done.code, message in done.problem()[0], hint in done.problem()[1]) == (2, True, True), done.text


@pytest.mark.parametrize(
    ("include", "words", "told", "off"),
    [
        ("", ["--user", "Alice"], [], ["alice"]),
        ("", ["--user", "bob", "--user", "carol"], ["bob"], []),
        ("", ["--account", "{account}"], ["bob"], ["alice"]),
        ("names = a*,", [], [], ["alice"]),
        ("tags = team=red,", [], ["bob"], []),
        ("groups = red,\npaths = /,", [], [], ["alice"]),
        ("names = a*,", ["--user", "bob"], [], []),
    ],
)
def test_a_trial_with_some_users(ready: Firm, include: str, words: list[str], told: list[str], off: list[str]) -> None:
    """By [include] and options together: the others are neither told nor touched, nor is their tag."""
    ready.aws.set_tags("bob", {"team": "red"})
    ready.aws.add_group("red", ["alice"])
    ready.settings(f"[include]\n{include}\n{RULES.format(account=ready.aws.account)}")
    before = {name: ready.aws.tags(name) for name in ("alice", "bob", "carol", "dave")}
    done = ready.enforce("--apply", "--yes", "--json", *(word.format(account=ready.aws.account) for word in words))
    if include and words:
        assert (done.code, "user bob is not among those" in done.err) == (1, True)
        return
    assert done.code == 0, done.text
    acts = [(act["act"], act["user"]) for act in done.json["acts"]]
    assert acts == [*(("notify", name) for name in told), *(("deactivate", name) for name in off)]
    assert {name for name, tags in before.items() if ready.aws.tags(name) != tags} == {*told, *off}


@pytest.mark.parametrize("words", [["--user", "alise"], ["--account", "999999999999"]])
@pytest.mark.parametrize("command", ["enforce", "remind", "report"])
def test_who_is_named_must_be_there(ready: Firm, command: str, words: list[str]) -> None:
    """A slip would look like nothing to do."""
    done = ready.it.run("fleet", command, *words)
    said = "is not among those that were checked"
    if command == "enforce" and "--account" in words:
        said = "[enforce] accounts does not include account 999999999999"
    assert (done.code, said in done.err) == (1, True), done.text


def test_limits_and_exemptions_that_end(ready: Firm) -> None:
    """Some are switched off later, some earlier; an exemption that has ended is said, and counts no more."""
    ready.person("eve", 97)
    ready.told("eve")
    limits = "[limits]\n[[old]]\nnames = alice,\ndeactivate_at = 365d\n[[new]]\nnames = bob,\ndeactivate_at = 80d\n"
    ended = "[exempt]\n[[leave]]\nnames = eve,\nuntil = 2026-01-31\nby = jane\n[[visit]]\nnames = carol,\n"
    ready.told("bob")
    ready.settings(f"{RULES.format(account=ready.aws.account)}{limits}{ended}until = 2999-12-31\nby = joe\n")
    done = ready.enforce("--json")
    assert [(act["act"], act["user"]) for act in done.json["acts"]] == [("deactivate", "eve"), ("deactivate", "bob")]
    assert "[[leave]] of [exempt] ended on 2026-01-31 (by jane)" in done.err
    rows = {each["user"]: each for each in ready.it.run("fleet", "report", "--json").json["keys"]}
    assert rows["carol"]["exempt"] == "visit: name carol"
    assert (rows["carol"]["exempt_until"], rows["carol"]["exempt_by"]) == ("2999-12-31", "joe")
    assert (rows["eve"]["verdict"], rows["eve"]["exempt_ended"]) == ("overdue", "leave ended on 2026-01-31")
    assert "visit (name carol, until 2999-12-31, by joe)" in ready.it.run("fleet", "report", "--html").out


@pytest.mark.slow
def test_audit_in_cloudwatch_and_s3(ready: Firm) -> None:
    """Both have every line, and the log group the metric line; the page has every word of it and every metric."""
    ready.aws.add_bucket("it-logs")
    ready.aws.add_log_group("/rotate-my-key/audit", region="eu-west-1")
    audit = "[audit]\nlog_group = /rotate-my-key/audit\nbucket = it-logs\n"
    ready.settings(RULES.format(account=ready.aws.account) + audit)
    done = ready.enforce("--apply", "--yes")
    assert done.code == 0, done.text
    *lines, metrics = map(json.loads, ready.aws.log_lines("/rotate-my-key/audit", region="eu-west-1"))
    assert ["_aws" in each for each in (*lines, metrics)] == [False] * 5 + [True]
    assert len(ready.aws.objects("it-logs")) == len(lines)
    described = set(re.findall(r"`(\w+)`", PAGE.partition("## The audit")[2]))
    assert {name for line in lines for name in line} - {"version"} <= described
    assert {line["what"] for line in lines} | {line["outcome"] for line in lines} <= described
    assert {name for name, value in metrics.items() if isinstance(value, float)} <= described


# Revoking


def test_revoke_switches_off_everything_everywhere(left: Firm) -> None:
    """In every account; it says what lives on, and how to take it back."""
    done = left.it.run("fleet", "revoke", "alice", "-y", "--why", "left the company")
    assert done.code == 0, done.text
    assert set(left.ids("alice").values()) | set(left.ids("alice", left.members["prod"]).values()) == {"Inactive"}
    assert list(left.ids("bob", left.members["prod"]).values()) == ["Active"]
    assert "3 keys of alice deactivated. To reactivate: rotate-my-key fleet revoke alice --undo" in done.out
    assert "Sessions started with these keys still work" in done.err
    assert "aws iam put-user-policy --user-name alice" in done.err
    assert "aws iam delete-login-profile --user-name alice" in done.err
    accounts = {left.members["prod"].account, left.aws.account}
    assert set(re.findall(r"in .*(\d{12})\)?:$", done.err, re.MULTILINE)) == accounts
    assert {line["why"] for line in left.audit if line["what"] == "revoked"} == {"left the company"}
    assert left.audit[-1]["details"] == {"Switched": "3", "Failed": "0"}
    (mail,), (note,) = left.aws.mails, left.aws.published
    assert (mail.to, mail.text.count("revoked, left the company")) == (("alice@example.com",), 3)
    assert note.message.count("rotate-my-key fleet revoke --undo alice --account ") == 2  # accounts
    done = left.it.run("fleet", "revoke", "--undo", "alice", "-y")
    assert done.code == 0, done.text
    assert set(left.ids("alice").values()) | set(left.ids("alice", left.members["prod"]).values()) == {"Active"}


def test_revoke_by_owner_finds_all_users_and_bots_of_a_person(left: Firm) -> None:
    """By tag, mapping or name, in every account; `--undo` too. Whoever is nobody's is not touched."""
    prod = left.members["prod"]
    prod.set_tags("bob", {"owner": "Alice@example.com"})
    done = left.it.run("fleet", "revoke", "--owner", "alice@example.com", "-y")
    assert done.code == 0, done.text
    assert {*left.ids("alice").values(), *left.ids("alice", prod).values(), *left.ids("bob", prod).values()} == {
        "Inactive"
    }
    assert "4 keys of alice and bob deactivated" in done.out
    assert left.it.run("fleet", "revoke", "--owner", "alice@example.com", "--undo", "-y").code == 0
    commands = left.it.run("fleet", "revoke", "--owner", "alice@example.com", "-y", "--json").json["end_sessions"]
    assert [re.search(r"--user-name (\S+)", line)[1] for line in commands.splitlines()] == ["alice", "bob"]
    assert left.it.run("fleet", "revoke", "--owner", "alice@example.com", "--undo", "-y").code == 0
    assert {*left.ids("alice").values(), *left.ids("bob", prod).values()} == {"Active"}
    assert left.it.run("fleet", "revoke", "--owner", "nobody@example.com", "-y").code == 1
    assert left.it.run("fleet", "revoke", "-y").code == 2
    done = left.it.run("fleet", "revoke", "alise", "-y")  # the name may be misspelt
    assert (done.code, done.problem()[0]) == (1, "there is no user alise in any of 2 accounts")
    for typed, meant in (("alice@example.com", "--owner alice@example.com"), ("ALICE", "alice")):
        for undo in ("", " --undo"):
            hint = left.it.run("fleet", "revoke", typed, "-y", *undo.split()).problem()[1]
            assert hint == f"rotate-my-key fleet revoke{undo} {meant}"


def test_revoke_ends_passwords_and_sessions(left: Firm) -> None:
    """With `--sign-in`: told before, done after, and what sessions may do comes back, but no password. What is printed
    for `fleet revoke` is enough for it, and without one of its rights the exit code says so."""
    aws, prod = left.aws, left.members["prod"]
    aws._world.user("alice").password = "secret"
    aws.allow("alice", "sns:ListTopics")
    pair = aws.user_session("alice")
    signed = {"aws_secret_access_key": pair.secret, "aws_session_token": pair.token, "endpoint_url": aws.url}
    sns = botocore.session.Session().create_client("sns", "eu-west-1", aws_access_key_id=pair.key_id, **signed)
    role = f"arn:aws:iam::{prod.account}:role/{policies.ROLE}"
    for account, who, rights in ((aws, "fleet", policies.statements), (prod, role, policies.member)):
        account.detach_policies(who)
        account.attach_policy(who, {"Version": "2012-10-17", "Statement": rights("fleet-revoke")})
    sns.list_topics()
    run = left.it.terminal("fleet", "revoke", "alice", "--sign-in")
    run.answer("now? [y/N]", "y\r")
    screen = run.end()
    assert screen.code == 0, screen.text
    said = " ".join(screen.text.split())
    for each in ("will be deleted; sessions: will be ended", "none; sessions: will be ended"):
        assert f"console password of alice: {each}" in said
    assert "Deactivate 3 keys, delete the console password and end the sessions of alice now?" in said
    assert f"console password of alice in Management ({aws.account}): deleted sessions of alice in Manage" in said
    assert "To reactivate: rotate-my-key fleet revoke alice --sign-in --undo" in said
    assert ("put-user-policy" in said, "A deleted password cannot be restored" in said) == (False, True)
    with pytest.raises(ClientError, match="explicit deny"):
        sns.list_topics()
    done = left.it.run("fleet", "revoke", "alice", "--sign-in", "--undo", "-y")
    assert (done.code, f"({aws.account}): allowed again" in done.out) == (0, True), done.text
    sns.list_topics()
    assert set(left.ids("alice").values()) == {"Active"}
    what = {line["what"] for line in left.audit if line["outcome"] == "done" and "key_id" not in line}
    assert what >= {"password_deleted", "sessions_ended", "sessions_allowed"}
    aws.deny("PutUserPolicy")
    done = left.it.run("fleet", "revoke", "alice", "--sign-in", "--yes", "--json")
    assert (done.code, [each["state"] for each in done.json["sign_in"]]) == (5, ["none", None] * 2)


def test_undo_asks_nothing_where_there_is_nothing_to_undo(left: Firm) -> None:
    """No session was ended: there is no question. One that may have been ended is asked about."""
    words = ("fleet", "revoke", "alice", "--account", left.aws.account, "--sign-in", "--undo")
    done = left.it.run(*words)
    assert (done.code, "not known whether they were ended" in done.err) == (4, True), done.text
    left.aws.attach_policy("fleet", json.loads(policies.text("fleet-revoke")))
    done = left.it.run(*words)
    assert (done.code, done.out) == (0, "Nothing to undo.\n"), done.text


def test_an_mfa_session_ends_after_its_key(left: Firm) -> None:
    """Of an admin whose own key leaked: nothing that is signed with the session could deactivate the key after it."""
    left.aws.detach_policies("fleet")
    left.aws.attach_policy("fleet", json.loads(policies.text("fleet-revoke")))
    left.aws.allow("fleet", "iam:ListMFADevices")
    left.aws.demand_mfa("fleet")
    code = left.aws.add_mfa("fleet").code
    done = left.it.run("fleet", "revoke", "fleet", "--account", left.aws.account, "--sign-in", "-y", "--mfa-code", code)
    assert (done.code, "sessions of fleet" in done.out, set(left.ids("fleet").values())) == (0, True, {"Inactive"})


def test_the_commands_that_are_printed_name_their_account(left: Firm) -> None:
    """Where there are several accounts; each is to be typed in its own."""
    said = left.it.run("fleet", "revoke", "alice", "-y").err
    for account in (left.aws, left.members["prod"]):
        assert re.search(rf"  in \w+ \({account.account}\):\n    aws iam put-user-policy --user-name alice ", said)
        assert re.search(rf"  in \w+ \({account.account}\):\n    aws iam delete-login-profile --user", said)


def test_whoever_may_not_list_accounts_is_not_told_that_all_is_done(left: Firm) -> None:
    """What the settings name is done, and the exit code says that there may be more."""
    prod = left.members["prod"]
    left.settings(f"[accounts]\nrole = rotate-my-key-fleet\nonly = {left.aws.account}, {prod.account}\n")
    left.aws.deny("ListAccounts")
    done = left.it.run("fleet", "revoke", "alice", "-y")
    assert done.code == 5, done.text
    assert {*left.ids("alice").values(), *left.ids("alice", prod).values()} == {"Inactive"}


def test_an_account_that_lets_nobody_in_is_named(left: Firm) -> None:
    """The others are done, and the exit code says that it is not all."""
    left.aws.break_account(left.members["prod"].account, "denied")
    done = left.it.run("fleet", "revoke", "alice", "-y", "--json")
    assert done.code == 5, done.text
    assert set(left.ids("alice").values()) == {"Inactive"}
    (broken,) = [each for each in done.json["switched"] if each["problem"]]
    assert (broken["account"], broken["key_id"]) == (left.members["prod"].account, None)
    assert "put-user-policy" in done.json["end_sessions"]


def test_accounts_that_reports_leave_out_are_not_left_out(left: Firm) -> None:
    """A thief does not read settings: all accounts there are."""
    left.settings(f"[accounts]\nrole = rotate-my-key-fleet\nbut = {left.members['prod'].account}\n")
    left.it.run("fleet", "revoke", "alice", "-y")
    assert set(left.ids("alice", left.members["prod"]).values()) == {"Inactive"}


# Documented


@pytest.mark.slow
def test_enforce_gives_what_docs_json_says(ready: Firm) -> None:
    """Planned, done, failed and broken: every field, of its type."""
    member = ready.account("prod")
    ready.settings(
        "[accounts]\nrole = rotate-my-key-fleet\n"
        + RULES.format(account=f"{ready.aws.account}, {member.account}").replace("hours", "most = 1\nhours")
    )
    ready.person("erin", 95, 95)
    ready.told("erin")
    planned = ready.enforce("--json").json
    ready.aws.break_account(member.account, "denied")
    ready.aws.deny("UpdateAccessKey")
    compare("`fleet enforce --json`", planned, ready.enforce("--apply", "--yes", "--json").json)


@pytest.mark.slow
def test_revoke_gives_what_docs_json_says(left: Firm) -> None:
    """Found, switched, failed; and what undoing leaves out."""
    (off, *_) = left.ids("alice")
    left.aws.set_status(off, "Inactive")
    left.aws.deny("TagUser")
    done = left.it.run("fleet", "revoke", "alice", "-y", "--json", "--sign-in").json
    left.aws.attach_policy("fleet", json.loads(policies.text("fleet-revoke")))
    ended = left.it.run("fleet", "revoke", "alice", "-y", "--json", "--sign-in").json
    left.aws.break_account(left.members["prod"].account, "denied")
    broken = left.it.run("fleet", "revoke", "alice", "-y", "--json").json
    compare("`fleet revoke --json`", done, ended, broken)
    undone = left.it.run("fleet", "revoke", "--undo", "alice", "-y", "--json").json
    assert set(done) - set(undone) == {"end_sessions"}


def test_the_page_has_every_preset_with_its_days() -> None:
    """docs/it/enforce.md: the table of presets is what they are."""

    rows = {row[0].strip("`"): row for row in table(PAGE, "## Presets")}
    assert list(rows) == list(PRESETS)
    for name, row in rows.items():
        settings = with_preset(name, FleetSettings())
        rules = {rule: age.days for rule in AGES if (age := getattr(settings.enforce, rule)) is not None}
        for column, rule in ((3, "reissue_at"), (4, "deactivate_at"), (5, "delete_after")):
            assert re.findall(r"\d+", row[column]) == ([str(rules[rule])] if rule in rules else [])
        limits = settings.policy
        told = (
            [] if name == "tell-admin" else [(limits.max_age - limits.remind_before).days, settings.remind.repeat.days]
        )
        assert re.findall(r"\d+", row[2]) == list(map(str, told))


def test_the_documented_rules_are_all_there_are() -> None:
    """docs/json.md lists every rule that spares."""
    row = next(line for line in (ROOT / "docs/json.md").read_text().splitlines() if "`spared[].rule`" in line)
    assert re.findall(r"`([a-z ]+)`", row) == [rule.value for rule in SkipRule]


@click.command("enforce")
@click.option("--apply", is_flag=True)
@click.pass_obj
def command(app: App, /, apply: bool) -> None:
    """Takes the lock, and does not wait long."""
    alone(app, 0.1)
    click.echo("at work")


def looks(firm: Firm) -> int:
    """How many lists were asked for."""
    return sum(call.action.startswith("List") for call in firm.aws.calls)


@pytest.mark.slow
@pytest.mark.parametrize("words", [("enforce", "--apply", "--yes"), ("remind", "--yes")], ids=["enforce", "remind"])
def test_the_second_waits_for_the_first(firm: Firm, words: tuple[str, ...]) -> None:
    """It says so, and goes on as soon as it may."""
    firm.settings(RULES.format(account=firm.aws.account))
    firm.it.run("fleet", words[0], *(["--dry-run"] if words[0] == "remind" else []))  # what is imported is imported
    firm.it.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = looks(firm)
    lock = Lock(str(firm.it.state / "fleet.lock"), 1)
    lock.__enter__()
    calls: list[int] = []

    def release() -> None:
        time.sleep(1.5)
        calls.append(looks(firm) - before)
        lock.__exit__(None, None, None)

    thread = threading.Thread(target=release)
    thread.start()
    done = firm.it.run("fleet", *words)
    thread.join()
    assert (done.code, calls) == (0, [0]), done.text
    assert "another fleet run is in progress, waiting for it" in done.text


@pytest.mark.parametrize("words", [("enforce",), ("remind", "--dry-run")], ids=["enforce", "remind"])
def test_who_only_looks_waits_for_nobody(firm: Firm, words: tuple[str, ...]) -> None:
    """Nothing is done and nobody told."""
    firm.settings(RULES.format(account=firm.aws.account))
    firm.it.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with Lock(str(firm.it.state / "fleet.lock"), 1):
        done = firm.it.run("fleet", *words)
    assert done.code == 0, done.text
    assert "waiting" not in done.text


def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    """Exit 75, and the hint is the command itself; afterwards the lock is free."""
    app = App({"HOME": str(tmp_path)})
    Path(app.paths.state_dir).mkdir(parents=True, mode=0o700)
    with Lock(str(Path(app.paths.state_dir) / "fleet.lock"), 1):
        found = CliRunner().invoke(command, ["--apply"], obj=app, prog_name="rotate-my-key fleet enforce")
    assert isinstance(found.exception, TryLater)
    assert found.exception.hint == "rotate-my-key fleet enforce --apply"
    for _ in range(2):
        assert CliRunner().invoke(command, ["--apply"], obj=app).output == "at work\n"


@pytest.mark.parametrize(
    ("said", "off"),
    [
        ("all", "main prod dev"),
        ("r-ab12", "main prod dev"),
        ("ou-ab12-11111111", "prod"),
        ("ou-ab12-33333333, tag:env=prod", "prod dev"),
        ("tag:env=test", ""),
    ],
)
def test_accounts_are_named_by_unit_and_tag_too(firm: Firm, said: str, off: str) -> None:
    """Whatever the organization has there on the day: all, a unit with those below, a tag; `but` is still left out."""
    there: dict[str, Account] = {"main": firm.aws, **{name: firm.account(name) for name in ("prod", "dev", "left")}}
    units = {"main": (), "prod": ("ou-ab12-11111111", "ou-ab12-22222222"), "dev": ("ou-ab12-33333333",), "left": ()}
    for name, account in there.items():
        entry = firm.aws._front.organization.entries[account.account]
        entry.units, entry.tags = ("r-ab12", *units[name]), {"env": name}
        firm.person("alice", 97, at=account)
        firm.told("alice", at=account)
    but = f"[accounts]\nrole = rotate-my-key-fleet\nbut = {there['left'].account},\n"
    firm.settings(f"{but}{RULES.format(account=said)}")
    done = firm.enforce("--apply", "--yes")
    assert done.code == (0 if off else 1), done.text
    assert ("no account that can be checked is meant" in done.text) is not bool(off)
    assert [name for name, at in there.items() if "Inactive" in firm.ids("alice", at).values()] == off.split()


def test_a_unit_that_is_not_there_ends_the_run(firm: Firm) -> None:
    """Before anything is done."""
    firm.account("prod")
    firm.settings("[accounts]\nrole = rotate-my-key-fleet\n" + RULES.format(account="ou-ab12-99999999"))
    done = firm.enforce("--apply", "--yes")
    said = "the organization has no unit ou-ab12-99999999, which [enforce] accounts names"
    assert (done.code, done.problem()) == (1, (said, "aws organizations list-roots"))


def test_a_new_key_for_a_member_account_is_fetched_there(firm: Firm, tmp_path: Path) -> None:
    """A preset for several accounts works as it is: no KMS key, and for the user no rights but to rotate."""
    prod = firm.account("prod")
    (old,) = firm.person("alice", 65, at=prod)
    prod.attach_policy("alice", json.loads(policies.text("self")))
    rules = RULES.replace("deactivate_at = 90d\ndelete_after = 10d", "preset = staged-90")
    firm.settings(f"[accounts]\nrole = rotate-my-key-fleet\n{rules.format(account=prod.account)}")
    done = firm.enforce("--apply", "--yes")
    assert done.code == 0, done.text
    assert [line["outcome"] for line in firm.audit if line["what"] == "reissued"] == ["intended", "done"]
    place = re.search(r"secretsmanager:arn:\S+", next(mail.text for mail in firm.aws.mails if "adopt" in mail.text))
    assert place and f":{prod.account}:secret:" in place[0]
    (tmp_path / "alice").mkdir()
    laptop = Desk(tmp_path / "alice", firm.aws, firm.it.capsys, firm.it.env)
    laptop.profiles(work=old)
    adopted = laptop.run("adopt", place[0], "-y", AWS_PROFILE="work")
    assert adopted.code == 0, adopted.text
    assert firm.ids("alice", prod) == {laptop.held("work"): "Active"}
