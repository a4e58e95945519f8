"""Putting a pair where there is none yet: a new profile, or one without a key, in the credentials file.

The rules are the editor's: bytes in, bytes out; every other byte stays; what botocore reads afterwards is the pair in
that profile and all else as before.
"""

from __future__ import annotations

import os
import re

from ..errors import Problem, TryLater
from ..files import replace as files
from ..files.private import make_private_dir, write_private
from ..files.regular import is_null, refuse_odd
from ..files.replace import Outcome
from ..model import Credentials, PlaceKind
from .profile_file import KEY_ID, SECRET, ProfileFile
from .refusals import with_token

_NAME = re.compile(r"[^\[\]\x00-\x1f\x7f]*[^\[\]\x00-\x20\x7f]")
_ATTEMPTS = 5


def add_pair(path: str, profile: str, pair: Credentials) -> None:
    """Write the pair into the credentials file at `path`; makes the file (0600) and its folder (0700) if need be.

    Raises Problem if the file cannot be read or written, or holds a key for that profile already.
    """
    for _ in range(_ATTEMPTS):
        refuse_odd(path)
        if is_null(path):
            raise Problem(f"{path} is not a file that keeps anything", "unset AWS_SHARED_CREDENTIALS_FILE")
        found = files.snapshot(path)
        if found is None:
            _make_folder(path)
            return write_private(path, with_pair(b"", path, profile, pair))
        match files.replace(found, with_pair(found.data, path, profile, pair)):
            case Outcome.DONE:
                return None
            case Outcome.IMPOSSIBLE:
                raise Problem(f"{path} cannot be replaced (a mount, a hard link or its folder)", f"ls -la {path}")
    raise TryLater(f"another program keeps writing {path}", "try again in a moment")


def with_pair(data: bytes, path: str, profile: str, pair: Credentials) -> bytes:
    """The file's bytes with the pair in it: behind the profile's header, or in a new section at the end."""
    if not _NAME.fullmatch(profile):
        raise Problem(f"{profile!r} is no name for a profile", "use letters, digits, - and _")
    before = ProfileFile(data, path, PlaceKind.CREDENTIALS)
    end = b"\r\n" if b"\r\n" in data else b"\n"
    lines = end.join([f"{KEY_ID} = {pair.key_id}".encode(), f"{SECRET} = {pair.secret}".encode(), b""])
    if profile not in before.ini.sections:
        gap = b"" if not data else end if data.endswith(b"\n") else end + end
        after = data + gap + f"[{profile}]".encode() + end + lines
    else:
        if KEY_ID in before.ini.sections[profile] or SECRET in before.ini.sections[profile]:
            raise Problem(f"profile {profile} in {path} holds a key already", f"rotate-my-key rotate -p {profile}")
        if before.token_in(profile):
            raise with_token(profile, path)
        header = before.ini.header(profile)
        offset = before.ini.offset(header + 1) if header + 1 < len(before.ini.lines) else len(data)
        gap = b"" if data[:offset].endswith(b"\n") else end
        after = data[:offset] + gap + lines + data[offset:]
    _verify(before, ProfileFile(after, path, PlaceKind.CREDENTIALS), profile, pair)
    return after


def _verify(before: ProfileFile, after: ProfileFile, profile: str, pair: Credentials) -> None:
    same = {name: _values(before, name) for name in before.ini.sections if name != profile}
    now = {name: _values(after, name) for name in after.ini.sections if name != profile}
    mine = {**_values(before, profile), KEY_ID: pair.key_id, SECRET: pair.secret}
    if same != now or after.pair(profile) != pair or _values(after, profile) != mine:
        raise Problem(f"profile {profile} cannot be added to {before.path} without changing others", "aws configure")


def _values(file: ProfileFile, section: str) -> dict[str, str | None]:
    options = file.ini.sections.get(section, {})
    return {option: file.ini.get(section, option) for option in options}


def _make_folder(path: str) -> None:
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        make_private_dir(folder)
