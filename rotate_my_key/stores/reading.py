"""The two profile files, each read once and merged as botocore merges them.

What botocore tolerates is tolerated here. What it cannot parse is a Problem, and so is a file that is there and cannot
be opened, or is none (a pipe, a folder, a link that leads nowhere): botocore takes that for an empty one, but it may
hold the key. Nothing is expanded, no environment is read.

`configloader.build_profile_map` decides which section of the config file is which profile. Importing it costs some
14 ms of CPU, so that is done when a config file is read, not before.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import Problem
from ..faults import shortage
from ..files.regular import refuse_odd
from .ini import Ini
from .profile_file import KEY_ID, SECRET, TOKENS

__all__ = ["KEY_ID", "SECRET", "TOKENS", "ProfileFiles", "Profiles", "ReadFile", "Section", "read_profiles"]

Section = Mapping[str, str]  # a value that begins with a line end is a block (`s3 =`), which botocore reads as a dict


@dataclass(frozen=True, slots=True)
class ProfileFiles:
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

    files: ProfileFiles
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


def read_profiles(files: ProfileFiles) -> Profiles:
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


def _read(files: ProfileFiles, path: str) -> ReadFile:
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
