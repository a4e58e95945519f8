"""What is changed in a profile file: a new pair in place of an old one, a pair put in or taken out, and the
credential_process line of a pair that goes into the keyring.

Pure: bytes in, bytes out. Every byte stays but those that are meant, and each result is read again, in memory, before
it is given (`verified`). What was taken out and put back stands as it stood: where lines were is remembered without
their values, counted from the header of their section, so that changes elsewhere do not matter."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.errors import Problem
from ..core.hints import Hint
from ..core.model import Credentials, PlaceKind
from ..core.policy import mask
from ..files.platform import TEXT
from ..keyring.store import Line, Lines, Process
from .file import DEFAULT, KEY_ID, SECRET, TOKENS, Ini, ProfileFile, clean_value, config_profile, config_section
from .kinds import OPTION

_VALUE = re.compile(r"[A-Za-z0-9/+=_.~:@%^*!-]+")  # what stands unquoted in a profile file, for every reader
_NAME = re.compile(r"[^\x00-\x1f\x7f]*[^\x00-\x20\x7f]")  # brackets too: what is read there is verified


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


# A new pair in place of an old one


def sections_of(file: ProfileFile, profiles: Collection[str], old: Credentials) -> dict[str, str]:
    """The sections in which `old` is to be replaced, each with its profile: those that botocore takes for the profiles,
    and every other one that some SDK takes for one of them and that holds the same pair. Raises Problem, with the
    remedy, if one of them does not hold exactly `old` as botocore reads it, or holds it in a way that cannot be changed
    byte by byte."""
    found: dict[str, str] = {}
    for profile in profiles:
        found[_section_of(file, profile, old)] = profile
        for namesake in file.namesakes(profile, old):
            found.setdefault(namesake, profile)
    return found


def _section_of(file: ProfileFile, profile: str, pair: Credentials) -> str:
    """The section that botocore takes for the profile, if it holds exactly this pair on two plain lines."""
    _check_line_ends(file)
    section = file.effective.get(profile)
    if section is not None and (section == section.strip() or file.kind is PlaceKind.CONFIG):
        own = file.sections[section]
        read = [file.value(own[name]) if name in own else None for name in (KEY_ID, SECRET)]
        if read == [pair.key_id, pair.secret] and not file.token_in(section):
            return section
    raise why(file, profile, section, pair)


def replace_pair(file: ProfileFile, sections: Mapping[str, str], old: Credentials, new: Credentials) -> Edit:
    """Put `new` in place of `old` in these sections; only the bytes of the two values change there. Raises Problem for
    a pair that would be read otherwise than written, or that is a temporary one."""
    if new.token is not None or not _VALUE.fullmatch(new.key_id) or not _VALUE.fullmatch(new.secret):
        raise Problem(f"key {mask(new.key_id)} cannot be written to a profile file", Hint("status"))
    changes, values = [], {KEY_ID: new.key_id, SECRET: new.secret}
    for section, profile in sections.items():
        key_id = (*_span(file, section, KEY_ID, old.key_id), new.key_id)
        secret = (*_span(file, section, SECRET, old.secret), new.secret)
        (start, middle, first), (again, end, second) = sorted([key_id, secret])
        after = first.encode() + file.data[middle:again] + second.encode()
        changes.append(Change(profile, start, file.data[start:end], after))
    changes.sort(key=lambda change: change.offset)
    pieces, done = [], 0
    for change in changes:
        pieces += [file.data[done : change.offset], change.new]
        done = change.offset + len(change.old)
    data = verified(file, b"".join([*pieces, file.data[done:]]), dict.fromkeys(sections, values))
    return Edit(data, tuple(changes), tuple(_warnings(file, sections, old)))


def _span(file: ProfileFile, section: str, name: str, value: str) -> tuple[int, int]:
    """Where a value stands in the file, in bytes."""
    number = file.sections[section][name]
    start = file.offset(number, file.value_columns(number)[0])
    return start, start + len(value.encode(TEXT))


def _warnings(file: ProfileFile, sections: Collection[str], old: Credentials) -> Iterator[str]:
    changed = {file.sections[section][name]: name for section in sections for name in (KEY_ID, SECRET)}
    for section in sections:
        number = file.header(section)
        if file.lines[number][:1].isspace():
            yield f"{file.shown}, line {number + 1} is indented; some SDKs do not see that section"
    for number, name in sorted(changed.items()):
        line, where = file.lines[number], f"{file.shown}, line {number + 1}"
        if line[:1].isspace():
            yield f"{where} is indented; some SDKs take it for a part of the line above"
        if name not in line:
            yield f"{where} has {name} in upper case; some SDKs do not know it then"
        if ":" in line[: file.value_columns(number)[0]]:
            yield f"{where} has ':' behind {name}, where some SDKs know only '='"
    yield from mentions(file, old.key_id, changed)


def mentions(file: ProfileFile, key_id: str, changed: Collection[int] = ()) -> Iterator[str]:
    """Other lines that name the key, such as a program's in `credential_process`: they keep it."""
    for number in file.lines_with([key_id]):
        told = number in changed or any(number == line for line, *_ in file.loose_lines(number))  # by who found it
        if not told and not file.lines[number].lstrip().startswith(("#", ";")):
            yield f"{file.shown}, line {number + 1} names key {mask(key_id)} too and is left as it is"


# A pair put in or taken out


def take_out(file: ProfileFile, profile: str, pair: Credentials) -> tuple[bytes, Lines]:
    """The file without the pair's lines, and where they were. Raises Problem, with the remedy, if botocore does not
    read exactly this pair from two plain lines there."""
    section = _section_of(file, profile, pair)
    others = sorted(set(file.namesakes(profile, pair)) - {section})
    if others:
        message = f"[{others[0]}] and [{section}] in {file.shown} hold the key of one profile"
        raise Problem(message, f"remove one of the two from {file.shown}")
    header, raw, taken = file.header(section), _lines_of(file.data), []
    for name, value in ((KEY_ID, pair.key_id), (SECRET, pair.secret)):
        number = file.sections[section][name]
        line, column = raw[number].decode(TEXT), file.value_columns(number)[0]
        taken.append(Line(number - header, name, line[:column], line[column + len(value) :]))
        raw[number] = b""
    data = verified(file, b"".join(raw), {section: {KEY_ID: None, SECRET: None}})
    return data, Lines(file.path, file.kind.value, tuple(sorted(taken)))


def insert_pair(file: ProfileFile, profile: str, pair: Credentials, lines: Sequence[Line] = ()) -> bytes:
    """The file with the pair in it: on the profile's emptied lines, else where its lines were (or where they fit if the
    section has changed since), else behind its header, else in a new section at the end. Raises Problem if the profile
    holds a key already."""
    values = {KEY_ID: pair.key_id, SECRET: pair.secret}
    section = file.effective.get(profile)
    if section is None:
        return _with_section(file, profile, values)[0]
    _check_line_ends(file)
    if file.token_in(section):
        raise with_token(file, profile, section)
    raw, own, first = _lines_of(file.data), file.sections[section], file.header(section)
    for name in own.keys() & values.keys():
        raw[own[name]] = _filled(file, section, name, values[name])
    last, end = min(file.extent(first)[1], len(raw)), _end(file.data)
    wanting = [name for name in values if name not in own]
    default = [Line(number, name, f"{name} = ", end) for number, name in enumerate(wanting, start=1)]
    for line in sorted(line for line in lines or default if line.name in wanting):
        _insert(raw, min(first + line.number, last), f"{line.head}{values[line.name]}{line.tail}", end)
        last += 1
    return verified(file, b"".join(raw), {section: values})


def _filled(file: ProfileFile, section: str, name: str, value: str) -> bytes:
    """The line that names this part of a pair and is empty, with the value. An id whose secret is not there is of no
    use to anybody, and is written over."""
    number = file.sections[section][name]
    found, line = file.value(number), file.lines[number]
    fine = found in ("", value) or (name == KEY_ID and not file.get(section, SECRET))
    if file.continues(number) or not fine:
        hint = Hint("status", "-p", config_profile(section) or section)
        raise Problem(f"[{section}] in {file.shown} holds a key already", hint)
    bare = line.rstrip("\r")
    start, stop = file.value_columns(number) if found else (len(bare), len(bare))
    gap = " " if bare.endswith((" =", " :")) else ""  # as it was spaced before
    return f"{line[:start]}{gap}{value}{line[stop:]}".encode(TEXT) + b"\n" * (number + 1 < len(file.lines))


# The credential_process line


def add_process(file: ProfileFile, profile: str, value: str) -> tuple[bytes, Process]:
    """The config file with the line in the profile's section, which is made at the end if there is none."""
    _check_line_ends(file)
    section = file.effective.get(profile)
    if section is None:
        return _with_section(file, profile, {OPTION: value})
    raw, number, end = _lines_of(file.data), file.header(section), _end(file.data)
    lead, line = "" if raw[number].endswith(b"\n") else end, f"{OPTION} = {value}{end}"
    raw.insert(number + 1, f"{lead}{line}".encode(TEXT))
    return verified(file, b"".join(raw), {section: {OPTION: value}}), Process(lead, "", line)


def remove_process(file: ProfileFile, profile: str, process: Process | None) -> bytes:
    """The file without the profile's credential_process line, and without what was added along with it."""
    _check_line_ends(file)
    section = file.effective[profile]
    number = file.sections[section].get(OPTION)
    if number is None or file.continues(number):
        raise unsafe(file)
    raw, header = _lines_of(file.data), file.header(section)
    gone: dict[str, str | None] | None = {OPTION: None}
    before, after = b"".join(raw[:number]), b"".join(raw[number + 1 :])
    if process and process.line == raw[number].decode(TEXT):
        added, alone = (process.lead + process.header).encode(TEXT), list(file.sections[section]) == [OPTION]
        nothing_below = not b"".join(raw[number + 1 : file.extent(header)[1]]).strip()
        if process.header and alone and nothing_below and before.endswith(added):
            before, gone = before[: len(before) - len(added)], None
        elif not process.header and process.lead and not after and number == header + 1:
            before = before.removesuffix(process.lead.encode(TEXT))
    return verified(file, before + after, {section: gone})


# Lines and sections


def _with_section(file: ProfileFile, profile: str, values: Mapping[str, str]) -> tuple[bytes, Process]:
    """The file with a new section for the profile at its end, and what was added."""
    if not _NAME.fullmatch(profile):
        raise Problem(f"{profile!r} is no name for a profile", "use letters, digits, - and _")
    section = profile if file.kind is PlaceKind.CREDENTIALS else config_section(profile)
    lent = [name for name in TOKENS if name in file.defaults and file.value(file.defaults[name])]
    if section == DEFAULT or lent:
        raise Problem(f"[{section}] cannot be added to {file.shown} without changing others", "aws configure")
    end = _end(file.data)
    lead = "" if not file.data else end if file.data.endswith(b"\n") else end * 2
    lines = "".join(f"{name} = {value}{end}" for name, value in values.items())
    added = Process(lead, f"[{section}]{end}", lines)
    return verified(file, file.data + f"{lead}{added.header}{lines}".encode(TEXT), {section: values}), added


def _insert(raw: list[bytes], index: int, line: str, end: str) -> None:
    """Insert a line; what ends without a line end gets one if something follows."""
    if index and not raw[index - 1].endswith(b"\n"):
        raw[index - 1] += end.encode(TEXT)
    if index < len(raw) and not line.endswith("\n"):
        line += end
    raw.insert(index, line.encode(TEXT))


def _lines_of(data: bytes) -> list[bytes]:
    """The lines with their line ends, split at LF only, as `Ini` counts them."""
    *whole, rest = data.split(b"\n")
    return [*(line + b"\n" for line in whole), *([rest] if rest else [])]


def _end(data: bytes) -> str:
    return "\r\n" if b"\r\n" in data else "\n"


def _check_line_ends(file: ProfileFile) -> None:
    """Refuse the line ends of old Macs: botocore takes them for line ends, other SDKs for a part of a value."""
    if file.lone_cr:
        raise Problem(
            f"{file.shown} has line ends that SDKs read differently (CR without LF)",
            f"save it with LF line ends: tr '\\r' '\\n' < {file.shown}",
        )


# The last look at what is to be written

Changes = Mapping[str, Mapping[str, str | None] | None]  # by section: its values that change; None: it is gone


def verified(file: Ini, data: bytes, changes: Changes) -> bytes:
    """The file's new bytes, after they were read again, if only these values differ from before. Raises Problem if not.
    Where no line came or went, the lines of the sections that change are enough: what botocore makes of the lines
    before them depends on bytes that are the same, and of those behind them on names and indentation here."""
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
    return Problem(f"{file.shown} cannot be edited safely", "write the key on two plain lines: NAME = VALUE")


# Why a pair cannot be changed byte by byte, each reason with its remedy. One rule stands behind all of them: botocore
# must read exactly the old pair, from the profile's own section, each value whole on the line of its name.


def why(file: ProfileFile, profile: str, section: str | None, expected: Credentials) -> Problem:
    """Why the section that botocore takes for the profile (None: it takes none) does not hold exactly this pair in a
    way that can be changed."""
    if section is None:
        return _not_read(file, profile)
    if file.kind is PlaceKind.CREDENTIALS and section != section.strip():
        what = f"has blanks inside its brackets, so botocore takes them for a part of the name [{section}]"
        return file.problem(file.header(section), what, f"write [{section.strip()}]")
    for name, value in ((KEY_ID, expected.key_id), (SECRET, expected.secret)):
        if problem := _option(file, profile, section, name, value):
            return problem
    return with_token(file, profile, section)


def with_token(file: ProfileFile, profile: str, section: str) -> Problem:
    """A token that is not empty makes whatever key stands beside it a temporary one."""
    lines = {**file.defaults, **file.sections[section]}
    name = next(name for name in TOKENS if file.get(section, name))
    what = f"gives profile {profile} a session token, so its key is a temporary one"
    return file.problem(lines[name], what, f"remove {name} if the key is a long-term one")


def _not_read(file: ProfileFile, profile: str) -> Problem:
    """Why botocore takes no section for this profile; in brackets it is a section that only others read."""
    section = profile[1:-1] if profile.startswith("[") else ""
    if section != DEFAULT and section not in file.sections:
        return Problem(f"{file.shown} has no profile {profile}", Hint("status"))
    header, taken = file.header(section), file.effective.get(config_profile(section) or "")
    if taken:
        what = f"begins [{section}]; botocore takes [{taken}] for that profile"
        return file.problem(header, what, "merge the two sections into one")
    what = f"begins [{section}], which botocore does not read, though other SDKs may"
    return file.problem(header, what, f"write [{plain_header(section)}]")


def plain_header(section: str) -> str:
    """The header that every SDK reads for this profile in the config file, without blanks or quotes in the name."""
    name = re.sub(r"[^\w.@+/:%-]+", "-", section.split("]")[0].strip().removeprefix("profile").strip()).strip("-")
    return "default" if name.lower() == "default" else f"profile {name}"


def _option(file: ProfileFile, profile: str, section: str, name: str, expected: str) -> Problem | None:
    number = file.sections[section].get(name)
    if number is not None and file.value(number) == expected:
        return None
    loose = [line for line, *found in file.loose_lines(file.header(section)) if found == [name, expected]]
    if loose and number not in loose:
        what = f"is indented, so botocore takes it for a part of the line above, and other SDKs for {name}"
        return file.problem(loose[0], what, "remove the blanks before it, or the line")
    if number is not None:
        return _other_value(file, number, name, expected)
    if name in file.defaults:
        what = f"sets {name} for all profiles, since it is in [{DEFAULT}]"
        return file.problem(file.defaults[name], what, f"move the key into the section [{section}]")
    for other, options in file.sections.items() if file.kind is PlaceKind.CONFIG else ():
        if other != section and name in options and config_profile(other) == profile:
            what = f"begins [{section}]; botocore takes that for profile {profile}, and not [{other}] with the key"
            return file.problem(file.header(section), what, "merge the two sections into one")
    what = f"begins [{section}], which has no {name}"
    return file.problem(file.header(section), what, "write both lines of the key there")


def _other_value(file: ProfileFile, number: int, name: str, expected: str) -> Problem:
    first = file.value_on_line(number)
    if file.continues(number) and not first:
        what, hint = f"has the value of {name} on the next line", "put it on the same line as its name"
    elif file.continues(number):
        number = file.first_continuation(number)
        what, hint = f"is indented, so botocore takes it for a part of {name}", "remove the blanks before it"
    elif first[:1] in ("'", '"') and clean_value(first) == expected:
        what, hint = f"has quotes around {name}, which botocore takes for a part of it", "remove the quotes"
    elif first.startswith(expected) and first[len(expected) :].lstrip()[:1] in ("#", ";"):
        what = f"has a comment behind {name}, which botocore takes for a part of it"
        hint = "give it a line of its own"
    else:
        what, hint = f"holds another {name} than expected", Hint("status")
    return file.problem(number, what, hint)
