"""What is done to one user's keys, and what is skipped and why. Pure: the same facts and day, the same answer.

- Nothing is done but by an age or a time that is set; comparisons are `>=`, so a run that comes late misses nothing. An
  active key is switched off, never deleted; one that is off is deleted once it has been so for as long as is set.
- Before something is taken away its notices are written down, the first at least `grace` ago. What is not known (last
  use, tags, exemptions) means that nothing is done, and so does a memory that cannot be true.
- Of a user's keys one is switched off in a run, the older first, and the next one on another day. Where IT makes new
  keys (`reissue_at`), it makes one for each key, and that key is not switched off before a younger one has reached its
  user; at `deactivate_anyway_at` it is, whatever the user did.
- A notice counts for an act if it said what will be done, and when.
- What IT has recalled is switched off on the day that the recall says, after one notice of it, the day before or
  earlier. Where IT makes new keys, one is made then.

Every look at a user's keys also updates what is remembered of them (`observed`). A key that is found switched off, and
not by the fleet, is off from that day on; where a run was about to do it, the fleet did it. A key that works although
it was switched off was switched on by somebody: everything about it begins anew, its notices too. So does a key that is
used after its notices, and is neither due by its age nor recalled. A key that is gone is forgotten, but for a deletion
that was not told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum

from ..core.model import recalled
from ..core.policy import Policy, Verdict
from ..settings.fleet import DAYS, Enforce, FleetSettings, Rule, span_of, zone
from .memory import KeyMemory, Memory, ref, whole_days
from .model import FleetKey, FleetUser


class ActionKind(Enum):
    """What may be done."""

    NOTIFY = "notify"
    REISSUE = "reissue"
    DEACTIVATE = "deactivate"
    DELETE = "delete"


class SkipRule(Enum):
    """What spares a key that its age would call for."""

    ROOT = "root"
    ACCOUNT = "account"
    EXEMPT = "exempt"
    UNSURE = "unsure"
    LAST_USE = "last use unknown"
    USED = "used"
    NEW_KEY = "new key not received"
    STUCK = "stuck"
    NOTICES = "notices"
    GRACE = "grace"
    ONE_AT_A_TIME = "one at a time"
    NO_ROOM = "no room"
    UNREACHED = "owner not reached"  # by the engine
    LIMIT = "limit"  # by the engine: `most` acts a run
    HOURS = "hours"  # by the engine
    CHANGED = "changed"  # by the engine: the facts are others than when it was planned


@dataclass(frozen=True, slots=True)
class UserFacts:
    """A user with all of their keys (ids and exact days), and what is remembered of them. `exempt` is why they are left
    alone, or ""; `unsure` says what of their exemption or memory could not be read, or is "". `limit` is theirs, if the
    general ones do not count for them."""

    user: FleetUser
    memory: Memory = field(default_factory=dict)
    exempt: str = ""
    unsure: str = ""
    limit: Rule | None = None

    def known(self, key_id: str | None) -> KeyMemory:
        """What is remembered of a key."""
        return self.memory.get(ref(key_id or ""), KeyMemory())


@dataclass(frozen=True, slots=True)
class Act:
    """Something to do; `why` is a clause. A notice tells what is `coming`, and `at`: when at the earliest; `recalled`:
    because IT has recalled the key."""

    kind: ActionKind
    user: FleetUser
    key: FleetKey
    why: str
    coming: ActionKind | None = None
    at: datetime | None = None
    recalled: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not done, by which rule. `key` is None where it is about all of the user's keys."""

    rule: SkipRule
    user: FleetUser
    key: FleetKey | None
    why: str


Decision = Act | Skipped


_DAY = timedelta(days=1)
NEW_FIRST = "a new key is created first"


@dataclass(frozen=True, slots=True)
class _DueAction:
    """What an age or a time alone calls for, and from when on. `by_use`: because the key is not used; `waits`: not
    before a younger key has reached its user, whenever that is; `since`: IT recalled the key then."""

    kind: ActionKind
    key: FleetKey
    at: datetime
    why: str
    by_use: bool = False
    waits: bool = False
    since: datetime | None = None

    def is_told(self, known: KeyMemory) -> bool:
        """Whether the user of a recalled key was told of that, and of no day before this one."""
        return bool(self.since and known.recalled_on and known.recalled_on >= self.at.date())


def decide(facts: UserFacts, settings: FleetSettings, now: datetime) -> list[Decision]:
    """What to do with one user's keys, in this order, and what is spared; nothing of a key that is due for nothing."""
    user, account, settings = facts.user, facts.user.account, settings.limited(facts.limit)
    if user.is_root:
        why = "keys of root are not handled here: delete them by hand, at once"
        return [Skipped(SkipRule.ROOT, user, None, why)] if user.keys else []
    due_actions = [
        due
        for due in _due_actions(facts, settings, now)
        if now >= due.at - _lead(due, settings) or facts.known(due.key.key_id).doubt(now.date())
    ]
    allowed = account in settings.enforce.accounts
    for rule, why in (
        (SkipRule.ACCOUNT, "" if allowed else f"{account} is not listed in [enforce] accounts"),
        (SkipRule.EXEMPT, facts.exempt),
        (SkipRule.UNSURE, facts.unsure),
    ):
        if why:
            return [Skipped(rule, user, due.key, why) for due in due_actions if now >= due.at]
    found: list[Decision] = []
    for due in due_actions:
        found += _judged(due, found, facts, settings, now)
    return found


# What ages and times call for


def _due_actions(facts: UserFacts, settings: FleetSettings, now: datetime) -> Iterator[_DueAction]:
    """Deletions first, for they make room; then a new key; then the older key before the younger."""
    keys = sorted(facts.user.keys, key=lambda key: key.created)
    active = [key for key in keys if key.active]
    for key in keys:
        if not key.active:
            yield from _deletion(key, facts.known(key.key_id), settings, now.date())
    at = settings.enforce.reissue_at
    if active and at is not None:
        key = active[-1]
        why = f"{_days(now - key.created)} old (a new key is created at {_days(at)})"
        due = _DueAction(ActionKind.REISSUE, key, key.created + at, why)
        for called in _called_back(key, facts, now):  # the new one is ready when the old one goes, and not before
            off = _announced(called, facts.known(key.key_id), settings.enforce, now.date())
            due = min(due, replace(called, kind=ActionKind.REISSUE, at=off), key=lambda each: each.at)
        yield due
    for key in active:
        yield from _deactivation(key, facts, settings, now)


def _deletion(key: FleetKey, known: KeyMemory, settings: FleetSettings, today: date) -> Iterator[_DueAction]:
    after, since = settings.enforce.delete_after, off_since(known)
    if after is not None and since is not None:
        at = deleted_at(_midnight(since), settings)
        assert at
        what = "inactive since" if since in (known.off, known.revoked) else "first seen inactive on"
        why = f"{what} {_date(since, today)} (deleted after {_days(after)})"
        yield _DueAction(ActionKind.DELETE, key, at, why)


def _called_back(key: FleetKey, facts: UserFacts, now: datetime) -> Iterator[_DueAction]:
    """What a recall by IT calls for."""
    if recall := recalled(facts.user.tags, key.created, now):
        why = f"recalled on {_date(recall.at.date(), now.date())}{recall.reason and f', {recall.reason}'}"
        yield _DueAction(ActionKind.DEACTIVATE, key, recall.by, why, since=recall.at)


def _deactivation(key: FleetKey, facts: UserFacts, settings: FleetSettings, now: datetime) -> Iterator[_DueAction]:
    """By age or by not being used, whichever comes first; what waits for a younger key, and comes before the last day,
    too."""
    rules, kind = settings.enforce, ActionKind.DEACTIVATE
    waits = rules.reissue_at is not None and not _arrived(key, facts)
    due_actions = [*_called_back(key, facts, now)]
    for limit, waiting in ((rules.deactivate_at, waits), (rules.deactivate_anyway_at, False)):
        if limit is not None:
            why = f"{_days(now - key.created)} old (maximum age is {_days(limit)})"
            due_actions.append(_DueAction(kind, key, key.created + limit, why, waits=waiting))
    if (unused := rules.unused_for) is not None:
        used = (key.last_use and key.last_use.at) or key.created
        why = f"not used for {_days(now - used)} (the limit is {_days(unused)})"
        due_actions.append(_DueAction(kind, key, used + unused, why, by_use=True, waits=waits))
    found = sorted(due_actions, key=lambda due: (due.at, due.waits))
    known, today = facts.known(key.key_id), now.date()
    sure = min(
        (due for due in found if not due.waits),
        key=lambda due: _announced(due, known, rules, today),
        default=None,
    )
    if found and found[0].waits:
        yield found[0]
    if sure:
        yield sure


def _arrived(key: FleetKey, facts: UserFacts) -> bool:
    """Whether another key has taken its place: one that its user made themselves, or one of IT's that was used."""
    younger = [each for each in facts.user.keys if each.active and each.created > key.created]
    return any(not facts.known(each.key_id).made or _used(each) for each in younger)


# What rules make of it


def _judged(
    due: _DueAction, before: list[Decision], facts: UserFacts, settings: FleetSettings, now: datetime
) -> Iterator[Decision]:
    """The act, the notice that it needs first, or what spares it; nothing for one whose time has not come."""
    user, known, today, rules = facts.user, facts.known(due.key.key_id), now.date(), settings.enforce
    if why := known.doubt(today):
        if now >= due.at or due.kind is ActionKind.DELETE:  # when it may go is not known
            yield Skipped(SkipRule.UNSURE, user, due.key, why)
        return
    if due.waits:
        if now >= due.at:
            yield Skipped(SkipRule.NEW_KEY, user, due.key, "the user has not received a newer key yet")
        return
    told = due.is_told(known) or not rules.notices if due.since else known.warnings >= rules.notices
    told = told or due.kind is ActionKind.REISSUE
    pause = whole_days(settings.remind.repeat)
    if not told and (due.since or not known.last or not known.warnings or (today - known.last).days >= pause):
        at = _announced(due, known, rules, today)
        yield Act(ActionKind.NOTIFY, user, due.key, due.why, due.kind, at, recalled=bool(due.since))
    elif now < due.at:
        return
    elif spared := _spared(due, before, facts, settings, now):
        yield Skipped(spared[0], user, due.key, spared[1])
    elif not told:
        said = f", the last on {_date(known.last, today)}" if known.last else ""
        yield Skipped(SkipRule.NOTICES, user, due.key, f"{known.warnings} of {rules.notices} notices sent{said}")
    elif min(today, now.astimezone(zone(rules.timezone)).date()) < (earliest := _grace_ends(due, known, settings)):
        since = f"first notified on {_date(known.warned, today)}" if rules.notices else ""
        since = f"a new key was created on {_date(known.reissued, today)}" if known.reissued else since
        since = since or f"reactivated on {_date(known.back, today)}"
        yield Skipped(SkipRule.GRACE, user, due.key, f"{since}, so not before {_date(earliest, today)}")
    else:
        yield Act(due.kind, user, due.key, due.why)


def _announced(due: _DueAction, known: KeyMemory, rules: Enforce, today: date) -> datetime:
    """When something is taken away at the earliest, of which its user is told today. A new key that was made for them
    they must have time to fetch, and often it is fetched with the old one. A recall has its own day, the one that was
    told: tomorrow at the earliest, whatever the grace."""
    if due.since:
        said = known.recalled_on if due.is_told(known) else None
        return max(due.at, _midnight(said or today + _DAY)) if rules.notices else due.at
    grace = whole_days(rules.grace) * _DAY
    told = _midnight(known.warned or today) + grace if rules.notices else due.at
    return max(due.at, told, *([_midnight(known.reissued) + grace] if known.reissued else []))


def deleted_at(off: datetime | None, settings: FleetSettings) -> datetime | None:
    """When a key is deleted at the earliest that is switched off then; None for never."""
    after = settings.enforce.delete_after
    return None if off is None or after is None else off + max(whole_days(after), 1) * _DAY


def switched_off_at(facts: UserFacts, key: FleetKey, settings: FleetSettings, now: datetime) -> datetime | None:
    """When an active key will be switched off at the earliest if nothing changes; None if that is not sure, or far off
    for a key that is in use. Of this every message about the key tells, whichever run sends it."""
    settings = settings.limited(facts.limit)
    unsure = facts.user.is_root or facts.exempt or facts.unsure or facts.known(key.key_id).doubt(now.date())
    if unsure or facts.user.account not in settings.enforce.accounts:
        return None
    sure = [due for due in _deactivation(key, facts, settings, now) if not due.waits]
    near = [due for due in sure if not due.by_use or now >= due.at - _lead(due, settings)]
    if not near:
        return None
    known, today = facts.known(key.key_id), now.date()
    rests = date.min if settings.enforce.notices else _rests(known, settings)
    return max(_announced(near[0], known, settings.enforce, today), _midnight(max(today, rests)))


def waits_for(facts: UserFacts, key: FleetKey, settings: FleetSettings, now: datetime) -> bool:
    """Whether a key that IT made waits for its user, to take the place of this one. Not on the day of the sweep."""
    keep = settings.reissue.keep
    made = [(each, day) for each in facts.user.keys if each != key and (day := facts.known(each.key_id).made)]
    unused = [day for each, day in made if each.active and each.last_use and not each.last_use.at]
    return key.active and any(now.date() < day + whole_days(keep) * _DAY for day in unused)


def _spared(
    due: _DueAction, before: list[Decision], facts: UserFacts, settings: FleetSettings, now: datetime
) -> tuple[SkipRule, str] | None:
    """What spares a key whatever its user was told."""
    key, known, keys, today = due.key, facts.known(due.key.key_id), facts.user.keys, now.date()
    planned = [each.kind for each in before if isinstance(each, Act)]
    if due.kind is ActionKind.REISSUE:
        if known.made and not _used(key):
            return SkipRule.NEW_KEY, f"the key created on {_date(known.made, today)} has not been used yet"
        if known.reissued:
            at = switched_off_at(facts, key, settings, now)
            then = f"; this one will be deactivated on {_date(at.date(), today)}" if at else ""
            return SkipRule.STUCK, f"a new key was created on {_date(known.reissued, today)} and not fetched{then}"
        if len(keys) - planned.count(ActionKind.DELETE) >= 2:
            return SkipRule.NO_ROOM, "there are two keys already (AWS allows two keys per user)"
    elif key.last_use is None:
        return SkipRule.LAST_USE, "its last use could not be read"
    elif due.kind is ActionKind.DEACTIVATE:
        if ActionKind.REISSUE in planned and not due.since:
            return SkipRule.NEW_KEY, NEW_FIRST
        if due.by_use and key.last_use.at and known.first and key.last_use.at.date() >= known.first:
            return SkipRule.USED, f"used on {_date(key.last_use.at.date(), today)}, after the first notice"
        if ActionKind.DEACTIVATE in planned or any(facts.known(each.key_id).off == today for each in keys):
            return SkipRule.ONE_AT_A_TIME, "another key of this user comes first, this one follows on another day"
    return None


def _used(key: FleetKey) -> bool:
    return key.last_use is not None and key.last_use.at is not None


def _grace_ends(due: _DueAction, known: KeyMemory, settings: FleetSettings) -> date:
    """The first day on which something may be taken away, as its user was told: it must have begun in UTC and in the
    settings' zone. Notices without a first day are counted from no day. Without notices a key that was switched on
    again rests as long as two notices are apart, at least a day: else the next run would undo the undoing."""
    if due.kind is ActionKind.REISSUE:
        return date.min
    if due.since:
        return _announced(due, known, settings.enforce, due.at.date()).date()
    if not settings.enforce.notices and known.reissued and due.kind is ActionKind.DEACTIVATE:
        return known.reissued + whole_days(settings.enforce.grace) * _DAY
    if not settings.enforce.notices:
        return _rests(known, settings)
    grace = whole_days(settings.enforce.grace) * _DAY
    fetched = known.reissued + grace if known.reissued and due.kind is ActionKind.DEACTIVATE else date.min
    return max(known.warned + grace, fetched, due.at.date()) if known.warned else date.max


def _rests(known: KeyMemory, settings: FleetSettings) -> date:
    """Until when a key that was switched on again is left alone without a notice."""
    return known.back + max(whole_days(settings.remind.repeat), 1) * _DAY if known.back else date.min


def _lead(due: _DueAction, settings: FleetSettings) -> timedelta:
    """How long before an act its notices begin, so that it can be done in time; not while the key is in use."""
    if due.kind is ActionKind.REISSUE:
        return timedelta(0)
    if due.since:
        return max(due.at - due.since, timedelta(0))
    spaced = whole_days(settings.remind.repeat) * max(settings.enforce.notices - 1, 0)
    lead = max(whole_days(settings.enforce.grace), spaced) * _DAY
    return min(lead, settings.enforce.unused_for / 2) if due.by_use and settings.enforce.unused_for else lead


# Days


def off_since(known: KeyMemory) -> date | None:
    """The day from which on a key is known to be switched off: the latest that is written down."""
    return max((day for day in (known.off, known.revoked, known.found_off) if day), default=None)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _date(day: date | None, today: date) -> str:
    """`2 December`, with the year if it is another."""
    return f"{day.day} {day:%B}{'' if day.year == today.year else f' {day.year}'}" if day else "an unknown day"


def _days(duration: timedelta) -> str:
    days = duration // _DAY
    return (
        f"{days} day{'' if days == 1 else 's'}" if days or not duration else f"{duration // timedelta(hours=1)} hours"
    )


def observed(user: FleetUser, memory: Memory, policy: Policy, now: datetime) -> dict[str, KeyMemory]:
    """The memory after a look at all keys of a user, whose ids are known."""
    seen = {ref(key.key_id or ""): _seen(key, memory, policy, now, user.tags) for key in user.keys}
    ids = {key.key_id for key in user.keys}
    gone = {name: known for name, known in memory.items() if name != ref(name) and name not in ids}
    return {name: known for name, known in {**seen, **gone}.items() if known != KeyMemory()}


def _seen(key: FleetKey, memory: Memory, policy: Policy, now: datetime, tags: Mapping[str, str] | None) -> KeyMemory:
    known = memory.get(ref(key.key_id or ""), KeyMemory())
    since = off_since(known)
    used = key.last_use.at.date() if key.last_use and key.last_use.at else None
    if key.active:
        fresh = policy.verdict(key, now) is Verdict.FRESH and not recalled(tags, key.created, now)
        answered = known.first and used and used >= known.first and fresh
        if since or answered:
            return replace(known.anew, back=now.date() if since else known.back)
        return replace(known, intended=None)
    if since is None and known.intended:
        known, since = replace(known, off=known.intended), known.intended
    if since is None or (used and used > since):
        return replace(known, off=None, revoked=None, found_off=now.date(), intended=None)
    return known


# What is remembered of actions


def deletions(memory: Memory) -> dict[str, KeyMemory]:
    """What is remembered of deletions, by the whole id."""
    return {name: known for name, known in memory.items() if name != ref(name)}


def intended(memory: Memory, act: Act, today: date) -> Memory:
    """The memory before an act."""
    key_id = act.key.key_id or ""
    if act.kind is ActionKind.DELETE:
        return {**memory, key_id: KeyMemory(made=act.key.created.date(), intended=today)}
    return {**memory, ref(key_id): replace(memory.get(ref(key_id), KeyMemory()), intended=today)}


def settled(memory: Memory, act: Act, today: date, *, told: bool) -> Memory:
    """The memory after an act that the audit has; what is not told keeps its intent."""
    key_id = act.key.key_id or ""
    name = key_id if act.kind is ActionKind.DELETE else ref(key_id)
    known = memory.get(name, KeyMemory())
    known = replace(known, off=known.off or today, intended=None if told else known.intended or today)
    if act.kind is not ActionKind.DELETE:
        return {**memory, name: known}
    left = {each: kept for each, kept in memory.items() if each not in (ref(key_id), key_id)}
    return left if told else {**left, key_id: replace(known, made=act.key.created.date())}


def closed(enforce: Enforce, now: datetime) -> str:
    """Why nothing may be done at this moment, or "". The day is that of the settings' time zone."""
    local = now.astimezone(zone(enforce.timezone))
    if DAYS[local.weekday()] not in enforce.weekdays:
        days = ", ".join(enforce.weekdays) or "no day"
        return f"it is {local:%A} in {enforce.timezone}, but changes are only allowed on {days}"
    begin, end = span_of(enforce.hours)
    if begin <= local.hour < end or (begin > end and not end <= local.hour < begin):
        return ""
    return f"it is {local:%H:%M} in {enforce.timezone}, but changes are only allowed from {begin} to {end} o'clock"
