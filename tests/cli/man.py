"""Makes the manual pages that the wheel brings, from what --help says: one of the program, one of its fleet commands.

.venv/bin/python -m tests.cli.man [FOLDER]
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from rotate_my_key import __version__
from rotate_my_key.cli.program import program
from tests.cli.terminal import ROOT

FOLDER = ROOT / "man/share/man/man1"  # pyproject.toml names the first of these folders
_NAME = "rotate-my-key"
_EVERYWHERE = frozenset({"--help", *(name for option in program.params for name in option.opts)})
_OWN_PAGE = "fleet"


def pages() -> dict[str, str]:
    """The text of each page, by the name of its file."""
    context = click.Context(program, info_name=_NAME, **program.context_settings)
    fleet = program.get_command(context, _OWN_PAGE)
    assert isinstance(fleet, click.Group)
    return {
        f"{_NAME}.1": "\n".join(_page(program, context, f"{_NAME}-{_OWN_PAGE}(1)")),
        f"{_NAME}-{_OWN_PAGE}.1": "\n".join(
            _page(fleet, click.Context(fleet, context, info_name=_OWN_PAGE), f"{_NAME}(1)")
        ),
    }


def _page(group: click.Group, context: click.Context, other: str) -> Iterator[str]:
    name = context.command_path.replace(" ", "-")
    title, _, text = inspect.cleandoc(group.help or "").partition("\n")
    yield f'.TH {name.upper()} 1 "" "{_NAME} {__version__}"'
    yield from (".SH NAME", f"{_plain(name)} \\- {_plain(title.rstrip('.'))}")
    yield from (".SH SYNOPSIS", f"\\fB{_plain(context.command_path)}\\fR [\\fIOPTIONS\\fR] \\fICOMMAND\\fR ...")
    yield ".SH DESCRIPTION"
    yield from (*_prose(text), ".SH OPTIONS")
    yield from _options(group, context, frozenset())
    yield ".SH COMMANDS"
    yield from _commands(group, context)
    yield from (".SH EXIT STATUS", *_prose((program.epilog or "").removeprefix("Exit codes: ")))
    yield from (".SH SEE ALSO", _plain(other), "")


def _commands(group: click.Group, above: click.Context) -> Iterator[str]:
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is None or command.hidden:
            continue
        context = click.Context(command, above, info_name=name)
        yield f'.SS "{_plain(" ".join([context.command_path, *command.collect_usage_pieces(context)]))}"'
        yield from _prose(command.help or "")
        if name == _OWN_PAGE:
            continue
        yield from _options(command, context, _EVERYWHERE)
        if isinstance(command, click.Group):
            yield from _commands(command, context)
        else:
            yield from _prose(command.epilog or "")


def _options(command: click.Command, context: click.Context, but: frozenset[str]) -> Iterator[str]:
    for option in command.get_params(context):
        record = option.get_help_record(context) if but.isdisjoint(option.opts) else None
        if record:
            yield from (".TP", f"\\fB{_plain(record[0])}\\fR", *_line(record[1]))


def _prose(text: str) -> Iterator[str]:
    """Paragraphs; one whose lines click leaves as they are keeps them here."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        lines = paragraph.strip("\n").splitlines()
        if lines[:1] == ["\b"]:
            yield from (".PP", ".nf", *(_line(line)[0] for line in lines[1:]), ".fi")
        elif lines:
            yield from (".PP", *_line(" ".join(lines)))


def _line(text: str) -> list[str]:
    """A line that roff takes for no command, whatever it begins with."""
    plain = _plain(text)
    return [f"\\&{plain}" if re.match(r"[.']", plain) else plain]


def _plain(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("·", "\\(bu")


def main() -> None:
    """Write the pages."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
