"""`keyring store` and `keyring restore`: a profile's pair from its file into the system's keyring, and back."""

from __future__ import annotations

from ..core.errors import Problem
from ..core.hints import Hint
from ..core.model import Credentials, Place, PlaceKind
from ..core.policy import mask
from ..keyring.store import Move
from ..rotation.prepare import RotateOptions
from ..rotation.run import Result, Run
from ..rotation.unfinished import unfinished
from . import show
from .app import App
from .talk import Narrator, Talk
from .wiring import Wiring


def store(app: App, *, profile: str | None, yes: bool, as_json: bool) -> int:
    """Move a profile's pair into the keyring."""
    return _move(app, Move.STORE, profile, yes, as_json)


def restore(app: App, *, profile: str | None, yes: bool, as_json: bool) -> int:
    """Move a profile's pair from the keyring back into its file."""
    return _move(app, Move.RESTORE, profile, yes, as_json)


def _move(app: App, move: Move, named: str | None, yes: bool, as_json: bool) -> int:
    """Finish what was begun, ask, move, tell."""
    wiring = Wiring.of(app)
    broken = _finish_first(app, wiring)
    at, pair = _found(wiring, move, named)
    profile, key_id, storing = at.profile, pair.key_id, move is Move.STORE
    there, here = ("keyring", "file") if storing else ("file", "keyring")
    the = {"keyring": "the keyring", "file": "its file"}[there]

    def told(action: str, place: str, sentence: str) -> int:
        value = {"profile": profile, "key_id": key_id, "place": place, "action": action}
        app.result(value, sentence, as_json=as_json)
        return 4 if action == "declined" else 0

    if (at.kind is PlaceKind.KEYRING) is storing:
        return told("none", there, f"Nothing to do: the key of {profile} is already in {the}.")
    for result in broken:
        if result.problem and (profile in result.profiles or result.key_id == key_id):
            raise result.problem
    if storing:
        wiring.keyring.pair(profile)  # where there is no keyring, nobody is asked
    to, where = "into the keyring" if storing else "back into its file", show.where(at, app.show_path)
    app.say(f"{profile}, key {mask(key_id)}, in {where}: it will be moved {to}.")
    if storing:
        app.say(
            "It works wherever this keyring is unlocked: not in cron or over SSH while you are logged out. "
            "Programs that you start from now on get each new key without a restart."
        )
    if not yes and not app.confirm("Move it now?", default=True):
        return told("declined", here, show.CANCELLED)
    with wiring.stop.on_interrupt(), wiring.lock():
        moving = wiring.moving()
        moving.store(profile) if storing else moving.restore(profile)
    return told("moved", there, f"Done. The key of {profile} is now in {the}.")


def _found(wiring: Wiring, move: Move, named: str | None) -> tuple[Place, Credentials]:
    """Where the profile's pair is: also in a keyring entry to which its section does not lead any more."""
    if move is Move.RESTORE and (entry := wiring.cut_off(named)) and (pair := wiring.keyring.pair(entry.profile)):
        return entry, pair
    active = wiring.active(named)
    if active.profile != active.holder:
        raise Problem(
            f"profile {active.profile} has no key of its own: it uses the key of {active.holder}",
            Hint("keyring", move.value, "-p", active.holder),
        )
    return active.place, active.pair


def _finish_first(app: App, wiring: Wiring) -> list[Result]:
    """Rotations and moves of earlier runs; those that cannot be finished block only their own profile."""
    broken = wiring.finish_moves()
    if unfinished(wiring.here, mend=False):
        run = Run(
            wiring.here,
            RotateOptions(app.settings.policy),
            Talk(app, wiring.copies, yes=True, out=app.say),
            wiring.lock,
            wiring.account_for,
            lambda note: Narrator(app, note.places[0].profile if note.places else ""),
            wiring.waiter,
        )
        with wiring.stop.on_interrupt():
            for result in run.settle():
                if result.outcome and (text := show.settled_line(result)):
                    app.say(text)
                broken += [result] if result.problem else []
    for result in broken:
        if result.problem:
            wiring.warn(result.problem.message)
    return broken
