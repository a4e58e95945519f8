"""Moves of pairs between file and keyring, as commands need them: the line that is left behind, its proof, and
finishing what an earlier run began."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..core.errors import Problem, TryLater
from ..keyring.entries import PROGRAM, words_of
from ..rotation.run import Result
from .app import App
from .wiring import Wiring

if TYPE_CHECKING:
    from ..profiles.move import Moved, Moving

_PATIENCE = 60  # seconds for the line to answer, as the more impatient SDKs have it
_LATER = 75


def moving(app: App, wiring: Wiring) -> Moving:
    """The moves of this computer."""
    from ..profiles.move import Moving

    return Moving(wiring.files, wiring.keyring, lambda line: _prove(line, app.env))


def program_words(called_as: str, python: str, path: str | None) -> list[str]:
    """How this program is called from anywhere: by the path it was called by, links not followed, for what a link
    leads to may change with an upgrade; or as a module of this Python."""
    if os.path.basename(called_as).removesuffix(".exe") == PROGRAM:
        found = shutil.which(called_as, path=path)
        if found:
            return [os.path.abspath(found)]
    return [os.path.abspath(python), "-m", __package__.partition(".")[0]]


def line_for(app: App, entry: str) -> str:
    """The credential_process line for an entry."""
    from ..keyring.entries import line_for as written

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


def _prove(line: str, env: Mapping[str, str]) -> tuple[str, str]:
    """Run a credential_process line as botocore's ProcessProvider does, and give the id and the secret it prints."""
    hint = "call rotate-my-key by a path that stays, then try again"
    try:
        done = subprocess.run(
            _words(line),
            env=dict(env),
            cwd=os.path.abspath(os.sep),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
        )
        answer = json.loads(done.stdout) if done.returncode == 0 else {}
        if done.returncode == 0 and answer["Version"] == 1:
            return str(answer["AccessKeyId"]), str(answer["SecretAccessKey"])
    except subprocess.TimeoutExpired:
        raise TryLater("the credential_process gives no answer", "rotate-my-key status") from None
    except OSError as error:
        raise Problem(f"the credential_process cannot be run: {error.strerror}", hint) from None
    except (ValueError, KeyError, TypeError):
        raise Problem("the credential_process prints no pair", hint) from None
    said = (done.stderr.decode(errors="replace").strip().splitlines() or ["no word why"])[-1]
    kind = TryLater if done.returncode == _LATER else Problem
    raise kind(f"the credential_process does not work: {said}", hint)


def _words(line: str) -> Sequence[str]:
    return words_of(line)
