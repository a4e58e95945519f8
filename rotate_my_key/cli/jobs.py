"""Which keys a command is about: the active profile's, those of named profiles, or every key here, each once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..errors import Problem
from ..model import Credentials
from ..plan import Step
from ..profiles.file import ROTATABLE, ProfileFact, sections
from ..rotation.outcome import Ending, Outcome
from ..rotation.prepare import Prospect
from ..rotation.run import Job, Result
from ..settings import Settings
from .wiring import Wiring


@dataclass
class Keys:
    """The keys found: profiles that share one, with how to read the pair again; and what could not be used."""

    jobs: list[tuple[list[str], Callable[[], Credentials]]] = field(default_factory=list)
    problems: list[Result] = field(default_factory=list)


class Finder:
    """Finds keys by profile."""

    def __init__(self, wiring: Wiring, settings: Settings, mixed: bool) -> None:
        self._wiring = wiring
        self._settings = settings
        self._mixed = mixed

    def named(self, profiles: Sequence[str | None]) -> Keys:
        """The keys of these profiles; None is the active one. Raises Problem if it is the only one and is no use."""
        keys = Keys()
        by_id: dict[str, list[str]] = {}
        for profile in profiles:
            try:
                active = self._wiring.active(profile, mixed=self._mixed)
            except Problem as problem:
                if len(profiles) == 1:
                    raise
                keys.problems.append(Result((profile or "",), "", problem=problem))
                continue
            for warning in active.warnings:
                self._wiring.warn(warning)
            for reason in active.trail:
                self._wiring.detail(reason)
            if active.pair.key_id in by_id:
                by_id[active.pair.key_id].append(active.profile)
                continue
            by_id[active.pair.key_id] = [active.profile]
            keys.jobs.append((by_id[active.pair.key_id], partial(self._pair, profile)))
        return keys

    def every_key(self) -> Keys:
        """Every static key of the two files, without those that an excluded profile holds."""
        facts = [fact for fact in sections(self._wiring.files, self._wiring.keyring.pair) if fact.kind in ROTATABLE]
        excluded = {f.pair.key_id for f in facts if f.pair and f.profile in self._settings.exclude}
        by_id: dict[str, list[str]] = {}
        for fact in facts:
            if fact.pair and fact.pair.key_id not in excluded:
                by_id.setdefault(fact.pair.key_id, []).append(fact.profile)
        unread = [fact for fact in facts if fact.pair is None and fact.profile not in self._settings.exclude]
        keys = Keys([], [self._unread(fact) for fact in unread])
        for names in by_id.values():
            try:
                self._pair(names[0])
            except Problem as problem:
                keys.problems.append(Result(tuple(names), "", problem=problem))
                continue
            keys.jobs.append((list(dict.fromkeys(names)), partial(self._pair, names[0])))
        return keys

    def _unread(self, fact: ProfileFact) -> Result:
        problem = Problem(f"profile {fact.profile}: {fact.note}", "rotate-my-key status")
        try:
            self._pair(fact.profile)
        except Problem as found:
            problem = found
        return Result((fact.profile,), "", problem=problem)

    def _pair(self, profile: str | None) -> Credentials:
        return self._wiring.active(profile, mixed=self._mixed).pair


def seen_result(job: Job, seen: Prospect, steps: list[Step]) -> Result:
    """The result of a dry run."""
    who = seen.look.identity
    outcome = Outcome(
        Ending.DUE if seen.due else Ending.EXEMPT if seen.exempt else Ending.FRESH,
        seen.key.key_id,
        None,
        who.account,
        who.arn,
        seen.places,
        created=seen.key.created,
        steps=tuple(steps),
    )
    return Result(job.profiles, seen.key.key_id, outcome, seen)
