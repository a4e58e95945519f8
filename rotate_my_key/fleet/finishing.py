"""After an act: its owner is told, then the tag is closed. Whom nobody reached is told again at the end of the run, and
else by the next one: until then the tag keeps the intent.

Killed between the two, the next run tells once more: at least once, never not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from ..errors import Problem, TryLater
from .acting import ActionResult, ActionState, Actor, write
from .announcing import done
from .audit import NotKept
from .decisions import ActionKind
from .enforce_plan import EnforceContext
from .leftovers import UnfinishedAction, left_of, settled
from .model import Event
from .ports import Audit
from .user_facts import look

_PAUSES = (0.0, 5.0, 20.0)  # seconds before each round at the end


class Completion:
    """One run's. `waiting` are the deeds whose owner has not heard, with what went wrong, by key id."""

    def __init__(self, looking: EnforceContext, audit: Audit) -> None:
        self._looking = looking
        self._audit = audit
        self._partly: list[Problem] = []
        self.waiting: dict[str, tuple[ActionResult, tuple[Problem, ...]]] = {}

    @property
    def untold(self) -> list[Problem]:
        """What went wrong with telling owners, and did not pass with a later try."""
        return [*self._partly, *(problem for _, problems in self.waiting.values() for problem in problems)]

    def finish(self, deed: ActionResult) -> ActionResult:
        """Tell its owner and close its tag; gives the deed with what went wrong. Raises Interrupted."""
        told = self._tell(deed)
        trouble = self._settle(deed, told=told)
        return replace(deed, problem=deed.problem or (trouble if told else self._unheard(deed)))

    def late(self, deeds: Iterable[ActionResult], time_left: Callable[[], float], *, hurry: bool) -> list[ActionResult]:
        """Tell those who have not heard, some seconds later too where it may pass and there is no `hurry`. Gives the
        deeds as they are then. Who has still not heard goes into the audit. Raises NotKept, Interrupted."""
        heard = self._again(time_left, hurry=hurry)
        for deed, why in self.waiting.values():
            self.record(deed, why[0])
        return [
            replace(deed, state=ActionState.DONE, problem=heard[key_id])
            if (key_id := deed.act.key.key_id or "") in heard
            else deed
            for deed in deeds
        ]

    def _again(self, time_left: Callable[[], float], *, hurry: bool) -> dict[str, Problem | None]:
        heard: dict[str, Problem | None] = {}
        for pause in _PAUSES:
            mine = [deed for deed, why in self.waiting.values() if not pause or isinstance(why[0], TryLater)]
            if not mine or (pause and (hurry or time_left() <= pause)):
                break
            if pause:
                self._looking.sleep(pause)
            for deed in mine:
                if self._tell(deed):
                    heard[deed.act.key.key_id or ""] = self._settle(deed, told=True)
        return heard

    def record(self, deed: ActionResult, problem: Problem | None = None) -> None:
        """A line of the audit: that its owner was told late, or was not. Raises NotKept."""
        act, now, policy = deed.act, self._looking.now(), self._looking.settings.fingerprint
        details = {"owner": self._owner(deed), "told": "no" if problem else "yes"}
        if problem:
            details["note"] = problem.message
        who = (deed.account.number, act.user.name, act.key.key_id or "")
        outcome = "failed" if problem else "done"
        self._audit.record(Event(now, "notified", *who, act.why, policy, outcome, details))

    def _owner(self, deed: ActionResult) -> str:
        assert deed.found
        owner = self._looking.owner(deed.found)
        return owner.address or owner.name

    def _unheard(self, deed: ActionResult) -> Problem:
        why = self.waiting[deed.act.key.key_id or ""][1][0]
        return type(why)(f"its owner {self._owner(deed)} was not told: {why.message}", why.hint)

    def _tell(self, deed: ActionResult) -> bool:
        """Whether he has heard, or there is no way to tell him: then notices are not asked for."""
        assert deed.found
        took, problems = self._looking.crier.tell(self._looking.owner(deed.found), [done(deed)])
        key_id = deed.act.key.key_id or ""
        if problems and not took:
            self.waiting[key_id] = (deed, problems)
            return False
        self.waiting.pop(key_id, None)
        self._partly += problems
        return True

    def _settle(self, deed: ActionResult, *, told: bool) -> Problem | None:
        """The tag. What is not in the audit yet the next run is to find."""
        if deed.found is None or deed.act.kind is ActionKind.REISSUE or isinstance(deed.problem, NotKept):
            return None
        today, tag = self._looking.now().date(), self._looking.settings.remind.tag
        try:
            memory = settled(deed.found.facts.memory, deed.act, today, told=told)
            write(deed.found, memory, tag, self._looking.sleep, noted=True)
        except Problem as problem:
            return problem
        return None


def finish_left(planned: UnfinishedAction, finisher: Completion, actor: Actor) -> ActionResult | None:
    """What an earlier run did, if the tag still says so: another one may have told it meanwhile, and then it is None.
    Raises NotKept, Interrupted."""
    place, user, key_id = planned.found.place, planned.act.user, planned.act.key.key_id
    found = look(place, user, actor.settings, actor.now(), closely=True)
    left = next((each for each in left_of(found) if each.act.key.key_id == key_id), None)
    if left is None:
        return None
    deed = ActionResult(left.act, place.account, ActionState.DONE, "found done by a later run", found=found)
    if not left.recorded:
        actor.record(left.act, place.account, ActionState.DONE.value, deed.note)
        return finisher.finish(deed)
    told = finisher.finish(deed)
    if told.problem is None:
        finisher.record(deed)
    state = ActionState.DONE if told.problem is None else ActionState.FAILED
    return replace(told, act=replace(left.act, kind=ActionKind.NOTIFY), state=state, note="told by a later run")
