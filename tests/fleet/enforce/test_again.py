"""A hint is the command as it was typed: whoever follows it does not do something else."""

from __future__ import annotations

import shlex
from typing import Any

import click
import pytest
from click.testing import CliRunner

from rotate_my_key.cli.app import App
from rotate_my_key.cli.fleet import fleet_options
from rotate_my_key.cli.fleet.common import again, fleet


@click.command("revoke")
@click.argument("user", required=False)
@click.option("--account", multiple=True)
@click.option("--why", default="asked for")
@click.option("-y", "--yes", is_flag=True)
@fleet_options
@click.pass_obj
def command(app: App, /, **values: Any) -> None:
    """Prints the three hints."""
    click.echo(again(app, "--yes"))
    click.echo(again(app, "--undo", but=("why", "yes")))
    click.echo(fleet(app, "enforce"))


def hints(*words: str) -> list[str]:
    """What the command prints."""
    found = CliRunner().invoke(command, list(words), obj=App({}), prog_name="rotate-my-key fleet revoke")
    assert found.exit_code == 0, found.output
    return found.output.splitlines()


ALL = ["bob", "--account", "111122223333", "--account", "444455556666", "--why", "it's gone", "-p", "it"]
CASES: list[tuple[str, list[str], list[str]]] = [
    ("what is not typed is not there", ["bob"], ["bob", "--yes"]),
    ("every option is", ALL, [*ALL[:7], "--profile", "it", "--yes"]),
    ("no flag is there twice", ["bob", "-y"], ["bob", "--yes"]),
    ("an MFA code is not", ["bob", "--mfa-code", "123456"], ["bob", "--yes"]),
    ("a name that begins with a dash", ["--", "-bob"], ["--yes", "--", "-bob"]),
    ("settings and who signs", ["bob", "--settings", "a b.ini", "--auth-profile", "sso"], []),
]


@pytest.mark.parametrize(("sentence", "words", "expected"), CASES, ids=[case[0] for case in CASES])
def test_as_typed(sentence: str, words: list[str], expected: list[str]) -> None:
    """With `--yes`, and each word as a shell hands it on."""
    (first, *_) = hints(*words)
    said = shlex.split(first)
    assert said[:3] == ["rotate-my-key", "fleet", "revoke"]
    if expected:
        assert sorted(said[3:]) == sorted(expected)
    else:
        assert sorted(said[3:]) == sorted([*words, "--yes"])


def test_typed_as_the_hint_says_it_gives_the_same_hint() -> None:
    """So it means the same."""
    (first, *_) = hints(*ALL)
    (second, *_) = hints(*shlex.split(first)[3:])
    assert sorted(shlex.split(second)) == sorted(shlex.split(first))


def test_taking_back_needs_no_reason() -> None:
    """The same accounts, settings and caller."""
    _, undo, _ = hints(*ALL, "-y")
    assert undo.split() == [
        *("rotate-my-key", "fleet", "revoke", "bob", "--account", "111122223333", "--account", "444455556666"),
        *("--profile", "it", "--undo"),
    ]


def test_another_command_of_the_same_caller() -> None:
    """The options that every fleet command has."""
    *_, other = hints(*ALL, "--settings", "fleet.ini")
    assert shlex.split(other)[:3] == ["rotate-my-key", "fleet", "enforce"]
    assert sorted(shlex.split(other)[3:]) == sorted(["--profile", "it", "--settings", "fleet.ini"])
