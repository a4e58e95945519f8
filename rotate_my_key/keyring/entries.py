"""Entries of the system's keyring: text under a name.

Light: `credentials` runs at every start of an SDK. What an entry holds is a pair as JSON, with a version; on Windows an
entry has room for 1280 characters (CRED_MAX_CREDENTIAL_BLOB_SIZE: 2560 bytes of UTF-16), of which a pair takes 100.

The `credential_process` line that leads from a profile to its keyring entry: how it is written, and known again.

Pure, and light: `credentials` and `status` look at it. botocore splits the line as a POSIX shell would (on Windows:
as `CommandLineToArgvW`, `botocore.compat.compat_shell_split`); some SDKs hand it to `sh -c` or `cmd /C` instead. So
what is written is read alike by all of them: the program's path in double quotes where nothing in it means anything to
a shell, else in single quotes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from ..core.errors import Problem
from ..state.records import Form

SYSTEM = "system"  # the backend of this system's own keyring
LONGEST = 1280  # characters

SERVICE = "rotate-my-key"
_SPARE = "rotate-my-key (being replaced)"
_ROTATION = "rotate-my-key (rotation)"
REHEARSAL = "(rehearsal)"  # the profile whose entries hold no secret: they show that the keyring keeps its promises


class Name(NamedTuple):
    """How an entry is found: two texts, as every keyring has them."""

    service: str
    user: str

    @property
    def label(self) -> str:
        """What a person reads in the keyring's own program."""
        return f"{self.service}: {self.user}"


class Entries(Protocol):
    """The keyring. Every verb may raise TryLater: it is locked, or there is none (at the moment)."""

    def get(self, name: Name) -> str | None:
        """The text; None if there is no such entry."""

    def set(self, name: Name, text: str) -> None:
        """Store the text durably, over what was there. Not every keyring does that at once: some remove it first."""

    def delete(self, name: Name) -> None:
        """Remove the entry; one that is not there is removed already."""

    def check(self) -> None:
        """Raises Problem for what is no safe place for a secret by its kind."""


def of_profile(profile: str) -> Name:
    """The entry of a profile's pair."""
    return Name(SERVICE, profile)


def spare_of(profile: str) -> Name:
    """Where the pair of a profile stands as well while its entry is replaced."""
    return Name(_SPARE, profile)


def of_rotation(name: str, role: str) -> Name:
    """The entry of a staged or kept pair."""
    return Name(_ROTATION, f"{name} {role}")


def noted_backend(path: str) -> str | None:
    """The backend that holds the entries, by `keyring.json`; None if there is no such file that makes sense."""
    try:
        with open(path, encoding="utf-8") as file:
            return str(json.load(file).get("backend", SYSTEM))
    except (OSError, ValueError, AttributeError):
        return None


class _Pair(NamedTuple):
    key_id: str
    secret: str


_PAIR = Form(
    _Pair,
    newer=("this keyring entry was written by a newer rotate-my-key", "use that version"),
    wrong=("the keyring entry makes no sense: something else wrote it", "rotate-my-key keyring restore"),
)


def encode(key_id: str, secret: str) -> str:
    """A pair as an entry's text. Raises Problem for one that has no room on every system."""
    text = _PAIR.encode(_Pair(key_id, secret)).decode()
    if len(text) > LONGEST:
        raise Problem("this pair is too long for a keyring entry", "rotate-my-key status")
    return text


def decode(text: str) -> tuple[str, str]:
    """The pair's id and secret. Raises Problem for text that is not ours, or a newer version's."""
    return _PAIR.decode(text)


def pair_in(entries: Entries, profile: str) -> tuple[str, str] | None:
    """The pair of a profile, as `credentials` gives it: a second look only where an entry is just being replaced."""
    text = entries.get(of_profile(profile)) or entries.get(spare_of(profile))
    return decode(text) if text is not None else None


OPTION = "credential_process"
PROGRAM = "rotate-my-key"
_MODULE = "rotate_my_key"
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_./:@+,=-]+")
_PLAIN_PATH = re.compile(r"[\w ./:@+,=~-]+")  # means nothing within double quotes
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f]")


def line_for(program: Sequence[str], entry: str, *, windows: bool = os.name == "nt") -> str:
    """The value for this program (its words, the first an absolute path) and this entry.

    Raises Problem for a path or a name that cannot be written so that every SDK reads it back.
    """
    quote = _quote_windows if windows else _quote_posix
    first, *rest = program
    words = [quote(first, True), *(quote(word, False) for word in [*rest, "credentials", "--profile", entry])]
    line = " ".join(words)
    if words_of(line, windows=windows) != [*program, "credentials", "--profile", entry]:
        raise _unusable(entry)
    return line


def entry_of(settings: Mapping[str, str], *, windows: bool = os.name == "nt") -> str | None:
    """The keyring entry that these settings' credential_process leads to; None if it is another program's, or none."""
    value = settings.get(OPTION)
    if value is None or "credentials" not in value:
        return None
    words = words_of(value, windows=windows)
    if len(words) < 4 or words[-3:-1] != ["credentials", "--profile"]:
        return None
    program = words[:-3]
    name = re.split(r"[/\\]" if windows else "/", program[0])[-1]
    by_name = len(program) == 1 and name.removesuffix(".exe") == PROGRAM
    by_module = len(program) > 2 and program[-2:] == ["-m", _MODULE]
    return words[-1] if by_name or by_module else None


def words_of(line: str, *, windows: bool = os.name == "nt") -> list[str]:
    """The words of a line, as botocore splits it; none if it cannot be split."""
    if windows:
        return _split_windows(line)
    import shlex

    try:
        return shlex.split(line)
    except ValueError:
        return []


def _quote_posix(word: str, path: bool) -> str:
    if _UNUSABLE.search(word):
        raise _unusable(word)
    if path and _PLAIN_PATH.fullmatch(word):
        return f'"{word}"'
    if _PLAIN_WORD.fullmatch(word):
        return word
    import shlex

    return shlex.quote(word)


def _quote_windows(word: str, path: bool) -> str:
    # A quotation mark cannot be in a path; cmd expands %NAME% even within quotes.
    if _UNUSABLE.search(word) or '"' in word or "%" in word:
        raise _unusable(word)
    if not path and word and not re.search(r"[\s^&|<>()\\]", word):
        return word
    return f'"{word}' + "\\" * (len(word) - len(word.rstrip("\\"))) + '"'


def _split_windows(line: str) -> list[str]:
    """By the rules of CommandLineToArgvW, for lines without a quotation mark within a word."""
    words: list[str] = []
    word, quoted, inside, slashes = "", False, False, 0
    for char in line:
        if char == "\\":
            slashes += 1
            continue
        if char == '"':
            word += "\\" * (slashes // 2)
            if slashes % 2:
                word += '"'
            else:
                inside, quoted = not inside, True
        elif char in " \t" and not inside:
            word += "\\" * slashes
            words += [word] if word or quoted else []
            word, quoted = "", False
        else:
            word += "\\" * slashes + char
        slashes = 0
    word += "\\" * slashes
    return [] if inside else [*words, *([word] if word or quoted else [])]


def _unusable(word: str) -> Problem:
    return Problem(
        f"{word!r} cannot stand in a credential_process line so that every SDK reads it alike",
        "rename the profile, or install rotate-my-key in a folder with a plain name",
    )
