"""A profile file as botocore reads it, line by line, without losing where things stand; and every changed file is read
again, by `verified`, before it is written.

Pure: bytes in, bytes out. The semantics are those of Python's RawConfigParser, which botocore uses: sections and
options are strict (a name twice is an error), deeper indented lines continue a value, `=` and `:` both end a name,
names are lower-cased, `[DEFAULT]` lends its options to all. For speed an option is kept as the number of its line, and
its value is cut out when asked for. Lines are split at LF only: U+2028, form feed and friends do not end one, in
botocore as here.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from shlex import quote

from ..core.errors import Problem
from ..core.model import PlaceKind

DEFAULT = "DEFAULT"  # configparser's own name for the section that lends its options to all others

_LONE_CR = re.compile("\r(?!\n)")
_DELIMITER = re.compile("[=:]")


class Ini:
    """The sections and options of one file; `kind` says which of the two profile files it is.

    `sections` maps a section's name to its options, and those map a lower-cased name to a line number, counted from 0.
    `shown` is the path for messages. Raises Problem, with the remedy, for bytes that botocore cannot read.
    """

    def __init__(self, data: bytes, path: str, kind: PlaceKind = PlaceKind.CREDENTIALS, shown: str = "") -> None:
        self.data = data
        self.path = path
        self.kind = kind
        self.shown = shown or path
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise self._encoded("UTF-16")
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            number = data.count(b"\n", 0, error.start)
            raise self.problem(number, "is not UTF-8", "save the file as UTF-8") from None
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
                    what = f"begins [{section}] again, which line {self.header(section) + 1} does already"
                    raise self.problem(number, what, "merge the two sections into one")
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
                what = f"sets {shown} again, which line {options[name] + 1} does already in the same section"
                raise self.problem(number, what, "remove one of the two lines")
            options[name] = current = number

    def _name(self, head: str, has_value: bool, number: int) -> str:
        """The name of the option that this line sets: what stands before the first '=' or ':', in lower case."""
        name, *value = _DELIMITER.split(head, maxsplit=1)
        if not value and not has_value:
            raise self._not_ini(number, "is neither a section nor NAME = VALUE", "correct or remove that line")
        if not name:
            raise self.problem(number, "has a value without a name", "correct or remove that line")
        return name.rstrip().lower()

    def _not_ini(self, number: int, what: str, hint: str) -> Problem:
        if self.text.startswith("\ufeff"):
            return self._encoded("UTF-8")
        if "\0" in self.text:
            return self._encoded("UTF-16BE" if self.text[0] == "\0" else "UTF-16LE")
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
        return before if self.text.isascii() else len(self.text[:before].encode())

    def _encoded(self, encoding: str) -> Problem:
        """As Notepad (UTF-8 with a mark) and PowerShell 5.1 (UTF-16) write files."""
        what = "starts with a byte order mark (BOM)" if encoding == "UTF-8" else "is UTF-16"
        return Problem(
            f"{self.shown} {what}, which botocore cannot read", to_utf8(os.path.realpath(self.path), encoding)
        )


def to_utf8(path: str, encoding: str, *, windows: bool = os.name == "nt") -> str:
    """The command that makes a file UTF-8 without a byte order mark, all at once, and keeps every character of it."""
    new = f"{path}.new"
    if windows:  # for cmd and PowerShell alike, so without a $
        old, new = ("'" + name.replace("'", "''") + "'" for name in (path, new))
        name = {"UTF-8": "UTF8", "UTF-16BE": "BigEndianUnicode"}.get(encoding, "Unicode")
        text = f"[IO.File]::ReadAllText({old}, [Text.Encoding]::{name})"
        return f'powershell -c "[IO.File]::WriteAllText({new}, {text}); Move-Item -Force -LiteralPath {new} {old}"'
    old, new = quote(path), quote(new)
    made = f"tail -c +4 {old}" if encoding == "UTF-8" else f"iconv -f {encoding} -t UTF-8 {old}"
    return f"(umask 077; {made} >{new}) && mv {new} {old}"


Changes = Mapping[str, Mapping[str, str | None] | None]  # by section: its values that change; None: it is gone


def verified(file: Ini, data: bytes, changes: Changes) -> bytes:
    """The file's new bytes, after they were read again, if only these values differ from before. Raises Problem if not.

    Where no line came or went, the lines of the sections that change are enough: what botocore makes of the lines
    before them depends on bytes that are the same, and of those behind them on names and indentation here.
    """
    parts = [(file, data, changes)]
    before, after = file.data.split(b"\n"), data.split(b"\n")
    if len(before) == len(after):
        parts = []
        for section, values in changes.items():
            first, end = file.extent(file.header(section))
            old, new = before[first:end], after[first:end]
            parts.append((Ini(b"\n".join(old), file.path), b"\n".join(new), {section: values}))
            before[first:end] = new
        if before != after:
            raise unsafe(file)
    for was, part, mine in parts:
        expected = was.values()
        for section, values in mine.items():
            if values is None:
                del expected[section]
            else:
                both = {**expected.get(section, {}), **values}
                expected[section] = {name: value for name, value in both.items() if value is not None}
        try:
            read = Ini(part, file.path).values()
        except Problem:
            raise unsafe(file) from None
        if read != expected:
            raise unsafe(file)
    return data


def unsafe(file: Ini) -> Problem:
    """What would be read otherwise than it is meant is not written."""
    return Problem(f"{file.shown} cannot be edited safely", "write the pair on two plain lines: NAME = VALUE")
