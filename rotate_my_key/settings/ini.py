"""A config.ini, through ConfigObj: read against the configspec, and changed without losing a comment.

ConfigObj walks the configspec with `Checks`, a validator of our own: importing the one it ships costs as much again as
ConfigObj itself, and this runs at every start that finds a file. A contract test holds the two together. Every wrong
value names file, line and what is allowed. Nothing here decides between files.

[after_rotate] of the user's own file has the commands that run after a rotation, a section [[NAME]] for each: a list of
arguments, which no shell reads."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from configobj import ConfigObj, ConfigObjError, DuplicateError, Section

from ..core.errors import Problem, WrongUsage
from ..core.hints import Hint
from ..core.policy import Hook
from .table import CONFIGSPEC, READERS, SITE_CONFIGSPEC, TABLE, Given, Raw, Value, near, write
from .trust import read

AFTER = "after_rotate"
_FIELDS: Mapping[str, Callable[[Raw], Value]] = {
    "command": lambda raw: tuple(raw) if isinstance(raw, list) else (write(raw),),
    "secret": READERS["yes_no"],
    "timeout": READERS["duration_above_zero"],
    "profiles": READERS["names"],
    "holds_old": READERS["yes_no"],
}
_HINT = "see docs/recipes.md"


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


_PATH = Hint("config", "path")


class File:
    """One file's bytes, and how to point into them. `site` says whose it is: only a site's may have [enforced]. `hint`
    is what to do about what is no settings file."""

    def __init__(self, path: str, data: bytes, *, site: bool = False, hint: str = _PATH) -> None:
        self.path, self.data, self.site, self.hint = path, data, site, hint

    def settings(self) -> tuple[dict[str, Given], dict[str, Given]]:
        """What the file sets, and what it enforces. Raises WrongUsage for a user's file, Problem for a site's, naming
        the line and what is allowed."""
        config = self.parse(SITE_CONFIGSPEC if self.site else CONFIGSPEC)
        config.validate(Checks())
        allowed = ["enforced"] if self.site else [AFTER]
        for name in config.sections:
            if name not in allowed:
                raise self._stray_section(name)
        if AFTER in config.sections:
            self.hooks(config)
        mine, enforced = config, config["enforced"] if self.site else Section(config, 1, config)
        for name in enforced.sections:
            raise self._stray_section(name)
        top = {name: mine[name] for name in mine.scalars}
        readers = dict.fromkeys(TABLE, _checked)
        first, second = (
            self.read(section, given, readers, _unknown, _to_set)
            for section, given in (("", top), ("enforced", enforced))
        )
        return first, second

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
            what, name = "the line is not NAME = VALUE", _key(first.line)
            if isinstance(first, DuplicateError):
                what = "duplicate section" if name.startswith("[") else f"duplicate setting `{name}`"
            raise self._wrong(first.line_number, what) from None

    def hooks(self, config: ConfigObj | None = None) -> tuple[Hook, ...]:
        """The commands of [after_rotate], in order. Raises WrongUsage, naming the line and what is allowed."""
        section = (config or self.parse()).get(AFTER, {})
        for name, value in section.items():
            if not isinstance(value, Mapping):
                what = f"{name} stands in [{AFTER}] itself: each command has a section [[NAME]]"
                raise self.wrong_in(AFTER, name, what, _HINT)
        return tuple(_hook(self, name, entry) for name, entry in section.items())

    def wrong_in(self, section: str, name: str, what: str, hint: str) -> Problem:
        """What is wrong with a name in a section, or with the section itself (name "")."""
        return self._wrong(self._line(name, section) if name else self._section_line(section), what, hint)

    def where(self, name: str, section: str = "") -> str:
        """Where a name is set: the path and the line."""
        return f"{self.path} line {self._line(name, section)}"

    def read(
        self,
        section: str,
        given: Mapping[str, Any],
        readers: Mapping[str, Callable[[Any], Any]],
        unknown: Callable[[str], str],
        hint: Callable[[str], str],
    ) -> dict[str, Given]:
        """The values that a section has `given`, each by its reader. Raises like `settings`; `unknown` says what is
        wrong with a name that has no reader."""
        found: dict[str, Given] = {}
        for name, raw in given.items():
            if name not in readers:
                raise self.wrong_in(section, name, unknown(name), hint(name))
            if isinstance(raw, Mapping):
                raise self.wrong_in(section, name, f"{name} is a setting, not a section", hint(name))
            try:
                found[name] = Given(readers[name](raw), self.where(name, section))
            except WrongUsage as wrong:
                raise self.wrong_in(section, name, f"{name}: {wrong.message}; {wrong.hint}", hint(name)) from None
        return found

    def _stray_section(self, name: str) -> Problem:
        what = f"[{name}] is not a section of this file: settings go at its top, without a section"
        if name == "enforced":
            what = "[enforced] is only for the site's file"
        elif name == AFTER:
            what = f"[{AFTER}] is only for your own file, not for the site's"
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
            return Problem(f"the site's settings cannot be used, tell your IT: {message}", _PATH)
        return WrongUsage(message, hint or self.hint)


def _checked(value: Value | WrongUsage) -> Value:
    """What `Checks` left."""
    if isinstance(value, WrongUsage):
        raise value
    return value


def _unknown(name: str) -> str:
    meant = near(name)
    return f"there is no setting {name}" + (f"; did you mean {meant}?" if meant else "")


def _to_set(name: str) -> str:
    return Hint("config", "set", name, TABLE[name].example if name in TABLE else "--unset")


def _key(line: str) -> str:
    return line.partition("=")[0].strip(" \t'\"")


def _hook(file: File, name: str, entry: Mapping[str, Any]) -> Hook:
    def unknown(field: str) -> str:
        return f"[[{name}]] has no setting {field}, only {', '.join(_FIELDS)}"

    given = file.read(name, entry, _FIELDS, unknown, lambda _: _HINT)
    found: dict[str, Any] = {field: each.value for field, each in given.items()}
    words = found.pop("command", ())
    if not words or not words[0]:
        raise file.wrong_in(name, "", f"[[{name}]] has no command", _HINT)
    if len(words) == 1 and " " in words[0] and not words[0].startswith(("/", "~")):
        what = f"command of [[{name}]]: no shell reads it; separate its words by commas: {', '.join(words[0].split())}"
        raise file.wrong_in(name, "command", what, _HINT)
    return Hook(name, words, file.where("command", name), **found)


def change(path: str, name: str, value: Value | None) -> bool:
    """Set a name in the user's file, or take it out (None). Gives whether anything changed. Comments and order stay;
    spacing becomes ConfigObj's. The file is replaced whole and private (0600), its folder made 0700 if it is not there.
    Raises WrongUsage if the file cannot be parsed or cannot hold the value."""
    file = File(path, read(path) or b"")
    config = file.parse()
    if value is None:
        if name not in config.scalars:
            return False
        # Remove a name but keep the comments above it: they go to whatever comes next
        comments = config.comments[name]
        after = config.scalars[config.scalars.index(name) + 1 :] + config.sections
        del config[name]
        if after:
            config.comments[after[0]] = comments + config.comments[after[0]]
        else:
            config.final_comment = comments + config.final_comment
    else:
        config[name] = list(value) if isinstance(value, tuple) else write(value)
    data = _rendered(config)
    if value is not None and File(path, data).parse().get(name) != config[name]:
        raise WrongUsage(f"{name} cannot hold {write(value)!r}", "write it without quotes")
    if data != file.data:
        # Replace the file atomically; a link to it (from a folder of dotfiles) stays a link
        from ..files.write import make_private_dir, write_private

        target = os.path.realpath(path)
        folder = os.path.dirname(target)
        if not os.path.isdir(folder):  # one that is there may be the person's own, so its mode stays
            make_private_dir(folder)
        write_private(target, data)
    return data != file.data


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
