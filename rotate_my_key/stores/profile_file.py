"""Which profiles of a file hold which pair, as botocore reads them.

Pure: bytes in, nothing written, no file touched. A profile is what botocore makes of a section: in the credentials file
every section, blanks and all; in the config file `[default]` and what shlex makes two words of, the first of which
begins with "profile".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator

from ..model import Credentials, PlaceKind
from .ini import DEFAULT, Ini

KEY_ID = "aws_access_key_id"
SECRET = "aws_secret_access_key"  # noqa: S105  the name of a setting
TOKENS = ("aws_security_token", "aws_session_token")  # botocore.credentials: either makes it a temporary pair

_SHLEX_BLANKS = re.compile(r"[ \t\r\n]+")


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
        tokens = (self.ini.get(section, name) for name in TOKENS)
        return Credentials(key_id, secret, next((token for token in tokens if token is not None), None))

    def pairs(self) -> Iterator[tuple[str, Credentials]]:
        """Every profile that has a static pair in this file."""
        for profile, section in self.effective.items():
            pair = self.pair_in(section)
            if pair:
                yield profile, pair

    def holders(self, key_ids: Collection[str]) -> Iterator[tuple[str, Credentials]]:
        """Every profile whose section holds one of these ids, also in a way that only other SDKs make sense of.

        An id in quotes or with a comment behind it is given clean, a missing secret as "": no edit will take that for
        the old pair, so a rotation is refused early.
        """
        sections = {self.ini.section_at(number) for number in self.ini.lines_with(key_ids)}
        if not sections:
            return
        for profile, section in self.effective.items():
            if section not in sections and (DEFAULT not in sections or KEY_ID in self.ini.sections[section]):
                continue
            clean = first_word(self.ini.get(section, KEY_ID) or "")
            if clean in key_ids:
                pair = self.pair_in(section)
                yield profile, Credentials(clean, pair.secret if pair else "", pair.token if pair else None)

    def namesakes(self, profile: str, pair: Credentials) -> Iterator[str]:
        """Sections that some SDK takes for this profile, spelled one way or another, and that hold this pair."""
        for section in {self.ini.section_at(number) for number in self.ini.lines_with([pair.key_id])}:
            own = self.ini.sections.get(section or "", {})
            if section and KEY_ID in own and SECRET in own and self.pair_in(section) == pair:
                spelled = config_profile(section)
                if (section.strip() if spelled is None else spelled) == profile:
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


def first_word(value: str) -> str:
    """A value without quotes and without a comment behind it, for SDKs that take neither for a part of it."""
    word = (value.split() or [""])[0]
    return word.strip("'\"")
