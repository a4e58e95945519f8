"""Which profiles of a file hold which pair, as botocore reads them.

Pure: bytes in, nothing written, no file touched. A profile is what botocore makes of a section: in the credentials file
every section, blanks and all; in the config file `[default]` and what shlex makes two words of, the first of which
begins with "profile".

What a person pasted wrongly: names that no SDK knows, and characters that are in no key.

Pure. No message holds a value or more of it than one odd character.

The two profile files, each read once and merged as botocore merges them.

What botocore tolerates is tolerated here. What it cannot parse is a Problem, and so is a file that is there and cannot
be opened, or is none (a pipe, a folder, a link that leads nowhere): botocore takes that for an empty one, but it may
hold the key. Nothing is expanded, no environment is read.

`configloader.build_profile_map` decides which section of the config file is which profile. Importing it costs some
14 ms of CPU, so that is done when a config file is read, not before.

What each profile signs in with: a static pair, a session, SSO, a role, ...

Facts about one profile at a time, as botocore reads its sections; which profile is in force is `which.py`'s matter.
Nothing here raises for odd values: what is no use is told as a `note`.
"""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from ..core.errors import Problem, shortage
from ..core.model import Credentials, Place, PlaceKind
from ..files.regular import refuse_odd
from ..keyring.entries import entry_of
from .ini import DEFAULT, Ini

KEY_ID = "aws_access_key_id"
SECRET = "aws_secret_access_key"  # noqa: S105  the name of a setting
TOKENS = ("aws_security_token", "aws_session_token")  # in botocore's order; either makes it a temporary pair

_SHLEX_BLANKS = re.compile(r"[ \t\r\n]+")
_CLEAN = re.compile(r"""["']?[^\S\n]*([^\s"'#;]*)""")
_LOOSE = re.compile(  # a name, even if indented, and its value, even if that stands on the next line
    rf"^[^\S\n]*({KEY_ID}|{SECRET})[^\S\n]*[=:][^\S\n]*(?:\n[^\S\n]+)?{_CLEAN.pattern}", re.IGNORECASE | re.MULTILINE
)


class ProfileFile:
    """One file's bytes, read once, as the credentials file or as the config file.

    `path` is only named in messages. Raises Problem, with the remedy, for bytes that botocore cannot read.
    """

    def __init__(self, data: bytes, path: str, kind: PlaceKind) -> None:
        self.data = data
        self.path = path
        self.kind = kind
        self.ini = Ini(data, path)
        self._effective: dict[str, str] | None = None
        self._spelled: dict[str, list[str]] | None = None  # all sections that some SDK takes for a profile

    @property
    def effective(self) -> dict[str, str]:
        """The section that botocore takes for each profile."""
        if self._effective is None:
            names = self.ini.sections
            if self.kind is PlaceKind.CREDENTIALS:
                self._effective = {name: name for name in names}
            else:  # the last one wins: `[default]` and `[profile default]`, `[profile a]` and `[profile "a"]`
                self._effective = {profile: name for name in names if (profile := config_profile(name)) is not None}
        return self._effective

    def pair(self, profile: str) -> Credentials | None:
        """What botocore reads for this profile; None if it reads no static pair."""
        section = self.effective.get(profile)
        return None if section is None else self.pair_in(section)

    def pair_in(self, section: str) -> Credentials | None:
        """What botocore reads from this section, `[DEFAULT]` included."""
        key_id, secret = self.ini.get(section, KEY_ID), self.ini.get(section, SECRET)
        if not key_id or not secret:
            return None
        return Credentials(key_id, secret, self.token_in(section))

    def token_in(self, section: str) -> str | None:
        """The session token of this section; an empty one is none: botocore then signs with the plain key."""
        return next(filter(None, (self.ini.get(section, name) for name in TOKENS)), None)

    def pairs(self) -> Iterator[tuple[str, Credentials]]:
        """Every profile that has a static pair in this file."""
        for profile, section in self.effective.items():
            pair = self.pair_in(section)
            if pair:
                yield profile, pair

    def holders(self, key_ids: Collection[str]) -> Iterator[tuple[str, Credentials]]:
        """Every profile that holds one of these ids in a way that any SDK makes sense of.

        Values are given without quotes and comments, a missing secret as "". A section that botocore passes over is
        given in its brackets, but for one that changes along with its profile (`namesakes`). No edit will take any of
        these for the old pair, so a rotation is refused early.
        """
        loose = {section: pair for section, pair in self._loose(key_ids) if section}
        if not loose:
            return
        spelled = {section: profile for profile, section in self.effective.items()}
        for section in self.ini.sections if self.ini.sections else loose:
            pair = loose.get(section)
            if pair is None and DEFAULT in loose and KEY_ID not in self.ini.sections[section]:
                pair = replace(loose[DEFAULT], secret=clean_value(self.ini.get(section, SECRET) or ""))
            if pair and section in spelled:
                yield spelled[section], replace(pair, token=clean_value(self.token_in(section) or "") or None)
            elif pair and not self._follows(section):
                yield f"[{section}]", pair

    def _loose(self, key_ids: Collection[str]) -> Iterator[tuple[str | None, Credentials]]:
        """The sections with one of these ids, as SDKs read them that know comments behind a value, quotes around it, or
        indented names; of several secrets the one next to the id."""
        for number in self.ini.lines_with(key_ids):
            section = self.ini.section_at(number)
            lines = self.loose_lines(number)
            ids = [(line, value) for line, name, value in lines if name == KEY_ID and value in key_ids]
            secrets = [(line, value) for line, name, value in lines if name == SECRET]
            for line, key_id in ids:
                lent = self.ini.defaults.get(SECRET)
                nearest = min(secrets, key=lambda each: abs(each[0] - line), default=(0, ""))[1]
                yield section, Credentials(key_id, nearest or clean_value("" if lent is None else self.ini.value(lent)))

    def loose_lines(self, number: int) -> list[tuple[int, str, str]]:
        """The lines of a pair in the section of this line, for any SDK: their numbers, names and clean values."""
        first, last = self.ini.extent(number)
        text = "\n".join(self.ini.lines[first:last])
        found = _LOOSE.finditer(text)
        return [(first + text.count("\n", 0, each.start(1)), each[1].lower(), each[2]) for each in found]

    def _follows(self, section: str) -> bool:
        """Whether an edit changes this section along with the profile that botocore takes another one for."""
        profile = config_profile(section)
        profile = section.strip() if profile is None else profile
        pair = self.pair(profile)
        return pair is not None and section in self.namesakes(profile, pair)

    def half(self, profile: str) -> str:
        """The clean secret that stands under this profile without an id, or ""."""
        own = self.ini.sections.get(self.effective.get(profile, ""), {})
        return clean_value(self.ini.value(own[SECRET])) if SECRET in own and KEY_ID not in own else ""

    def namesakes(self, profile: str, pair: Credentials) -> Iterator[str]:
        """Sections that some SDK takes for this profile, spelled one way or another, and that hold this pair."""
        if self._spelled is None:
            self._spelled = {}
            for section in self.ini.sections:
                name = config_profile(section)
                self._spelled.setdefault(section.strip() if name is None else name, []).append(section)
        for section in self._spelled.get(profile, ()):
            own = self.ini.sections[section]
            if KEY_ID in own and SECRET in own and self.pair_in(section) == pair:
                yield section


def config_profile(section: str) -> str | None:
    """The profile of a section of the config file, by botocore.configloader.build_profile_map; None if it is none."""
    if section == "default":
        return section
    if not section.startswith("profile"):
        return None
    if any(mark in section for mark in "'\"\\"):
        try:
            parts = shlex.split(section)
        except ValueError:
            return None
    else:  # what shlex does where nothing is quoted, in a fraction of its time
        parts = [part for part in _SHLEX_BLANKS.split(section) if part]
    return parts[1] if len(parts) == 2 else None


def config_section(profile: str) -> str:
    """How the config file names this profile: in quotes only where botocore would not read it without them."""
    plain = profile if profile == "default" else f"profile {profile}"
    return plain if config_profile(plain) == profile else f"profile {shlex.quote(profile)}"


def clean_value(value: str) -> str:
    """A value without quotes and without a comment behind it, for SDKs that take neither for a part of it."""
    found = _CLEAN.match(value.strip())
    return found[1] if found else ""


# AWS's own keys; other services have longer and shorter ones.
LENGTHS = {KEY_ID: 20, SECRET: 40}

_PASTE = re.compile(r"\x1b?\[20[01]~")  # what a terminal puts around a paste
_MEANT = {
    KEY_ID: {"accesskeyid", "accesskey", "keyid", "accessid", "accesskeyidaws"},
    SECRET: {"secretaccesskey", "secretkey", "secret", "secretaccesskeyaws", "secretaccess"},
}


def misspelt(options: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The settings that were to be a part of a pair, each with what SDKs call it: `export AWS_ACCESS_KEY_ID`,
    `AWSAccessKeyId`, `aws-access-key-id`."""
    for option in options:
        letters = re.sub(r"[^a-z]", "", re.sub(r"^(export|set|setx|\$env:)\b", "", option.lower()))
        letters = letters.removeprefix("aws")
        for right, meant in _MEANT.items():
            if letters in meant and option != right:
                yield option, right


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


Section = Mapping[str, str]  # a value that begins with a line end is a block (`s3 =`), which botocore reads as a dict


@dataclass(frozen=True, slots=True)
class ProfilePaths:
    """Where the two files are: absolute paths, already expanded, or "" for none. `home` only shortens messages."""

    credentials: str
    config: str
    home: str = ""

    def show(self, path: str) -> str:
        """The path as a person writes it: `~/.aws/credentials`."""
        home = self.home.rstrip(os.sep)
        return f"~{path[len(home) :]}" if home and path.startswith(home + os.sep) else path

    def variable(self, path: str) -> str:
        """The variable that names this file, or "" for the usual place."""
        name = "AWS_SHARED_CREDENTIALS_FILE" if path == self.credentials else "AWS_CONFIG_FILE"
        usual = os.path.join(self.home, ".aws", "credentials" if path == self.credentials else "config")
        return "" if not self.home or os.path.normpath(path) == os.path.normpath(usual) else name


@dataclass(frozen=True, slots=True)
class ReadFile:
    """One file as botocore reads it: `[DEFAULT]` lends its options to every section."""

    path: str
    absent: str = ""  # why nothing was read: "does not exist"
    sections: Mapping[str, Section] = field(default_factory=dict, repr=False)
    lines: Mapping[str, Mapping[str, int]] = field(default_factory=dict, repr=False)

    def line_of(self, section: str, option: str) -> int | None:
        """The line that sets the option in this very section, counted from 1; None if it comes from `[DEFAULT]`."""
        number = self.lines[section].get(option)
        return None if number is None else number + 1


@dataclass(frozen=True, slots=True)
class Profiles:
    """Both files. `spelled` names the config file's section that botocore takes for a profile, as written there."""

    files: ProfilePaths
    credentials: ReadFile
    config: ReadFile
    spelled: Mapping[str, str]
    merged: Mapping[str, Section] = field(repr=False)

    def sections_of(self, profile: str) -> Iterator[tuple[ReadFile, str]]:
        """The sections that botocore reads for the profile, each with its file, the one that wins first."""
        if profile in self.credentials.sections:
            yield self.credentials, profile
        if profile in self.spelled:
            yield self.config, self.spelled[profile]

    def unread(self) -> list[str]:
        """Sections of the config file with a key, which botocore takes for no profile and other SDKs may."""
        if self.config.path == self.credentials.path:
            return []
        read = set(self.spelled.values())
        return [name for name, options in self.config.lines.items() if KEY_ID in options and name not in read]

    def other_spellings(self, profile: str) -> list[str]:
        """Config sections that name the profile too and that botocore passes over, such as an earlier `[default]`."""
        candidates = [name for name in self.config.sections if name == "default" or name.startswith("profile")]
        if len(candidates) == len(self.spelled):
            return []  # the usual case: one section a profile, nothing to compare
        return [name for name in candidates if profile in _spell([name]) and name != self.spelled.get(profile)]


def read_profiles(files: ProfilePaths) -> Profiles:
    """Read both files; a missing one counts as empty.

    The credentials file's values go over the config file's, option by option (botocore: `Session.full_config`).
    Raises Problem, naming file and line, for a file that cannot be opened or that botocore cannot parse.
    """
    credentials, config = _read(files, files.credentials), _read(files, files.config)
    spelled = _spell(config.sections) if config.sections else {}
    merged = {name: dict(values) for name, values in credentials.sections.items()}
    for name, section in spelled.items():
        merged[name] = {**config.sections[section], **merged.get(name, {})}
    return Profiles(files, credentials, config, spelled, merged)


def _spell(sections: Iterable[str]) -> dict[str, str]:
    """Which section is which profile, by botocore's own rules; of two, the last."""
    from botocore.configloader import build_profile_map

    return dict(build_profile_map({name: name for name in sections})["profiles"])


def _read(files: ProfilePaths, path: str) -> ReadFile:
    if not path:
        return ReadFile(path, "does not exist")
    variable = files.variable(path)
    refuse_odd(path, variable and f"unset {variable}", files.show(path))
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return ReadFile(path, "does not exist")
    except OSError as error:
        import shlex

        if scarce := shortage(error):
            raise scarce from None
        why = (error.strerror or "input/output error").lower()
        raise Problem(f"{files.show(path)} cannot be read: {why}", f"ls -l {shlex.quote(path)}") from None
    ini = Ini(data, files.show(path))
    sections = {name: {option: ini.value(line) for option, line in _options(ini, name)} for name in ini.sections}
    return ReadFile(path, "", sections, ini.sections)


def _options(ini: Ini, section: str) -> Iterable[tuple[str, int]]:
    own = ini.sections[section]
    return {**ini.defaults, **own}.items() if ini.defaults else own.items()


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


def sections(files: ProfilePaths, keyring: Reader | None = None) -> tuple[ProfileFact, ...]:
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
