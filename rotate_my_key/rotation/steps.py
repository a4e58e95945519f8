"""What each step of a rotation does. One function a step: it takes the facts and gives the facts after it.

A step that raises leaves the world as the next run can read it: what is noted is noted before it is done, and a secret
is stored and fsynced before anything else happens to it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..core.errors import Denied, Gone, KeyRefused, OtherIdentity, Problem, TryLater, Unanswered
from ..core.hints import Hint
from ..core.model import Credentials, Identity, InPlace, Place
from ..core.plan import SETTLE, Note, PlaceState, Step, World, after, to_discard
from ..core.policy import Past, mask
from .facts import LocalState, is_held, is_nothing, settled_since
from .ports import Account, Did, Ending, Progress

_LEFT = (PlaceState.UNWANTED, PlaceState.TORN)
EMPTIED = (PlaceState.EMPTY, PlaceState.AWAY)


@dataclass(slots=True)
class Steps:
    """The steps of one rotation in one run; `pairs` are the pairs known by id."""

    account: Account
    here: LocalState
    progress: Progress
    pause: Callable[[float], None]
    pairs: dict[str, Credentials]
    _shown: set[str] = field(default_factory=set)

    def take(self, step: Step, world: World) -> World:
        """Do one step, by the method of its name; gives the facts after it."""
        if world.fresh_list:
            self._shown |= world.keys.keys()
        do: Callable[[World], World] = getattr(self, f"_{step.name.lower()}")
        return do(world)

    # Beginning and ending

    def _begin(self, world: World) -> World:
        """Reserve the staging record, keep the old pair, write the note; what cannot end well was refused before. Of an
        old key that no place here holds there is no pair to keep."""
        note = world.draft
        assert note is not None
        staging, record = self.here.staging, self.here.notes.encode(note)
        staging.reserve(note.name, note.places)
        if note.unwanted in self.pairs:
            staging.put(note.name, "kept", self.pairs[note.unwanted], record)
        if note.wanted:
            staging.put(note.name, "staged", self.pairs[note.wanted], record)
        self.here.notes.create(note)
        return after(Step.BEGIN, world, self.account.now())

    def _drop(self, world: World) -> World:
        forget(_note(world).name, self.here)
        return after(Step.DROP, world, self.account.now())

    def _finish(self, world: World) -> World:
        note, history = _note(world), self.here.history
        past = self._past(note, self.account.now())
        try:
            # Once: a run that was killed right after writing this line leaves the note
            if all(line[1:7] != past[1:7] for line in history.entries()):
                history.add(past)
        except Problem as problem:
            self.progress.warn(f"the history could not be written: {problem.message}")
        forget(note.name, self.here)
        return after(Step.FINISH, world, self.account.now())

    def _past(self, note: Note, now: datetime) -> Past:
        """The line of the history, with what the unwanted key waited for."""
        kept_by_right = note.back and note.unwanted in note.known
        # One that was kept switched off stopped working long ago
        off = note.off or (note.since if note.delete_at > note.began else now)
        commands = () if note.leaked else self.here.commands.of(note.places)
        return Past(
            at=now,
            action=ending_of(note).value,
            account=note.identity.account,
            arn=note.identity.arn,
            old=note.name,
            new=note.unwanted if note.back else note.wanted,
            deleted=() if kept_by_right else (note.unwanted,),
            places=tuple(sorted(f"{place.path} [{place.profile}]" for place in note.places)),
            new_made=None if note.back else note.made,
            old_off=None if note.back else off,
            used_at=note.used,
            used_by=note.used_by,
            copies=note.took,
            commands=tuple(hook.name for hook in commands if hook.holds_old),
        )

    # Making the new key

    def _look(self, world: World) -> World:
        """Fetch IAM's list again, a second after the last time; of what is new in it, ask whether anybody uses it."""
        if world.fresh_list:
            self.pause(1.0)
        world = settled_since(world, self.account.keys(), self.account.now(), self.here.history)
        note = _note(world)
        new = {k for k in world.keys if k not in note.known and k != note.wanted} - world.used
        held = {h.pair.key_id for h in self.here.places.search(new) if h.pair} if new else set[str]()
        used = held | {k for k in new - held if (use := self.account.last_use(k)) and use.is_evidence}
        return replace(world, used=world.used | used, unused=(world.unused | new) - used)

    def _create(self, world: World) -> World:
        """Note the sending, send once, store the answer before anything else."""
        note = _note(world)
        lost = note.lost if note.sent is None else (*note.lost, note.sent)
        note = self._save(replace(note, sent=self.account.now(), lost=lost))

        def sent_again() -> None:
            nonlocal note
            note = self._save(replace(note, sent=self.account.now()))

        try:
            pair, key = self.account.create(sent_again)
        except Unanswered:
            raise
        except Problem:
            self._save(replace(note, sent=None))
            raise
        try:
            record = self.here.notes.encode(replace(note, wanted=key.key_id, sent=None, made=key.created))
            self.here.staging.put(note.name, "staged", pair, record)
        except Problem as problem:
            raise self._made_for_nothing(note, key.key_id, problem) from None
        self.pairs[pair.key_id] = pair
        world = after(Step.CREATE, replace(world, note=note), self.account.now(), key)
        self._save(_note(world))
        self._tell(Step.CREATE, key.key_id)
        return world

    def _made_for_nothing(self, note: Note, key_id: str, problem: Problem) -> Problem:
        """A secret that cannot be stored is of no use: the key goes at once, as if it had never been."""
        try:
            self._delete_key(key_id)
        except Problem as second:  # the note stays, and a later run discards the key
            text = f"{problem.message}; key {mask(key_id)} was created but cannot be used: {second.message}"
            return Problem(text, problem.hint)
        forget_if_held(replace(note, sent=None), self.here)
        return Problem(f"{problem.message}; the new key was deleted, and nothing changed", problem.hint)

    def _discard(self, world: World) -> World:
        """Delete a key whose secret never arrived."""
        gone = to_discard(world)
        self._delete_key(gone)
        world = after(Step.DISCARD, world, self.account.now())
        self._save(_note(world))
        self._tell(Step.DISCARD, gone)
        return world

    def _make_room(self, world: World) -> World:
        note = _note(world)
        assert note.may_delete is not None
        self._delete_key(note.may_delete)
        self._tell(Step.MAKE_ROOM, note.may_delete)
        return after(Step.MAKE_ROOM, world, self.account.now())

    # Bringing it into its places

    def _prove(self, world: World) -> World:
        started = self.account.now()
        wanted = self._pair(_wanted(world))
        prove_as(_note(world).identity, wanted, self.account, 3)
        self.account.sign_with([wanted, *self._others(world)])
        took = max(self.account.now() - started, timedelta(0))  # AWS's clock may be set back
        self._tell(Step.PROVE, wanted.key_id, seconds=took.total_seconds())
        return after(Step.PROVE, world, self.account.now())

    def _switch(self, world: World) -> World:
        """Put the wanted pair in every place that holds the unwanted one, and sign in with what can be read there."""
        note = self._hand_over(world)
        old, new = self._pair(note.unwanted), self._pair(_wanted(world))
        # What is written over is stored, even if a person has lost what BEGIN had stored
        staging, role = self.here.staging, "kept" if old.key_id == note.name else "staged"
        if old not in staging.get(note.name).values():
            staging.put(note.name, role, old, self.here.notes.encode(note))
        self.here.commands.changing(note)
        torn = [w for w in note.in_place if world.places.get(w.place) is PlaceState.TORN]
        if torn:
            self.here.places.mend(torn, old, new)
        left = world.places_in(*_LEFT)
        self.here.places.write(
            [p for p in left if world.places[p] is PlaceState.UNWANTED], old, new, noter(note, self.here)
        )
        if not self._sign_in_as_read(world, left, 1):
            return world
        self._tell(Step.SWITCH, new.key_id, tuple(left))
        return after(Step.SWITCH, world, self.account.now())

    def _hand_over(self, world: World) -> Note:
        """Note, before a place changes, how long the other key goes on working."""
        note = _note(world)
        later = note.switched(world.places, self.account.now())
        return note if later == note else save_beside(later, self.here)

    def _restore(self, world: World) -> World:
        """Put the stored pair back where a file was emptied, and sign in with what can be read there."""
        pair = self._pair(_wanted(world))
        places = world.places_in(*EMPTIED)
        put_back(places, pair, self._hand_over(world), self.here)
        if not self._sign_in_as_read(world, places, 1):
            return world
        self._tell(Step.RESTORE, pair.key_id, tuple(places))
        return after(Step.RESTORE, world, self.account.now())

    def _check(self, world: World) -> World:
        """Sign in with what the places hold: a resumed run has not seen it work yet."""
        wanted = _wanted(world)
        times = 1 if wanted in world.proven else 3
        if not self._sign_in_as_read(world, world.places_in(PlaceState.WANTED), times):
            return world
        self.account.sign_with([self._pair(wanted), *self._others(world)])
        return after(Step.CHECK, world, self.account.now())

    def _sign_in_as_read(self, world: World, places: list[Place], times: int) -> bool:
        """Whether the places still hold the wanted key, and what is read there signs in; a no is looked at again."""
        wanted = _wanted(world)
        read = {h.pair for h in self.here.places.search([wanted], places) if h.pair and h.pair.key_id == wanted}
        for pair in read:
            prove_as(_note(world).identity, pair, self.account, times)
        return bool(read)

    def _follow(self, world: World) -> World:
        """Bring the wanted pair to the other files that were asked to have it, and run the commands that are told of
        it; what could not be is owed."""
        note, here = _note(world), self.here
        old, new = self.pairs.get(note.unwanted), self._pair(_wanted(world))
        owed = here.copies.update(old, new) if note.copies and old else ()
        if world.untold and not note.leaked:
            here.commands.tell(note)
        followed = not (owed or here.commands.untold(note))
        took = tuple(dict.fromkeys([*note.took, *here.copies.took(new)]))
        if (note.followed, note.took) != (followed, took):
            note = self._save(replace(note, followed=followed, took=took))
        return replace(after(Step.FOLLOW, world, self.account.now()), note=note, owed=owed)

    # Retiring the other key

    def _switch_on(self, world: World) -> World:
        self.account.set_active(_wanted(world), True)
        self._tell(Step.SWITCH_ON, _wanted(world))
        return after(Step.SWITCH_ON, world, self.account.now())

    def _deactivate(self, world: World) -> World:
        unwanted = _note(world).unwanted
        if _note(world).overlaps:
            world = self._end_overlap(world)
            if _note(world).overlaps:
                return world
        try:
            self.account.set_active(unwanted, False)
        except Gone:
            self._delete_key(unwanted)
            return after(Step.DELETE, world, self.account.now())
        self._tell(Step.DEACTIVATE, unwanted)
        world, now = after(Step.DEACTIVATE, world, self.account.now()), self.account.now()
        kept = _note(world).delete_at > now
        return replace(world, note=self._save(replace(_note(world), off=now))) if kept else world

    def _end_overlap(self, world: World) -> World:
        """The old key was kept working. What else has used it since the switch keeps it on, and is said; where AWS does
        not tell, it ends as agreed."""
        note, now = _note(world), self.account.now()
        use = self.account.last_use(note.unwanted)
        again = note.kept_on(use, now) if use and note.is_used(use) else None
        if use and use.at and note.is_used(use):
            what = "stays active" if again else "was kept active for as long as allowed"
            self.progress.warn(
                f"old key {mask(note.unwanted)} {what}: something else still uses it, last {use.service} in "
                f"{use.region} at {use.at:%Y-%m-%d %H:%M} UTC"
            )
            note = note.seen(use)
        return replace(world, note=self._save(again or note.switched_off(now)))

    def _delete(self, world: World) -> World:
        unwanted = _note(world).unwanted
        self._delete_key(unwanted)
        self._tell(Step.DELETE, unwanted)
        return after(Step.DELETE, world, self.account.now())

    def _delete_key(self, key_id: str) -> None:
        """NoSuchEntity means done for an id that the list has shown; else the list and the key may lag."""
        until = self.account.now() + SETTLE
        while True:
            try:
                return self.account.delete(key_id)
            except Gone:
                if key_id in self._shown:
                    return None
                if self.account.now() >= until:
                    raise TryLater(f"key {mask(key_id)} has not taken effect in AWS yet", Hint()) from None
                self.pause(1.0)

    # Turning round

    def _take_back(self, world: World) -> World:
        """Swap wanted and unwanted, if the pair that is wanted again signs in."""
        note = _note(world)
        other = self.pairs.get(note.unwanted)
        if other is None or note.wanted is None:
            raise Denied(f"the secret of key {mask(note.unwanted)} is no longer on this computer", Hint("status"))
        try:
            prove_as(note.identity, other, self.account, 1)
        except (KeyRefused, TryLater) as problem:
            raise Denied(f"key {mask(other.key_id)} cannot be restored: {problem.message}", problem.hint) from None
        world = after(Step.TAKE_BACK, world, self.account.now())
        save_beside(_note(world), self.here)
        self.account.sign_with([other, *self._others(world)])
        return world

    # Small things

    def _pair(self, key_id: str) -> Credentials:
        try:
            return self.pairs[key_id]
        except KeyError:
            raise Problem(f"the secret of key {mask(key_id)} is no longer on this computer", Hint("status")) from None

    def _others(self, world: World) -> list[Credentials]:
        pair = self.pairs.get(_note(world).unwanted)
        return [pair] if pair else []

    def _save(self, note: Note) -> Note:
        self.here.notes.save(note)
        return note

    def _tell(self, step: Step, key_id: str, places: tuple[Place, ...] = (), seconds: float = 0.0) -> None:
        self.progress.did(Did(step, key_id, places, seconds))


def noter(note: Note, here: LocalState) -> Callable[[Collection[InPlace]], None]:
    """Adds writes that cannot be atomic to the note, durably, before they happen."""
    noted = set(note.in_place)

    def add(writes: Collection[InPlace]) -> None:
        noted.update(writes)
        here.notes.save(replace(note, in_place=tuple(noted)))

    return add


def put_back(places: Collection[Place], pair: Credentials, note: Note, here: LocalState) -> None:
    """Put the pair into those of the places that hold none, or one that is nothing any more."""
    for holding in here.places.search([], places):
        held = holding.pair
        if held is None or not held.secret:
            here.places.restore([holding.place], pair)
        elif is_nothing(held, here.history):
            here.places.write([holding.place], held, pair, noter(note, here))


def save_beside(note: Note, here: LocalState) -> Note:
    """Save a note of which none that is rebuilt may know less: beside the stored pairs first. One that was turned round
    must not go on with the key that was just switched off, nor switch off what programs have."""
    record = here.notes.encode(note)
    for role, pair in here.staging.get(note.name).items():
        here.staging.put(note.name, role, pair, record)
    here.notes.save(note)
    return note


def forget(name: str, here: LocalState) -> None:
    """The note first: a staged pair without a note is found, and can still sign in to see that all is done."""
    here.notes.remove(name)
    here.staging.drop(name)


def forget_if_held(note: Note, here: LocalState) -> bool:
    """Drop a rotation for which no new key was made, if a place still holds the old pair; else keep its copy of it."""
    kept = here.staging.get(note.name).get("kept")
    if kept and not is_held(kept, here):
        here.notes.save(note)
        return False
    forget(note.name, here)
    return True


def _note(world: World) -> Note:
    assert world.note is not None
    return world.note


def _wanted(world: World) -> str:
    wanted = _note(world).wanted
    assert wanted is not None
    return wanted


def prove_as(expected: Identity, pair: Credentials, account: Account, times: int) -> None:
    """Sign in so many times in a row. Raises OtherIdentity if it is not as the user that is expected."""
    who = account.prove(pair, times)
    if who != expected:
        raise OtherIdentity(
            f"key {mask(pair.key_id)} signs in as {who.arn} in {who.account}, not as {expected.arn}",
            Hint("status"),
        )


def ending_of(note: Note) -> Ending:
    """The word for a finished rotation."""
    if note.back:
        return Ending.UNDONE if note.undo else Ending.TAKEN_BACK
    return Ending.MERGED if note.wanted in note.known else Ending.ROTATED
