"""What earlier runs began: finds their notes, rebuilds those that cannot be read, and lets the loop finish them.

Consent is in the note, so finishing asks nothing. A note that cannot be settled blocks only its own user. Of a rotation
whose pairs are still stored a person may ask two things: `undo` turns it round, and the loop does the rest by the same
table; `restore` puts a stored pair back where something emptied or replaced a file, and changes no key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..core.errors import KeyRefused, OtherIdentity, Problem, TryLater, Unreadable
from ..core.hints import Hint
from ..core.model import AccessKey, Credentials, Identity, Look, Place
from ..core.plan import SETTLE, Note, PlaceState
from ..core.policy import Policy, mask
from .engine import Rotation, Waiter
from .facts import (
    Callers,
    LocalState,
    deleted,
    first_world,
    is_held,
    is_young,
    listed,
    place_states,
    readable_notes,
    say_once,
    see,
    stored,
)
from .ports import Account, Ending, Outcome, Progress
from .steps import EMPTIED, forget, noter, prove_as, put_back, save_beside

_OTHER_HOST = timedelta(minutes=10)
_MOST_OTHERS = 16


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A rotation that an earlier run began: its note, or why there is none."""

    name: str
    note: Note | None
    problem: Problem | None = None

    @property
    def ids(self) -> set[str]:
        """The keys that it is about."""
        return {self.name, *(self.note.ids if self.note else ())}


def unfinished(here: LocalState, *, mend: bool) -> list[Unfinished]:
    """All rotations under way. With `mend` (only under the lock) unreadable notes are moved aside and rebuilt."""
    names = list(here.notes.names())
    names += [name for name in here.staging.names() if name not in names]
    found = [_load(name, here, mend) for name in names]
    return [f for f in found if f.note or f.problem]


def _load(name: str, here: LocalState, mend: bool) -> Unfinished:
    """What a newer version wrote, or a locked keyring that holds the staged pair, stops no other key."""
    note, lost = None, None
    try:
        try:
            note = here.notes.load(name)
        except Unreadable as problem:
            if not mend:
                raise
            aside = here.notes.set_aside(name)
            lost = Problem(f"{problem.message}; it was moved to {aside}", Hint("status"))
        note = _rebuilt(name, here) if note is None and mend else note
    except Problem as problem:
        return Unfinished(name, None, problem)
    return Unfinished(name, note, None if note else lost)


def _rebuilt(name: str, here: LocalState) -> Note | None:
    """The note from a stored record, which carries all of it but the places that were found since. Without a staged
    pair it is what a run left that was killed before it changed anything, or after the last: it goes, if a profile
    holds the very pair or its key was deleted here. A record that cannot be read leaves its pair where it is."""
    stored = here.staging.get(name)
    staged, kept, record = stored.get("staged"), stored.get("kept"), here.staging.get_record(name)
    if staged is None and (kept is None or is_held(kept, here) or kept.key_id in deleted(here.history)):
        here.staging.drop(name)
        return None
    try:
        note = here.notes.decode(record or b"")
    except Unreadable:
        return None
    note = replace(note, wanted=note.wanted or (staged.key_id if staged else None), sent=None)
    here.notes.create(note)
    return note


def candidates(note: Note, here: LocalState) -> list[Credentials]:
    """The rotation's own pairs, stored or in a place, the wanted one first."""
    pairs, ids = stored(note.name, here), note.ids
    for holding in here.places.search(ids, note.places):
        if holding.pair and holding.pair.key_id in ids:
            pairs.setdefault(holding.pair.key_id, holding.pair)
    if note.wanted is None:  # the answer may have been staged and not noted
        ids = (*(key_id for key_id in pairs if key_id not in ids), *ids)
    return [pairs[key_id] for key_id in ids if key_id in pairs]


def look_at(
    note: Note, account: Account, here: LocalState, callers: Callers | None = None
) -> tuple[Look, list[Credentials]]:
    """What AWS shows of the user of a note, and the pairs that may sign, one that works in front. Raises OtherIdentity
    if it is another user, account or endpoint; KeyRefused if no pair here is that user's."""
    at = account.endpoint
    if note.endpoint and note.endpoint != at:
        raise _not_ours(note, at)
    own = candidates(note, here)
    look = _first_look(note, own, account, here, callers or Callers())
    if look.identity != note.identity:
        raise _not_ours(note, f"{look.identity.arn} at {at}")
    return look, own if look.auth_profile else [look.signer, *(pair for pair in own if pair != look.signer)]


def _first_look(note: Note, own: list[Credentials], account: Account, here: LocalState, callers: Callers) -> Look:
    """By the first pair that works: the rotation's own, then any other of its user's that a place here holds. A key
    that is dead costs no waiting: only the keys of a rotation that is minutes young are waited for."""
    refusal = KeyRefused(
        f"the earlier rotation of key {mask(note.name)} cannot be finished: this computer no longer has a key of "
        f"{note.identity.user} in {note.identity.account}",
        Hint("adopt"),
    )
    young = False
    for number, pair in enumerate(own):
        if number and callers.whose(pair, account) is None:
            continue
        if said := callers.refused(pair, account):
            refusal = said
            continue
        try:
            return account.look([pair])
        except KeyRefused as problem:
            refusal = refusal if number else problem
            young = is_young(_last_change(note), account.now())
            callers = Callers() if young else callers  # what is refused now may not be in a minute
            callers.add(pair, account, problem)
    # Other pairs in profiles here, those that are likely to be the user's first; a few, as each costs a call
    owners = {past.new: Identity(past.account, past.arn) for past in here.history.entries()}
    profiles = {place.profile for place in note.places}
    held = {h.pair: h.place.profile in profiles for h in here.places.pairs() if h.pair and h.pair not in own}
    likely = [pair for pair in held if owners.get(pair.key_id, note.identity) == note.identity]
    for pair in sorted(likely, key=lambda pair: (pair.key_id not in owners, not held[pair]))[:_MOST_OTHERS]:
        if callers.whose(pair, account) == note.identity:
            return account.look([pair])
    if young:
        return account.look(own, patient=True)
    raise refusal


def _not_ours(note: Note, seen: str) -> OtherIdentity:
    return OtherIdentity(
        f"the rotation of key {mask(note.name)} is for {note.identity.arn} at {note.endpoint or 'AWS'}, "
        f"but this is {seen}; nothing was changed",
        Hint("status"),
    )


def _last_change(note: Note) -> datetime:
    return max(filter(None, (note.began, note.sent, *note.lost, note.made)))


def _check_host(note: Note, here: LocalState, now: datetime) -> None:
    """Raises TryLater while the computer that began it may be at work, by AWS's clock: a home may be shared."""
    if not here.host.wrote(note) and abs(now - note.began) < _OTHER_HOST:
        raise TryLater(f"a rotation of key {mask(note.name)} started on {note.host} a few minutes ago", Hint())


def resume(
    note: Note,
    account: Account,
    here: LocalState,
    progress: Progress,
    policy: Policy,
    waiter: Waiter,
    callers: Callers | None = None,
    *,
    undo: bool = False,
) -> Outcome:
    """Finish, or take back, what a note says was begun; end a note whose keys are gone. With `undo` the old key is
    wanted again, once it is certain that this may be settled here and now. Raises Problem kinds; Problem (exit 1,
    nothing changed) if what AWS shows is another user, account or endpoint."""
    # A backup brought the note back if both keys, and all that is stored, were deleted here since
    if note.wanted is not None and {*note.ids, *stored(note.name, here)} <= deleted(here.history):
        forget(note.name, here)
        return _ended(Outcome(Ending.DROPPED, note.name, None, note.identity.account, note.identity.arn), here)
    try:
        look, pairs = look_at(note, account, here, callers)
    except (KeyRefused, OtherIdentity) as problem:
        _check_host(note, here, account.now())
        raise say_once(problem, note, here) from None
    _check_host(note, here, account.now())
    account.sign_with(pairs)
    if undo and not (note.back and note.undo):
        note = save_beside(note.swapped(undo=True), here)
    world = first_world(look, note.name, here, note)
    certain = note.made is not None or note.wanted in note.known
    if note.wanted and note.wanted not in world.keys and certain and not is_young(_last_change(note), look.now):
        world = replace(world, first_look=look.now - SETTLE)  # no list lags for minutes: it is gone
    world, known = see(world, note.name, here)
    rotation = Rotation(note.name, account, here, progress, policy, waiter)
    return _ended(rotation.run(world, {**{p.key_id: p for p in pairs}, **known}), here)


def _ended(outcome: Outcome, here: LocalState) -> Outcome:
    """With the day on which a rotation whose note had come back was finished, if our history has it."""
    if outcome.ending is not Ending.DROPPED:
        return outcome
    ends = [past.at for past in here.history.entries() if outcome.old in past.deleted or outcome.old == past.old]
    return replace(outcome, ended=ends[-1]) if ends else outcome


def undoable(found: Sequence[Unfinished], profile: str | None, here: LocalState) -> Note:
    """The rotation whose old key is still there: of `profile`, or the only one. Raises Problem if there is none, or
    more than one."""
    notes = [each.note for each in found if each.note and _can_turn(each.note, here)]
    return _choose(notes, profile, "undo", "is kept (rotate --overlap 1d keeps it working for a day)")


def _can_turn(note: Note, here: LocalState) -> bool:
    """Whether both the new key and the pair of the old one are there to be swapped, or it was turned before."""
    if note.back:
        return note.undo
    return note.wanted is not None and "kept" in here.staging.get(note.name)


def describe(note: Note) -> str:
    """What would happen, in a line."""
    old, new = (note.wanted, note.unwanted) if note.back else (note.unwanted, note.wanted)
    return f"this puts key {mask(old or '')} back and deletes {mask(new or '')}"


@dataclass(frozen=True, slots=True)
class Restoration:
    """What `restore` would do: `pair` goes into `places`, instead of `other` or of nothing; `left` hold another key."""

    note: Note
    pair: Credentials
    other: Credentials | None
    places: tuple[Place, ...]
    left: tuple[Place, ...]


def restorable(found: Sequence[Unfinished], profile: str | None, here: LocalState) -> Note:
    """The rotation of which a pair is stored: of `profile`, or the only one. Raises Problem as `undoable` does."""
    return _choose([n.note for n in found if n.note and here.staging.get(n.name)], profile, "restore", "is kept")


def is_missing(profile: str, here: LocalState) -> bool:
    """Whether a pair of this profile is stored, and the profile holds none now."""
    for note in readable_notes(here.notes):
        places = [place for place in note.places if place.profile == profile]
        if places and here.staging.get(note.name) and any(not h.pair for h in here.places.search([], places)):
            return True
    return False


def plan_restoration(note: Note, account: Account, here: LocalState) -> Restoration:
    """Which stored pair goes where: that of the new key if it is active, else that of the old one. Raises Problem
    kinds, also if no stored key is active any more."""
    look, _ = look_at(note, account, here)
    keys = listed(look.keys, here.history)
    pairs = stored(note.name, here)
    order = [pairs[key_id] for key_id in note.ids if key_id in pairs]
    pair = next((pair for pair in order if _works(pair, keys.get(pair.key_id), note, account)), None)
    if pair is None:
        raise Problem(f"no stored key of {look.identity.user} is active any more", Hint("status"))
    other = next((each for each in order if each is not pair), None)
    aim = replace(note, wanted=pair.key_id, unwanted=other.key_id if other else "")
    states = place_states(aim, here.places.search([pair.key_id], note.places), pairs, here)
    # What an undo has not come to is the undo's to change.
    to_fill = EMPTIED if note.back else {*EMPTIED, PlaceState.UNWANTED}
    return Restoration(
        note,
        pair,
        other,
        tuple(place for place, state in states.items() if state in to_fill),
        tuple(place for place, state in states.items() if state is PlaceState.OTHER),
    )


def restore(plan: Restoration, account: Account, here: LocalState) -> None:
    """Sign in with the stored pair, put it into its places, and sign in with what is read there. Under the lock. Raises
    Problem kinds. No key is changed at AWS, and what is stored stays."""
    prove_as(plan.note.identity, plan.pair, account, 3)
    put_back(plan.places, plan.pair, plan.note, here)
    if plan.other:
        here.places.write(plan.places, plan.other, plan.pair, noter(plan.note, here))
    for holding in here.places.search([], plan.places):
        if holding.pair != plan.pair:
            raise Problem(f"another program has just changed {holding.place.path}", Hint("restore"))
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
        where = f" for profile {profile}" if profile else ""
        raise Problem(f"nothing to {verb}{where}: no old key {what}", Hint("history"))
    if len(notes) > 1:
        names = sorted({place.profile for note in notes for place in note.places})
        raise Problem(
            f"there is more than one key to {verb} (profiles {', '.join(names)})", f"rotate-my-key {verb} -p {names[0]}"
        )
    return notes[0]
