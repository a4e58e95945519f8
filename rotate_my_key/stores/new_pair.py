"""Putting a pair where there is none yet: a new profile, or one without a key, in either profile file.

The rules are the editor's: bytes in, bytes out; every other byte stays; what botocore reads afterwards is the pair in
that profile and all else as before.
"""

from __future__ import annotations

import os
import re
import shlex

from ..errors import Problem, TryLater
from ..files import replace as files
from ..files.private import make_private_dir, write_private
from ..files.regular import is_null, refuse_odd
from ..files.replace import Outcome, Snapshot
from ..model import Credentials, PlaceKind
from .profile_file import KEY_ID, SECRET, ProfileFile, config_profile, config_section
from .refusals import with_token

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
    same = {name: _values(before, name) for name in before.ini.sections if name != section}
    now = {name: _values(after, name) for name in after.ini.sections if name != section}
    mine = {**_values(before, section), KEY_ID: pair.key_id, SECRET: pair.secret}
    read = after.pair_in(section) if section in after.effective.values() else None
    if same != now or read != pair or _values(after, section) != mine:
        raise Problem(f"[{section}] cannot be added to {before.path} without changing others", "aws configure")


def _values(file: ProfileFile, section: str) -> dict[str, str | None]:
    options = file.ini.sections.get(section, {})
    return {option: file.ini.get(section, option) for option in options}


def _make_folder(path: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        make_private_dir(folder)
