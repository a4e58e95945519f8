"""Keys that somebody handed over (IT, the console) and that are to be replaced whatever their age: `adopt` marks them
before it writes them, so that a run that is killed in between does not leave such a key in use.

One file a key id in the state dir, with what was agreed to; no secrets.

Rotations whose [after_rotate] commands are still to run: one small file each in the state dir. Ids only, no secrets.

A record is written before a place is changed, and goes when the commands have run: a run that is killed in between
leaves it to the next. What no longer fits (nothing here holds the new key) is no record.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from typing import NamedTuple

from ..core.errors import Problem
from ..files.private import make_private_dir, read_private, remove_private, write_private

_ID = re.compile(r"[A-Z0-9]{4,128}")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person agreed to, for whoever finishes it. `replaces` is the id of the key that goes though no place here
    holds it, or ""; `delivery` names what is to be removed (never a link), `signer` the profile that may, or ""."""

    replaces: str = ""
    delivery: str = ""
    signer: str = ""


class HandedKeys:
    """The marks, in one folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def mark(self, key_id: str, what: Mark = Mark()) -> None:
        """Remember, durably, that this key is to be replaced. Raises Problem."""
        make_private_dir(self._folder)
        write_private(os.path.join(self._folder, key_id), json.dumps(asdict(what)).encode())

    def read(self, key_id: str) -> Mark:
        """What was agreed to. What cannot be read, or was written by an older version, agrees to nothing more."""
        data = read_private(os.path.join(self._folder, key_id))
        try:
            value = json.loads(data or b"")
            what = Mark(*(value[name] for name in ("replaces", "delivery", "signer")))
        except (ValueError, KeyError, TypeError, RecursionError):
            return Mark()
        texts = all(isinstance(text, str) for text in asdict(what).values())
        return what if texts and (not what.replaces or _ID.fullmatch(what.replaces)) else Mark()

    def ids(self) -> tuple[str, ...]:
        """The ids that are marked."""
        try:
            return tuple(name for name in sorted(os.listdir(self._folder)) if _ID.fullmatch(name))
        except OSError:
            return ()

    def clear(self, key_id: str) -> None:
        """Forget it: it was replaced, or nothing here holds it."""
        remove_private(os.path.join(self._folder, key_id))


_VERSION = 1
_NAME = re.compile(r"([A-Z0-9]{4,128})\.json")


class Change(NamedTuple):
    """The places of rotation `name` went from the key `old` to `new`, a user's. `left` names the commands still to run
    once some have `begun`."""

    name: str
    old: str
    new: str
    account: str
    arn: str
    begun: bool = False
    left: tuple[str, ...] = ()


class PendingChanges:
    """The records, in one folder. Every verb may raise Problem."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def note(self, change: Change) -> None:
        """Remember it, durably. A change straight back, before anybody was told of the first, is none."""
        before = self._load(change.name)
        if before and not before.begun and (before.old, before.new) == (change.new, change.old):
            return self.drop(change.name)
        if before and before[:3] == change[:3]:
            return None
        return self.save(change)

    def save(self, change: Change) -> None:
        """Write the record anew."""
        make_private_dir(self._folder)
        write_private(self._path(change.name), json.dumps({"version": _VERSION, **change._asdict()}).encode())

    def all(self) -> tuple[Change, ...]:
        """The records that can be read."""
        try:
            found = [_NAME.fullmatch(entry) for entry in sorted(os.listdir(self._folder))]
        except OSError:
            return ()
        return tuple(change for match in found if match and (change := self._load(match[1])))

    def drop(self, name: str) -> None:
        """All is done."""
        remove_private(self._path(name))

    def _path(self, name: str) -> str:
        if not _NAME.fullmatch(f"{name}.json"):
            raise Problem("a key id has an unusual form", "rotate-my-key status")
        return os.path.join(self._folder, f"{name}.json")

    def _load(self, name: str) -> Change | None:
        data = read_private(self._path(name))
        try:
            value = json.loads(data or b"")
            if value.pop("version") != _VERSION:
                return None
            return Change(**{**value, "left": tuple(value["left"])})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
