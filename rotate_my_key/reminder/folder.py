"""The reminder's folder in the state: what login shells read (`state`, `due`, the scripts), what is installed where;
and what there is to say, from the rows of `status`.

`state` bears the time of the newest file that it was made from, so that a shell sees by `-nt` that one has changed
since; `due` bears the time of the next line, for shells that have no clock."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from ..core.errors import Problem
from ..core.policy import STATIC, Policy, Row
from ..files.write import make_private_dir, remove_private, write_private
from . import login, state
from . import shell as shells
from .shell import Folders, Tool
from .state import KEPT, KEY, RECALLED, UNFINISHED, Item, State

_INSTALLED, _SNOOZE = "installed.json", "snoozed"


class Installed(NamedTuple):
    """How the program was to be run when the reminder was installed, and where: shell and start-up file."""

    tool: Tool | None
    places: tuple[tuple[str, str], ...]


class Folder:
    """One user's folder."""

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.path = folders.reminder

    def write(self, found: State, made_from: int, now: int) -> None:
        """Write what shells read. `made_from` is the time in nanoseconds of the newest file behind it; with 0 the next
        login asks AWS. Raises Problem."""
        self._make()
        said = state.decode_said(state.read(self._file(login.SAID)), now)
        moment = state.first(found, said)
        self._put(login.STATE, state.encode(found, said), max(made_from, 1))
        if moment is None:
            remove_private(self._file(login.DUE))
        else:
            self._put(login.DUE, b"\n", moment * 10**9)
        self.refresh()

    def load(self) -> State | None:
        """What was written last, if it makes sense."""
        return login.load(self.path)

    def next(self, found: State, now: int) -> int:
        """When there is something to say, in epoch seconds; 0 if never."""
        return state.first(found, state.decode_said(state.read(self._file(login.SAID)), now)) or 0

    def snoozed(self) -> int:
        """Until when nothing is to be said, in epoch seconds; 0 if nobody asked for that."""
        return state.read_number(self._file(_SNOOZE))

    def snooze(self, until: int) -> None:
        """Say nothing until then. Raises Problem."""
        self._make()
        write_private(self._file(_SNOOZE), f"{until}\n".encode())

    # What is installed

    def installed(self) -> Installed:
        """What `install` wrote down."""
        try:
            value = json.loads(state.read(self._file(_INSTALLED)) or b"{}")
            places = tuple((str(shell), str(path)) for shell, path in value.get("places", ()))
            return Installed(Tool(*map(str, value["tool"])) if value.get("tool") else None, places)
        except (ValueError, TypeError, AttributeError, KeyError):
            return Installed(None, ())

    def remember(self, installed: Installed) -> None:
        """Write it down. Raises Problem."""
        self._make()
        write_private(self._file(_INSTALLED), json.dumps(installed._asdict()).encode())

    def script(self, shell: str) -> str:
        """Where that shell's static script is."""
        return self._file(shells.FILES[shell])

    def refresh(self) -> None:
        """Bring the static scripts up to this version of the program. Raises Problem."""
        installed = self.installed()
        if installed.tool is None:
            return
        tool = self.tool(installed.tool.command)
        for shell in {shell for shell, _ in installed.places if shell in shells.SHELLS}:
            data = os.fsencode(shells.script(shell, tool, self.folders))
            if state.read(self.script(shell)) != data:
                write_private(self.script(shell), data)

    def tool(self, command: str) -> Tool:
        """How to run this very program."""
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
        return Tool(command, sys.executable, script)

    def remove(self) -> None:
        """Take away what `install` made; the state stays, for a system-wide reminder may read it. Raises Problem."""
        for name in (_INSTALLED, *shells.FILES.values()):
            remove_private(self._file(name))

    def _file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _make(self) -> None:
        make_private_dir(os.path.dirname(self.path))
        make_private_dir(self.path)

    def _put(self, name: str, data: bytes, time: int) -> None:
        write_private(self._file(name), data)
        try:
            os.utime(self._file(name), ns=(time, time))
        except OSError as error:
            raise Problem(f"cannot set the time of {self._file(name)}: {error.strerror}") from None


def derive(rows: Iterable[Row], policy: Policy, exclude: Collection[str] = ()) -> State:
    """What there is to say of these rows, which are marked with the notes of rotations. Left out: keys of unknown age,
    refused or exempt ones, and those of profiles that are not to be rotated."""
    found = [item for row in rows if (item := _item(row, policy, exclude))]
    return State(found, int(policy.max_age.total_seconds()))


def _item(row: Row, policy: Policy, exclude: Collection[str]) -> Item | None:
    names = tuple(str(name) for name in row.get("profiles") or ())
    key_id = str(row.get("key_id") or "")
    if row.get("kind") != STATIC:
        return None
    if row.get("unfinished") and not row.get("told"):
        return Item(UNFINISHED, key_id, names, 0)
    if kept_until := _seconds(row.get("works_until") or row.get("switched_off_until")):
        return Item(KEPT, key_id, names, 0, kept_until)
    created = _seconds(row.get("created"))
    if not created or row.get("refused") or row.get("exempt") or not set(names).isdisjoint(exclude):
        return None
    seen = _seconds(row.get("seen_at"))
    if recall := row.get("recall"):
        return Item(RECALLED, key_id, names, 0, _seconds(recall["by"]), 0, seen, why=recall["reason"])
    moment = datetime.fromtimestamp(created, UTC)
    due, overdue = int(policy.due_at(moment).timestamp()), int(policy.overdue_at(moment).timestamp())
    due = min(due, seen) if row.get("wanted") else due
    return Item(KEY, key_id, names, max(due, 0), max(overdue, 0), created, seen)


def _seconds(text: object) -> int:
    """Epoch seconds of an ISO 8601 time with its zone; 0 for anything else."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return 0
    return max(int(moment.timestamp()), 0) if moment and moment.tzinfo else 0
