"""`uninstall`: what must happen before the program is removed, and the command that then removes it.

pipx, uv and pip run nothing of ours when they remove a program: the daily run and the reminder would start what is no
longer there, and no program could read a key in the keyring."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from ..core import policy
from ..core.errors import NeedsPerson, Problem
from ..core.hints import Hint
from ..core.policy import join, mask
from ..doctor.local import removal
from ..rotation.unfinished import Unfinished, unfinished
from . import completion, reminder, schedule
from .app import App
from .wiring import Wiring


def run(app: App, *, yes: bool, as_json: bool) -> int:
    """Move keys back from the keyring, remove what would start the program, and say how to remove the program."""
    wiring = Wiring.of(app)
    for result in wiring.finish_moves():
        if result.problem:
            raise result.problem
    for left in unfinished(wiring.here, mend=False):
        raise _still_needed(left)
    stored = list(wiring.keyring.index.load())
    if stored and not yes:
        app.say(f"The keyring holds the key of {join(stored)}. Without rotate-my-key, no program can read it there.")
        if not app.confirm("Move it back into its file now?", default=True):
            app.out("Cancelled. Nothing changed.")
            return NeedsPerson.code
    for profile in stored:
        with wiring.stop.on_interrupt(), wiring.lock():
            wiring.moving().restore(profile)
        app.say(f"Moved the key of {profile} back into its file.")
    gone = list(dict.fromkeys([*schedule.remove(app), *reminder.remove(app), *completion.remove(app)]))
    command = removal()
    if as_json:
        app.json({"restored": stored, "removed": gone, "command": command})
        return 0
    if gone:
        app.say(f"Removed: {join(map(app.show_path, gone))}")
    stay = [path for path in (os.path.dirname(app.paths.config_file), app.paths.state_dir) if os.path.isdir(path)]
    if stay:
        app.say(f"Settings and history are kept: {join(map(app.show_path, dict.fromkeys(stay)))}")
    app.out(f"To remove rotate-my-key: {command}")
    return 0


def _still_needed(left: Unfinished) -> Problem:
    """Why the program cannot go yet: nobody else would finish this rotation, or delete the key that is kept."""
    note = left.note
    if note is None:
        return left.problem or Problem(f"a rotation of key {mask(left.name)} is unfinished", Hint())
    if note.unwanted and note.wanted and note.delete_at > datetime.now(UTC):
        until = policy.day(note.delete_at, datetime.now(UTC))
        profile = note.places[0].profile if note.places else ""
        message = f"old key {mask(note.unwanted)} is kept until {until}, and only rotate-my-key will delete it"
        return Problem(message, Hint("delete-key", note.unwanted, profile=profile))
    return Problem(f"a rotation of key {mask(left.name)} is unfinished, and only rotate-my-key can finish it", Hint())
