"""What scans have found: paths with the key ids that they held. Never a value.

A private JSON file in the state dir. One that is missing, torn or of another version is an empty one: every path is
read again before anything happens to it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping

from ..files.private import make_private_dir, read_private, write_private

VERSION = 1
_MOST = 2000  # paths


class Memory:
    """The file, by its path."""

    def __init__(self, path: str) -> None:
        self.path = path

    def load(self) -> dict[str, set[str]]:
        """The key ids that each path was seen to hold. Raises Problem if it is there and cannot be read."""
        data = read_private(self.path)
        try:
            value = json.loads(data) if data else {}
            if value.get("version") != VERSION:
                return {}
            return {str(path): {str(each) for each in ids} for path, ids in value["paths"].items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}

    def learn(self, found: Iterable[tuple[str, str]], looked_for: Collection[str]) -> None:
        """Remember which paths hold which of the ids that were looked for; all remembered paths were read again.

        Raises Problem if it cannot be written.
        """
        before = self.load()
        after = {path: ids - set(looked_for) for path, ids in before.items()}
        for path, key_id in found:
            after.setdefault(path, set()).add(key_id)
        self._store(before, {path: ids for path, ids in after.items() if ids})

    def replaced(self, paths: Collection[str], old: str, new: str) -> None:
        """These paths hold another id now. Raises Problem."""
        before = self.load()
        self._store(before, {**before, **{path: (before.get(path, set()) - {old}) | {new} for path in paths}})

    def _store(self, before: Mapping[str, set[str]], after: Mapping[str, set[str]]) -> None:
        if before == after:
            return
        kept = {path: sorted(after[path]) for path in list(after)[-_MOST:]}
        make_private_dir(os.path.dirname(self.path))
        write_private(self.path, json.dumps({"version": VERSION, "paths": kept}, indent=1).encode())
