"""What a person may ask of a rotation whose pairs are still stored.

`undo` turns it round, and the loop does the rest by the same table. `restore` puts a stored pair back where something
emptied or replaced a file, and changes no key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import KeyRefused, Problem, mask
from ..model import AccessKey, Credentials, Place
from ..plan import Note, PlaceState
from .facts import Here, listed, place_states, readable_notes
from .ports import Account
from .steps import EMPTIED, noter, prove_as, put_back, save_turned
from .unfinished import Unfinished, look_at


def undoable(found: Sequence[Unfinished], profile: str | None, here: Here) -> Note:
    """The rotation whose old key is still there: of `profile`, or the only one.

    Raises Problem if there is none, or more than one.
    """
    notes = [each.note for each in found if each.note and _can_turn(each.note, here)]
    return _choose(notes, profile, "undo", "is kept (rotate --keep-old 7d keeps it for a week)")


def turn(note: Note, here: Here) -> Note:
    """Note, durably, that the old key is wanted again. A rotation that is being undone already stays as it is."""
    if note.back and note.undo:
        return note
    return save_turned(note.swapped(undo=True), here)


def _can_turn(note: Note, here: Here) -> bool:
    """Whether both the new key and the pair of the old one are there to be swapped, or it was turned before."""
    if note.back:
        return note.undo
    return note.wanted is not None and "kept" in here.staging.get(note.name)


def describe(note: Note) -> str:
    """What would happen, in a line."""
    old, new = (note.wanted, note.unwanted) if note.back else (note.unwanted, note.wanted)
    return f"key {mask(old or '')} is put back and works again, and key {mask(new or '')} is deleted"


@dataclass(frozen=True, slots=True)
class Restoration:
    """What `restore` would do: `pair` goes into `places`, instead of `other` or of nothing; `left` hold another key."""

    note: Note
    pair: Credentials
    other: Credentials | None
    places: tuple[Place, ...]
    left: tuple[Place, ...]


def restorable(found: Sequence[Unfinished], profile: str | None, here: Here) -> Note:
    """The rotation of which a pair is stored: of `profile`, or the only one. Raises Problem as `undoable` does."""
    return _choose([n.note for n in found if n.note and here.staging.get(n.name)], profile, "restore", "is kept")


def is_missing(profile: str, here: Here) -> bool:
    """Whether a pair of this profile is stored, and the profile holds none now."""
    for note in readable_notes(here):
        places = [place for place in note.places if place.profile == profile]
        if places and here.staging.get(note.name) and any(not h.pair for h in here.places.search([], places)):
            return True
    return False


def plan_restoration(note: Note, account: Account, here: Here) -> Restoration:
    """Which stored pair goes where: that of the new key if it is active, else that of the old one.

    Raises Problem kinds, also if no stored key is active any more.
    """
    look, _ = look_at(note, account, here)
    keys = listed(look.keys, here.history)
    stored = {pair.key_id: pair for pair in here.staging.get(note.name).values()}
    order = [stored[key_id] for key_id in (note.wanted, note.unwanted) if key_id in stored]
    pair = next((pair for pair in order if _works(pair, keys.get(pair.key_id), note, account)), None)
    if pair is None:
        raise Problem(f"no kept key of {look.identity.user} is active any more", "rotate-my-key status")
    other = next((each for each in order if each is not pair), None)
    aim = replace(note, wanted=pair.key_id, unwanted=other.key_id if other else "")
    states = place_states(aim, here.places.search([pair.key_id], note.places), stored, here)
    to_fill = {*EMPTIED, PlaceState.UNWANTED}
    return Restoration(
        note,
        pair,
        other,
        tuple(place for place, state in states.items() if state in to_fill),
        tuple(place for place, state in states.items() if state is PlaceState.OTHER),
    )


def restore(plan: Restoration, account: Account, here: Here) -> None:
    """Sign in with the stored pair, put it into its places, and sign in with what is read there. Under the lock.

    Raises Problem kinds. No key is changed at AWS, and what is stored stays.
    """
    prove_as(plan.note.identity, plan.pair, account, 3)
    put_back(plan.places, plan.pair, plan.note, here)
    if plan.other:
        here.places.write(plan.places, plan.other, plan.pair, noter(plan.note, here))
    for holding in here.places.search([], plan.places):
        if holding.pair != plan.pair:
            raise Problem(f"another program wrote {holding.place.path} just now", "rotate-my-key restore")
        prove_as(plan.note.identity, holding.pair, account, 1)


def _works(pair: Credentials, key: AccessKey | None, note: Note, account: Account) -> bool:
    """Whether the key is active. One that this rotation has just made may be missing in the list: it is tried."""
    if key is not None or pair.key_id in note.known:
        return key is not None and key.active
    try:
        return bool(account.identify(pair))
    except KeyRefused:
        return False


def _choose(notes: Sequence[Note], profile: str | None, verb: str, what: str) -> Note:
    if profile is not None:
        notes = [note for note in notes if any(place.profile == profile for place in note.places)]
    if not notes:
        where = f" of profile {profile}" if profile else ""
        raise Problem(f"there is nothing{where} to {verb}: no old key {what}", "rotate-my-key history")
    if len(notes) > 1:
        names = sorted({place.profile for note in notes for place in note.places})
        raise Problem(
            f"there is more than one key to {verb} ({', '.join(names)})", f"rotate-my-key {verb} -p {names[0]}"
        )
    return notes[0]
