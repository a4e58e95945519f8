"""`fleet enforce --apply`: what was planned is done, key by key, and everybody is told.

- Templates are rendered and the audit is written to before anything is done; an audit that cannot be written ends the
  run before the next action. Nothing else does: what fails is named, and the rest goes on.
- Notices first, one for each owner with all of their keys, remembered once they are out. Then the actions. When the
  allowed hours or the time are over, the rest is left to the next run.
- The owner is told of each action at once, the admins of all at the end. Owners who could not be reached are tried
  again at the end of the run, then by the next run: until then the tag keeps the intent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from ..core.errors import Interrupted, Problem, TryLater, fault
from ..core.model import recalled
from ..core.parallel import Pool
from ..core.policy import number
from .actions import WORDS, ActionResult, ActionState, Actor, Maker, coming, done
from .audit import AuditTrail, NotKept
from .enforce_plan import EnforceContext, EnforcePlan, PlannedAction, by_owner, by_user, left_of, spared_of, unsure_of
from .memory import UnreadableTag
from .model import AwsAccount, Event, Owner
from .notices import Remark
from .remind import after_notice
from .rules import ActionKind, Skipped, SkipRule, closed, settled, switched_off_at
from .survey import first_code
from .users import UserLook, look, remember_keys

_PAUSES = (0.0, 5.0, 20.0)  # seconds before each round at the end


@dataclass(frozen=True, slots=True)
class EnforceResult:
    """What a run did. `stopped` is why it ended early, if it did; `waits` says what it left to the next run for want of
    time; `untold` what went wrong with telling people."""

    results: tuple[ActionResult, ...] = ()
    spared: tuple[tuple[AwsAccount, Skipped], ...] = ()
    untold: tuple[Problem, ...] = ()
    stopped: Problem | Interrupted | None = None
    waits: TryLater | None = None
    numbers: dict[str, float] = field(default_factory=dict)
    code: int = 0


def carry_out(
    plan: EnforcePlan,
    context: EnforceContext,
    audit: AuditTrail,
    maker: Maker | None = None,
    *,
    time_left: Callable[[], float] = lambda: float("inf"),
    told: Callable[[ActionResult | Skipped], None] = lambda result: None,
    check: Callable[[], None] = lambda: None,
) -> EnforceResult:
    """Do it. Raises WrongUsage for a template that cannot be rendered and NotKept for an audit that cannot be written,
    before anything is done; Interrupted too then, and while the admins are told. One that comes in between ends the
    acts: what was done so far is told and in the outcome.

    `time_left` gives the seconds until no further act may begin; `check` raises Interrupted, before an act or a notice,
    once the person wants to stop; `told` hears of each result.
    """
    context.notifier.check(context.now())
    where = {"settings": context.settings.where, "preset": context.settings.enforce.preset}
    audit.record(Event(context.now(), "begun", policy=context.settings.fingerprint, details=where))
    actor = Actor(context.settings, context.now, audit, maker, context.unreached, context.sleep)
    run = _EnforceRun(plan, context, actor, time_left, told, check, list(plan.spared))
    try:
        run.everything()
    except (NotKept, Interrupted) as problem:
        run.stopped = problem
    return run.end()


@dataclass
class _EnforceRun:
    """One run under way. `waiting` are the results whose owner has not heard, with what went wrong, by key id; `untold`
    is what went wrong with telling others."""

    plan: EnforcePlan
    context: EnforceContext
    actor: Actor
    time_left: Callable[[], float]
    told: Callable[[ActionResult | Skipped], None]
    check: Callable[[], None]
    spared: list[tuple[AwsAccount, Skipped]]
    results: list[ActionResult] = field(default_factory=list)
    untold: list[Problem] = field(default_factory=list)
    waiting: dict[str, tuple[ActionResult, tuple[Problem, ...]]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)  # why acts were left to the next run
    stopped: Problem | Interrupted | None = None

    def everything(self) -> None:
        """All of it. Raises NotKept, Interrupted."""
        with Pool(self.context.workers) as pool:
            pool.map(self._remember_look, self.plan.looks)
        for each in self.plan.left:
            self._apart([each], partial(self._finish, each))
        made = {each.act.key.key_id for each in self.plan.acts if each.act.kind is ActionKind.REISSUE}
        self._notices([each for each in self.plan.notices if each.act.key.key_id not in made])
        failed: set[tuple[str, str]] = set()
        for step in self.plan.acts:
            who = (step.found.account.number, step.act.user.arn)
            if not self._apart([step], partial(self._act, step, goes_on=who not in failed)):
                failed.add(who)
        heard = {each.act.key.key_id for each in self.results if each.act.kind is ActionKind.REISSUE and each.complete}
        self._notices([each for each in self.plan.notices if each.act.key.key_id in made - heard])

    def _notices(self, steps: list[PlannedAction]) -> None:
        """One for each owner. Whoever is to hear of a new key hears nothing else of the old one."""
        for owner, mine in by_owner(steps, self.context):
            self._apart(mine, partial(self._notify, owner, mine))

    def _apart(self, steps: list[PlannedAction], do: Callable[[], bool | None]) -> bool | None:
        """A fault with one user ends nobody else's turn. Raises Interrupted once the person wants to stop."""
        self.check()
        try:
            return do()
        except Problem:
            raise
        except Exception as error:  # noqa: BLE001
            what = "the outcome is not known"  # a fault of ours: nobody knows how far it came
            self._add(steps, ActionState.UNKNOWN, what, fault(error))
            return False

    def _remember_look(self, found: UserLook) -> None:
        """That a key was found switched off counts from the day on which it can be written down."""
        problem = self.context.remember(found, found.memory)
        if problem:
            self.untold.append(type(problem)(f"{found.user.name} in {found.account}: {problem.message}"))

    def _finish(self, planned: PlannedAction) -> None:
        """What an earlier run did, if the tag still says so: another one may have told it meanwhile. Raises NotKept,
        Interrupted."""
        place, key_id, actor = planned.found.place, planned.act.key.key_id, self.actor
        found = look(place, planned.act.user, actor.settings, actor.now(), closely=True)
        left = next((each for each in left_of(found) if each.act.key.key_id == key_id), None)
        if left is None:
            return
        result = ActionResult(left.act, place.account, ActionState.DONE, "found to be done by a later run", found=found)
        if not left.recorded:
            actor.record(left.act, place.account, ActionState.DONE.value, note=result.note)
        told = self._finished(result)
        if left.recorded:
            if told.problem is None:
                self._record(result)
            state = ActionState.FAILED if told.problem else ActionState.DONE
            act = replace(left.act, kind=ActionKind.NOTIFY)
            told = replace(told, act=act, state=state, note="notified by a later run")
        self._end_of(told)

    def _notify(self, owner: Owner, steps: list[PlannedAction]) -> None:
        context = self.context
        now = context.now()
        lines = [coming(each.act, each.found, context.settings, now, context.place_of(each)) for each in steps]
        took, problems = context.notifier.tell(owner, lines)
        if not context.notifier.channels.addressing(owner) & {*took}:
            failure = problems[0] if problems else Problem("no channel can reach them")
            self._add(steps, ActionState.FAILED, "nobody was notified", failure)
            return
        self.untold += problems
        for found, mine in by_user(steps):
            ids = [step.act.key.key_id or "" for step in mine]
            days = {step.act.key.key_id or "": step.act.at.date() for step in mine if step.act.recalled and step.act.at}
            memory = after_notice(found.memory, ids, self.context.now().date(), warned=ids, recalled=days)
            problem = self.context.remember(found, memory)
            if problem:
                problem = type(problem)(f"notified, but this could not be recorded: {problem.message}", problem.hint)
            for step in mine:
                self._add([step], ActionState.FAILED if problem else ActionState.DONE, "", problem)
                act, comes = step.act, step.act.coming and step.act.at
                said = {
                    "owner": owner.address or owner.name,
                    "channels": ", ".join(took),
                    "coming": act.coming.value if act.coming and comes else "",
                    "not_before": f"{act.at:%Y-%m-%d}" if comes else "",
                    "note": problem.message if problem else "",
                }
                self.actor.record(act, found.account, "done", **said)

    def _act(self, step: PlannedAction, *, goes_on: bool) -> bool:
        """Whether what comes after it for the same user may go on; it `goes_on` if what came before did."""
        if not goes_on:
            self._spare(step, SkipRule.CHANGED, "the step before it failed")
            return False
        if why := closed(self.context.settings.enforce, self.context.now()):
            self._spare(step, SkipRule.HOURS, why)
            self.left.append(why)
            return True
        if self.time_left() <= 0:
            self._spare(step, SkipRule.LIMIT, "no time was left, so the next run does it")
            self.left.append("no time was left")
            return True
        result = self.actor.act(step.act, step.found.place)
        if isinstance(result, Skipped):
            self._spare(step, result.rule, result.why)
            return False
        if result.complete:
            result = self._finished(result)
        self._end_of(result)
        if isinstance(result.problem, NotKept):
            raise result.problem
        return result.complete

    def _spare(self, step: PlannedAction, rule: SkipRule, why: str) -> None:
        spare = Skipped(rule, step.act.user, step.act.key, why)
        self.spared.append((step.found.account, spare))
        self.told(spare)

    def _add(self, steps: list[PlannedAction], state: ActionState, note: str, problem: Problem | None) -> None:
        for step in steps:
            self._end_of(ActionResult(step.act, step.found.account, state, note, problem))

    def _end_of(self, result: ActionResult) -> None:
        self.results.append(result)
        self.told(result)

    # Telling the owner of an act

    def _finished(self, result: ActionResult) -> ActionResult:
        """Tell its owner and close its tag; gives the result with what went wrong. Raises Interrupted."""
        told = self._tell(result)
        trouble = self._settle(result, told=told)
        if not told:
            why = self.waiting[result.act.key.key_id or ""][1][0]
            trouble = type(why)(f"its owner {self._owner(result)} was not notified: {why.message}", why.hint)
        return replace(result, problem=result.problem or trouble)

    def _late(self) -> None:
        """Tell those who have not heard, some seconds later too where it may pass and nobody stopped the run. Who has
        still not heard goes into the audit. Raises NotKept, Interrupted."""
        heard: dict[str, Problem | None] = {}
        for pause in _PAUSES:
            mine = [result for result, why in self.waiting.values() if not pause or isinstance(why[0], TryLater)]
            if not mine or (pause and (self.stopped or self.time_left() <= pause)):
                break
            if pause:
                self.context.sleep(pause)
            for result in mine:
                if self._tell(result):
                    heard[result.act.key.key_id or ""] = self._settle(result, told=True)
        for result, why in self.waiting.values():
            self._record(result, why[0])
        for place, each in enumerate(self.results):
            if (key_id := each.act.key.key_id or "") in heard:
                self.results[place] = replace(each, state=ActionState.DONE, problem=heard[key_id])

    def _record(self, result: ActionResult, problem: Problem | None = None) -> None:
        """A line of the audit: that its owner was told late, or was not. Raises NotKept."""
        outcome, told, note = ("failed", "no", problem.message) if problem else ("done", "yes", "")
        said = {"owner": self._owner(result), "told": told, "note": note}
        self.actor.record(result.act, result.account, outcome, what="notified", **said)

    def _owner(self, result: ActionResult) -> str:
        assert result.found
        owner = self.context.owner(result.found)
        return owner.address or owner.name

    def _tell(self, result: ActionResult) -> bool:
        """Whether they have heard, or there is no way to tell them: then notices are not asked for."""
        assert result.found
        context = self.context
        line = done(result, context.settings, context.now())
        took, problems = context.notifier.tell(context.owner(result.found), [line])
        key_id = result.act.key.key_id or ""
        if problems and not took:
            self.waiting[key_id] = (result, problems)
            return False
        self.waiting.pop(key_id, None)
        self.untold += problems
        return True

    def _settle(self, result: ActionResult, *, told: bool) -> Problem | None:
        """The tag. What is not in the audit yet the next run is to find. The message about a new key is a notice too,
        and whoever made it has written into the tag since."""
        found, act, now = result.found, result.act, self.context.now()
        if found is None or isinstance(result.problem, NotKept):
            return None
        if act.kind is not ActionKind.REISSUE:
            memory = settled(found.memory, act, now.date(), told=told)
            return self.context.remember(found, memory, noted=True)
        off = switched_off_at(found, act.key, self.context.settings, now)
        day = off.date() if off and recalled(act.user.tags, act.key.created, now) else None
        change = {act.key.key_id or "": lambda known: known.noticed(now.date(), warned=bool(off), recalled=day)}
        try:
            if told:
                remember_keys(found.directory, act.user.name, self.context.settings.remind.tag, change)
        except UnreadableTag:
            return Problem("notified, but this could not be recorded: the tag was changed meanwhile")
        except Problem as problem:
            return problem
        return None

    def end(self) -> EnforceResult:
        """Tell the admins, close the audit, add up."""
        try:
            self._late()
        except (NotKept, Interrupted) as problem:
            self.stopped = self.stopped or problem
        self.untold += [problem for _, problems in self.waiting.values() for problem in problems]
        broken = [Remark(about, problem.message) for about, problem in self.plan.broken]
        if self.stopped:
            broken.append(Remark("this run", f"stopped: {self.stopped.message}"))
        many = number(len(self.left), "action waits", "actions wait")
        waits = TryLater(f"{many} for a later run: {self.left[0]}") if self.left else None
        troubles = {**spared_of(self.spared), "Accounts and users that could not be checked": broken}
        said = waits.message if waits else ""
        self.untold += self.context.notifier.report(self.results, troubles, self.context.now(), said)
        numbers = self._numbers()
        try:
            self.actor.audit.close(numbers)
        except NotKept as problem:
            self.stopped = self.stopped or problem
        problems = [result.problem for result in self.results if result.problem]
        problems += [problem for _, problem in self.plan.broken] + self.untold + ([waits] if waits else [])
        code = first_code(problem.code for problem in [*problems, *([self.stopped] if self.stopped else [])])
        if isinstance(self.stopped, Interrupted):
            code = self.stopped.code
        results, spared, untold = tuple(self.results), tuple(self.spared), tuple(self.untold)
        return EnforceResult(results, spared, untold, self.stopped, waits, numbers, code)

    def _numbers(self) -> dict[str, float]:
        counts = Counter(WORDS[result.act.kind] for result in self.results if result.complete)
        states = Counter(result.state for result in self.results)
        numbers = {
            **{word.capitalize(): counts[word] for word in WORDS.values()},
            "Failed": states[ActionState.FAILED],
            "Unknown": states[ActionState.UNKNOWN],
            "Spared": len(self.spared),
            "Unsure": len(unsure_of(self.spared)),
            "Accounts": self.plan.accounts,
            "Broken": len(self.plan.broken),
            "Users": self.plan.users,
        }
        return {name: float(many) for name, many in numbers.items()}
