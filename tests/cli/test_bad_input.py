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

# What is so, what is typed, the exit code, the error, the hint.
CASES = {
    "an unknown profile": (
        nothing,
        "-p nobody",
        1,
        "there is no profile nobody .*default, work",
        "status",
    ),
    "a file that is missing, beside one that is not": (
        lambda d: (env(AWS_SHARED_CREDENTIALS_FILE="{home}/no")(d), config("[profile x]\n")(d)),
        "",
        1,
        r"none called default; ~/no \(AWS_SHARED_CREDENTIALS_FILE\) does not exist; known here: x",
        "rotate-my-key status",
    ),
    "a source profile that does not exist": (
        config("[profile x]\nrole_arn = r\nsource_profile = gone\n"),
        "-p x",
        1,
        "from profile gone .*does not exist",
        "aws configure set source_profile NAME --profile x",
    ),
    "a misspelled profile": (nothing, "-p wrok", 1, "no profile wrok .*Did you mean work", "status -p work"),
    "no profile at all": (lambda d: d.credentials.unlink(), "", 1, "does not exist", "aws configure|adopt"),
    "a file that is named and missing": (
        env(AWS_SHARED_CREDENTIALS_FILE="{home}/no"),
        "",
        1,
        r"~/no \(AWS_SHARED_CREDENTIALS_FILE\) does not exist",
        "aws configure|adopt",
    ),
    "a directory for a file": (a_directory, "", 1, "~/.aws/credentials is not a regular file but a folder", "ls -ld"),
    "an empty file": (text(""), "", 1, "holds no profile", "aws configure|adopt"),
    "no profile file": (text("hello\n"), "", 1, "line 1 stands before the first section", "move it"),
    "UTF-16": (
        lambda d: d.credentials.write_bytes("[default]\n".encode("utf-16")),
        "",
        1,
        "is UTF-16",
        "iconv .*&& mv",
    ),
    "one section twice": (
        lambda d: d.add("[default]\nregion=x\n"),
        "",
        1,
        r"line 8: \[default\] appears twice",
        "merge",
    ),
    "a session token": (replaced("[work]", "aws_session_token = x\n[work]"), "", 1, "temporary credentials", "status"),
    "an id of a session": (replaced("= AKIA", "= ASIA"), "", 1, "temporary credentials", "status"),
    "SSO": (
        lambda d: (d.credentials.unlink(), d.add(SSO, d.config)),
        "",
        1,
        "signs in with SSO",
        "aws sso login --profile default",
    ),
    "a key beside SSO": (config(SSO), "", 4, "SDKs disagree on which one wins", "--mixed"),
    "a role without a key": (
        config("[profile r]\nrole_arn = x\n"),
        "-p r",
        1,
        "has a role_arn, but neither",
        "status",
    ),
    "a process": (
        config("[profile r]\ncredential_process = x\n"),
        "-p r",
        1,
        "gets its key from a program",
        "adopt -p r-key",
    ),
    "root": (root, "-p root", 1, "the account's root user", "delete it in the console"),
    "keys in the environment": (
        env(AWS_ACCESS_KEY_ID="AKIAX", AWS_SECRET_ACCESS_KEY="x"),
        "",
        1,
        "AWS_ACCESS_KEY_ID is set",
        "unset AWS_ACCESS_KEY_ID",
    ),
    "two profiles in the environment": (
        env(AWS_PROFILE="work", AWS_DEFAULT_PROFILE="default"),
        "",
        1,
        "SDKs disagree on which one wins",
        "unset AWS_DEFAULT_PROFILE",
    ),
    "a wrong secret": (wrong_secret, "", 5, "the secret key stored for", "check the profile"),
    "a clock that is off by an hour": (
        lambda d: setattr(d.aws.settings, "clock_offset", 3600),
        "",
        1,
        "clock is 60 minutes slow",
        "set the clock",
    ),
    "no network": (env(AWS_ENDPOINT_URL="http://127.0.0.1:9"), "", 75, "cannot reach 127.0.0.1", "check the network"),
    "a captive portal": (
        lambda d: d.aws.fault("*", "html", times=None),
        "",
        75,
        "answered with a web page",
        "sign in to the network",
    ),
    "an endpoint that others could read": (
        env(AWS_ENDPOINT_URL="http://example.com"),
        "",
        1,
        "example.com is not encrypted",
        "use https",
    ),
    "denied: the list": (denied("ListAccessKeys"), "", 5, "not allowed to call iam:ListAccessKeys", "IT"),
    "denied: a new key": (denied("CreateAccessKey"), "", 5, "not allowed to call iam:CreateAccessKey", "IT"),
    "quarantine": (denied("CreateAccessKey", quarantine=True), "", 5, "the key has leaked", "tell IT at once"),
    "a second key in use": (
        second("Active"),
        "",
        4,
        "second active key .*AWS allows two keys per user",
        "delete-key AKIA",
    ),
    "a second key that is off": (
        second("Inactive"),
        "",
        4,
        "is inactive, and AWS allows two keys per user; remove one to go on",
        "delete-key AKIA",
    ),
    "a note of a newer version": (
        lambda d: note(d, NOTE),
        "",
        1,
        "a newer rotate-my-key began a rotation here",
        "--version",
    ),
    "a wrong setting": (
        settings("max_age = soon\n"),
        "",
        2,
        "line 1: max_age: 'soon' is not a duration",
        "config set max_age 90d",
    ),
    "an unknown setting": (settings("max_aeg = 9d\n"), "", 2, "did you mean max_age", "config set max_aeg --unset"),
    "settings that are none": (settings("[x\n"), "", 2, "line 1: the line is not NAME = VALUE", "config path"),
    "a wrong variable": (env(ROTATE_MY_KEY_MAX_AGE="soon"), "", 2, "ROTATE_MY_KEY_MAX_AGE: 'soon'", "unset"),
    "a wrong value of a flag": (
        nothing,
        "--keep-old soon",
        2,
        "'soon' is not a duration",
        "rotate --yes --keep-old 12h",
    ),
    "a flag without its other": (nothing, "--old-active", 2, "does nothing without --keep-old", "--keep-old 7d"),
    "an unknown option": (nothing, "--frobnicate", 2, "no such option", "rotate --help"),
    "two ways to choose": (nothing, "-p work --all", 2, "cannot be used together", "--all"),
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
    """Also in --json, and where the one that was typed is told of by the rotation itself."""
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


def test_a_remedy_is_about_the_profile_that_was_typed(desk: Desk, make_key: Callable[..., Credentials]) -> None:
    """`doctor -p bob` never names a command for another one's key."""
    desk.profiles(bob=make_key("bob"))
    desk.aws.demand_mfa()
    desk.aws.add_mfa("bob")
    told = desk.run("doctor", "-p", "bob", "--json").json["findings"]
    ours = [finding["remedy"] for finding in told if finding["remedy"].startswith("rotate-my-key")]
    assert ours and all(" -p bob" in remedy for remedy in ours), ours
