"""The folder where rotations are noted, and what earlier runs left in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import datetime

from ..errors import Problem, Unreadable, mask
from ..files import platform
from ..keyring.store import Index
from ..plan import Note
from ..stores.handed import HandedKeys
from ..stores.notes import FileNotes
from ..stores.staging import FileStaging
from . import remedies
from .computer import Computer
from .files import existing
from .finding import Finding, Level, Where
from .program import upgrade


def check(computer: Computer, now: datetime, key_id: str = "") -> Iterator[Finding]:
    """Whether it can be used, and whether all is finished. `key_id` is the key in force."""
    found = list(_folder(computer))
    yield from found
    if not any(each.level is Level.BROKEN for each in found):
        yield from _rotations(computer, now)
        yield from _moves(computer, key_id)


def _folder(computer: Computer) -> Iterator[Finding]:
    folder = computer.paths.state_dir
    there = existing(folder)
    where, shown = Where(there), computer.show(there)
    if not os.path.isdir(there):
        moved = f"mv {computer.word(there)} {computer.word(there + '.old')}"
        yield Finding(Level.BROKEN, "state-folder", f"{shown} is not a folder", moved, where)
        return
    if computer.posix and there == folder:
        foreign = _foreign(folder)
        if foreign:
            message = f"{computer.show(foreign)} belongs to another user (uid {os.lstat(foreign).st_uid})"
            remedy = remedies.own(computer, folder, all_below=True)
            yield Finding(Level.BROKEN, "foreign-state", message, remedy, Where(foreign))
            return
        if stat.S_IMODE(os.stat(folder).st_mode) & 0o077:
            message = f"{shown} is open to others on this computer; a rotation keeps secrets there for a while"
            yield Finding(Level.WARNING, "state-mode", message, remedies.chmod(computer, "700", folder), where)
    if not os.access(there, os.W_OK | os.X_OK):
        message = f"{shown} cannot be written to, so no rotation can be noted"
        yield Finding(Level.BROKEN, "state-folder", message, remedies.chmod(computer, "u+rwx", there), where)


def _foreign(folder: str) -> str:
    """The first thing in the state folder that is not ours: a run with sudo may have left it."""
    for path, folders, files in os.walk(folder):
        for name in ("", *folders, *files):
            each = os.path.join(path, name) if name else path
            if os.lstat(each).st_uid != platform.my_uid():
                return each
    return ""


def _rotations(computer: Computer, now: datetime) -> Iterator[Finding]:
    folder = os.path.join(computer.paths.state_dir, "rotations")
    notes, staging = FileNotes(folder), FileStaging(folder)
    try:
        names = dict.fromkeys([*notes.names(), *staging.names()])
    except Problem as problem:
        yield remedies.finding(computer, Level.BROKEN, "state-folder", problem)
        return
    for name in names:
        where = Where(os.path.join(folder, f"{name}.note"))
        try:
            note = notes.load(name)
            staged = staging.get(name)
        except Unreadable:
            message = f"the note of the rotation of key {mask(name)} cannot be read; the next run settles it"
            yield Finding(Level.WARNING, "unreadable-note", message, "rotate-my-key", where)
        except Problem as problem:
            yield Finding(Level.BROKEN, "strange-note", problem.message, upgrade(), where)
        else:
            if (note or staged) and not (note and _is_kept(note, now)):
                told = note is not None and note.told
                how = "cannot be finished by itself; what is stored of it stays" if told else "the next run finishes it"
                message = f"a rotation of key {mask(name)} is unfinished; {how}"
                remedy = "rotate-my-key status" if told else "rotate-my-key"
                yield Finding(Level.WARNING, "unfinished", message, remedy, where)


def _moves(computer: Computer, key_id: str) -> Iterator[Finding]:
    """What `keyring` began, and keys that `adopt` took and could not replace yet."""
    index = Index(os.path.join(computer.paths.state_dir, "keyring.json"))
    try:
        if index.moving():
            message = "moving a pair into or out of the keyring is unfinished; the next run finishes it"
            yield Finding(Level.WARNING, "unfinished", message, "rotate-my-key", Where(index.path))
        handed = HandedKeys(os.path.join(computer.paths.state_dir, "handed")).ids()
    except Problem as problem:
        yield Finding(Level.BROKEN, "strange-note", problem.message, upgrade(), Where(index.path))
        return
    if key_id in handed:
        message = f"key {mask(key_id)} came through other hands and is still to be replaced"
        yield Finding(Level.WARNING, "handed-key", message, "rotate-my-key")


def _is_kept(note: Note, now: datetime) -> bool:
    """Whether nothing is left to do yet: the old key was to be kept until later."""
    return note.wanted is not None and note.delete_at > now
