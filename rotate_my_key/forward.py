"""What each step changes in the facts, if it certainly went well: they are carried forward between two looks at AWS.

Pure. It is also all that `--dry-run` needs: the same table, on facts that nothing was done to.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from .model import AccessKey
from .plan import Note, PlaceState, Step, World, stranger, to_discard, unanswered

_SWAPPED = {PlaceState.WANTED: PlaceState.UNWANTED, PlaceState.UNWANTED: PlaceState.WANTED}


def after(step: Step, world: World, now: datetime, made: AccessKey | None = None) -> World:
    """The facts after a step; `made` is the key that CREATE gave. A step that ends the loop changes nothing."""
    note = world.note
    match step:
        case Step.BEGIN:
            draft = world.draft
            assert draft is not None
            pairs = {draft.unwanted, *([draft.wanted] if draft.wanted else [])}
            return replace(world, note=draft, begun=True, secrets=world.secrets | pairs)
        case Step.DROP | Step.FINISH:
            return replace(world, note=None, asked=False, begun=False)
        case Step.CREATE:
            assert note is not None and made is not None
            known = replace(note, wanted=made.key_id, sent=None, made=made.created)
            keys = {**world.keys, made.key_id: made}
            return replace(world, note=known, keys=keys, secrets=world.secrets | {made.key_id}, fresh_list=False)
        case Step.TAKE_BACK:
            assert note is not None
            places = {place: _SWAPPED.get(state, state) for place, state in world.places.items()}
            return replace(world, note=note.swapped(), places=places, owed=None)
        case Step.LOOK:
            found = stranger(world)
            unused = world.unused | {found} if found else world.unused
            return replace(world, listed_at=now, fresh_list=True, unused=unused)
        case _:
            return world if note is None else _with_wanted(step, world, note)


def _with_wanted(step: Step, world: World, note: Note) -> World:
    wanted = frozenset({note.wanted}) if note.wanted else frozenset[str]()
    match step:
        case Step.PROVE:
            return replace(world, proven=world.proven | wanted)
        case Step.CHECK:
            return replace(world, proven=world.proven | wanted, checked=world.checked | wanted)
        case Step.SWITCH:
            left = {PlaceState.UNWANTED, PlaceState.TORN}
            places = {p: PlaceState.WANTED if s in left else s for p, s in world.places.items()}
            return replace(world, places=places, checked=world.checked | wanted)
        case Step.RESTORE:
            empty = {PlaceState.EMPTY, PlaceState.AWAY}
            places = {p: PlaceState.WANTED if s in empty else s for p, s in world.places.items()}
            return replace(world, places=places, checked=world.checked | wanted)
        case Step.FOLLOW:
            return replace(world, note=replace(note, followed=True), owed=())
        case Step.SWITCH_ON:
            return _with_status(replace(world, on=world.on | wanted), note.wanted, "Active")
        case Step.DEACTIVATE:
            return _with_status(world, note.unwanted, "Inactive")
        case _:
            return _deleted(step, world, note)


def _deleted(step: Step, world: World, note: Note) -> World:
    match step:
        case Step.DISCARD:
            gone = to_discard(world)
            stray = gone != note.wanted
            lost = unanswered(note, world.keys[gone] if stray else None)
            kept = note.wanted if stray else None
            left = replace(note, sent=None, lost=lost, again=note.again or stray, wanted=kept)
            world = replace(world, note=left, full=False)
            return _without(world, gone)
        case Step.MAKE_ROOM:
            return _without(replace(world, full=False), note.may_delete)
        case Step.DELETE:
            return _without(world, note.unwanted)
        case _:
            return world


def _without(world: World, key_id: str | None) -> World:
    assert key_id is not None
    keys = {k: v for k, v in world.keys.items() if k != key_id}
    return replace(world, keys=keys, gone=world.gone | {key_id}, fresh_list=False)


def _with_status(world: World, key_id: str | None, status: str) -> World:
    assert key_id is not None
    changed = replace(world.keys[key_id], status=status)
    return replace(world, keys={**world.keys, key_id: changed}, fresh_list=False)
