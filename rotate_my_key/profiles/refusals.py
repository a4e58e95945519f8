"""Why a pair in a profile file cannot be changed byte by byte, each reason with its remedy.

Pure. One rule stands behind all of them: botocore must read exactly the old pair, from the profile's own section, each
value whole on the line of its name. No message holds a value.
"""

from __future__ import annotations

import re

from ..core.errors import Problem
from ..core.model import Credentials, PlaceKind
from .file import KEY_ID, SECRET, TOKENS, ProfileFile, clean_value, config_profile
from .ini import DEFAULT


def why(file: ProfileFile, profile: str, section: str | None, expected: Credentials) -> Problem:
    """Why the section that botocore takes for the profile (None: it takes none) does not hold exactly this pair in a
    way that can be changed."""
    if section is None:
        return _not_read(file, profile)
    if file.kind is PlaceKind.CREDENTIALS and section != section.strip():
        what = f"has blanks inside its brackets, so botocore takes them for a part of the name [{section}]"
        return file.problem(file.header(section), what, f"write [{section.strip()}]")
    for name, value in ((KEY_ID, expected.key_id), (SECRET, expected.secret)):
        if problem := _option(file, profile, section, name, value):
            return problem
    return with_token(file, profile, section)


def with_token(file: ProfileFile, profile: str, section: str) -> Problem:
    """A token that is not empty makes whatever key stands beside it a temporary one."""
    lines = {**file.defaults, **file.sections[section]}
    name = next(name for name in TOKENS if file.get(section, name))
    what = f"gives profile {profile} a session token, so its pair is a temporary one"
    return file.problem(lines[name], what, f"remove {name} if the key is a long-term one")


def _not_read(file: ProfileFile, profile: str) -> Problem:
    """Why botocore takes no section for this profile; in brackets it is a section that only others read."""
    section = profile[1:-1] if profile.startswith("[") else ""
    if section != DEFAULT and section not in file.sections:
        return Problem(f"{file.shown} has no profile {profile}", "rotate-my-key status")
    header, taken = file.header(section), file.effective.get(config_profile(section) or "")
    if taken:
        what = f"begins [{section}]; botocore takes [{taken}] for that profile"
        return file.problem(header, what, "merge the two sections into one")
    what = f"begins [{section}], which botocore does not read, though other SDKs may"
    return file.problem(header, what, f"write [{plain_header(section)}]")


def plain_header(section: str) -> str:
    """The header that every SDK reads for this profile in the config file, without blanks or quotes in the name."""
    name = re.sub(r"[^\w.@+/:%-]+", "-", section.split("]")[0].strip().removeprefix("profile").strip()).strip("-")
    return "default" if name.lower() == "default" else f"profile {name}"


def _option(file: ProfileFile, profile: str, section: str, name: str, expected: str) -> Problem | None:
    number = file.sections[section].get(name)
    if number is not None and file.value(number) == expected:
        return None
    loose = [line for line, *found in file.loose_lines(file.header(section)) if found == [name, expected]]
    if loose and number not in loose:
        what = f"is indented, so botocore takes it for a part of the line above, and other SDKs for {name}"
        return file.problem(loose[0], what, "remove the blanks before it, or the line")
    if number is not None:
        return _other_value(file, number, name, expected)
    if name in file.defaults:
        what = f"gives {name} to all profiles, since it stands in [{DEFAULT}]"
        return file.problem(file.defaults[name], what, f"move the pair into the section [{section}]")
    for other, options in file.sections.items() if file.kind is PlaceKind.CONFIG else ():
        if other != section and name in options and config_profile(other) == profile:
            what = f"begins [{section}]; botocore takes that for profile {profile}, and not [{other}] with the key"
            return file.problem(file.header(section), what, "merge the two sections into one")
    what = f"begins [{section}], which has no {name}"
    return file.problem(file.header(section), what, "write both lines of the key there")


def _other_value(file: ProfileFile, number: int, name: str, expected: str) -> Problem:
    first = file.value_on_line(number)
    if file.continues(number) and not first:
        what, hint = f"has the value of {name} on the next line", "put it on the same line as its name"
    elif file.continues(number):
        number = file.first_continuation(number)
        what, hint = f"is indented, so botocore takes it for a part of {name}", "remove the blanks before it"
    elif first[:1] in ("'", '"') and clean_value(first) == expected:
        what, hint = f"has quotes around {name}, which botocore takes for a part of it", "remove the quotes"
    elif first.startswith(expected) and first[len(expected) :].lstrip()[:1] in ("#", ";"):
        what = f"has a comment behind {name}, which botocore takes for a part of it"
        hint = "give it a line of its own"
    else:
        what, hint = f"holds another {name} than expected", "rotate-my-key status"
    return file.problem(number, what, hint)
