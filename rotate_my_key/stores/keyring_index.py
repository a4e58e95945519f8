"""`keyring.json`: which profiles have their pair in the keyring, for what cannot be asked of a keyring.

No secret is in it. It says which entries may be there (install.sh does not uninstall while the file exists), which ids
they may hold (for `status` while the keyring is locked), whether an entry is just being replaced, where the lines stood
that `restore` puts back, and which move was begun. The file is there as long as a profile is in it. All entries are in
one keyring: that of the setting `keyring_backend` when the first was stored; the file names it if it is another than
the system's own, so that changing the setting loses nobody's key.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ..errors import Problem
from ..files.private import make_private_dir, read_private, remove_private, write_private
from .entries import SYSTEM, noted_backend
from .relocate import Gap, Line, Lines, Process

VERSION = 2  # 1, without `backend`, while all is in the system's own


class Move(Enum):
    """Which way a pair goes."""

    STORE = "store"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one profile's entry.

    `config` is the file with the line that leads to it; `ids` are the keys it may hold, the newest last; `spare` is set
    while it is replaced. `moving` is the consent to a move that is not finished, with `line` the line to be written.
    `lines` and `process` are where the pair's lines stood and what was added instead.
    """

    config: str
    ids: tuple[str, ...] = ()
    spare: bool = False
    moving: Move | None = None
    line: str = ""
    lines: Lines | None = None
    process: Process | None = None


@dataclass
class Index:
    """The file in the state dir. Changed only by who holds the lock; read afresh each time. `chosen` is the setting."""

    path: str
    chosen: Callable[[], str] = lambda: SYSTEM
    _seen: tuple[bytes, dict[str, Entry]] | None = field(default=None, repr=False)

    def load(self) -> dict[str, Entry]:
        """The entries by profile. Raises Problem for a file that makes no sense or that a newer version wrote."""
        data = read_private(self.path)
        if data is None:
            return {}
        if self._seen is None or self._seen[0] != data:
            self._seen = data, self._decode(data)
        return dict(self._seen[1])

    def get(self, profile: str) -> Entry | None:
        """What is known of one profile."""
        return self.load().get(profile)

    def put(self, profile: str, entry: Entry) -> Entry:
        """Note what is known now, fsynced."""
        entries = self.load()
        if entries.get(profile) != entry:
            self._save({**entries, profile: entry})
        return entry

    def change(self, profile: str, config: str, **what: Any) -> Entry:
        """Note some of it."""
        return self.put(profile, replace(self.get(profile) or Entry(config), **what))

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
        where: dict[str, Any] = {"version": 1} if backend == SYSTEM else {"version": VERSION, "backend": backend}
        value = where | {"profiles": {name: _plain(entry) for name, entry in entries.items()}}
        return write_private(self.path, json.dumps(value, indent=1).encode())

    def _rotations(self) -> bool:
        """Whether pairs of a rotation still rest in the keyring."""
        folder = os.path.join(os.path.dirname(self.path), "rotations")
        return os.path.isdir(folder) and any(name.endswith(".keyring") for name in os.listdir(folder))

    def _decode(self, data: bytes) -> dict[str, Entry]:
        try:
            value = json.loads(data)
            if value["version"] > VERSION:
                raise Problem("a newer rotate-my-key has put a pair into the keyring", "use that version")
            return {name: _entry(plain) for name, plain in value["profiles"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Problem(
                f"{self.path} makes no sense",
                f"move it away (mv {self.path} {self.path}.old): the keyring is asked then",
            ) from None


def _plain(entry: Entry) -> dict[str, Any]:
    lines, process = entry.lines, entry.process
    return {
        "config": entry.config,
        "ids": list(entry.ids),
        "spare": entry.spare,
        "moving": entry.moving.value if entry.moving else None,
        "line": entry.line,
        "lines": lines and {"path": lines.path, "kind": lines.kind, "lines": [list(line) for line in lines.lines]},
        "process": process and process.gap._asdict() | {"made_file": process.made_file},
    }


def _entry(plain: dict[str, Any]) -> Entry:
    lines, process = plain["lines"], plain["process"]
    return Entry(
        config=str(plain["config"]),
        ids=tuple(map(str, plain["ids"])),
        spare=bool(plain["spare"]),
        moving=Move(plain["moving"]) if plain["moving"] else None,
        line=str(plain["line"]),
        lines=lines and Lines(lines["path"], lines["kind"], tuple(Line(*line) for line in lines["lines"])),
        process=process
        and Process(Gap(process["lead"], process["header"], process["line"]), bool(process["made_file"])),
    )
