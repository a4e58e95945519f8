"""The whole rotation on one page: the facts, which step comes next, and what each step changes in the facts.

Pure: no file, no clock, no network. `next_step` looks at the facts only, so it does not matter how we got here: a first
run, a run after `kill -9`, taking back and undo are the same table, read with wanted and unwanted swapped. `after`
carries the facts forward between two looks at AWS; it is also all that `--dry-run` needs.

Words: the *wanted* key is the one that the places shall hold in the end, the *unwanted* one shall be gone from AWS."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from .model import AccessKey, Identity, InPlace, LastUse, Place, PlaceKind
from .policy import LIVE, LIVE_SOON, Policy, Verdict

# A CreateAccessKey is given 15 s to answer; one that was carried out shows in the list within that time again.
SETTLE = timedelta(seconds=15)
# CreateDate has whole seconds and comes from another host than the Date header.
_BEFORE, _AFTER = timedelta(seconds=2), timedelta(seconds=20)
# After the switch we sign with the new key, and for some minutes with the old one where that is refused.
_OURS = timedelta(minutes=15)
_ONCE_MORE = timedelta(days=1)  # at least, for what is used daily

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
    FOLLOW = "follow"
    RESTORE = "restore"
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
    """What a place holds, in the words of one rotation. EMPTY: no key, or one that this tool has deleted since. AWAY:
    its file is not there, or cannot be read now; it may come back with whatever it held. OWN: the unwanted key, by
    right: the place had it before two keys became one, and that is being taken back. OTHER: what a person put there."""

    WANTED = "wanted"
    UNWANTED = "unwanted"
    TORN = "torn"
    EMPTY = "empty"
    AWAY = "away"
    OWN = "own"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Note:
    """What cannot be looked up about one rotation. No secret, and nothing that can be seen: not "proven", not a phase.

    `name` is the id of the key that was to be replaced; `known` are the ids listed at the start; `may_delete` is the
    inactive id that the person agreed to give up for room; `sent` is when a CreateAccessKey went out whose answer is
    not known, `lost` when earlier ones did, `made` when the new key was made; `again` is set once the key of such an
    answer was removed and another is to be made; `told` once it was said that no run can finish it; `copies` if other
    files that hold the pair change with it; `followed` once all that was asked to follow has the wanted key; `leaked`
    if the unwanted key waits for nobody; `live` if it waits for the programs that the keyring gave it. For the history:
    `took` are the files that changed too, `off` is when a key that is kept was switched off, `used_by` what used it.

    The unwanted key goes on working until `switch_off_at`, and is kept, switched off, until `delete_at`. Both count
    from the switch; `since` is when that was (or when the programs of a live profile have asked again), or when it was
    last kept on because something else used it: at `used`, as last seen, and until `latest` at the most (None, in a
    note of an older version: once, and then it is `extended`). All times are AWS's; `switch_off_at` or `delete_at`
    equal to `began` mean at once."""

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
    made: datetime | None = None
    again: bool = False
    in_place: tuple[InPlace, ...] = ()
    undo: bool = False
    told: bool = False
    copies: bool = False
    followed: bool = False
    leaked: bool = False
    live: bool = False
    extended: bool = False
    since: datetime | None = None
    used: datetime | None = None
    latest: datetime | None = None
    used_by: str = ""
    off: datetime | None = None
    took: tuple[str, ...] = ()
    host: str = ""
    boot: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """The wanted key, if there is one yet, and the unwanted one."""
        return tuple(filter(None, (self.wanted, self.unwanted)))

    @property
    def back(self) -> bool:
        """Whether the key that was to be replaced is wanted again: taking back, or `undo`."""
        return self.wanted == self.name

    @property
    def overlaps(self) -> bool:
        """Whether the unwanted key goes on working for a while after the switch."""
        return self.switch_off_at > self.began

    def is_over(self, now: datetime) -> bool:
        """Whether the places have the wanted key, and the unwanted one was kept as long as was agreed to."""
        kept = self.since is not None or self.delete_at > self.began
        until = self.switch_off_at if self.overlaps else self.delete_at
        return kept and not self.back and self.wanted is not None and until <= now

    def switched(self, places: Collection[Place], now: datetime) -> Note:
        """The note once these places take the wanted key: what was agreed to counts from then. A program that the
        keyring gave the unwanted key has it until it asks again; that of `undo` was given for a shorter time."""
        note = self._counted(now)
        if not self.live or self.leaked or all(place.kind is not PlaceKind.KEYRING for place in places):
            return note
        asked = now + (LIVE_SOON if self.back else LIVE)
        off = max(asked, note.switch_off_at)
        keep = max(self.delete_at - (self.switch_off_at if self.overlaps else self.since or self.began), timedelta(0))
        return replace(note, since=asked, switch_off_at=off, delete_at=off + keep)

    def _counted(self, now: datetime) -> Note:
        if self.since or self.delete_at == self.began:
            return self
        off, gone, latest = (
            at + max(now - self.began, timedelta(0)) if at and at > self.began else at
            for at in (self.switch_off_at, self.delete_at, self.latest)
        )
        assert off and gone
        return replace(self, since=now, switch_off_at=off, delete_at=gone, latest=latest)

    def switched_off(self, now: datetime) -> Note:
        """The note once the unwanted key is switched off after an overlap: it is kept as long as was agreed to."""
        if not self.overlaps:
            return self
        keep = self.delete_at - self.switch_off_at
        return replace(self, switch_off_at=self.began, delete_at=now + keep if keep else self.began)

    def is_used(self, use: LastUse | None) -> bool:
        """Whether something else than this tool has used the unwanted key since the switch, or since it was last seen
        to. Of our own calls AWS tells as of any others, as a use of iam or sts."""
        if use is None or use.at is None:
            return False
        return use.at > (self.used or self.since or self.began) + (timedelta(0) if use.is_evidence else _OURS)

    def kept_on(self, use: LastUse, now: datetime) -> Note | None:
        """The note with another overlap, because of this use; None if that was as long as it may be."""
        once_more = max(self.switch_off_at - (self.since or self.began), _ONCE_MORE)
        until = min(now + once_more, self.latest) if self.latest else now + (self.delete_at - self.began)
        if until <= now or (self.extended and not self.latest):
            return None
        keep = self.delete_at - self.switch_off_at
        return replace(self.seen(use), since=now, switch_off_at=until, delete_at=until + keep, extended=True)

    def seen(self, use: LastUse) -> Note:
        """The note with the last use by something else."""
        return replace(self, used=use.at, used_by=f"{use.service} in {use.region}")

    def swapped(self, *, undo: bool = False) -> Note:
        """The same rotation in the other direction, without delay."""
        assert self.wanted is not None
        return replace(
            self,
            wanted=self.unwanted,
            unwanted=self.wanted,
            switch_off_at=self.began,
            delete_at=self.began,
            undo=undo,
            told=False,
            followed=False,
            off=None,
            took=(),
        )


@dataclass(frozen=True, slots=True)
class World:
    """The facts of one turn.

    `asked` is set while a rotation that is due may begin, `forced` if it may begin whatever the age. `keys` are what
    IAM lists (carried forward after certain answers), fetched at `listed_at`; `first_look` is when this run first
    looked. `secrets` are the ids whose pair is stored here or stands in a place. The rest is what this run itself has
    seen: `begun` here, NoRoom (`full`), whether `keys` are as AWS last listed them (`fresh_list`), ids deleted (`gone`)
    and switched `on`, ids that somebody uses or a place here holds (`used`), ids that were checked and found unused
    (`unused`), ids that signed in (`proven`), also as read from their places (`checked`), steps that AWS denied, and
    the files that were asked to follow and could not (`owed`; None until that was tried). `untold` names the person's
    commands that are still to be told of the wanted key before the unwanted one goes."""

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
    gone: frozenset[str] = frozenset()
    on: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    unused: frozenset[str] = frozenset()
    proven: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()
    denied: frozenset[Step] = frozenset()
    owed: tuple[str, ...] | None = None
    untold: tuple[str, ...] = ()

    def places_in(self, *states: PlaceState) -> list[Place]:
        """The places in one of these states, in order."""
        return [place for place, state in self.places.items() if state in states]


def next_step(world: World, policy: Policy, now: datetime) -> Step:
    """The next step of the rotation that `world` shows."""
    if world.note is None:
        key = world.keys.get(world.key_id)
        if key is None or not world.asked:
            return Step.DONE
        due = world.forced or policy.verdict(key, now) is not Verdict.FRESH
        return Step.BEGIN if due else Step.DONE
    if world.note.wanted is None:
        return _without_wanted(world, world.note)
    return _towards(world, world.note, world.note.wanted, now)


def _without_wanted(world: World, note: Note) -> Step:
    """No new key is known: was one made, and whose secret did not arrive?"""
    if found := stranger(world):
        return Step.DISCARD if found in world.unused else Step.LOOK
    if note.sent is not None and world.listed_at < note.sent + SETTLE:
        return Step.LOOK
    if not world.places_in(PlaceState.UNWANTED):
        return _nowhere(world, note)
    if not (note.sent is not None or note.lost or note.again or world.begun):
        return Step.DROP
    if not world.full:
        return Step.CREATE
    room = world.keys.get(note.may_delete or "")
    if room and not room.active:  # the consent was to give up an inactive key
        return Step.MAKE_ROOM
    # The second key may be the one of a lost answer that the list does not show yet.
    if note.lost and world.listed_at < world.first_look + 2 * SETTLE and len(world.keys) < 2:
        return Step.LOOK
    return Step.DROP


def _towards(world: World, note: Note, wanted: str, now: datetime) -> Step:
    """A wanted key is known: bring it into its places, then retire the other."""
    key = world.keys.get(wanted)
    if note.unwanted not in world.keys and _may_be_young(world, note):
        return Step.LOOK
    if key is None:
        if world.listed_at < world.first_look + SETTLE:
            return Step.LOOK
        placed = world.places_in(PlaceState.WANTED, PlaceState.TORN)
        both_gone = note.unwanted not in world.keys
        if both_gone or (not note.back and not placed and may_forget(world)):
            return Step.DROP
        return _back_or_blocked(world, note)
    if note.undo and not only_others(world) and _may_be_off(world, key):
        return Step.SWITCH_ON
    if Step.SWITCH_ON in world.denied and world.listed_at < world.first_look + SETTLE:
        return Step.LOOK
    if not key.active:
        return _back_or_blocked(world, note)
    if world.places_in(PlaceState.UNWANTED, PlaceState.TORN):
        # Its secret may be lost: then a key that was made for this rotation goes, and any other stays where it is
        if wanted in world.secrets:
            return Step.SWITCH if wanted in world.proven else Step.PROVE
        return Step.DROP if note.back or wanted in note.known else Step.DISCARD
    if not world.places_in(PlaceState.WANTED):
        return _nowhere(world, note)
    return _retire(world, note, wanted, now)


def _may_be_off(world: World, key: AccessKey) -> bool:
    """Whether a key is switched off, or may be: a list may be older than the run that did it, and it signs in for some
    seconds more."""
    if not key.active:
        return True
    settled = key.key_id in world.on or Step.SWITCH_ON in world.denied
    return not settled and key.key_id in world.secrets


def _nowhere(world: World, note: Note) -> Step:
    """No place holds either key: no key is retired and no stored pair is removed, unless both are gone from AWS.
    Something emptied or replaced the files, or their disk is away. `undo` puts the stored pair back."""
    if may_forget(world):
        return Step.DROP
    if not note.undo or note.wanted not in world.secrets or only_others(world):
        return Step.BLOCKED
    return Step.RESTORE if note.wanted in world.proven else Step.PROVE


def _retire(world: World, note: Note, wanted: str, now: datetime) -> Step:
    """The places hold the wanted key, and none the unwanted one."""
    unwanted = world.keys.get(note.unwanted)
    kept_by_right = note.back and note.unwanted in note.known
    if kept_by_right:
        return _finish(world, note, wanted)
    switch_off = unwanted is not None and unwanted.active and Step.DEACTIVATE not in world.denied
    due = note.switch_off_at if switch_off else note.delete_at
    # "At once" is not left to a clock that AWS's next answer may set back.
    early = unwanted is not None and note.began < due and now < due
    if _must_follow(world, note, early=early):
        return Step.FOLLOW if wanted in world.checked else Step.CHECK
    if unwanted is None:
        return _finish(world, note, wanted)
    if waits_for_owed(world, note):
        return Step.BLOCKED
    if early:
        return Step.WAIT
    if Step.DELETE in world.denied or world.places_in(PlaceState.AWAY):
        return Step.BLOCKED
    if wanted not in world.checked:
        return Step.CHECK
    return Step.DEACTIVATE if switch_off else Step.DELETE


def _must_follow(world: World, note: Note, *, early: bool) -> bool:
    """Whether this run has still to bring the wanted key to all that was asked to follow: once a run. Commands take
    their time, which a key that has leaked does not have: they run after it is gone."""
    if world.owed is not None:
        return False
    copies = note.copies and {note.wanted, note.unwanted} <= world.secrets and not (early and note.followed)
    return copies or bool(world.untold and not note.leaked)


def waits_for_owed(world: World, note: Note) -> bool:
    """Whether the unwanted key must go on working, because something that was asked to follow could not. A key that has
    leaked waits for nobody; one that somebody else switched off is of no use any more to what waits for it."""
    unwanted = world.keys.get(note.unwanted)
    return bool(world.owed or world.untold) and unwanted is not None and unwanted.active and not note.leaked


def _finish(world: World, note: Note, wanted: str) -> Step:
    """The unwanted key is gone, or stays by right: was one of a lost answer made besides, and do the places work?"""
    if note.lost and not world.fresh_list:
        return Step.LOOK
    if found := stranger(world):
        return Step.DISCARD if found in world.unused else Step.LOOK
    if wanted not in world.checked:
        return Step.CHECK
    return Step.FINISH if may_forget(world) else Step.BLOCKED


def may_forget(world: World) -> bool:
    """Whether the stored pairs may be removed: of each the key is gone from AWS, or a place that was just read holds
    the very same pair."""
    assert world.note is not None
    wanted, unwanted = world.note.wanted, world.note.unwanted
    placed = {wanted} if world.places_in(PlaceState.WANTED) else set()
    placed |= {unwanted} if world.places_in(PlaceState.UNWANTED, PlaceState.OWN) else set()
    return all(key_id not in world.keys for key_id in world.secrets & {wanted, unwanted} - placed)


def only_others(world: World) -> bool:
    """Whether no place may take the wanted key: each holds one that a person put there, or has by right."""
    return set(world.places.values()) <= {PlaceState.OTHER, PlaceState.OWN}


def _may_be_young(world: World, note: Note) -> bool:
    """Whether the list may lack the unwanted key only because an earlier run has made it just now."""
    made_here = note.back and note.unwanted not in note.known and note.unwanted not in world.gone
    return made_here and world.listed_at < world.first_look + SETTLE


def _back_or_blocked(world: World, note: Note) -> Step:
    """Turn round, once a run, if the other key still works, and its pair is here and has a place to go to. Else the
    rotation is over if no place is left, or one key is gone, and nothing is lost with it."""
    other = world.keys.get(note.unwanted)
    ours = world.places_in(PlaceState.WANTED, PlaceState.UNWANTED, PlaceState.TORN)
    to_be_written = world.places_in(PlaceState.WANTED, PlaceState.TORN)
    can_be_put_back = ours and (note.unwanted in world.secrets or not to_be_written)
    if can_be_put_back and other is not None and other.active and Step.TAKE_BACK not in world.denied:
        return Step.TAKE_BACK
    over = not ours or other is None or note.wanted not in world.keys
    return Step.DROP if over and may_forget(world) else Step.BLOCKED


def stranger(world: World) -> str | None:
    """The key of a lost answer: exactly one id that was unknown when the request went out, made within that request's
    time, whose secret is not here and of which no use is known. Any other unknown key is somebody else's. It is
    discarded only if this run has asked for its use (`World.unused`)."""
    note = world.note
    if note is None:
        return None
    ours = {note.wanted, note.unwanted, *note.known, *world.secrets, *world.used}
    found = [
        key.key_id
        for key in world.keys.values()
        if key.key_id not in ours and any(_made_then(key, sent) for sent in unanswered(note))
    ]
    return found[0] if len(found) == 1 else None


def unanswered(note: Note, but_for: AccessKey | None = None) -> tuple[datetime, ...]:
    """When each CreateAccessKey was sent whose outcome is not known; but for the one that made this key: a request
    makes one key, so whatever else was made in its time is somebody else's."""
    times = note.lost if note.sent is None else (*note.lost, note.sent)
    known = next((sent for sent in times if but_for and _made_then(but_for, sent)), None)
    return tuple(sent for sent in times if sent != known)


def _made_then(key: AccessKey, sent: datetime) -> bool:
    return sent - _BEFORE <= key.created <= sent + _AFTER


def to_discard(world: World) -> str:
    """Which key DISCARD deletes: the stranger, or the wanted key whose secret is not here."""
    assert world.note is not None
    found = stranger(world)
    gone = found if found in world.unused else world.note.wanted
    assert gone is not None
    return gone


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
            return world if note is None else _with_wanted(step, world, note, now)


def _with_wanted(step: Step, world: World, note: Note, now: datetime) -> World:
    wanted = frozenset({note.wanted}) if note.wanted else frozenset[str]()
    match step:
        case Step.PROVE:
            return replace(world, proven=world.proven | wanted)
        case Step.CHECK:
            return replace(world, proven=world.proven | wanted, checked=world.checked | wanted)
        case Step.SWITCH:
            return _placed(world, note, {PlaceState.UNWANTED, PlaceState.TORN}, now)
        case Step.RESTORE:
            return _placed(world, note, {PlaceState.EMPTY, PlaceState.AWAY}, now)
        case Step.FOLLOW:
            return replace(world, note=replace(note, followed=True), owed=(), untold=())
        case Step.SWITCH_ON:
            return _with_status(replace(world, on=world.on | wanted), note.wanted, "Active")
        case Step.DEACTIVATE:
            return _with_status(replace(world, note=note.switched_off(now)), note.unwanted, "Inactive")
        case _:
            return _deleted(step, world, note)


def _placed(world: World, note: Note, left: set[PlaceState], now: datetime) -> World:
    wanted = note.wanted or ""
    places = {place: PlaceState.WANTED if state in left else state for place, state in world.places.items()}
    return replace(world, note=note.switched(places, now), places=places, checked=world.checked | {wanted})


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
