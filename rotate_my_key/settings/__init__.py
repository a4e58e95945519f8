"""The settings that count: flags over environment over the user's file over the site's over built-in.

What the site enforces is a ceiling over all of them. Environment, paths and flags are handed in. Nothing is printed:
what a person should be told is in `notices`. ConfigObj is imported only if there is a file to read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.errors import Problem, WrongUsage
from ..core.hints import Again
from ..core.policy import Policy
from ..files.paths import Paths
from .table import PREFIX, TABLE, Given, Raw, Setting, Value, near, release, setting, write

if TYPE_CHECKING:
    from ..core.policy import Hook

__all__ = [
    "TABLE",
    "Given",
    "Raw",
    "Setting",
    "Settings",
    "Site",
    "Value",
    "ValueOrigin",
    "after_rotate",
    "load",
    "near",
    "setting",
    "site",
    "user",
    "write",
]


class ValueOrigin(NamedTuple):
    """Where a value comes from. `text` is the value that counts, `source` names who asked for `asked`: `flag
    --max-age`, `ROTATE_MY_KEY_MAX_AGE`, a path with a line, or `built-in`. `ceiling` is where the site enforces
    something tighter, "" if that changed nothing."""

    text: str
    source: str
    asked: str
    ceiling: str = ""


class Site(NamedTuple):
    """The site's file: what it sets, what it enforces, and its `state`: "read", "not there" or "ignored: <why>"."""

    state: str
    settings: Mapping[str, Given]
    enforced: Mapping[str, Given]


class Settings(NamedTuple):
    """Every setting with its effective value, and for each its origin. `notices` are for a person, one line each."""

    max_age: timedelta
    remind_before: timedelta
    overlap: timedelta
    overlap_most: timedelta
    keep_old: timedelta
    replace_inactive: bool
    propagation_timeout: timedelta
    proof_interval: timedelta
    mfa_serial: str
    auth_profile: str
    exclude: tuple[str, ...]
    update_copies: bool
    snooze: bool
    contact: str
    minimum_version: str
    cache_max_age: timedelta
    keyring_backend: str
    origin: Mapping[str, ValueOrigin]
    notices: tuple[str, ...]

    @property
    def policy(self) -> Policy:
        """How old a key may get."""
        return Policy(self.max_age, self.remind_before)

    def is_outdated(self, version: str) -> bool:
        """Whether this version of the program is older than `minimum_version`."""
        return release(version) < release(self.minimum_version)


def load(paths: Paths, env: Mapping[str, str], flags: Mapping[str, Raw | None] | None = None) -> Settings:
    """Put all settings together. `flags` holds those given on the command line, by setting name; None is not given.
    Raises WrongUsage for a wrong value or name in a flag, the environment or the user's file; Problem if a file cannot
    be read or the site's is wrong. The message names where, and what is allowed."""
    for name in flags or {}:
        setting(name)
    theirs = site(paths)
    mine = user(paths.config_file)
    values: dict[str, Any] = {}
    origin: dict[str, ValueOrigin] = {}
    notices = [f"the site's settings, {paths.site_file}, are {theirs.state}"] if "ignored" in theirs.state else []
    notices += _misspelt(env)
    for name, row in TABLE.items():
        said = _said(row, env, flags or {})
        given = said or mine.get(name) or theirs.settings.get(name) or Given(row.read(row.builtin), "built-in")
        ceiling = theirs.enforced.get(name)
        value = row.tighten(given.value, ceiling.value) if ceiling else given.value
        held = ceiling.where if ceiling and value != given.value else ""
        values[name] = value
        origin[name] = ValueOrigin(write(value), given.where, write(given.value), held)
        if held and said:
            notices.append(f"{said.where}: the site limits {name} to {write(value) or 'nothing'} ({held})")
    if values["remind_before"] >= values["max_age"]:
        before, age = origin["remind_before"].text, origin["max_age"].text
        notices.append(f"remind_before ({before}) is not below max_age ({age}), so every key is due at once")
    return Settings(**values, origin=origin, notices=tuple(notices))


def site(paths: Paths) -> Site:
    """Read the site's file if it is there and trusted. Raises Problem if it cannot be read or is wrong."""
    if not _is_there(paths.site_file):
        return Site("not there", {}, {})
    from .trust import objection, read, unreadable

    try:
        reason = objection(paths.site_file, paths.site_owner, paths.site_top)
    except (FileNotFoundError, NotADirectoryError):
        return Site("not there", {}, {})
    except OSError as error:
        raise unreadable(paths.site_file, error, site=True) from None
    if reason:
        return Site(f"ignored: {reason}", {}, {})
    from .ini import File

    return Site("read", *File(paths.site_file, read(paths.site_file, site=True) or b"", site=True).settings())


def user(path: str) -> Mapping[str, Given]:
    """Read the user's file; nothing if there is none. Raises WrongUsage if it is wrong, Problem if it is unreadable."""
    data = _read(path)
    if not data:
        return {}
    from .ini import File

    return File(path, data).settings()[0]


def after_rotate(path: str) -> tuple[Hook, ...]:
    """The commands of the user's file that run after a rotation. Raises WrongUsage if they are wrong; Problem if
    somebody else could have written the file."""
    data = _read(path)
    if not data or b"after_rotate" not in data:
        return ()
    from ..files.platform import my_uid
    from .ini import File
    from .trust import own_objection

    hooks = File(path, data).hooks()
    reason = own_objection(path, my_uid()) if hooks else ""
    if reason:
        raise Problem(
            f"the commands of [after_rotate] are not run: {reason}", f"chmod go-w {reason.split(' can be ')[0]}"
        )
    return hooks


def _is_there(path: str) -> bool:
    """Whether there is something; also if it cannot be looked at."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True
    return True


def _read(path: str) -> bytes | None:
    if not _is_there(path):
        return None
    from .trust import read

    return read(path)


def _said(row: Setting, env: Mapping[str, str], flags: Mapping[str, Raw | None]) -> Given | None:
    """What was asked for this run alone, by flag or environment. A variable set to nothing counts as unset."""
    raw, source = flags.get(row.name), f"flag {row.flag}"
    hint: str = Again(row.flag, f"{raw}d" if str(raw).isdecimal() else row.example)
    if raw is None:
        raw, source, hint = env.get(row.variable) or None, row.variable, f"unset {row.variable}"
    if raw is None:
        return None
    try:
        return Given(row.read(raw), source)
    except WrongUsage as wrong:
        raise WrongUsage(f"{source}: {wrong.message}; {wrong.hint}", hint) from None


def _misspelt(env: Mapping[str, str]) -> Iterator[str]:
    """A variable that looks like a setting's and is none. Others of this prefix may mean something to the installer."""
    for variable in env:
        if variable.startswith(PREFIX) and variable.removeprefix(PREFIX).lower() not in TABLE:
            meant = near(variable.removeprefix(PREFIX))
            if meant:
                yield f"{variable} is no setting; did you mean {TABLE[meant].variable}?"
