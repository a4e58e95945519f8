"""From a profile to the one that holds its key: `source_profile`, followed and checked as botocore follows it.

A profile without a key of its own leads on by `role_arn` and `source_profile` only; every other way in (web identity,
SSO, ...) ends in a refusal. So does a key beside such a way in: SDKs disagree which of them wins.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import NeedsPerson, Problem
from .kinds import Kind, elsewhere, is_own_source, keyring_entry, other_ways, quote, rivals, rotate_command, show_name
from .reading import KEY_ID, SECRET, Profiles


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
    message = f"profile {show_name(name)} holds a static key beside {beside} settings, and SDKs disagree which wins"
    if not mixed:
        raise NeedsPerson(message, f"to rotate the static key all the same: {rotate_command(name)} --mixed")
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
    raise Problem(f"profile {show_name(name)} {problem}", elsewhere(profiles))


def _no_key(profiles: Profiles, visited: Sequence[str], ways: Sequence[Kind]) -> Problem:
    what = {
        Kind.WEB_IDENTITY: "signs in with a web identity token, not with a key",
        Kind.SSO: "signs in with SSO (IAM Identity Center), not with a key",
        Kind.LOGIN: "signs in with `aws login`, not with a key",
        Kind.PROCESS: "gets its key from a program (credential_process), not from a file",
        Kind.NONE: "holds no key",
    }[ways[0] if ways else Kind.NONE]
    if ways[:1] == (Kind.PROCESS,):
        return Problem(f"profile {show_name(visited[-1])} {what}", _in_a_program(profiles, visited[-1]))
    through = f" (source_profile of {show_name(visited[-2])})" if visited[1:] else ""
    return Problem(f"profile {show_name(visited[-1])}{through} {what}", elsewhere(profiles))


def _in_a_program(profiles: Profiles, name: str) -> str:
    """aws-vault rotates what it keeps; for others the key has to come into a profile first."""
    import os

    program = os.path.basename((profiles.merged[name]["credential_process"].split() or [""])[0].strip("\"'"))
    if program.removesuffix(".exe") == "aws-vault":
        return f"aws-vault rotate {quote(name)}"
    usable = elsewhere(profiles)
    return usable if "-p" in usable else f"rotate-my-key adopt -p {quote(name + '-key')}"
