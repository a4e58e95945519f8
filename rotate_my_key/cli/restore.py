"""`restore`: put a stored key back into its profiles, where something emptied or replaced a file."""

from __future__ import annotations

from ..core.errors import Problem
from ..core.hints import Hint
from ..core.policy import mask
from ..rotation.unfinished import plan_restoration, restorable, restore, unfinished
from . import show
from .app import App
from .wiring import Wiring


def run(app: App, *, profile: str | None, yes: bool, as_json: bool) -> int:
    """Put a key back into its profiles, where a file was emptied, deleted or replaced by an older one."""
    wiring = Wiring.of(app)
    note = restorable(unfinished(wiring.here, mend=False), profile, wiring.here)
    account = wiring.account_for(note)
    with app.waiting("checking your keys..."):
        plan = plan_restoration(note, account, wiring.here)
    key = mask(plan.pair.key_id)
    where = " and ".join(f"{who} in {path}" for path, who in show.by_file(plan.places, app.show_path))
    for place in plan.left:
        wiring.warn(f"{place.profile} in {app.show_path(place.path)} holds another key and is left alone")
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
    if as_json:
        app.json({"key_id": plan.pair.key_id, "places": [place.json() for place in plan.places]})
    elif plan.places:
        app.out(f"Done. Restored key {key} to {where}.")
    else:
        app.out("Nothing to do: every profile still has this key.")
    return 0
