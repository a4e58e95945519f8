"""How the reminder gets into a shell: the static script, the guard line that sources it, the variant for all users; the
marked block in a start-up file, put in and taken out again byte for byte; which shell this is and which file it reads.

Paths are put in as the shell's own quoted words; a path that no shell can take in one line is refused. Start-up files
are written through `files/`: links stay links, mode and owner stay, the file changes at once or not at all, and is read
back. The environment and the process list are handed in."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ..core.errors import Problem, TryLater
from ..core.hints import quoted
from ..files.write import Written, create_private, make_folder, remove, replace, snapshot

# Each with the name of its static script, in the reminder's folder and in `blocks/`
FILES = {"bash": "bash.sh", "zsh": "zsh.zsh", "fish": "fish.fish", "powershell": "powershell.ps1"}
SHELLS = tuple(FILES)


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


def script(shell: str, tool: Tool, folders: Folders) -> str:
    """The static script for one user."""
    sets = {"fish": "set dir {}\n    set config {}", "powershell": "$dir = {}; $config = {}"}
    paths = map(_quoted(shell), (folders.reminder, folders.config))
    return _filled(shell, tool, folders.site, sets.get(shell, "dir={} config={}").format(*paths))


def system_script(shell: str, tool: Tool, site: str, platform: str) -> str:
    """The script for all users of a computer: it sources nothing, and finds each user's state when it runs."""
    mac = "Library/Application Support" if platform == "darwin" else ""
    both = (("dir", mac or ".local/state", "XDG_STATE_HOME"), ("config", mac or ".config", "XDG_CONFIG_HOME"))
    app, lines = "rotate-my-key", []
    if shell == "powershell" and platform == "win32":
        lines = [f"$dir = [IO.Path]::Combine($env:LOCALAPPDATA, '{app}', 'reminder')"]
        lines.append(f"$config = [IO.Path]::Combine($env:LOCALAPPDATA, '{app}')")
    elif shell == "powershell":
        for name, default, xdg in both:
            lines.append(f"${name} = if ($env:{xdg} -like '/*') {{ $env:{xdg} }} else {{ \"$HOME/{default}\" }}")
        lines.append(f'$dir = "$dir/{app}/reminder"; $config = "$config/{app}"')
    elif shell == "fish":
        for name, default, xdg in both:
            lines.append(f"set {name} $HOME/{_quote_fish(default)}/{app}")
            lines.append(f'string match -q "/*" -- ${xdg}; and set {name} ${xdg}/{app}')
        lines.append("set dir $dir/reminder")
    else:
        for name, default, xdg in both:
            lines.append(f"{name}=${{HOME-}}/{_quote(default)}")
            lines.append(f"[[ ${{{xdg}-}} != /* ]] || {name}=${xdg}")
        lines.append(f"dir=$dir/{app}/reminder config=$config/{app}")
    return _filled(shell, tool, site, ("\n        " if shell == "powershell" else "\n    ").join(lines))


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


# After `pipx uninstall` and the like, which run nothing of ours: the script is all that is left to tell the person.
_GONE = (
    "rotate-my-key: the program was removed, but a key is still in the keyring, where your programs can no longer get "
    "it. Install it again, then type: rotate-my-key uninstall"
)


def _filled(shell: str, tool: Tool, site: str, folders: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), "blocks", FILES[shell]), encoding="utf-8") as file:
        text = file.read()
    quoted = _quoted(shell)
    words = {"TOOL": tool.command, "PYTHON": tool.python, "SAY": tool.script, "SITE": site, "GONE": _GONE}
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
        raise Problem(f"a path with a line break cannot go into a shell's start-up file: {text!r}")
    return text


_NEW, _OPEN = b" (this file was made for it)", b" (the line before had no end)"


def _marks(name: str) -> tuple[bytes, bytes]:
    """The first and the last line of a block."""
    return f"# >>> rotate-my-key {name} >>>".encode(), f"# <<< rotate-my-key {name} <<<".encode()


_TRIES = 5


def added(data: bytes | None, line: bytes, name: str = "reminder") -> bytes:
    """The file with the block in it: where one is already, else at the end. None is a file that is not there yet.
    Raises Problem if there is half a block."""
    found = _find(data or b"", name)
    if found and data is not None:
        return data[: found.start()] + _block(line, found["note"] or b"", name) + data[found.end() :]
    if data is None:
        return _block(line, _NEW, name)
    if data and not data.endswith(b"\n"):
        return data + b"\n" + _block(line, _OPEN, name)
    return data + _block(line, b"", name)


def removed(data: bytes, name: str = "reminder") -> bytes | None:
    """The file as it was before; None if it was not there. Raises Problem if there is half a block."""
    found = _find(data, name)
    if not found:
        return data
    before, after = data[: found.start()], data[found.end() :]
    if found["note"] == _OPEN and not after:
        before = before.removesuffix(b"\n")
    if found["note"] == _NEW and not before and not after:
        return None
    return before + after


def has_block(data: bytes, name: str = "reminder") -> bool:
    """Whether there is one, whole or half."""
    return _marks(name)[0] in data


def install(path: str, line: bytes, name: str = "reminder") -> bool:
    """Put the block into the file; False if it is there already. Raises Problem, TryLater."""
    by_hand = f"rotate-my-key {name} show prints what to put there by hand"
    return _change(path, lambda data: added(data, line, name), by_hand)


def uninstall(path: str, name: str = "reminder") -> bool:
    """Take the block out; False if there was none. Raises Problem, TryLater."""
    by_hand = f"take the lines of rotate-my-key out by hand: nano {path}"
    return _change(path, lambda data: removed(data, name) if data and has_block(data, name) else data, by_hand)


def _change(path: str, wanted: Callable[[bytes | None], bytes | None], by_hand: str) -> bool:
    """Make of the content (None: no file) what is wanted, until it is read back so; False if it was so already."""
    changed = False
    for _ in range(_TRIES):
        found = snapshot(path)
        before = found.data if found else None
        after = wanted(before)
        if after == before:
            return changed
        if found and after is None:
            outcome = remove(found)
        elif found and after is not None:
            outcome = replace(found, after)
        else:
            if os.path.lexists(os.path.realpath(path)):
                raise Problem(f"{path} is not a regular file", f"ls -l {quoted(path)}")
            make_folder(os.path.dirname(os.path.realpath(path)))
            outcome = Written.DONE if create_private(os.path.realpath(path), after or b"") else Written.CHANGED
        if outcome is Written.IMPOSSIBLE:
            raise Problem(
                f"{path} cannot be replaced: it is mounted, has a second hard link or belongs to another user", by_hand
            )
        changed = outcome is Written.DONE or changed
    raise TryLater(f"{path} keeps changing: another program is writing it", "try again")


def _block(line: bytes, note: bytes, name: str) -> bytes:
    begin, end = _marks(name)
    return b"%b%b\n%b\n%b\n" % (begin, note, line, end)


def _find(data: bytes, name: str) -> re.Match[bytes] | None:
    begin, end = _marks(name)
    first, last = map(re.escape, (begin, end))
    note, rest = rb"(?P<note> \([^)\n]*\))?\r?\n", rb"(?:\r?\n|\Z)"
    block = rb"^" + first + note + rb"(?:(?!" + first + rb").*\n)*?" + last + rest
    found = list(re.finditer(block, data, re.MULTILINE))
    marks = data.count(begin), data.count(end)
    if marks != (len(found), len(found)) or len(found) > 1:
        raise Problem(
            "rotate-my-key's block in this file was edited by hand and can no longer be recognized",
            f"take out the lines between and with {begin.decode()!r}, then try again",
        )
    return found[0] if found else None


_NAMES = {"bash": "bash", "zsh": "zsh", "fish": "fish", "pwsh": "powershell", "powershell": "powershell"}
_GENERATIONS = 8

Parent = Callable[[int], tuple[str, int] | None]  # a process number to its name and its parent


def detect(env: Mapping[str, str], pid: int, parent: Parent, *, terminal: bool, platform: str = sys.platform) -> str:
    """The shell to remind in, or "". In a terminal the one that this was typed into (many start fish from a login
    bash), else the login shell: an installer is run by whatever shell it is written for."""
    login = _known(env.get("SHELL", ""))
    typed = next(filter(None, map(_known, _ancestors(pid, parent))), "") if terminal or not login else ""
    return typed or login or ("powershell" if platform == "win32" else "")


def rc_file(shell: str, home: str, env: Mapping[str, str], platform: str = sys.platform) -> str:
    """The file that an interactive shell of this user reads. For bash on macOS the login file: its terminals start
    login shells, which do not read ~/.bashrc."""
    xdg = env.get("XDG_CONFIG_HOME", "")
    config = xdg if os.path.isabs(xdg) else os.path.join(home, ".config")
    match shell:
        case "zsh":
            return os.path.join(env.get("ZDOTDIR") or home, ".zshrc")
        case "fish":
            return os.path.join(config, "fish", "config.fish")
        case "powershell" if platform != "win32":
            return os.path.join(config, "powershell", "profile.ps1")
        case "powershell":
            import platformdirs

            return os.path.join(platformdirs.user_documents_dir(), "PowerShell", "profile.ps1")
        case _ if platform == "darwin":
            login = [os.path.join(home, name) for name in (".bash_profile", ".bash_login", ".profile")]
            return next((path for path in login if os.path.lexists(path)), login[0])
        case _:
            return os.path.join(home, ".bashrc")


def every_rc_file(home: str, env: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each shell with the file that it reads, for `uninstall`."""
    return [(shell, rc_file(shell, home, env)) for shell in SHELLS]


def process(pid: int) -> tuple[str, int] | None:
    """A running process: its name and its parent; None if it cannot be told."""
    import psutil

    try:
        found = psutil.Process(pid)
        return found.name(), found.ppid()
    except (psutil.Error, OSError):
        return None


def _ancestors(pid: int, parent: Parent) -> Iterator[str]:
    for _ in range(_GENERATIONS):
        found = parent(pid)
        if found is None or pid <= 1:
            return
        name, pid = found
        yield name


def _known(command: str) -> str:
    name = command.replace("\\", "/").rsplit("/", 1)[-1].lstrip("-").removesuffix(".exe").lower()
    return _NAMES.get(name, "")
