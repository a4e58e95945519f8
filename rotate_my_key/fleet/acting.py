"""One act on one key: looked at afresh, written down, done, looked at again if that is not certain, written down.

1. The facts are fetched again; what the rules no longer call for is not done. 2. The intent goes into the audit, or
nothing is done. 3. The intent is written into the user's tag, or nothing is done: whoever takes it back must know who
did it, and a run that comes later that it was done. 4. The act. 5. If its answer was lost or bad, the list says whether
it was carried out. 6. The audit tells how it ended. What comes then is in `finishing`.

Wherever a run is killed, the next one sees by list and tag what was done, and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from ..errors import Gone, Problem, TryLater
from ..model import AccessKey
from ..settings.fleet import FleetSettings
from .audit import NotKept
from .decisions import Act, ActionKind, Decision, Skipped, SkipRule
from .leftovers import intended
from .memory import LONGEST, Memory, encode
from .model import AwsAccount, Event, FleetUser
from .ports import Audit, Directory
from .rules import decide
from .stubborn import stubbornly
from .user_facts import AccountView, UserLook, look


class ActionState(Enum):
    """How an act ended; `unknown`: neither its answer nor a look afterwards told."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ActionResult:
    """An act and how it ended. `note` is for a person; `problem` why it failed, or what went wrong beside it; `place`
    is where a new key waits for its user; `found` is the user as he was right before."""

    act: Act
    account: AwsAccount
    state: ActionState
    note: str = ""
    problem: Problem | None = None
    place: str = ""
    found: UserLook | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ReissuedKey:
    """What a maker of keys gives back: the new id, and where it waits. No secret."""

    key_id: str
    place: str
    notes: tuple[str, ...] = ()


Maker = Callable[[Directory, FleetUser], ReissuedKey]
WORDS: Mapping[ActionKind, str] = {
    ActionKind.NOTIFY: "notified",
    ActionKind.REISSUE: "reissued",
    ActionKind.DEACTIVATE: "deactivated",
    ActionKind.DELETE: "deleted",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """What acting needs: AWS's clock, the audit, who makes new keys (None: nobody), and who could not be told of an
    act."""

    settings: FleetSettings
    now: Callable[[], datetime]
    audit: Audit
    maker: Maker | None = None
    unheard: Callable[[Act, UserLook], Skipped | None] = lambda act, found: None
    sleep: Callable[[float], None] = lambda seconds: None

    def act(self, planned: Act, place: AccountView) -> ActionResult | Skipped:
        """Do it. Raises NotKept if the audit cannot be written, and then nothing was done; Interrupted."""
        found = look(place, planned.user, self.settings, self.now(), closely=True)
        if found.problem:
            return ActionResult(planned, place.account, ActionState.FAILED, "its keys cannot be read", found.problem)
        fresh = same(planned, decide(found.facts, self.settings, self.now()))
        if isinstance(fresh, Act):
            fresh = self.unheard(fresh, found) or fresh
        if isinstance(fresh, Skipped):
            return fresh
        self.record(fresh, place.account, "intended")
        deed = replace(self._do(fresh, found), found=found)
        try:
            self.record(fresh, place.account, deed.state.value, deed.note or (deed.problem or Problem("")).message)
        except NotKept as problem:
            return replace(deed, problem=problem)
        return deed

    def record(self, act: Act, account: AwsAccount, outcome: str, note: str = "") -> None:
        """A line of the audit. Raises NotKept."""
        who = (account.number, act.user.name, act.key.key_id or "")
        details = {"note": note} if note else {}
        event = Event(self.now(), WORDS[act.kind], *who, act.why, self.settings.fingerprint, outcome, details)
        self.audit.record(event)

    def _do(self, act: Act, found: UserLook) -> ActionResult:
        account = found.place.account
        try:
            if act.kind is ActionKind.REISSUE:
                return self._reissue(act, found)
            self._note(act, found)
        except Problem as problem:
            return ActionResult(act, account, ActionState.FAILED, "", problem)
        try:
            self._send(act, found)
        except Problem as problem:
            return self._looked_again(act, found, problem)
        return ActionResult(act, account, ActionState.DONE)

    def _reissue(self, act: Act, found: UserLook) -> ActionResult:
        assert found.place.directory
        if self.maker is None:
            raise Problem("this run cannot make keys", "set enabled = yes in [reissue]")
        made = self.maker(found.place.directory, act.user)
        note = "; ".join((f"key {made.key_id} waits at {made.place}", *made.notes))
        return ActionResult(act, found.place.account, ActionState.DONE, note, place=made.place)

    def _note(self, act: Act, found: UserLook) -> None:
        """The tag before the act. Raises Problem if it cannot be written."""
        memory = intended(found.facts.memory, act, self.now().date())
        write(found, memory, self.settings.remind.tag, self.sleep)

    def _send(self, act: Act, found: UserLook) -> None:
        directory, key_id = found.place.directory, act.key.key_id or ""
        assert directory
        if act.kind is ActionKind.DEACTIVATE:
            directory.set_active(act.user.name, key_id, False)
        elif act.kind is ActionKind.DELETE:
            directory.delete(act.user.name, key_id)

    def _looked_again(self, act: Act, found: UserLook, problem: Problem) -> ActionResult:
        """No answer, or a bad one, is no proof: the list says what is true."""
        directory, account = found.place.directory, found.place.account
        assert directory
        try:
            keys = directory.keys(act.user.name)
        except Gone:
            keys = ()
        except Problem:
            return ActionResult(act, account, ActionState.UNKNOWN, "whether it was carried out is not known", problem)
        if _carried_out(act, keys):
            return ActionResult(
                act, account, ActionState.DONE, f"the list shows it, whatever the answer was ({problem.message})"
            )
        if isinstance(problem, TryLater):  # it may show yet: then the tag is right
            return ActionResult(act, account, ActionState.UNKNOWN, "not carried out so far", problem)
        with suppress(Problem):
            write(found, found.facts.memory, self.settings.remind.tag, self.sleep, noted=True)
        return ActionResult(act, account, ActionState.FAILED, "", problem)


def same(planned: Act, decisions: list[Decision]) -> Act | Skipped:
    """What the fresh decisions say of a planned act: it, or what spares the key now."""
    key_id = planned.key.key_id
    about = [each for each in decisions if each.key is not None and each.key.key_id == key_id]
    for each in about:
        if isinstance(each, Act) and each.kind is planned.kind:
            return each
    spared = next((each for each in about if isinstance(each, Skipped)), None)
    return spared or Skipped(
        SkipRule.CHANGED, planned.user, planned.key, "it is not as it was at the beginning of this run"
    )


def _carried_out(act: Act, keys: tuple[AccessKey, ...]) -> bool:
    key = next((key for key in keys if key.key_id == act.key.key_id), None)
    return key is None if act.kind is ActionKind.DELETE else key is None or not key.active


def write(
    found: UserLook,
    memory: Memory,
    tag: str,
    sleep: Callable[[float], None] = lambda seconds: None,
    *,
    noted: bool = False,
) -> None:
    """Put the memory into the user's tag; without anything to remember the tag goes, if there was one, or one was
    `noted` since. Raises Problem."""
    user, directory = found.facts.user, found.place.directory
    assert directory
    value = encode(memory)
    if len(value) > LONGEST:
        raise Problem(f"the tag {tag} has no room for more")
    if value:
        stubbornly(lambda: directory.tag(user.name, tag, value), sleep)
    elif found.recorded or noted:
        stubbornly(lambda: directory.untag(user.name, tag), sleep)
