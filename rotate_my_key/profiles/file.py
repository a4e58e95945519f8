"""A profile file as botocore reads it, line by line, without losing where things stand; which section is which profile,
and what a profile signs in with.

`Ini` has the semantics of Python's RawConfigParser, which botocore uses: sections and options are strict (a name twice
is an error), deeper indented lines continue a value, `=` and `:` both end a name, names are lower-cased, `[DEFAULT]`
lends its options to all. For speed an option is kept as the number of its line, and its value is cut out when asked
for. Lines are split at LF only: U+2028, form feed and friends do not end one, in botocore as here.

Nothing is written, nothing expanded, no environment read. A profile is what botocore makes of a section: in the
credentials file every section, blanks and all; in the config file `[default]` and what shlex makes two words of, the
first of which begins with "profile". Odd values raise nothing, only the reason why they are of no use is noted; no
message holds more of a value than one odd character. A file that botocore cannot parse is a Problem, and so is one that
is there and cannot be opened, or is none (a pipe, a folder, a link that leads nowhere): botocore takes that for an
empty one, but it may hold the key."""

from __future__ import annotations

import os
import re
import shlex
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

from ..core.errors import Problem, WrongEncoding, shortage
from ..core.hints import Hint
from ..core.model import Credentials, Place, PlaceKind
from ..files.platform import TEXT, put_back
from ..files.regular import refuse_odd

DEFAULT = "DEFAULT"  # configparser's own name for the section that lends its options to all others

_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # of UTF-8, and of UTF-16 in both orders
ENCODING = "UTF-8" if TEXT.lower().replace("_", "-") in ("utf-8", "utf8") else f"code page {TEXT}"
_FOREIGN = (
    f"has a character that cannot be kept in {ENCODING}, in which AWS's tools read this file here",
    "write that line in plain letters (a to z)",
)

_LONE_CR = re.compile("\r(?!\n)")
_DELIMITER = re.compile("[=:]")

KEY_ID = "aws_access_key_id"
SECRET = "aws_secret_access_key"  # noqa: S105  the name of a setting
TOKENS = ("aws_security_token", "aws_session_token")  # in botocore's order; either makes it a temporary pair

_SHLEX_BLANKS = re.compile(r"[ \t\r\n]+")
_CLEAN = re.compile(r"""["']?[^\S\n]*([^\s"'#;]*)""")
_LOOSE = re.compile(  # a name, even if indented, and its value, even if that stands on the next line
    rf"^[^\S\n]*({KEY_ID}|{SECRET})[^\S\n]*[=:][^\S\n]*(?:\n[^\S\n]+)?{_CLEAN.pattern}", re.IGNORECASE | re.MULTILINE
)


class Ini:
    """The sections and options of one file; `kind` says which of the two profile files it is. `sections` maps a
    section's name to its options, and those map a lower-cased name to a line number, counted from 0. `shown` is the
    path for messages. Raises Problem, with the remedy, for bytes that botocore cannot read."""

    def __init__(self, data: bytes, path: str, kind: PlaceKind = PlaceKind.CREDENTIALS, shown: str = "") -> None:
        self.data, self.path, self.kind = data, path, kind
        self.shown = shown or path
        if data.startswith(_MARKS):
            raise self._encoded()
        try:
            text = data.decode(TEXT)
        except UnicodeDecodeError as error:
            number = data.count(b"\n", 0, error.start)
            said = ("is not UTF-8", "save the file as UTF-8") if ENCODING == "UTF-8" else _FOREIGN
            raise self._not_ini(number, *said) from None
        # Text mode would turn a lone CR into a line end; so does this, and the editor refuses such a file.
        self.lone_cr = "\r" in text and _LONE_CR.search(text) is not None
        self.text = text.replace("\r\n", "\n").replace("\r", "\n") if self.lone_cr else text
        self.lines = self.text.split("\n")
        self.sections: dict[str, dict[str, int]] = {}
        self.defaults: dict[str, int] = {}
        self._last: dict[int, int] = {}  # for a value of several lines: its first line -> its last
        self._header_lines: list[int] = []
        self._header_names: list[str] = []
        self._read()
        self._check_blocks()

    def _read(self) -> None:  # one loop and not many small functions: it decides how fast a large file is
        options: dict[str, int] | None = None
        names: dict[str, str] = {}  # what stands before a '=' -> the name in it: the same few come again and again
        current = -1  # the line of the option that a deeper indented line continues
        indent = 0
        for number, line in enumerate(self.lines):
            content = line.strip()
            if not content:
                continue
            first = content[0]
            if first == "#" or first == ";":  # faster than `in`
                continue
            if line[0] == first:
                indent = 0
            else:
                depth = len(line) - len(line.lstrip())
                if depth > indent and current >= 0:
                    self._last[current] = number
                    continue
                indent = depth
            if first == "[" and (end := content.rfind("]")) > 1:
                section = content[1:end]
                if section in self.sections:
                    raise self._twice(
                        f"[{section}] appears", self.header(section), number, "merge the two sections into one"
                    )
                self._header_lines.append(number)
                self._header_names.append(section)
                options = self.defaults if section == DEFAULT else self.sections.setdefault(section, {})
                current = -1
                continue
            if options is None:
                raise self._not_ini(number, "stands before the first section", "move it into a section, or remove it")
            equals = content.find("=")
            head = content[:equals] if equals > 0 else content
            name = names.get(head) or names.setdefault(head, self._name(head, equals > 0, number))
            if name in options:
                shown = name if len(name) < 30 else "a name"  # it may be a secret that slipped into a name's place
                raise self._twice(f"{shown} is set", options[name], number, "remove one of the two lines")
            options[name] = current = number

    def _twice(self, what: str, first: int, second: int, hint: str) -> Problem:
        return Problem(f"{self.shown}, line {second + 1}: {what} twice (lines {first + 1} and {second + 1})", hint)

    def _name(self, head: str, has_value: bool, number: int) -> str:
        """The name of the option that this line sets: what stands before the first '=' or ':', in lower case."""
        name, *value = _DELIMITER.split(head, maxsplit=1)
        if not value and not has_value:
            raise self._not_ini(number, "is neither a section nor NAME = VALUE", "correct or remove that line")
        if not name:
            raise self.problem(number, "has a value without a name", "correct or remove that line")
        return name.rstrip().lower()

    def _not_ini(self, number: int, what: str, hint: str) -> Problem:
        if b"\0" in self.data[:2]:
            with suppress(Problem):  # zeros that say nothing, as a power cut leaves them
                return self._encoded()
        return self.problem(number, what, hint)

    def _check_blocks(self) -> None:
        """A value that starts on the next line is a block of NAME = VALUE lines, or botocore refuses the file."""
        lent = {line: name for name, line in self.defaults.items()}
        for first in self._last:
            name = lent.get(first)
            if name and all(name in options for options in self.sections.values()):
                continue  # nobody borrows it, so botocore never looks
            value = self.value(first)
            if value.startswith("\n") and any(line.strip() and "=" not in line for line in value.splitlines()):
                raise self.problem(
                    first + 1,
                    f"belongs to a block, begun in line {first + 1}, in which botocore cannot read a line without '='",
                    "put a value on the same line as its name, and NAME = VALUE on each line of a block",
                )

    def problem(self, number: int, what: str, hint: str) -> Problem:
        """A Problem that names the file and the line (counted from 1)."""
        return Problem(f"{self.shown}, line {number + 1} {what}", hint)

    def value(self, number: int) -> str:
        """The value of the option whose line this is, as configparser joins it."""
        first = self.value_on_line(number)
        last = self._last.get(number)
        if last is None:
            return first
        stripped = (line.strip() for line in self.lines[number + 1 : last + 1])
        return "\n".join([first, *(line for line in stripped if not line.startswith(("#", ";")))]).rstrip()

    def value_on_line(self, number: int) -> str:
        """The part of the value that stands on the option's own line."""
        start, end = self.value_columns(number)
        return self.lines[number][start:end]

    def value_columns(self, number: int) -> tuple[int, int]:
        """Where in its line an option's value begins and ends, in characters."""
        line = self.lines[number]
        rest = _DELIMITER.split(line, maxsplit=1)[1]
        end = len(line) - len(rest) + len(rest.rstrip())
        return end - len(rest.strip()), end

    def continues(self, number: int) -> bool:
        """Whether the value goes on in lines below its own."""
        return number in self._last

    def first_continuation(self, number: int) -> int:
        """The line below that a value of several lines goes on in."""
        return next(n for n in range(number + 1, len(self.lines)) if self.lines[n].strip()[:1] not in ("", "#", ";"))

    def get(self, section: str, name: str) -> str | None:
        """What botocore reads for this name in this section, `[DEFAULT]` included; None if it is not set."""
        number = self.sections[section].get(name, self.defaults.get(name))
        return None if number is None else self.value(number)

    def values(self) -> dict[str, dict[str, str]]:
        """What every section sets itself, and what `[DEFAULT]` lends."""
        all_ = {DEFAULT: self.defaults, **self.sections}
        return {section: {name: self.value(number) for name, number in own.items()} for section, own in all_.items()}

    def lines_with(self, words: Iterable[str]) -> list[int]:
        """The numbers of the lines in which one of these words occurs, in order."""
        found = set()
        for word in words:
            number, last = 0, 0
            while (at := self.text.find(word, last)) >= 0:
                number += self.text.count("\n", last, at)
                found.add(number)
                last = at + 1
        return sorted(found)

    def section_at(self, number: int) -> str | None:
        """The name of the section that this line belongs to; None above the first one."""
        index = bisect_right(self._header_lines, number)
        return self._header_names[index - 1] if index else None

    def header(self, section: str) -> int:
        """The line that begins this section."""
        return self._header_lines[self._header_names.index(section)]

    def extent(self, number: int) -> tuple[int, int]:
        """The line that begins the section of this line, and the line that begins the next one (or the file's end)."""
        index = bisect_right(self._header_lines, number)
        ends = [*self._header_lines[index : index + 1], len(self.lines)]
        return self._header_lines[index - 1], ends[0]

    def offset(self, number: int, column: int = 0) -> int:
        """The place of a character in the file, in bytes. Meaningless if `lone_cr`."""
        before = sum(map(len, self.lines[:number])) + number + column
        return before if self.text.isascii() else len(self.text[:before].encode(TEXT))

    def _encoded(self) -> Problem:
        """That it may be rewritten. Raises Problem for what botocore could not read then either."""
        type(self)(self.plain(self.data, self.shown), self.path, self.kind, self.shown)
        what = "starts with a byte order mark (BOM)" if self.data.startswith(_MARKS[0]) else "is UTF-16"
        return WrongEncoding(f"{self.shown} {what}, which botocore cannot read", Hint("status"), path=self.path)

    @staticmethod
    def plain(data: bytes, shown: str) -> bytes:
        """What Notepad (a mark) or PowerShell 5.1 (UTF-16) wrote, in the encoding that botocore reads here, with every
        character and line end. Raises Problem if that cannot be."""
        big = data[:2] == _MARKS[2] or data[:1] == b"\0"
        codec = "utf-8" if data.startswith(_MARKS[0]) else "utf-16-be" if big else "utf-16-le"
        lines = []
        for number, line in enumerate(data.decode(codec, "replace").lstrip("\ufeff").split("\n"), start=1):
            lines.append(line.encode(TEXT, "replace"))
            if "\ufffd" in line or lines[-1].decode(TEXT) != line:
                raise Problem(f"{shown}, line {number} {_FOREIGN[0]}", _FOREIGN[1])
        return b"\n".join(lines)


class ProfileFile(Ini):
    """One file whose sections are profiles."""

    is_absent = False

    @cached_property
    def settings(self) -> dict[str, Section]:
        """What botocore reads from each section: what it sets, and what `[DEFAULT]` lends."""
        lines = {section: {**self.defaults, **own} for section, own in self.sections.items()}
        return {section: {name: self.value(at) for name, at in own.items()} for section, own in lines.items()}

    def line_of(self, section: str, option: str) -> int | None:
        """The line that sets the option in this very section, counted from 1; None if it comes from `[DEFAULT]`."""
        number = self.sections[section].get(option)
        return None if number is None else number + 1

    @cached_property
    def effective(self) -> dict[str, str]:
        """The section that botocore takes for each profile."""
        if self.kind is PlaceKind.CREDENTIALS:
            return {name: name for name in self.sections}
        # the last one wins: `[default]` and `[profile default]`, `[profile a]` and `[profile "a"]`
        return {profile: name for name in self.sections if (profile := config_profile(name)) is not None}

    @cached_property
    def spellings(self) -> dict[str, list[str]]:
        """All sections that some SDK takes for a profile."""
        found: dict[str, list[str]] = {}
        for section in self.sections:
            found.setdefault(_any_profile(section), []).append(section)
        return found

    def pair(self, profile: str) -> Credentials | None:
        """What botocore reads for this profile; None if it reads no static pair."""
        section = self.effective.get(profile)
        return None if section is None else self.pair_in(section)

    def pair_in(self, section: str) -> Credentials | None:
        """What botocore reads from this section, `[DEFAULT]` included."""
        key_id, secret = self.get(section, KEY_ID), self.get(section, SECRET)
        if not key_id or not secret:
            return None
        return Credentials(key_id, secret, self.token_in(section))

    def token_in(self, section: str) -> str | None:
        """The session token of this section; an empty one is none: botocore then signs with the plain key."""
        return next(filter(None, (self.get(section, name) for name in TOKENS)), None)

    def pairs(self) -> Iterator[tuple[str, Credentials]]:
        """Every profile that has a static pair in this file."""
        for profile, section in self.effective.items():
            pair = self.pair_in(section)
            if pair:
                yield profile, pair

    def holders(self, key_ids: Collection[str]) -> Iterator[tuple[str, Credentials]]:
        """Every profile that holds one of these ids in a way that any SDK makes sense of. Values are given without
        quotes and comments, a missing secret as "". A section that botocore passes over is given in its brackets, but
        for one that changes along with its profile (`namesakes`). No edit will take any of these for the old pair, so a
        rotation is refused early."""
        loose = {section: pair for section, pair in self._loose(key_ids) if section}
        if not loose:
            return
        spelled = {section: profile for profile, section in self.effective.items()}
        for section in self.sections or loose:
            pair = loose.get(section)
            if pair is None and DEFAULT in loose and KEY_ID not in self.sections[section]:
                pair = replace(loose[DEFAULT], secret=clean_value(self.get(section, SECRET) or ""))
            if pair and section in spelled:
                yield spelled[section], replace(pair, token=clean_value(self.token_in(section) or "") or None)
            elif pair and not self._follows(section):
                yield f"[{section}]", pair

    def _loose(self, key_ids: Collection[str]) -> Iterator[tuple[str | None, Credentials]]:
        """The sections with one of these ids, as SDKs read them that know comments behind a value, quotes around it, or
        indented names; of several secrets the one next to the id."""
        for number in self.lines_with(key_ids):
            section = self.section_at(number)
            lines = self.loose_lines(number)
            ids = [(line, value) for line, name, value in lines if name == KEY_ID and value in key_ids]
            secrets = [(line, value) for line, name, value in lines if name == SECRET]
            for line, key_id in ids:
                lent = self.defaults.get(SECRET)
                nearest = min(((abs(at - line), at, value) for at, value in secrets), default=(0, 0, ""))[2]
                yield section, Credentials(key_id, nearest or clean_value("" if lent is None else self.value(lent)))

    def loose_lines(self, number: int) -> list[tuple[int, str, str]]:
        """The lines of a pair in the section of this line, for any SDK: their numbers, names and clean values."""
        first, last = self.extent(number)
        text = "\n".join(self.lines[first:last])
        found = _LOOSE.finditer(text)
        return [(first + text.count("\n", 0, each.start(1)), each[1].lower(), each[2]) for each in found]

    def _follows(self, section: str) -> bool:
        """Whether an edit changes this section along with the profile that botocore takes another one for."""
        profile = _any_profile(section)
        pair = self.pair(profile)
        return pair is not None and section in self.namesakes(profile, pair)

    def half(self, profile: str) -> str:
        """The clean secret that stands under this profile without an id, or ""."""
        own = self.sections.get(self.effective.get(profile, ""), {})
        return clean_value(self.value(own[SECRET])) if SECRET in own and KEY_ID not in own else ""

    def namesakes(self, profile: str, pair: Credentials) -> Iterator[str]:
        """Sections that some SDK takes for this profile, spelled one way or another, and that hold this pair."""
        for section in self.spellings.get(profile, ()):
            if {KEY_ID, SECRET} <= self.sections[section].keys() and self.pair_in(section) == pair:
                yield section


def config_profile(section: str) -> str | None:
    """The profile of a section of the config file, by botocore.configloader.build_profile_map; None if it is none."""
    if section == "default":
        return section
    if not section.startswith("profile"):
        return None
    if any(mark in section for mark in "'\"\\"):
        try:
            parts = shlex.split(section)
        except ValueError:
            return None
    else:  # what shlex does where nothing is quoted, in a fraction of its time
        parts = [part for part in _SHLEX_BLANKS.split(section) if part]
    return parts[1] if len(parts) == 2 else None


def _any_profile(section: str) -> str:
    """The profile that some SDK takes a section for."""
    profile = config_profile(section)
    return section.strip() if profile is None else profile


def config_section(profile: str) -> str:
    """How the config file names this profile: in quotes only where botocore would not read it without them."""
    plain = profile if profile == "default" else f"profile {profile}"
    return plain if config_profile(plain) == profile else f"profile {shlex.quote(profile)}"


def clean_value(value: str) -> str:
    """A value without quotes and without a comment behind it, for SDKs that take neither for a part of it."""
    found = _CLEAN.match(value.strip())
    return found[1] if found else ""


Section = Mapping[str, str]  # a value that begins with a line end is a block (`s3 =`), which botocore reads as a dict


@dataclass(frozen=True, slots=True)
class ProfilePaths:
    """Where the two files are: absolute paths, already expanded, or "" for none. `home` only shortens messages."""

    credentials: str
    config: str
    home: str = ""

    def __post_init__(self) -> None:
        """Two spellings of one file are one: on most Macs, and on Windows, AWS/Config is aws/config."""
        with suppress(OSError):
            one, other = map(os.path.realpath, (self.credentials, self.config))
            if one != other and os.path.samefile(one, other) and os.path.isfile(one) and os.stat(one).st_nlink == 1:
                object.__setattr__(self, "config", self.credentials)

    def show(self, path: str) -> str:
        """The path as a person writes it: `~/.aws/credentials`."""
        home = self.home.rstrip(os.sep)
        return f"~{path[len(home) :]}" if home and path.startswith(home + os.sep) else path

    def variable(self, path: str) -> str:
        """The variable that names this file, or "" for the usual place."""
        name = "AWS_SHARED_CREDENTIALS_FILE" if path == self.credentials else "AWS_CONFIG_FILE"
        usual = os.path.join(self.home, ".aws", "credentials" if path == self.credentials else "config")
        return "" if not self.home or os.path.normpath(path) == os.path.normpath(usual) else name


class Profiles:
    """Both files, read now, a missing one as an empty one; `merged` are the profiles' settings. The credentials file's
    values go over the config file's, option by option (botocore: `Session.full_config`)."""

    def __init__(self, paths: ProfilePaths) -> None:
        self.paths = paths
        self.credentials = _read(paths, paths.credentials, PlaceKind.CREDENTIALS)
        self.config = _read(paths, paths.config, PlaceKind.CONFIG)
        self.merged: dict[str, Section] = {**self.credentials.settings}
        for name, section in self.config.effective.items():
            self.merged[name] = {**self.config.settings[section], **self.merged.get(name, {})}

    def sections_of(self, profile: str) -> Iterator[tuple[ProfileFile, str]]:
        """The sections that botocore reads for the profile, each with its file, the one that wins first."""
        for file in (self.credentials, self.config):
            if profile in file.effective:
                yield file, file.effective[profile]

    def keyring_place(self, entry: str) -> Place:
        """The place that a keyring entry is."""
        return Place(self.config.path, entry, PlaceKind.KEYRING)

    def unread(self) -> list[str]:
        """Sections of the config file with a key, which botocore takes for no profile and other SDKs may."""
        if self.config.path == self.credentials.path:
            return []
        read = set(self.config.effective.values())
        return [name for name, own in self.config.sections.items() if KEY_ID in own and name not in read]


def _read(paths: ProfilePaths, path: str, kind: PlaceKind) -> ProfileFile:
    """Raises Problem, naming file and line, for a file that cannot be opened or that botocore cannot parse."""
    shown, variable, data = paths.show(path), paths.variable(path), None
    try:
        if path:
            refuse_odd(path, variable and f"unset {variable}", shown)
            with open(path, "rb") as file:
                data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        if put_back(os.path.realpath(path)):
            return _read(paths, path, kind)
    except OSError as error:
        if scarce := shortage(error):
            raise scarce from None
        why = (error.strerror or "input/output error").lower()
        raise Problem(f"{shown} cannot be read: {why}", f"ls -l {shlex.quote(path)}") from None
    found = ProfileFile(data or b"", path, kind, shown)
    found.is_absent = data is None
    return found
