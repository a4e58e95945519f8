"""The program itself: its settings and the site's, its version, and which one a shell finds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from .. import settings
from ..errors import Problem
from . import remedies
from .computer import Computer
from .finding import Finding, Level, Where

NAME = "rotate-my-key"


def check(computer: Computer) -> Iterator[Finding]:
    """All of it."""
    yield from _settings(computer)
    yield from _site(computer)
    yield from _version(computer)
    yield from _path(computer)


def _settings(computer: Computer) -> Iterator[Finding]:
    if isinstance(computer.settings, Problem):
        if not _site_problem(computer):
            yield _setting(computer, Level.BROKEN, "settings", computer.settings)
        return
    for notice in computer.settings.notices:
        if computer.paths.site_file not in notice:  # see _site
            yield _setting(computer, Level.WARNING, "settings", Problem(notice))


def _setting(computer: Computer, level: Level, code: str, problem: Problem) -> Finding:
    """A wrong value names its variable first, or the file with the line."""
    variable = next((word for word in problem.message.replace(":", " ").split() if word in computer.env), "")
    if variable:
        hint = "" if problem.hint.startswith("unset") or not problem.hint else f": {problem.hint}"
        remedy = remedies.unset(computer, variable)
        return Finding(level, code, problem.message + hint, remedy, computer.origin(variable))
    return remedies.finding(computer, level, code, problem, "rotate-my-key config show")


def _site_problem(computer: Computer) -> Problem | None:
    try:
        settings.site(computer.paths)
    except Problem as problem:
        return problem
    return None


def _site(computer: Computer) -> Iterator[Finding]:
    """The site's file is IT's to mend, so the remedies are theirs."""
    path = computer.paths.site_file
    wrong = _site_problem(computer)
    if wrong:
        yield remedies.finding(computer, Level.BROKEN, "site-settings", wrong, "rotate-my-key config path")
        return
    state = settings.site(computer.paths).state
    if state.startswith("ignored"):
        message = f"the site's settings, {path}, are {state}"
        remedy = f"sudo chown root {computer.word(path)} && sudo chmod go-w {computer.word(path)}"
        yield Finding(Level.WARNING, "untrusted-site", message, remedy, Where(path))


def _version(computer: Computer) -> Iterator[Finding]:
    if isinstance(computer.settings, Problem) or not computer.settings.is_outdated(computer.version):
        return
    origin = computer.settings.origin["minimum_version"]
    where = computer.locate(origin.ceiling or origin.source)
    message = f"this is version {computer.version}, and at least {computer.settings.minimum_version} is asked for"
    yield Finding(Level.BROKEN, "old-version", f"{message} ({origin.ceiling or origin.source})", upgrade(), where)


def upgrade(prefix: str = sys.prefix) -> str:
    """The command that brings a newer version, by how this one was installed."""
    folders = prefix.replace("\\", "/").lower()
    if "/pipx/" in folders:
        return f"pipx upgrade {NAME}"
    if "/uv/tools/" in folders:
        return f"uv tool upgrade {NAME}"
    return "./install.sh"


def _path(computer: Computer) -> Iterator[Finding]:
    where = Where(variable="PATH")
    found = programs(computer)
    mine = os.path.dirname(os.path.abspath(computer.program)) if computer.program else ""
    if not found:
        own = next((folder for folder in (mine, os.path.join(computer.paths.home, ".local/bin")) if _in(folder)), "")
        if own:
            message = f"no folder of PATH holds {NAME}, so reminders and scripts do not find it"
            yield Finding(Level.WARNING, "not-on-path", message, f'export PATH={computer.word(own)}:"$PATH"', where)
    elif len(found) > 1:
        message = f"there is more than one {NAME} on PATH: {', '.join(map(computer.show, found))}"
        yield Finding(Level.WARNING, "several-programs", message, f"rm {computer.word(found[-1])}", where)


def programs(computer: Computer) -> list[str]:
    """Every program of this name on PATH; links to one and the same count once."""
    by_real: dict[str, str] = {}
    for folder in computer.env.get("PATH", "").split(os.pathsep):
        path = _in(folder) if os.path.isabs(folder) else ""
        if path:
            by_real.setdefault(os.path.realpath(path), path)
    return list(by_real.values())


def _in(folder: str) -> str:
    for name in (NAME, f"{NAME}.exe"):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""
