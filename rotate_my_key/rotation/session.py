"""What one call of `rotate` is about, and what came of it: the keys, found by profile; the rows that the cached status
keeps of them; the exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Generic, Protocol, TypeVar

from ..core.errors import Problem
from ..core.hints import Hint
from ..core.model import Credentials
from ..core.policy import STATIC, Row, by_others, stamp
from .ports import CommandResult, Ending, Outcome
from .prepare import RotationPlan
from .run import Job, Result, undone

Find = Callable[[], Credentials]


class _ActiveKey(Protocol):
    """The key that an SDK uses for a profile, and what the person should know of it."""

    @property
    def profile(self) -> str: ...

    @property
    def pair(self) -> Credentials: ...


class _StaticProfile(Protocol):
    """A profile that should hold a user's key; `note` says why `pair` is None."""

    @property
    def profile(self) -> str: ...

    @property
    def pair(self) -> Credentials | None: ...

    @property
    def note(self) -> str: ...


K = TypeVar("K", bound=_ActiveKey)


@dataclass
class Keys:
    """The keys found: profiles that share one, with how to read the pair again; and what could not be used."""

    jobs: list[tuple[list[str], Find]] = field(default_factory=list)
    problems: list[Result] = field(default_factory=list)


@dataclass(frozen=True)
class Finder(Generic[K]):
    """Finds keys by profile. `active` gives the key of a profile, None being the one in force, and raises Problem;
    `profiles` gives all that hold a key in the files; `tell` is called with each key that was asked for by name."""

    active: Callable[[str | None], K]
    profiles: Callable[[], Sequence[_StaticProfile]]
    tell: Callable[[K], None]
    exclude: Sequence[str]

    def named(self, profiles: Sequence[str | None]) -> Keys:
        """The keys of these profiles. Raises Problem if it is the only one and is no use."""
        keys = Keys()
        by_id: dict[str, list[str]] = {}
        for profile in profiles:
            try:
                active = self.active(profile)
            except Problem as problem:
                if len(profiles) == 1:
                    raise
                keys.problems.append(Result((profile or "",), "", problem=problem))
                continue
            self.tell(active)
            if active.pair.key_id in by_id:
                by_id[active.pair.key_id].append(active.profile)
                continue
            by_id[active.pair.key_id] = [active.profile]
            keys.jobs.append((by_id[active.pair.key_id], partial(self._pair, profile)))
        return keys

    def every_key(self) -> Keys:
        """Every static key of the two files, without those that an excluded profile holds."""
        facts = self.profiles()
        excluded = {f.pair.key_id for f in facts if f.pair and f.profile in self.exclude}
        by_id: dict[str, list[str]] = {}
        for fact in facts:
            if fact.pair and fact.pair.key_id not in excluded:
                by_id.setdefault(fact.pair.key_id, []).append(fact.profile)
        unread = [fact for fact in facts if fact.pair is None and fact.profile not in self.exclude]
        keys = Keys([], [self._unread(fact) for fact in unread])
        for names in by_id.values():
            try:
                self._pair(names[0])
            except Problem as problem:
                keys.problems.append(Result(tuple(names), "", problem=problem))
                continue
            keys.jobs.append((list(dict.fromkeys(names)), partial(self._pair, names[0])))
        return keys

    def _unread(self, fact: _StaticProfile) -> Result:
        problem = Problem(f"profile {fact.profile}: {fact.note}", Hint("status"))
        try:
            self._pair(fact.profile)
        except Problem as found:
            problem = found
        return Result((fact.profile,), "", problem=problem)

    def _pair(self, profile: str | None) -> Credentials:
        return self.active(profile).pair


def ids(results: Sequence[Result]) -> set[str]:
    """The keys that these results are about, old and new."""
    outcomes = [result.outcome for result in results if result.outcome]
    return {result.key_id for result in results} | {outcome.new for outcome in outcomes if outcome.new}


def id_of(job: Job) -> str:
    """The id of a job's key; "" if it cannot be read."""
    try:
        return job.find().key_id
    except Problem:
        return ""


_ORDER = (1, 5, 4, 75)


def exit_code(results: Sequence[Result]) -> int:
    """With several keys: the first of 1, 5, 4, 75 that occurred."""
    codes = {r.problem.code for r in results if r.problem}
    codes |= {4 for r in results if r.outcome and r.outcome.ending is Ending.DECLINED}
    return next((code for code in _ORDER if code in codes), max(codes, default=0))


def of_commands(ended: Sequence[CommandResult]) -> list[Result]:
    """What the commands of [after_rotate] mean for the exit code."""
    return [Result((), "", problem=each.problem) for each in ended]


_REPLACED = {Ending.ROTATED, Ending.MERGED, Ending.WAITING}


def seen_rows(rows: Sequence[Row], results: Sequence[Result], now: datetime) -> list[Row] | None:
    """The rows of the cached status with the keys that were looked at or made: the profiles that held the old id hold
    the new one now. None if there was none."""
    known = [(r.outcome, r.plan) for r in map(undone, results) if r.outcome and r.outcome.created and r.outcome.arn]
    for outcome, plan in known:
        rows = _with(rows, outcome, plan, now)
    return list(rows) if known else None


def _with(rows: Sequence[Row], outcome: Outcome, plan: RotationPlan | None, now: datetime) -> list[Row]:
    held = [row for row in rows if row.get("key_id") in (outcome.old, outcome.new)]
    key_id = outcome.new if outcome.ending in _REPLACED and outcome.new else outcome.old
    before = next((row for row in held if row["key_id"] == key_id), {})
    use = plan.look.use if plan and plan.key.key_id == key_id else before.get("last_use")
    places = [place for row in held for place in row.get("places") or []]
    recall = plan.recall if plan and plan.key.key_id == key_id else None
    row = {
        "profiles": list(
            dict.fromkeys([*(n for r in held for n in r["profiles"]), *(p.profile for p in outcome.places)])
        ),
        "kind": STATIC,
        "key_id": key_id,
        "account": outcome.account,
        "user": outcome.arn.rsplit("/", 1)[-1],
        "created": stamp(outcome.created),
        "last_use": use,
        "used_by_others": by_others(use, before),
        "exempt": outcome.ending is Ending.EXEMPT,
        "recall": recall.row if recall else None,
        "seen_at": stamp(now),
        "places": places or [place.json() for place in outcome.places],
    }
    if not held:
        return [*rows, row]
    return [row if each is held[0] else each for each in rows if each is held[0] or each not in held]
