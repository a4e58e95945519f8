"""`rotate` without a terminal: which keys, what is left out, what is said, what `--dry-run` and `--json` give."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from rotate_my_key.cli.rotate import Typed
from rotate_my_key.core.model import Credentials
from tests.cli.conftest import Desk

MakeKey = Callable[..., Credentials]
READS = {"GetCallerIdentity", "GetUser", "ListAccessKeys", "GetAccessKeyLastUsed"}


def test_all(desk: Desk, old: Credentials, make_key: MakeKey) -> None:
    """Each distinct key once; what is excluded, exempt or fresh is left alone; one failure stops no other."""
    wrong = make_key("mallory")
    kept = {
        "excluded": make_key("carol"),
        "exempt": make_key("eve", rotate_my_key="exempt"),
        "fresh": make_key("frank", days=3),
        "wrong": Credentials(wrong.key_id, "x" * 40),
    }
    desk.profiles(bob=make_key("bob"), **kept)
    desk.settings("exclude = excluded,\n")
    done = desk.run("rotate", "--all", "--yes")
    assert done.code == 5, done.text
    assert list(desk.ids()) == [desk.held()] != [old.key_id]
    assert list(desk.ids("bob")) == [desk.held("bob")]
    for profile, pair in kept.items():
        assert desk.held(profile) == pair.key_id
    assert done.problem()[0].startswith("wrong: the secret key stored for")
    *lines, last = done.out.splitlines()
    assert last == "5 keys: 2 rotated, 1 not due, 1 exempt, 1 failed"
    assert {line.split(":")[0]: line.split(": ")[1][:13] for line in lines} == {
        "default and work": "Done. Next ro",
        "bob": "Done. Next ro",
        "exempt": "This user is ",
        "fresh": f"Key ...{kept['fresh'].key_id[-4:]} is"[:13],
    }
    assert not any(call.key_id == kept["excluded"].key_id for call in desk.aws.calls)


def test_each_of_several_keys_is_a_line(desk: Desk, old: Credentials, make_key: MakeKey) -> None:
    """Its end; before a question also who it is, and what is true of all is said once. Steps are for -v. With -p, which
    may be repeated, profiles that share a key are one rotation, too."""
    desk.profiles(bob=make_key("bob"), carol=make_key("carol"))
    run = desk.terminal("rotate", "--all", width=200)
    run.answer("Rotate these 3 keys? It takes about 10 seconds. [Y/n]", "\r")
    run.until("3 of 3")
    *said, _ = [line for line in run.end().lines if line]
    account = desk.aws.account
    assert said[:3] == [
        f"alice in {account}, key ...{old.key_id[-4:]} (profiles default, work), "
        "98 days old, maximum age is 90; never used",
        f"Endpoint: {desk.aws.url} (not AWS)",
        next(line for line in said if line.startswith(f"bob in {account}, key ...")),
    ]
    assert len(said) == 4 + 2 + 1 + 3, "four before the question, what stops working, the question, and how each ended"
    assert sorted(line.split(": ")[0] for line in said[7:]) == ["bob", "carol", "default and work"]
    assert "created a new key" in desk.run("rotate", "--all", "--yes", "--force", "-v").err
    before = desk.changes.count("CreateAccessKey")
    done = desk.run("rotate", "--yes", "--force", "-p", "work", "-p", "bob", "-p", "default")
    assert done.code == 0, done.text
    assert desk.changes.count("CreateAccessKey") == before + 2
    assert list(desk.ids()) == [desk.held()] == [desk.held("work")]
    assert list(desk.ids("bob")) == [desk.held("bob")]
    assert re.findall(r"^(.*): Done\.", done.out, re.MULTILINE) == ["work and default", "bob"]


def test_what_is_finished_on_the_way_is_introduced(desk: Desk, make_key: MakeKey) -> None:
    """By its profile, before its steps."""
    bob = make_key("bob")
    desk.profiles(bob=bob)
    desk.aws.settings.propagation = 30
    assert desk.run("rotate", "-p", "bob", "--yes", ROTATE_MY_KEY_PROPAGATION_TIMEOUT="1s").code == 75
    desk.aws.settings.propagation = 0
    done = desk.run("rotate", "-p", "work", "--yes")
    assert done.code == 0, done.text
    first, second, *_ = done.err.splitlines()
    assert first == f"Finishing an earlier rotation: profile bob, key ...{bob.key_id[-4:]}"
    assert re.fullmatch(r"  key \.\.\.\w{4} works \(verified in \d s\)", second)


def test_what_must_be_asked_for(desk: Desk, old: Credentials, make_key: MakeKey) -> None:
    """A key beside SSO settings is rotated with --mixed only, and the person is told; an exempt user's with --force, as
    the message says."""
    session = "[sso-session x]\nsso_start_url = https://example.com\nsso_region = eu-west-1\n"
    desk.add(f"[default]\nsso_session = x\nsso_account_id = 1\nsso_role_name = x\n{session}", desk.config)
    assert desk.run("rotate", "--yes").code == 4
    done = desk.run("rotate", "--yes", "--mixed")
    assert done.code == 0
    assert "note: profile default holds a static key beside sso settings" in done.err
    assert desk.held() != old.key_id
    desk.profiles(eve=make_key("eve", rotate_my_key="exempt"))
    assert "--force" in desk.run("rotate", "--yes", "-p", "eve").out
    assert desk.run("rotate", "--yes", "-p", "eve", "--force").code == 0
    assert list(desk.ids("eve")) == [desk.held("eve")]


@pytest.mark.parametrize("words", [(), ("--force", "--all"), ("--json",)], ids=str)
def test_a_dry_run_changes_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    """AWS is only read, no file is made or changed, and nothing is asked."""
    before = desk.snapshot()
    done = desk.run("rotate", "--dry-run", *words)
    assert done.code == 0, done.text
    assert {call.action for call in desk.aws.calls} == READS
    assert desk.snapshot() == before


@pytest.mark.parametrize(
    ("typed", "overlap", "leak"),
    [
        (Typed(force=True, keep_old="0", overlap="0"), 1, True),
        (Typed(force=True, keep_old="0"), 0, True),
        (Typed(force=True, keep_old="0"), 1, False),
        (Typed(force=True, keep_old="7d", overlap="0"), 0, False),
        (Typed(force=True, overlap="0"), 0, False),
        (Typed(keep_old="0", overlap="0"), 0, False),
    ],
)
def test_what_is_a_leak(typed: Typed, overlap: int, leak: bool) -> None:
    """By what was typed: a site that lets old keys go on working for days does not let one that has leaked."""
    assert typed.is_leak(timedelta(days=overlap)) is leak
