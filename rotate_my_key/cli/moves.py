"""Moves of pairs between file and keyring, as commands need them: the line that is left behind, its proof, and
finishing what an earlier run began."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..core.errors import Problem
from ..rotation.run import Result
from .app import App
from .wiring import Wiring

if TYPE_CHECKING:
    from ..profiles.move import Moved, Moving


def moving(app: App, wiring: Wiring) -> Moving:
    """The moves of this computer."""
    from ..profiles.move import Moving

    return Moving(wiring.files, wiring.keyring, app.env)


def line_for(app: App, entry: str) -> str:
    """The credential_process line for an entry."""
    from ..keyring.entries import line_for as written
    from ..profiles.move import program_words

    return written(program_words(sys.argv[0], sys.executable, app.env.get("PATH")), entry)


def finish(app: App, wiring: Wiring) -> list[Result]:
    """Finish, or take back, moves that earlier runs began; one that cannot be finished is a result and no more."""
    if not os.path.lexists(wiring.keyring.index.path):
        return []
    try:
        if not wiring.keyring.index.moving():
            return []
    except Problem as problem:  # an index that makes no sense stops no key in a file
        return [Result((), "", problem=problem)]
    with wiring.lock():
        done = moving(app, wiring).finish()
    for moved in done:
        if moved.problem is None:
            app.say(told(moved))
    return [Result((moved.profile,), "", problem=moved.problem) for moved in done if moved.problem]


def told(moved: Moved) -> str:
    """What finishing came to."""
    where = "into the keyring" if moved.move.value == "store" else "back into its file"
    return f"finished the earlier move of {moved.profile} {where}"
