"""How a run of one rotation ended, as values for the screen, for `--json` and for the history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from ..model import AccessKey, Past, Place
from ..plan import Note, PlaceState, Step, World


class Ending(Enum):
    """How a run ended; the value is the word in `--json`."""

    ROTATED = "rotated"
    MERGED = "merged"
    UNDONE = "undone"
    TAKEN_BACK = "taken back"
    WAITING = "waiting"
    DROPPED = "dropped"
    REPLACED = "replaced"
    FRESH = "fresh"
    EXEMPT = "exempt"
    DECLINED = "declined"
    DUE = "due"  # in a dry run: it would be rotated


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. `new` and `created` are of the key that the places hold now; `until` is for a kept one.
    `ended`: when a rotation was finished whose note came back, with a backup, and was now removed."""

    ending: Ending
    old: str
    new: str | None = None
    account: str = ""
    arn: str = ""
    places: tuple[Place, ...] = ()
    until: datetime | None = None
    ended: datetime | None = None
    created: datetime | None = None
    steps: tuple[Step, ...] = ()


def ending_of(note: Note) -> Ending:
    """The word for a finished rotation."""
    if note.back:
        return Ending.UNDONE if note.undo else Ending.TAKEN_BACK
    return Ending.MERGED if note.wanted in note.known else Ending.ROTATED


def outcome_of(ending: Ending, note: Note, world: World, steps: tuple[Step, ...]) -> Outcome:
    """The outcome of a rotation that had a note."""
    key: AccessKey | None = world.keys.get(note.wanted or "")
    unwanted = world.keys.get(note.unwanted)
    until = None
    if ending is Ending.WAITING:
        until = note.switch_off_at if unwanted and unwanted.active else note.delete_at
    return Outcome(
        ending=ending,
        old=note.name,
        new=note.unwanted if note.back else note.wanted,
        account=note.identity.account,
        arn=note.identity.arn,
        places=tuple(world.places_in(PlaceState.WANTED)),
        until=until,
        created=key.created if key else None,
        steps=steps,
    )


def past_of(note: Note, now: datetime) -> Past:
    """The line of the history for a finished rotation."""
    kept_by_right = note.back and note.unwanted in note.known
    return Past(
        at=now,
        action=ending_of(note).value,
        account=note.identity.account,
        arn=note.identity.arn,
        old=note.name,
        new=note.unwanted if note.back else note.wanted,
        deleted=() if kept_by_right else (note.unwanted,),
        places=tuple(sorted(f"{place.path} [{place.profile}]" for place in note.places)),
    )
