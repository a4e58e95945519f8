"""`history`: past rotations on this computer, with whole ids and no secrets."""

from __future__ import annotations

from ..core.model import Past
from . import show
from .app import App
from .wiring import Wiring


def run(app: App, *, as_json: bool) -> None:
    """Show past rotations on this computer: when, which key gave way to which, for whom."""
    entries = Wiring.of(app).history.entries()
    if as_json:
        app.json({"history": [_json(past) for past in entries]})
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
    for line in show.columns(rows):
        app.out(line)


def _json(past: Past) -> dict[str, object]:
    return {
        "at": show.stamp(past.at),
        "action": past.action,
        "account": past.account,
        "arn": past.arn,
        "old": past.old,
        "new": past.new,
        "deleted": list(past.deleted),
        "places": list(past.places),
    }
