"""`history`: past rotations on this computer, with whole ids and no secrets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

from ..core.policy import Past, join, span, stamp
from ..state.history import FileHistory
from .app import App
from .layout import table


def run(app: App, *, as_json: bool) -> None:
    """Show past rotations on this computer: when, which key replaced which, for whom; how long both worked."""
    entries = FileHistory(os.path.join(app.paths.state_dir, "history.jsonl")).entries()
    if as_json:
        app.json({"history": [_json(past) for past in entries]})
        return
    if not entries:
        app.out("No rotations on this computer yet.")
        return
    rows = [("WHEN", "WHAT", "OLD KEY", "NEW KEY", "USER", "ACCOUNT")]
    for past in entries:
        when, user = f"{past.at.astimezone():%Y-%m-%d %H:%M}", past.arn.rsplit("/", 1)[-1]
        rows.append((when, past.action, past.old, past.new or "-", user, past.account))
    head, *lines = table(rows, app.width())
    app.out(head)
    for past, line in zip(entries, lines, strict=True):
        app.out(line)
        for more in _more(app, past):
            app.out(f"  {more}")


def _json(past: Past) -> dict[str, object]:
    """Times as the other commands give them."""
    return {name: stamp(value) if isinstance(value, datetime) else value for name, value in past._asdict().items()}


def _more(app: App, past: Past) -> Iterator[str]:
    """How long both keys worked, who used the old one meanwhile, and what it waited for."""
    if past.old_off and past.new_made:
        yield f"both keys worked for {span(past.old_off - past.new_made).replace('just now', 'less than a minute')}"
    if past.used_at:
        yield f"meanwhile the old key was used by {past.used_by}, last on {past.used_at.astimezone():%Y-%m-%d %H:%M}"
    if past.copies:
        yield f"changed with it: {join(map(app.show_path, past.copies))}"
    if past.commands:
        yield f"commands run: {join(past.commands)}"
