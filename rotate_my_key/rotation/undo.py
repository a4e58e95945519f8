"""Which rotation `undo` turns round: the note is swapped, and the loop does the rest by the same table."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import Problem, mask
from ..plan import Note
from .facts import Here
from .unfinished import Unfinished


def undoable(found: Sequence[Unfinished], profile: str | None, here: Here) -> Note:
    """The rotation whose old key is still there: of `profile`, or the only one.

    Raises Problem if there is none, or more than one.
    """
    notes = [each.note for each in found if each.note and _can_turn(each.note, here)]
    if profile is not None:
        notes = [note for note in notes if any(place.profile == profile for place in note.places)]
    if not notes:
        where = f" of profile {profile}" if profile else ""
        raise Problem(
            f"there is no rotation{where} to undo: no old key is kept (rotate --keep-old 7d keeps it for a week)",
            "rotate-my-key history",
        )
    if len(notes) > 1:
        names = sorted({place.profile for note in notes for place in note.places})
        raise Problem(f"more than one old key is kept ({', '.join(names)})", f"rotate-my-key undo -p {names[0]}")
    return notes[0]


def turn(note: Note, here: Here) -> Note:
    """Note, durably, that the old key is wanted again. A rotation that is being undone already stays as it is."""
    if note.back and note.undo:
        return note
    turned = note.swapped(undo=True)
    here.notes.save(turned)
    return turned


def _can_turn(note: Note, here: Here) -> bool:
    """Whether both the new key and the pair of the old one are there to be swapped, or it was turned before."""
    if note.back:
        return note.undo
    return note.wanted is not None and "kept" in here.staging.get(note.name)


def describe(note: Note) -> str:
    """What would happen, in a line."""
    old, new = (note.wanted, note.unwanted) if note.back else (note.unwanted, note.wanted)
    return f"key {mask(old or '')} is put back and works again, and key {mask(new or '')} is deleted"
