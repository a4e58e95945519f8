"""Gathers the facts of one rotation: what AWS lists, what the places hold, what is stored, what the note says.

Places, staged pairs and note are read afresh each turn; IAM's list costs a round trip and lags, so it is fetched at the
start and after unknown outcomes, and carried forward in between."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from ..core.errors import KeyRefused, Problem
from ..core.model import AccessKey, Credentials, Holding, Identity, Look, Place
from ..core.plan import Note, PlaceState, World
from ..core.policy import Hook
from .ports import Account, CommandResult, Copies, History, Notes, OwnCommands, Places, Staging

_YOUNG = timedelta(minutes=2)
P = TypeVar("P", bound=Problem)


class _NoCopies:
    """Leaves all other files alone."""

    wanted = False

    def update(self, old: Credentials, new: Credentials) -> tuple[str, ...]:
        return ()

    def took(self, new: Credentials) -> tuple[str, ...]:
        return ()


class _NoCommands:
    """There are none: nothing is wrong, and nobody is to be told."""

    def check(self) -> None: ...

    def of(self, places: Collection[Place]) -> tuple[Hook, ...]:
        return ()

    def changing(self, note: Note) -> None: ...

    def untold(self, note: Note) -> tuple[str, ...]:
        return ()

    def tell(self, note: Note) -> None: ...

    def run(self) -> list[CommandResult]:
        return []


NO_COMMANDS = _NoCommands()


class Host(NamedTuple):
    """This computer: its name, which may change with the network, and `ids`, what notes are known by that it wrote."""

    name: str = ""
    ids: str = ""

    def wrote(self, note: Note) -> bool:
        """Whether a note is this computer's own: of this start of it or of an earlier one, whatever its name was."""
        return not self.name or note.host in ("", self.name) or not {*note.boot.split()}.isdisjoint(self.ids.split())


@dataclass(frozen=True, slots=True)
class LocalState:
    """The ports that lead to this computer, and which it is: all that a rotation knows besides AWS."""

    places: Places
    staging: Staging
    notes: Notes
    history: History
    copies: Copies = _NoCopies()  # noqa: RUF009 - it keeps nothing
    commands: OwnCommands = NO_COMMANDS
    host: Host = Host()  # noqa: RUF009 - it never changes


class Callers:
    """Whose the pairs on this computer are: each is asked once a run, at each endpoint."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, Credentials], Identity | KeyRefused] = {}

    def whose(self, pair: Credentials, account: Account) -> Identity | None:
        """Who signs in with it; None if AWS refuses it."""
        key = (account.endpoint, pair)
        if key not in self._said:
            try:
                self._said[key] = account.identify(pair)
            except KeyRefused as problem:
                self._said[key] = problem
        said = self._said[key]
        return said if isinstance(said, Identity) else None

    def refused(self, pair: Credentials, account: Account) -> KeyRefused | None:
        """What AWS said of a pair that it has refused in this run."""
        said = self._said.get((account.endpoint, pair))
        return said if isinstance(said, KeyRefused) else None

    def add(self, pair: Credentials, account: Account, refusal: KeyRefused) -> None:
        """AWS refused it elsewhere in this run."""
        self._said[account.endpoint, pair] = refusal


def is_young(made: datetime, now: datetime) -> bool:
    """Whether AWS may not know everywhere yet what was made then; a time to come is a clock's that was wrong."""
    return abs(now - made) < _YOUNG


def is_begun(here: LocalState) -> bool:
    """Whether an earlier run left a rotation unfinished. Its note may be lost, or not written yet."""
    return bool(here.staging.names() or here.notes.names())


def readable_notes(notes: Notes) -> Iterator[Note]:
    """Those that can be read; of the others `unfinished` tells."""
    for name in notes.names():
        with suppress(Problem):
            if note := notes.load(name):
                yield note


def is_new(key_id: str, now: datetime, history: History) -> bool:
    """Whether this tool has made the key just now."""
    return any(past.new == key_id and is_young(past.at, now) for past in history.entries())


def say_once(problem: P, note: Note, here: LocalState) -> P:
    """What no run can mend by itself is told in this run, and passed over quietly in later ones. Under the lock."""
    problem.quiet = note.told
    if not note.told:
        here.notes.save(replace(note, told=True))
    return problem


def deleted(history: History) -> set[str]:
    """The ids of the keys that this tool has deleted."""
    return {key_id for past in history.entries() for key_id in past.deleted}


def listed(keys: Iterable[AccessKey], history: History) -> dict[str, AccessKey]:
    """IAM's list without the ids that this tool has deleted: a deleted id may still be listed for a while."""
    gone = deleted(history)
    return {key.key_id: key for key in keys if key.key_id not in gone}


def first_world(look: Look, key_id: str, here: LocalState, note: Note | None) -> World:
    """The facts after a look at AWS, with nothing done yet in this run."""
    keys = listed(look.keys, here.history)
    return World(key_id, keys, {}, first_look=look.now, listed_at=look.now, note=note)


def first_note(key_id: str, look: Look, places: tuple[Place, ...], endpoint: str, here: LocalState) -> Note:
    """What BEGIN would write for this key: it goes as soon as these places have another one."""
    return Note(
        name=key_id,
        identity=look.identity,
        endpoint=endpoint,
        unwanted=key_id,
        known=tuple(key.key_id for key in look.keys),
        places=places,
        began=look.now,
        switch_off_at=look.now,
        delete_at=look.now,
        copies=here.copies.wanted,
        host=here.host.name,
        boot=here.host.ids,
    )


def see(world: World, name: str, here: LocalState) -> tuple[World, dict[str, Credentials]]:
    """Read note, staged pairs and places afresh; gives the facts, and every pair that is known by its id."""
    note = here.notes.load(name)
    if note is None:
        return replace(world, note=None), {}
    if staged := here.staging.get(name).get("staged"):
        note = _with_staged(note, staged.key_id, here.notes)
    states, holdings, pairs = read(note, here)
    for holding in holdings:
        if holding.pair and states[holding.place] is not PlaceState.OTHER:
            pairs.setdefault(holding.pair.key_id, holding.pair)
    untold = here.commands.untold(note)
    return replace(world, note=note, places=states, secrets=frozenset(pairs), untold=untold), pairs


def _with_staged(note: Note, key_id: str, notes: Notes) -> Note:
    """A run that was killed between staging the answer and noting it leaves the id in the staged pair."""
    if note.wanted or key_id in note.known:
        return note
    note = replace(note, wanted=key_id, sent=None, made=note.sent)
    notes.save(note)
    return note


def stored(name: str, here: LocalState) -> dict[str, Credentials]:
    """The pairs of a rotation that are stored, by id."""
    return {pair.key_id: pair for pair in here.staging.get(name).values()}


def read(note: Note, here: LocalState) -> tuple[dict[Place, PlaceState], Sequence[Holding], dict[str, Credentials]]:
    """What the places of a rotation hold, in its words and as it is; and the pairs that are stored, by id."""
    holdings, pairs = here.places.search(note.ids, note.places), stored(note.name, here)
    return place_states(note, holdings, pairs, here), holdings, pairs


def place_states(
    note: Note, holdings: Sequence[Holding], pairs: dict[str, Credentials], here: LocalState
) -> dict[Place, PlaceState]:
    """What each place holds, in the words of this rotation."""
    wanted = pairs.get(note.wanted, note.wanted) if note.wanted else None
    unwanted = pairs.get(note.unwanted, note.unwanted)
    torn: set[Place] = set()
    if isinstance(wanted, Credentials) and isinstance(unwanted, Credentials):
        torn = {w.place for w in note.in_place if here.places.is_torn(w, unwanted, wanted)}
    states = {h.place: PlaceState.TORN if h.place in torn else classify(h, wanted, unwanted) for h in holdings}
    other = {h.place: h.pair for h in holdings if h.pair and states[h.place] is PlaceState.OTHER}
    if other:
        states |= {place: PlaceState.EMPTY for place, pair in other.items() if is_nothing(pair, here.history)}
    if note.back and note.unwanted in note.known:
        own = {place for place, state in states.items() if state is PlaceState.UNWANTED} - set(note.places)
        states |= dict.fromkeys(own, PlaceState.OWN)
    return states


def is_stranded(note: Note, here: LocalState) -> bool:
    """Whether all the places of a rotation hold keys that persons have put there, or that they have by right."""
    return set(read(note, here)[0].values()) <= {PlaceState.OTHER, PlaceState.OWN}


def is_held(pair: Credentials, here: LocalState) -> bool:
    """Whether a place holds the very pair."""
    return any(holding.pair == pair for holding in here.places.search([pair.key_id]))


def is_nothing(pair: Credentials, history: History) -> bool:
    """Whether it is no loss to write over this pair: it has no secret, or came back with an old file after this tool
    had deleted the key."""
    return not pair.secret or pair.key_id in deleted(history)


def classify(held: Holding, wanted: Credentials | str | None, unwanted: Credentials | str) -> PlaceState:
    """What a place holds. A pair that is known by its id only (its secret is not here) is compared by id."""
    if held.pair is None:
        return PlaceState.AWAY if held.away else PlaceState.EMPTY
    for state, known in ((PlaceState.UNWANTED, unwanted), (PlaceState.WANTED, wanted)):
        if known in (held.pair, held.pair.key_id):
            return state
    return PlaceState.OTHER


def settled_since(world: World, keys: Iterable[AccessKey], now: datetime, history: History) -> World:
    """The facts after IAM's list was fetched again. It lags: what this run deleted may still be in it, and a key that
    has signed in for this run may be missing."""
    shown = {key_id: key for key_id, key in listed(keys, history).items() if key_id not in world.gone}
    proven = {key_id: key for key_id, key in world.keys.items() if key_id in world.proven | world.checked}
    return replace(world, keys={**proven, **shown}, listed_at=now, fresh_list=True)
