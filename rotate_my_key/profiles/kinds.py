"""What each profile signs in with: a static pair, a session, SSO, a role, ...; and the `credential_process` line that
leads from a profile to its keyring entry.

Facts about one profile at a time, as botocore reads its sections; which profile is in force is `which.py`'s matter.
Nothing here raises for odd values: what is no use is told as a `note`, and no message holds more of a value than one
odd character."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ..core.errors import Problem
from ..core.model import Credentials, Place
from .file import KEY_ID, SECRET, TOKENS, ProfileFile, ProfilePaths, Profiles, Section

OPTION = "credential_process"
PROGRAM = "rotate-my-key"
_MODULE = "rotate_my_key"
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_./:@+,=-]+")
_PLAIN_PATH = re.compile(r"[\w ./:@+,=~-]+")  # means nothing within double quotes
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f]")

# AWS's own keys; other services have longer and shorter ones.
LENGTHS = {KEY_ID: 20, SECRET: 40}

_PASTE = re.compile(r"\x1b?\[20[01]~")  # what a terminal puts around a paste
_SSO = ("sso_session", "sso_start_url", "sso_account_id", "sso_role_name")
_LONG_TERM = re.compile(r"AKIA[A-Z0-9]{12,124}")  # IAM user guide, "unique identifiers"; 16 to 128 characters
_STRAY = re.compile(r"[\s\"'#;]")  # none of these can be in an id or a secret
_AROUND = re.compile(r"[,<>\\`]")  # what is left of JSON, of <your key>, of a shell's line
_CONFIGURE = "aws configure --profile {profile}"
_LOOK = "aws configure list --profile {profile}"  # it may be another service's key, which no one wants replaced
_NOT_A_USERS = f"has an {KEY_ID} that is not an AWS user's (AKIA...): only those can be rotated"

Reader = Callable[[str], Credentials | None]  # gives the pair of a keyring entry; raises TryLater if it is locked


class Kind(Enum):
    """What a profile signs in with."""

    STATIC = "static pair"
    KEYRING = "keyring"  # a static pair too, behind a credential_process of ours
    SESSION = "session"
    ROLE = "role"
    WEB_IDENTITY = "web identity"
    SSO = "sso"
    LOGIN = "login"
    PROCESS = "process"
    NONE = "none"


ROTATABLE = (Kind.STATIC, Kind.KEYRING)


@dataclass(frozen=True, slots=True)
class ProfileFact:
    """What one profile holds; a profile with a key in both files gives two facts, the one that wins first. `pair` and
    `place` are there for STATIC and SESSION; for KEYRING the pair is, if the keyring gave it. `source` is a role's
    source_profile. `also` are the other ways in that stand beside a key (SDKs disagree on which one wins). `note` says
    why a key is no use, or where else a role gets its credentials."""

    profile: str
    kind: Kind
    pair: Credentials | None = None
    place: Place | None = None
    source: str | None = None
    also: tuple[Kind, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a section's key is worth. Without a usable pair: `reason`, and `hint`, a template with {profile}, {section}
    and {file}, or "" if nothing in the section can be put right."""

    kind: Kind
    pair: Credentials | None = None
    reason: str = ""
    hint: str = ""


def sections(files: ProfilePaths, keyring: Reader | None = None) -> tuple[ProfileFact, ...]:
    """Every profile in either file: the credentials file's first, each file in its own order. `keyring` reads the pairs
    that are there. Raises Problem only for a file that cannot be opened or parsed."""
    return tuple(facts(Profiles(files), keyring))


def facts(profiles: Profiles, keyring: Reader | None = None) -> Iterator[ProfileFact]:
    """The same for files already read; then each section with a key that botocore passes over, in its brackets."""
    for name, merged in profiles.merged.items():
        source = merged.get("source_profile") if Kind.ROLE in other_ways(merged) else None
        held = [(file, section) for file, section in profiles.sections_of(name) if KEY_ID in file.settings[section]]
        for file, section in held:
            judged = judge(file, section)
            place = Place(file.path, name, file.kind) if judged.pair else None
            yield ProfileFact(name, judged.kind, judged.pair, place, source, rivals(merged, name), judged.reason)
        if not held:
            yield _without_key(profiles, name, source, keyring)
    for section in profiles.unread():
        note = f"[{section}] in {profiles.config.shown} is not read by botocore"
        yield ProfileFact(f"[{section}]", Kind.NONE, note=note)


def _without_key(profiles: Profiles, name: str, source: str | None, keyring: Reader | None) -> ProfileFact:
    """What a profile holds that has no key in a file: an entry in the keyring, another way in, or nothing."""
    merged, pair, note = profiles.merged[name], None, ""
    ways = other_ways(merged)
    if entry := keyring_entry(merged):
        try:
            pair = keyring(entry) if keyring else None
            note = "the keyring has no key for it" if keyring and not pair else ""
        except Problem as problem:
            note = problem.message
        return ProfileFact(name, Kind.KEYRING, pair, profiles.keyring_place(entry), note=note)
    if SECRET in merged:
        note = f"{SECRET} without {KEY_ID}"
    if Kind.ROLE in ways and "credential_source" in merged:
        note = f"credential_source={merged['credential_source']}"
    return ProfileFact(name, ways[0] if ways else Kind.NONE, source=source, also=ways[1:], note=note)


def keyring_entry(section: Section) -> str | None:
    """The keyring entry that a profile without a key of its own gets its pair from, by a credential_process of ours."""
    return entry_of(section) if other_ways(section)[:1] == (Kind.PROCESS,) else None


def other_ways(section: Section) -> tuple[Kind, ...]:
    """The ways in that a profile has beside a static key, in botocore's order."""
    web = "web_identity_token_file" in section
    found = {
        Kind.ROLE: "role_arn" in section and not web,
        Kind.WEB_IDENTITY: web,
        Kind.SSO: any(option in section for option in _SSO),
        Kind.LOGIN: "login_session" in section,
        Kind.PROCESS: "credential_process" in section,
    }
    return tuple(kind for kind, there in found.items() if there)


def is_own_source(section: Section, name: str) -> bool:
    """Whether it is a role that is assumed with the key in the same section: SDKs agree on that."""
    own = section.get("source_profile") == name and "credential_source" not in section
    return own and Kind.ROLE in other_ways(section)


def rivals(section: Section, name: str) -> tuple[Kind, ...]:
    """The other ways in that SDKs may prefer to a static key in the same profile."""
    own = is_own_source(section, name)
    return tuple(kind for kind in other_ways(section) if not (own and kind is Kind.ROLE))


def judge(file: ProfileFile, section: str) -> Judged:
    """Whether a section that has an aws_access_key_id holds the static pair of an IAM user."""
    values = file.settings[section]
    if SECRET not in values:
        return Judged(Kind.NONE, None, f"has an {KEY_ID} and no {SECRET}", _CONFIGURE)
    key_id, secret = values[KEY_ID], values[SECRET]
    if key_id.startswith("\n") or secret.startswith("\n"):
        hint = "write each value after its = in [{section}] of {file}"
        return Judged(Kind.NONE, None, "has its key on a line of its own, below the name", hint)
    if not key_id or not secret:
        return Judged(Kind.NONE, None, f"has an empty {SECRET if key_id else KEY_ID}", _CONFIGURE)
    if not file.line_of(section, KEY_ID) or not file.line_of(section, SECRET):
        hint = "move " + KEY_ID + " and " + SECRET + " from [DEFAULT] to [{section}] in {file}"
        return Judged(Kind.NONE, None, "takes its key from [DEFAULT], which SDKs read differently", hint)
    token = next((values[name] for name in TOKENS if values.get(name)), None)
    if token or key_id.startswith("ASIA"):
        return Judged(
            Kind.SESSION,
            Credentials(key_id, secret, token),
            "holds temporary credentials (a session), which expire on their own",
        )
    for name, value in ((KEY_ID, key_id), (SECRET, secret)):
        if odd := odd_character(value):
            hint = f"paste only the value again after {name} = in [{{section}}] of {{file}}"
            return Judged(Kind.NONE, None, f"has {odd}, within the value of {name}", hint)
        hint = f"leave only the value after {name} = in [{{section}}] of {{file}}"
        if _STRAY.search(value):
            return Judged(Kind.NONE, None, f"has quotes, blanks or a comment within the value of {name}", hint)
        if _LONG_TERM.search(key_id) and (around := _AROUND.search(value)):
            return Judged(Kind.NONE, None, f'has "{around[0]}" within the value of {name}', hint)
    if not _LONG_TERM.fullmatch(key_id):
        return Judged(Kind.NONE, None, _NOT_A_USERS, _LOOK)
    return Judged(Kind.STATIC, Credentials(key_id, secret))


def show_name(name: str) -> str:
    """A profile's name for a message: quoted if it is not one plain word."""
    return name if name and name.isprintable() and not any(char in name for char in " \"'") else repr(name)


def odd_character(value: str) -> str:
    """Words for the first character that is in no access key, or ""."""
    if _PASTE.search(value):
        return "the mark of a paste (200~)"
    for char in value:
        if char in "[]":
            return f"a {char}, which may belong to the next header"
        if not char.isascii() or not char.isprintable():
            name = unicodedata.name(char, "a control character").lower()
            return f"a character that may not be seen (U+{ord(char):04X}, {name})"
    return ""


def odd_length(key_id: str, secret: str) -> str:
    """Words for a value that was cut off or pasted twice, or ""."""
    for name, value in ((KEY_ID, key_id), (SECRET, secret)):
        if len(value) != LENGTHS[name]:
            return f"{name} has {len(value)} characters here, and AWS's have {LENGTHS[name]}"
    return ""


# The credential_process line


def line_for(program: Sequence[str], entry: str, *, windows: bool = os.name == "nt") -> str:
    """The value for this program (its words, the first an absolute path) and this entry. Raises Problem for a path or a
    name that cannot be written so that every SDK reads it back."""
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
    try:
        if not windows:
            return shlex.split(line)
        from botocore.compat import compat_shell_split  # loaded with botocore's ProcessProvider, and not lightly

        return list(compat_shell_split(line, "win32"))
    except ValueError:
        return []


def _quote_posix(word: str, path: bool) -> str:
    if _UNUSABLE.search(word):
        raise _unusable(word)
    if path and _PLAIN_PATH.fullmatch(word):
        return f'"{word}"'
    if _PLAIN_WORD.fullmatch(word):
        return word
    return shlex.quote(word)


def _quote_windows(word: str, path: bool) -> str:
    # A quotation mark cannot be in a path; cmd expands %NAME% even within quotes.
    if _UNUSABLE.search(word) or '"' in word or "%" in word:
        raise _unusable(word)
    if not path and word and not re.search(r"[\s^&|<>()\\]", word):
        return word
    return f'"{word}' + "\\" * (len(word) - len(word.rstrip("\\"))) + '"'


def _unusable(word: str) -> Problem:
    return Problem(
        f"{word!r} cannot stand in a credential_process line so that every SDK reads it alike",
        "rename the profile, or install rotate-my-key in a folder with a plain name",
    )
