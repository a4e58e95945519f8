"""Keeps what AWS said, for `status --cached` and for the reminder. A cache that cannot be written stops nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ..errors import Problem
from ..model import AccessKey, Identity, Seen
from ..rotation.outcome import Ending
from ..rotation.run import Result
from .app import App
from .wiring import Wiring

_REPLACED = {Ending.ROTATED, Ending.MERGED, Ending.WAITING}


def remember(wiring: Wiring, app: App, results: Sequence[Result]) -> None:
    """Note the keys that a run of `rotate` has looked at or made."""
    files = (app.paths.credentials, app.paths.config)
    for result in results:
        outcome = result.outcome
        if outcome is None or outcome.created is None or not outcome.arn:
            continue
        replaced = outcome.ending in _REPLACED and outcome.new
        key_id = outcome.new if replaced and outcome.new else outcome.old
        use = result.prospect.look.last_use if result.prospect and not replaced else None
        seen = Seen(
            key_id=key_id,
            at=datetime.now(UTC),
            identity=Identity(outcome.account, outcome.arn),
            key=AccessKey(key_id, "Active", outcome.created),
            last_use=use,
            exempt=bool(result.prospect and result.prospect.exempt),
        )
        try:
            wiring.cache.merge(seen, [outcome.old] if replaced else [], files)
        except Problem as problem:
            app.detail(f"the status could not be kept: {problem.message}")
