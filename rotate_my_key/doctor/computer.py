"""The computer under examination: everything the checks may look at, read once and never written.

Environment, paths and platform are handed in, as is how much room a disk has.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from .. import settings
from ..errors import Problem
from ..files import platform
from ..files.regular import read_start
from ..model import Holding
from ..paths import Paths
from ..profiles.file import ProfilePaths, Profiles, Reader, ReadFile, read_profiles
from .finding import Where

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
    has it there, and `search` finds the places that hold one of some ids; by default only files are looked at.
    `put_back` gives the command that puts a stored key back into a profile that holds none, or "".
    """

    env: Mapping[str, str]
    paths: Paths
    version: str
    profile: str | None = None
    program: str = ""
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
            return read_profiles(self.files)
        except Problem as problem:
            return problem

    @property
    def name(self) -> str:
        """The profile in force: named, from the environment, or default."""
        named = (self.profile, self.env.get("AWS_PROFILE"), self.env.get("AWS_DEFAULT_PROFILE"))
        return next(filter(None, named), "default")

    @property
    def read_files(self) -> tuple[ReadFile, ...]:
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
        from ..profiles.places import ProfileFiles as Places

        try:
            return (self.search or Places(*self.files_named).search)(key_ids)
        except Problem:
            return Places(*self.files_named).search(key_ids) if self.search else ()

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
        return shown if re.fullmatch(r"~?[\w./+@%-]+", shown) else shlex.quote(path)

    def locate(self, text: str) -> Where:
        """The place that a message names: one of our files, and the line behind it."""
        own = (*self.files_named, self.paths.config_file, self.paths.site_file)
        for path in own:
            if path and (path in text or self.show(path) in text):
                line = _LINE.search(text)
                return Where(path, int(line[1]) if line else None)
        return Where()

    @property
    def files_named(self) -> tuple[str, str]:
        """The paths of the two profile files."""
        return self.paths.credentials, self.paths.config

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
