"""What one call of `rotate` is about, and what came of it: the keys, found by profile; the rows that the cached status
keeps of them; the exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple

from ..core.errors import Problem
from ..core.hints import Hint
from ..core.model import Credentials
from ..core.policy import STATIC, Row, by_others, stamp
from .ports import CommandResult, Ending, Outcome
from .prepare import RotationPlan
from .run import Job, Result, undone


class Keys(NamedTuple):
    """The keys found: profiles that share one, with how to read the pair again; and what could not be used."""

    jobs: list[tuple[list[str], Callable[[], Credentials]]]
    problems: list[Result]


@dataclass(frozen=True)
class Finder:
    """Finds keys by profile. `pair` gives the one of a profile, None being the one in force, and raises Problem;
    `by_name` does so for one that was asked for, gives its name, too, and tells what is odd about it. `profiles` gives
    name, pair and note of all that should hold a key in the files; the note says why a pair is None."""

    pair: Callable[[str | None], Credentials]
    by_name: Callable[[str | None], tuple[str, Credentials]]
    profiles: Callable[[], Sequence[tuple[str, Credentials | None, str]]]
    exclude: Sequence[str]

    def named(self, profiles: Sequence[str | None]) -> Keys:
        """The keys of these profiles. Raises Problem if it is the only one and is no use."""
        keys = Keys([], [])
        by_id: dict[str, list[str]] = {}
        for profile in profiles:
            try:
                name, pair = self.by_name(profile)
            except Problem as problem:
                if len(profiles) == 1:
                    raise
                keys.problems.append(Result((profile or "",), "", problem=problem))
                continue
            if pair.key_id not in by_id:
                keys.jobs.append((by_id.setdefault(pair.key_id, []), partial(self.pair, profile)))
            by_id[pair.key_id].append(name)
        return keys

    def every_key(self) -> Keys:
        """Every static key of the two files, without those that an excluded profile holds."""
        found = self.profiles()
        excluded = {pair.key_id for name, pair, _ in found if pair and name in self.exclude}
        by_id: dict[str, list[str]] = {}
        keys = Keys([], [])
        for name, pair, note in found:
            if pair and pair.key_id not in excluded:
                by_id.setdefault(pair.key_id, []).append(name)
            elif pair is None and name not in self.exclude:
                problem = self._problem(name) or Problem(f"profile {name}: {note}", Hint("status"))
                keys.problems.append(Result((name,), "", problem=problem))
        for names in by_id.values():
            if broken := self._problem(names[0]):
                keys.problems.append(Result(tuple(names), "", problem=broken))
            else:
                keys.jobs.append((list(dict.fromkeys(names)), partial(self.pair, names[0])))
        return keys

    def _problem(self, profile: str) -> Problem | None:
        try:
            self.pair(profile)
        except Problem as problem:
            return problem
        return None


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
