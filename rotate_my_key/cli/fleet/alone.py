"""One run of `enforce --apply` or `remind` at a time for this user of the computer: two would tell all twice."""

from __future__ import annotations

import os

import click

from ...errors import TryLater
from ...files.lock import Lock
from ...files.private import make_private_dir
from ..app import App
from .again import again

FILE = "fleet.lock"  # in the state dir
_WAIT = 180.0  # seconds, as `rotate` waits


def alone(app: App, wait: float = _WAIT) -> None:
    """Hold the lock until the command ends; waits for it. Raises TryLater if another run has it for longer."""
    make_private_dir(app.paths.state_dir)
    path = os.path.join(app.paths.state_dir, FILE)
    lock = Lock(path, wait, lambda: app.say("another fleet run is at work; waiting for it"))
    try:
        click.get_current_context().with_resource(lock)
    except TryLater as problem:
        raise TryLater(problem.message, again(app)) from None
