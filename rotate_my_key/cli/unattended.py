"""Whether what runs without a person still works; for `doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from .. import words
from ..doctor import Finding, Level, Where
from ..errors import Problem
from ..files.regular import read_start
from . import reminding
from .app import App

_SHOW = "rotate-my-key schedule show"


def findings(app: App) -> list[Finding]:
    """All of it."""
    return [*_reminder(app), *_schedule(app)]


def _reminder(app: App) -> Iterator[Finding]:
    """The reminder: its block in the start-up files, and the program that it runs. Nothing if it is not installed."""
    from ..reminder.rcfile import has_block

    mine = reminding.folder(app)
    installed = mine.installed()
    for shell, path in installed.places:
        again = f"rotate-my-key reminder install --shell {shell}"
        if not has_block(read_start(path)) or not os.path.isfile(mine.script(shell)):
            message = f"the reminder was installed in {app.show_path(path)} ({shell}) and is not there any more"
            yield Finding(Level.WARNING, "reminder", message, again, Where(path))
    tool = installed.tool
    if tool and installed.places and not os.access(tool.command, os.X_OK):
        message = f"the reminder runs {app.show_path(tool.command)}, which is gone"
        yield Finding(Level.WARNING, "reminder", message, "rotate-my-key reminder install", Where(tool.command))


def _schedule(app: App) -> Iterator[Finding]:
    """The daily run: still as it was installed, and no failure that only a person can mend."""
    from ..schedule import last, program
    from ..schedule.choose import schedulers
    from ..schedule.job import make
    from .wiring import Wiring

    files = {"credentials": app.paths.credentials, "config": app.paths.config}
    try:
        job = make(program.find(app.env, app.paths.home), app.env, files)
    except Problem:
        job = None
    there = False
    for scheduler in schedulers(app.env, app.paths, Wiring.of(app).host):
        try:
            installed = scheduler.installed(job)
        except Problem as problem:
            yield Finding(Level.WARNING, "schedule", f"{scheduler.title}: {problem.message}", _SHOW)
            continue
        there = there or installed is not None
        if installed and installed.trouble:
            message, where = f"{scheduler.title}: {installed.trouble}", Where(installed.where)
            yield Finding(Level.WARNING, "schedule", message, "rotate-my-key schedule install", where)
    failed = last.failure(last.load(app.paths.state_dir)) if there else None
    if failed:
        message = f"the daily run of {words.day(failed.at)} failed: {failed.message}"
        yield Finding(Level.WARNING, "schedule", message, failed.hint or _SHOW)
