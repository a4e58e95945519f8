"""Why a pair in a profile file cannot be changed byte by byte, each reason with its remedy.

Pure. One rule stands behind all of them: botocore must read exactly the old pair, from the profile's own section, each
value whole on the line of its name. No message holds a value.
"""

from __future__ import annotations

import re

from ..core.errors import Problem, mask
from ..core.model import Credentials, PlaceKind
from .file import KEY_ID, SECRET, TOKENS, ProfileFile, clean_value, config_profile
from .ini import DEFAULT, Ini

_VALUE = re.compile(r"[A-Za-z0-9/+=_.~:@%^*!-]+")  # what stands unquoted in a profile file, for every reader


def section_of(file: ProfileFile, profile: str, old: Credentials) -> str:
    """The section that botocore takes for the profile, if it holds exactly `old` in a way that can be changed.

    Raises Problem, with the remedy, if not.
    """
    section = file.effective.get(profile)
    if section is None:
        raise _not_read(file, profile)
    if file.kind is PlaceKind.CREDENTIALS and section != section.strip():
        raise file.ini.problem(
            file.ini.header(section),
            f"has blanks inside its brackets, so botocore takes them for a part of the name [{section}]",
            f"write [{section.strip()}]",
        )
    for name, expected in ((KEY_ID, old.key_id), (SECRET, old.secret)):
        _check_option(file, profile, section, name, expected)
    if file.token_in(section):
        raise with_token(file, profile, section)
    return section


def with_token(file: ProfileFile, profile: str, section: str) -> Problem:
    """A token that is not empty makes whatever key stands beside it a temporary one."""
    lines = {**file.ini.defaults, **file.ini.sections[section]}
    name = next(name for name in TOKENS if file.ini.get(section, name))
    what = f"gives profile {profile} a session token, so its pair is a temporary one"
    return file.ini.problem(lines[name], what, f"remove {name} if the key is a long-term one")


def check_line_ends(file: ProfileFile) -> None:
    """Refuse the line ends of old Macs: botocore takes them for line ends, other SDKs for a part of a value."""
    if file.ini.lone_cr:
        raise Problem(
            f"{file.path} has line ends that SDKs read differently (CR without LF)",
            f"save it with LF line ends: tr '\\r' '\\n' < {file.path}",
        )


def check_new(new: Credentials) -> None:
    """Refuse a pair that would be read otherwise than written, or that is a temporary one."""
    if new.token is not None or not _VALUE.fullmatch(new.key_id) or not _VALUE.fullmatch(new.secret):
        raise Problem(f"the pair of key {mask(new.key_id)} cannot stand in a profile file", "rotate-my-key status")


def _not_read(file: ProfileFile, profile: str) -> Problem:
    """Why botocore takes no section for this profile; in brackets it is a section that only others read."""
    section = profile[1:-1] if profile.startswith("[") else ""
    if section != DEFAULT and section not in file.ini.sections:
        return Problem(f"{file.path} has no profile {profile}", "rotate-my-key status")
    header, taken = file.ini.header(section), file.effective.get(config_profile(section) or "")
    if taken:
        what = f"begins [{section}]; botocore takes [{taken}] for that profile"
        return file.ini.problem(header, what, "merge the two sections into one")
    what = f"begins [{section}], which botocore does not read, though other SDKs may"
    return file.ini.problem(header, what, f"write [{plain_header(section)}]")


def plain_header(section: str) -> str:
    """The header that every SDK reads for this profile in the config file, without blanks or quotes in the name."""
    name = re.sub(r"[^\w.@+/:%-]+", "-", section.split("]")[0].strip().removeprefix("profile").strip()).strip("-")
    return "default" if name.lower() == "default" else f"profile {name}"


def _check_option(file: ProfileFile, profile: str, section: str, name: str, expected: str) -> None:
    ini = file.ini
    number = ini.sections[section].get(name)
    if number is not None and ini.value(number) == expected:
        return
    loose = [line for line, *found in file.loose_lines(ini.header(section)) if found == [name, expected]]
    if loose and number not in loose:
        what = f"is indented, so botocore takes it for a part of the line above, and other SDKs for {name}"
        raise ini.problem(loose[0], what, "remove the blanks before it, or the line")
    if number is not None:
        raise _other_value(ini, number, name, expected)
    if name in ini.defaults:
        raise ini.problem(
            ini.defaults[name],
            f"gives {name} to all profiles, since it stands in [{DEFAULT}]",
            f"move the pair into the section [{section}]",
        )
    raise _missing(file, profile, section, name)


def _missing(file: ProfileFile, profile: str, section: str, name: str) -> Problem:
    if file.kind is PlaceKind.CONFIG:
        for other, options in file.ini.sections.items():
            if other != section and name in options and config_profile(other) == profile:
                return file.ini.problem(
                    file.ini.header(section),
                    f"begins [{section}]; botocore takes that for profile {profile}, and not [{other}] with the key",
                    "merge the two sections into one",
                )
    what = f"begins [{section}], which has no {name}"
    return file.ini.problem(file.ini.header(section), what, "write both lines of the key there")


def _other_value(ini: Ini, number: int, name: str, expected: str) -> Problem:
    first = ini.value_on_line(number)
    if ini.continues(number) and not first:
        return ini.problem(number, f"has the value of {name} on the next line", "put it on the same line as its name")
    if ini.continues(number):
        below = ini.first_continuation(number)
        return ini.problem(
            below, f"is indented, so botocore takes it for a part of {name}", "remove the blanks before it"
        )
    if first[:1] in ("'", '"') and clean_value(first) == expected:
        return ini.problem(
            number, f"has quotes around {name}, which botocore takes for a part of it", "remove the quotes"
        )
    if first.startswith(expected) and first[len(expected) :].lstrip()[:1] in ("#", ";"):
        return ini.problem(
            number, f"has a comment behind {name}, which botocore takes for a part of it", "give it a line of its own"
        )
    return ini.problem(number, f"holds another {name} than expected", "rotate-my-key status")
