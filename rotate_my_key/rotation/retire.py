"""Retires a key that no place here holds: an active one is switched off, an inactive one deleted. One step a call."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import dataclass

from ..errors import Gone, Problem, mask
from ..model import AccessKey, Identity, LastUse, Look, Past
from .facts import Here, is_stranded, listed, readable_notes
from .ports import Account


@dataclass(frozen=True, slots=True)
class Retirement:
    """What would be done: `key` is switched off if it is active, else deleted."""

    key: AccessKey
    identity: Identity
    last_use: LastUse | None

    @property
    def deletes(self) -> bool:
        """Whether this call deletes it."""
        return not self.key.active


def find_key(asked: str, look: Look, here: Here) -> AccessKey:
    """The user's key that is meant: its id, or the last characters of it (four or more), if they fit just one.

    Raises Problem.
    """
    who = look.identity
    keys = listed(look.keys, here.history).values()
    fitting = [key for key in keys if key.key_id == asked] or [
        key for key in keys if len(asked) >= 4 and key.key_id.endswith(asked.upper())
    ]
    if not fitting:
        known = " and ".join(mask(key.key_id) for key in keys) or "none"
        raise Problem(f"{who.user} in {who.account} has no key {asked!r} (has {known})", "rotate-my-key status")
    if len(fitting) > 1:
        raise Problem(f"{asked!r} fits two keys of {who.user}", "rotate-my-key status --json")
    return fitting[0]


def plan_retirement(asked: str, look: Look, account: Account, here: Here) -> Retirement:
    """Which key, and what would be done to it. Raises Problem for a key that is in use here."""
    if not look.identity.is_user:
        raise Problem(f"{look.identity.arn} is not an IAM user", "rotate-my-key status")
    key = find_key(asked, look, here)
    _check_places(key.key_id, here)
    _check_notes(key, here)
    return Retirement(key, look.identity, account.last_use(key.key_id))


def retire(plan: Retirement, account: Account, here: Here) -> None:
    """Do it, and write it into the history. The places are searched again first."""
    key_id = plan.key.key_id
    _check_places(key_id, here)
    with suppress(Gone):  # the list has shown it, so somebody else has just deleted it
        account.delete(key_id) if plan.deletes else account.set_active(key_id, False)
    action, deleted = ("deleted", (key_id,)) if plan.deletes else ("switched off", ())
    who = plan.identity
    here.history.add(Past(account.now(), action, who.account, who.arn, key_id, None, deleted))


def _check_places(key_id: str, here: Here) -> None:
    held = [holding.place for holding in here.places.search([key_id]) if holding.pair]
    if held:
        names = " and ".join(f"{place.profile} in {place.path}" for place in held)
        raise Problem(
            f"key {mask(key_id)} is in use here: {names}",
            shlex.join(["rotate-my-key", "rotate", "--force", "-p", held[0].profile])
            if held[0].is_read
            else "rotate-my-key doctor",
        )


def _check_notes(key: AccessKey, here: Here) -> None:
    """A key that a rotation may still put into its places must not go: one that works, or that `undo` switches on. A
    kept old one may; and so may any of a rotation whose places all hold other keys by now."""
    notes = [note for note in readable_notes(here) if note.wanted == key.key_id and (key.active or note.undo)]
    if any(not is_stranded(note, here) for note in notes):
        raise Problem(f"key {mask(key.key_id)} belongs to an unfinished rotation", "rotate-my-key")
