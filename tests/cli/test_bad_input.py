"""Bad input and bad days: each is one clear line, a hint and the right exit code, and the file is unharmed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from rotate_my_key.core.model import Credentials
from tests import hints
from tests.cli.conftest import OLD, Desk
from tests.cli.terminal import ROOT

Arrange = Callable[[Desk], object]


def nothing(desk: Desk) -> None:
    """All is well but the words."""


def text(written: str) -> Arrange:
    """The credentials file says something else."""
    return lambda desk: desk.credentials.write_text(written)


def replaced(old: str, new: str) -> Arrange:
    """Something in the credentials file is another."""
    return lambda desk: desk.credentials.write_text(desk.credentials.read_text().replace(old, new))


def env(**variables: str) -> Arrange:
    """Variables are set; {home} is the home."""
    return lambda desk: desk.env.update({n: v.replace("{home}", str(desk.home)) for n, v in variables.items()})


def config(written: str) -> Arrange:
    """~/.aws/config says more."""
    return lambda desk: desk.add(written, desk.config)


def settings(written: str) -> Arrange:
    """config.ini says something."""
    return lambda desk: desk.settings(written)


def a_directory(desk: Desk) -> None:
    """A directory stands where the file should be."""
    desk.credentials.unlink()
    desk.credentials.mkdir()


def wrong_secret(desk: Desk) -> None:
    """The secret is of another key."""
    desk.credentials.write_text(re.sub(r"(secret_access_key = ).*", r"\1" + "x" * 40, desk.credentials.read_text()))


def root(desk: Desk) -> None:
    """Somebody made a key for root."""
    desk.profiles(root=desk.aws.add_key(None, OLD))


def denied(action: str, **how: bool) -> Arrange:
    """AWS denies an action for good."""
    return lambda desk: desk.aws.deny(action, **how)


def second(status: str) -> Arrange:
    """The user has a second key."""
    return lambda desk: desk.aws.add_key("alice", OLD, status)


SSO = "[default]\nsso_session = x\n[sso-session x]\nsso_start_url = https://example.com\n"
NOTE = {"version": 99}

Case = tuple[Arrange, str, int, str, str]


def says(code: int, error: str, hint: str) -> Callable[..., Case]:
    """How it ends, and then what is so and what is typed."""
    return lambda arrange, words="": (arrange, words, code, error, hint)


CASES = {
    "an unknown profile": says(1, "there is no profile nobody .*default, work", "status")(nothing, "-p nobody"),
    "a file that is missing, beside one that is not": says(
        1,
        r"none called default; ~/no \(AWS_SHARED_CREDENTIALS_FILE\) does not exist; known here: x",
        "rotate-my-key status",
    )(lambda d: (env(AWS_SHARED_CREDENTIALS_FILE="{home}/no")(d), config("[profile x]\n")(d))),
    "a source profile that does not exist": says(
        1, "from profile gone .*does not exist", "aws configure set source_profile NAME --profile x"
    )(config("[profile x]\nrole_arn = r\nsource_profile = gone\n"), "-p x"),
    "a misspelled profile": says(1, "no profile wrok .*Did you mean work", "status -p work")(nothing, "-p wrok"),
    "no profile at all": says(1, "does not exist", "aws configure|adopt")(lambda d: d.credentials.unlink()),
    "a file that is named and missing": says(
        1, r"~/no \(AWS_SHARED_CREDENTIALS_FILE\) does not exist", "aws configure|adopt"
    )(env(AWS_SHARED_CREDENTIALS_FILE="{home}/no")),
    "a directory for a file": says(1, "~/.aws/credentials is not a regular file but a folder", "ls -ld")(a_directory),
    "an empty file": says(1, "holds no profile", "aws configure|adopt")(text("")),
    "no profile file": says(1, "line 1 stands before the first section", "move it")(text("hello\n")),
    "one section twice": says(1, r"line 8: \[default\] appears twice", "merge")(
        lambda d: d.add("[default]\nregion=x\n")
    ),
    "a session token": says(1, "temporary credentials", "status")(replaced("[work]", "aws_session_token = x\n[work]")),
    "an id of a session": says(1, "temporary credentials", "status")(replaced("= AKIA", "= ASIA")),
    "SSO": says(1, "signs in with SSO", "aws sso login --profile default")(
        lambda d: (d.credentials.unlink(), d.add(SSO, d.config))
    ),
    "a key beside SSO": says(4, "SDKs disagree on which one wins", "--mixed")(config(SSO)),
    "a role without a key": says(1, "has a role_arn, but neither", "status")(
        config("[profile r]\nrole_arn = x\n"), "-p r"
    ),
    "a process": says(1, "gets its key from a program", "adopt -p r-key")(
        config("[profile r]\ncredential_process = x\n"), "-p r"
    ),
    "root": says(1, "the account's root user", "delete it in the console")(root, "-p root"),
    "keys in the environment": says(1, "AWS_ACCESS_KEY_ID is set", "unset AWS_ACCESS_KEY_ID")(
        env(AWS_ACCESS_KEY_ID="AKIAX", AWS_SECRET_ACCESS_KEY="x")
    ),
    "two profiles in the environment": says(1, "SDKs disagree on which one wins", "unset AWS_DEFAULT_PROFILE")(
        env(AWS_PROFILE="work", AWS_DEFAULT_PROFILE="default")
    ),
    "a wrong secret": says(5, "the secret key stored for", "check the profile")(wrong_secret),
    "a clock that is off by an hour": says(1, "clock is 60 minutes slow", "set the clock")(
        lambda d: setattr(d.aws.settings, "clock_offset", 3600)
    ),
    "no network": says(75, "cannot reach 127.0.0.1", "check the network")(env(AWS_ENDPOINT_URL="http://127.0.0.1:9")),
    "a captive portal": says(75, "answered with a web page", "sign in to the network")(
        lambda d: d.aws.fault("*", "html", times=None)
    ),
    "an endpoint that others could read": says(1, "example.com is not encrypted", "use https")(
        env(AWS_ENDPOINT_URL="http://example.com")
    ),
    "denied: the list": says(5, "not allowed to call iam:ListAccessKeys", "IT")(denied("ListAccessKeys")),
    "denied: a new key": says(5, "not allowed to call iam:CreateAccessKey", "IT")(denied("CreateAccessKey")),
    "quarantine": says(5, "the key has leaked", "tell IT at once")(denied("CreateAccessKey", quarantine=True)),
    "a second key in use": says(4, "second active key .*AWS allows two keys per user", "delete-key AKIA")(
        second("Active")
    ),
    "a second key that is off": says(
        4, "is inactive, and AWS allows two keys per user; remove one to go on", "delete-key AKIA"
    )(second("Inactive")),
    "a note of a newer version": says(1, "a newer rotate-my-key began a rotation here", "--version")(
        lambda d: note(d, NOTE)
    ),
    "a wrong setting": says(2, "line 1: max_age: 'soon' is not a duration", "config set max_age 90d")(
        settings("max_age = soon\n")
    ),
    "an unknown setting": says(2, "did you mean max_age", "config set max_aeg --unset")(settings("max_aeg = 9d\n")),
    "settings that are none": says(2, "line 1: the line is not NAME = VALUE", "config path")(settings("[x\n")),
    "a wrong variable": says(2, "ROTATE_MY_KEY_MAX_AGE: 'soon'", "unset")(env(ROTATE_MY_KEY_MAX_AGE="soon")),
    "a wrong value of a flag": says(2, "'soon' is not a duration", "rotate --yes --keep-old 12h")(
        nothing, "--keep-old soon"
    ),
    "a flag without its other": says(2, "does nothing without --keep-old", "--keep-old 7d")(nothing, "--old-active"),
    "an unknown option": says(2, "no such option", "rotate --help")(nothing, "--frobnicate"),
    "two ways to choose": says(2, "cannot be used together", "--all")(nothing, "-p work --all"),
}


def note(desk: Desk, value: dict[str, object]) -> None:
    """A note is there."""
    folder = desk.state / "rotations"
    folder.mkdir(parents=True, mode=0o700)
    desk.state.chmod(0o700)
    file = folder / f"{desk.held()}.note"
    file.touch(0o600)
    file.write_text(json.dumps(value))


@pytest.mark.parametrize("case", CASES)
def test_refused(desk: Desk, case: str) -> None:
    """One line, a hint, an exit code; the profile files are as they were, and AWS has the keys that it had."""
    arrange, words, code, error, hint = CASES[case]
    arrange(desk)
    before = {name: file for name, file in desk.snapshot().items() if name.startswith(".aws")}
    keys = desk.ids()
    done = desk.run("rotate", "--yes", *words.split())
    found = done.problem()
    assert done.code == code, done.text
    assert re.search(error, found[0]), found
    assert re.search(hint, found[1]), found
    assert not found[0].endswith(".")
    assert {name: file for name, file in desk.snapshot().items() if name.startswith(".aws")} == before
    for look in hints.harmless(found[1]):
        assert desk.run(*look).code in (0, 1, 5, 75), look
    assert desk.ids() == keys


def test_without_a_terminal(desk: Desk) -> None:
    """Nobody is there to ask: exit 4, and the hint is the same command with --yes."""
    done = desk.run("rotate", "--force", "-p", "work", "--keep-old", "7d")
    assert done.code == 4
    assert done.problem()[1] == "rotate-my-key rotate -p work --force --keep-old 7d --yes"
    assert desk.changes == []


def test_stdin_is_closed(desk: Desk) -> None:
    """A closed stdin is nobody to ask."""
    shell = 'exec "$0" -m rotate_my_key <&-'
    done = subprocess.run(
        ["/bin/sh", "-c", shell, sys.executable],
        env={"PYTHONPATH": str(ROOT), **desk.environment({})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "hint: rotate-my-key rotate --yes" in done.stderr


def test_no_home(desk: Desk) -> None:
    """Without HOME it works all the same where the files are named."""
    done = desk.run(
        "rotate",
        "--yes",
        HOME="(unset)",
        AWS_SHARED_CREDENTIALS_FILE=str(desk.credentials),
        AWS_CONFIG_FILE=str(desk.config),
        XDG_STATE_HOME=str(desk.home / "state"),
        XDG_CONFIG_HOME=str(desk.home / "config"),
    )
    assert done.code == 0, done.text


ENCODED = {
    "Notepad's mark": lambda text: text.encode("utf-8-sig"),
    "PowerShell's UTF-16": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "UTF-16, the other way round": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
}


@pytest.mark.parametrize("how", ENCODED)
@pytest.mark.parametrize("name", ["credentials", "config"])
def test_an_encoding_that_botocore_does_not_read(desk: Desk, name: str, how: str) -> None:
    """In a terminal the file is rewritten after a yes, with every character, line end, mode and link, and the command
    goes on; after a no, and wherever nobody is asked, not a byte is changed."""
    file, real = desk.home / ".aws" / name, desk.home / "a store"
    said = "# für Größe 工\r\n[other]\r\n" + (file.read_text() if file.exists() else "")
    real.write_bytes(ENCODED[how](said))
    real.chmod(0o640)
    file.unlink(missing_ok=True)
    file.symlink_to(real)
    before = desk.snapshot()
    for words in (["status"], ["status", "--json"], ["rotate", "--yes"]):
        done = desk.run(*words)
        assert (done.code, done.problem()[1]) == (1, "rotate-my-key status"), done.text
    for words, keys, code in ((["--json"], "", 1), (["-qy"], "", 1), (["status"], "n\r", 1)):
        terminal = desk.terminal(*words)
        if keys:
            terminal.answer("[Y/n]", keys)
        assert terminal.end().code == code
    assert desk.snapshot() == before
    terminal = desk.terminal("rotate", width=200)
    terminal.answer("Rewrite it in UTF-8, without a mark? [Y/n]", "\r")
    terminal.answer("Rotate it?", "n\r")
    assert f"~/.aws/{name}: rewritten in UTF-8" in terminal.end().text
    assert (real.read_bytes(), real.stat().st_mode & 0o777) == (said.encode(), 0o640)
    assert file.is_symlink() and not list(desk.home.rglob("*.tmp"))


def test_an_encoding_in_a_file_that_goes_while_the_question_waits(desk: Desk) -> None:
    """No other program keeps writing it: the command goes on without it."""
    desk.credentials.write_bytes(desk.credentials.read_text().encode("utf-16"))
    terminal = desk.terminal("status", width=400)
    terminal.until("[Y/n]")
    desk.credentials.unlink()
    terminal.type("\r")
    screen = terminal.end()
    assert "keeps writing" not in screen.text and "no profile" in screen.text, screen.text


def test_an_encoding_in_a_file_that_cannot_be_replaced(desk: Desk) -> None:
    """Written in place, a killed run would leave half of it: it stays as it is."""
    data = desk.credentials.read_text().encode("utf-16")
    desk.credentials.write_bytes(data)
    (desk.home / "second-name").hardlink_to(desk.credentials)
    terminal = desk.terminal("status", width=400)
    terminal.answer("[Y/n]", "\r")
    screen = terminal.end()
    assert (screen.code, desk.credentials.read_bytes()) == (1, data)
    assert "can only be written in place" in screen.text


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("export --profile=work", "rotate-my-key export -p work --recipient age1..."),
        ("-p work adopt", "rotate-my-key adopt accessKeys.csv -p work --yes"),
        ("rotate -p work -p default --mfa-code 1", "rotate-my-key rotate --mfa-code 123456"),
        ("-p work --keep-old 7", "rotate-my-key rotate -p work --keep-old 7d"),
        ("undo -p work --mfa-code 1", "rotate-my-key undo -p work --mfa-code 123456"),
    ],
)
def test_a_hint_is_about_the_profile_that_was_typed(desk: Desk, typed: str, hint: str) -> None:
    """A command for the active profile would act on another key."""
    assert desk.run(*typed.split()).problem()[1] == hint


def test_a_hint_about_one_of_several_names_it(desk: Desk, make_key: Callable[..., Credentials]) -> None:
    """Also in --json, and where the one that was typed is told of by the rotation itself; and `doctor -p bob` never
    names a command for another one's key."""
    bob = make_key("bob")
    desk.profiles(bob=bob)
    desk.aws.demand_mfa()
    desk.aws.add_mfa("alice")
    desk.aws.add_mfa("bob")
    hint = "rotate-my-key rotate -p {} --yes --mfa-code CODE"
    done = desk.run("rotate", "--all", "--yes", "--json")
    assert [key["problem"]["hint"] for key in done.json["keys"]] == [hint.format("default"), hint.format("bob")]
    assert desk.run("rotate", "-p", "bob", "--yes").problem()[1] == hint.format("bob")
    assert desk.run("rotate", "--yes").problem()[1] == hint.replace(" -p {}", "")
    told = desk.run("doctor", "-p", "bob", "--json").json["findings"]
    ours = [finding["remedy"] for finding in told if finding["remedy"].startswith("rotate-my-key")]
    assert ours and all(" -p bob" in remedy for remedy in ours), ours
