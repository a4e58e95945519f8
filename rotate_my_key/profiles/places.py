"""What a killed in-place write leaves: the bytes from one value's start to the other's end, partly old and partly new.

Pure. The pair stands in either order, id first or secret first, with bytes between them that no write changes; the
values of the old and the new pair are of the same lengths.

botocore itself, asked what it reads from a file on disk: the last word before an edit and after it.

`ini.py` reads as botocore does, and tests hold the two together; this is for the case that they ever differ, such as a
locale in which botocore takes the file for something else than UTF-8.

The places in the credentials file and the config file: the `Places` port over both.

Files are read afresh by every verb. Two paths that lead to one file count as one file, replaced once. Places of other
kinds are passed over.

All places of this computer as one: sections of the two profile files, and keyring entries that a line of theirs
leads to. And all staging as one: pairs of a rotation that touches the keyring rest there, the others in files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..core.errors import Problem, TryLater
from ..core.model import Credentials, Holding, InPlace, Place, PlaceKind
from ..files import regular as files
from ..files.regular import Outcome, Snapshot, refuse_odd, snapshot
from ..keyring.entries import OPTION, entry_of
from ..keyring.store import KeyringStaging, KeyringStore
from ..state.notes import FileStaging
from .edit import Change, Edit, add_pair, edit, mentions
from .file import ProfileFile, ProfilePaths, read_profiles


def is_mix(piece: bytes, old: Credentials, new: Credentials) -> bool:
    """Whether each byte of both values is the old one or the new one, and neither pair stands there whole."""
    return mended(piece, old, new) not in (None, piece) and mended(piece, new, old) != piece


def mended(piece: bytes, old: Credentials, new: Credentials) -> bytes | None:
    """The piece with the new pair in it; None if it is no mix of both (or one of them)."""
    before, after = ((pair.key_id.encode(), pair.secret.encode()) for pair in (old, new))
    if [len(value) for value in before] != [len(value) for value in after]:
        return None
    for first, second, name in ((0, 1, b"aws_secret_access_key"), (1, 0, b"aws_access_key_id")):
        head, tail = len(before[first]), len(piece) - len(before[second])
        if (
            head <= tail
            and _mixed(piece[:head], before[first], after[first])
            and _mixed(piece[tail:], before[second], after[second])
            and name in piece[head:tail].lower()
        ):
            return after[first] + piece[head:tail] + after[second]
    return None


def _mixed(found: bytes, old: bytes, new: bytes) -> bool:
    return len(found) == len(old) and all(byte in pair for byte, *pair in zip(found, old, new, strict=True))


# botocore takes 10 times as long as our own reader: a file of 10,000 profiles would cost it a third of a second. Such a
# file was made by a program, and its lines are all alike.
_LARGEST = 1 << 17  # bytes


def check(path: str, size: int, kind: PlaceKind, profiles: Collection[str], expected: Credentials) -> None:
    """Raises Problem unless botocore reads the expected pair for each profile; does nothing for a large file."""
    if size > _LARGEST or os.path.expanduser(os.path.expandvars(path)) != path:  # botocore would open another file
        return
    from botocore.configloader import load_config, raw_config_parse
    from botocore.exceptions import BotoCoreError

    try:
        read: dict[str, Any] = (
            raw_config_parse(path) if kind is PlaceKind.CREDENTIALS else load_config(path)["profiles"]
        )
    except BotoCoreError:
        read = {}
    for profile in profiles:
        values = read.get(profile, {})
        if (values.get("aws_access_key_id"), values.get("aws_secret_access_key")) != (expected.key_id, expected.secret):
            raise Problem(
                f"botocore reads profile {profile} of {path} otherwise than expected",
                f"aws configure list --profile {profile}",
            )


_ATTEMPTS = 5  # a file that other programs write five times within milliseconds is left to a later run
_AWS_LENGTHS = (20, 40)  # of an id and a secret, as CreateAccessKey gives them


class ProfileFiles:
    """Both files by their absolute paths, already expanded; neither needs to exist."""

    def __init__(self, credentials: str, config: str) -> None:
        self._files = ((credentials, PlaceKind.CREDENTIALS), (config, PlaceKind.CONFIG))
        self._parsed: dict[tuple[str, PlaceKind], ProfileFile] = {}

    def pairs(self) -> tuple[Holding, ...]:
        """As the port says."""
        found: list[Holding] = []
        for path, kind in self._files:
            with suppress(Problem):
                file = self._read(path, kind)
                found += [Holding(Place(path, p, kind), pair) for p, pair in (file.pairs() if file else ())]
        return tuple(h for h in found if h.pair and not h.pair.token and h.pair.key_id.startswith("AKIA"))

    def search(self, key_ids: Collection[str], known: Collection[Place] = ()) -> tuple[Holding, ...]:
        """Every place that holds one of these ids, and each of `known`, as the port says.

        A place where only some SDKs make sense of the pair (in quotes, with a comment behind it, under a header that
        botocore passes over) is among them, so that a rotation is refused by `rehearse` and does not pass it over.
        """
        known = [place for place in known if place.kind is not PlaceKind.KEYRING]
        found: dict[Place, Credentials | None] = {}
        away: set[Place] = set()
        for path, kind in dict.fromkeys([*self._files, *((place.path, place.kind) for place in known)]):
            mine = [place for place in known if (place.path, place.kind) == (path, kind)]
            try:
                file = self._read(path, kind)
            except Problem:
                if not mine:
                    raise
                file = None
            if file:
                found |= {Place(path, name, kind): pair for name, pair in self._held(file, key_ids)}
            away |= set(mine) if file is None else set()
            for place in mine:
                found.setdefault(place, file.pair(place.profile) if file else None)
        return tuple(Holding(place, pair, place in away) for place, pair in found.items())

    def _held(self, file: ProfileFile, key_ids: Collection[str]) -> Iterator[tuple[str, Credentials]]:
        """What the file's profiles hold; some SDKs take an id from here and its secret from the other file."""
        other, kind = next(each for each in self._files if each[1] is not file.kind)
        same = files.real_path(other) == files.real_path(file.path)
        for name, pair in file.holders(key_ids):
            if same and file.kind is PlaceKind.CONFIG and name.startswith("["):
                continue  # read as the credentials file, every section of it is a profile
            if not pair.secret and (beside := self._read(other, kind)):
                pair = replace(pair, secret=beside.half(name))
            yield name, pair

    def rehearse(self, places: Collection[Place], old: Credentials) -> list[str]:
        """As the port says. Only for who holds the lock: it sweeps what killed runs left beside the files."""
        warnings: list[str] = []
        for path, group in self._by_file(places).items():
            found = _present(path)
            rehearsed = self._try(found, group, old)
            reason = files.rehearse(found)
            if reason and (len(old.key_id), len(old.secret)) != _AWS_LENGTHS:
                raise Problem(f"{path} can only be written in place, and a new key is of another length", _hint(found))
            if reason:
                warnings.append(f"{path} can only be written in place, since {reason}: an SDK may meet it half-written")
            warnings += rehearsed
        return [*warnings, *self._mentions(places, old)]

    def _mentions(self, places: Collection[Place], old: Credentials) -> Iterator[str]:
        """What names the key in a file of which no place changes."""
        edited = set(self._by_file(places))
        for path, kind in self._files:
            if files.real_path(path) not in edited and (file := self._read(path, kind)):
                yield from mentions(file, old.key_id)

    def check(self, places: Collection[Place], pair: Credentials) -> list[str]:
        """The first half of `rehearse`: whether the pair there can be changed byte-exactly; gives where SDKs differ.

        Nothing is written. Raises Problem with the remedy.
        """
        groups = self._by_file(places).items()
        return [text for path, group in groups for text in self._try(_present(path), group, pair)]

    def _try(self, found: Snapshot, group: list[Place], old: Credentials) -> tuple[str, ...]:
        """An edit in memory, and botocore's word for what stands there now."""
        # Of the same lengths as the old pair, and without meaning: nothing of it reaches the disk.
        stand_in = Credentials("A" * len(old.key_id), "a" * len(old.secret))
        tried = self._edit(found, group, old, stand_in)
        for kind, profiles in _by_kind(group).items():
            check(group[0].path, len(found.data), kind, profiles, old)
        return tried.warnings

    def write(
        self,
        places: Collection[Place],
        old: Credentials,
        new: Credentials,
        note: Callable[[Collection[InPlace]], None],
    ) -> None:
        """As the port says. `note` gets all in-place writes of this call so far. Only for who holds the lock."""
        noted: list[InPlace] = []

        def add(writes: Iterable[InPlace]) -> None:
            noted.extend(write for write in writes if write not in noted)
            note(tuple(noted))

        for path, group in self._by_file(places).items():
            for _ in range(_ATTEMPTS):
                if self._write_file(path, group, old, new, add) is Outcome.DONE:
                    break
            else:
                raise TryLater(f"another program keeps writing {path}", "close it, then run rotate-my-key again")

    def restore(self, places: Collection[Place], pair: Credentials) -> None:
        """As the port says. Only for who holds the lock."""
        for place in places:
            add_pair(place.path, place.profile, pair, place.kind)
            check(place.path, 0, place.kind, [place.profile], pair)

    def mend(self, torn: Collection[InPlace], old: Credentials, new: Credentials) -> None:
        """As the port says."""
        for write in torn:
            found = files.snapshot(write.place.path)
            piece = found and mended(found.data[write.offset : write.offset + write.length], old, new)
            if found and piece and files.overwrite(found, [(write.offset, piece)]) is Outcome.CHANGED:
                raise TryLater(f"another program writes {found.path}", "close it, then run rotate-my-key again")

    def is_torn(self, write: InPlace, old: Credentials, new: Credentials) -> bool:
        """As the port says."""
        try:
            found = files.snapshot(write.place.path)
        except Problem:
            return False
        return found is not None and is_mix(found.data[write.offset : write.offset + write.length], old, new)

    def _read(self, path: str, kind: PlaceKind) -> ProfileFile | None:
        refuse_odd(path)
        found = files.snapshot(path) if path else None
        return self._parse(found.data, path, kind) if found else None

    def _parse(self, data: bytes, path: str, kind: PlaceKind) -> ProfileFile:
        """A loop of many looks reads the same bytes again and again: they are parsed once."""
        seen = self._parsed.get((path, kind))
        if seen is None or seen.data != data:
            seen = self._parsed[path, kind] = ProfileFile(data, path, kind)
        return seen

    def _by_file(self, places: Collection[Place]) -> dict[str, list[Place]]:
        """The places in files, by the real path of the file."""
        groups: dict[str, list[Place]] = {}
        for place in places:
            if place.kind is not PlaceKind.KEYRING:
                groups.setdefault(files.real_path(place.path), []).append(place)
        return groups

    def _edit(self, found: Snapshot, group: list[Place], old: Credentials, new: Credentials) -> Edit:
        data = found.data
        changes: list[Change] = []
        warnings: list[str] = []
        for kind, profiles in _by_kind(group).items():
            file = self._parse(data, group[0].path, kind)
            # One file may be both credentials file and config file: what the first edit changed is done.
            left = [p for p in profiles if not changes or file.pair(p) != new]
            part = edit(file, left, old, new)
            data = part.data
            changes += part.changes
            warnings += part.warnings
        return Edit(data, tuple(changes), tuple(dict.fromkeys(warnings)))

    def _write_file(
        self,
        path: str,
        group: list[Place],
        old: Credentials,
        new: Credentials,
        note: Callable[[Iterable[InPlace]], None],
    ) -> Outcome:
        found = _present(path)
        kinds = {kind: self._parse(found.data, group[0].path, kind) for kind in _by_kind(group)}
        held = {kind: dict(self._held(file, [old.key_id])) for kind, file in kinds.items()}
        left = [place for place in group if held[place.kind].get(place.profile) == old]
        if not left:
            return Outcome.DONE
        change = self._edit(found, left, old, new)
        outcome = files.replace(found, change.data)
        if outcome is Outcome.IMPOSSIBLE:
            outcome = self._write_in_place(found, left, change, note)
        if outcome is Outcome.DONE:
            self._read_back(left, change, new)
        return outcome

    def _write_in_place(
        self, found: Snapshot, group: list[Place], change: Edit, note: Callable[[Iterable[InPlace]], None]
    ) -> Outcome:
        if any(len(piece.old) != len(piece.new) for piece in change.changes):
            raise Problem(
                f"{found.path} can only be written in place, and the new key is of another length", _hint(found)
            )
        places = {place.profile: place for place in group}
        note([InPlace(places[piece.profile], piece.offset, len(piece.new)) for piece in change.changes])
        return files.overwrite(found, [(piece.offset, piece.new) for piece in change.changes])

    def _read_back(self, group: list[Place], change: Edit, new: Credentials) -> None:
        found = _present(group[0].path)
        for kind, profiles in _by_kind(group).items():
            if found.data != change.data:
                file = self._parse(found.data, group[0].path, kind)
                if any(file.pair(profile) != new for profile in profiles):
                    raise TryLater(f"another program wrote {found.path} just now", "rotate-my-key")
            check(group[0].path, len(found.data), kind, profiles, new)


def _present(path: str) -> Snapshot:
    refuse_odd(path)
    found = files.snapshot(path)
    if found is None:
        raise Problem(f"{path} is gone", f"ls -ld {path}")
    return found


def _by_kind(places: Iterable[Place]) -> dict[PlaceKind, list[str]]:
    kinds: dict[PlaceKind, list[str]] = {}
    for place in places:
        kinds.setdefault(place.kind, []).append(place.profile)
    return kinds


def _hint(found: Snapshot) -> str:
    return f"ls -la {found.path}; a file with one name, in a folder of yours, can be replaced"


class KeyringPlaces:
    """The keyring's part of the `Places` port. The keyring is opened only if a profile's line leads to it."""

    def __init__(self, files: ProfilePaths, store: KeyringStore) -> None:
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
