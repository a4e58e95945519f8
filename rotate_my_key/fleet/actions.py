"""One action on one key: looked at again, written down, done, checked, written down; and telling people of it.

1. Facts and exemptions are fetched again, for between plan and action a person was asked, which may take hours. 2. The
intent goes into the audit, and 3. into the user's tag, or nothing is done: whoever takes it back must know who did it.
4. The action. 5. If its answer was lost or bad, the list of keys says whether it was carried out. 6. The audit tells
how it ended. Wherever a run is killed, the next one sees by list and tag what was done, and goes on from there.

A line of a message has no field for a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum

from ..core.errors import Gone, NotAllowed, Problem, TryLater, WrongUsage
from ..core.policy import mask
from ..settings.fleet import FleetSettings
from .accounts import AccountDirectory
from .audit import AuditTrail, NotKept
from .memory import Memory, ref, tag_value
from .messages import LISTED, Channel, Channels, Renderer, fitting
from .model import AwsAccount, Event, FleetKey, FleetUser, Message, Owner
from .notices import Remark, one_line
from .rules import (
    Act,
    ActionKind,
    Decision,
    Skipped,
    SkipRule,
    decide,
    deleted_at,
    intended,
    switched_off_at,
    waits_for,
)
from .users import AccountView, UserLook, look, members_again

_STALE = timedelta(minutes=1)
_PAUSES = (1.0, 3.0)  # seconds before the second try and the third


def stubbornly(verb: Callable[[], None], sleep: Callable[[float], None]) -> None:
    """Do it, and twice more where it fails in a way that may pass. Raises what the last try raised; what AWS does not
    allow, and what is not there, at once. `verb` must be the same once and twice."""
    for pause in _PAUSES:
        try:
            verb()
        except (NotAllowed, Gone, WrongUsage):
            raise
        except Problem:
            sleep(pause)
        else:
            return
    verb()


class ActionState(Enum):
    """How an act ended; `unknown`: neither its answer nor a look afterwards told."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ActionResult:
    """An act and how it ended. `note` is for a person; `problem` why it failed, or what went wrong beside it; `made` is
    the id of a new key, which waits for its user at `place`; `found` is the user as they were right before."""

    act: Act
    account: AwsAccount
    state: ActionState
    note: str = ""
    problem: Problem | None = None
    made: str = ""
    place: str = ""
    found: UserLook | None = field(default=None, repr=False, compare=False)

    @property
    def complete(self) -> bool:
        """Whether it was carried out."""
        return self.state is ActionState.DONE


@dataclass(frozen=True, slots=True)
class ReissuedKey:
    """What a maker of keys gives back: the new id, and where it waits. No secret."""

    key_id: str
    place: str
    notes: tuple[str, ...] = ()


Maker = Callable[[AccountDirectory, FleetUser], ReissuedKey]
WORDS: Mapping[ActionKind, str] = {
    ActionKind.NOTIFY: "notified",
    ActionKind.REISSUE: "reissued",
    ActionKind.DEACTIVATE: "deactivated",
    ActionKind.DELETE: "deleted",
}


@dataclass(slots=True)
class Actor:
    """What acting needs: AWS's clock, the audit, who makes new keys (None: nobody), and who could not be told of an
    act. `exempt_again` are the accounts by number, with when the members of their exempt groups were read again."""

    settings: FleetSettings
    now: Callable[[], datetime]
    audit: AuditTrail
    maker: Maker | None = None
    unreached: Callable[[Act, UserLook], Skipped | None] = lambda act, found: None
    sleep: Callable[[float], None] = lambda seconds: None
    exempt_again: dict[str, tuple[datetime, AccountView]] = field(default_factory=dict)

    def act(self, planned: Act, place: AccountView) -> ActionResult | Skipped:
        """Do it. Raises NotKept if the audit cannot be written, and then nothing was done; Interrupted."""
        account, failed = place.account, ActionState.FAILED
        try:
            user = self._again(planned, place)
            if isinstance(user, Skipped):
                return user
            found = look(self._members(place), user, self.settings, self.now(), closely=True)
        except Problem as problem:  # who does not know who is exempt does nothing
            return ActionResult(planned, account, failed, "could not check whether the user is exempt", problem)
        if found.problem:
            return ActionResult(planned, account, failed, "could not list the user's keys", found.problem)
        fresh = _same(planned, decide(found, self.settings, self.now()))
        if isinstance(fresh, Act):
            fresh = self.unreached(fresh, found) or fresh
        if isinstance(fresh, Skipped):
            return fresh
        self.record(fresh, account, "intended")
        result = replace(self._do(fresh, found), found=found)
        try:
            note = result.note or (result.problem.message if result.problem else "")
            self.record(fresh, account, result.state.value, note=note, made=result.made)
        except NotKept as problem:
            return replace(result, problem=problem)
        return result

    def _again(self, act: Act, place: AccountView) -> FleetUser | Skipped:
        """The user as they are now: their path may say that they are exempt. Raises Problem."""
        assert place.directory
        try:
            found = place.directory.find(act.user.name)
        except Gone:
            return Skipped(SkipRule.CHANGED, act.user, act.key, "the user no longer exists")
        if act.user.created and found.created and found.created != act.user.created:
            return Skipped(SkipRule.CHANGED, act.user, act.key, "a different user has that name now")
        return replace(act.user, arn=found.arn, created=found.created, signed_in=found.signed_in)

    def _members(self, place: AccountView) -> AccountView:
        """With the members of its exempt groups as they were a minute ago at most. Raises Problem."""
        number, now = place.account.number, self.now()
        if number not in self.exempt_again or now - self.exempt_again[number][0] > _STALE:
            self.exempt_again[number] = (now, members_again(place, self.settings, now.date()))
        return self.exempt_again[number][1]

    def record(self, act: Act, account: AwsAccount, outcome: str, *, what: str = "", **details: str) -> None:
        """A line of the audit, with those of the details that are not "". Raises NotKept."""
        who = (account.number, act.user.name, act.key.key_id or "")
        more = {name: text for name, text in details.items() if text}
        policy = self.settings.fingerprint
        self.audit.record(Event(self.now(), what or WORDS[act.kind], *who, act.why, policy, outcome, more))

    def _do(self, act: Act, found: UserLook) -> ActionResult:
        """Make a key; or write the intent into the tag, or do nothing, then switch the key off or delete it."""
        account, directory, user, key_id = found.account, found.directory, act.user, act.key.key_id or ""
        try:
            if act.kind is ActionKind.REISSUE:
                if self.maker is None:
                    raise Problem("this run cannot create keys", "set enabled = yes in [reissue]")
                made = self.maker(directory, user)
                note = "; ".join((f"key {made.key_id} is waiting at {made.place}", *made.notes))
                return ActionResult(act, account, ActionState.DONE, note, made=made.key_id, place=made.place)
            memory = intended(found.memory, act, self.now().date())
            write(found, memory, self.settings.remind.tag, self.sleep)
        except Problem as problem:
            return ActionResult(act, account, ActionState.FAILED, "", problem)
        try:
            if act.kind is ActionKind.DELETE:
                directory.delete(user.name, key_id)
            else:
                directory.set_active(user.name, key_id, False)
        except Problem as problem:
            return self._looked_again(act, found, problem)
        return ActionResult(act, account, ActionState.DONE)

    def _looked_again(self, act: Act, found: UserLook, problem: Problem) -> ActionResult:
        """No answer, or a bad one, is no proof: the list says what is true."""
        account, unknown = found.account, ActionState.UNKNOWN
        try:
            keys = {key.key_id: key.active for key in found.directory.keys(act.user.name)}
        except Gone:
            keys = {}
        except Problem:
            return ActionResult(act, account, unknown, "not known whether it worked", problem)
        left = act.key.key_id in keys
        if not left or (act.kind is not ActionKind.DELETE and not keys[act.key.key_id or ""]):
            note = f"confirmed by the list of keys, despite the answer ({problem.message})"
            return ActionResult(act, account, ActionState.DONE, note)
        if isinstance(problem, TryLater):  # it may show yet: then the tag is right
            return ActionResult(act, account, unknown, "not done yet", problem)
        with suppress(Problem):
            write(found, found.memory, self.settings.remind.tag, self.sleep, noted=True)
        return ActionResult(act, account, ActionState.FAILED, "", problem)


def _same(planned: Act, decisions: list[Decision]) -> Act | Skipped:
    """What the fresh decisions say of a planned act: it, or what spares the key now."""
    key_id = planned.key.key_id
    about = [each for each in decisions if each.key is not None and each.key.key_id == key_id]
    for each in about:
        if isinstance(each, Act) and each.kind is planned.kind:
            return each
    spared = next((each for each in about if isinstance(each, Skipped)), None)
    return spared or Skipped(SkipRule.CHANGED, planned.user, planned.key, "it has changed since the start of this run")


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
    user, directory = found.user, found.directory
    if value := tag_value(memory, tag):
        stubbornly(lambda: directory.tag(user.name, tag, value), sleep)
    elif found.recorded or noted:
        stubbornly(lambda: directory.untag(user.name, tag), sleep)


FAILED = "What failed"
DONE_WORDS = {ActionKind.DEACTIVATE: "deactivated", ActionKind.DELETE: "deleted", ActionKind.REISSUE: "replaced"}


@dataclass(frozen=True, slots=True)
class ActionLine:
    """One key in a message. `coming` is what will be done to it, on the day `at` at the earliest; `done` what was;
    `waits`: a new key waits for its user, at `place` if that is known; `gone` is when this one is deleted at the
    earliest; `unsure`: until when it works is not known. `why` is a clause."""

    account: AwsAccount
    user: str
    key_id: str
    why: str
    coming: str = ""
    at: datetime | None = None
    done: str = ""
    place: str = ""
    waits: bool = False
    gone: datetime | None = None
    unsure: bool = False

    @property
    def key(self) -> str:
        """Its masked id, for its owner; who manages all keys needs the whole one."""
        return mask(self.key_id)

    @property
    def recalled(self) -> bool:
        """Whether IT has asked for another key in its place."""
        return self.why.startswith("recalled ")

    @property
    def undo(self) -> str:
        """What is typed after the command that takes it back."""
        return f"--undo {self.user} --account {self.account.number}"


def coming(act: Act, found: UserLook, settings: FleetSettings, now: datetime, place: str = "") -> ActionLine:
    """For a notice that comes before an act; `place` is where a new key waits."""
    word, waits = DONE_WORDS[act.coming or ActionKind.DEACTIVATE], waits_for(found, act.key, settings, now)
    gone = deleted_at(act.at, settings.limited(found.limit)) if act.coming is ActionKind.DEACTIVATE else None
    told = (found.account, act.user.name, act.key.key_id or "", act.why)
    return ActionLine(*told, coming=word, at=act.at, place=place if waits else "", waits=waits, gone=gone)


def done(result: ActionResult, settings: FleetSettings, now: datetime) -> ActionLine:
    """For what was done. A new key is told of with the last day of the old one."""
    act, made = result.act, result.act.kind is ActionKind.REISSUE
    why, word = (f"it is {act.why}", "") if made else (act.why, DONE_WORDS[act.kind])
    off = (
        switched_off_at(with_new_key(result.found, act.key, now), act.key, settings, now)
        if made and result.found
        else None
    )
    limited = settings.limited(result.found.limit if result.found else None)
    gone = deleted_at(now if act.kind is ActionKind.DEACTIVATE else off, limited)
    told = (result.account, act.user.name, act.key.key_id or "", why)
    return ActionLine(*told, at=off, done=word, place=result.place, waits=made, gone=gone)


def with_new_key(found: UserLook, key: FleetKey, now: datetime) -> UserLook:
    """As the tag says it from now on."""
    return replace(
        found, memory={**found.memory, ref(key.key_id or ""): replace(found.known(key.key_id), reissued=now.date())}
    )


@dataclass(frozen=True, slots=True)
class Notifier:
    """Renders and delivers. Raises nothing but Interrupted, and WrongUsage from `check`."""

    channels: Channels
    settings: FleetSettings
    renderer: Renderer
    command: str = ""  # with the options by which it was called, to take back what was done

    def check(self, now: datetime) -> None:
        """Render each template once, so that a wrong one is met before anything is done. Raises WrongUsage."""
        line = ActionLine(
            AwsAccount("123456789012"), "alice", "AKIAIOSFODNN7EXAMPLE", "old", coming="deactivated", at=now
        )
        made = replace(line, coming="", waits=True, place="s3://b/n", gone=now)
        for each in (line, replace(line, coming="", done="deleted"), made, replace(made, place="", at=None)):
            self._owner([each], "")
            self._admins([each], {"an example": [Remark("a", "b")]})

    def tell(self, owner: Owner, lines: Sequence[ActionLine]) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
        """Tell an owner; gives the names of the channels that took it, and what went wrong with the others."""
        message = self._owner(lines, owner.address)
        return _deliver([(each, fitting(each, message)) for each in self.channels.reaching(owner)])

    def report(
        self, results: Iterable[ActionResult], troubles: Mapping[str, Sequence[Remark]], now: datetime, waits: str = ""
    ) -> tuple[Problem, ...]:
        """Tell the admins what a run did, what else they must know (rows by their title) and what `waits` for the next
        one, if there is anything."""
        ended = list(results)
        acts = [each for each in ended if each.complete and each.act.kind is not ActionKind.NOTIFY]
        rows = {title: found for title, found in {FAILED: failures_of(ended), **troubles}.items() if found}
        if not (acts or rows or waits):
            return ()
        return self.acts([done(each, self.settings, now) for each in acts], rows, waits)

    def acts(
        self, lines: Sequence[ActionLine], troubles: Mapping[str, Sequence[Remark]] | None = None, waits: str = ""
    ) -> tuple[Problem, ...]:
        """Tell the admins of these acts; gives what went wrong."""
        message = self._admins(lines, troubles or {}, waits)
        return _deliver([(each, message) for each in self.channels.admins])[1]

    def _owner(self, lines: Sequence[ActionLine], to: str) -> Message:
        said = {"contact": one_line(self.settings.contact), "link": one_line(self.settings.remind.link)}
        return self.renderer.message("act", {"lines": lines, **said}, to)

    def _admins(
        self, lines: Sequence[ActionLine], troubles: Mapping[str, Sequence[Remark]], waits: str = ""
    ) -> Message:
        said = {
            "lines": lines,
            "troubles": troubles,
            "waits": waits,
            "most": LISTED,
            "policy": self.settings.fingerprint,
            "preset": self.settings.enforce.preset,
            "command": self.command or _command(self.settings.where),
        }
        return self.renderer.message("acts", said)


def _command(where: str) -> str:
    """For a run that nobody typed: by settings that others can read too, if they are in a parameter."""
    return f"rotate-my-key fleet enforce{f' --settings {where}' if where.startswith('ssm:') else ''}"


def failures_of(results: Iterable[ActionResult]) -> list[Remark]:
    """Rows about what did not work."""
    rows = []
    for result in results:
        if result.problem or not result.complete:
            act = result.act
            what = f"{mask(act.key.key_id or '')} of {act.user.name} in {result.account}, {act.kind.value}"
            parts = [result.note, result.problem.message if result.problem else ""]
            rows.append(Remark(what, f"{result.state.value}: {'; '.join(filter(None, parts))}"))
    return rows


def _deliver(messages: Sequence[tuple[Channel, Message]]) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """One channel's failure keeps no other from it."""
    took: list[str] = []
    problems: list[Problem] = []
    for channel, message in messages:
        try:
            channel.deliver(message)
        except WrongUsage as wrong:  # of the settings, not of the command line: exit 1, as in `remind`
            problems.append(Problem(wrong.message, wrong.hint))
        except Problem as problem:
            problems.append(problem)
        else:
            took.append(channel.name)
    return tuple(took), tuple(problems)
