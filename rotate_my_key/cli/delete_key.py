"""`delete-key`: retire one of my keys that nothing here holds, in two calls: switched off first, then deleted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..core.errors import Problem
from ..core.hints import Hint
from ..core.model import Look
from ..core.policy import mask, old
from ..rotation.facts import is_stranded
from ..rotation.survey import plan_retirement, retire
from ..rotation.unfinished import look_at, resume, unfinished
from . import show
from .app import App
from .talk import Narrator
from .wiring import Wiring

if TYPE_CHECKING:
    from ..aws.iam import IamAccount


def run(app: App, *, key_id: str, profile: str | None, yes: bool, as_json: bool) -> int:
    """Retire one of your keys that no place here holds."""
    wiring = Wiring.of(app)
    with app.waiting("checking your keys..."):
        look, account = _look(wiring, key_id, profile)
        plan = plan_retirement(key_id, look, account, wiring.here)
    now, key, who = datetime.now(UTC), plan.key, plan.identity
    app.say(f"{who.user} in {who.account}, key {mask(key.key_id)}")
    app.say(f"{key.status.lower()}, {old(now - key.created)}; {show.last_used(plan.last_use, now)}")
    value = {"key": show.key_json(key)}
    question = f"{'Delete' if plan.deletes else 'Deactivate'} {mask(key.key_id)}?"
    if not yes and not app.confirm(question, default=False):
        app.result({**value, "action": "declined"}, show.CANCELLED, as_json=as_json)
        return 4
    with wiring.stop.on_interrupt(), wiring.lock():
        retire(plan, account, wiring.here)
        if plan.deletes:
            _finish(app, wiring, key.key_id)
    if plan.deletes:
        app.result({**value, "action": "deleted"}, f"Deleted {mask(key.key_id)}.", as_json=as_json)
    else:
        again = app.about(Hint("delete-key", key.key_id[-4:]))
        done = f"Deactivated {mask(key.key_id)}. If nothing breaks, delete it: `{again}`"
        app.result({**value, "action": "switched off"}, done, as_json=as_json)
    return 0


def _look(wiring: Wiring, key_id: str, profile: str | None) -> tuple[Look, IamAccount]:
    """By the profile's key; of a rotation that is not over, by whichever key of its user works here."""
    if profile is None:
        for note in (found.note for found in unfinished(wiring.here, mend=False)):
            if note and is_stranded(note, wiring.here) and key_id in (note.wanted, note.unwanted):
                account = wiring.account_for(note)
                return look_at(note, account, wiring.here)[0], account
    account = wiring.account(profile)
    return account.look([wiring.active(profile).pair]), account


def _finish(app: App, wiring: Wiring, key_id: str) -> None:
    """A rotation that only waited for this key to go is over now, or the next run says what is left of it."""
    for found in unfinished(wiring.here, mend=False):
        if found.note and key_id in (found.note.unwanted, found.note.wanted):
            narrator, account = Narrator(app, spin=False), wiring.account_for(found.note)
            try:
                resume(found.note, account, wiring.here, narrator, app.settings.policy, wiring.waiter)
            except Problem as problem:  # the key is deleted all the same
                wiring.warn(problem.message)
            narrator.close()
