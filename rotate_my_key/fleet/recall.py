"""`fleet recall`: IT wants every key that was made before now to be replaced by a day, and laptops do it themselves.

- The mark is a tag of each user (`core.model.Recall`). A key that is made later satisfies it, so nothing has to be
  taken back; the same reason once more goes on with the same recall, and may move its day. Another one does not put
  off the day of one that is not over. Users who are exempt are left alone, and so is one whose tags cannot be read.
- Owners are told at once, and again if the day comes earlier. `enforce` keeps to the day that they were told.
- Who has answered shows in IAM itself: by when their oldest key was made that is younger than the recall.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import Enum
from functools import partial

from ..core.errors import Denied, NotAllowed, Problem, WrongUsage, fault
from ..core.model import RECALL_KEY, Recall, read_recall, recalled
from ..core.parallel import Pool
from ..core.policy import mask, parse_duration
from ..settings.fleet import FleetSettings, zone
from .actions import ActionLine, Notifier
from .audit import NotKept
from .judge import Addresses, owner_of, owns
from .memory import KeyMemory, UnreadableTag, ref
from .model import Event, FleetKey, Owner
from .revoke import RevokeContext, everywhere
from .rules import deleted_at, switched_off_at
from .survey import accounts_of
from .users import UserLook, enter, look, remember_keys

_LONGEST = 200  # characters of a reason: two times and a version take 54 of the 256
_STRANGE = re.compile(r"[^\w .:/=+@-]")  # IAM API reference, Tag
_LEAST, _MOST = timedelta(hours=1), timedelta(days=366)
_DURATION = re.compile(r"\d+\s*[A-Za-z]")


class RecallState(Enum):
    """What becomes, or became, of a user."""

    RECALLED = "recalled"
    AGAIN = "already recalled"
    UNDONE = "undone"
    EXEMPT = "exempt"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RecalledUser:
    """A user with active keys; `value` is what their tag is to say, "" for nothing; `before` the recall that it tells
    of now."""

    found: UserLook
    state: RecallState
    value: str = ""
    problem: Problem | None = None
    before: Recall | None = None

    @property
    def keys(self) -> list[FleetKey]:
        """Their active keys."""
        return [key for key in self.found.user.keys if key.active]


@dataclass(frozen=True, slots=True)
class RecallScope:
    """Who is meant: one user name, or one owner's users, or everybody; in these accounts, or in all."""

    accounts: tuple[str, ...] = ()
    user: str = ""
    owner: str = ""


def read_by(text: str, now: datetime, settings: FleetSettings) -> datetime:
    """A day, which is over at its end in the time zone of the settings, or in UTC if that is earlier: messages name the
    day in UTC. Or a moment, or a duration from now on. Raises WrongUsage."""
    here = zone(settings.enforce.timezone)
    try:
        by = now + parse_duration(text) if _DURATION.fullmatch(text) else datetime.fromisoformat(text)
    except (ValueError, ArithmeticError, WrongUsage):
        raise WrongUsage(f"{text!r} is not a time", "write it like 3d, 12h, 2026-12-09 or 2026-12-09T17:00") from None
    if re.fullmatch(r"\d{4}-?\d\d-?\d\d", text):
        by = min(datetime.combine(by.date(), time(23, 59), each) for each in (here, UTC))
    by = (by if by.tzinfo else by.replace(tzinfo=here)).replace(microsecond=0)
    if by > now + _MOST:
        raise WrongUsage(f"{text!r} is more than a year away", "write it like 3d, 12h or 2026-12-09")
    if by < now + _LEAST:
        why = f"{text!r} is over" if by < now else "laptops look once an hour, so --by must leave them at least that"
        raise WrongUsage(why, "rotate-my-key fleet revoke --help (it deactivates keys at once)")
    return by


def check_reason(text: str) -> str:
    """The reason, if a tag can hold it. Raises WrongUsage."""
    if strange := _STRANGE.search(text):
        what = f"a tag cannot hold the character {strange[0]!r} of the reason"
        raise WrongUsage(what, f"use letters, digits, blanks and _.:/=+-@, like: {_STRANGE.sub(' ', text).strip()}")
    if not text.strip() or len(text) > _LONGEST:
        raise WrongUsage(f"a reason has 1 to {_LONGEST} characters", "shorten it" if text.strip() else "write why")
    return " ".join(text.split())


def look_around(
    tools: RevokeContext, scope: RecallScope, mapping: Addresses, sleep: Callable[[float], None]
) -> tuple[list[UserLook], list[tuple[str, Problem]]]:
    """The users of the scope who have a key, with their tags, and what could not be looked at. Raises Problem if it
    cannot be known which accounts there are."""
    settings, now = replace(tools.settings, include=()), tools.now()  # nobody is left out because of a trial
    denied: Denied | None = None
    if scope.accounts or scope.user or scope.owner:
        accounts, denied = everywhere(tools, scope.accounts)
    else:
        accounts = list(accounts_of(tools.organization, settings.accounts))
    with Pool(tools.workers) as pool:
        places = pool.map(lambda each: enter(tools.organization, each, settings, sleep, now.date()), accounts)
        users = [(place, user) for place in places for user in place.users]
        jobs = [job for job in users if scope.user.lower() in ("", job[1].name.lower())]
        seen = pool.map(lambda job: look(*job, settings, now, closely=True, uses=False), jobs)
    broken = [(str(place.account), place.problem) for place in places if place.problem]
    broken += [(f"{each.user.name} in {each.account}", each.problem) for each in seen if each.problem]
    if denied:
        broken.append(("other accounts", denied))
    found = [each for each in seen if not each.problem and (each.user.keys or _marked(each))]
    if scope.owner:
        owner = partial(owner_of, owners=settings.owners, mapping=mapping)
        found = [each for each in found if owns(owner(each.user), scope.owner)]
    return found, broken


def _marked(found: UserLook) -> bool:
    """Whether there is a tag, whatever it says: a newer version may understand it."""
    return any(name.lower() == RECALL_KEY for name in found.user.tags or ())


def plan_recall(found: Iterable[UserLook], recall: Recall | None, now: datetime) -> list[RecalledUser]:
    """What is to be done with each; without a recall those there are are taken back."""
    return [
        planned
        for each in found
        if (planned := _undoing(each) if recall is None else _planned(each, recall, now)) is not None
    ]


def _planned(found: UserLook, recall: Recall, now: datetime) -> RecalledUser | None:
    if not any(key.active for key in found.user.keys):
        return None
    if found.exempt:
        return RecalledUser(found, RecallState.EXEMPT)
    if found.user.tags is None:
        return _unread(found)
    known = read_recall(found.user.tags)
    if known is None or known.by <= now or known.at > now:
        return RecalledUser(found, RecallState.RECALLED, recall.value)
    if known.reason == recall.reason:
        value = known._replace(by=recall.by).value if known.by != recall.by else ""
        return RecalledUser(found, RecallState.AGAIN, value, before=known)
    value = recall._replace(by=min(known.by, recall.by)).value
    return RecalledUser(found, RecallState.RECALLED, value, before=known)


def _unread(found: UserLook) -> RecalledUser:
    return RecalledUser(found, RecallState.FAILED, "", NotAllowed(f"the tags of {found.user.name} cannot be read"))


def _undoing(found: UserLook) -> RecalledUser | None:
    if found.user.tags is None:
        return _unread(found)
    return RecalledUser(found, RecallState.UNDONE) if _marked(found) else None


def carry_out(
    tools: RevokeContext, planned: Sequence[RecalledUser], reason: str
) -> tuple[list[RecalledUser], NotKept | None]:
    """Write the tags; one user's fault ends nobody else's turn, and an account that denies it is not asked again. Ends
    the audit, too; gives why that could not be written in the end. Raises NotKept before anything is changed."""

    def events(each: RecalledUser, outcome: str) -> list[Event]:
        what = "recalled" if each.value else "recall undone"
        keys: list[FleetKey | None] = [*each.keys]
        return [tools.event(what, each.found, key, reason, outcome) for key in keys or [None]]

    acts = [each for each in planned if each.value or each.state is RecallState.UNDONE]
    tools.audit.record(*(event for each in acts for event in events(each, "intended")))
    denied: dict[str, Problem] = {}

    def one(each: RecalledUser) -> RecalledUser:
        account, name = each.found.account.number, each.found.user.name
        problem = denied.get(account)
        try:
            if problem:
                pass
            elif each.value:
                each.found.directory.tag(name, RECALL_KEY, each.value)
            else:
                each.found.directory.untag(name, RECALL_KEY)
        except Denied as error:
            denied[account] = problem = error
        except Exception as error:  # noqa: BLE001
            problem = fault(error)
        return replace(each, state=RecallState.FAILED, problem=problem) if problem else each

    with Pool(tools.workers) as pool:
        changed = dict(zip(map(id, acts), pool.map(one, acts), strict=True))
    done = [changed.get(id(each), each) for each in planned]
    failed = sum(each.state is RecallState.FAILED for each in done)
    ends = [(each, "failed" if changed[id(each)].problem else "done") for each in acts]
    try:
        tools.audit.record(*(event for each, outcome in ends for event in events(each, outcome)))
        tools.audit.close({"Recalled": float(len(done) - failed), "Failed": float(failed)})
    except NotKept as problem:
        return done, problem
    return done, None


def tell(
    tools: RevokeContext, done: Iterable[RecalledUser], mapping: Addresses, notifier: Notifier
) -> tuple[list[Problem], list[str]]:
    """Tell the owners of what was recalled now, or is to be done earlier, each once; gives what went wrong, and owners
    whom no channel reaches. That they were told what will be done, and when, goes into the tag that `enforce` reads."""
    settings, now = tools.settings, tools.now()
    by_owner: dict[str, tuple[Owner, list[tuple[UserLook, FleetKey, ActionLine]]]] = {}
    for each in done:
        recall = read_recall({RECALL_KEY: each.value})
        earlier = each.before and recall and recall.by < each.before.by
        if recall is None or (each.state is not RecallState.RECALLED and not earlier):
            continue
        user = replace(each.found.user, tags={**(each.found.user.tags or {}), RECALL_KEY: each.value})
        found, owner = replace(each.found, user=user), owner_of(user, settings.owners, mapping)
        for key in each.keys:
            if recalled(user.tags, key.created, now):
                line = _line(found, key, recall, settings, now)
                by_owner.setdefault((owner.address or owner.name).lower(), (owner, []))[1].append((found, key, line))
    problems, unreached = list[Problem](), list[str]()
    for owner, mine in by_owner.values():
        if not notifier.channels.reaching(owner):
            unreached.append(owner.name)
            continue
        took, wrong = notifier.tell(owner, [line for _, _, line in mine])
        problems += wrong
        for found, key, line in mine if took else ():
            try:
                day = line.at.date() if line.coming and line.at else None
                change = {
                    key.key_id or "": partial(KeyMemory.noticed, today=now.date(), warned=bool(day), recalled=day)
                }
                remember_keys(found.directory, found.user.name, settings.remind.tag, change)
            except (Problem, UnreadableTag) as error:
                why = error.message if isinstance(error, Problem) else "the tag was changed meanwhile"
                problems.append(Problem(f"{owner.name} was notified, but this could not be recorded: {why}"))
    return problems, unreached


def _line(found: UserLook, key: FleetKey, recall: Recall, settings: FleetSettings, now: datetime) -> ActionLine:
    """With the day on which it is switched off, where `enforce` does that."""
    found = replace(found, memory={**found.memory, ref(key.key_id or ""): replace(found.known(key.key_id), recalled=0)})
    off = switched_off_at(found, key, settings, now)
    told = (found.account, found.user.name, mask(key.key_id or ""))
    why = f"recalled by IT, {recall.reason}"
    if off:
        return ActionLine(*told, why, coming="deactivated", at=off, gone=deleted_at(off, settings))
    return ActionLine(*told, f"{why}. Replace it by {_day(recall.by)}: run rotate-my-key", at=recall.by)


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"
