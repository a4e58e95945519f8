"""What people read of the fleet (screens, help, mails, pages, presets, docs/it) is in the words of the trade."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rotate_my_key import policies
from rotate_my_key.cli.fleet import command
from rotate_my_key.settings.fleet_ini import PRESETS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "rotate_my_key"
BANNED = re.compile(
    r"\bpairs?\b|switch(ed|es|ing)?[ -]((it|them|a|the|every|all) )?(\w+ )?(off|on)\b|\bat AWS\b|put(s)? right\b"
    r"|\bmends?\b|stands? in the way|(made|makes?|making) (a|one|its|the|new) (new )?keys?\b|\bfor want of\b"
    r"|\bwhoever\b|\banew\b|\b(he|his|him)\b|\bhand-over\b|\bretires?d?\b|\bin peace\b|is out of it\b"
    r"|no use (of it is )?(on record|recorded)",
    re.IGNORECASE,
)


def texts(file: Path) -> Iterator[str]:
    """The texts of a module that are sentences: with a blank, and no docstrings."""
    tree = ast.parse(file.read_text())
    blocks = (ast.Module, ast.ClassDef, ast.FunctionDef)
    first = [node.body[0] for node in ast.walk(tree) if isinstance(node, blocks)]
    docs = {id(each.value) for each in first if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and " " in node.value
            and id(node) not in docs
        ):
            yield node.value


def helps(group: click.Command) -> Iterator[str]:
    """Help of commands and options."""
    for each in (group, *getattr(group, "commands", {}).values()):
        yield from (each.help or "", each.get_short_help_str(200))
        yield from (option.help or "" for option in each.params if isinstance(option, click.Option))


def everything() -> Iterator[tuple[str, str]]:
    """Where, and what."""
    files = [*(PACKAGE / "fleet").glob("*.py"), *(PACKAGE / "cli/fleet").glob("*.py"), PACKAGE / "cli/handover.py"]
    for file in [*files, PACKAGE / "settings/fleet_ini.py"]:
        # words of the state and of --json are kept to the letter
        yield from ((file.name, text) for text in texts(file) if text not in ("switched off", "left alone"))
    yield from (("--help", text) for text in helps(command))
    for file in (PACKAGE / "fleet/templates").rglob("*.j2"):
        yield file.name, file.read_text()
    yield from ((each.name, f"{each.after} {each.says} {each.here}") for each in PRESETS.values())
    yield from ((name, policies.summary(name)) for name in policies.names())
    for file in (ROOT / "docs/it").glob("*.md"):
        yield file.name, re.sub(r"```.*?```|`[^`]*`", "", file.read_text(), flags=re.DOTALL)


EVERYTHING = list(everything())


@pytest.mark.parametrize("name", sorted({name for name, _ in EVERYTHING}))
def test_the_words_of_the_trade(name: str) -> None:
    """Keys are active or inactive, created, deactivated and deleted, in AWS; users are they."""
    mine = [text for where, text in EVERYTHING if where == name]
    assert [text[max(each.start() - 40, 0) : each.end() + 40] for text in mine for each in BANNED.finditer(text)] == []
