"""`fleet reissue`: make a key for a user who cannot, and hand it over, in an order that survives being killed.

1. The intent goes into the audit. 2. A key that an earlier run left undelivered is deleted, if it is certain that
nobody uses it. 3. The place is made, with its policy and the record, before there is a key. 4. An inactive key gives
way, if that was agreed to; an active one never. 5. One CreateAccessKey. 6. The key is put in its place, then the record
names it. 7. Only then is anybody told.

What fails after 5 is taken back: the new key is deleted, and that is confirmed before it is said. What is killed leaves
the record, by which the next run or the sweep finds the key. The user's old key is never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import NamedTuple, TypeVar

from ..aws.services import AwsCloud
from ..core.errors import Gone, NeedsPerson, NotAllowed, Problem, TryLater, Unanswered, WrongUsage
from ..core.hints import Hint
from ..core.model import AccessKey, Credentials, Identity, LastUse, recalled
from ..core.policy import mask
from ..settings.fleet import FleetSettings
from ..state.transit import Delivered, write_delivery
from .accounts import AccountDirectory, AwsOrganization
from .actions import ActionLine, Maker, Notifier, ReissuedKey, with_new_key
from .assembly import Assembly
from .audit import AuditTrail
from .handover import BUSY, HandoverRecord, HandoverStore, made_then, named, readers, waiting
from .judge import addresses, owner_of
from .memory import UnreadableTag
from .messages import Channels, Renderer
from .model import AwsAccount, Event, FleetKey, FleetUser
from .notify import channels
from .rules import deleted_at, switched_off_at
from .survey import resolved
from .users import AccountView, UserLook, look_closely, remember_keys

T = TypeVar("T")
Uses = Mapping[str, LastUse | None]  # by id; None is unknown, not "never"


@dataclass(frozen=True, slots=True)
class ReissueRequest:
    """Whom to make a key for. `profile` is the one to put it in; `replace_inactive`: an inactive key of theirs
    may be deleted for room; `renew`: a key that waits and was never used is replaced."""

    account: AwsAccount
    user: str
    profile: str = ""
    replace_inactive: bool = False
    renew: bool = False


class ReissueMode(Enum):
    """What would be done; the value is the word in `--json`."""

    MAKE = "made"
    AGAIN = "waits already"


@dataclass(frozen=True, slots=True)
class ReissuePlan:
    """What would be done. `discards` is an earlier key of ours that did not reach its user, `gives_up` the inactive key
    that makes room, `replaces` the id that the new key takes the place of. `record` is what stands there now."""

    request: ReissueRequest
    user: FleetUser
    readers: tuple[str, ...]
    way: ReissueMode
    keys: tuple[AccessKey, ...] = ()
    record: HandoverRecord | None = None
    discards: AccessKey | None = None
    gives_up: AccessKey | None = None
    replaces: str = ""
    uses: Uses = field(default_factory=dict)

    @property
    def waits(self) -> bool:
        """Whether there is a key already, and only telling is left."""
        return self.way is ReissueMode.AGAIN


def plan_reissue(
    request: ReissueRequest, directory: AccountDirectory, waiting: HandoverStore, settings: FleetSettings, now: datetime
) -> ReissuePlan:
    """Look, and decide. Raises WrongUsage (off, or not set up), Problem (not our place), NeedsPerson, TryLater, Gone,
    Denied."""
    if not settings.reissue.enabled:
        raise WrongUsage(
            f"reissue is not enabled ({settings.where})",
            f"set enabled = yes under [reissue] in {named(settings.where)} (see docs/it/reissue.md)",
        )
    user = directory.find(request.user)
    arns = readers(user.arn, settings.reissue.reader, user.name)
    record = waiting.find(request.account.number, user.name)
    keys = directory.keys(user.name)
    uses = {key.key_id: directory.last_use(key.key_id) for key in keys}
    discards = _undelivered(record, keys, uses, now, renew=request.renew)
    there = {key.key_id for key in keys if key.active and not _was_used(uses[key.key_id])}
    if record and discards is None and record.key_id in there and not record.taken:  # it waits there still
        return ReissuePlan(request, user, arns, ReissueMode.AGAIN, keys, record, None, None, record.replaces, uses)
    left = tuple(key for key in keys if key != discards)
    gives_up = _room(request, user, left, uses)
    staying = sorted((key for key in left if key != gives_up), key=lambda key: (not key.active, key.created))
    replaces = staying[0].key_id if staying else ""  # the one in use: an active one before an inactive, the older first
    return ReissuePlan(request, user, arns, ReissueMode.MAKE, left, record, discards, gives_up, replaces, uses)


UNKNOWN_END = "it is unknown when the old key will be deactivated"


class OldKeyEnd(NamedTuple):
    """When the key that is replaced will be switched off, `off`, and deleted at the earliest, by the rules of enforce,
    whether its user has the new one then or not; None for not before that. `why` says what is not known about it."""

    off: datetime | None = None
    gone: datetime | None = None
    why: str = ""


def old_key_end(plan: ReissuePlan, organization: AwsOrganization, settings: FleetSettings, now: datetime) -> OldKeyEnd:
    """What becomes of the key that is replaced, with as few calls as will do: mostly none, else the groups of this
    user. Raises Interrupted."""
    old = next((key for key in plan.keys if key.key_id == plan.replaces and key.active), None)
    ages = any(each.enforce.ages for each in settings.variants)
    number, where = plan.request.account.number, settings.accounts
    left_out = number in where.but or (where.only and number not in where.only) or not settings.enforce.accounts
    if old is None or left_out or not (ages or recalled(plan.user.tags, old.created, now)):
        return OldKeyEnd()
    try:
        settings = resolved(organization, replace(settings, accounts=replace(where, only=(number,))))
        if number not in settings.enforce.accounts:
            return OldKeyEnd()
        directory, groups = organization.directory(plan.request.account), settings.groups(now.date())
        mine = directory.groups_of(plan.user.name) if groups else frozenset[str]()
    except Problem as problem:
        return OldKeyEnd(why=problem.message)
    members = {group: frozenset({plan.user.name} if group in mine else ()) for group in groups}
    keys = tuple(FleetKey(key.active, key.created, key.key_id, plan.uses.get(key.key_id)) for key in plan.keys)
    found = UserLook(replace(plan.user, keys=keys), place=AccountView(plan.request.account, directory, members))
    found = look_closely(found, plan.user.tags, settings, now, uses=False)
    key = next(key for key in keys if key.key_id == plan.replaces)
    off = switched_off_at(found if plan.waits else with_new_key(found, key, now), key, settings, now)
    return OldKeyEnd(off, deleted_at(off, settings.limited(found.limit)), found.unsure)


def _was_used(use: LastUse | None) -> bool:
    """Any use counts: signing in with it is a use of `sts`."""
    return bool(use and use.at)


def _undelivered(
    record: HandoverRecord | None, keys: Sequence[AccessKey], uses: Uses, now: datetime, *, renew: bool
) -> AccessKey | None:
    """The key that an earlier run made and that did not reach its user; one that waits there only if it is to be
    replaced, or if the sweep has switched it off."""
    if record is None:
        return None
    waits = next((key for key in keys if key.key_id == record.key_id), None)
    if now < record.at + BUSY and waits is None:  # a key that was made just now may not be listed yet
        raise TryLater(f"another run is creating a key for {record.user} right now", "try again in two minutes")
    made = made_then(record, keys)
    if waits and not record.taken and (renew or not waits.active):
        made = waits
    if made is None or _was_used(uses[made.key_id]):
        return None
    if uses[made.key_id] is None:
        raise TryLater(
            f"key {mask(made.key_id)} of {record.user} was created for an earlier handover, and it is not known "
            "whether it is in use",
            "try again later, or allow this role iam:GetAccessKeyLastUsed",
        )
    return made


def _room(request: ReissueRequest, user: FleetUser, keys: Sequence[AccessKey], uses: Uses) -> AccessKey | None:
    """The inactive key that gives way, None if there is room. Raises NeedsPerson, for consent or a choice."""
    if len(keys) < 2:
        return None
    inactive = sorted((key for key in keys if not key.active), key=lambda key: key.created)
    told = " and ".join(f"{mask(key.key_id)} ({_state(key, uses.get(key.key_id))})" for key in keys)
    said = f"{user.name} in {request.account} has two keys already, {told} (AWS allows two keys per user)"
    if not inactive:
        raise NeedsPerson(said, f"ask {user.name} to remove one: rotate-my-key delete-key KEY_ID")
    if not request.replace_inactive:
        raise NeedsPerson(said, Hint("fleet", "reissue", user.name, "--replace-inactive"))
    return inactive[0]


def _state(key: AccessKey, use: LastUse | None) -> str:
    used = "last use unknown"
    if use:
        where = f"last used on {use.at:%Y-%m-%d} by {use.service} in {use.region}" if use.at else ""
        used = where or "never used"
    return f"{'active' if key.active else 'inactive'}, {used}"


_SETTLE = timedelta(seconds=15)  # one that was carried out shows in the list within that time
_SHOWS = timedelta(seconds=5)  # what was written to the place shows within that time
_CREATES = 2  # a lost answer allows one more
_AGAIN = "try again in two minutes"


@dataclass(frozen=True, slots=True)
class ReissueContext:
    """What a reissue works with. `audit` is None where whoever asks for it writes it down; `run` names this run, `now`
    is AWS's clock, `pause` waits for seconds."""

    waiting: HandoverStore
    settings: FleetSettings
    audit: AuditTrail | None
    run: str
    now: Callable[[], datetime]
    pause: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class HandoverResult:
    """A key that waits for its user. `place` is what they give to `adopt`; `deleted` are keys that went on the way;
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


def hand_over(plan: ReissuePlan, directory: AccountDirectory, context: ReissueContext) -> HandoverResult:
    """Do what the plan says. Raises Problem kinds; what was begun and could not be taken back is said."""
    hand = _HandOver(plan, directory, context)
    record = plan.record if plan.waits and plan.record else hand.over()
    until, where = record.at + context.settings.reissue.keep, context.waiting.where(record)
    rest = (record.replaces, tuple(hand.deleted), tuple(hand.notes))
    return HandoverResult(record.account, plan.user.name, record.key_id, where, plan.way, until, *rest)


class _HandOver:
    """One reissue. `deleted` are keys that went on the way, `notes` for a person."""

    def __init__(self, plan: ReissuePlan, directory: AccountDirectory, context: ReissueContext) -> None:
        self._plan = plan
        self._directory = directory
        self._context = context
        self._account, self._user = plan.request.account.number, plan.user.name
        self.deleted: list[str] = []
        self.notes: list[str] = []

    def over(self) -> HandoverRecord:
        """The record of a key that was made and waits."""
        self._record("intended")
        if self._plan.discards:
            self._discard(self._plan.discards.key_id)
        record = self._made()
        self._remember(record.key_id)
        try:
            self._record("done", made=record.key_id)
        except Problem as problem:
            self.notes.append(f"the audit could not be written: {problem.message}")
        return record

    def _record(self, outcome: str, **made: str) -> None:
        context, who = self._context, (self._account, self._user, self._plan.replaces)
        event = Event(context.now(), "reissued", *who, "asked for", context.settings.fingerprint, outcome, made)
        if context.audit:
            context.audit.record(event)

    def _discard(self, key_id: str) -> None:
        """Off first: what was never used is missed by nobody, and a use that shows up late is met by a key that is
        still there."""
        with suppress(Gone):
            self._directory.set_active(self._user, key_id, False)
        self._delete(key_id)

    def _delete(self, key_id: str) -> None:
        """A key that was made just now may be unknown for a while. Raises Problem unless it is certainly gone."""
        listed = {key.key_id for key in self._plan.keys}

        def gone() -> bool | None:
            try:
                self._directory.delete(self._user, key_id)
            except Gone:
                return True if key_id in listed else None
            return True

        self._wait(_SETTLE, gone)
        self.deleted.append(key_id)

    def _made(self) -> HandoverRecord:
        """The record of a key that was made and stored."""
        for attempt in range(_CREATES):
            record = self._reserved()
            try:
                pair, key = self._directory.create(self._user)
            except Unanswered as problem:
                self._settle_lost(record, problem, last=attempt == _CREATES - 1)
                continue
            except Problem:
                with suppress(Problem):
                    self._context.waiting.remove(record.account, self._user)
                raise
            return self._stored(record, pair, key)
        raise AssertionError("the last attempt raises")

    def _reserved(self) -> HandoverRecord:
        """The place, ours alone: two runs at once must not make two keys."""
        plan, context = self._plan, self._context
        gone = set(self.deleted) | ({plan.gives_up.key_id} if plan.gives_up else set())
        had = tuple(key.key_id for key in plan.keys if key.key_id not in gone)
        record = HandoverRecord(self._account, self._user, context.now(), context.run, had, plan.replaces)
        record = context.waiting.reserve(record, plan.readers)
        if plan.gives_up and plan.gives_up.key_id not in self.deleted:
            self._delete(plan.gives_up.key_id)
            record = context.waiting.reserve(replace(record, at=context.now()), plan.readers)
        self._check_ours()
        return record

    def _check_ours(self) -> None:
        """What was written just now may show a moment later."""
        if not self._wait(_SHOWS, lambda: self._is_ours() or None):
            raise TryLater(f"another run is creating a key for {self._user} right now", _AGAIN)

    def _is_ours(self) -> bool:
        found = self._context.waiting.find(self._account, self._user)
        return found is not None and found.run == self._context.run

    def _settle_lost(self, record: HandoverRecord, problem: Unanswered, *, last: bool) -> None:
        """An answer was lost: its key, whose secret nobody has, is deleted as soon as it shows. If none shows, or AWS
        says of it that it is or may be used, the record stays, and a later run looks again."""
        found = self._wait(_SETTLE, lambda: made_then(record, self._directory.keys(self._user)))
        use = self._directory.last_use(found.key_id) if found else None
        if not found or not use or use.at:
            raise TryLater(f"{problem.message}; if a key was created, the next run removes it", _AGAIN)
        self._discard(found.key_id)
        if last:
            self._context.waiting.remove(record.account, self._user)
            raise TryLater("AWS did not answer twice, and the new key was deleted again", _AGAIN)

    def _wait(self, longest: timedelta, look: Callable[[], T | None]) -> T | None:
        """What a look gives, once a second until it gives something or the time is over."""
        until = self._context.now() + longest
        while (found := look()) is None and self._context.now() < until:
            self._context.pause(1.0)
        return found

    def _stored(self, record: HandoverRecord, pair: Credentials, key: AccessKey) -> HandoverRecord:
        plan, context = self._plan, self._context
        who = Identity(record.account, plan.user.arn)
        delivery = write_delivery(Delivered(pair, who, key.created, record.replaces, plan.request.profile))
        record = replace(record, key_id=key.key_id)
        try:
            self._check_ours()
            return context.waiting.store(record, plan.readers, delivery)
        except Problem as problem:
            failure = problem
        raise self._taken_back(record, failure)

    def _taken_back(self, record: HandoverRecord, problem: Problem) -> Problem:
        """A key that cannot be handed over is of no use: it goes, and then its place; what stays is said."""
        key_id = record.key_id
        try:
            self._delete(key_id)
        except Problem as second:
            text = f"{problem.message}, and the new key {mask(key_id)} could not be deleted: {second.message}"
            return Problem(text, Hint("fleet", "reissue", "--sweep"))
        text = f"{problem.message} (the new key was deleted again, and nothing else changed)"
        try:
            if self._is_ours():
                self._context.waiting.remove(record.account, self._user)
        except Problem:
            text += " (the next sweep removes its empty handover)"
        kind = TryLater if isinstance(problem, TryLater) else NotAllowed if isinstance(problem, NotAllowed) else Problem
        return kind(text, problem.hint)

    def _remember(self, key_id: str) -> None:
        """In the user's tag; that it cannot be written there stops nothing, for the record knows it too."""
        tag, directory = self._context.settings.remind.tag, self._directory
        try:
            there = {key_id, *(key.key_id for key in self._plan.keys)} - set(self.deleted)
            today, replaces = self._context.now().date(), self._plan.replaces
            noted = {key_id: partial(replace, made=today)}
            noted |= {replaces: partial(replace, reissued=today)} if replaces else {}
            remember_keys(directory, self._user, tag, noted, there)
        except UnreadableTag:
            self.notes.append(
                f"the tag {tag} of {self._user} was not written by rotate-my-key, so nothing was recorded there"
            )
        except Problem as problem:
            self.notes.append(f"this could not be recorded in the tag {tag}: {problem.message}")


def keymaker(
    assembly: Assembly, settings: FleetSettings, audit: AuditTrail, sleep: Callable[[float], None]
) -> Maker | None:
    """Who makes new keys for `enforce`, where the settings want it. Raises WrongUsage."""
    if not settings.reissue.enabled or not settings.reissues:
        return None
    places = waiting(assembly.cloud, assembly.organization, settings)
    run = audit.run.name.rpartition("-")[2]
    context = ReissueContext(places, settings, None, run, assembly.now, sleep)

    def make(directory: AccountDirectory, user: FleetUser) -> ReissuedKey:
        """A key for this user, or the one that waits. Never in place of another one: no consent was given."""
        request = ReissueRequest(directory.account, user.name)
        plan = plan_reissue(request, directory, places, settings, context.now())
        handed = hand_over(plan, directory, context)
        return ReissuedKey(handed.key_id, handed.place, handed.notes)

    return make


def tell(
    handed: HandoverResult,
    user: FleetUser,
    account: AwsAccount,
    settings: FleetSettings,
    cloud: AwsCloud,
    now: datetime,
    end: OldKeyEnd,
) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """Tell the owner where it waits, by the channels of [remind] owners: the place is no secret. Gives the channels
    that took it, and what went wrong. Raises WrongUsage for channels or templates that are wrong."""
    ways = Channels(channels(settings.remind.owners, settings.channels, cloud))
    owner = owner_of(user, settings.owners, addresses(settings.owners))
    why = f"IT has created a new key, {mask(handed.key_id)}"
    line = ActionLine(account, user.name, handed.replaces or handed.key_id, why, place=handed.place, waits=True)
    line = replace(line, at=end.off, gone=end.gone, unsure=bool(end.why))
    notifier = Notifier(ways, settings, Renderer(settings.remind.templates, now))
    return notifier.tell(owner, [line])
