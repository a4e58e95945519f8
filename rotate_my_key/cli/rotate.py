"""`rotate`: asks, and tells what came of it. Which keys it is about stands in `rotation/session.py`, the run itself in
`rotation/run.py`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any

from .. import __version__
from ..core.errors import NoKeyHere, Problem, WrongUsage
from ..core.hints import Hint
from ..core.model import Credentials
from ..core.plan import Note
from ..core.policy import Row, by_others, mask, parse_duration
from ..profiles.kinds import ROTATABLE, sections
from ..rotation.ports import CommandResult
from ..rotation.prepare import RotateOptions, RotationPlan
from ..rotation.run import Job, Result, Run
from ..rotation.session import Finder, exit_code, id_of, ids, of_commands, seen_rows
from ..rotation.survey import is_kept
from ..rotation.unfinished import unfinished
from ..settings import Settings
from . import reminder, show
from .app import App
from .talk import Narrator, Talk
from .wiring import Wiring


@dataclass(frozen=True, kw_only=True)
class Typed:
    """The options of the command line."""

    profiles: tuple[str, ...] = ()
    all_keys: bool = False
    force: bool = False
    yes: bool = False
    overlap: str | None = None
    keep_old: str | None = None
    old_active: bool = False
    update_copies: bool = False
    mixed: bool = False
    dry_run: bool = False
    as_json: bool = False

    def is_leak(self, overlap: timedelta) -> bool:
        """Whether the key has leaked, and waits for nobody, however long a site lets others go on working; `overlap` is
        the setting's, if none was typed."""
        working = overlap if self.overlap is None else parse_duration(self.overlap)
        return self.force and self.keep_old is not None and not (working or parse_duration(self.keep_old))


def finder(app: App, settings: Settings, *, mixed: bool) -> Finder:
    """Finds keys in the files of this computer, and tells what is odd about those that are asked for by name."""
    wiring = Wiring.of(app)

    def by_name(profile: str | None) -> tuple[str, Credentials]:
        active = wiring.active(profile, mixed=mixed)
        for warning in active.warnings:
            wiring.warn(warning)
        for reason in active.trail:
            app.detail(reason)
        return active.profile, active.pair

    return Finder(
        lambda profile: wiring.active(profile, mixed=mixed).pair,
        by_name,
        lambda: [
            (f.profile, f.pair, f.note) for f in sections(wiring.files, wiring.keyring.pair) if f.kind in ROTATABLE
        ],
        settings.exclude,
    )


def remember(wiring: Wiring, app: App, results: Sequence[Result]) -> None:
    """Note for `status --cached` and the reminder which keys were looked at or made."""
    cache = reminder.cache(app)
    rows = seen_rows(cache.load().rows, results, datetime.now(UTC))
    if rows is None:
        reminder.refresh(app)
        return
    try:
        cache.save(rows)
    except Problem as problem:
        app.detail(f"the status could not be saved: {problem.message}")


class Rotate:
    """One call of the command."""

    def __init__(self, app: App, typed: Typed, *, young: bool = False) -> None:
        """`young`: the key was handed over just now."""
        self._app, self._typed = app, typed
        self._out = app.say if typed.as_json else app.out
        self._settings = settings = app.settings
        self.wiring = wiring = Wiring.of(app)
        self._names: Sequence[str | None] = typed.profiles or (None,)
        self._several = typed.all_keys or len(typed.profiles) > 1
        self._talk = Talk(
            app, wiring.copies, typed.yes, self._out, self._foreign, self._others, self._looked, self._several
        )
        self.tell, self.json = self._talk.tell, self._talk.json
        self._narrators: list[Narrator] = []
        self._told: list[Result] = []
        self._accounts: dict[str, Any] = {}
        self._options = RotateOptions(
            settings.policy,
            typed.force,
            settings.keep_old if typed.old_active else settings.overlap,
            settings.overlap_most,
            timedelta(0) if typed.old_active else settings.keep_old,
            young,
        )

    @classmethod
    def of(cls, app: App, profile: str, *, young: bool = False) -> Rotate:
        """Rotate the key of one profile whatever its age, without a question."""
        return cls(app, Typed(profiles=(profile,), force=True, yes=True, as_json=True), young=young)

    # What the command does

    def whole(self) -> list[Result]:
        """Rotate, and finish what `adopt` was stopped over. Where what shall happen afterwards cannot be done, nothing
        is begun; what was begun is finished all the same."""
        app, typed = self._app, self._typed
        try:
            self.wiring.here.commands.check()
        except Problem as problem:
            unready = Result((), "", problem=problem)
            results = [*self.settle(), unready]
            self.tell(unready)
            return results
        before: list[Result] = []
        if self.wiring.handed.ids():
            from .handover import finish_taken

            before = finish_taken(app, self.settle, self.tell, lambda profile: Rotate.of(app, profile).run())
        try:
            return [*before, *self.run(before)]
        except NoKeyHere:
            # No profile was named and the active one has no key (none, or SSO and the like): what an earlier run began
            # under a profile's name is finished all the same
            if typed.all_keys or typed.profiles:
                raise
            before = before or self.settle()
            if not before:
                raise
            return before

    def run(self, before: Sequence[Result] = ()) -> list[Result]:
        """Rotate, and tell what came of it; the keys of `before` are done with: they have just been told."""
        wiring = self.wiring
        unmoved = wiring.finish_moves()
        chosen, problems = self._jobs()
        done = ids(before)
        if self._typed.is_leak(self._settings.overlap):
            leaked = frozenset(map(id_of, chosen)) - {""}
            self._options = replace(self._options, leaked=leaked, overlap=timedelta(0))
        chosen = [job for job in chosen if not done or id_of(job) not in done]
        problems = [*unmoved, *problems]
        results = [*problems, *self._told_by(lambda run: self._settled_first(run, chosen))]
        for result in results:
            if result not in self._told:
                self.tell(result)
        if self._typed.all_keys:
            told = [*before, *results]
            self._out(show.summary([result for result in told if result.plan or result.problem]))
        remember(wiring, self._app, results)
        return results

    def _settled_first(self, run: Run, chosen: Sequence[Job]) -> list[Result]:
        """What earlier runs began is finished, and told, before anything is asked."""
        self._told = run.settle() if self._talk.asks else []
        for result in self._told:
            self.tell(result)
        known = {result.key_id for result in self._told}
        told = {result.problem.message for result in self._told if result.problem}
        again = [each for each in run.rotate(chosen) if not each.problem or each.problem.message not in told]
        return [*self._told, *(each for each in again if each.plan or each.key_id not in known)]

    def settle(self) -> list[Result]:
        """Finish what earlier runs began, and tell what came of it."""
        results = [*self.wiring.finish_moves(), *self._told_by(Run.settle)]
        for result in results:
            self.tell(result)
        if results:
            remember(self.wiring, self._app, results)
        return results

    @property
    def _run(self) -> Run:
        wiring = self.wiring
        return Run(
            wiring.here,
            self._options,
            self._talk,
            wiring.lock,
            wiring.account_for,
            self._narrator_for,
            wiring.waiter,
            self._counting,
        )

    @contextmanager
    def _counting(self, total: int) -> Iterator[Callable[[], None]]:
        """Several keys are counted while they are rotated."""
        if not self._several or total < 2:
            yield lambda: None
            return
        with self._app.progress() as show:
            done, text = itertools.count(), "rotating your keys (Ctrl-C is safe)"
            show(text, next(done), total)
            yield lambda: show(text, next(done), total)

    def let_go(self) -> None:
        """Only the old keys that were kept as long as was agreed to."""
        self._told_by(lambda run: run.settle(only_kept=True))

    def _told_by(self, do: Callable[[Run], list[Result]]) -> list[Result]:
        wiring = self.wiring
        with wiring.stop.on_interrupt(), self._app.waiting("checking your keys..."):
            try:
                return do(self._run)
            finally:
                for narrator in self._narrators:
                    narrator.close()

    def dry_run(self) -> list[Result]:
        """Look, and tell the steps that would be taken."""
        chosen, problems = self._jobs()
        for found in unfinished(self.wiring.here, mend=False):
            if found.note is None or not is_kept(found.note):
                self._out(f"A rotation of key {mask(found.name)} is unfinished and would be finished first.")
        seen = self._run.foresee(chosen)
        for result in seen:
            if result.outcome and result.plan:
                if result.outcome.steps:
                    self.wiring.copies.look([result.plan.pair])
                self._talk.dry(result, result.plan)
        results = [*problems, *seen]
        for result in results:
            self._talk.problem(result)
        self._looked([each.plan for each in seen if each.plan and each.key_id in self._before])
        return results

    def _jobs(self) -> tuple[list[Job], list[Result]]:
        every = self._typed.all_keys
        found = finder(self._app, self._settings, mixed=self._typed.mixed)
        keys = found.every_key() if every else found.named(self._names)
        chosen = []
        for names, find in keys.jobs:
            narrator = self._narrator(names[0] if self._several else "")
            account = partial(self._account, names[0] if self._names != (None,) or every else None)
            chosen.append(Job(tuple(names), find, account, narrator))
        return chosen, keys.problems

    def _account(self, profile: str | None) -> Any:
        name = profile or ""
        if name not in self._accounts:
            self._accounts[name] = self.wiring.account(profile)
        return self._accounts[name]

    def _narrator(self, prefix: str, title: str = "") -> Narrator:
        narrator = Narrator(self._app, prefix, spin=not self._several, title=title)
        self._narrators.append(narrator)
        return narrator

    def _narrator_for(self, note: Note) -> Narrator:
        name, key = show.names(note.places), mask(note.name)
        title = f"Finishing an earlier rotation: {f'profile {name}, ' if name else ''}key {key}"
        return self._narrator(note.places[0].profile if self._several and note.places else "", title)

    def _looked(self, plans: Sequence[RotationPlan]) -> None:
        """Kept even if the person stops at the question: a look is a use of the key, and covers what was before it."""
        if plans:
            remember(self.wiring, self._app, [Result((), plan.key.key_id, plan=plan) for plan in plans])

    @cached_property
    def _before(self) -> dict[str, Row]:
        return {row["key_id"]: row for row in reminder.cache(self._app).load().rows if row.get("key_id")}

    def _others(self, plan: RotationPlan) -> Row | None:
        return by_others(plan.look.use, self._before.get(plan.key.key_id, {}))

    def _foreign(self, plan: RotationPlan) -> Sequence[str]:
        accounts = [a for a in self._accounts.values() if a.endpoint == (plan.draft and plan.draft.endpoint)]
        return accounts[0].foreign_endpoints if accounts else ()


def run(app: App, **options: Any) -> int:
    """Replace the access key of the active profile, if it is due."""
    typed = Typed(**options)
    rotation, results, told = _run(app, typed)
    if typed.as_json:
        app.json({"dry_run": typed.dry_run, **rotation.json(results), "after_rotate": show.commands_json(told)})
    return exit_code([*results, *of_commands(told)])


def finish(app: App) -> int:
    """What a login starts once an old key was kept long enough: it goes, as was agreed to when it was replaced, and
    nothing else is done. Nobody is asked, and whatever is in its way is told by `status`."""
    from . import status

    app.wiring = Wiring(app, asks=False)
    with suppress(Problem):
        Rotate(app, Typed(yes=True, as_json=True)).let_go()
    return status.run(app, profiles=(), cached=False, least=None, as_json=False)


def quietly(app: App, **options: Any) -> list[Result]:
    """The same without a word of what went well; gives what came of each key, and of the commands that follow."""
    _, results, told = _run(app, Typed(**{**options, "as_json": True}))
    return [*results, *of_commands(told)]


def _run(app: App, typed: Typed) -> tuple[Rotate, list[Result], list[CommandResult]]:
    if typed.profiles and typed.all_keys:
        raise WrongUsage("-p and --all cannot be used together", Hint("rotate", "--all"))
    app.flags["overlap"] = typed.overlap
    app.flags["keep_old"] = typed.keep_old
    app.flags["update_copies"] = typed.update_copies or None
    # A version that is older than the site asks for still rotates: an old key is worse
    if app.settings.is_outdated(__version__):
        from ..doctor.local import upgrade

        origin = app.settings.origin["minimum_version"]
        asked = f"{origin.text} is required ({origin.ceiling or origin.source})"
        app.say(f"{app.style('note:', fg='yellow')} this is version {__version__}, but at least {asked}: {upgrade()}")
    if typed.old_active and not app.settings.keep_old:
        raise WrongUsage(
            "--old-active does nothing without --keep-old", Hint("rotate", "--keep-old", "7d", "--old-active")
        )
    rotation = Rotate(app, typed)
    if typed.dry_run:
        seen = rotation.dry_run()
        hooks = [hook for result in seen if result.plan for hook in result.plan.hooks]
        return rotation, seen, [CommandResult(name, None) for name in dict.fromkeys(hook.name for hook in hooks)]
    return rotation, rotation.whole(), rotation.wiring.here.commands.run()
