"""What earlier runs began: finds their notes, rebuilds those that cannot be read, and lets the loop finish them.

Consent is in the note, so finishing asks nothing. A note that cannot be settled blocks only its own user.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..errors import Problem, TryLater, Unreadable, mask
from ..model import Credentials, Look
from ..plan import Note
from ..policy import Policy
from .engine import Clockwork, Rotation
from .facts import Here, first_world, see
from .outcome import Outcome
from .ports import Account, Progress

_OTHER_HOST = timedelta(minutes=10)
_YOUNG = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A rotation that an earlier run began: its note, or why there is none."""

    name: str
    note: Note | None
    problem: Problem | None = None


def unfinished(here: Here, *, mend: bool) -> list[Unfinished]:
    """All rotations under way. With `mend` (only under the lock) unreadable notes are moved aside and rebuilt."""
    names = list(here.notes.names())
    names += [name for name in here.staging.names() if name not in names]
    found = [_load(name, here, mend) for name in names]
    return [f for f in found if f.note or f.problem]


def _load(name: str, here: Here, mend: bool) -> Unfinished:
    try:
        return _read(name, here, mend)
    except TryLater as problem:  # the keyring that holds its staged pair is locked: that stops no other key
        return Unfinished(name, None, problem)


def _read(name: str, here: Here, mend: bool) -> Unfinished:
    try:
        note = here.notes.load(name)
    except Unreadable as problem:
        if not mend:
            return Unfinished(name, None, problem)
        aside = here.notes.set_aside(name)
        note = _rebuilt(name, here)
        lost = Problem(f"{problem.message}; it was moved to {aside}", "rotate-my-key status")
        return Unfinished(name, note, None if note else lost)
    except Problem as problem:
        return Unfinished(name, None, problem)
    try:
        note = _rebuilt(name, here) if note is None and mend else note
    except Problem as problem:  # a record that a newer version wrote
        return Unfinished(name, None, problem)
    return Unfinished(name, note)


def _rebuilt(name: str, here: Here) -> Note | None:
    """The note from the staged record, which carries all of it but the places; those are found by the ids.

    A record without a staged pair is what a run left that was killed before it changed anything.
    """
    staged = here.staging.get(name).get("staged")
    record = here.staging.get_record(name)
    if staged is None or record is None:
        here.staging.drop(name)
        return None
    try:
        note = here.notes.decode(record)
    except Unreadable:
        return None
    note = replace(note, wanted=note.wanted or staged.key_id, sent=None)
    here.notes.create(note)
    return note


def check_host(note: Note, host: str, now: datetime) -> None:
    """With a home that several computers share, another computer's run of this minute is not ours to finish.

    Raises TryLater.
    """
    if note.host and host and note.host != host and now - note.began < _OTHER_HOST:
        raise TryLater(f"a rotation of key {mask(note.name)} began on {note.host} a few minutes ago", "rotate-my-key")


def candidates(note: Note, here: Here) -> list[Credentials]:
    """The pairs that may sign for this rotation, the wanted one first."""
    stored = {p.key_id: p for p in here.staging.get(note.name).values()}
    ids = [key_id for key_id in (note.wanted, note.unwanted) if key_id]
    for holding in here.places.search(ids, note.places):
        if holding.pair and holding.pair.key_id in ids:
            stored.setdefault(holding.pair.key_id, holding.pair)
    if note.wanted is None:  # the answer may have been staged and not noted
        ids = [*(key_id for key_id in stored if key_id not in ids), *ids]
    return [stored[key_id] for key_id in ids if key_id in stored]


def resume(
    note: Note, account: Account, here: Here, progress: Progress, policy: Policy, clockwork: Clockwork
) -> Outcome:
    """Finish, or take back, what a note says was begun.

    Raises Problem kinds; Problem (exit 1, nothing changed) if what AWS shows is another user, account or endpoint.
    """
    look, pairs = look_at(note, account, here)
    account.sign_with(pairs)
    world, known = see(first_world(look, note.name, here, note), note.name, here)
    rotation = Rotation(note.name, account, here, progress, policy, clockwork)
    return rotation.run(world, {**{p.key_id: p for p in pairs}, **known})


def look_at(note: Note, account: Account, here: Here) -> tuple[Look, list[Credentials]]:
    """What AWS shows of the user of a note, and the pairs that may sign.

    Raises Problem kinds; Problem if it is another user, account or endpoint, or no pair is here any more.
    """
    pairs = candidates(note, here)
    if not pairs:
        raise Problem(
            f"neither the old nor the new secret of the rotation of {mask(note.name)} is here any more",
            f"rotate-my-key status, then rotate-my-key delete-key {note.wanted or note.unwanted}",
        )
    look = account.look(pairs, patient=account.now() - note.began < _YOUNG)
    if look.identity != note.identity or (note.endpoint and note.endpoint != account.endpoint):
        raise Problem(
            f"the rotation of key {mask(note.name)} belongs to {note.identity.arn} at {note.endpoint or 'AWS'}, "
            f"and this is {look.identity.arn} at {account.endpoint}; nothing was changed",
            "rotate-my-key status",
        )
    return look, pairs
