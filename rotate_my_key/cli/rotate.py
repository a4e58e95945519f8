"""`rotate`: replace the key of the active profile, of named ones, or of all."""

from __future__ import annotations

from typing import Any

from .. import __version__
from ..core.errors import Problem, WrongUsage
from ..rotation.run import Result
from .after import Told
from .app import App
from .handover import finish_taken
from .session import Rotate, exit_code


def run(app: App, *, as_json: bool, **options: Any) -> int:
    """Replace the access key of the active profile, if it is due."""
    rotation, results, told = _run(app, as_json=as_json, **options)
    if as_json:
        app.json({"dry_run": options["dry_run"], **rotation.json(results), "after_rotate": [t.json() for t in told]})
    return exit_code([*results, *(each.result() for each in told)])


def quietly(app: App, **options: Any) -> list[Result]:
    """The same without a word of what went well; gives what came of each key, and of the commands that follow."""
    _, results, told = _run(app, **{**options, "as_json": True})
    return [*results, *(each.result() for each in told)]


def _run(app: App, **options: Any) -> tuple[Rotate, list[Result], list[Told]]:
    if options["profiles"] and options["all_keys"]:
        raise WrongUsage("-p and --all do not go together", "rotate-my-key rotate --all")
    app.flags["keep_old"] = options["keep_old"]
    app.flags["update_copies"] = options["update_copies"] or None
    _check_version(app)
    if options["old_active"] and not app.settings.keep_old:
        raise WrongUsage(
            "--old-active does nothing without --keep-old", "rotate-my-key rotate --keep-old 7d --old-active"
        )
    rotation = Rotate(app, **options)
    if options["dry_run"]:
        return rotation, rotation.dry_run(), []
    return rotation, _rotate(app, rotation), rotation.after.run()


def _rotate(app: App, rotation: Rotate) -> list[Result]:
    """Where what shall happen afterwards cannot be done, nothing is begun; what was begun is finished all the same."""
    try:
        rotation.after.check()
    except Problem as problem:
        unready = Result((), "", problem=problem)
        results = [*rotation.settle(), unready]
        rotation.tell(unready)
        return results
    before = finish_taken(app, rotation)
    try:
        return [*before, *rotation.run(before)]
    except Problem as problem:
        if not rotation.names_nothing(problem):
            raise
        before = before or rotation.settle()
        if not before:
            raise
        return before


def _check_version(app: App) -> None:
    """A version that is older than the site asks for still rotates: an old key is worse."""
    if app.settings.is_outdated(__version__):
        from ..doctor.local import upgrade

        origin = app.settings.origin["minimum_version"]
        asked = f"{origin.text} is asked for ({origin.ceiling or origin.source})"
        app.say(f"{app.style('note:', fg='yellow')} this is version {__version__}, and at least {asked}: {upgrade()}")
