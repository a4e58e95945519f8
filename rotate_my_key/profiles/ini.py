"""A profile file as botocore reads it, line by line, without losing where things stand.

The rules: bytes in, nothing written, no file touched. The semantics are those of Python's RawConfigParser, which
botocore uses: sections and options are strict (a name twice is an error), deeper indented lines continue a value, `=`
and `:` both end a name, names are lower-cased, `[DEFAULT]` lends its options to all. Two things are kept as numbers
instead of text, for speed: an option is the number of its line, and its value is cut out when asked for.
Lines are split at LF only: U+2028, form feed and friends do not end one, in botocore as here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

from ..core.errors import Problem

DEFAULT = "DEFAULT"  # configparser's own name for the section that lends its options to all others

_LONE_CR = re.compile("\r(?!\n)")
_DELIMITER = re.compile("[=:]")


class Ini:
    """The sections and options of one file.

    `sections` maps a section's name to its options, and those map a lower-cased name to a line number, counted from 0.
    `path` is only named in messages. Raises Problem, with the remedy, for bytes that botocore cannot read.
    """

    def __init__(self, data: bytes, path: str) -> None:
        self.path = path
        text = _decode(data, path)
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
                    raise self._section_again(section, number)
                self._header_lines.append(number)
                self._header_names.append(section)
                options = self.defaults if section == DEFAULT else self.sections.setdefault(section, {})
                current = -1
                continue
            if options is None:
                raise self._not_ini(number, "stands before the first section", "move it into a section, or remove it")
            equals = content.find("=")
            head = content[:equals] if equals > 0 else content
            name = names.get(head) or names.setdefault(head, self._name(content, number))
            if name in options:
                raise self._name_again(name, options[name], number)
            options[name] = current = number

    def _name(self, content: str, number: int) -> str:
        """The name of the option that this line sets: what stands before the first '=' or ':', in lower case."""
        head, *value = _DELIMITER.split(content, maxsplit=1)
        if not value:
            raise self._not_ini(number, "is neither a section nor NAME = VALUE", "correct or remove that line")
        if not head:
            raise self.problem(number, "has a value without a name", "correct or remove that line")
        return head.rstrip().lower()

    def _section_again(self, name: str, number: int) -> Problem:
        what = f"begins [{name}] again, which line {self.header(name) + 1} does already"
        return self.problem(number, what, "merge the two sections into one")

    def _name_again(self, name: str, first: int, number: int) -> Problem:
        what = f"sets {_shown(name)} again, which line {first + 1} does already in the same section"
        return self.problem(number, what, "remove one of the two lines")

    def _not_ini(self, number: int, what: str, hint: str) -> Problem:
        if self.text.startswith("\ufeff"):
            return Problem(
                f"{self.path} starts with a byte order mark (BOM), which botocore cannot read",
                "save the file as UTF-8 without BOM",
            )
        if "\0" in self.text:
            return _utf16(self.path)
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
        return Problem(f"{self.path}, line {number + 1} {what}", hint)

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


def _shown(name: str) -> str:
    """A setting's name for a message; what is too long for one may be a secret that slipped into its place."""
    return name if len(name) < 30 else "a name"


def _decode(data: bytes, path: str) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _utf16(path)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise Problem(f"{path}, line {number} is not UTF-8", "save the file as UTF-8") from None


def _utf16(path: str) -> Problem:
    return Problem(f"{path} is UTF-16, which botocore cannot read", "save the file as UTF-8 without BOM")
