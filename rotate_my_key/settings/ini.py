"""The commands that run after a rotation: [after_rotate] of the user's own file, a section [[NAME]] for each.

A command is a list of arguments; no shell reads it.

A config.ini, through ConfigObj: read against the configspec, and changed without losing a comment.

ConfigObj walks the configspec with `Checks`, a validator of our own: importing the one it ships costs as much again as
ConfigObj itself, and this runs at every start that finds a file. A contract test holds the two together. Every wrong
value names file, line and what is allowed. Nothing here decides between files.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from configobj import ConfigObj, ConfigObjError, DuplicateError, Section

from ..core.errors import Problem, WrongUsage
from .table import CONFIGSPEC, READERS, SITE_CONFIGSPEC, TABLE, Given, Raw, Value, near, write
from .trust import read

if TYPE_CHECKING:
    from ..core.errors import Problem


AFTER = "after_rotate"
_FIELDS = {"command": "", "secret": "no", "timeout": "1m", "profiles": ""}
_KINDS = {"secret": "yes_no", "timeout": "duration_above_zero", "profiles": "names"}
_HINT = "see docs/recipes.md"


class Hook(NamedTuple):
    """One command. `secret`: whether it gets the new secret; `profiles`: those it is for, () for all; `where`: path and
    line."""

    name: str
    command: tuple[str, ...]
    secret: bool
    timeout: timedelta
    profiles: tuple[str, ...]
    where: str


class HookFile(Protocol):
    """The file they are in."""

    def where(self, name: str, section: str = "") -> str:
        """Path and line of a name."""

    def wrong_in(self, section: str, name: str, what: str, hint: str) -> Problem:
        """What is wrong there."""


def read_hooks(file: HookFile, section: Mapping[str, Any]) -> tuple[Hook, ...]:
    """All of them, in order. Raises WrongUsage, naming the line and what is allowed."""
    for name, value in section.items():
        if not isinstance(value, Mapping):
            raise file.wrong_in(
                AFTER, name, f"{name} stands in [{AFTER}] itself: each command has a section [[NAME]]", _HINT
            )
    return tuple(_hook(file, name, entry) for name, entry in section.items())


def _hook(file: HookFile, name: str, entry: Mapping[str, Any]) -> Hook:
    values: dict[str, Any] = {}
    for field, raw in entry.items():
        if field not in _FIELDS or isinstance(raw, Mapping):
            what = f"[[{name}]] has no setting {field}, only {', '.join(_FIELDS)}"
            raise file.wrong_in(name, field, what, _HINT)
    for field, kind in _KINDS.items():
        try:
            values[field] = READERS[kind](entry.get(field, _FIELDS[field]))
        except WrongUsage as wrong:
            raise file.wrong_in(name, field, f"{field}: {wrong.message}; {wrong.hint}", _HINT) from None
    return Hook(name, _command(file, name, entry.get("command", "")), **values, where=file.where("command", name))


def _command(file: HookFile, name: str, raw: str | list[str]) -> tuple[str, ...]:
    words = [raw] if isinstance(raw, str) else raw
    if not words or not words[0]:
        raise file.wrong_in(name, "", f"[[{name}]] has no command", _HINT)
    if len(words) == 1 and " " in words[0] and not words[0].startswith(("/", "~")):
        what = f"command of [[{name}]]: no shell reads it; separate its words by commas: {', '.join(words[0].split())}"
        raise file.wrong_in(name, "command", what, _HINT)
    return tuple(words)


class Checks:
    """The validator that ConfigObj.validate asks. A wrong value is kept as the WrongUsage that tells what is wrong."""

    baseErrorClass = LookupError  # noqa: N815 - ConfigObj looks for it by this name; raised for what is not in the file

    def check(self, spec: str, raw: Raw, missing: bool = False) -> Value | WrongUsage:
        """Read one value by a line of the configspec."""
        if missing:
            raise LookupError(spec)
        try:
            return READERS[spec.partition("(")[0]](raw)
        except WrongUsage as wrong:
            return wrong


class File:
    """One file's bytes, and how to point into them. `site` says whose it is: only a site's may have [enforced]. `hint`
    is what to do about what is no settings file."""

    def __init__(self, path: str, data: bytes, *, site: bool = False, hint: str = "rotate-my-key config path") -> None:
        self.path = path
        self.data = data
        self.site = site
        self.hint = hint

    def settings(self) -> tuple[dict[str, Given], dict[str, Given]]:
        """What the file sets, and what it enforces.

        Raises WrongUsage for a user's file, Problem for a site's, naming the line and what is allowed.
        """
        config = self.parse(SITE_CONFIGSPEC if self.site else CONFIGSPEC)
        config.validate(Checks())
        allowed = ["enforced"] if self.site else [AFTER]
        for name in config.sections:
            if name not in allowed:
                raise self._stray_section(name)
        if AFTER in config.sections:
            self.hooks(config)
        mine = dict(self._given(config, ""))
        return mine, dict(self._given(config["enforced"], "enforced")) if self.site else {}

    def parse(self, configspec: Sequence[str] | None = None) -> ConfigObj:
        """The file as a ConfigObj. Raises like `settings` if it is none."""
        try:
            self.data.decode()
        except UnicodeDecodeError as error:
            raise self._wrong(len((self.data[: error.start] + b"?").splitlines()), "is not UTF-8 text") from None
        try:
            return ConfigObj(
                self.data.splitlines(keepends=True),
                configspec=list(configspec) if configspec else None,
                encoding="utf-8",
                interpolation=False,
            )
        except ConfigObjError as error:
            first = (getattr(error, "errors", None) or [error])[0]
            what = (
                "the line says again what stands above"
                if isinstance(first, DuplicateError)
                else "the line is not NAME = VALUE"
            )
            raise self._wrong(first.line_number, what) from None

    def hooks(self, config: ConfigObj | None = None) -> tuple[Hook, ...]:
        """The commands of [after_rotate], in the file's order. Raises WrongUsage."""
        return read_hooks(self, (config or self.parse()).get(AFTER, {}))

    def wrong_in(self, section: str, name: str, what: str, hint: str) -> Problem:
        """What is wrong with a name in a section, or with the section itself (name "")."""
        return self._wrong(self._line(name, section) if name else self._section_line(section), what, hint)

    def where(self, name: str, section: str = "") -> str:
        """Where a name is set: the path and the line."""
        return f"{self.path} line {self._line(name, section)}"

    def _given(self, section: Section, title: str) -> Iterator[tuple[str, Given]]:
        for name in section.sections if title else ():
            raise self._stray_section(name)
        for name in section.scalars:
            value = section[name]
            if name not in TABLE:
                meant = near(name)
                what = f"there is no setting {name}" + (f"; did you mean {meant}?" if meant else "")
                raise self._wrong(self._line(name, title), what, f"rotate-my-key config set {name} --unset")
            if isinstance(value, WrongUsage):
                what = f"{name}: {value.message}; {value.hint}"
                hint = f"rotate-my-key config set {name} {TABLE[name].example}"
                raise self._wrong(self._line(name, title), what, hint)
            yield name, Given(value, self.where(name, title))

    def _stray_section(self, name: str) -> Problem:
        what = f"[{name}] is no section of this file: settings stand at its top, without one"
        if name == "enforced":
            what = "[enforced] counts only in the site's file"
        elif name == AFTER:
            what = f"[{AFTER}] counts only in a person's own file: nobody runs programs for another"
        return self._wrong(self._section_line(name), what)

    def _section_line(self, name: str) -> int:
        lines = (number for number, section, line in self._lines() if section == name and line.startswith("["))
        return next(lines, 1)

    def _line(self, name: str, section: str) -> int:
        """The line that sets a name. ConfigObj keeps none for what it could read, so the file is searched again."""
        return next((number for number, inside, line in self._lines() if inside == section and _key(line) == name), 1)

    def _lines(self) -> Iterator[tuple[int, str, str]]:
        """Number, section and text of each line; a section's own line is in it."""
        section = ""
        for number, raw in enumerate(self.data.splitlines(), start=1):
            line = raw.decode("utf-8-sig", "replace").strip()
            if line.startswith("["):
                section = line.partition("#")[0].strip("[] \t'\"")
            yield number, section, line

    def _wrong(self, line: int, what: str, hint: str = "") -> Problem:
        message = f"{self.path} line {line}: {what}"
        if self.site:
            return Problem(f"the site's settings cannot be used, tell your IT: {message}", "rotate-my-key config path")
        return WrongUsage(message, hint or self.hint)


def _key(line: str) -> str:
    return line.partition("=")[0].strip(" \t'\"")


def change(path: str, name: str, value: Value | None) -> bool:
    """Set a name in the user's file, or take it out (None). Gives whether anything changed.

    Comments and order stay; spacing becomes ConfigObj's. The file is replaced whole and private (0600), its folder made
    0700 if it is not there. Raises WrongUsage if the file cannot be parsed or cannot hold the value.
    """
    file = File(path, read(path) or b"")
    config = file.parse()
    if value is None:
        if name not in config.scalars:
            return False
        _take_out(config, name)
    else:
        config[name] = list(value) if isinstance(value, tuple) else write(value)
    data = _rendered(config)
    if value is not None and File(path, data).parse().get(name) != config[name]:
        raise WrongUsage(f"{name} cannot hold {write(value)!r}", "write it without quotes")
    if data != file.data:
        _store(path, data)
    return data != file.data


def _take_out(config: ConfigObj, name: str) -> None:
    """Remove a name but keep the comments above it: they go to whatever comes next."""
    comments = config.comments[name]
    after = config.scalars[config.scalars.index(name) + 1 :] + config.sections
    del config[name]
    if after:
        config.comments[after[0]] = comments + config.comments[after[0]]
    else:
        config.final_comment = comments + config.final_comment


def _rendered(config: ConfigObj) -> bytes:
    for name, comment in config.inline_comments.items():
        # ConfigObj 5.0.9 writes `60d# why` unless it has to add the sign itself (DiffSK/configobj#261)
        config.inline_comments[name] = (comment or "").removeprefix("#").strip()
    out = io.BytesIO()
    try:
        config.write(out)
    except ConfigObjError:
        raise WrongUsage("a value with both kinds of quotes cannot be written", "write it without quotes") from None
    return out.getvalue()


def _store(path: str, data: bytes) -> None:
    """Replace the file atomically; a link to it (from a folder of dotfiles) stays a link."""
    from ..files.private import make_private_dir, write_private

    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):  # one that is there may be the person's own, so its mode stays
        make_private_dir(folder)
    write_private(target, data)
