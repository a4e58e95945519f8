"""Variables that make an SDK use another key, another file or another way to AWS than the person thinks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from ..errors import Problem
from ..files.regular import oddity, read_start
from ..profiles.which import profile_in_force
from . import remedies
from .computer import Computer
from .finding import Finding, Level, Where

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE")
FILES = {"AWS_SHARED_CREDENTIALS_FILE": 0, "AWS_CONFIG_FILE": 1}
PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_PARTS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
_ROLE = ("AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME")
# Where the CAs come from, in botocore's order (botocore/endpoint.py), and what the profile calls it.
_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")


def check(computer: Computer) -> Iterator[Finding]:
    """All of them."""
    yield from _keys(computer)
    yield from _profile_variables(computer)
    yield from _file_variables(computer)
    yield from _regions(computer)
    yield from _proxies(computer)
    yield from _bundles(computer)
    yield from _key_log(computer)


def _set(env: Mapping[str, str], *names: str) -> list[str]:
    return [name for name in names if env.get(name)]


def _keys(computer: Computer) -> Iterator[Finding]:
    """A key in the environment goes before any profile, unless one is named to the program itself."""
    for variable, more in zip(KEYS, (_PARTS, _ROLE), strict=True):
        try:
            profile_in_force({variable: computer.env.get(variable, "")}, None)
        except Problem as problem:
            remedy = remedies.unset(computer, variable, *_set(computer.env, *more))
            level = Level.BROKEN if computer.profile is None else Level.WARNING
            code = "key-in-environment" if variable == KEYS[0] else "token-in-environment"
            yield Finding(level, code, problem.message, remedy, computer.origin(variable))
    parts = _set(computer.env, *_PARTS)
    if parts and not computer.env.get(KEYS[0]):
        message = f"{' and '.join(parts)} without {KEYS[0]}: some SDKs refuse that, others pass over it"
        remedy = remedies.unset(computer, *parts)
        yield Finding(Level.WARNING, "half-a-key-in-environment", message, remedy, computer.origin(parts[0]))


def _profile_variables(computer: Computer) -> Iterator[Finding]:
    named = {name: computer.env[name] for name in PROFILES if name in computer.env}
    try:
        profile_in_force(named, None)
    except Problem as problem:
        bad = [name for name, value in named.items() if not value] or [PROFILES[1]]
        level = Level.BROKEN if computer.profile is None else Level.WARNING
        remedy = remedies.unset(computer, *bad)
        yield Finding(level, "profile-variables", problem.message, remedy, computer.origin(bad[0]))


def _file_variables(computer: Computer) -> Iterator[Finding]:
    for variable, number in FILES.items():
        value, path = computer.env.get(variable), computer.files_named[number]
        if value is None:
            continue
        remedy, where = remedies.unset(computer, variable), computer.origin(variable)
        if not value or not os.path.exists(path):
            what = "is set to nothing" if not value else f"names {computer.show(path)}, which does not exist"
            yield Finding(Level.WARNING, "file-variable", f"{variable} {what}", remedy, where)
        elif value[0] == "~" or "$" in value:
            message = f"{variable} is {value}, which some SDKs take as it stands: ~ and $ mean nothing to them"
            yield Finding(Level.WARNING, "file-variable", message, f"export {variable}={computer.word(path)}", where)
        elif not os.path.isabs(value):
            message = f"{variable} is {value}, which is another file in each folder"
            yield Finding(Level.WARNING, "file-variable", message, f"export {variable}={computer.word(path)}", where)


def _regions(computer: Computer) -> Iterator[Finding]:
    """botocore knows AWS_DEFAULT_REGION only, most other SDKs AWS_REGION only."""
    ours, theirs = computer.env.get("AWS_DEFAULT_REGION"), computer.env.get("AWS_REGION")
    if ours and theirs and ours != theirs:
        message = f"AWS_REGION={theirs} and AWS_DEFAULT_REGION={ours} differ, and SDKs disagree which counts"
        remedy = remedies.unset(computer, "AWS_DEFAULT_REGION")
        yield Finding(Level.WARNING, "region-variables", message, remedy, computer.origin("AWS_DEFAULT_REGION"))


def _proxies(computer: Computer) -> Iterator[Finding]:
    """urllib, and so botocore, takes the lower-case name first; others the upper-case one, or no proxy at all."""
    upper, lower = computer.env.get("HTTPS_PROXY", ""), computer.env.get("https_proxy", "")
    if computer.posix and upper and lower and upper != lower:
        message = "HTTPS_PROXY and https_proxy differ, and programs disagree which counts"
        yield _proxy(computer, message, "https_proxy")
    for name, value in (("https_proxy", lower), ("HTTPS_PROXY", upper)):
        if value and not _is_url(value):
            yield _proxy(computer, f"{name} is not the address of a proxy (http://HOST:PORT)", name)


def _proxy(computer: Computer, message: str, name: str) -> Finding:
    """No message holds the value: it may hold a password."""
    return Finding(Level.WARNING, "proxy", message, remedies.unset(computer, name), computer.origin(name))


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        return bool(parts.hostname) and parts.scheme in ("http", "https") and (parts.port or 80) > 0
    except ValueError:
        return False


def _bundles(computer: Computer) -> Iterator[Finding]:
    """The first that is set counts, even if it is set to nothing: AWS_CA_BUNDLE, the profile's, REQUESTS_CA_BUNDLE."""
    first, last = _BUNDLES
    if first in computer.env:
        yield from _variable_bundle(computer, first)
    elif found := _profile_bundle(computer):
        value, where = found
        if wrong := _wrong_bundle(computer, value):
            message = f"ca_bundle of profile {computer.name} {wrong}"
            yield Finding(Level.BROKEN, "ca-bundle", message, remedies.edit(computer, where), where)
    elif last in computer.env:
        yield from _variable_bundle(computer, last)


def _variable_bundle(computer: Computer, variable: str) -> Iterator[Finding]:
    if wrong := _wrong_bundle(computer, computer.env[variable]):
        remedy = remedies.unset(computer, variable)
        yield Finding(Level.BROKEN, "ca-bundle", f"{variable} {wrong}", remedy, computer.origin(variable))


def _wrong_bundle(computer: Computer, value: str) -> str:
    """Why no connection can be made with it, or "". urllib3 expands `~` and no variables, and takes no folder."""
    if not value.strip() or value.startswith("\n"):
        return "is empty, and no connection can be made so"
    path = os.path.expanduser(value)
    if odd := oddity(path):
        return f"names {computer.show(path)}, which {odd}"
    if not os.path.exists(path):
        more = " ($ means nothing there)" if "$" in value else ""
        return f"names {computer.show(path)}, which does not exist{more}"
    return "" if b"-----BEGIN" in read_start(path, -1) else f"names {computer.show(path)}, which holds no certificates"


def _profile_bundle(computer: Computer) -> tuple[str, Where] | None:
    """What the profile sets, and where."""
    if not isinstance(computer.profiles, Problem):
        for file, section in computer.profiles.sections_of(computer.name):
            if "ca_bundle" in file.sections[section]:
                where = Where(file.path, file.line_of(section, "ca_bundle"))
                return file.sections[section]["ca_bundle"], where
    return None


def _key_log(computer: Computer) -> Iterator[Finding]:
    """OpenSSL's own variable, which Python and many other programs follow."""
    variable = "SSLKEYLOGFILE"
    if path := computer.env.get(variable):
        message = f"{variable} is set: {computer.show(path)} lets whoever reads it decrypt this computer's connections"
        yield Finding(Level.WARNING, "key-log", message, remedies.unset(computer, variable), computer.origin(variable))
