"""A new pair in place of an old one, byte by byte.

Pure: bytes in, bytes out. Only the bytes of the two values change, in the section that botocore takes for the profile
and in every other one that some SDK takes for it and that holds the same pair. The changed sections are read again, in
memory, before anything is written. Where SDKs differ over what stays, there is a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import Problem, mask
from ..model import Credentials
from .ini import Ini
from .profile_file import KEY_ID, SECRET, ProfileFile
from .refusals import check_line_ends, check_new, section_of


@dataclass(frozen=True, slots=True)
class Change:
    """The bytes of one section from the start of the first value to the end of the second, before and after."""

    profile: str
    offset: int
    old: bytes = field(repr=False)
    new: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Edit:
    """A file's content after the edit, what changes in it (in order), and where SDKs differ."""

    data: bytes = field(repr=False)
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()


def edit(file: ProfileFile, profiles: Collection[str], old: Credentials, new: Credentials) -> Edit:
    """Put `new` in place of `old` in all these profiles.

    Raises Problem, with the remedy, if one of them does not hold exactly `old` as botocore reads it, or holds it in a
    way that cannot be changed byte by byte.
    """
    check_new(new)
    check_line_ends(file)
    sections: dict[str, str] = {}
    for profile in profiles:
        sections[section_of(file, profile, old)] = profile
        for namesake in file.namesakes(profile, old):
            sections.setdefault(namesake, profile)
    changes = {section: _change(file, section, sections[section], old, new) for section in sections}
    ordered = sorted(changes.values(), key=lambda change: change.offset)
    data = _splice(file.data, ordered)
    for section in sections:
        _check_after(file, section, data, ordered, new)
    return Edit(data, tuple(ordered), tuple(_warnings(file, sections, old)))


def _change(file: ProfileFile, section: str, profile: str, old: Credentials, new: Credentials) -> Change:
    ini, own = file.ini, file.ini.sections[section]
    values = sorted([(own[KEY_ID], old.key_id, new.key_id), (own[SECRET], old.secret, new.secret)])
    spans = []
    for number, before, after in values:
        start = ini.offset(number, ini.value_columns(number)[0])
        spans.append((start, start + len(before.encode()), after.encode()))
    (start, middle, first), (again, end, second) = spans
    return Change(profile, start, file.data[start:end], first + file.data[middle:again] + second)


def _splice(data: bytes, changes: Sequence[Change]) -> bytes:
    pieces, done = [], 0
    for change in changes:
        pieces += [data[done : change.offset], change.new]
        done = change.offset + len(change.old)
    return b"".join([*pieces, data[done:]])


def _check_after(file: ProfileFile, section: str, data: bytes, changes: Sequence[Change], new: Credentials) -> None:
    """Read the changed section again: all names and values as before but two values.

    Its own lines are enough. What botocore makes of the lines before it depends on bytes that did not change, and
    of those behind it on names and indentation here, which are the same if these are.
    """
    ini, own = file.ini, file.ini.sections[section]
    first, last = ini.extent(own[KEY_ID])
    start = ini.offset(first)
    end = ini.offset(last) if last < len(ini.lines) else len(file.data)
    grown_before = sum(len(c.new) - len(c.old) for c in changes if c.offset < start)
    grown = sum(len(c.new) - len(c.old) for c in changes if c.offset < end)
    after = Ini(data[start + grown_before : end + grown], file.path)
    values = {name: ini.value(number) for name, number in own.items()} | {KEY_ID: new.key_id, SECRET: new.secret}
    read = {name: after.value(number) for name, number in after.sections.get(section, {}).items()}
    if list(after.sections) != [section] or read != values:
        raise Problem(f"{file.path} cannot be edited safely", "write the pair on two plain lines: NAME = VALUE")


def _warnings(file: ProfileFile, sections: Collection[str], old: Credentials) -> Iterator[str]:
    ini = file.ini
    changed = {ini.sections[section][name]: name for section in sections for name in (KEY_ID, SECRET)}
    for section in sections:
        number = ini.header(section)
        if ini.lines[number][:1].isspace():
            yield f"{file.path}, line {number + 1} is indented; some SDKs do not see that section"
    for number, name in sorted(changed.items()):
        yield from _line_warnings(file, number, name)
    yield from mentions(file, old.key_id, changed)


def mentions(file: ProfileFile, key_id: str, changed: Collection[int] = ()) -> Iterator[str]:
    """Other lines that name the key, such as a program's in `credential_process`: they keep it."""
    ini = file.ini
    for number in ini.lines_with([key_id]):
        told = number in changed or any(number == line for line, *_ in file.loose_lines(number))  # by who found it
        if not told and not ini.lines[number].lstrip().startswith(("#", ";")):
            yield f"{file.path}, line {number + 1} names key {mask(key_id)} too and is left as it is"


def _line_warnings(file: ProfileFile, number: int, name: str) -> Iterator[str]:
    line = file.ini.lines[number]
    where = f"{file.path}, line {number + 1}"
    if line[:1].isspace():
        yield f"{where} is indented; some SDKs take it for a part of the line above"
    if name not in line:
        yield f"{where} has {name} in upper case; some SDKs do not know it then"
    if ":" in line[: file.ini.value_columns(number)[0]]:
        yield f"{where} has ':' behind {name}, where some SDKs know only '='"
