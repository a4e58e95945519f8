"""All places of this computer as one: sections of the two profile files, and keyring entries that a line of theirs
leads to. And all staging as one: pairs of a rotation that touches the keyring rest there, the others in files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress

from ..errors import Problem, TryLater
from ..files.replace import snapshot
from ..model import Credentials, Holding, InPlace, Place, PlaceKind
from .keyring_store import KeyringStaging, KeyringStore
from .process_line import OPTION, entry_of
from .profile_files import ProfileFiles
from .reading import ProfileFiles as FilePaths
from .reading import read_profiles
from .staging import FileStaging


class KeyringPlaces:
    """The keyring's part of the `Places` port. The keyring is opened only if a profile's line leads to it."""

    def __init__(self, files: FilePaths, store: KeyringStore) -> None:
        self._files = files
        self._store = store

    def places(self) -> tuple[Place, ...]:
        """Every entry that a profile leads to, each once."""
        if not any(_names_a_process(path) for path in (self._files.config, self._files.credentials)):
            return ()
        profiles = read_profiles(self._files)
        found = (entry_of(settings) for settings in profiles.merged.values())
        return tuple(Place(self._files.config, name, PlaceKind.KEYRING) for name in dict.fromkeys(filter(None, found)))

    def search(self, key_ids: Collection[str], known: Collection[Place] = ()) -> tuple[Holding, ...]:
        """As the port says. An entry that cannot be read now stops nothing if it certainly holds none of the ids."""
        mine = [place for place in known if place.kind is PlaceKind.KEYRING]
        found = []
        for place in dict.fromkeys([*self.places(), *mine]):
            try:
                pair = self._store.pair(place.profile)
            except TryLater:
                entry = self._store.index.get(place.profile)
                if place in mine or entry is None or not entry.ids or set(entry.ids) & set(key_ids):
                    raise
                continue
            except Problem:  # text that is not ours
                pair = None
            if place in mine or (pair and pair.key_id in key_ids):
                found.append(Holding(place, pair))
        return tuple(found)

    def pairs(self) -> tuple[Holding, ...]:
        """As the port says."""
        found: list[Holding] = []
        for place in self.places():
            with suppress(Problem):
                found.append(Holding(place, self._store.pair(place.profile)))
        return tuple(held for held in found if held.pair)

    def rehearse(self, places: Collection[Place], old: Credentials) -> list[str]:
        """Store an entry without a secret and remove it."""
        for place in places:
            if self._store.pair(place.profile) != old:
                raise TryLater(f"the keyring entry of {place.profile} changed just now", "rotate-my-key")
            self._store.rehearse()
        return []

    def write(self, places: Collection[Place], old: Credentials, new: Credentials) -> None:
        """Replace the entries that hold `old`, and read each back as `credentials` does."""
        for place in places:
            if self._store.pair(place.profile) == old:
                self._store.put(place.profile, place.path, new)
                if self._store.pair(place.profile) != new:
                    raise TryLater(f"the keyring entry of {place.profile} changed just now", "rotate-my-key")

    def restore(self, places: Collection[Place], pair: Credentials) -> None:
        """Make the entries again that are not there."""
        for place in places:
            if self._store.pair(place.profile) is None:
                self._store.put(place.profile, place.path, pair)


class AllPlaces:
    """The `Places` port over files and keyring."""

    def __init__(self, files: ProfileFiles, keyring: KeyringPlaces) -> None:
        self._files = files
        self._keyring = keyring
        self.mend = files.mend  # an entry is never torn
        self.is_torn = files.is_torn

    def search(self, key_ids: Collection[str], known: Collection[Place] = ()) -> tuple[Holding, ...]:
        """See the port."""
        return (*self._files.search(key_ids, known), *self._keyring.search(key_ids, known))

    def pairs(self) -> tuple[Holding, ...]:
        """See the port."""
        return (*self._files.pairs(), *self._keyring.pairs())

    def rehearse(self, places: Collection[Place], old: Credentials) -> list[str]:
        """See the port."""
        files, keyring = _apart(places)
        for place in keyring:
            if place in files:
                raise Problem(
                    f"profile {place.profile} has its key in {place.path} and in the keyring too",
                    f"remove one of them from [{place.profile}]: the lines of the key, or {OPTION}",
                )
        return [*self._keyring.rehearse(keyring, old), *self._files.rehearse(files, old)]

    def write(
        self,
        places: Collection[Place],
        old: Credentials,
        new: Credentials,
        note: Callable[[Collection[InPlace]], None],
    ) -> None:
        """See the port."""
        files, keyring = _apart(places)
        self._keyring.write(keyring, old, new)
        self._files.write(files, old, new, note)

    def restore(self, places: Collection[Place], pair: Credentials) -> None:
        """See the port."""
        files, keyring = _apart(places)
        self._keyring.restore(keyring, pair)
        self._files.restore(files, pair)


class AllStaging:
    """The `Staging` port over files and keyring: where a rotation's pairs rest is settled when room is reserved."""

    def __init__(self, files: FileStaging, keyring: KeyringStaging) -> None:
        self._files = files
        self._keyring = keyring

    def reserve(self, name: str, places: Collection[Place] = ()) -> None:
        """In the keyring if one of the places is there: such a pair never touches the disk."""
        if any(place.kind is PlaceKind.KEYRING for place in places):
            self._keyring.reserve(name)
        else:
            self._files.reserve(name)

    def put(self, name: str, role: str, pair: Credentials, record: bytes = b"") -> None:
        """See the port."""
        self._of(name).put(name, role, pair, record)

    def get(self, name: str) -> dict[str, Credentials]:
        """See the port."""
        return self._of(name).get(name)

    def get_record(self, name: str) -> bytes | None:
        """See the port."""
        return self._of(name).get_record(name)

    def names(self) -> tuple[str, ...]:
        """See the port."""
        return tuple(dict.fromkeys([*self._files.names(), *self._keyring.names()]))

    def drop(self, name: str) -> None:
        """See the port."""
        if self._keyring.holds(name):
            self._keyring.drop(name)
        self._files.drop(name)

    def where(self, name: str) -> str:
        """See the port."""
        return self._of(name).where(name)

    def _of(self, name: str) -> FileStaging | KeyringStaging:
        return self._keyring if self._keyring.holds(name) else self._files


def _apart(places: Collection[Place]) -> tuple[list[Place], list[Place]]:
    """The places in files, and those in the keyring."""
    keyring = [place for place in places if place.kind is PlaceKind.KEYRING]
    return [place for place in places if place.kind is not PlaceKind.KEYRING], keyring


def _names_a_process(path: str) -> bool:
    """Whether a file may have such a line at all: reading it thoroughly costs more than this look."""
    try:
        found = snapshot(path) if path else None
    except Problem:
        return False
    return found is not None and OPTION.encode() in found.data.lower()
