"""From the rows of `status` to what the reminder has to say. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from ..policy import Policy
from ..rows import STATIC, Row
from .state import KEPT, KEY, UNFINISHED, Item, State


def derive(rows: Iterable[Row], policy: Policy, exclude: Collection[str] = ()) -> State:
    """What there is to say of these rows, which are marked with the notes of rotations.

    Left out: keys of unknown age, refused or exempt ones, and those of profiles that are not to be rotated.
    """
    found = [item for row in rows if (item := _item(row, policy, exclude))]
    return State(found, int(policy.max_age.total_seconds()))


def _item(row: Row, policy: Policy, exclude: Collection[str]) -> Item | None:
    names = tuple(str(name) for name in row.get("profiles") or ())
    key_id = str(row.get("key_id") or "")
    if row.get("kind") != STATIC:
        return None
    if row.get("unfinished") and not row.get("told"):
        return Item(UNFINISHED, key_id, names, 0)
    if kept_until := _seconds(row.get("switched_off_until")):
        return Item(KEPT, key_id, names, 0, kept_until)
    created = _seconds(row.get("created"))
    if not created or row.get("refused") or row.get("exempt") or not set(names).isdisjoint(exclude):
        return None
    moment = datetime.fromtimestamp(created, UTC)
    due, overdue = int(policy.due_at(moment).timestamp()), int(policy.overdue_at(moment).timestamp())
    return Item(KEY, key_id, names, max(due, 0), max(overdue, 0), created, _seconds(row.get("seen_at")))


def _seconds(text: object) -> int:
    """Epoch seconds of an ISO 8601 time with its zone; 0 for anything else."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return 0
    return max(int(moment.timestamp()), 0) if moment and moment.tzinfo else 0
