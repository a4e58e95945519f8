"""The whole rotation on one page: the facts, and which step comes next.

Pure: no file, no clock, no network. `next_step` looks at the facts only, so it does not matter how we got here: a first
run, a run after `kill -9`, taking back and undo are the same table, read with wanted and unwanted swapped.

Words: the *wanted* key is the one that the places shall hold in the end, the *unwanted* one shall be gone from AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from .model import AccessKey, Credentials, Identity, InPlace, Place, Policy, Verdict

# A CreateAccessKey is given 15 s to answer; one that was carried out shows in the list within that time again.
SETTLE = timedelta(seconds=15)
# CreateDate has whole seconds and comes from another host than the Date header.
_BEFORE, _AFTER = timedelta(seconds=2), timedelta(seconds=20)

NOTE_VERSION = 1


class Step(Enum):
    """What the loop does next; the value is the word in `--json`."""

    BEGIN = "begin"
    DROP = "drop"
    LOOK = "look"
    DISCARD = "discard"
    CREATE = "create"
    MAKE_ROOM = "make room"
    SWITCH_ON = "switch on"
    PROVE = "prove"
    SWITCH = "switch"
    CHECK = "check"
    DEACTIVATE = "deactivate"
    DELETE = "delete"
    FINISH = "finish"
    TAKE_BACK = "take back"
    # The loop ends here:
    WAIT = "wait"
    BLOCKED = "blocked"
    DONE = "done"


ENDS = frozenset({Step.WAIT, Step.BLOCKED, Step.DONE})


class PlaceState(Enum):
    """What a place holds, in the words of one rotation."""

    WANTED = "wanted"
    UNWANTED = "unwanted"
    TORN = "torn"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Note:
    """What cannot be looked up about one rotation. No secret, and nothing that can be seen: not "proven", not a phase.

    `name` is the id of the key that was to be replaced; `known` are the ids listed at the start; `may_delete` is the
    inactive id that the person agreed to give up for room; `sent` is when a CreateAccessKey went out whose answer is
    not known, `lost` when earlier ones did. All times are AWS's.
    """

    name: str
    identity: Identity
    endpoint: str
    unwanted: str
    known: tuple[str, ...]
    places: tuple[Place, ...]
    began: datetime
    switch_off_at: datetime
    delete_at: datetime
    wanted: str | None = None
    may_delete: str | None = None
    sent: datetime | None = None
    lost: tuple[datetime, ...] = ()
    in_place: tuple[InPlace, ...] = ()
    undo: bool = False
    told: bool = False
    host: str = ""
    boot: str = ""

    @property
    def back(self) -> bool:
        """Whether the key that was to be replaced is wanted again: taking back, or `undo`."""
        return self.wanted == self.name

    def swapped(self, now: datetime, *, undo: bool = False) -> Note:
        """The same rotation in the other direction, without delay."""
        assert self.wanted is not None
        return replace(
            self,
            wanted=self.unwanted,
            unwanted=self.wanted,
            switch_off_at=now,
            delete_at=now,
            undo=undo,
            told=False,
        )


@dataclass(frozen=True, slots=True)
class World:
    """The facts of one turn.

    `asked` is set while a rotation that is due may begin, `forced` if it may begin whatever the age. `keys` are what
    IAM lists (carried forward after certain answers), fetched at `listed_at`; `first_look` is when this run first
    looked. `secrets` are the ids whose pair is stored here. The rest is what this run itself has seen.
    """

    key_id: str
    keys: Mapping[str, AccessKey]
    places: Mapping[Place, PlaceState]
    first_look: datetime
    listed_at: datetime
    note: Note | None = None
    draft: Note | None = None
    secrets: frozenset[str] = frozenset()
    asked: bool = False
    forced: bool = False
    begun: bool = False
    full: bool = False
    fresh_list: bool = True
    used: frozenset[str] = frozenset()
    proven: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()
    denied: frozenset[Step] = field(default_factory=frozenset)

    def places_in(self, *states: PlaceState) -> list[Place]:
        """The places in one of these states, in order."""
        return [place for place, state in self.places.items() if state in states]


def next_step(world: World, policy: Policy, now: datetime) -> Step:
    """The next step of the rotation that `world` shows."""
    if world.note is None:
        return _without_note(world, policy, now)
    if world.note.wanted is None:
        return _without_wanted(world, world.note)
    return _towards(world, world.note, world.note.wanted, now)


def _without_note(world: World, policy: Policy, now: datetime) -> Step:
    key = world.keys.get(world.key_id)
    if key is None or not world.asked:
        return Step.DONE
    due = world.forced or policy.verdict(key, now) is not Verdict.FRESH
    return Step.BEGIN if due else Step.DONE


def _without_wanted(world: World, note: Note) -> Step:
    """No new key is known: was one made, and whose secret did not arrive?"""
    if stranger(world):
        return Step.DISCARD
    if note.sent is not None and world.listed_at < note.sent + SETTLE:
        return Step.LOOK
    sent = note.sent is not None or note.lost
    if not world.places_in(PlaceState.UNWANTED) or not (sent or world.begun):
        return Step.DROP
    if not world.full:
        return Step.CREATE
    if note.may_delete in world.keys:
        return Step.MAKE_ROOM
    # The second key may be the one of a lost answer that the list does not show yet.
    if note.lost and world.listed_at < world.first_look + 2 * SETTLE and len(world.keys) < 2:
        return Step.LOOK
    return Step.DROP


def _towards(world: World, note: Note, wanted: str, now: datetime) -> Step:
    """A wanted key is known: bring it into its places, then retire the other."""
    key = world.keys.get(wanted)
    if key is None:
        return _wanted_missing(world, note, wanted)
    if not key.active:
        return Step.SWITCH_ON if note.undo else _back_or_blocked(world, note)
    if world.places_in(PlaceState.UNWANTED, PlaceState.TORN):
        return _into_places(world, note, wanted)
    return _retire(world, note, wanted, now)


def _wanted_missing(world: World, note: Note, wanted: str) -> Step:
    if world.listed_at < world.first_look + SETTLE:
        return Step.LOOK
    placed = world.places_in(PlaceState.WANTED, PlaceState.TORN)
    return _back_or_blocked(world, note) if note.back or placed else Step.DROP


def _into_places(world: World, note: Note, wanted: str) -> Step:
    if wanted not in world.secrets:
        return Step.BLOCKED if note.back or wanted in note.known else Step.DISCARD
    return Step.SWITCH if wanted in world.proven else Step.PROVE


def _retire(world: World, note: Note, wanted: str, now: datetime) -> Step:
    """No place holds the unwanted pair any more."""
    unwanted = world.keys.get(note.unwanted)
    kept_by_right = note.back and note.unwanted in note.known
    if unwanted is None or kept_by_right:
        if note.lost and not world.fresh_list:
            return Step.LOOK
        return Step.DISCARD if stranger(world) else Step.FINISH
    placed = bool(world.places_in(PlaceState.WANTED))
    if not placed and not note.back and unwanted.active and now >= note.switch_off_at:
        return _back_or_blocked(world, note)
    switch_off = unwanted.active and Step.DEACTIVATE not in world.denied
    if now < (note.switch_off_at if switch_off else note.delete_at):
        return Step.WAIT
    if Step.DELETE in world.denied:
        return Step.BLOCKED
    if placed and wanted not in world.checked:
        return Step.CHECK
    return Step.DEACTIVATE if switch_off else Step.DELETE


def _back_or_blocked(world: World, note: Note) -> Step:
    """Turn round, once a run, if the other key still works and its pair is still here."""
    other = world.keys.get(note.unwanted)
    if other is None or not other.active or Step.TAKE_BACK in world.denied:
        return Step.BLOCKED
    held = world.places_in(PlaceState.WANTED, PlaceState.TORN)
    return Step.BLOCKED if held and note.unwanted not in world.secrets else Step.TAKE_BACK


def stranger(world: World) -> str | None:
    """The key of a lost answer: exactly one id that was unknown when the request went out, made within that request's
    time, whose secret is not here and of which no use is known. Any other unknown key is somebody else's."""
    note = world.note
    if note is None:
        return None
    ours = {note.wanted, note.unwanted, *note.known, *world.secrets, *world.used}
    times = [note.sent, *note.lost] if note.sent is not None else list(note.lost)
    found = [
        key.key_id
        for key in world.keys.values()
        if key.key_id not in ours and any(t - _BEFORE <= key.created <= t + _AFTER for t in times)
    ]
    return found[0] if len(found) == 1 else None


def to_discard(world: World) -> str:
    """Which key DISCARD deletes: the stranger, or the wanted key whose secret is not here."""
    assert world.note is not None
    found = stranger(world) or world.note.wanted
    assert found is not None
    return found


def classify(
    held: Credentials | None, wanted: Credentials | str | None, unwanted: Credentials | str, torn: bool
) -> PlaceState:
    """What a place holds. A pair that is known by its id only (its secret is not here) is compared by id."""
    if torn:
        return PlaceState.TORN
    if _same(held, unwanted):
        return PlaceState.UNWANTED
    return PlaceState.WANTED if _same(held, wanted) else PlaceState.OTHER


def _same(held: Credentials | None, known: Credentials | str | None) -> bool:
    if held is None or known is None:
        return False
    return held.key_id == known if isinstance(known, str) else held == known


def after(step: Step, world: World, now: datetime, made: AccessKey | None = None) -> World:
    """The facts after a step that certainly went well; for the loop between two looks, and for `--dry-run`."""
    note = world.note
    match step:
        case Step.BEGIN:
            return replace(world, note=world.draft, begun=True, secrets=world.secrets | {world.key_id})
        case Step.DROP:
            return replace(world, note=None, begun=False)
        case Step.FINISH:
            return replace(world, note=None, asked=False)
        case Step.CREATE:
            assert note is not None and made is not None
            made_known = replace(note, wanted=made.key_id, sent=None)
            keys = {**world.keys, made.key_id: made}
            return replace(world, note=made_known, keys=keys, secrets=world.secrets | {made.key_id}, fresh_list=False)
        case Step.TAKE_BACK:
            assert note is not None
            swap = {PlaceState.WANTED: PlaceState.UNWANTED, PlaceState.UNWANTED: PlaceState.WANTED}
            places = {place: swap.get(state, state) for place, state in world.places.items()}
            return replace(world, note=note.swapped(now), places=places)
        case _:
            assert note is not None
            return _after_small(step, world, note)


def _after_small(step: Step, world: World, note: Note) -> World:
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
        case Step.DISCARD:
            gone = to_discard(world)
            lost = note.lost if note.sent is None else (*note.lost, note.sent)
            kept = None if gone == note.wanted else note.wanted
            return replace(_without(world, gone), note=replace(note, sent=None, lost=lost, wanted=kept), full=False)
        case Step.MAKE_ROOM:
            assert note.may_delete is not None
            return replace(_without(world, note.may_delete), full=False)
        case Step.DELETE:
            return _without(world, note.unwanted)
        case Step.SWITCH_ON:
            assert note.wanted is not None
            return _with_status(world, note.wanted, "Active")
        case Step.DEACTIVATE:
            return _with_status(world, note.unwanted, "Inactive")
        case _:
            return world


def _without(world: World, key_id: str) -> World:
    keys = {k: v for k, v in world.keys.items() if k != key_id}
    return replace(world, keys=keys, fresh_list=False)


def _with_status(world: World, key_id: str, status: str) -> World:
    changed = replace(world.keys[key_id], status=status)
    return replace(world, keys={**world.keys, key_id: changed}, fresh_list=False)
