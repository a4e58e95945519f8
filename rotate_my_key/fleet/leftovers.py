"""Acts that an earlier run carried out and did not bring to their end: it was cut off, or the owner could not be told.
The list and the tag show them. Pure.

- Until the owner was told, the tag keeps the intent of an act. With `off` beside it, the audit has its outcome too.
- A deletion stands in the tag under the whole id of its key, for the key is in no list any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time

from .decisions import Act, ActionKind
from .memory import KeyMemory, Memory, ref
from .model import FleetKey
from .user_facts import UserLook


@dataclass(frozen=True, slots=True)
class UnfinishedAction:
    """An act, and the user whose key it is about. `recorded`: the audit has its outcome, and only telling is left."""

    act: Act
    found: UserLook
    recorded: bool


def left_of(found: UserLook) -> Iterator[UnfinishedAction]:
    """What is left of one user."""
    user, memory = found.facts.user, found.facts.memory
    for key in user.keys:
        known = found.facts.known(key)
        if not key.active and known.intended and known.off:
            why = f"switched off on {known.off}, by a run that was cut off or could not tell"
            before = found.recorded.get(ref(key.key_id or ""), KeyMemory())
            yield UnfinishedAction(Act(ActionKind.DEACTIVATE, user, key, why), found, before.off is not None)
    for name, known in deletions(memory).items():
        if known.intended:
            made = datetime.combine(known.made or known.intended, time(), UTC)
            why = f"deleted on {known.intended}, by a run that was cut off or could not tell"
            yield UnfinishedAction(
                Act(ActionKind.DELETE, user, FleetKey(False, made, name), why), found, known.off is not None
            )


def deletions(memory: Memory) -> dict[str, KeyMemory]:
    """What is remembered of deletions, by the whole id."""
    return {name: known for name, known in memory.items() if name != ref(name)}


def intended(memory: Memory, act: Act, today: date) -> Memory:
    """The memory before an act."""
    key_id = act.key.key_id or ""
    if act.kind is ActionKind.DELETE:
        return {**memory, key_id: KeyMemory(made=act.key.created.date(), intended=today)}
    return {**memory, ref(key_id): replace(memory.get(ref(key_id), KeyMemory()), intended=today)}


def settled(memory: Memory, act: Act, today: date, *, told: bool) -> Memory:
    """The memory after an act that the audit has; what is not told keeps its intent."""
    key_id = act.key.key_id or ""
    name = key_id if act.kind is ActionKind.DELETE else ref(key_id)
    known = memory.get(name, KeyMemory())
    known = replace(known, off=known.off or today, intended=None if told else known.intended or today)
    if act.kind is not ActionKind.DELETE:
        return {**memory, name: known}
    left = {each: kept for each, kept in memory.items() if each not in (ref(key_id), key_id)}
    return left if told else {**left, key_id: replace(known, made=act.key.created.date())}
