"""What each profile signs in with: a static pair, a session, SSO, a role, ...

Facts about one profile at a time, as botocore reads its sections; which profile is in force is `active.py`'s matter.
Nothing here raises for odd values: what is no use is told as a `note`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from ..errors import Problem
from ..model import Credentials, Place, PlaceKind
from .odd import odd_character
from .process_line import entry_of
from .reading import KEY_ID, SECRET, TOKENS, ProfileFiles, Profiles, ReadFile, Section, read_profiles

_SSO = ("sso_session", "sso_start_url", "sso_account_id", "sso_role_name")
_LONG_TERM = re.compile(r"AKIA[A-Z0-9]{12,124}")  # IAM user guide, "unique identifiers"; 16 to 128 characters
_STRAY = re.compile(r"[\s\"'#;]")  # none of these can be in an id or a secret
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
    """What one profile holds; a profile with a key in both files gives two facts, the one that wins first.

    `pair` and `place` are there for STATIC and SESSION; for KEYRING the pair is, if the keyring gave it. `source` is a
    role's source_profile. `also` are the other ways in that stand beside a key (SDKs disagree which wins). `note` says
    why a key is no use, or where else a role gets its credentials.
    """

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


def sections(files: ProfileFiles, keyring: Reader | None = None) -> tuple[ProfileFact, ...]:
    """Every profile in either file: the credentials file's first, each file in its own order.

    `keyring` reads the pairs that are there. Raises Problem only for a file that cannot be opened or parsed.
    """
    return tuple(facts(read_profiles(files), keyring))


def facts(profiles: Profiles, keyring: Reader | None = None) -> Iterator[ProfileFact]:
    """The same for files already read; then each section with a key that botocore passes over, in its brackets."""
    yield from _profile_facts(profiles, keyring)
    for section in profiles.unread():
        note = f"[{section}] in {profiles.files.show(profiles.config.path)} is not read by botocore"
        yield ProfileFact(f"[{section}]", Kind.NONE, note=note)


def _profile_facts(profiles: Profiles, keyring: Reader | None) -> Iterator[ProfileFact]:
    for name, merged in profiles.merged.items():
        ways = other_ways(merged)
        role = Kind.ROLE in ways
        source = merged.get("source_profile") if role else None
        held = [(file, section) for file, section in profiles.sections_of(name) if KEY_ID in file.sections[section]]
        for file, section in held:
            judged = judge(file, section)
            place = place_of(profiles, file, name) if judged.pair else None
            yield ProfileFact(name, judged.kind, judged.pair, place, source, rivals(merged, name), judged.reason)
        if held:
            continue
        if entry := keyring_entry(merged):
            yield _in_keyring(profiles, name, entry, keyring)
            continue
        note = f"{SECRET} without {KEY_ID}" if SECRET in merged else ""
        if role and "credential_source" in merged:
            note = f"credential_source={merged['credential_source']}"
        yield ProfileFact(name, ways[0] if ways else Kind.NONE, source=source, also=ways[1:], note=note)


def keyring_entry(section: Section) -> str | None:
    """The keyring entry that a profile without a key of its own gets its pair from, by a credential_process of ours."""
    if other_ways(section)[:1] != (Kind.PROCESS,):
        return None
    return entry_of(section)


def keyring_place(profiles: Profiles, entry: str) -> Place:
    """The place that a keyring entry is."""
    return Place(profiles.config.path, entry, PlaceKind.KEYRING)


def _in_keyring(profiles: Profiles, name: str, entry: str, keyring: Reader | None) -> ProfileFact:
    place, pair, note = keyring_place(profiles, entry), None, ""
    if keyring:
        try:
            pair = keyring(entry)
            note = "" if pair else "the keyring holds no pair for it"
        except Problem as problem:
            note = problem.message
    return ProfileFact(name, Kind.KEYRING, pair, place, note=note)


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


def place_of(profiles: Profiles, file: ReadFile, profile: str) -> Place:
    """The place that this file's section for the profile is."""
    return Place(file.path, profile, PlaceKind.CREDENTIALS if file is profiles.credentials else PlaceKind.CONFIG)


def judge(file: ReadFile, section: str) -> Judged:
    """Whether a section that has an aws_access_key_id holds the static pair of an IAM user."""
    values = file.sections[section]
    if SECRET not in values:
        return Judged(Kind.NONE, None, f"has an {KEY_ID} and no {SECRET}", _CONFIGURE)
    key_id, secret = values[KEY_ID], values[SECRET]
    if key_id.startswith("\n") or secret.startswith("\n"):
        hint = "write each value behind its = in [{section}] of {file}"
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
            "holds temporary credentials (a session), which end by themselves",
        )
    for name, value in ((KEY_ID, key_id), (SECRET, secret)):
        if odd := odd_character(value):
            hint = f"paste only the value again behind {name} = in [{{section}}] of {{file}}"
            return Judged(Kind.NONE, None, f"has {odd}, within the value of {name}", hint)
        if _STRAY.search(value):
            hint = f"leave only the value behind {name} = in [{{section}}] of {{file}}"
            return Judged(Kind.NONE, None, f"has quotes, blanks or a comment within the value of {name}", hint)
    if not _LONG_TERM.fullmatch(key_id):
        return Judged(Kind.NONE, None, _NOT_A_USERS, _LOOK)
    return Judged(Kind.STATIC, Credentials(key_id, secret))


def show_name(name: str) -> str:
    """A profile's name for a message: quoted if it is not one plain word."""
    return name if name and name.isprintable() and not any(char in name for char in " \"'") else repr(name)


def quote(name: str) -> str:
    """A profile's name for a command line."""
    import shlex

    return shlex.quote(name)


def rotate_command(name: str) -> str:
    """The command that rotates this profile's key."""
    return f"rotate-my-key rotate -p {quote(name)}"


def elsewhere(profiles: Profiles) -> str:
    """The next command where this profile has nothing to rotate."""
    usable = [fact.profile for fact in facts(profiles) if fact.kind in ROTATABLE and not fact.also]
    return rotate_command(usable[0]) if usable else "rotate-my-key status"
