"""One call of `rotate`: which keys, what came of each, and how it is told. The loop itself is `rotation/`."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..errors import NeedsPerson, NoDefault, Problem, mask
from ..plan import Note
from ..rotation.outcome import Ending
from ..rotation.prepare import Prospect, foresee, prepare
from ..rotation.room import delete_command, in_the_way, second_in_use
from ..rotation.run import Job, Result, Run, Wishes
from ..rotation.survey import is_kept
from ..rotation.unfinished import unfinished
from . import caching, jobs, moves, show
from .after import After
from .app import App
from .consent import Consent
from .narrator import Narrator
from .telling import Teller
from .wiring import Wiring

_ORDER = (1, 5, 4, 75)


def exit_code(results: Sequence[Result]) -> int:
    """With several keys: the first of 1, 5, 4, 75 that occurred."""
    codes = {r.problem.code for r in results if r.problem}
    codes |= {4 for r in results if r.outcome and r.outcome.ending is Ending.DECLINED}
    return next((code for code in _ORDER if code in codes), max(codes, default=0))


def _with_yes(profiles: Sequence[str], keep_old: str | None, flags: Mapping[str, bool]) -> str:
    """The command that was called, with --yes."""
    words = [word for name in profiles for word in ("-p", name)] + [flag for flag, given in flags.items() if given]
    words += ["--keep-old", keep_old] if keep_old else []
    return shlex.join(["rotate-my-key", "rotate", *words, "--yes"])


def _ids(results: Sequence[Result]) -> set[str]:
    """The keys that these results are about, old and new."""
    outcomes = [result.outcome for result in results if result.outcome]
    return {result.key_id for result in results} | {outcome.new for outcome in outcomes if outcome.new}


def _id_of(job: Job) -> str:
    try:
        return job.find().key_id
    except Problem:
        return ""


class Rotate:
    """One call of the command."""

    def __init__(
        self,
        app: App,
        *,
        profiles: tuple[str, ...],
        all_keys: bool,
        force: bool,
        yes: bool,
        keep_old: str | None,
        old_active: bool,
        update_copies: bool,
        mixed: bool,
        dry_run: bool,
        as_json: bool,
        young: bool = False,
    ) -> None:
        self._app = app
        self._out = app.say if as_json else app.out
        self._settings = app.settings
        self.wiring = Wiring.of(app)
        self.after = After(app, self.wiring)
        self._names: Sequence[str | None] = profiles or (None,)
        self._all, self._mixed = all_keys, mixed
        self._several = all_keys or len(profiles) > 1
        self._teller = Teller(app, self._out, self.wiring.copies, self._foreign, several=self._several)
        self.tell, self.json = self._teller.tell, self._teller.json
        self._narrators: list[Narrator] = []
        self._told: list[Result] = []
        self._accounts: dict[str, Any] = {}
        self._leak = force and keep_old is not None and not self._settings.keep_old
        self._wishes = Wishes(
            self._settings.policy,
            force,
            self._settings.keep_old,
            old_active,
            young,
            self.wiring.host,
            self.wiring.boot,
        )
        self._consent = Consent(
            app,
            self._settings.policy,
            yes=yes,
            flag=_with_yes(
                profiles,
                keep_old,
                {
                    "--all": all_keys,
                    "--force": force,
                    "--old-active": old_active,
                    "--update-copies": update_copies,
                    "--mixed": mixed,
                },
            ),
            replace_inactive=self._settings.replace_inactive,
            foreign=self._foreign,
            copies=self.wiring.copies,
        )

    @classmethod
    def of(cls, app: App, profile: str, *, young: bool = False) -> Rotate:
        """Rotate the key of one profile whatever its age, without a question. `young`: it was handed over just now."""
        return cls(
            app,
            profiles=(profile,),
            all_keys=False,
            force=True,
            yes=True,
            keep_old=None,
            old_active=False,
            update_copies=False,
            mixed=False,
            dry_run=False,
            as_json=True,
            young=young,
        )

    # What the command does

    def run(self, before: Sequence[Result] = ()) -> list[Result]:
        """Rotate, and tell what came of it; the keys of `before` are done with: they have just been told."""
        wiring = self.wiring
        unmoved = moves.finish(self._app, wiring)
        chosen, problems = self._jobs()
        done = _ids(before)
        if self._leak:
            self._wishes = replace(self._wishes, leaked=frozenset(map(_id_of, chosen)) - {""})
        chosen = [job for job in chosen if not done or _id_of(job) not in done]
        problems = [*unmoved, *problems]
        results = [*problems, *self._told_by(lambda run: self._settled_first(run, chosen))]
        for result in results:
            if result not in self._told:
                self.tell(result)
        if self._all:
            told = [*before, *results]
            self._out(show.summary([result for result in told if result.prospect or result.problem]))
        caching.remember(wiring, self._app, results)
        return results

    def _settled_first(self, run: Run, chosen: Sequence[Job]) -> list[Result]:
        """What earlier runs began is finished, and told, before anything is asked."""
        self._told = run.settle() if self._consent.asks else []
        for result in self._told:
            self.tell(result)
        known = {result.key_id for result in self._told}
        again = run.rotate(chosen)
        return [*self._told, *(each for each in again if each.prospect or each.key_id not in known)]

    def names_nothing(self, problem: Problem) -> bool:
        """Whether all that is wrong is that no profile was named and none is called default: what an earlier run began
        under a profile's name is finished all the same."""
        return not self._all and self._names == (None,) and isinstance(problem, NoDefault)

    def settle(self) -> list[Result]:
        """Finish what earlier runs began, and tell what came of it."""
        results = [*moves.finish(self._app, self.wiring), *self._told_by(Run.settle)]
        for result in results:
            self.tell(result)
        if results:
            caching.remember(self.wiring, self._app, results)
        return results

    def _told_by(self, do: Callable[[Run], list[Result]]) -> list[Result]:
        wiring = self.wiring
        run = Run(
            wiring.here,
            self._wishes,
            self._consent,
            wiring.lock,
            wiring.account_for,
            self._narrator_for,
            wiring.clockwork,
        )
        with wiring.stop.on_interrupt(), self._app.waiting("asking AWS"):
            try:
                return do(run)
            finally:
                for narrator in self._narrators:
                    narrator.end()

    def dry_run(self) -> list[Result]:
        """Look, and tell the steps that would be taken."""
        chosen, results = self._jobs()
        policy = self._settings.policy
        for found in unfinished(self.wiring.here, mend=False):
            if found.note is None or not is_kept(found.note):
                self._out(f"A rotation of key {mask(found.name)} is unfinished; it would be finished first.")
        for job in chosen:
            try:
                request = self._wishes.request(job.find())
                seen = prepare(request, job.account(), self.wiring.here, policy, self.wiring.clockwork.pause)
                if in_the_way(seen):
                    raise NeedsPerson(second_in_use(seen), delete_command(seen))
            except Problem as problem:
                results.append(Result(job.profiles, "", problem=problem))
                continue
            result = jobs.seen_result(job, seen, foresee(seen.world(self.wiring.here), policy))
            if result.outcome and result.outcome.steps:
                self.wiring.copies.foresee(seen.request.pair)
            self._teller.dry(result, seen)
            results.append(result)
        for result in results:
            self._teller.problem(result)
        return results

    def _jobs(self) -> tuple[list[Job], list[Result]]:
        found = jobs.Finder(self.wiring, self._settings, self._mixed)
        keys = found.every_key() if self._all else found.named(self._names)
        chosen = []
        for names, find in keys.jobs:
            narrator = self._narrator(names[0] if self._several else "")
            account = partial(self._account, names[0] if self._names != (None,) or self._all else None)
            chosen.append(Job(tuple(names), find, account, narrator))
        return chosen, keys.problems

    def _account(self, profile: str | None) -> Any:
        name = profile or ""
        if name not in self._accounts:
            self._accounts[name] = self.wiring.account(profile)
        return self._accounts[name]

    def _narrator(self, prefix: str) -> Narrator:
        narrator = Narrator(self._app, prefix, changing=self.after.changing, spin=not self._several)
        self._narrators.append(narrator)
        return narrator

    def _narrator_for(self, note: Note) -> Narrator:
        return self._narrator(note.places[0].profile if self._several and note.places else "")

    def _foreign(self, prospect: Prospect) -> Sequence[str]:
        accounts = [a for a in self._accounts.values() if a.endpoint == (prospect.draft and prospect.draft.endpoint)]
        return accounts[0].foreign_endpoints if accounts else ()
