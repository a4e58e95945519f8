"""What a person reads, on the screen and in --help, is said in the words of the trade: the glossary of what is not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import rotate_my_key
from rotate_my_key.cli.program import program

PACKAGE = Path(rotate_my_key.__file__).parent
FILES = sorted(file for file in PACKAGE.rglob("*.py") if "fleet" not in str(file.relative_to(PACKAGE)))
NEVER = re.compile(
    r"\b(pairs?|deliver(y|ies|ed)|retired?|settled?|at AWS|puts? \w* ?right|mend(s|ed)?|stands? in the way"
    r"|switch(ed|es|ing)? (\w+ ){0,3}(on|off)|whoever|anew|for want of|of which|he|his|him|made a|it is \w+ that"
    r"|is out of it|AWS (knows|wants)|(?<!in )places?)\b",
    re.IGNORECASE,
)
# Of --json, of the history, of steps and of what IT stored: they stay.
VALUES = {"static pair", "switched off", "switch on", "delivery of rotate-my-key"}


def read_by_people(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The texts of more than a word, but for docstrings; what is put into one is left out."""
    quiet = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in quiet else ""
        if isinstance(text, str) and " " in text.strip() and text not in VALUES:
            yield node.lineno, text


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_what_the_program_says(file: Path) -> None:
    """No text that it may print has a word of the first draft."""
    said = read_by_people(ast.parse(file.read_text()))
    assert [(line, found[0], text) for line, text in said if (found := NEVER.search(text))] == []


def helps(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """The --help of a command and of those in it, but for the fleet's."""
    context = click.Context(command, info_name=name)
    yield name, command.get_help(context)
    for each in command.list_commands(context) if isinstance(command, click.Group) else ():
        child = command.get_command(context, each)
        if child and not child.hidden and each != "fleet":
            yield from helps(child, f"{name} {each}")


def test_what_help_says() -> None:
    """Nor has any --help."""
    assert {name: found[0] for name, text in helps(program, "rotate-my-key") if (found := NEVER.search(text))} == {}
