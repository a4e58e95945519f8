"""Takes the two lines of a pair out of a profile file and puts them back; adds and removes a credential_process line.

Pure: bytes in, bytes out. Every other byte stays, and what was put back stands as it stood: where lines were is
remembered without their values, counted from the header of their section, so that changes elsewhere do not matter.
Each result is read again, in memory: nothing but what was meant may differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import Problem
from ..model import Credentials, PlaceKind
from .process_line import OPTION
from .profile_file import KEY_ID, SECRET, ProfileFile
from .refusals import check_line_ends, check_new, section_of


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
