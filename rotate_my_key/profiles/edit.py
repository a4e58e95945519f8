"""A new pair in place of an old one, byte by byte.

Pure: bytes in, bytes out. Only the bytes of the two values change, in the section that botocore takes for the profile
and in every other one that some SDK takes for it and that holds the same pair. The changed sections are read again, in
memory, before anything is written. Where SDKs differ over what stays, there is a warning.

Takes the two lines of a pair out of a profile file and puts them back; adds and removes a credential_process line.

Pure: bytes in, bytes out. Every other byte stays, and what was put back stands as it stood: where lines were is
remembered without their values, counted from the header of their section, so that changes elsewhere do not matter.
Each result is read again, in memory: nothing but what was meant may differ.

Putting a pair where there is none yet: a new profile, or one without a key, in either profile file.

The rules are the editor's: bytes in, bytes out; every other byte stays; what botocore reads afterwards is the pair in
that profile and all else as before.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..core.errors import Problem, TryLater, mask
from ..core.model import Credentials, PlaceKind
from ..files import regular as files
from ..files.private import make_private_dir, write_private
from ..files.regular import Outcome, Snapshot, is_null, refuse_odd
from ..keyring.entries import OPTION
from .file import KEY_ID, SECRET, ProfileFile, config_profile, config_section
from .ini import Ini
from .refusals import check_line_ends, check_new, section_of, with_token


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


class Line(NamedTuple):
    """One line that was taken out: its number from the section's header, its name, and the text around the value."""

    number: int
    name: str
    head: str
    tail: str


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a pair that were taken out of a file; `kind` is `PlaceKind`'s word for it."""

    path: str
    kind: str
    lines: tuple[Line, ...]


class Gap(NamedTuple):
    """What was added to a file: line ends that were wanting before it, a header if there was none, the line."""

    lead: str
    header: str
    line: str


class Process(NamedTuple):
    """How the credential_process line was added; `made_file` if there was no file."""

    gap: Gap
    made_file: bool = False


def take_out(file: ProfileFile, profile: str, pair: Credentials) -> tuple[bytes, Lines]:
    """The file without the pair's lines, and where they were.

    Raises Problem, with the remedy, if botocore does not read exactly this pair from two plain lines there.
    """
    check_line_ends(file)
    section = section_of(file, profile, pair)
    others = sorted(set(file.namesakes(profile, pair)) - {section})
    if others:
        message = f"[{others[0]}] and [{section}] in {file.path} hold the pair of one profile"
        raise Problem(message, f"remove one of the two from {file.path}")
    ini, own = file.ini, file.ini.sections[section]
    header, raw = ini.header(section), _lines_of(file.data)
    taken = []
    for name, value in ((KEY_ID, pair.key_id), (SECRET, pair.secret)):
        number = own[name]
        column = ini.value_columns(number)[0]
        head = ini.lines[number][:column]
        rest = raw[number].decode()[column:]
        if not rest.startswith(value):
            raise _unsafe(file.path)
        taken.append(Line(number - header, name, head, rest[len(value) :]))
        raw[number] = b""
    data = b"".join(raw)
    _check(file, data, {section: {KEY_ID: None, SECRET: None}})
    return data, Lines(file.path, file.kind.value, tuple(sorted(taken)))


def put_back(file: ProfileFile, profile: str, lines: Sequence[Line], pair: Credentials) -> bytes:
    """The file with the pair's lines where they were, or where they fit if the section has changed since."""
    check_line_ends(file)
    check_new(pair)
    data, changed = file.data, file
    if profile not in file.effective:
        data = file.data + _wanting(file.data) + _header(profile, file.kind).encode() + _end(file.data)
        changed = ProfileFile(data, file.path, file.kind)
    section = changed.effective.get(profile)
    if section is None:
        raise _unsafe(file.path)
    raw = _lines_of(data)
    first = changed.ini.header(section)
    last = min(changed.ini.extent(first)[1], len(raw))
    values = {KEY_ID: pair.key_id, SECRET: pair.secret}
    default = [Line(number, name, f"{name} = ", _end(data).decode()) for number, name in enumerate(values, start=1)]
    for line in sorted(lines or default):
        _insert(raw, min(first + line.number, last), f"{line.head}{values[line.name]}{line.tail}".encode(), _end(data))
        last += 1
    data = b"".join(raw)
    _check(changed, data, {section: dict(values)})
    return data


def add_process(file: ProfileFile, profile: str, value: str) -> tuple[bytes, Gap]:
    """The config file with the line in the profile's section, which is made at the end if there is none."""
    check_line_ends(file)
    end, text = _end(file.data), f"{OPTION} = {value}"
    section = file.effective.get(profile)
    if section is None:
        lead, header = _wanting(file.data), _header(profile, file.kind).encode() + end
        gap = Gap(lead.decode(), header.decode(), text + end.decode())
        data = file.data + "".join(gap).encode()
        made = ProfileFile(data, file.path, file.kind).effective.get(profile)
        if made is None or made in file.ini.sections:
            raise _unsafe(file.path)
        _check(file, data, {made: {OPTION: value}})
        return data, gap
    raw, number = _lines_of(file.data), file.ini.header(section)
    lead = b"" if raw[number].endswith(b"\n") else end
    raw[number] += lead
    raw.insert(number + 1, text.encode() + end)
    data = b"".join(raw)
    _check(file, data, {section: {OPTION: value}})
    return data, Gap(lead.decode(), "", text + end.decode())


def remove_process(file: ProfileFile, profile: str, gap: Gap | None) -> bytes:
    """The file without the profile's credential_process line, and without what was added along with it."""
    check_line_ends(file)
    section = file.effective[profile]
    number = file.ini.sections[section].get(OPTION)
    if number is None or file.ini.continues(number):
        raise _unsafe(file.path)
    raw, header = _lines_of(file.data), file.ini.header(section)
    gone: dict[str, str | None] | None = {OPTION: None}
    line = raw[number].decode()
    before, after = b"".join(raw[:number]), b"".join(raw[number + 1 :])
    if gap and gap.line == line:
        added, alone = (gap.lead + gap.header).encode(), list(file.ini.sections[section]) == [OPTION]
        nothing_below = not b"".join(raw[number + 1 : file.ini.extent(header)[1]]).strip()
        if gap.header and alone and nothing_below and before.endswith(added):
            before, gone = before[: len(before) - len(added)], None
        elif not gap.header and gap.lead and not after and number == header + 1:
            before = before.removesuffix(gap.lead.encode())
    data = before + after
    _check(file, data, {section: gone})
    return data


Changes = Mapping[str, Mapping[str, str | None] | None]


def _check(file: ProfileFile, data: bytes, changes: Changes) -> None:
    """Only these values of these sections may differ (None: it is gone), for every reader that reads as botocore."""
    expected = {name: dict(values) for name, values in _values(file).items()}
    for section, values in changes.items():
        if values is None:
            expected.pop(section)
            continue
        own = expected.setdefault(section, {})
        own.update({name: value for name, value in values.items() if value is not None})
        for name in [name for name, value in values.items() if value is None]:
            own.pop(name)
    try:
        after = ProfileFile(data, file.path, file.kind)
    except Problem:
        raise _unsafe(file.path) from None
    if (
        _values(after) != expected
        or list(after.ini.sections) != list(expected)
        or after.ini.defaults.keys() != (file.ini.defaults.keys())
    ):
        raise _unsafe(file.path)


def _values(file: ProfileFile) -> dict[str, dict[str, str]]:
    ini = file.ini
    return {name: {option: ini.value(line) for option, line in own.items()} for name, own in ini.sections.items()}


def _insert(raw: list[bytes], index: int, line: bytes, end: bytes) -> None:
    """Insert a line; what ends without a line end gets one if something follows."""
    if index and not raw[index - 1].endswith(b"\n"):
        raw[index - 1] += end
    if index < len(raw) and not line.endswith(b"\n"):
        line += end
    raw.insert(index, line)


def _lines_of(data: bytes) -> list[bytes]:
    """The lines with their line ends, split at LF only, as `Ini` counts them."""
    *whole, rest = data.split(b"\n")
    return [*(line + b"\n" for line in whole), *([rest] if rest else [])]


def _end(data: bytes) -> bytes:
    return b"\r\n" if b"\r\n" in data else b"\n"


def _wanting(data: bytes) -> bytes:
    """What has to stand between this and a new section."""
    if not data:
        return b""
    return _end(data) if data.endswith(b"\n") else _end(data) * 2


def _header(profile: str, kind: PlaceKind) -> str:
    if kind is PlaceKind.CREDENTIALS or profile == "default":
        return f"[{profile}]"
    import shlex

    return f"[profile {shlex.quote(profile)}]"


def _unsafe(path: str) -> Problem:
    return Problem(f"{path} cannot be edited safely", "write the pair on two plain lines: NAME = VALUE")


_NAME = re.compile(r"[^\x00-\x1f\x7f]*[^\x00-\x20\x7f]")  # brackets too: what is read there is verified
_ATTEMPTS = 5


def add_pair(path: str, profile: str, pair: Credentials, kind: PlaceKind = PlaceKind.CREDENTIALS) -> None:
    """Write the pair into the file at `path`; makes the file (0600) and its folder (0700) if need be.

    Raises Problem if the file cannot be read or written, or holds a key for that profile already.
    """
    for _ in range(_ATTEMPTS):
        refuse_odd(path)
        if is_null(path):
            raise Problem(f"{path} is not a file that keeps anything", "unset AWS_SHARED_CREDENTIALS_FILE")
        found = files.snapshot(path)
        if found is None:
            _make_folder(path)
            return write_private(path, with_pair(b"", path, profile, pair, kind))
        after = with_pair(found.data, path, profile, pair, kind)
        outcome = files.replace(found, after)
        if outcome is Outcome.IMPOSSIBLE:
            outcome = _append(found, after)
        if outcome is Outcome.DONE:
            return None
    raise TryLater(f"another program keeps writing {path}", "try again in a moment")


def _append(found: Snapshot, after: bytes) -> Outcome:
    """Into a file that cannot be replaced: what is new goes behind what is there, of which no byte changes."""
    if not after.startswith(found.data):
        raise Problem(f"{found.path} cannot be replaced (a mount, a hard link or its folder)", f"ls -la {found.path}")
    return files.overwrite(found, [(len(found.data), after[len(found.data) :])])


def with_pair(
    data: bytes, path: str, profile: str, pair: Credentials, kind: PlaceKind = PlaceKind.CREDENTIALS
) -> bytes:
    """The file's bytes with the pair in it: in the profile's emptied lines, else behind its header, else in a new
    section at the end."""
    if not _NAME.fullmatch(profile):
        raise Problem(f"{profile!r} is no name for a profile", "use letters, digits, - and _")
    before = ProfileFile(data, path, kind)
    end = b"\r\n" if b"\r\n" in data else b"\n"
    section = before.effective.get(profile)
    own = before.ini.sections[section] if section else {}
    values = {KEY_ID: pair.key_id, SECRET: pair.secret}
    lines = end.join([*(f"{name} = {value}".encode() for name, value in values.items() if name not in own), b""])
    if section is None:
        section = profile if kind is PlaceKind.CREDENTIALS else config_section(profile)
        gap = b"" if not data else end if data.endswith(b"\n") else end + end
        after = data + gap + f"[{section}]".encode() + end + lines
    else:
        if before.token_in(section):
            raise with_token(before, profile, profile)
        after = _filled(before, section, values)
        header = before.ini.header(section)
        offset = before.ini.offset(header + 1) if header + 1 < len(before.ini.lines) else len(data)
        gap = b"" if data[:offset].endswith(b"\n") or not lines else end
        after = after[:offset] + gap + lines + after[offset:]
    _verify(before, ProfileFile(after, path, kind), section, pair)
    return after


def _filled(file: ProfileFile, section: str, values: dict[str, str]) -> bytes:
    """The bytes with the values on those lines of this section that name them and are empty. An id whose secret is not
    there is of no use to anybody, and is written over."""
    ini, own, data = file.ini, file.ini.sections[section], file.data
    useless = not ini.get(section, SECRET)
    for name in sorted(own.keys() & values.keys(), key=lambda name: -own[name]):  # from the end: offsets stay true
        number = own[name]
        fine = ini.value(number) in ("", values[name]) or (name == KEY_ID and useless)
        if ini.continues(number) or not fine:
            hint = shlex.join(["rotate-my-key", "rotate", "-p", config_profile(section) or section])
            raise Problem(f"[{section}] in {file.path} holds a key already", hint)
        line = ini.lines[number].rstrip("\r")
        start, stop = ini.value_columns(number) if ini.value(number) else (len(line), len(line))
        gap = " " if line.endswith((" =", " :")) else ""  # as it was spaced before
        where = ini.offset(number, start), ini.offset(number, stop)
        data = data[: where[0]] + (gap + values[name]).encode() + data[where[1] :]
    return data


def _verify(before: ProfileFile, after: ProfileFile, section: str, pair: Credentials) -> None:
    same = {name: _values_of(before, name) for name in before.ini.sections if name != section}
    now = {name: _values_of(after, name) for name in after.ini.sections if name != section}
    mine = {**_values_of(before, section), KEY_ID: pair.key_id, SECRET: pair.secret}
    read = after.pair_in(section) if section in after.effective.values() else None
    if same != now or read != pair or _values_of(after, section) != mine:
        raise Problem(f"[{section}] cannot be added to {before.path} without changing others", "aws configure")


def _values_of(file: ProfileFile, section: str) -> dict[str, str | None]:
    options = file.ini.sections.get(section, {})
    return {option: file.ini.get(section, option) for option in options}


def _make_folder(path: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        make_private_dir(folder)
