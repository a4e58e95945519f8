"""What a look at a user's keys changes in what is remembered of them. Pure.

- A key that is found switched off, and not by the fleet, is off from the day on which it was first seen so. Where a run
  was about to do it, the fleet did it; the intent stays until its owner was told.
- A key that works although it was switched off, or was used on a later day, was switched on by somebody: everything
  about it begins anew, its notices too. So does a key that is used after its notices and is not due by its age.
- A key that is gone is forgotten, but for a deletion of which its owner was not told.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ..policy import Policy, Verdict
from .memory import KeyMemory, Memory, ref
from .model import FleetKey, FleetUser
from .rules import off_since


def observed(user: FleetUser, memory: Memory, policy: Policy, now: datetime) -> dict[str, KeyMemory]:
    """The memory after a look at all keys of a user, whose ids are known."""
    seen = {ref(key.key_id or ""): _seen(key, memory, policy, now) for key in user.keys}
    ids = {key.key_id for key in user.keys}
    gone = {name: known for name, known in memory.items() if name != ref(name) and name not in ids}
    return {name: known for name, known in {**seen, **gone}.items() if known != KeyMemory()}


def _seen(key: FleetKey, memory: Memory, policy: Policy, now: datetime) -> KeyMemory:
    known = memory.get(ref(key.key_id or ""), KeyMemory())
    since = off_since(known)
    used = key.last_use.at.date() if key.last_use and key.last_use.at else None
    if key.active:
        answered = known.first and used and used >= known.first and policy.verdict(key, now) is Verdict.FRESH
        if since or answered:
            return KeyMemory(made=known.made, back=now.date() if since else known.back)
        return replace(known, intended=None)
    if since is None and known.intended:
        known, since = replace(known, off=known.intended), known.intended
    if since is None or (used and used > since):
        return replace(known, off=None, revoked=None, found_off=now.date(), intended=None)
    return known
