"""What there is of one profile: a pair in a file, a pair in the keyring, a line that leads from the one to the other.

Read afresh each time; nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..files import replace as disk
from ..model import Credentials, PlaceKind
from .keyring_store import KeyringStore
from .process_line import OPTION, entry_of
from .profile_file import ProfileFile
from .reading import ProfileFiles as FilePaths


@dataclass(frozen=True, slots=True)
class Facts:
    """Both files; `holder` is the one that holds a pair, `leader` the one whose line leads to the keyring entry."""

    credentials: ProfileFile
    config: ProfileFile
    holder: ProfileFile | None
    held: Credentials | None = field(repr=False)
    leader: ProfileFile | None
    entry: Credentials | None = field(repr=False)


def look(files: FilePaths, store: KeyringStore, profile: str) -> Facts:
    """The facts now. Raises TryLater if the keyring is locked, Problem for a file that cannot be read."""
    credentials = _read(files.credentials, PlaceKind.CREDENTIALS)
    config = _read(files.config, PlaceKind.CONFIG)
    both = (credentials, config)
    holder = next((file for file in both if file.pair(profile)), None)
    leader = next((file for file in both if _leads(file, profile)), None)
    held = holder.pair(profile) if holder else None
    return Facts(credentials, config, holder, held, leader, store.pair(profile))


def entry_in(settings: Mapping[str, str]) -> str | None:
    """The keyring entry that these settings lead to, on this system."""
    return entry_of(settings)


def _read(path: str, kind: PlaceKind) -> ProfileFile:
    """The file; an empty one if there is none."""
    found = disk.snapshot(path) if path else None
    return ProfileFile(found.data if found else b"", path, kind)


def _leads(file: ProfileFile, profile: str) -> bool:
    section = file.effective.get(profile)
    value = file.ini.get(section, OPTION) if section is not None else None
    return value is not None and entry_in({OPTION: value}) == profile
