"""Which key an SDK uses here, decided as botocore decides it.

botocore asks in this order (botocore 1.44, `create_credential_resolver`): env, assume-role, web identity, sso,
credentials file, login, process, config file; after these come old EC2 and boto files, containers and the metadata
service, which nothing here ever asks. A profile named to it (`-p` here) switches env off; AWS_PROFILE does not. A
profile without a key of its own leads on by `role_arn` and `source_profile` only; every other way in (web identity,
SSO, ...) ends in a refusal. So does a key beside such a way in: SDKs disagree which of them wins.

The answer is one static key of an IAM user or a refusal with the reason. Nothing is written, nothing is sent, and no
environment is read but the mapping handed in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from ..core.errors import NeedsPerson, NoKeyHere, Problem
from ..core.hints import Hint
from ..core.model import Credentials, Place, PlaceKind
from ..core.policy import nearest
from ..files.regular import is_null
from .edit import plain_header
from .file import KEY_ID, SECRET, TOKENS, ProfileFile, ProfilePaths, Profiles, Section, config_profile
from .kinds import (
    ROTATABLE,
    Kind,
    Reader,
    facts,
    is_own_source,
    judge,
    keyring_entry,
    other_ways,
    rivals,
    show_name,
)


def follow_sources(
    profiles: Profiles, name: str, mixed: bool, keyring: bool = False
) -> tuple[str, list[str], list[str]]:
    """Follow `source_profile` to a profile with a static key, in the `keyring` too if that can be asked; give it, the
    trail and warnings."""
    visited, trail = [name], []
    while True:
        settings = profiles.merged[name]
        ways = other_ways(settings)
        if KEY_ID in settings or SECRET in settings:
            if is_own_source(settings, name):
                trail.append(f"{show_name(name)} assumes a role with its own key")
            return name, trail, _mixed_warnings(name, rivals(settings, name), mixed)
        if keyring and keyring_entry(settings):
            return name, trail, []
        if ways[:1] != (Kind.ROLE,):
            raise _no_key(profiles, visited, ways)
        source = _source(profiles, name, visited)
        trail.append(f"{show_name(name)} assumes a role with the key of {show_name(source)}")
        visited.append(source)
        name = source


def _mixed_warnings(name: str, ways: Sequence[Kind], mixed: bool) -> list[str]:
    if not ways:
        return []
    beside = " and ".join(kind.value for kind in ways)
    message = f"profile {show_name(name)} holds a static key beside {beside} settings, and {_DISAGREE}"
    if not mixed:
        raise NeedsPerson(message, Hint("rotate", "-p", name, "--mixed", lead="to rotate the static key all the same"))
    return [message]


def _source(profiles: Profiles, name: str, visited: Sequence[str]) -> str:
    """The profile that a role profile takes its key from, checked as botocore checks it."""
    settings = profiles.merged[name]
    source, other = settings.get("source_profile"), settings.get("credential_source")
    if source is not None and other is not None:
        problem = "has both source_profile and credential_source"
    elif other is not None:
        problem = f"assumes a role with credentials from {other} (credential_source), not with a key in a file"
    elif source is None:
        problem = "has a role_arn, but neither a key nor a source_profile"
    elif source not in profiles.merged:
        problem = f"takes its key from profile {show_name(source)} (source_profile), which does not exist"
    elif source in visited:
        circle = ", ".join(map(show_name, [*visited[visited.index(source) :], source]))
        problem = f"leads in a circle, without a key: source_profile goes {circle}"
    else:
        return source
    missing = source is not None and source not in profiles.merged
    hint = f"aws configure set source_profile NAME --profile {quote(name)}" if missing else _STATUS
    raise Problem(f"profile {show_name(name)} {problem}", hint)


def _no_key(profiles: Profiles, visited: Sequence[str], ways: Sequence[Kind]) -> Problem:
    what = {
        Kind.WEB_IDENTITY: "signs in with a web identity token, not with a key",
        Kind.SSO: "signs in with SSO (IAM Identity Center), not with a key",
        Kind.LOGIN: "signs in with `aws login`, not with a key",
        Kind.PROCESS: "gets its key from a program (credential_process), not from a file",
        Kind.NONE: "holds no key",
    }[ways[0] if ways else Kind.NONE]
    if ways[:1] == (Kind.PROCESS,):
        return NoKeyHere(f"profile {show_name(visited[-1])} {what}", _in_a_program(profiles, visited[-1]))
    hint = {Kind.SSO: "aws sso login --profile {}", Kind.LOGIN: "aws login --profile {}"}.get(
        (*ways, Kind.NONE)[0], _STATUS
    )
    through = f" (source_profile of {show_name(visited[-2])})" if visited[1:] else ""
    return NoKeyHere(f"profile {show_name(visited[-1])}{through} {what}", hint.format(quote(visited[-1])))


def _in_a_program(profiles: Profiles, name: str) -> str:
    """aws-vault rotates what it keeps; for others the key has to come into a profile first."""
    import os

    program = os.path.basename((profiles.merged[name]["credential_process"].split() or [""])[0].strip("\"'"))
    if program.removesuffix(".exe") == "aws-vault":
        return f"aws-vault rotate {quote(name)}"
    return Hint("adopt", "-p", f"{name}-key")


_STATUS = Hint("status")
_DISAGREE = "SDKs disagree on which one wins"
PROFILE_VARIABLES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_KEY = "AWS_ACCESS_KEY_ID"
_KEY_VARIABLES = {_KEY: "that key", "AWS_WEB_IDENTITY_TOKEN_FILE": "that token"}
_LISTED = 8  # profile names in one message
_MEANT = {
    KEY_ID: {"accesskeyid", "accesskey", "keyid", "accessid", "accesskeyidaws"},
    SECRET: {"secretaccesskey", "secretkey", "secret", "secretaccesskeyaws", "secretaccess"},
}


@dataclass(frozen=True, slots=True)
class Active:
    """The key in force. `profile` was asked for; `holder` holds the pair, once `source_profile` is followed. `trail`
    says in short sentences why it is this key; `warnings`, where another program may use another one. `region` is
    botocore's: AWS_DEFAULT_REGION, else the profile's, else the holder's."""

    profile: str
    holder: str
    pair: Credentials
    place: Place
    trail: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    region: str | None = None


def find_active(
    environ: Mapping[str, str],
    profile: str | None,
    files: ProfilePaths,
    *,
    mixed: bool = False,
    keyring: Reader | None = None,
) -> Active:
    """The static key in force for `profile`; for None: for what the environment names, else `default`. `mixed`: where a
    static key stands beside role, web identity, sso, login or process settings, take that key. `keyring` reads the pair
    of a profile that holds it there; without it such a profile is any program's. Raises NeedsPerson for such a profile
    without `mixed`, Problem for all else that is not one static key."""
    try:
        name, chosen = profile_in_force(environ, profile)
    except Problem as hidden:
        if environ.get(_KEY) and not Profiles(files).merged:
            raise Problem(f"{hidden.message}, and there is none here", Hint("adopt")) from None
        raise
    profiles = Profiles(files)
    if name not in profiles.merged:
        problem = _no_such_profile(profiles, environ, name, chosen)
        raise NoKeyHere(problem.message, problem.hint) if chosen.startswith("no profile") else problem
    _check_names(profiles, name)
    holder, trail, warnings = follow_sources(profiles, name, mixed, keyring is not None)
    entry = keyring_entry(profiles.merged[holder])
    if keyring and entry and KEY_ID not in profiles.merged[holder]:
        place, pair, where = _pair_in_keyring(profiles, holder, entry, keyring)
    else:
        place, pair, where = _pair_in_force(profiles, holder)
    warnings = [*warnings, *_doubts(profiles, holder, pair), *_outside(profiles, environ, pair)]
    regions = (profiles.merged[each].get("region") for each in (name, holder))
    region = environ.get("AWS_DEFAULT_REGION") or next(filter(None, regions), None)
    return Active(name, holder, pair, place, (chosen, *trail, where), tuple(warnings), region)


# From the environment to the profile.


def profile_in_force(environ: Mapping[str, str], profile: str | None) -> tuple[str, str]:
    """The profile's name, and what named it. Raises Problem where variables hide it or disagree."""
    if profile is not None:
        return profile, f"-p {show_name(profile)}"
    named = {variable: environ[variable] for variable in PROFILE_VARIABLES if variable in environ}
    for variable, what in _KEY_VARIABLES.items():
        if environ.get(variable):
            message = f"{variable} is set in the environment: programs here use {what}, not a profile's"
            name = quote(next(filter(None, named.values()), "default"))
            raise Problem(message, f"unset {variable}, or name the profile: -p {name}")
    return named_profile(environ)


def named_profile(environ: Mapping[str, str]) -> tuple[str, str]:
    """The profile that the environment names, else default, and what named it. Raises Problem where variables disagree
    or are empty: SDKs differ then."""
    named = {variable: environ[variable] for variable in PROFILE_VARIABLES if variable in environ}
    if len(set(named.values())) > 1:
        both = " and ".join(f"{variable}={show_name(value)}" for variable, value in named.items())
        idle = next((variable for variable, value in named.items() if not value), "AWS_DEFAULT_PROFILE")
        raise Problem(f"{both} are both set, and {_DISAGREE}", f"unset {idle}")
    for variable, value in named.items():
        if not value:  # botocore looks for a profile without a name, and fails; others look for default
            raise Problem(f"{variable} is set but empty, and SDKs disagree on what that means", f"unset {variable}")
        return value, f"{variable}={show_name(value)}"
    return "default", "no profile is named, so it is default"


def _no_such_profile(profiles: Profiles, environ: Mapping[str, str], name: str, chosen: str) -> Problem:
    what = f"there is no profile {show_name(name)} ({chosen})"
    if chosen.startswith("no profile"):
        what = "no profile is named, and there is none called default"
    misspelled = (
        (profiles.config, name, ""),
        (profiles.config, f"profile {name}", ""),
        (profiles.credentials, f"profile {name}", name),
    )
    for file, wrong, right in misspelled:
        if wrong in file.sections:
            plain = right or plain_header(wrong)
            return Problem(f"{what}: [{wrong}] in {file.shown} is not read", f"write [{plain}] there instead")
    if not any(fact.kind in ROTATABLE for fact in facts(profiles)) and (unread := profiles.unread()):
        shown, line = profiles.config.shown, profiles.config.line_of(unread[0], KEY_ID)
        where = f"the key in line {line} of {shown} stands in [{unread[0]}], which botocore does not read"
        return Problem(f"{what}: {where}", f"write [{plain_header(unread[0])}] there instead")
    if not profiles.merged:
        state = " and ".join(f"{_show_file(file, environ)} {_state(file)}" for file in _both(profiles))
        command: str = Hint("adopt", profile=name)
        if is_null(profiles.credentials.path):
            command = "unset AWS_SHARED_CREDENTIALS_FILE"
        return Problem(f"{what}: {state}", command)

    if profiles.credentials.is_absent and "AWS_SHARED_CREDENTIALS_FILE" in environ:
        what += f"; {_show_file(profiles.credentials, environ)} does not exist"
    names = list(profiles.merged)
    near = nearest(name, names)
    meant = f". Did you mean {show_name(near)}?" if near else ""
    more = f" and {len(names) - _LISTED} more" if names[_LISTED:] else ""
    return Problem(
        f"{what}; known here: {', '.join(map(show_name, names[:_LISTED]))}{more}{meant}",
        Hint("status", *(["-p", near] if near else [])),
    )


def _state(file: ProfileFile) -> str:
    """Why there is no profile in it."""
    nothing = "is not a regular file, and holds nothing" if is_null(file.path) else "holds no profile"
    return "does not exist" if file.is_absent else nothing


def _both(profiles: Profiles) -> tuple[ProfileFile, ProfileFile]:
    return profiles.credentials, profiles.config


def _show_file(file: ProfileFile, environ: Mapping[str, str]) -> str:
    """The file's path, with the variable that it comes from."""
    variable = "AWS_SHARED_CREDENTIALS_FILE" if file.kind is PlaceKind.CREDENTIALS else "AWS_CONFIG_FILE"
    shown = file.shown or "the empty path"
    return f"{shown} ({variable})" if variable in environ else shown


# From the profile that holds the key to the key.


def _check_names(profiles: Profiles, name: str) -> None:
    """Where a pair is missing: settings whose names no SDK knows. Raises Problem."""
    merged = profiles.merged[name]
    if (KEY_ID in merged and SECRET in merged) or other_ways(merged):
        return
    for file, section in profiles.sections_of(name):
        for option, right in _misspelt(file.sections[section]):
            where = f"line {file.line_of(section, option)} of {file.shown} sets {option}"
            raise Problem(f"{where}, which SDKs do not know", f"write {right} = there")


def _misspelt(options: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The settings that were to be a part of a pair, each with what SDKs call it: `export AWS_ACCESS_KEY_ID`,
    `AWSAccessKeyId`, `aws-access-key-id`, `aws_acces_key_id`."""
    from difflib import get_close_matches

    for option in options:
        letters = re.sub(r"[^a-z]", "", re.sub(r"^(export|set|setx|\$env:)\b", "", option.lower()))
        letters = letters.removeprefix("aws")
        for right, meant in _MEANT.items():
            if get_close_matches(letters, meant, 1, cutoff=0.9) and option != right:
                yield option, right


def _pair_in_keyring(profiles: Profiles, holder: str, entry: str, keyring: Reader) -> tuple[Place, Credentials, str]:
    pair = keyring(entry)
    if pair is None:
        raise Problem(
            f"profile {show_name(holder)} has its key in the keyring, and the keyring has none for it",
            f"remove credential_process from it, then: aws configure --profile {quote(holder)}",
        )
    return profiles.keyring_place(entry), pair, "in the keyring"


def _pair_in_force(profiles: Profiles, holder: str) -> tuple[Place, Credentials, str]:
    held = [(file, name) for file, name in profiles.sections_of(holder) if KEY_ID in file.settings[name]]
    if not held:
        message = f"profile {show_name(holder)} has an {SECRET} and no {KEY_ID}"
        raise Problem(message, f"aws configure --profile {quote(holder)}")
    file, section = held[0]
    judged, shown = judge(file, section), file.shown
    if judged.kind is not Kind.STATIC or judged.pair is None:
        hint = judged.hint.format(profile=quote(holder), section=section, file=shown)
        raise Problem(f"profile {show_name(holder)} in {shown} {judged.reason}", hint or _STATUS)
    if file is profiles.config:
        _check_spellings(file, holder, judged.pair)
    return Place(file.path, holder, file.kind), judged.pair, f"in {shown}, line {file.line_of(section, KEY_ID)}"


def _check_spellings(config: ProfileFile, holder: str, pair: Credentials) -> None:
    """[default] beside [profile default], or one name with and without quotes: the last wins for botocore alone."""
    for other, settings in config.settings.items():
        if config_profile(other) == holder and KEY_ID in settings and not _is_pair(settings, pair):
            message = f"[{other}] and [{config.effective[holder]}] in {config.shown} hold two keys for one profile"
            raise Problem(f"{message}, and {_DISAGREE}", f"remove one of the two from {config.shown}")


def _is_pair(settings: Section, pair: Credentials) -> bool:
    return (settings.get(KEY_ID), settings.get(SECRET)) == (pair.key_id, pair.secret)


# What might make another program use another key.


def _doubts(profiles: Profiles, holder: str, pair: Credentials) -> list[str]:
    """Keys and tokens of the same profile elsewhere, which botocore passes over."""
    said = []
    for file, section in profiles.sections_of(holder):
        settings, shown = file.settings[section], file.shown
        if SECRET in settings and KEY_ID not in settings:
            said.append(f"{shown} holds half a key for {show_name(holder)}, which some SDKs mix with the other file's")
        if KEY_ID in settings and not _is_pair(settings, pair):
            said.append(f"{shown} holds another key for {show_name(holder)}; the credentials file's is used")
        if any(settings.get(token) for token in TOKENS):
            said.append(f"{shown} holds a session token for {show_name(holder)}, which some SDKs add to the key")
    if KEY_ID in profiles.credentials.settings.get(f"profile {holder}", {}):
        said.append(f"[profile {holder}] in {profiles.credentials.shown} is not read: there the section is [{holder}]")
    if holder != "default" and KEY_ID in profiles.config.settings.get(holder, {}):
        said.append(f"[{holder}] in {profiles.config.shown} is not read: there the section is [profile {holder}]")
    return said


def _outside(profiles: Profiles, environ: Mapping[str, str], pair: Credentials) -> list[str]:
    """Files that are not there though named or are no files, and keys in the environment that `-p` passed over."""
    said = [
        f"{variable} is set: programs here use {what}"
        for variable, what in _KEY_VARIABLES.items()
        if environ.get(variable) and (variable != _KEY or environ[variable] != pair.key_id)
    ]
    if environ.get(_KEY) == pair.key_id:
        said.append(f"{_KEY} is this very key: once it is replaced, programs started here fail until: unset {_KEY}")
    for file in _both(profiles):
        shown = _show_file(file, environ)
        if file.is_absent and shown.endswith(")"):
            said.append(f"{shown} does not exist")
    return said
