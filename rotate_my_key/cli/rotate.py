"""`rotate`: replace the key of the active profile, of named ones, or of all."""

from __future__ import annotations

from typing import Any

import click

from .. import __version__
from ..errors import Problem, WrongUsage
from ..rotation.run import Result
from .app import App
from .handover import finish_taken
from .session import Rotate, exit_code
from .signing import signing_options


@click.command("rotate")
@click.option("-p", "--profile", "profiles", multiple=True, metavar="NAME", help="This profile's key (repeatable).")
@click.option("--all", "all_keys", is_flag=True, help="Every key on this computer that is due, each once.")
@click.option("--force", is_flag=True, help="Whatever the key's age.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--keep-old", metavar="DURATION", help="Keep the old key, switched off, that long (7d).")
@click.option("--old-active", is_flag=True, help="With --keep-old: the old key keeps working until then.")
@click.option("--update-copies", is_flag=True, help="Other files that hold the key take the new one too (see scan).")
@click.option("--mixed", is_flag=True, help="Also profiles that hold a key beside sso, role or process settings.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@signing_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_obj
def command(app: App, /, as_json: bool, **options: Any) -> int:
    """Replace the access key of the active profile, if it is due.

    Makes a new key, proves it with AWS, writes it into every profile here that holds the old one, switches the old one
    off and deletes it. If it is stopped at any moment, the profile works and the next run finishes the job.

    With --update-copies the old key works until all those files have the new one. For a key that has leaked type
    --force --keep-old 0: it goes at once, and waits for no file.
    """
    if options["profiles"] and options["all_keys"]:
        raise WrongUsage("-p and --all do not go together", "rotate-my-key rotate --all")
    app.flags["keep_old"] = options["keep_old"]
    app.flags["update_copies"] = options["update_copies"] or None
    _check_version(app)
    if options["old_active"] and not app.settings.keep_old:
        raise WrongUsage(
            "--old-active does nothing without --keep-old", "rotate-my-key rotate --keep-old 7d --old-active"
        )
    rotation = Rotate(app, as_json=as_json, **options)
    results = rotation.dry_run() if options["dry_run"] else _rotate(app, rotation)
    told = [] if options["dry_run"] else rotation.after.run()
    if as_json:
        app.json({"dry_run": options["dry_run"], **rotation.json(results), "after_rotate": [t.json() for t in told]})
    return exit_code([*results, *(each.result() for each in told)])


def _rotate(app: App, rotation: Rotate) -> list[Result]:
    """Where what shall happen afterwards cannot be done, nothing is begun; what was begun is finished all the same."""
    try:
        rotation.after.check()
    except Problem as problem:
        unready = Result((), "", problem=problem)
        results = [*rotation.settle(), unready]
        rotation.tell(unready)
        return results
    before = _handed(app, rotation)
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
        from ..doctor.program import upgrade

        origin = app.settings.origin["minimum_version"]
        asked = f"{origin.text} is asked for ({origin.ceiling or origin.source})"
        app.say(f"{app.style('note:', fg='yellow')} this is version {__version__}, and at least {asked}: {upgrade()}")


def _handed(app: App, rotation: Rotate) -> list[Result]:
    """Replace the keys that `adopt` took and could not replace yet: that was agreed to then. A run that was killed may
    not have brought them into their places: that is finished first."""
    wiring = rotation.wiring
    if not wiring.handed.ids():
        return []
    settled = rotation.settle()
    return [*settled, *finish_taken(app, wiring, settled, lambda profile: Rotate.of(app, profile).run(), rotation.tell)]
