"""The loop of one rotation: look at the facts, choose the next step, do it.

There is no stored phase: a resumed run and a fresh run are the same code, and so is taking back. What each step does
stands in `steps.py`; which one is next, in `plan.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ..core.errors import (
    Denied,
    KeyRefused,
    NeedsPerson,
    NoRoom,
    OtherIdentity,
    Problem,
    StillOwed,
    TryLater,
    Unanswered,
)
from ..core.hints import Hint
from ..core.model import AccessKey, Credentials, Place
from ..core.plan import ENDS, Note, PlaceState, Step, World, next_step, only_others, waits_for_owed
from ..core.policy import TWO_KEYS, Policy, mask
from .facts import LocalState, say_once, see, settled_since
from .ports import Account, Ending, Outcome, Progress
from .steps import EMPTIED, Steps, ending_of, forget_if_held

# A rotation takes 9 steps; lost replies and lists that lag add some looks, each a second or more apart.
_MOST_STEPS = 120
_MOST_CREATES = 2
_MOST_THROTTLES = 4


@dataclass(frozen=True, slots=True)
class Waiter:
    """How the loop waits and learns of Ctrl-C: `pause` takes seconds; both raise Interrupted once asked to stop."""

    pause: Callable[[float], None]
    check: Callable[[], None]


class Rotation:
    """One rotation, from the facts of a first look to its end."""

    def __init__(
        self, name: str, account: Account, here: LocalState, progress: Progress, policy: Policy, waiter: Waiter
    ) -> None:
        self._name, self._account, self._here = name, account, here
        self._progress, self._policy = progress, policy
        self._clock = waiter
        self._reason: Problem | None = None
        self._done: list[Step] = []
        self._throttled = 0
        self._note: Note | None = None

    def run(self, world: World, pairs: dict[str, Credentials]) -> Outcome:
        """Take steps until the end, and give what came of it. `pairs` are those known at the start, by id. Raises
        Problem kinds as the exit codes say; whatever was begun is finished by the next run."""
        steps = Steps(self._account, self._here, self._progress, self._clock.pause, pairs)
        for _ in range(_MOST_STEPS):
            self._clock.check()
            if world.note is not None:
                world, known = see(world, self._name, self._here)
                steps.pairs.update(known)
            self._note = world.note or self._note
            step = next_step(world, self._policy, self._account.now())
            if step in ENDS or (self._reason and world.note is None):
                return self._end(step, world)
            world = self._take(step, world, steps)
        raise TryLater("AWS keeps giving contradictory answers; nothing is lost", Hint())

    def _take(self, step: Step, world: World, steps: Steps) -> World:
        """One step, with what its failures mean for the facts."""
        self._before(step, world)
        try:
            world = steps.take(step, world)
        except TryLater as problem:
            return self._later(step, world, problem)
        except NoRoom:
            keys = self._account.keys()
            return replace(settled_since(world, keys, self._account.now(), self._here.history), full=True)
        except Denied as problem:
            return self._denied(step, world, problem)
        except NeedsPerson as problem:
            return self._unattended(step, world, problem)
        except Problem as problem:
            if step is Step.PROVE and isinstance(problem, KeyRefused) and problem.wrong_secret:
                # CreateAccessKey gives a secret only once, so that key is of no use
                assert world.note is not None and world.note.wanted is not None
                new, old = mask(world.note.wanted), mask(world.note.unwanted)
                problem = Problem(f"AWS sent a wrong secret for the new key {new}; {old} stays in use", Hint())
            elif step is not Step.SWITCH and not isinstance(problem, OtherIdentity):
                raise
            return self._turn(world, steps, problem)
        self._done.append(step)
        if step is Step.DELETE and isinstance(self._reason, Denied):
            self._reason = None  # UpdateAccessKey was denied, DeleteAccessKey was not
        return world

    def _before(self, step: Step, world: World) -> None:
        if step is Step.CREATE and self._done.count(step) >= _MOST_CREATES:
            raise TryLater("AWS failed to answer twice; nothing is lost", Hint())
        if step is Step.DROP and world.full:
            self._reason = NoRoom(f"you have two access keys already, and {TWO_KEYS}", Hint("status"))
        elif step is Step.DROP and world.begun:
            text = f"{_names(world.places)} changed during the rotation, so nothing was changed in AWS"
            self._reason = self._reason or Problem(text, Hint("status"))
        if step is Step.TAKE_BACK:
            self._reason = self._reason or _why_back(world)
        self._progress.doing(step, world.note)

    def _later(self, step: Step, world: World, problem: TryLater) -> World:
        """Only CreateAccessKey is not tried again behind the port: a certain no is tried again here, an unknown outcome
        is settled by looking."""
        if step is not Step.CREATE:
            raise problem
        if isinstance(problem, Unanswered):
            self._done.append(step)
            return replace(world, fresh_list=False)
        self._throttled += 1
        if self._throttled >= _MOST_THROTTLES:
            raise problem
        self._clock.pause(0.5 * 2**self._throttled)
        return world

    def _denied(self, step: Step, world: World, problem: Denied) -> World:
        """Denied on Update alone: DELETE may still do, and a key that is listed as active is so. On Create nothing was
        made: the note goes."""
        wanted = world.keys.get(world.note.wanted or "") if world.note else None
        if step is Step.SWITCH_ON and wanted and wanted.active:
            return replace(world, denied=world.denied | {step})
        if step in (Step.DEACTIVATE, Step.DELETE, Step.TAKE_BACK):
            if self._reason is not None and not isinstance(self._reason, Denied):
                problem.message = f"{self._reason.message}; {problem.message}"
            self._reason = problem
            return replace(world, denied=world.denied | {step})
        if step in (Step.CREATE, Step.MAKE_ROOM):
            return self._given_up(world, problem)
        raise problem

    def _unattended(self, step: Step, world: World, problem: NeedsPerson) -> World:
        """An MFA code is wanted that nobody gave: before anything was made there is nothing to finish."""
        note = world.note
        if step is Step.CREATE and note is not None and not note.lost and note.sent is None:
            return self._given_up(world, problem)
        raise problem

    def _given_up(self, world: World, reason: Problem) -> World:
        self._reason = reason
        note = self._here.notes.load(self._name)
        if note and not forget_if_held(note, self._here):
            raise reason
        return replace(world, note=None)

    def _turn(self, world: World, steps: Steps, reason: Problem) -> World:
        """Take back what was begun, if the old key still works; else the only way is forward, by a later run. So it is
        where no key was made: both keys were here before, and no copy of either may go."""
        world, pairs = see(world, self._name, self._here)
        steps.pairs.update(pairs)
        note = world.note
        if note is None or note.back or note.wanted in note.known or Step.TAKE_BACK in world.denied:
            raise reason
        self._reason = reason
        self._progress.doing(Step.TAKE_BACK, note)
        try:
            return steps.take(Step.TAKE_BACK, world)
        except Problem:
            raise reason from None

    def _end(self, step: Step, world: World) -> Outcome:
        note = self._note
        if note is None:
            key = world.keys.get(world.key_id)
            return Outcome(Ending.FRESH, world.key_id, created=key.created if key else None)
        untold = () if note.leaked else world.untold
        if (world.owed or untold) and Step.FINISH in self._done:
            self._reason = self._reason or _over(note, world.owed or (), untold)
        if step is Step.BLOCKED and not self._reason:
            self._reason = _blocked(note, world, self._here)
        if self._reason:
            raise self._told(note, world)
        done = tuple(self._done)
        if step is Step.WAIT:
            return outcome_of(Ending.WAITING, note, world, done)
        return outcome_of(ending_of(note) if Step.FINISH in done else Ending.DROPPED, note, world, done)

    def _told(self, note: Note, world: World) -> Problem:
        """What no run can mend is said once; later runs try once, quietly: a key that AWS does not let us delete, or
        whose copy is here alone, as persons have put other keys into all its profiles."""
        assert self._reason is not None
        if world.note is not None and (isinstance(self._reason, Denied) or only_others(world)):
            return say_once(self._reason, note, self._here)
        return self._reason


def outcome_of(ending: Ending, note: Note, world: World, steps: tuple[Step, ...]) -> Outcome:
    """The outcome of a rotation that had a note."""
    key: AccessKey | None = world.keys.get(note.wanted or "")
    unwanted = world.keys.get(note.unwanted)
    waits = ending is Ending.WAITING
    return Outcome(
        ending=ending,
        old=note.name,
        new=note.unwanted if note.back else note.wanted,
        account=note.identity.account,
        arn=note.identity.arn,
        places=tuple(world.places_in(PlaceState.WANTED)),
        until=note.delete_at if waits else None,
        works_until=note.switch_off_at if waits and note.overlaps and unwanted and unwanted.active else None,
        created=key.created if key else None,
        steps=steps,
    )


def _over(note: Note, owed: Sequence[str], untold: Sequence[str]) -> Problem:
    old = mask(note.unwanted)
    if not owed:
        text = f"{_commands(untold)} failed, and key {old} has been deleted"
        return StillOwed(text, Hint("after", "run", *untold[:1]), over=True)
    was, it = ("was", "it") if len(owed) == 1 else ("were", "they")
    return StillOwed(
        f"{_files(owed)} {was} not changed, and key {old}, which {it} may hold, has been deleted; "
        "put the new one in by hand",
        Hint("status"),
        over=True,
    )


def _commands(names: Sequence[str]) -> str:
    return f"command{'s' if len(names) > 1 else ''} {', '.join(names)} from [after_rotate]"


def _files(paths: Sequence[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _blocked(note: Note, world: World, here: LocalState) -> Problem:
    ours = world.places_in(PlaceState.WANTED, PlaceState.UNWANTED, PlaceState.TORN)
    if away := ours and world.places_in(PlaceState.AWAY):
        gone = Hint("delete-key", note.unwanted, "-p", ours[0].profile)
        return Problem(
            f"{_names(away)} cannot be read now and may still hold key {mask(note.unwanted)}, so it is not deleted",
            Hint(rest=f", once it is back; if it is gone for good: {gone}"),
        )
    if not ours:
        return _emptied(note, world, here)
    if waits_for_owed(world, note) and world.places_in(PlaceState.WANTED):
        # The old key goes on working until all that was asked to follow has
        profile = world.places_in(PlaceState.WANTED)[0].profile
        without = Hint("delete-key", note.unwanted, "-p", profile)
        new, owed = mask(note.wanted or ""), world.owed or ()
        lacks = [f"{_files(owed)} {'does' if len(owed) == 1 else 'do'} not have key {new} yet"] if owed else []
        lacks += [f"{_commands(world.untold)} failed for key {new}"] if world.untold else []
        return StillOwed(
            f"{' and '.join(lacks)}, so {mask(note.unwanted)} stays active",
            Hint(rest=f", once that is fixed; if nobody needs {'them' if owed else 'that'}: {without}"),
        )
    wanted = world.keys.get(note.wanted or "")
    if wanted and wanted.active and world.places_in(PlaceState.WANTED) and note.unwanted in world.keys:
        return Problem(
            f"no profile holds key {mask(note.unwanted)} any more, and it was not deleted; there is a copy in "
            f"{here.staging.where(note.name)}",
            Hint("delete-key", note.unwanted, profile=world.places_in(PlaceState.WANTED)[0].profile),
        )
    return Problem(
        f"key {mask(note.wanted or note.unwanted)} does not work, and key {mask(note.unwanted)} cannot be restored",
        Hint("status"),
    )


def _emptied(note: Note, world: World, here: LocalState) -> Problem:
    """No profile holds either key: where their secrets are, and how to get one back."""
    stored = [key_id for key_id in (note.unwanted, note.wanted) if key_id in world.secrets & world.keys.keys()]
    emptied = world.places_in(*EMPTIED)
    if emptied:
        hint = Hint("restore", "-p", emptied[0].profile)
    elif note.undo and note.places:
        profile = note.places[0].profile
        hint = Hint("undo", "-p", profile, lead=f"remove what profile {profile} holds now, then")
    else:
        hint = Hint("delete-key", *stored[:1])
    return Problem(
        f"{_names(world.places)} no longer {'holds' if len(world.places) == 1 else 'hold'} "
        f"key {' or '.join(map(mask, stored))}; nothing was deleted, and "
        f"there is a copy in {here.staging.where(note.name)}",
        hint,
    )


def _why_back(world: World) -> Problem:
    """Somebody else has changed the key that was wanted."""
    note = world.note
    assert note is not None and note.wanted is not None
    how = "deactivated" if note.wanted in world.keys else "deleted"
    return Problem(
        f"somebody else {how} key {mask(note.wanted)} during the rotation, so {mask(note.unwanted)} stays in use",
        Hint("status"),
    )


def _names(places: Iterable[Place]) -> str:
    return " and ".join(f"{place.profile} in {place.path}" for place in places) or "every profile"
