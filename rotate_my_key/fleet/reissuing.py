"""Make a key for a user who cannot, and hand it over: what is done, in an order that survives being killed.

1. The intent goes into the audit. 2. A key that an earlier run left undelivered is deleted. 3. The place is made, with
its policy and the slip, before there is a key. 4. An inactive key gives way, if that was agreed to. 5. One
CreateAccessKey. 6. The key is put in its place, then the slip names it. 7. Only then is anybody told.

What fails after 5 is taken back: the new key is deleted, and that is confirmed before it is said. What is killed leaves
the slip, by which the next run or the sweep finds the key. The user's old key is never touched.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..errors import Gone, NotAllowed, Problem, TryLater, Unanswered, mask
from ..model import AccessKey, Credentials, Identity
from ..settings.fleet import FleetSettings
from ..stores.delivered import Delivered, encode
from .handover import HandoverRecord, made_then
from .memory import KeyMemory, UnreadableTag, decode, ref
from .memory import encode as encode_memory
from .model import Event
from .ports import Audit, Directory
from .reissue_plan import ReissueMode, ReissuePlan
from .waiting import HandoverStore

_SETTLE = timedelta(seconds=15)  # one that was carried out shows in the list within that time
_SHOWS = timedelta(seconds=5)  # what was written to the place shows within that time
_CREATES = 2  # a lost answer allows one more
_AGAIN = "repeat the command in two minutes"


@dataclass(frozen=True, slots=True)
class ReissueContext:
    """What a reissue works with. `run` names this run, `now` is AWS's clock, `pause` waits for seconds."""

    directory: Directory
    waiting: HandoverStore
    settings: FleetSettings
    audit: Audit
    run: str
    now: Callable[[], datetime]
    pause: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class HandoverResult:
    """A key that waits for its user. `place` is what he gives to `adopt`; `deleted` are keys that went on the way;
    `notes` are for a person. No secret."""

    account: str
    user: str
    key_id: str
    place: str
    way: ReissueMode
    until: datetime
    replaces: str = ""
    deleted: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def hand_over(plan: ReissuePlan, tools: ReissueContext) -> HandoverResult:
    """Do what the plan says. Raises Problem kinds; what was begun and could not be taken back is said."""
    return _HandOver(plan, tools).run()


class _HandOver:
    """One reissue."""

    def __init__(self, plan: ReissuePlan, tools: ReissueContext) -> None:
        self._plan = plan
        self._tools = tools
        self._user = plan.user.name
        self._deleted: list[str] = []
        self._notes: list[str] = []

    def run(self) -> HandoverResult:
        plan = self._plan
        if plan.way is ReissueMode.AGAIN:
            assert plan.slip is not None
            return self._handed(plan.slip)
        self._record("intended")
        if plan.discards:
            self._discard(plan.discards.key_id)
        slip = self._made()
        self._remember(slip.key_id)
        try:
            self._record("done", slip.key_id)
        except Problem as problem:
            self._notes.append(f"the audit could not be written: {problem.message}")
        return self._handed(slip)

    def _handed(self, slip: HandoverRecord) -> HandoverResult:
        tools = self._tools
        until = slip.at + tools.settings.reissue.keep
        where = tools.waiting.where(slip)
        rest = (slip.replaces, tuple(self._deleted), tuple(self._notes))
        return HandoverResult(slip.account, self._user, slip.key_id, where, self._plan.way, until, *rest)

    def _record(self, outcome: str, key_id: str = "") -> None:
        plan = self._plan
        why = "asked for" if not plan.replaces else f"asked for, to replace {plan.replaces}"
        who = (plan.wish.account.number, self._user, key_id)
        tools = self._tools
        tools.audit.record(Event(tools.now(), "reissued", *who, why, tools.settings.fingerprint, outcome))

    # Room

    def _discard(self, key_id: str) -> None:
        """Off first: what was never used is missed by nobody, and a use that shows up late is met by a key that is
        still there."""
        with suppress(Gone):
            self._tools.directory.set_active(self._user, key_id, False)
        self._delete(key_id)

    def _delete(self, key_id: str) -> None:
        """A key that was made just now may be unknown for a while. Raises Problem unless it is certainly gone."""
        until = self._tools.now() + _SETTLE
        while True:
            try:
                self._tools.directory.delete(self._user, key_id)
            except Gone:
                if key_id in {key.key_id for key in self._plan.keys} or self._tools.now() >= until:
                    break
                self._tools.pause(1.0)
            else:
                break
        self._deleted.append(key_id)

    # The key

    def _made(self) -> HandoverRecord:
        """The slip of a key that was made and stored."""
        for attempt in range(_CREATES):
            slip = self._reserved()
            try:
                pair, key = self._tools.directory.create(self._user)
            except Unanswered as problem:
                self._settle_lost(slip, problem, last=attempt == _CREATES - 1)
                continue
            except Problem:
                with suppress(Problem):
                    self._tools.waiting.remove(slip.account, self._user)
                raise
            return self._stored(slip, pair, key)
        raise AssertionError("the last attempt raises")

    def _reserved(self) -> HandoverRecord:
        """The place, ours alone: two runs at once must not make two keys."""
        plan, tools = self._plan, self._tools
        gone = set(self._deleted) | ({plan.gives_up.key_id} if plan.gives_up else set())
        had = tuple(key.key_id for key in plan.keys if key.key_id not in gone)
        slip = HandoverRecord(plan.wish.account.number, self._user, tools.now(), tools.run, had, plan.replaces)
        slip = tools.waiting.reserve(slip, plan.readers)
        if plan.gives_up and plan.gives_up.key_id not in self._deleted:
            self._delete(plan.gives_up.key_id)
            slip = tools.waiting.reserve(replace(slip, at=tools.now()), plan.readers)
        self._check_ours()
        return slip

    def _check_ours(self) -> None:
        """What was written just now may show a moment later."""
        until = self._tools.now() + _SHOWS
        while True:
            found = self._tools.waiting.find(self._plan.wish.account.number, self._user)
            if found and found.run == self._tools.run:
                return
            if self._tools.now() >= until:
                raise TryLater(f"another run is making a key for {self._user} right now", _AGAIN)
            self._tools.pause(1.0)

    def _settle_lost(self, slip: HandoverRecord, problem: Unanswered, *, last: bool) -> None:
        """An answer was lost: its key, whose secret nobody has, is deleted as soon as it shows. If none shows, the slip
        stays, and a later run looks again."""
        found = self._lost_key(slip)
        if found is None:
            raise TryLater(f"{problem.message}; if a key was made, the next run removes it", _AGAIN)
        self._discard(found.key_id)
        if last:
            self._tools.waiting.remove(slip.account, self._user)
            raise TryLater("AWS did not answer twice; what it made was deleted again", _AGAIN)

    def _lost_key(self, slip: HandoverRecord) -> AccessKey | None:
        until = self._tools.now() + _SETTLE
        while True:
            found = made_then(slip, self._tools.directory.keys(self._user))
            if found:
                use = self._tools.directory.last_use(found.key_id)
                return found if use and use.at is None else None
            if self._tools.now() >= until:
                return None
            self._tools.pause(1.0)

    def _stored(self, slip: HandoverRecord, pair: Credentials, key: AccessKey) -> HandoverRecord:
        plan, tools = self._plan, self._tools
        who = Identity(slip.account, plan.user.arn)
        delivery = encode(Delivered(pair, who, key.created, slip.replaces, plan.wish.profile))
        slip = replace(slip, key_id=key.key_id)
        try:
            self._check_ours()
            return tools.waiting.store(slip, plan.readers, delivery)
        except Problem as problem:
            failure = problem
        raise self._taken_back(slip, failure)

    def _taken_back(self, slip: HandoverRecord, problem: Problem) -> Problem:
        """A key that cannot be handed over is of no use: it goes, and then its place; what stays is said."""
        key_id = slip.key_id
        try:
            self._delete(key_id)
        except Problem as second:
            text = f"{problem.message}; key {mask(key_id)} was made for nothing and is still there: {second.message}"
            return Problem(text, "rotate-my-key fleet reissue --sweep")
        text = f"{problem.message}; the new key was deleted again, and nothing else changed"
        try:
            found = self._tools.waiting.find(slip.account, self._user)
            if found and found.run == slip.run:
                self._tools.waiting.remove(slip.account, self._user)
        except Problem:
            text += " (its empty place is left to the sweep)"
        kind = TryLater if isinstance(problem, TryLater) else NotAllowed if isinstance(problem, NotAllowed) else Problem
        return kind(text, problem.hint)

    # Remembering

    def _remember(self, key_id: str) -> None:
        """In the user's tag; that it cannot be written there stops nothing, for the slip knows it too."""
        tag, directory = self._tools.settings.remind.tag, self._tools.directory
        try:
            tags = directory.tags(self._user)
            if tags is None:  # writing would forget what stands there
                raise Problem("his tags may not be read (iam:ListUserTags)")
            memory = decode(tags.get(tag))
            known = memory.get(ref(key_id), KeyMemory())
            memory[ref(key_id)] = replace(known, made=self._tools.now().date())
            there = {key.key_id for key in self._plan.keys} - set(self._deleted)
            directory.tag(self._user, tag, encode_memory(memory, {*there, key_id}))
        except UnreadableTag:
            self._notes.append(f"the tag {tag} of {self._user} is not ours, so nothing was remembered there")
        except Problem as problem:
            self._notes.append(f"nothing could be remembered in the tag {tag}: {problem.message}")
