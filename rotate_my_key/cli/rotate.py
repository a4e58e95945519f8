"""`rotate`: which keys, what came of each, how it is told, and what is kept of it for `status --cached` and
the reminder. The loop itself is `rotation/`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..core.errors import Denied, NeedsPerson, NoDefault, NotAllowed, Problem, WrongUsage
from ..core.model import Credentials
from ..core.plan import Note, Step
from ..core.policy import STATIC, Row, mask, stamp
from ..profiles.kinds import ROTATABLE, ProfileFact, sections
from ..rotation.ports import Ending, Outcome
from ..rotation.prepare import (
    RotateOptions,
    RotationPlan,
    delete_command,
    first_look,
    foresee,
    in_the_way,
    prepare,
    second_in_use,
)
from ..rotation.run import Job, Result, Run
from ..rotation.survey import is_kept
from ..rotation.unfinished import unfinished
from ..settings import Settings, after_rotate
from ..state.history import Mark
from . import reminder, show
from .app import App
from .talk import Narrator, Teller, TerminalConsent
from .wiring import Wiring

if TYPE_CHECKING:
    from .after import After, Told


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


def seen_result(job: Job, seen: RotationPlan, steps: list[Step]) -> Result:
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


_REPLACED = {Ending.ROTATED, Ending.MERGED, Ending.WAITING}


def remember(wiring: Wiring, app: App, results: Sequence[Result]) -> None:
    """Note the keys that were looked at or made: the profiles that held the old id hold the new one now."""
    known = [r.outcome for r in results if r.outcome and r.outcome.created and r.outcome.arn]
    if not known:
        reminder.refresh(app)
        return
    cache = reminder.cache(app)
    rows = cache.load().rows
    for outcome in known:
        rows = _with(rows, outcome)
    try:
        cache.save(rows)
    except Problem as problem:
        app.detail(f"the status could not be kept: {problem.message}")


def _with(rows: list[Row], outcome: Outcome) -> list[Row]:
    held = [row for row in rows if row.get("key_id") in (outcome.old, outcome.new)]
    key_id = outcome.new if outcome.ending in _REPLACED and outcome.new else outcome.old
    places = [place for row in held for place in row.get("places") or []]
    row = {
        "profiles": list(
            dict.fromkeys([*(n for r in held for n in r["profiles"]), *(p.profile for p in outcome.places)])
        ),
        "kind": STATIC,
        "key_id": key_id,
        "account": outcome.account,
        "user": outcome.arn.rsplit("/", 1)[-1],
        "created": stamp(outcome.created),
        "last_use": held[0].get("last_use") if held and key_id == outcome.old else None,
        "exempt": outcome.ending is Ending.EXEMPT,
        "seen_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "places": places or [show.place_json(place) for place in outcome.places],
    }
    if not held:
        return [*rows, row]
    return [row if each is held[0] else each for each in rows if each is held[0] or each not in held]


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
        self._names: Sequence[str | None] = profiles or (None,)
        self._all, self._mixed = all_keys, mixed
        self._several = all_keys or len(profiles) > 1
        self._teller = Teller(app, self._out, self.wiring.copies, self._foreign, several=self._several)
        self.tell, self.json = self._teller.tell, self._teller.json
        self._narrators: list[Narrator] = []
        self._told: list[Result] = []
        self._accounts: dict[str, Any] = {}
        self._leak = force and keep_old is not None and not self._settings.keep_old
        self._options = RotateOptions(
            self._settings.policy,
            force,
            self._settings.keep_old,
            old_active,
            young,
            self.wiring.host,
            self.wiring.boot,
        )
        self._consent = TerminalConsent(
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
        unmoved = wiring.finish_moves()
        chosen, problems = self._jobs()
        done = _ids(before)
        if self._leak:
            self._options = replace(self._options, leaked=frozenset(map(_id_of, chosen)) - {""})
        chosen = [job for job in chosen if not done or _id_of(job) not in done]
        problems = [*unmoved, *problems]
        results = [*problems, *self._told_by(lambda run: self._settled_first(run, chosen))]
        for result in results:
            if result not in self._told:
                self.tell(result)
        if self._all:
            told = [*before, *results]
            self._out(show.summary([result for result in told if result.plan or result.problem]))
        remember(wiring, self._app, results)
        return results

    def _settled_first(self, run: Run, chosen: Sequence[Job]) -> list[Result]:
        """What earlier runs began is finished, and told, before anything is asked."""
        self._told = run.settle() if self._consent.asks else []
        for result in self._told:
            self.tell(result)
        known = {result.key_id for result in self._told}
        again = run.rotate(chosen)
        return [*self._told, *(each for each in again if each.plan or each.key_id not in known)]

    @cached_property
    def after(self) -> After | None:
        """The person's commands; None if there are none, and none that an earlier run owes."""
        with suppress(Problem):
            state, settings = self._app.paths.state_dir, self._app.paths.config_file
            if not os.path.isdir(os.path.join(state, "after")) and not after_rotate(settings):
                return None
        from .after import After

        return After(self._app, self.wiring)

    @property
    def changing(self) -> Callable[[Note], None] | None:
        """To be told before places are changed."""
        return self.after.changing if self.after else None

    def run_after(self) -> list[Told]:
        """Run the commands that are to be run."""
        return self.after.run() if self.after else []

    def names_nothing(self, problem: Problem) -> bool:
        """Whether all that is wrong is that no profile was named and none is called default: what an earlier run began
        under a profile's name is finished all the same."""
        return not self._all and self._names == (None,) and isinstance(problem, NoDefault)

    def settle(self) -> list[Result]:
        """Finish what earlier runs began, and tell what came of it."""
        results = [*self.wiring.finish_moves(), *self._told_by(Run.settle)]
        for result in results:
            self.tell(result)
        if results:
            remember(self.wiring, self._app, results)
        return results

    def _told_by(self, do: Callable[[Run], list[Result]]) -> list[Result]:
        wiring = self.wiring
        run = Run(
            wiring.here,
            self._options,
            self._consent,
            wiring.lock,
            wiring.account_for,
            self._narrator_for,
            wiring.waiter,
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
                seen = prepare(job.find(), self._options, job.account(), self.wiring.here, self.wiring.waiter.pause)
                if in_the_way(seen):
                    raise NeedsPerson(second_in_use(seen), delete_command(seen))
            except Problem as problem:
                results.append(Result(job.profiles, "", problem=problem))
                continue
            result = seen_result(job, seen, foresee(seen.world(self.wiring.here), policy))
            if result.outcome and result.outcome.steps:
                self.wiring.copies.foresee(seen.pair)
            self._teller.dry(result, seen)
            results.append(result)
        for result in results:
            self._teller.problem(result)
        return results

    def _jobs(self) -> tuple[list[Job], list[Result]]:
        found = Finder(self.wiring, self._settings, self._mixed)
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
        narrator = Narrator(self._app, prefix, changing=self.changing, spin=not self._several)
        self._narrators.append(narrator)
        return narrator

    def _narrator_for(self, note: Note) -> Narrator:
        return self._narrator(note.places[0].profile if self._several and note.places else "")

    def _foreign(self, plan: RotationPlan) -> Sequence[str]:
        accounts = [a for a in self._accounts.values() if a.endpoint == (plan.draft and plan.draft.endpoint)]
        return accounts[0].foreign_endpoints if accounts else ()


def run(app: App, *, as_json: bool, **options: Any) -> int:
    """Replace the access key of the active profile, if it is due."""
    rotation, results, told = _run(app, as_json=as_json, **options)
    if as_json:
        app.json({"dry_run": options["dry_run"], **rotation.json(results), "after_rotate": [t.json() for t in told]})
    return exit_code([*results, *(each.result() for each in told)])


def quietly(app: App, **options: Any) -> list[Result]:
    """The same without a word of what went well; gives what came of each key, and of the commands that follow."""
    _, results, told = _run(app, **{**options, "as_json": True})
    return [*results, *(each.result() for each in told)]


def _run(app: App, **options: Any) -> tuple[Rotate, list[Result], list[Told]]:
    if options["profiles"] and options["all_keys"]:
        raise WrongUsage("-p and --all do not go together", "rotate-my-key rotate --all")
    app.flags["keep_old"] = options["keep_old"]
    app.flags["update_copies"] = options["update_copies"] or None
    _check_version(app)
    if options["old_active"] and not app.settings.keep_old:
        raise WrongUsage(
            "--old-active does nothing without --keep-old", "rotate-my-key rotate --keep-old 7d --old-active"
        )
    rotation = Rotate(app, **options)
    if options["dry_run"]:
        return rotation, rotation.dry_run(), []
    return rotation, _rotate(app, rotation), rotation.run_after()


def _rotate(app: App, rotation: Rotate) -> list[Result]:
    """Where what shall happen afterwards cannot be done, nothing is begun; what was begun is finished all the same."""
    try:
        if rotation.after:
            rotation.after.check()
    except Problem as problem:
        unready = Result((), "", problem=problem)
        results = [*rotation.settle(), unready]
        rotation.tell(unready)
        return results
    before = _finish_taken(app, rotation) if rotation.wiring.handed.ids() else []
    try:
        return [*before, *rotation.run(before)]
    except Problem as problem:
        if not rotation.names_nothing(problem):
            raise
        before = before or rotation.settle()
        if not before:
            raise
        return before


def _check_version(app: App) -> None:
    """A version that is older than the site asks for still rotates: an old key is worse."""
    if app.settings.is_outdated(__version__):
        from ..doctor.local import upgrade

        origin = app.settings.origin["minimum_version"]
        asked = f"{origin.text} is asked for ({origin.ceiling or origin.source})"
        app.say(f"{app.style('note:', fg='yellow')} this is version {__version__}, and at least {asked}: {upgrade()}")


# What `adopt` was stopped over


def _finish_taken(app: App, rotation: Rotate) -> list[Result]:
    """Finish it for each key that is marked and that a place here holds; gives what came of that, and has told it.
    What earlier runs had begun comes first: a run that was killed may not have brought its key into the places."""
    from .handover import RIGHTS, Delivery, still_there

    wiring = rotation.wiring
    if not wiring.handed.ids():
        return []
    settled = rotation.settle()
    results = list(settled)
    for pair, profile in wiring.handed_held():
        mark = wiring.handed.read(pair.key_id)
        if mark.replaces and mark.replaces in wiring.here.notes.names():  # it could not be settled
            told = next((each.problem for each in settled if each.problem and each.key_id == mark.replaces), None)
            why = still_there(pair, mark.replaces, "you are not allowed to delete it")
            results.append(Result((profile,), pair.key_id, problem=told or NotAllowed(why, RIGHTS)))
            if not told:
                rotation.tell(results[-1])
            continue
        done = _given_up(app, wiring, pair, profile, mark)
        for result in done:
            if result.problem:
                rotation.tell(result)
        results += done
        if mark.delivery:
            Delivery(app, mark.delivery, profile, mark.signer).remove_left(pair.key_id, profile)
            wiring.handed.mark(pair.key_id, mark._replace(delivery="", signer=""))
        if not any(result.problem for result in done):
            results += Rotate.of(app, profile).run()
    wiring.forget_handed()
    return results


def _given_up(app: App, wiring: Wiring, pair: Credentials, profile: str, mark: Mark) -> list[Result]:
    """The old key that the delivery named, if it is still there; what was begun has been settled before."""
    from ..rotation.incoming import elsewhere
    from .handover import give_up

    if not mark.replaces:
        return []
    account = wiring.account(profile)
    try:
        with wiring.stop.on_interrupt(), wiring.lock(), app.waiting("asking AWS"):
            look = first_look(pair, account, wiring.here, wiring.waiter.pause)
            if not elsewhere(mark.replaces, look, account, wiring.here):
                return []
            return give_up(app, account, look, pair, mark.replaces, profile)
    except Denied:
        return []  # who may not even list their keys is told so by the rotation
    except Problem as problem:
        return [Result((profile,), pair.key_id, problem=problem)]
