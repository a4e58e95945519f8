"""Whether what runs without a person still works; for `doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..doctor import Finding, Level, Where
from . import reminding
from .app import App


def reminder_findings(app: App) -> Iterator[Finding]:
    """The reminder: its block in the start-up files, and the program that it runs. Nothing if it is not installed."""
    from ..reminder.rcfile import has_block

    mine = reminding.folder(app)
    installed = mine.installed()
    for shell, path in installed.places:
        again = f"rotate-my-key reminder install --shell {shell}"
        try:
            with open(path, "rb") as file:
                there = has_block(file.read())
        except OSError:
            there = False
        if not there or not os.path.isfile(mine.script(shell)):
            message = f"the reminder was installed in {app.show_path(path)} ({shell}) and is not there any more"
            yield Finding(Level.WARNING, "reminder", message, again, Where(path))
    tool = installed.tool
    if tool and installed.places and not os.access(tool.command, os.X_OK):
        message = f"the reminder runs {app.show_path(tool.command)}, which is gone"
        yield Finding(Level.WARNING, "reminder", message, "rotate-my-key reminder install", Where(tool.command))
