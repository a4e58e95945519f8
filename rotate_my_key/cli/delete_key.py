"""`delete-key`: retire one of my keys that nothing here holds, in two calls: switched off first, then deleted."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ..errors import mask
from ..rotation.retire import Retirement, plan_retirement, retire
from ..rotation.unfinished import resume, unfinished
from ..words import span
from . import show
from .app import App
from .narrator import Narrator
from .signing import signing_options
from .wiring import Wiring


@click.command("delete-key")
@click.argument("key_id")
@click.option("-p", "--profile", metavar="NAME", help="The profile of the user whose key it is.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@signing_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(app: App, /, key_id: str, profile: str | None, yes: bool, as_json: bool) -> int:
    """Retire one of your keys that no place here holds.

    KEY_ID is the whole id, or its last four characters. An active key is only switched off, so that whatever still uses
    it can be found and switched back; a second call deletes it.
    """
    wiring = Wiring(app)
    pair = wiring.active(profile).pair
    account = wiring.account(profile)
    with app.waiting("asking AWS"):
        plan = plan_retirement(key_id, account.look([pair]), account, wiring.here)
    _introduce(app, plan)
    if not yes and not app.confirm(_question(plan), default=False, flag=f"rotate-my-key delete-key {key_id} --yes"):
        _tell(app, plan, "declined", as_json)
        return 4
    with wiring.stop.on_interrupt(), wiring.lock():
        retire(plan, account, wiring.here)
        if plan.deletes:
            _finish(app, wiring, plan.key.key_id)
    _tell(app, plan, "deleted" if plan.deletes else "switched off", as_json)
    return 0


def _tell(app: App, plan: Retirement, action: str, as_json: bool) -> None:
    key = mask(plan.key.key_id)
    sentences = {
        "declined": "Nothing was changed.",
        "deleted": f"Key {key} is deleted.",
        "switched off": f"Key {key} is switched off. Once nothing misses it: the same command deletes it.",
    }
    if as_json:
        app.json({"key": show.key_json(plan.key), "action": action})
    else:
        app.out(sentences[action])


def _finish(app: App, wiring: Wiring, key_id: str) -> None:
    """A rotation that only waited for this key to go is over now."""
    for found in unfinished(wiring.here, mend=False):
        if found.note and found.note.unwanted == key_id:
            narrator = Narrator(app, spin=False)
            resume(
                found.note,
                wiring.account_for(found.note),
                wiring.here,
                narrator,
                app.settings.policy,
                wiring.clockwork,
            )
            narrator.end()


def _introduce(app: App, plan: Retirement) -> None:
    now, key, who = datetime.now(UTC), plan.key, plan.identity
    app.say(f"{who.user} in {who.account}, key {mask(key.key_id)}, {key.status.lower()}, {span(now - key.created)} old")
    app.say(show.last_used(plan.last_use, now))


def _question(plan: Retirement) -> str:
    return f"{'Delete' if plan.deletes else 'Switch off'} {mask(plan.key.key_id)}?"
