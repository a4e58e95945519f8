"""`undo`: until the old key is deleted, put it back and remove the new one, with a rotation's promises."""

from __future__ import annotations

from ..core.errors import Problem
from ..core.hints import Hint
from ..core.plan import Note
from ..core.policy import mask
from ..rotation.ports import Ending, Outcome
from ..rotation.run import Result
from ..rotation.unfinished import describe, resume, turn, undoable, unfinished
from . import show
from .app import App
from .rotate import remember
from .talk import Narrator
from .wiring import Wiring


def run(app: App, *, profile: str | None, yes: bool, as_json: bool) -> int:
    """Put the old key back: until it is deleted (see rotate --keep-old)."""
    wiring = Wiring.of(app)
    wiring.finish_moves()
    note = undoable(unfinished(wiring.here, mend=False), profile, wiring.here)
    app.say(f"{note.identity.user} in {note.identity.account}: {describe(note)}.")
    if not yes and not app.confirm("Undo the rotation?", default=False):
        app.say(show.CANCELLED)
        return 4
    narrator = Narrator(app)
    with wiring.stop.on_interrupt(), wiring.lock():
        try:
            outcome = _undo(app, wiring, note, narrator)
        finally:
            narrator.end()
    result = Result(tuple(dict.fromkeys(place.profile for place in note.places)), note.name, outcome)
    remember(wiring, app, [result])
    if not as_json:
        app.out(f"Done. Key {mask(outcome.old)} is in use again.")
    told = wiring.here.commands.run()
    if as_json:
        copies = wiring.copies.json(note.name)
        keys = [{**show.result_json(result, app.settings.policy), "copies": copies}]
        app.json({"keys": keys, "after_rotate": show.commands_json(told)})
    return max((each.problem.code for each in told if each.problem), default=0)


def _undo(app: App, wiring: Wiring, note: Note, narrator: Narrator) -> Outcome:
    """Under the lock: look again, turn the note, and let the loop go on."""
    now = next((each for each in unfinished(wiring.here, mend=True) if each.name == note.name), None)
    if now is None or now.note is None:
        raise Problem("another run has just finished that rotation", Hint("history"))
    account, policy = wiring.account_for(now.note), app.settings.policy
    outcome = resume(now.note, account, wiring.here, narrator, policy, wiring.waiter, turn=turn)
    if outcome.ending is Ending.DROPPED:
        text = "nothing to undo: the old key has been deleted, or its secret is lost"
        raise Problem(text, Hint("history"))
    return outcome
