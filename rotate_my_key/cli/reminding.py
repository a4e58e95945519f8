"""Keeps what login shells read in step with what is known of the keys: whenever the cached rows are saved, and when the
reminder is installed or put off. A reminder that cannot be kept stops nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.errors import Problem
from ..core.policy import Row

if TYPE_CHECKING:
    from ..reminder.folder import Folder
    from ..reminder.state import Item
    from ..state.cache import FileCache
    from .app import App


def cache(app: App) -> FileCache:
    """What AWS last said of the keys here. Made before the files are read: what changes later is newer."""
    from ..state.cache import FileCache

    paths, made_from = app.paths, _newest(app)

    def keep(rows: Sequence[Row]) -> None:
        try:
            update(app, rows, made_from)
        except Problem as problem:
            app.detail(f"the reminder could not be kept up to date: {problem.message}")

    return FileCache(os.path.join(paths.state_dir, "status.json"), (paths.credentials, paths.config), keep)


def folder(app: App) -> Folder:
    """This user's folder of the reminder."""
    from ..reminder.folder import Folder
    from ..reminder.shell import Folders

    paths = app.paths
    config = os.path.dirname(paths.config_file)
    return Folder(Folders(os.path.join(paths.state_dir, "reminder"), config, paths.site_file))


def update(app: App, rows: Sequence[Row], made_from: int) -> None:
    """Write what shells read. With `made_from` 0 the next login asks AWS. Raises Problem."""
    from ..reminder.folder import derive
    from ..rotation.survey import with_notes
    from ..rotation.unfinished import unfinished
    from .wiring import Wiring

    now = int(time.time())
    marked = with_notes(rows, unfinished(Wiring.of(app).here, mend=False))
    found = derive(marked, app.settings.policy, app.settings.exclude)
    mine = folder(app)
    found.items += _failure(app)
    found.snoozed = snoozed(app, mine)
    mine.write(found, made_from, now)


def _failure(app: App) -> list[Item]:
    """The daily run of the schedule, if it failed for good: nobody watches it."""
    from ..reminder.state import FAILED, Item
    from ..schedule import job

    failed = job.failure(job.load_runs(app.paths.state_dir))
    return [Item(FAILED, "schedule", (), 0, created=int(failed.at.timestamp()))] if failed else []


def again(app: App) -> None:
    """Write it again from what is cached. Raises Problem."""
    kept = cache(app).load()
    update(app, kept.rows, _newest(app) if kept.current else 0)


def refresh(app: App) -> None:
    """The same after a run that learnt nothing of a key, and may have left a rotation unfinished."""
    try:
        again(app)
    except Problem as problem:
        app.detail(f"the reminder could not be kept up to date: {problem.message}")


def snoozed(app: App, mine: Folder) -> int:
    """Until when nothing is said; 0 where the site allows no putting off."""
    return mine.snoozed() if app.settings.snooze else 0


def _newest(app: App) -> int:
    paths = app.paths
    rotations = os.path.join(paths.state_dir, "rotations")
    times = [0]
    for path in (paths.credentials, paths.config, paths.config_file, paths.site_file, rotations):
        try:
            times.append(os.stat(path).st_mtime_ns)
        except (OSError, ValueError):
            continue
    return max(times)
