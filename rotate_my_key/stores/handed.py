"""Keys that somebody handed over (IT, the console) and that are to be replaced whatever their age: `adopt` marks them
before it writes them, so that a run that is killed in between does not leave such a key in use.

One empty file a key id in the state dir; no secrets.
"""

from __future__ import annotations

import os
import re

from ..files.private import create_private, make_private_dir, remove_private

_ID = re.compile(r"[A-Z0-9]{4,128}")


class HandedKeys:
    """The marks, in one folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def mark(self, key_id: str) -> None:
        """Remember, durably, that this key is to be replaced. Raises Problem."""
        make_private_dir(self._folder)
        create_private(os.path.join(self._folder, key_id), b"")

    def ids(self) -> tuple[str, ...]:
        """The ids that are marked."""
        try:
            return tuple(name for name in sorted(os.listdir(self._folder)) if _ID.fullmatch(name))
        except OSError:
            return ()

    def clear(self, key_id: str) -> None:
        """Forget it: it was replaced, or nothing here holds it."""
        remove_private(os.path.join(self._folder, key_id))
