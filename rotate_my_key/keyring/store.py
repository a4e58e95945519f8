"""The pairs of profiles in the keyring, those of a rotation that rest there, and `keyring.json`: what is known of them.

An entry is replaced so that a kill at any instant leaves a working profile, also on keyrings that remove the old text
first: the old pair stands in a second entry meanwhile, where `credentials` looks if the first is not there.

`keyring.json` is for what cannot be asked of a keyring, and no secret is in it. It says which entries may be there
(install.sh does not uninstall while the file exists), which ids they may hold (for `status` while the keyring is
locked), whether an entry is just being replaced, where the lines stood that `restore` puts back, and which move was
begun. The file is there as long as a profile is in it. All entries are in one keyring: that of the setting
`keyring_backend` when the first was stored; the file names it if it is another than the system's own, so that changing
the setting loses nobody's key."""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum
from functools import cached_property
from secrets import token_hex
from typing import Any, NamedTuple

from ..core.errors import Problem, TryLater, Unreadable
from ..core.hints import Hint
from ..core.model import Credentials, Place, PlaceKind
from ..files.write import (
    make_private_dir,
    overwrite_private,
    read_private,
    remove_private,
    reserve_private,
    write_private,
)
from ..state.records import Form, KeyFiles
from . import entries as names
from .entries import SYSTEM, KeyringEntries, noted_backend

_NOT_KEPT = "the keyring did not keep what was stored in it"


class Move(Enum):
    """Which way a pair goes."""

    STORE = "store"
    RESTORE = "restore"


class Line(NamedTuple):
    """One line that was taken out: its number from the section's header, its name, and the text around the value."""

    number: int
    name: str
    head: str
    tail: str


class Lines(NamedTuple):
    """The lines of a pair that were taken out of a file; `kind` is `PlaceKind`'s word for it."""

    path: str
    kind: str
    lines: tuple[Line, ...]


class Process(NamedTuple):
    """How the credential_process line was added: line ends that were wanting before it, a header if there was none, the
    line itself; `made_file` if there was no file."""

    lead: str
    header: str
    line: str
    made_file: bool = False


class Entry(NamedTuple):
    """What is known of one profile's entry. `config` is the file with the line that leads to it; `ids` are the keys it
    may hold, the newest last; `spare` is set while it is replaced. `moving` is the consent to a move that is not
    finished, with `line` the line to be written. `lines` and `process` are where the pair's lines stood and what was
    added instead."""

    config: str
    ids: tuple[str, ...] = ()
    spare: bool = False
    moving: Move | None = None
    line: str = ""
    lines: Lines | None = None
    process: Process | None = None


class _First(NamedTuple):
    """`keyring.json` as its first version knows it, while all is in the system's own keyring."""

    profiles: dict[str, Entry]


class _Second(NamedTuple):
    """`keyring.json` where another keyring is named."""

    profiles: dict[str, Entry]
    backend: str = SYSTEM


class Index:
    """`keyring.json`, changed only by who holds the lock and read afresh each time. `chosen` is the setting."""

    def __init__(self, path: str, chosen: Callable[[], str] = lambda: SYSTEM) -> None:
        self.path, self.chosen = path, chosen
        self._form = Form(
            _Second,
            version=2,
            newer=("a newer rotate-my-key has put a key into the keyring", "use that version"),
            wrong=(f"{path} cannot be read", f"move it away (mv {path} {path}.old): the keyring is asked then"),
        )

    def load(self) -> dict[str, Entry]:
        """The entries by profile. Raises Problem for a file that makes no sense or that a newer version wrote."""
        data = read_private(self.path)
        return {} if data is None else self._form.decode(data).profiles

    def get(self, profile: str) -> Entry | None:
        """What is known of one profile."""
        return self.load().get(profile)

    def put(self, profile: str, entry: Entry) -> None:
        """Note what is known now, fsynced."""
        entries = self.load()
        if entries.get(profile) != entry:
            self._save({**entries, profile: entry})

    def change(self, profile: str, config: str, **what: Any) -> None:
        """Note some of it."""
        self.put(profile, (self.get(profile) or Entry(config))._replace(**what))

    @property
    def backend(self) -> str:
        """The keyring that holds the entries, or will hold the first."""
        return noted_backend(self.path) or self.chosen()

    def moving(self) -> bool:
        """Whether a move was begun and not finished."""
        return any(entry.moving for entry in self.load().values())

    def remove(self, profile: str) -> None:
        """Forget a profile; the file goes with the last one, or with the last pair that rests in a named keyring."""
        entries = self.load()
        if profile in entries or not entries:
            self._save({name: entry for name, entry in entries.items() if name != profile})

    def _save(self, entries: Mapping[str, Entry]) -> None:
        backend = self.backend
        if not entries and (backend == SYSTEM or not self._rotations()):
            return remove_private(self.path)
        make_private_dir(os.path.dirname(self.path))
        known = dict(entries)
        data = Form(_First).encode(_First(known)) if backend == SYSTEM else self._form.encode(_Second(known, backend))
        return write_private(self.path, data)

    def _rotations(self) -> bool:
        """Whether pairs of a rotation still rest in the keyring."""
        folder = os.path.join(os.path.dirname(self.path), "rotations")
        return os.path.isdir(folder) and any(name.endswith(".keyring") for name in os.listdir(folder))


class KeyringStore:
    """Pairs by the name of their entry. Writing is for who holds the lock; threads of one run take turns."""

    def __init__(self, open_entries: Callable[[], KeyringEntries], index: Index) -> None:
        self._open = open_entries
        self.index = index
        self._lock = threading.Lock()

    @cached_property
    def entries(self) -> KeyringEntries:
        """The keyring itself."""
        return self._open()

    def pair(self, profile: str) -> Credentials | None:
        """What `credentials` would give; None if there is no entry. Raises TryLater; Problem for text not ours."""
        found = names.pair_in(self.entries, profile)
        return Credentials(*found) if found else None

    def put(self, profile: str, config: str, pair: Credentials) -> None:
        """Make or replace the entry, and read it back. `config` is the file whose line leads to it."""
        text, main, spare = names.encode(pair.key_id, pair.secret), names.of_profile(profile), names.spare_of(profile)
        with self._lock:
            self._mend(profile)
            before = self.entries.get(main)
            if before == text:
                return
            known = self.index.get(profile)
            ids = [*(known.ids if known else ()), pair.key_id]
            self.index.change(profile, config, ids=tuple(dict.fromkeys(ids)), spare=before is not None)
            if before is not None:
                self.entries.set(spare, before)
            self.entries.set(main, text)
            if self.entries.get(main) != text:
                raise TryLater(_NOT_KEPT, Hint())
            if before is not None:
                self.entries.delete(spare)
            self.index.change(profile, config, ids=(pair.key_id,), spare=False)

    def remove(self, profile: str) -> None:
        """Remove the entry, durably gone from the keyring; the index is the caller's business."""
        with self._lock:
            self._mend(profile)
            self.entries.delete(names.of_profile(profile))

    def rehearse(self) -> None:
        """See that the keyring takes an entry and lets go of it. Raises TryLater if not."""
        probe, text = names.of_profile(names.REHEARSAL), names.encode("REHEARSAL", "0" * 40)
        self.entries.set(probe, text)
        kept = self.entries.get(probe) == text
        self.entries.delete(probe)
        if not kept:
            raise TryLater(_NOT_KEPT, Hint("status"))

    def promises(self, prove: Callable[[str], tuple[str, str]]) -> None:
        """See that the keyring keeps what it must, by entries without a secret; `prove` gives the pair that another
        program gets for a profile, as an SDK does. Raises Problem for a promise it breaks, TryLater if it is locked."""
        # All entries are in one keyring: what a rotation stores must be found where the profile's pair is
        stored, chosen = self.index.load(), self.index.chosen()
        if stored and self.index.backend != chosen:
            raise Problem(
                f"the keys of {', '.join(stored)} are in the keyring {self.index.backend}, and keyring_backend says "
                f"{chosen}: all are kept in one",
                Hint("keyring", "restore", "-p", next(iter(stored))),
            )
        self.entries.check()
        main, spare = names.of_profile(names.REHEARSAL), names.spare_of(names.REHEARSAL)
        texts = {
            probe: names.encode("REHEARSAL", token_hex(20)) for probe in (main, names.of_profile("(other)"), spare)
        }
        try:
            with written_files() as files:
                for probe, text in ((main, names.encode("BEFORE", token_hex(20))), *texts.items()):
                    self.entries.set(probe, text)
            if path := shows(files, texts.values()):
                raise _broken(f"encryption: {path} shows what it stores")
            if any(self.entries.get(probe) != text for probe, text in texts.items()):
                raise _broken("to give back what was stored, each entry byte for byte")
            if prove(names.REHEARSAL) != names.decode(texts[main]):
                raise _broken("to give another program of yours what was stored")
        finally:
            for probe in texts:
                with suppress(Problem):
                    self.entries.delete(probe)
        if any(self.entries.get(probe) for probe in texts):
            raise _broken("to remove an entry")

    def mend(self) -> None:
        """Finish what killed runs left of replacing. Raises TryLater if the keyring is needed for it and locked."""
        with self._lock:
            for profile, entry in self.index.load().items():
                if entry.spare:
                    self._mend(profile)
            if not self.index.load():
                self.index.remove("")

    def _mend(self, profile: str) -> None:
        known = self.index.get(profile)
        if known is None or not known.spare:
            return
        main, spare = names.of_profile(profile), names.spare_of(profile)
        text = self.entries.get(spare)
        if text is not None and self.entries.get(main) is None:
            self.entries.set(main, text)
        self.entries.delete(spare)
        self.index.change(profile, known.config, spare=False)


def _broken(promise: str) -> Problem:
    return Problem(f"this keyring does not keep a promise that is needed, {promise}", Hint("config", "show"))


@contextmanager
def written_files() -> Iterator[set[str]]:
    """The files that this process writes meanwhile."""
    files: set[str] = set()
    watching = True

    def hear(event: str, args: tuple[object, ...]) -> None:
        if watching and event in ("open", "os.rename", "sqlite3.connect"):
            files.add(str(args[event == "os.rename"]))

    sys.addaudithook(hear)
    try:
        yield files
    finally:
        watching = False


def shows(files: Iterable[str], texts: Iterable[str]) -> str | None:
    """The file in which one of the texts stands as it is, or merely spelled otherwise."""
    needles = set()
    for text in texts:
        data = text.encode()
        needles |= {data, base64.b64encode(data), data.hex().encode(), text.encode("utf-16-le")}
        needles.add(json.dumps(text)[1:-1].encode())
    for path in filter(os.path.isfile, sorted(files)):
        with suppress(OSError), open(path, "rb") as file:
            data = b"".join(file.read(10**7).split())
            if any(needle in data for needle in needles):
                return path
    return None


SIZE = 4096  # bytes; a note with a few dozen places fits, a longer one takes a multiple
ROLES = ("staged", "kept")


class _Stored(NamedTuple):
    """A pair, and the note that goes with it."""

    pair: Credentials
    record: bytes


_STORED = Form(
    _Stored,
    among=("pair",),
    newer=("a stored key was written by a newer rotate-my-key", "use that version"),
    checked=True,
)


class LocalStaging:
    """The `Staging` port: the pairs of a rotation that touches the keyring rest there, the others in files in `folder`,
    `<name>.staged` and `<name>.kept`. All verbs may raise Problem.

    Such a file is a record padded with blanks to a fixed size, with a checksum, so that one that is torn, or only
    reserved, is no record. The room is taken beforehand: to store the secret of a key that AWS has just made needs no
    more of the disk. `<name>.keyring` says, before the first of them is stored, that the pairs are in the keyring. The
    note is in it, and no secret."""

    def __init__(self, folder: str, keyring: KeyringStore | None = None) -> None:
        self._folder = folder
        self._files = {role: KeyFiles(folder, f".{role}") for role in ROLES}
        self._marks = KeyFiles(folder, ".keyring")
        self._keyring = keyring

    def reserve(self, name: str, places: Collection[Place] = ()) -> None:
        """Take the room for a staged record, or for the note if one of the places is in the keyring: such a pair never
        touches the disk."""
        make_private_dir(self._folder)
        if any(place.kind is PlaceKind.KEYRING for place in places):
            if self._held_in(name) is None:
                reserve_private(self._marks.file(name), SIZE)
        elif self._read(name, "staged") is None:
            reserve_private(self._files["staged"].file(name), SIZE)

    def put(self, name: str, role: str, pair: Credentials, record: bytes = b"") -> None:
        """Store a pair, and the note that goes with it. A record already there is replaced at once, never half."""
        if keyring := self._held_in(name):
            return self._put_entry(keyring, name, role, pair, record)
        path, data = self._files[role].file(name), _STORED.encode(_Stored(pair, record))
        data += b" " * (-(len(data) + 1) % SIZE) + b"\n"
        if os.path.lexists(path) and os.lstat(path).st_size == len(data) and self._read(name, role) is None:
            return overwrite_private(path, data)
        make_private_dir(self._folder)
        return write_private(path, data)

    def _put_entry(self, keyring: KeyringStore, name: str, role: str, pair: Credentials, record: bytes) -> None:
        """If the disk is full an earlier note will do: the secret of a new key that goes into the keyring shall not
        depend on the disk."""
        entry, text = names.of_rotation(name, role), names.encode(pair.key_id, pair.secret)
        keyring.entries.set(entry, text)
        if keyring.entries.get(entry) != text:
            raise TryLater(_NOT_KEPT, Hint())
        earlier = self.get_record(name)
        try:
            return None if record == earlier else write_private(self._marks.file(name), record)
        except Problem:
            if not earlier:
                raise

    def get(self, name: str) -> dict[str, Credentials]:
        """The pairs that can be read, by role."""
        keyring = self._held_in(name)
        if keyring is None:
            return {role: read.pair for role in ROLES if (read := self._read(name, role))}
        pairs: dict[str, Credentials] = {}
        for role in ROLES:
            text = keyring.entries.get(names.of_rotation(name, role))
            with suppress(Problem):  # an entry that something else wrote is no record
                pairs |= {role: Credentials(*names.decode(text))} if text else {}
        return pairs

    def get_record(self, name: str) -> bytes | None:
        """What was stored along with the staged pair, else with the kept one; None if neither can be read."""
        if self._held_in(name):
            return (read_private(self._marks.file(name)) or b"").strip() or None
        return next((read.record for role in ROLES if (read := self._read(name, role))), None)

    def names(self) -> tuple[str, ...]:
        """The rotations of which something is stored, readable or not."""
        in_files = sorted({name for files in self._files.values() for name in files.ids()})
        return tuple(dict.fromkeys([*in_files, *(self._marks.ids() if self._keyring else ())]))

    def drop(self, name: str) -> None:
        """Remove both entries, then the file that says they are there; and both records."""
        if keyring := self._held_in(name):
            for role in ROLES:
                keyring.entries.delete(names.of_rotation(name, role))
            remove_private(self._marks.file(name))
        for files in self._files.values():
            remove_private(files.file(name))

    def where(self, name: str) -> str:
        return "the keyring" if self._held_in(name) else self._folder

    def _held_in(self, name: str) -> KeyringStore | None:
        """The keyring, if the pairs of this rotation rest there."""
        return self._keyring if self._keyring and os.path.lexists(self._marks.file(name)) else None

    def _read(self, name: str, role: str) -> _Stored | None:
        """None for a record that is torn, or only reserved. Raises Newer."""
        data = read_private(self._files[role].file(name)) or b""
        try:
            return _STORED.decode(data) if data.strip() else None
        except Unreadable:
            return None
