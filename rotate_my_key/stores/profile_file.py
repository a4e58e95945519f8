"""Which profiles of a file hold which pair, as botocore reads them.

Pure: bytes in, nothing written, no file touched. A profile is what botocore makes of a section: in the credentials file
every section, blanks and all; in the config file `[default]` and what shlex makes two words of, the first of which
begins with "profile".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import replace

from ..model import Credentials, PlaceKind
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
