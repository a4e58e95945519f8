"""One run of `rotate`: finish what earlier runs began, look, ask, and rotate what is due.

Questions come before the lock; facts are looked up again under it. Keys of one user go one after the other, those of
different users side by side; one failure does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

from ..core.errors import Denied, NeedsPerson, Problem, StillOwed, TryLater
from ..core.hints import Hint
from ..core.model import Credentials, Identity
from ..core.parallel import side_by_side
from ..core.plan import Note
from .engine import Rotation, Waiter
from .facts import Callers, LocalState, is_begun, is_new
from .ports import Account, Ending, Outcome, Progress
from .prepare import Consent, RotateOptions, RotationPlan, check_slot, foresee, gives_up, prepare
from .unfinished import Unfinished, resume, unfinished


@dataclass(frozen=True, slots=True)
class Job:
    """One key to be rotated. `find` reads which pair is in force now; `account` leads to its user at AWS."""

    profiles: tuple[str, ...]
    find: Callable[[], Credentials]
    account: Callable[[], Account]
    progress: Progress


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one key: `outcome`, or `problem`; `plan` is what was seen of it."""

    profiles: tuple[str, ...]
    key_id: str
    outcome: Outcome | None = None
    plan: RotationPlan | None = None
    problem: Problem | None = None


@dataclass
class Run:
    """One run. `lock` gives the lock of this user of the computer; `account_for` leads to a note's user in AWS;
    `counting` is told how many keys are rotated, and when one is done."""

    here: LocalState
    options: RotateOptions
    consent: Consent
    lock: Callable[[], AbstractContextManager[object]]
    account_for: Callable[[Note], Account]
    progress_for: Callable[[Note], Progress]
    waiter: Waiter
    counting: Callable[[int], AbstractContextManager[Callable[[], None]]] = lambda total: nullcontext(lambda: None)
    _blocked: list[tuple[Unfinished, Problem]] = field(default_factory=list)
    _room: set[str] = field(default_factory=set)
    _callers: Callers = field(default_factory=Callers)

    def settle(self, *, only_kept: bool = False) -> list[Result]:
        """Finish what earlier runs began, under the lock; a rotation that cannot be settled is a result and no more.
        `only_kept`: only that of old keys which were kept long enough."""
        if not is_begun(self.here):
            return []
        with self.lock():
            return self._settle(only_kept=only_kept)

    def rotate(self, jobs: Sequence[Job]) -> list[Result]:
        """Rotate the keys of these jobs that are due, or all of them if forced."""
        first = [(job, *_find(job)) for job in jobs]
        broken = [Result(job.profiles, "", problem=problem) for job, _, problem in first if problem]
        pairs = [(job, pair) for job, pair, _ in first if pair]
        settled: list[Result] = []
        if self.consent.asks:
            settled = self.settle()
            still = [(job, pair) for job, pair in pairs if _find(job)[0] == pair]
            seen = [self._checked(result) for result in self._look_all(still)]
            due = [result.plan for result in seen if _is_due(result) and result.plan]
            longer = self.consent.agree(due) if due else None
            if longer is None:
                return _once([*settled, *broken, *(undone(result) for result in seen)])
            self.options = replace(self.options, overlap=max(self.options.overlap, longer))
            pairs = [each for each, result in zip(still, seen, strict=True) if _is_due(result)]
            broken += [undone(result) for result in seen if not _is_due(result)]
        with self.lock():
            settled += self._settle()
            return _once([*settled, *broken, *self._rotate_all(pairs)])

    def foresee(self, jobs: Sequence[Job]) -> list[Result]:
        """What would be done with each key, for `--dry-run`."""
        results = []
        for job in jobs:
            try:
                seen = prepare(job.find(), self.options, job.account(), self.here, self.waiter.pause)
                if seen.due:
                    check_slot(seen)
                steps = tuple(foresee(seen.world(self.here), self.options.policy))
                outcome = replace(_left(seen, Ending.DUE), new=None, steps=steps)
                results.append(Result(job.profiles, seen.key.key_id, outcome, seen))
            except Problem as problem:
                results.append(Result(job.profiles, "", problem=problem))
        return results

    def _checked(self, result: Result) -> Result:
        """The second slot is asked about before the question: what cannot end well is not asked for."""
        try:
            if result.plan and result.plan.due:
                self._check_second(result.plan)
            return result
        except NeedsPerson as problem:
            return replace(result, problem=problem)

    # Finishing

    def _settle(self, *, only_kept: bool = False) -> list[Result]:
        if not is_begun(self.here):
            return []
        results: list[Result] = []
        for found in unfinished(self.here, mend=True):
            if only_kept and not (found.note and found.note.is_over(self.account_for(found.note).now())):
                continue
            try:
                if found.note is None:
                    raise found.problem or Problem("a rotation is unfinished", Hint("status"))
                results.append(self._resume(found.note))
            except Problem as problem:
                # One that only waits for files, and whose key has leaked, is ended by the next rotation of that key
                waits = isinstance(problem, StillOwed) and not problem.over
                if waits and found.note is not None and found.note.wanted in self.options.leaked:
                    continue
                if not (isinstance(problem, StillOwed) and problem.over):
                    self._blocked.append((found, problem))
                results.append(Result((), found.name, problem=problem))
        return [r for r in results if not (r.problem and r.problem.quiet)]

    def _resume(self, note: Note) -> Result:
        account, progress = self.account_for(note), self.progress_for(note)
        outcome = resume(note, account, self.here, progress, self.options.policy, self.waiter, self._callers)
        return Result(tuple(dict.fromkeys(place.profile for place in note.places)), note.name, outcome)

    def _check_blocked(self, key_id: str, identity: Identity | None, name: str = "") -> None:
        """A rotation that could not be settled blocks its own keys, and one that would have its name; and its own
        user's other key, while it may be settled any moment (offline, at work elsewhere) or holds the slot that is
        needed, which AWS does not give up. An old key that AWS does not let us delete is no news, and blocks only what
        needs its slot."""
        for found, problem in self._blocked:
            note = found.note
            if identity is None and isinstance(problem, Denied) and problem.quiet:
                continue
            about = name == found.name or key_id in found.ids
            if about or (note and identity == note.identity and isinstance(problem, TryLater | Denied)):
                raise problem

    # Looking and rotating

    def _look_all(self, pairs: Sequence[tuple[Job, Credentials]]) -> list[Result]:
        return side_by_side([partial(self._look, job, pair) for job, pair in pairs])

    def _look(self, job: Job, pair: Credentials) -> Result:
        try:
            self._check_blocked(pair.key_id, None)
            plan = self._plan(job, pair)
            if plan.draft:
                self._check_blocked(pair.key_id, plan.look.identity, plan.draft.name)
            return Result(job.profiles, pair.key_id, plan=plan)
        except Problem as problem:
            return Result(job.profiles, pair.key_id, problem=problem)

    def _plan(self, job: Job, pair: Credentials) -> RotationPlan:
        """What AWS has refused in this run is not asked about again, unless it may be too new."""
        account = job.account()
        refusal = self._callers.refused(pair, account)
        if refusal and not is_new(pair.key_id, account.now(), self.here.history):
            raise refusal
        return prepare(pair, self.options, account, self.here, self.waiter.pause)

    def _rotate_all(self, pairs: Sequence[tuple[Job, Credentials]]) -> list[Result]:
        here_still = [(job, pair) for job, pair in pairs if _find(job)[0] == pair]
        done = [_replaced(job, pair.key_id) for job, pair in pairs if (job, pair) not in here_still]
        seen = self._look_all(here_still)
        users: dict[Identity, list[tuple[Job, Result]]] = {}
        for (job, _), result in zip(here_still, seen, strict=True):
            if result.plan and result.plan.due:
                users.setdefault(result.plan.look.identity, []).append((job, result))
            else:
                done.append(undone(result))
        with self.counting(sum(map(len, users.values()))) as done_one:
            for results in side_by_side([partial(self._one_user, keys, done_one) for keys in users.values()]):
                done += results
        return done

    def _one_user(self, keys: Iterable[tuple[Job, Result]], done_one: Callable[[], None]) -> list[Result]:
        """The due keys of one user, one after the other: the first may have changed what the next one is."""
        results: list[Result] = []
        for number, (job, result) in enumerate(keys):
            if number:
                pair = _find(job)[0]
                if pair is None or pair.key_id != result.key_id:
                    results.append(_replaced(job, result.key_id))
                    done_one()
                    continue
                result = self._look(job, pair)
            results.append(self._one(job, result))
            done_one()
        return results

    def _one(self, job: Job, result: Result) -> Result:
        plan = result.plan
        if plan is None or not plan.due:
            return undone(result)
        try:
            for warning in plan.warnings:
                job.progress.warn(warning)
            outcome = self._rotation(job, plan)
            return replace(result, outcome=outcome)
        except Problem as problem:
            return replace(result, problem=problem)

    def _rotation(self, job: Job, plan: RotationPlan) -> Outcome:
        self._check_second(plan)
        if not self.consent.asks:
            self.consent.introduce(plan)
        account = job.account()
        account.sign_with(list(plan.pairs().values()))
        owed = None
        if plan.second and plan.second.kept:
            owed = self._let_go(plan.second.kept, leaked=plan.leaked)
            plan = prepare(plan.pair, self.options, account, self.here, self.waiter.pause)
        room = plan.second is not None and plan.second.key.key_id in self._room
        world = plan.world(self.here, make_room=room)
        name = world.draft.name if world.draft else plan.key.key_id
        rotation = Rotation(name, account, self.here, job.progress, self.options.policy, self.waiter)
        outcome = rotation.run(world, plan.pairs())
        if owed:
            raise owed
        return self._after_merge(job, outcome) if outcome.ending is Ending.MERGED else outcome

    def _after_merge(self, job: Job, merged: Outcome) -> Outcome:
        """Both of the user's keys were here; now one is left, and is rotated if it is due."""
        pair, problem = _find(job)
        if pair is None:
            raise problem or Problem("the profile is gone", Hint("status"))
        result = self._one(job, self._look(job, pair))
        if result.problem:
            raise result.problem
        return result.outcome if result.outcome and result.outcome.ending is not Ending.FRESH else merged

    def _let_go(self, kept: Note, *, leaked: bool) -> StillOwed | None:
        """The key that this tool kept for a while goes now: its slot is needed. Gives what it left without a key, if it
        has leaked and so could not wait."""
        account = self.account_for(kept)
        hurried = replace(kept, switch_off_at=kept.began, delete_at=kept.began, leaked=leaked, live=False, host="")
        self.here.notes.save(hurried)
        try:
            resume(hurried, account, self.here, self.progress_for(kept), self.options.policy, self.waiter)
        except StillOwed as problem:
            if not problem.over:
                raise
            return problem
        return None

    def _check_second(self, plan: RotationPlan) -> None:
        """Once a run and key: what a person agreed to give up stays agreed."""
        second = plan.second
        if second and second.key.key_id not in self._room and gives_up(plan, self.consent):
            self._room.add(second.key.key_id)


def _find(job: Job) -> tuple[Credentials | None, Problem | None]:
    try:
        return job.find(), None
    except Problem as problem:
        return None, problem


def _replaced(job: Job, key_id: str) -> Result:
    """By another run, or by this one when it finished an earlier rotation."""
    pair, _ = _find(job)
    return Result(job.profiles, key_id, Outcome(Ending.REPLACED, key_id, pair.key_id if pair else None))


def undone(result: Result) -> Result:
    """A key that was looked at and needs nothing."""
    if result.problem or result.outcome or not result.plan:
        return result
    return replace(result, outcome=_left(result.plan, Ending.DECLINED))


def _left(plan: RotationPlan, due: Ending) -> Outcome:
    """Of a key that stays as it is: `due` if it would be rotated."""
    key, who = plan.key, plan.look.identity
    ending = due if plan.due else Ending.EXEMPT if plan.exempt else Ending.FRESH
    return Outcome(ending, key.key_id, key.key_id, who.account, who.arn, plan.places, created=key.created)


def _once(results: list[Result]) -> list[Result]:
    """What blocks a key is told with that key, and not again as a rotation that could not be settled."""
    later = [{result.problem for result in results[number:]} for number in range(1, len(results) + 1)]
    return [each for each, told in zip(results, later, strict=True) if not each.problem or each.problem not in told]


def _is_due(result: Result) -> bool:
    return result.problem is None and result.plan is not None and result.plan.due
