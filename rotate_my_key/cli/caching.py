"""Keeps what a run of `rotate` learnt for `status --cached` and the reminder. A cache that cannot be written stops
nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ..errors import Problem
from ..rotation.outcome import Ending, Outcome
from ..rotation.run import Result
from ..rows import STATIC, Row
from . import reminding, show
from .app import App
from .wiring import Wiring

_REPLACED = {Ending.ROTATED, Ending.MERGED, Ending.WAITING}


def remember(wiring: Wiring, app: App, results: Sequence[Result]) -> None:
    """Note the keys that were looked at or made: the profiles that held the old id hold the new one now."""
    known = [r.outcome for r in results if r.outcome and r.outcome.created and r.outcome.arn]
    if not known:
        reminding.refresh(app)
        return
    cache = reminding.cache(app)
    rows = cache.load().rows
    for outcome in known:
        rows = _with(rows, outcome)
    try:
        cache.save(rows)
    except Problem as problem:
        app.detail(f"the status could not be kept: {problem.message}")


def _with(rows: list[Row], outcome: Outcome) -> list[Row]:
    held = [row for row in rows if row.get("key_id") in (outcome.old, outcome.new)]
    key_id = outcome.new if outcome.ending in _REPLACED and outcome.new else outcome.old
    places = [place for row in held for place in row.get("places") or []]
    row = {
        "profiles": list(
            dict.fromkeys([*(n for r in held for n in r["profiles"]), *(p.profile for p in outcome.places)])
        ),
        "kind": STATIC,
        "key_id": key_id,
        "account": outcome.account,
        "user": outcome.arn.rsplit("/", 1)[-1],
        "created": show.stamp(outcome.created),
        "last_use": held[0].get("last_use") if held and key_id == outcome.old else None,
        "exempt": outcome.ending is Ending.EXEMPT,
        "seen_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "places": places or [show.place_json(place) for place in outcome.places],
    }
    if not held:
        return [*rows, row]
    return [row if each is held[0] else each for each in rows if each is held[0] or each not in held]
