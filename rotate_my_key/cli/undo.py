"""`undo`: until the old key is deleted, put it back and remove the new one, with a rotation's promises. And `restore`:
put a stored key back into its profiles, where something emptied or replaced a file."""

from __future__ import annotations

from contextlib import closing

from ..core.errors import Problem
from ..core.hints import Hint
from ..core.plan import Note
from ..core.policy import mask
from ..rotation.ports import Ending
from ..rotation.run import Result
from ..rotation.unfinished import describe, plan_restoration, restorable, restore, resume, undoable, unfinished
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
    # Under the lock: look again, turn the note, and let the loop go on
    with wiring.stop.on_interrupt(), wiring.lock(), closing(Narrator(app)) as narrator:
        now = next((each for each in unfinished(wiring.here, mend=True) if each.name == note.name), None)
        if now is None or now.note is None:
            raise Problem("another run has just finished that rotation", Hint("history"))
        account, policy = wiring.account_for(now.note), app.settings.policy
        outcome = resume(now.note, account, wiring.here, narrator, policy, wiring.waiter, undo=True)
        if outcome.ending is Ending.DROPPED:
            raise Problem("nothing to undo: the old key has been deleted, or its secret is lost", Hint("history"))
    result = Result(tuple(dict.fromkeys(place.profile for place in note.places)), note.name, outcome)
    remember(wiring, app, [result])
    if not as_json:
        app.out(f"Done. Key {mask(outcome.old)} is in use again.")
    told = wiring.here.commands.run()
    if as_json:
        keys = [{**show.result_json(result, policy), "copies": wiring.copies.json(note.name)}]
        app.json({"keys": keys, "after_rotate": show.commands_json(told)})
    return max((each.problem.code for each in told if each.problem), default=0)


def put_back(app: App, *, profile: str | None, yes: bool, as_json: bool) -> int:
    """Put a key back into its profiles, where a file was emptied, deleted or replaced by an older one."""
    wiring = Wiring.of(app)
    note = _restorable(wiring, profile)
    account = wiring.account_for(note)
    with app.waiting("checking your keys..."):
        plan = plan_restoration(note, account, wiring.here)
    key = mask(plan.pair.key_id)
    where = " and ".join(f"{who} in {path}" for path, who in show.by_file(plan.places, app.show_path))
    for place in plan.left:
        wiring.warn(f"{place.profile} in {app.show_path(place.path)} holds another key and is left alone")
    if not plan.places and (command := wiring.put_back(profile or note.places[0].profile)):
        raise Problem(f"key {key} is in the keyring, and no profile leads to it any more", command)
    if not plan.places and plan.left:
        raise Problem(f"there is no profile to restore key {key} to", Hint("status"))
    if plan.places:
        app.say(f"{note.identity.user} in {note.identity.account}: key {key} will be restored to {where}")
        if not yes and not app.confirm("Restore it now?", default=True):
            app.say(show.CANCELLED)
            return 4
        with wiring.stop.on_interrupt(), wiring.lock():
            note = restorable(unfinished(wiring.here, mend=True), profile, wiring.here)
            plan = plan_restoration(note, account, wiring.here)
            restore(plan, account, wiring.here)
    done = (
        f"Done. Restored key {key} to {where}." if plan.places else "Nothing to do: every profile still has this key."
    )
    value = {"key_id": plan.pair.key_id, "places": [place.json() for place in plan.places]}
    app.result(value, done, as_json=as_json)
    return 0


def _restorable(wiring: Wiring, profile: str | None) -> Note:
    """The rotation of which a key is stored. Where there is none, the key may still be in the keyring."""
    try:
        return restorable(unfinished(wiring.here, mend=False), profile, wiring.here)
    except Problem as problem:
        problem.hint = wiring.put_back(profile) or problem.hint
        raise
