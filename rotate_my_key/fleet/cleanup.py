"""What was handed over and not fetched does not stay: for the operator, the function in Lambda and `enforce` alike.

- A key that is gone was fetched and replaced, as `adopt` does: its place goes.
- A key that was used was fetched: it is left alone. Its place goes after `reissue.keep`; at once if anything but `iam`
  and `sts` used it, for then it is stored somewhere, and not only looked at.
- A key that was not used by then is switched off and deleted, then its place goes.
- Where it is not known whether it was used, it is only switched off, and the record stays until that is known.
- A key that a run made and did not store is found by the record, and deleted if it is certain that nobody uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial

from ..core.errors import Gone, Problem
from ..core.model import AccessKey, LastUse
from ..core.parallel import Pool
from ..core.policy import day, mask
from ..settings.fleet import Accounts, FleetSettings
from .accounts import AccountDirectory, AwsOrganization
from .audit import AuditTrail
from .handover import HandoverRecord, HandoverStore, made_then
from .memory import UnreadableTag
from .model import AwsAccount, Event
from .survey import accounts_of
from .users import remember_keys

_YOUNG = timedelta(minutes=15)  # a function in Lambda runs no longer than that
_LISTED = timedelta(minutes=5)  # long after it was made AWS lists a key: that takes seconds


class Disposition(Enum):
    """What the sweep does with one hand-over; the value is the word in `--json`."""

    WAITS = "waits"
    CLEARED = "cleared"
    DELETED = "deleted"
    SWITCHED_OFF = "switched off"
    LEFT = "left alone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CleanupResult:
    """What became of one hand-over, or what would; `problem` if it could not be done."""

    account: str
    user: str
    key_id: str
    disposition: Disposition
    why: str
    problem: Problem | None = None

    @property
    def acts(self) -> bool:
        """Whether something is to be done about it."""
        return self.disposition in (Disposition.CLEARED, Disposition.DELETED, Disposition.SWITCHED_OFF)


@dataclass(frozen=True, slots=True)
class Sweeper:
    """What a sweep works with. `now` is AWS's clock; without `apply` nothing is changed."""

    organization: AwsOrganization
    waiting: HandoverStore
    settings: FleetSettings
    audit: AuditTrail
    now: Callable[[], datetime]
    apply: bool = True


def sweep(tools: Sweeper, only: Iterable[tuple[str, str]] | None = None) -> Iterator[CleanupResult]:
    """Look at every place, or at those of `only` (account and user); one that cannot be settled is a row and no more.
    Raises Problem only if the places cannot be listed, Interrupted."""
    for account, user in tools.waiting.everybody() if only is None else only:
        swept = _one(tools, account, user)
        if swept:
            yield swept


def _one(tools: Sweeper, account: str, user: str) -> CleanupResult | None:
    record = None
    try:
        record = tools.waiting.find(account, user)
        if record is None:
            return None
        directory = tools.organization.directory(AwsAccount(account))
        swept = _look(record, directory, tools.now(), tools.settings.reissue.keep)
        if tools.apply and swept.acts:
            _do(swept, record, directory, tools)
        return swept
    except Problem as problem:
        key_id = record.key_id if record else ""
        return CleanupResult(account, user, key_id, Disposition.FAILED, problem.message, problem)


def _look(record: HandoverRecord, directory: AccountDirectory, now: datetime, keep: timedelta) -> CleanupResult:
    """What is to be done about one hand-over. Raises Problem."""
    who = (record.account, record.user)
    try:
        keys = directory.keys(record.user)
    except Gone:
        return CleanupResult(*who, record.key_id, Disposition.CLEARED, "the user no longer exists")
    named = next((key for key in keys if key.key_id == record.key_id), None)
    key = named if record.key_id else made_then(record, keys)
    use = directory.last_use(key.key_id) if key else None
    return CleanupResult(*who, key.key_id if key else record.key_id, *_judged(record, key, use, now, keep))


def _judged(
    record: HandoverRecord, key: AccessKey | None, use: LastUse | None, now: datetime, keep: timedelta
) -> tuple[Disposition, str]:
    """The rules. Pure; `key` is the one that waits, or that a run made and did not store, if there is one."""
    waits = Disposition.WAITS
    if not record.key_id:
        return _unstored(record, key, use, now)
    if key is None:  # one that was made just now may not be listed yet
        if now < record.at + _LISTED and not record.taken:
            return waits, "created moments ago, so either not listed yet or already gone"
        return Disposition.CLEARED, "the key is gone: fetched and replaced, or deleted"
    over = now >= record.at + keep
    if record.taken or (use and use.at):
        when = f": used on {day(use.at)} by {use.service}" if use and use.at else ""
        stored = over or bool(use and use.is_evidence)
        return Disposition.CLEARED if stored else waits, f"it was fetched{when}"
    if use is None:
        unknown = "it is not known whether it was used"
        off = Disposition.SWITCHED_OFF if key.active else Disposition.LEFT
        return (off, f"not fetched in time; {unknown}") if over else (waits, unknown)
    return (Disposition.DELETED, "not fetched in time") if over else (waits, "not used yet")


def _unstored(
    record: HandoverRecord, key: AccessKey | None, use: LastUse | None, now: datetime
) -> tuple[Disposition, str]:
    if now < record.at + _YOUNG:
        return Disposition.WAITS, "a run is creating a key, or has just stopped"
    if key is None:
        return Disposition.CLEARED, "a run stopped before it created a key"
    if use is None:
        return Disposition.LEFT, "a run stopped, and it is not known whether this key from that time is in use"
    if use.at:
        return Disposition.CLEARED, "a run stopped, and the key from that time is in use, so it is somebody else's"
    return Disposition.DELETED, "a run stopped before it stored the key"


def _do(swept: CleanupResult, record: HandoverRecord, directory: AccountDirectory, tools: Sweeper) -> None:
    """The key first: as long as there is a record, the next sweep finds what is left."""
    who = (swept.account, swept.user, swept.key_id)
    event = Event(tools.now(), swept.disposition.value, *who, f"handover: {swept.why}", tools.settings.fingerprint)
    if swept.disposition is not Disposition.CLEARED:
        tools.audit.record(replace(event, outcome="intended"))
        with suppress(Gone):
            directory.set_active(swept.user, swept.key_id, False)
    if swept.disposition is Disposition.SWITCHED_OFF:  # remembered, so that `enforce` knows who it was
        with suppress(Problem, UnreadableTag):
            noted = {swept.key_id: partial(replace, off=tools.now().date())}
            remember_keys(directory, swept.user, tools.settings.remind.tag, noted)
    else:
        if swept.disposition is Disposition.DELETED:
            with suppress(Gone):
                directory.delete(swept.user, swept.key_id)
        tools.waiting.remove(record.account, record.user)
    tools.audit.record(replace(event, at=tools.now()))


def cleanup_line(swept: CleanupResult) -> str:
    """For a person: what became of it."""
    key = f" key {mask(swept.key_id)}" if swept.key_id else ""
    word = {Disposition.SWITCHED_OFF: "deactivated"}.get(swept.disposition, swept.disposition.value)
    return f"{swept.user or 'new keys'} in {swept.account}:{key} {word} ({swept.why})"


def whereabouts(organization: AwsOrganization, settings: Accounts, user: str, but: str) -> dict[str, bool | None]:
    """Of each account that the settings mean, `but` for one: whether it has a user of that name, None if that cannot be
    known. Raises Interrupted."""

    def has(account: AwsAccount) -> bool | None:
        try:
            organization.directory(account).find(user)
        except Problem as problem:
            return False if isinstance(problem, Gone) else None
        return True

    try:
        others = replace(settings, but=(*settings.but, but))
        accounts = accounts_of(organization, others) if settings.role else ()
    except Problem:
        return {}
    with Pool(8) as pool:
        return dict(zip((each.number for each in accounts), pool.map(has, accounts), strict=True))
