"""What the doctor looks at and what it says: the computer, read once and never written, and findings.

Environment, paths and platform are handed in, as is how much room a disk has. The remedy of a finding is a command as
this person's shell understands it; nothing is run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from .. import settings
from ..core.errors import Problem
from ..core.hints import Hint
from ..core.model import Holding, Identity
from ..files import platform
from ..files.paths import Paths
from ..files.regular import read_start
from ..profiles.file import ProfileFile, ProfilePaths, Profiles
from ..profiles.kinds import Reader
from ..profiles.which import Active


class Level(Enum):
    """How bad it is. BROKEN: a rotation would fail, another key is used than the profile's, or others can take the key.
    WARNING: some program may use another key, or something should be fixed soon. ADVICE: works, and could be better."""

    BROKEN = "broken"
    WARNING = "warning"
    ADVICE = "advice"


class Where(NamedTuple):
    """Where it is set: an absolute path, a line counted from 1, an environment variable; whichever are known."""

    file: str = ""
    line: int | None = None
    variable: str = ""


NOWHERE = Where()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that could make a rotation fail. `code` is a fixed word for scripts; `message` one line, lower case,
    without full stop; `remedy` a command to type."""

    level: Level
    code: str
    message: str
    remedy: str
    where: Where = NOWHERE


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found. `active` is the key that SDKs use here, or would once the findings are dealt with. `identity`
    is who it signs in as, if AWS was asked; `unchecked` says what could not be looked into, and why; `advice` is AWS's
    own about keys of this kind, "" where there is none."""

    active: Active | None
    identity: Identity | None
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...] = ()
    advice: str = ""

    @property
    def broken(self) -> bool:
        """Whether something must be fixed."""
        return any(finding.level is Level.BROKEN for finding in self.findings)


_COMMAND = re.compile(
    r"(?:^|: )((?:aws|unset|ls|command -v) [^;,]+)$|^((?:aws|unset|ls|command -v)\b[^;,]*)"
    r"|^((?:\(umask|powershell) .*)"
)
_LINE = re.compile(r"\bline (\d+)")
# Where shells set variables at login, most likely first.
_STARTUP = (
    *(".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshrc", ".zshenv", ".zprofile", ".zlogin"),
    *(".config/fish/config.fish", ".envrc", ".pam_environment", "/etc/environment"),
)


def free_bytes(path: str) -> int | None:
    """The room that the disk under `path` has for us; None if that cannot be told."""
    import shutil

    try:
        return shutil.disk_usage(path).free  # what root keeps for itself is not in it
    except OSError:
        return None


@dataclass(frozen=True)
class Computer:
    """What the program was started with.

    `profile` is the one named with -p, `program` the path it was started by. `keyring` reads the pair of a profile that
    has it there, and `search` finds the places that hold one of some ids; by default only files are looked at. `kept`
    gives the variables that `setx` has set for good, `on_windows` tells whether a file is on a drive of Windows that
    WSL mounts. `put_back` gives the command that puts a stored key back into a profile that holds none, or ""."""

    env: Mapping[str, str]
    paths: Paths
    version: str
    profile: str | None = None
    program: str = ""
    on_windows: Callable[[str], bool] = platform.is_windows_drive
    kept: Callable[[], Mapping[str, str]] = platform.kept_variables
    platform: str = platform.NAME
    free: Callable[[str], int | None] = free_bytes
    keyring: Reader | None = None
    search: Callable[[Collection[str]], Collection[Holding]] | None = None
    put_back: Callable[[str], str] = lambda profile: ""

    @cached_property
    def files(self) -> ProfilePaths:
        """The two profile files."""
        return ProfilePaths(self.paths.credentials, self.paths.config, self.paths.home)

    @cached_property
    def profiles(self) -> Profiles | Problem:
        """What stands in them, or why that cannot be said."""
        try:
            return Profiles(self.files)
        except Problem as problem:
            return problem

    @property
    def name(self) -> str:
        """The profile in force: named, from the environment, or default."""
        named = (self.profile, self.env.get("AWS_PROFILE"), self.env.get("AWS_DEFAULT_PROFILE"))
        return next(filter(None, named), "default")

    @property
    def read_files(self) -> tuple[ProfileFile, ...]:
        """The files that could be read."""
        return () if isinstance(self.profiles, Problem) else (self.profiles.credentials, self.profiles.config)

    @cached_property
    def settings(self) -> settings.Settings | Problem:
        """The settings that count, or why there are none."""
        try:
            return settings.load(self.paths, self.env)
        except Problem as problem:
            return problem

    def holding(self, key_ids: Collection[str]) -> Collection[Holding]:
        """The places here that hold one of these ids, as far as they can be read."""
        from ..profiles.places import LocalPlaces

        try:
            return (self.search or LocalPlaces(self.files).search)(key_ids)
        except Problem:
            return LocalPlaces(self.files).search(key_ids) if self.search else ()

    @property
    def posix(self) -> bool:
        """Whether files have modes and owners here."""
        return self.platform != "win32"

    # Where things are

    def show(self, path: str) -> str:
        """The path as a person writes it."""
        return self.files.show(path)

    def shorten(self, text: str) -> str:
        """A message with its paths as a person writes them."""
        home = self.paths.home.rstrip(os.sep) + os.sep
        return text.replace(home, f"~{os.sep}") if len(home) > 1 else text

    def word(self, path: str) -> str:
        """The path as one word of a command: `~/.aws/config`, or quoted if it has to be."""
        shown = self.show(path)
        if not self.posix:
            return f'"{path}"'
        return shown if re.fullmatch(r"~?[\w./+@%-]+", shown) else shlex.quote(path)

    def locate(self, text: str) -> Where:
        """The place that a message names: one of our files, and the line behind it."""
        for path in (self.paths.credentials, self.paths.config, self.paths.config_file, self.paths.site_file):
            if path and (path in text or self.show(path) in text):
                line = _LINE.search(text)
                return Where(path, int(line[1]) if line else None)
        return NOWHERE

    def setting(self, name: str) -> Where:
        """Where one of the profile files sets this, also in a nested block."""
        for file in self.read_files:
            for section, values in file.settings.items():
                if name in values or any(name in value for value in values.values() if value.startswith("\n")):
                    return Where(file.path, file.line_of(section, name))
        return NOWHERE

    def origin(self, variable: str) -> Where:
        """Where a variable of the environment is set, if a start-up file of the shell shows it."""
        setting = re.compile(rf"^(?!\s*#).*(?<![$\w{{]){re.escape(variable)}\s*[= ]")
        for name in _STARTUP:
            path = os.path.join(self.paths.home, name)
            lines = read_start(path).decode(errors="replace").split("\n")
            for number, line in enumerate(lines, 1):
                if setting.search(line):
                    return Where(path, number, variable)
        return Where(variable=variable)

    # Findings, each with a command that fixes it

    def in_variable(self, level: Level, code: str, message: str, *names: str) -> Finding:
        """What is fixed by unsetting variables in this shell."""
        if not self.posix:
            remedy = "Remove-Item " + ", ".join(f"Env:{name}" for name in names)
            if kept := [name for name in names if name in self.kept()]:
                remedy += f"; Remove-ItemProperty HKCU:\\Environment {', '.join(kept)}"
        else:
            unset = "set -e" if os.path.basename(self.env.get("SHELL", "")) == "fish" else "unset"
            remedy = " ".join((unset, *names))
        return Finding(level, code, message, remedy, self.origin(names[0]))

    def in_file(self, level: Level, code: str, message: str, where: Where) -> Finding:
        """What is fixed in an editor."""
        return Finding(level, code, message, self._edit(where), where)

    def set_at(self, level: Level, code: str, message: str, where: Where) -> Finding:
        """What a variable or a file sets."""
        if where.variable:
            return self.in_variable(level, code, message, where.variable)
        return self.in_file(level, code, message, where)

    def problem(
        self, level: Level, code: str, problem: Problem, otherwise: str = "", where: Where = NOWHERE
    ) -> Finding:
        """What another part of the program has put into words already. Its hint is either a command already or says
        what to do to a line of a file; then it becomes a part of the message, and the command opens the file there.
        `otherwise` is the remedy where no file is known."""
        where = where if where.file else self.locate(problem.message)
        if isinstance(problem.hint, Hint):
            return Finding(level, code, problem.message, problem.hint.bare, where)
        if command := _COMMAND.search(problem.hint):
            return Finding(level, code, problem.message, command[command.lastindex or 0].strip(), where)
        remedy = self._edit(where) if where.file else otherwise or problem.hint
        hint = f": {problem.hint}" if problem.hint and remedy != problem.hint else ""
        return Finding(level, code, problem.message + hint, remedy, where)

    def _edit(self, where: Where) -> str:
        """Open a file, at the line if it is known; the usual editors all know `+LINE`."""
        word = self.word(where.file)
        return f"${{EDITOR:-vi}} {f'+{where.line} ' if where.line else ''}{word}" if self.posix else f"notepad {word}"

    def mount(self, path: str) -> str:
        """What shows where a file on a read-only file system comes from, such as a store of Nix; "" for any other."""
        try:
            read_only = self.posix and platform.is_read_only(path)
        except OSError:
            return ""
        return f"findmnt -T {self.word(os.path.realpath(path))}" if read_only else ""
