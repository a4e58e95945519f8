"""What `fleet enforce` and `fleet revoke` tell a person to type next, over HTTP: it does what he meant.

A hint is the command as it was typed: whoever follows it does not do something else.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest
from click.testing import CliRunner

from rotate_my_key.cli.app import App
from rotate_my_key.cli.fleet import fleet_options
from rotate_my_key.cli.fleet.common import fleet
from tests.fleet.enforce.conftest import RULES, Firm


def words(hint: str) -> list[str]:
    """What a shell makes of it, without the program's name."""
    program, *rest = shlex.split(hint)
    assert program == "rotate-my-key"
    return rest


def test_the_hint_without_a_terminal_is_the_command_as_typed(left: Firm) -> None:
    """With other settings, one account and a reason; typed, it does that and no more."""
    file = left.it.home / "my fleet.ini"
    file.write_text("[accounts]\nrole = rotate-my-key-fleet\n")
    left.settings("")
    typed = ["fleet", "revoke", "alice", "--account", left.members["prod"].account, "--why", "it leaked"]
    asked = left.it.run(*typed, "--settings", str(file))
    assert (asked.code, left.changes, asked.err.count("active, 200 days old")) == (4, set(), 1)
    assert "last used 3 hours ago by s3 in eu-west-1" in asked.err
    _, hint = asked.problem()
    done = left.it.run(*words(hint))
    assert done.code == 0, done.text
    assert set(left.ids("alice").values()) == {"Active"}
    assert set(left.ids("alice", left.members["prod"]).values()) == {"Inactive"}
    assert {line["why"] for line in left.audit if line["what"] == "revoked"} == {"it leaked"}
    (line,) = [line for line in done.out.splitlines() if "To reactivate: " in line]
    back = left.it.run(*words(line.partition("To reactivate: ")[2]), "--yes")
    assert back.code == 0, back.text
    assert set(left.ids("alice", left.members["prod"]).values()) == {"Active"}


@pytest.mark.slow
def test_enforces_hints_name_the_settings_too(ready: Firm) -> None:
    """The one without a terminal, and the one in the admins' message."""
    file = ready.it.home / ".config" / "rotate-my-key" / "fleet.ini"
    other = ready.it.home / "other fleet.ini"
    file.rename(other)
    _, hint = ready.enforce("--apply", "--settings", str(other)).problem()
    assert words(hint) == ["fleet", "enforce", "--apply", "--settings", str(other), "--yes"]
    assert ready.it.run(*words(hint)).code == 0
    (line,) = [line for line in ready.aws.published[0].message.splitlines() if "--undo" in line]
    back = ready.it.run(*words(line), "--yes")
    assert back.code == 0, back.text
    assert list(ready.ids("alice").values()) == ["Active"]


@pytest.mark.slow
def test_one_account_alone_is_said(firm: Firm) -> None:
    """Without a role no other account can be looked at, and a key may be left there."""
    firm.person("alice", 30)
    done = firm.it.run("fleet", "revoke", "alice", "-y")
    assert done.code == 0, done.text
    assert f"only account {firm.aws.account} was checked: no role is set" in done.err


@pytest.mark.slow
def test_somebody_found_nowhere_where_accounts_are_broken(left: Firm) -> None:
    """No question, no command that ends sessions, and it is no success."""
    left.aws.break_account(left.members["prod"].account, "denied")
    for more in ((), ("--yes",), ("--undo",)):
        done = left.it.run("fleet", "revoke", "zoe", *more)
        assert (done.code, done.out) == (5, "")
        assert done.problem()[0] == "zoe was not found, and 1 account could not be checked"
        assert f"prod ({left.members['prod'].account}): " in done.err
        assert "put-user-policy" not in done.err


@pytest.mark.slow
def test_the_key_that_signs_goes_last(firm: Firm) -> None:
    """It is said before the question; everything else of the user is done, and how to take it back is true."""
    firm.settings("[accounts]\nrole = rotate-my-key-fleet\n")
    member = firm.account("prod")
    firm.person("fleet", 200, at=member)
    other = firm.aws.add_key("fleet")
    done = firm.it.run("fleet", "revoke", "fleet")
    assert done.code == 4
    assert "of fleet in" in done.err
    assert "signs this run" in done.err.partition("error:")[0]
    done = firm.it.run("fleet", "revoke", "fleet", "-y")
    assert done.code == 0, done.text
    assert set(firm.ids("fleet").values()) | set(firm.ids("fleet", member).values()) == {"Inactive"}
    assert other.key_id in firm.ids("fleet")
    (line,) = [line for line in done.out.splitlines() if "To reactivate" in line]
    assert "signed by the profile NAME of somebody else" in line
    assert line.endswith("rotate-my-key fleet revoke fleet --undo --auth-profile NAME")


def test_outside_the_hours_nothing_is_asked(firm: Firm) -> None:
    """There is nothing to agree to: it says what waits. Notices go out at any time, so they are asked for."""
    day = f"{datetime.now(UTC) + timedelta(days=2):%a}".lower()  # open on no day but the one after tomorrow
    firm.settings(RULES.format(account=firm.aws.account).replace("mon, tue, wed, thu, fri, sat, sun", day))
    firm.person("alice", 97)
    firm.told("alice")
    assert "0 actions now, 1 waiting for the allowed hours." in firm.enforce().out
    done = firm.enforce("--apply")
    assert (done.code, done.out) == (75, "0 actions now, 1 waiting for the allowed hours.\n"), done.text
    assert firm.changes == set()
    firm.person("bob", 85)
    assert firm.enforce("--apply").code == 4
    done = firm.enforce("--apply", "--yes")
    assert done.out == "1 owner notified, 0 actions now, 1 waiting for the allowed hours.\n"


def test_an_account_that_is_not_there_is_no_success(firm: Firm) -> None:
    """A wrong digit is said."""
    firm.settings(RULES.format(account="999999999999"))
    done = firm.enforce()
    assert done.code == 1
    assert "999999999999: listed in [enforce] accounts, but not among the accounts that can be checked" in done.out


@pytest.mark.parametrize("preset", ["tell-admin", "mail-owners"])
def test_a_preset_that_only_tells(firm: Firm, preset: str) -> None:
    """It says what to do with it, by the option and by the settings."""
    said = f"the preset {preset} only sends messages and enforces nothing"
    done = firm.enforce("--preset", preset)
    assert (done.code, *done.problem()) == (2, said, f"rotate-my-key fleet remind --preset {preset}")
    firm.settings(f"[enforce]\npreset = {preset}\n")
    assert firm.enforce("--apply").problem() == (said, "rotate-my-key fleet remind")


@pytest.mark.slow
def test_ctrl_c_while_keys_are_switched_off(ready: Firm) -> None:
    """The act that is under way is ended, what was done is told, and the hint is the command."""
    for name in ("erin", "frank", "grace"):
        ready.person(name, 95)
        ready.told(name)
    ready.aws.settings.latency = 0.05
    run = ready.it.terminal("fleet", "enforce", "--apply", "--yes", width=200)
    run.until("alice")
    run.until(": deactivated")
    run.type("\x03")
    done = run.end()
    assert done.code == 130, done.text
    off = [name for name in ("alice", "erin", "frank", "grace") if set(ready.ids(name).values()) == {"Inactive"}]
    assert off[0] == "alice"
    assert len(off) < 4
    assert any(f"{len(off)} deactivated" in line for line in done.lines)
    assert any("the run ended early: interrupted, the next run continues" in line for line in done.lines)
    assert done.lines[-1] == "hint: rotate-my-key fleet enforce --apply --yes"
    assert ready.aws.published[0].message.count("--undo") == len(off)
    ready.aws.settings.latency = 0
    assert ready.enforce("--apply", "--yes").code == 0
    assert {*ready.ids("frank").values(), *ready.ids("grace").values()} == {"Inactive"}


@click.command("revoke")
@click.argument("user", required=False)
@click.option("--account", multiple=True)
@click.option("--why", default="")
@click.option("-y", "--yes", is_flag=True)
@fleet_options
@click.pass_obj
def command(app: App, /, **values: Any) -> None:
    """Prints the three hints."""
    click.echo(app.again("--yes"))
    click.echo(app.again("--undo", but=("why", "yes")))
    click.echo(fleet(app, "enforce"))


def hints(*words: str) -> list[str]:
    """What the command prints."""
    found = CliRunner().invoke(command, list(words), obj=App({}), prog_name="rotate-my-key fleet revoke")
    assert found.exit_code == 0, found.output
    return found.output.splitlines()


ALL = ["bob", "--account", "111122223333", "--account", "444455556666", "--why", "it's gone", "-p", "it"]
CASES: list[tuple[str, list[str], list[str]]] = [
    ("what is not typed is not there", ["bob"], ["bob", "--yes"]),
    ("every option is", ALL, [*ALL[:7], "-p", "it", "--yes"]),
    ("no flag is there twice", ["bob", "-y"], ["bob", "--yes"]),
    ("an MFA code is not", ["bob", "--mfa-code", "123456"], ["bob", "--yes"]),
    ("a name that begins with a dash", ["--", "-bob"], ["--yes", "--", "-bob"]),
    ("settings and who signs", ["bob", "--settings", "a b.ini", "--auth-profile", "sso"], []),
]


@pytest.mark.parametrize(("sentence", "words", "expected"), CASES, ids=[case[0] for case in CASES])
def test_as_typed(sentence: str, words: list[str], expected: list[str]) -> None:
    """With `--yes`, and each word as a shell hands it on. Typed so it gives the same hint: it means the same."""
    said = shlex.split(hints(*words)[0])
    assert said[:3] == ["rotate-my-key", "fleet", "revoke"]
    assert sorted(said[3:]) == sorted(expected or [*words, "--yes"])
    assert sorted(shlex.split(hints(*said[3:])[0])) == sorted(said)


def test_other_commands_of_the_same_caller() -> None:
    """Taking back needs no reason; another command has the options that every fleet command has."""
    _, undo, _ = hints(*ALL, "-y")
    accounts = ("--account", "111122223333", "--account", "444455556666")
    assert undo.split() == ["rotate-my-key", "fleet", "revoke", "bob", *accounts, "-p", "it", "--undo"]
    *_, other = hints(*ALL, "--settings", "fleet.ini")
    assert shlex.split(other)[:3] == ["rotate-my-key", "fleet", "enforce"]
    assert sorted(shlex.split(other)[3:]) == sorted(["-p", "it", "--settings", "fleet.ini"])
