"""What goes into a shell: the static script, the guard line that sources it, and the variant for all users.

Pure but for reading the templates beside it. Paths are put in as the shell's own quoted words; a path that no shell can
take in one line is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from ..errors import Problem

SHELLS = ("bash", "zsh", "fish", "powershell")
_FILES = {"bash": "bash.sh", "zsh": "zsh.zsh", "fish": "fish.fish", "powershell": "powershell.ps1"}


class Tool(NamedTuple):
    """How to run the program: the command, the Python that it runs in, and the script for the due path; absolute."""

    command: str
    python: str
    script: str


class Folders(NamedTuple):
    """The reminder's folder in the state, the user's settings folder and the site's file; absolute."""

    reminder: str
    config: str
    site: str


def script_name(shell: str) -> str:
    """The static script's name in the reminder's folder."""
    return _FILES[shell]


def script(shell: str, tool: Tool, folders: Folders) -> str:
    """The static script for one user."""
    quoted = _quoted(shell)
    match shell:
        case "fish":
            lines = f"set dir {quoted(folders.reminder)}\n    set config {quoted(folders.config)}"
        case "powershell":
            lines = f"$dir = {quoted(folders.reminder)}; $config = {quoted(folders.config)}"
        case _:
            lines = f"dir={quoted(folders.reminder)} config={quoted(folders.config)}"
    return _filled(shell, tool, folders.site, lines)


def system_script(shell: str, tool: Tool, site: str, platform: str) -> str:
    """The script for all users of a computer: it sources nothing, and finds each user's state when it runs."""
    state, config = (
        ("Library/Application Support", "Library/Application Support")
        if platform == "darwin"
        else (".local/state", ".config")
    )
    app = "rotate-my-key"
    match shell:
        case "fish":
            lines = "\n    ".join(
                f'set {name} $HOME/{_quote_fish(default)}/{app}\n    string match -q "/*" -- $XDG_{variable}_HOME; '
                f"and set {name} $XDG_{variable}_HOME/{app}"
                for name, default, variable in (("dir", state, "STATE"), ("config", config, "CONFIG"))
            )
            lines += "\n    set dir $dir/reminder"
        case "powershell":
            lines = _powershell_folders(platform, state, config)
        case _:
            lines = "\n    ".join(
                f"{name}=${{HOME-}}/{_quote(default)}\n    [[ ${{XDG_{variable}_HOME-}} != /* ]] || "
                f"{name}=$XDG_{variable}_HOME"
                for name, default, variable in (("dir", state, "STATE"), ("config", config, "CONFIG"))
            )
            lines += f"\n    dir=$dir/{app}/reminder config=$config/{app}"
    return _filled(shell, tool, site, lines)


def guard(shell: str, path: str) -> str:
    """The line that sources the static script, if the shell's own user owns it. Safe under any option of the shell."""
    word = _quoted(shell)(path)
    match shell:
        case "bash":
            return f"if [[ $- == *i* && -f {word} && -O {word} ]]; then . {word}; fi"
        case "zsh":
            source = _quote(f"\\builtin source {word}")
            return (
                f"if [[ -o interactive && -f {word} && -O {word} ]]; then "
                f"\\builtin emulate -R zsh -o no_aliases -c {source}; fi"
            )
        case "fish":
            return f"if status is-interactive; and test -f {word} -a -O {word}; source {word}; end"
        case _:
            return f"if ([IO.File]::Exists({word})) {{ . {word} }}"


def _powershell_folders(platform: str, state: str, config: str) -> str:
    if platform == "win32":
        return (
            "$dir = [IO.Path]::Combine($env:LOCALAPPDATA, 'rotate-my-key', 'reminder'); "
            "$config = [IO.Path]::Combine($env:LOCALAPPDATA, 'rotate-my-key')"
        )
    lines = []
    for name, default, variable in (("dir", state, "STATE"), ("config", config, "CONFIG")):
        given = f"$env:XDG_{variable}_HOME"
        lines.append(f"${name} = if ({given} -like '/*') {{ {given} }} else {{ \"$HOME/{default}\" }}")
        lines.append(f'${name} = "${name}/rotate-my-key{"/reminder" if name == "dir" else ""}"')
    return "\n        ".join(lines)


def _filled(shell: str, tool: Tool, site: str, folders: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), "blocks", _FILES[shell]), encoding="utf-8") as file:
        text = file.read()
    quoted = _quoted(shell)
    words = {"TOOL": tool.command, "PYTHON": tool.python, "SAY": tool.script, "SITE": site}
    for name, value in words.items():
        text = text.replace(f"@{name}@", quoted(value))
    return text.replace("@FOLDERS@", folders)


def _quoted(shell: str) -> Callable[[str], str]:
    """The function that makes one word of a text in this shell."""
    return {"fish": _quote_fish, "powershell": _quote_powershell}.get(shell, _quote)


def _quote(text: str) -> str:
    return "'" + _one_line(text).replace("'", "'\\''") + "'"


def _quote_fish(text: str) -> str:
    return "'" + _one_line(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quote_powershell(text: str) -> str:
    quotes = "'\u2018\u2019\u201a\u201b"  # PowerShell takes the typographic ones for quotes too
    return "'" + "".join(letter * 2 if letter in quotes else letter for letter in _one_line(text)) + "'"


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text or "\0" in text:
        raise Problem(f"a path with a line end in it cannot go into a shell's start-up file: {text!r}")
    return text
