"""The pairs of profiles in the keyring, and the pairs of a rotation that rest there.

An entry is replaced so that a kill at any instant leaves a working profile, also on keyrings that remove the old text
first: the old pair stands in a second entry meanwhile, where `credentials` looks if the first is not there.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Collection

from ..errors import Problem, TryLater
from ..files.private import make_private_dir, read_private, remove_private, reserve_private, write_private
from ..model import Credentials, Place
from . import entries as names
from .entries import Entries
from .keyring_index import Index
from .staging import ROLES, SIZE

_MARK = re.compile(r"([A-Z0-9]{4,128})\.keyring")


class KeyringStore:
    """Pairs by the name of their entry. Writing is for who holds the lock; threads of one run take turns."""

    def __init__(self, entries: Entries, index: Index) -> None:
        self.entries = entries
        self.index = index
        self._lock = threading.Lock()

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
                raise TryLater("the keyring did not keep what was stored in it", "rotate-my-key")
            if before is not None:
                self.entries.delete(spare)
            self.index.change(profile, config, ids=(pair.key_id,), spare=False)

    def remove(self, profile: str) -> None:
        """Remove the entry, durably gone from the keyring; the index is the caller's business."""
        with self._lock:
            self._mend(profile)
            self.entries.delete(names.of_profile(profile))

    def rehearse(self, profile: str) -> None:
        """See that the keyring takes an entry and lets go of it. Raises TryLater if not."""
        probe, text = names.of_rehearsal(profile), "0" * 100
        self.entries.set(probe, text)
        kept = self.entries.get(probe) == text
        self.entries.delete(probe)
        if not kept:
            raise TryLater("the keyring did not keep what was stored in it", "rotate-my-key status")

    def mend(self) -> None:
        """Finish what killed runs left of replacing. Raises TryLater if the keyring is needed for it and locked."""
        with self._lock:
            for profile, entry in self.index.load().items():
                if entry.spare:
                    self._mend(profile)

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


class KeyringStaging:
    """The `Staging` port for rotations of keyring profiles: pairs rest in the keyring, the note in a file beside the
    others. `<name>.keyring` in `folder` says that they do, before the first of them is stored; no secret is in it."""

    def __init__(self, folder: str, entries: Entries) -> None:
        self._folder = folder
        self._entries = entries

    def holds(self, name: str) -> bool:
        """Whether the pairs of this rotation rest here."""
        return os.path.lexists(self._path(name))

    def reserve(self, name: str, places: Collection[Place] = ()) -> None:
        """Take the room for the note, unless it is taken."""
        make_private_dir(self._folder)
        if not self.holds(name):
            reserve_private(self._path(name), SIZE)

    def put(self, name: str, role: str, pair: Credentials, record: bytes = b"") -> None:
        """Store a pair. The first time its note is written too: later ones say nothing that the pair does not, and the
        secret of a new key shall not depend on the disk."""
        entry, text = names.of_rotation(name, role), names.encode(pair.key_id, pair.secret)
        self._entries.set(entry, text)
        if self._entries.get(entry) != text:
            raise TryLater("the keyring did not keep what was stored in it", "rotate-my-key")
        if not self.get_record(name):
            write_private(self._path(name), record)

    def get(self, name: str) -> dict[str, Credentials]:
        """The pairs, by role."""
        found = {role: self._entries.get(names.of_rotation(name, role)) for role in ROLES}
        pairs: dict[str, Credentials] = {}
        for role, text in found.items():
            try:
                pairs |= {role: Credentials(*names.decode(text))} if text else {}
            except Problem:
                continue  # an entry that something else wrote is no record
        return pairs

    def get_record(self, name: str) -> bytes | None:
        """The note as it was at first."""
        return (read_private(self._path(name)) or b"").strip() or None

    def names(self) -> tuple[str, ...]:
        """The rotations whose pairs rest here."""
        try:
            found = (_MARK.fullmatch(entry) for entry in os.listdir(self._folder))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise Problem(f"cannot read {self._folder}: {error.strerror}", f"ls -ld {self._folder}") from None
        return tuple(sorted(match[1] for match in found if match))

    def drop(self, name: str) -> None:
        """Remove both entries, then the file that says they are there."""
        for role in ROLES:
            self._entries.delete(names.of_rotation(name, role))
        remove_private(self._path(name))

    def where(self, name: str) -> str:
        """See the port."""
        return "the keyring"

    def _path(self, name: str) -> str:
        file = f"{name}.keyring"
        if not _MARK.fullmatch(file):
            raise Problem(f"{file!r} is no name for a staged record", "rotate-my-key status")
        return os.path.join(self._folder, file)
