"""Keys that somebody handed over (IT, the console) and that are to be replaced whatever their age: `adopt` marks them
before it writes them, so that a run that is killed in between does not leave such a key in use.

One file a key id in the state dir, with what was agreed to; no secrets.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass

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
