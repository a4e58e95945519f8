"""The places of this computer, as the `Places` port has them: sections of the two profile files, and keyring entries
that a line of theirs leads to.

Files are read afresh by every verb. Two paths that lead to one file count as one file, replaced once. The keyring is
opened only if a profile's line leads to it. Writes exclude each other: with --all several keys change side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from threading import Lock
from typing import Any

from ..core.errors import Problem, TryLater, WrongEncoding
from ..core.hints import Hint, quoted
from ..core.model import Credentials, Holding, InPlace, Place, PlaceKind
from ..files import write as files
from ..files.regular import PUBLIC, is_null, refuse_odd, tracking
from ..files.write import Snapshot, Written, make_private_dir, write_private
from ..keyring.store import KeyringStore
from .edit import insert_pair, mentions, replace_pair, sections_of
from .file import KEY_ID, SECRET, ProfileFile, ProfilePaths, Profiles
from .kinds import LENGTHS, OPTION, entry_of

_ATTEMPTS = 5  # a file that other programs write five times within milliseconds is left to a later run
# botocore takes 10 times as long as our own reader: a file of 10,000 profiles would cost it a third of a second. Such a
# file was made by a program, and its lines are all alike.
_LARGEST = 1 << 17  # bytes

Note = Callable[[Collection[InPlace]], None]


class LocalPlaces:
    """The `Places` port over both profile files, which need not exist, and the keyring, if there is one."""

    def __init__(self, paths: ProfilePaths, keyring: KeyringStore | None = None) -> None:
        self._paths = paths
        self._files = ((paths.credentials, PlaceKind.CREDENTIALS), (paths.config, PlaceKind.CONFIG))
        self._keyring = keyring
        self._lock = Lock()
        self._parse = lru_cache(len(self._files))(ProfileFile)  # a loop of many looks reads the same bytes again

    # Looking

    def pairs(self) -> tuple[Holding, ...]:
        """As the port says."""
        found: list[Holding] = []
        for path, kind in self._files:
            with suppress(Problem):
                file = self._read(path, kind)
                found += [Holding(Place(path, p, kind), pair) for p, pair in (file.pairs() if file else ())]
        found = [h for h in found if h.pair and not h.pair.token and h.pair.key_id.startswith("AKIA")]
        for place in self._entries():
            with suppress(Problem):
                found += [Holding(place, pair)] if (pair := self._entry(place)) else []
        return tuple(found)

    def search(self, key_ids: Collection[str], known: Collection[Place] = ()) -> tuple[Holding, ...]:
        """Every place that holds one of these ids, and each of `known`, as the port says. A place where only some SDKs
        make sense of the pair (in quotes, with a comment behind it, under a header that botocore passes over) is among
        them, so that a rotation is refused by `rehearse` and does not pass it over."""
        in_files, in_keyring = _apart(known)
        found: dict[Place, Credentials | None] = {}
        away: set[Place] = set()
        for path, kind in dict.fromkeys([*self._files, *((place.path, place.kind) for place in in_files)]):
            mine = [place for place in in_files if (place.path, place.kind) == (path, kind)]
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
        held = [Holding(place, pair, place in away) for place, pair in found.items()]
        return (*held, *self._search_keyring(key_ids, in_keyring))

    def _search_keyring(self, key_ids: Collection[str], known: Collection[Place]) -> Iterator[Holding]:
        """An entry that cannot be read now stops nothing if it certainly holds none of the ids."""
        for place in dict.fromkeys([*self._entries(), *known]):
            try:
                pair = self._entry(place)
            except TryLater:
                entry = self._keyring.index.get(place.profile) if self._keyring else None
                if place in known or entry is None or not entry.ids or set(entry.ids) & set(key_ids):
                    raise
                continue
            except Problem:  # text that is not ours
                pair = None
            if place in known or (pair and pair.key_id in key_ids):
                yield Holding(place, pair)

    def _entries(self) -> Iterable[Place]:
        """Every keyring entry that a profile leads to, each once."""
        if self._keyring is None or not any(_names_a_process(path) for path, _ in self._files):
            return ()
        profiles = Profiles(self._paths)
        return dict.fromkeys(
            profiles.keyring_place(entry) for settings in profiles.merged.values() if (entry := entry_of(settings))
        )

    def _entry(self, place: Place) -> Credentials | None:
        return self._keyring.pair(place.profile) if self._keyring else None

    def _held(self, file: ProfileFile, key_ids: Collection[str]) -> Iterator[tuple[str, Credentials]]:
        """What the file's profiles hold; some SDKs take an id from here and its secret from the other file."""
        other, kind = next(each for each in self._files if each[1] is not file.kind)
        same = os.path.realpath(other) == os.path.realpath(file.path)
        for name, pair in file.holders(key_ids):
            if same and file.kind is PlaceKind.CONFIG and name.startswith("["):
                continue  # read as the credentials file, every section of it is a profile
            if not pair.secret and (beside := self._read(other, kind)):
                pair = replace(pair, secret=beside.half(name))
            yield name, pair

    def is_torn(self, write: InPlace, old: Credentials, new: Credentials) -> bool:
        """As the port says."""
        with suppress(Problem):
            if found := files.snapshot(write.place.path):
                piece = found.data[write.offset : write.offset + write.length]
                return _mended(piece, old, new) not in (None, piece) and _mended(piece, new, old) != piece
        return False

    # Trying

    def rehearse(self, places: Collection[Place], old: Credentials) -> list[str]:
        """As the port says. Only for who holds the lock of this computer: it sweeps what killed runs left beside the
        files."""
        in_files, in_keyring = _apart(places)
        for place in in_keyring:
            if place in in_files:
                raise Problem(
                    f"profile {place.profile} has its key in {place.path} and in the keyring too",
                    f"remove one of them from [{place.profile}]: the lines of the key, or {OPTION}",
                )
        with self._lock:
            for place in in_keyring:
                if self._keyring and self._entry(place) == old:
                    self._keyring.rehearse()
                else:
                    raise _changed_just_now(place)
            warnings: list[str] = []
            for path, group in _by_file(in_files).items():
                warnings += self._rehearse_file(path, group, old)
        edited = {os.path.realpath(place.path) for place in in_files}
        for path, kind in self._files:  # what names the key in a file of which no place changes
            if os.path.realpath(path) not in edited and (file := self._read(path, kind)):
                warnings += mentions(file, old.key_id)
        return warnings

    def _rehearse_file(self, path: str, group: list[Place], old: Credentials) -> Iterator[str]:
        found, tried = self._try(path, group, old)
        if reason := files.rehearse(found):
            if (len(old.key_id), len(old.secret)) != (LENGTHS[KEY_ID], LENGTHS[SECRET]):
                raise Problem(
                    f"{path} can only be written in place, and a new key is of another length",
                    only_one_name(found.path),
                )
            yield f"{path} can only be written in place, since {reason}: an SDK may meet it half-written"
        with suppress(OSError):  # of a repository that cannot be read: nobody pushes it
            if (repository := tracking(found.path)) and repository.has_remote:
                yield f"{path} is {PUBLIC}"
        yield from tried

    def check(self, places: Collection[Place], pair: Credentials) -> list[str]:
        """The first half of `rehearse`: whether the pair there can be changed byte-exactly; gives where SDKs differ.
        Nothing is written. Raises Problem with the remedy."""
        groups = _by_file(places).items()
        return [text for path, group in groups for text in self._try(path, group, pair)[1]]

    def _try(self, path: str, group: list[Place], old: Credentials) -> tuple[Snapshot, tuple[str, ...]]:
        """An edit in memory, and botocore's word for what stands there now; gives the file, and where SDKs differ."""
        # Of the same lengths as the old pair, and without meaning: nothing of it reaches the disk.
        stand_in = Credentials("A" * len(old.key_id), "a" * len(old.secret))
        found, read = self._open(path, group)
        tried = replace_pair(*_sections(read, old), old, stand_in)
        for file, profiles in read:
            confirm(file, profiles)
        return found, tried.warnings

    # Writing. Only for who holds the lock of this computer.

    def write(self, places: Collection[Place], old: Credentials, new: Credentials, note: Note) -> None:
        """As the port says. `note` gets all in-place writes of this call so far."""
        in_files, in_keyring = _apart(places)
        noted: list[InPlace] = []
        with self._lock:
            for place in in_keyring:
                if self._keyring and self._entry(place) == old:
                    self._keyring.put(place.profile, place.path, new)
                    if self._entry(place) != new:
                        raise _changed_just_now(place)
            for path, group in _by_file(in_files).items():
                for _ in range(_ATTEMPTS):
                    if self._write_file(path, group, old, new, noted, note) is Written.DONE:
                        break
                else:
                    raise TryLater(f"another program keeps writing {path}", "close it, then run rotate-my-key again")

    def _write_file(
        self, path: str, group: list[Place], old: Credentials, new: Credentials, noted: list[InPlace], note: Note
    ) -> Written:
        found, read = self._open(path, group)
        held = {file.kind: dict(self._held(file, [old.key_id])) for file, _ in read}
        group = [place for place in group if held[place.kind].get(place.profile) == old]
        if not group:
            return Written.DONE
        read = [(file, [place.profile for place in group if place.kind is file.kind]) for file, _ in read]
        change = replace_pair(*_sections(read, old), old, new)
        outcome = files.replace(found, change.data)
        if outcome is Written.IMPOSSIBLE:
            if any(len(piece.old) != len(piece.new) for piece in change.changes):
                raise Problem(
                    f"{found.path} can only be written in place, and the new key is of another length",
                    only_one_name(found.path),
                )
            places = {place.profile: place for place in group}
            writes = [InPlace(places[piece.profile], piece.offset, len(piece.new)) for piece in change.changes]
            noted += [write for write in writes if write not in noted]
            note(tuple(noted))
            outcome = files.overwrite(found, [(piece.offset, piece.new) for piece in change.changes])
        if outcome is Written.DONE:
            for file, profiles in self._open(path, group)[1]:
                if any(file.pair(profile) != new for profile in profiles):
                    raise TryLater(f"another program wrote {path} just now", Hint())
                confirm(file, profiles)
        return outcome

    def _open(self, path: str, group: list[Place]) -> tuple[Snapshot, list[tuple[ProfileFile, list[str]]]]:
        """The one file of these places, read as what they say that it is, each time with their profiles."""
        refuse_odd(path)
        found = files.snapshot(path)
        if found is None:
            raise Problem(f"{path} is gone", f"ls -ld {quoted(path)}")
        kinds = {place.kind: place.path for place in group}
        profiles = {kind: [place.profile for place in group if place.kind is kind] for kind in kinds}
        return found, [(self._parse(found.data, path, kind), profiles[kind]) for kind, path in kinds.items()]

    def restore(self, places: Collection[Place], pair: Credentials) -> None:
        """As the port says."""
        with self._lock:
            for place in places:
                if place.kind is not PlaceKind.KEYRING:
                    add_pair(place.path, place.profile, pair, place.kind)
                    for file, profiles in self._open(place.path, [place])[1]:
                        confirm(file, profiles)
                elif self._keyring and self._entry(place) is None:
                    self._keyring.put(place.profile, place.path, pair)

    def mend(self, torn: Collection[InPlace], old: Credentials, new: Credentials) -> None:
        """As the port says."""
        with self._lock:
            for write in torn:
                found = files.snapshot(write.place.path)
                piece = found and _mended(found.data[write.offset : write.offset + write.length], old, new)
                if found and piece and files.overwrite(found, [(write.offset, piece)]) is Written.CHANGED:
                    raise TryLater(f"another program writes {found.path}", "close it, then run rotate-my-key again")

    def _read(self, path: str, kind: PlaceKind) -> ProfileFile | None:
        refuse_odd(path)
        found = files.snapshot(path) if path else None
        return self._parse(found.data, path, kind) if found else None


def add_pair(path: str, profile: str, pair: Credentials, kind: PlaceKind = PlaceKind.CREDENTIALS) -> None:
    """Write the pair where there is none yet, a new profile or one without a key; makes the file (0600) and its folder
    (0700) if need be. Raises Problem if the file cannot be read or written, or holds a key for that profile already."""
    for _ in range(_ATTEMPTS):
        refuse_odd(path)
        if is_null(path):
            raise Problem(f"{path} does not store anything", "unset AWS_SHARED_CREDENTIALS_FILE")
        found = files.snapshot(path)
        after = insert_pair(ProfileFile(found.data if found else b"", path, kind), profile, pair)
        if found is None:
            return make_file(path, after)
        outcome = files.replace(found, after)
        if outcome is Written.IMPOSSIBLE:  # what is new goes behind what is there, of which no byte changes
            if not after.startswith(found.data):
                what = f"{path} cannot be replaced (a mount, a hard link or its folder)"
                raise Problem(what, f"ls -la {quoted(found.path)}")
            outcome = files.overwrite(found, [(len(found.data), after[len(found.data) :])])
        if outcome is Written.DONE:
            return None
    raise TryLater(f"another program keeps writing {path}", "try again in a moment")


def rewrite(path: str) -> None:
    """Put a file into the encoding that botocore reads (`WrongEncoding`), at once: it is the old one or the new one.

    Only for who holds the lock of this computer. Raises Problem if that cannot be.
    """
    for _ in range(_ATTEMPTS):
        found = files.snapshot(path)
        try:
            ProfileFile(found.data if found else b"", path)
            return  # somebody else was here
        except WrongEncoding:
            assert found
            outcome = files.replace(found, ProfileFile.plain(found.data, path))
        if outcome is Written.IMPOSSIBLE:
            raise Problem(f"{path} can only be written in place", only_one_name(found.path))
        if outcome is Written.DONE:
            return
    raise TryLater(f"another program keeps writing {path}", "try again in a moment")


def make_file(path: str, data: bytes) -> None:
    """A new profile file, private, in a folder that is made if need be."""
    if not os.path.isdir(os.path.dirname(path)):
        make_private_dir(os.path.dirname(path))
    write_private(path, data)


def confirm(file: ProfileFile, profiles: Collection[str]) -> None:
    """Raises Problem unless botocore itself reads for these profiles what our reader does: the last word before an edit
    and after it. Tests hold the two together; this is for the case that they ever differ, such as a locale in which
    botocore takes the file for something else than UTF-8. A large file is not asked about."""
    path = file.path
    if len(file.data) > _LARGEST or os.path.expanduser(os.path.expandvars(path)) != path:  # it would open another file
        return
    from botocore.configloader import load_config, raw_config_parse
    from botocore.exceptions import BotoCoreError

    read: dict[str, Any] = {}
    with suppress(BotoCoreError):
        read = raw_config_parse(path) if file.kind is PlaceKind.CREDENTIALS else load_config(path)["profiles"]
    for profile in profiles:
        pair, values = file.pair(profile), read.get(profile, {})
        if pair is None or (values.get(KEY_ID), values.get(SECRET)) != (pair.key_id, pair.secret):
            raise Problem(
                f"botocore reads profile {profile} of {path} otherwise than expected",
                f"aws configure list --profile {profile}",
            )


def _mended(piece: bytes, old: Credentials, new: Credentials) -> bytes | None:
    """What a killed in-place write left, with the new pair in it; None if it is no mix of both pairs, nor one of them.
    It is the bytes from one value's start to the other's end, in either order, with bytes between them that no write
    changes; the values of the two pairs are of the same lengths."""
    before, after = ((pair.key_id.encode(), pair.secret.encode()) for pair in (old, new))
    if [len(value) for value in before] != [len(value) for value in after]:
        return None
    for first, second, name in ((0, 1, SECRET.encode()), (1, 0, KEY_ID.encode())):
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


def _sections(read: list[tuple[ProfileFile, list[str]]], old: Credentials) -> tuple[ProfileFile, dict[str, str]]:
    """The file, and the sections to be changed. It may be both credentials file and config file: its sections are the
    same."""
    sections: dict[str, str] = {}
    for file, profiles in read:
        sections |= sections_of(file, profiles, old)
    return file, sections


def _apart(places: Collection[Place]) -> tuple[list[Place], list[Place]]:
    """The places in files, and those in the keyring."""
    keyring = [place for place in places if place.kind is PlaceKind.KEYRING]
    return [place for place in places if place.kind is not PlaceKind.KEYRING], keyring


def _by_file(places: Collection[Place]) -> dict[str, list[Place]]:
    """The places in files, by the real path of the file."""
    groups: dict[str, list[Place]] = {}
    for place in places:
        groups.setdefault(os.path.realpath(place.path), []).append(place)
    return groups


def _changed_just_now(place: Place) -> TryLater:
    return TryLater(f"the keyring entry of {place.profile} changed just now", Hint())


def only_one_name(path: str) -> str:
    """The hint for a file that cannot be replaced."""
    return f"ls -la {quoted(path)}; a file with one name, in a folder of yours, can be replaced"


def _names_a_process(path: str) -> bool:
    """Whether a file may have such a line at all: reading it thoroughly costs more than this look."""
    try:
        found = files.snapshot(path) if path else None
    except Problem:
        return False
    return found is not None and OPTION.encode() in found.data.lower()
