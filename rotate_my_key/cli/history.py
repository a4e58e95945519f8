"""`history`: past rotations on this computer, with whole ids and no secrets."""

from __future__ import annotations

import os

from ..core.policy import columns, stamp
from ..state.history import FileHistory
from .app import App


def run(app: App, *, as_json: bool) -> None:
    """Show past rotations on this computer: when, which key gave way to which, for whom."""
    entries = FileHistory(os.path.join(app.paths.state_dir, "history.jsonl")).entries()
    if as_json:
        app.json({"history": [{**past._asdict(), "at": stamp(past.at)} for past in entries]})
        return
    if not entries:
        app.out("nothing was rotated here yet")
        return
    rows = [("WHEN", "WHAT", "OLD KEY", "NEW KEY", "USER", "ACCOUNT")]
    rows += [
        (
            f"{past.at.astimezone():%Y-%m-%d %H:%M}",
            past.action,
            past.old,
            past.new or "-",
            past.arn.rsplit("/", 1)[-1],
            past.account,
        )
        for past in entries
    ]
    for line in columns(rows):
        app.out(line)
