"""`after run` and `after test`: the commands of [after_rotate], called by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.hints import Hint
from ..core.model import Place
from ..profiles.which import profile_in_force
from . import show
from .after import after
from .app import App
from .wiring import Wiring

if TYPE_CHECKING:
    from ..rotation.after import After
    from ..rotation.ports import CommandResult


def run(app: App, *, hook: str | None, as_json: bool) -> int:
    """Run the commands again, or one of them, for the last rotation here."""
    commands, wiring = _commands(app), Wiring.of(app)
    return _end(app, commands.again(hook, wiring.history.entries()), as_json=as_json)


def test(app: App, *, hook: str, yes: bool, as_json: bool) -> int:
    """Try a command with a made-up key."""
    commands = _commands(app, loud=True)
    chosen = commands.named(hook)
    app.say(
        f'{chosen.name} gets a made-up key, and "test": true. If it ignores "test", it stores the made-up key wherever'
    )
    app.say(f"it stores keys. To correct that: {Hint('after', 'run', chosen.name)}")
    if not yes and not app.confirm("Run it now?", default=False):
        app.say("Cancelled. Nothing was run.")
        return 4
    profiles = chosen.profiles or (profile_in_force(app.env, None)[0],)
    places = [Place(app.paths.credentials, profile) for profile in profiles]
    return _end(app, [commands.rehearse(chosen, places)], as_json=as_json)


def _commands(app: App, *, loud: bool = False) -> After:
    here = Wiring.of(app).here
    return after(app, here.places, here.notes, loud=loud)


def _end(app: App, results: list[CommandResult], *, as_json: bool) -> int:
    if as_json:
        app.json({"after_rotate": show.commands_json(results)})
    return max((each.problem.code for each in results if each.problem), default=0)
