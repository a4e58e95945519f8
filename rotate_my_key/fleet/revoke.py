"""`fleet revoke`: every key of one user is switched off now, in every account; and taking back what the fleet did.

- A key that leaked must not wait, and who switched it off must be known to take it back. So tag and audit are begun
  before, in threads of their own, and get a moment; what takes longer is ended after. Only the key that signs the run
  waits for both.
- Each account is looked at again when it is its turn, and once more at the end, so that a key that was made meanwhile
  goes too. A key that was off before is left as it is.
- `--sign-in` then deletes the console password, and denies what sessions of the user may do that began before; the user
  who signs the run comes last.
- Taken back is only what the fleet itself switched off, by the tag: `revoke --undo` what `revoke` did, `enforce --undo`
  what `enforce` did. Everything remembered of such a key begins anew, its notices too.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from threading import Lock

from ..aws.services import AwsCloud
from ..core.errors import Denied, Gone, Problem, fault
from ..core.parallel import Pool, Running
from ..settings.fleet import FleetSettings
from .accounts import AccountDirectory, AwsOrganization
from .actions import ActionLine, Notifier
from .audit import AuditTrail, NotKept
from .judge import Addresses, addresses, owner_of, owns
from .memory import KeyMemory
from .model import AwsAccount, Event, FleetKey, FleetUser, Owner
from .rules import off_since
from .survey import accounts_of
from .users import UserLook, accounts_named, look_up, look_up_keys, lost, read_tags, remember, remembered, switched

SHORTLY = 1.5  # seconds that a key waits for its tag, and for the audit
QUICK = 2.0  # seconds that the question waits for last uses and tags


class AuditLines:
    """The audit of one run. Safe to share between threads. Once a line does not come through soon, the later ones are
    kept and sent together at the end: they would only queue up."""

    def __init__(self, audit: AuditTrail, shortly: float = SHORTLY) -> None:
        self._audit = audit
        self._shortly = shortly
        self._lock = Lock()
        self._late: list[tuple[Running[None], tuple[Event, ...]]] = []
        self._kept: list[Event] = []
        self._trouble: dict[tuple[str, str], str] = {}

    def write(self, *events: Event) -> None:
        """Send these lines, and wait shortly. Raises Interrupted."""
        with self._lock:
            if self._late:
                self._kept += events
                return
        job = Running(lambda: self._audit.record(*events))
        if job.wait(self._shortly):
            self._end(job, events)
            return
        with self._lock:
            self._late.append((job, events))

    def finish(self) -> None:
        """Wait until all is written, or cannot be. Raises Interrupted."""
        with self._lock:
            late, self._late = self._late, []
            kept, self._kept = tuple(sorted(self._kept, key=lambda event: event.at)), []
        for job, events in late:
            self._end(job, events)
        if kept:
            self._end(Running(lambda: self._audit.record(*kept)), kept)

    def trouble(self, account: str, key_id: str) -> str:
        """What could not be written about a key, or ""."""
        return self._trouble.get((account, key_id), "")

    def _end(self, job: Running[None], events: Sequence[Event]) -> None:
        try:
            job.result()
        except Exception as error:  # noqa: BLE001 - no key stays on because of the audit
            why = error.message if isinstance(error, NotKept) else fault(error).message
            self._trouble.update({(event.account, event.key_id): why for event in events})


class Cause(Enum):
    """Who switched a key off, by what the tag tells."""

    ENFORCE = "enforce"
    REVOKE = "revoke"
    OTHERS = "others"


class WayIn(Enum):
    """How a user gets in without a key; the value is the word in `--json`."""

    PASSWORD = "password"  # noqa: S105
    SESSIONS = "sessions"


@dataclass(frozen=True, slots=True)
class SwitchResult:
    """A key that was switched, or a way in that was ended (`state` is how it is now), or could not be: `problem`;
    without either the account could not be looked at. `notes` are for a person: what could not be written down."""

    account: AwsAccount
    user: str
    key: FleetKey | None
    notes: tuple[str, ...] = ()
    problem: Problem | None = None
    way: WayIn | None = None
    state: str = ""


@dataclass(frozen=True, slots=True)
class RevokeContext:
    """What all of it needs; `now` is AWS's clock, `signs` the id of the key that signs this run, or "";
    `shortly`: for how many seconds a key waits for its tag, and for the audit; `quick`: for how many the question waits
    for what is good to know, and not needed."""

    organization: AwsOrganization
    settings: FleetSettings
    audit: AuditTrail
    now: Callable[[], datetime]
    workers: int = 8
    signs: str = ""
    shortly: float = SHORTLY
    quick: float = QUICK
    cloud: AwsCloud | None = None  # for the channels

    def look_up(self, account: AwsAccount, user: str, *, uses: bool = True, quick: bool = False) -> UserLook | None:
        """The user as they are now; see `users.look_up`."""
        within = self.quick if quick else None
        return look_up(self.organization, account, user, self.settings, self.now(), uses=uses, within=within)

    def event(self, what: str, held: UserLook, key: FleetKey | None, why: str, outcome: str) -> Event:
        """A line of the audit; without a key it is about how the user signs in."""
        who = (held.account.number, held.user.name, (key and key.key_id) or "")
        return Event(self.now(), what, *who, why, self.settings.fingerprint, outcome)


def everywhere(tools: RevokeContext, numbers: Sequence[str]) -> tuple[list[AwsAccount], Denied | None]:
    """The accounts of these numbers, or all that there are, whatever the settings leave out for reports: a thief does
    not read them; those too that the settings name and the organization does not list. Those of the settings alone, and
    why, where the organization may not be asked. Raises Problem."""
    if numbers:
        return accounts_named((), numbers), None
    chosen = tools.settings.accounts
    try:
        listed = accounts_of(tools.organization, replace(chosen, only=(), but=()))
        known = {account.number for account in listed}
        named = [AwsAccount(number) for number in chosen.only if number not in known]
        return [*listed, *(named if chosen.role else ())], None
    except Denied as denied:
        if not chosen.only:
            raise
        return list(accounts_of(tools.organization, chosen)), denied


class RevokeMark:
    """The tag of one user in one account, which says that `revoke` switched off these keys."""

    def __init__(self, tools: RevokeContext, held: UserLook) -> None:
        self._tools = tools
        self._now = tools.now()
        self._looked_up = held
        self._held: UserLook | None = None  # with what the tag tells
        self._ids: frozenset[str] = frozenset()
        self._job: Running[str] | None = None

    def begin(self, keys: Collection[FleetKey]) -> None:
        """Write it for these keys, if it is not begun. Later ones come in at the end."""
        if self._job is None:
            self._ids = ids = frozenset(key.key_id or "" for key in keys)
            self._job = Running(lambda: self._write(ids))

    def wait(self, seconds: float) -> None:
        """Give it so long."""
        if self._job:
            self._job.wait(seconds)

    def finish(self, off: Collection[str]) -> str:
        """See to it that it says so of the keys that are off, and of no other; gives why it cannot, or "". What did not
        go through is tried once more. Raises Interrupted."""
        if self._job is None:
            return ""
        trouble = self._job.result()
        if not trouble and self._ids == frozenset(off):
            return ""
        again = self._write(frozenset(off))
        return again if off else ""

    def _write(self, ids: frozenset[str]) -> str:
        settings = self._tools.settings
        try:
            if self._held is None:
                self._held = remembered(self._looked_up, read_tags(self._looked_up), settings, self._now)
            known = {key_id: self._held.known(key_id) for key_id in self._ids | ids}
            noted = {key_id: replace(known[key_id], revoked=self._now.date()) for key_id in ids}
            return remember(self._held, {**known, **noted}, settings.remind.tag)
        except Gone as problem:
            return problem.message
        except Exception as error:  # noqa: BLE001 - no key stays on because of its tag
            return fault(error).message


def find(
    tools: RevokeContext, accounts: Sequence[AwsAccount], user: str, *, uses: bool = True, quick: bool = False
) -> list[UserLook]:
    """The user in all of these accounts, but for those that have no such user. Nothing is changed. Without `uses` no
    last use is asked for; `quick` waits for little but the list of keys."""
    with Pool(tools.workers) as pool:
        found = pool.map(lambda account: tools.look_up(account, user, uses=uses, quick=quick), accounts)
    return [held for held in found if held]


def owned(
    tools: RevokeContext, accounts: Sequence[AwsAccount], address: str, mapping: Addresses
) -> tuple[list[UserLook], list[UserLook]]:
    """Every user of these accounts whose owner has that address, with their keys, and the accounts that could not be
    looked at. Who owns a whole account does not own the users in it who have nobody else."""

    def there(account: AwsAccount) -> list[UserLook]:
        try:
            directory = tools.organization.directory(account)
            users = list(directory.users())
            if "tag" in tools.settings.owners.by:
                users = [replace(user, tags=directory.tags(user.name)) for user in users]
        except Exception as error:  # noqa: BLE001 - a fault with one account must not keep the others' keys on
            return [lost(account, "", error)]
        mine = [user.name for user in users if owns(owner_of(user, tools.settings.owners, mapping), address)]
        return [found for name in mine if (found := tools.look_up(account, name))]

    with Pool(tools.workers) as pool:
        found = [one for each in pool.map(there, accounts) for one in each]
    return [each for each in found if each.user.name], [each for each in found if not each.user.name]


def alike(tools: RevokeContext, accounts: Sequence[AwsAccount], name: str) -> str:
    """The user whose name differs only in upper and lower case: IAM lets no second one be (IAM API, CreateUser). "" if
    there is none, or nobody may say."""

    def there(account: AwsAccount) -> str:
        with suppress(Problem):
            users = tools.organization.directory(account).users()
            return next((each.name for each in users if each.name.lower() == name.lower()), "")
        return ""

    with Pool(tools.workers) as pool:
        return next(filter(None, pool.map(there, accounts)), "")


def tell(tools: RevokeContext, done: Iterable[SwitchResult], why: str, notifier: Notifier) -> list[Problem]:
    """Tell owners and admins of the keys that are off now; gives what went wrong. Nothing waits for it."""
    off = [each for each in done if each.key and not each.problem]
    by_owner: dict[str, tuple[Owner, list[ActionLine]]] = {}
    mapping = addresses(tools.settings.owners)
    for each in off:
        user = FleetUser(each.account.number, f"arn:aws:iam::{each.account.number}:user/{each.user}")
        with suppress(Problem):
            user = replace(user, tags=tools.organization.directory(each.account).tags(each.user))
        owner = owner_of(user, tools.settings.owners, mapping)
        key_id = each.key.key_id if each.key else ""
        line = ActionLine(each.account, each.user, key_id or "", f"revoked{why and f', {why}'}", done="deactivated")
        by_owner.setdefault((owner.address or owner.name).lower(), (owner, []))[1].append(line)
    problems = [problem for owner, lines in by_owner.values() for problem in notifier.tell(owner, lines)[1]]
    return [*problems, *notifier.acts([line for _, lines in by_owner.values() for line in lines])]


def cause_of(known: KeyMemory) -> Cause:
    """Who switched off a key that is off."""
    since = off_since(known)
    if since and known.revoked == since:
        return Cause.REVOKE
    return Cause.ENFORCE if since and known.off == since else Cause.OTHERS


# Switching off


def revoke(tools: RevokeContext, found: Iterable[UserLook], why: str, *, sign_in: bool = False) -> list[SwitchResult]:
    """Switch off every key that works, in all accounts at once, then end how else their users `sign_in`; the key that
    signs this run goes last, for nothing can be done after it. An MFA session outlives its key, and not what ends it.
    Raises Interrupted."""
    places, lines = list(found), AuditLines(tools.audit, tools.shortly)
    with Pool(tools.workers) as pool:
        there = pool.map(lambda held: _revoke_there(tools, lines, held.account, held.user.name, why), places)
    lines.finish()
    done = [one for each in there for one in each]
    in_session = tools.organization.in_session
    done += _revoke_own(tools, lines, places, why) if in_session else []
    if sign_in:
        done += _end_sign_in(tools, lines, places, why, {each.account for each in done if not each.key})
    done += [] if in_session else _revoke_own(tools, lines, places, why)
    lines.finish()
    ids = [(each.key.key_id or "") if each.key else "" for each in done]
    troubles = [lines.trouble(each.account.number, key_id) for each, key_id in zip(done, ids, strict=True)]
    return [replace(each, notes=(*each.notes, *filter(None, [why]))) for each, why in zip(done, troubles, strict=True)]


def own_key(tools: RevokeContext, found: Iterable[UserLook]) -> tuple[UserLook, FleetKey] | None:
    """The key that signs this run, if it is one of these and works."""
    keys = ((held, key) for held in found for key in held.user.keys)
    return next(((held, key) for held, key in keys if key.active and key.key_id == tools.signs != ""), None)


def _revoke_own(tools: RevokeContext, lines: AuditLines, places: Sequence[UserLook], why: str) -> list[SwitchResult]:
    """Tag and intent get all the time that they need: afterwards neither could be written."""
    mine = own_key(tools, places)
    again = look_up_keys(tools.organization, mine[0].account, mine[0].user.name) if mine else None
    if again and again.problem:
        return [SwitchResult(again.account, again.user.name, None, (), again.problem)]
    here = own_key(tools, [again] if again else [])
    if not here:
        return []
    held, key = here
    mark = RevokeMark(tools, held)
    mark.begin([key])
    trouble = mark.finish([key.key_id or ""])
    lines.write(tools.event("revoked", held, key, why, "intended"))
    lines.finish()
    done = _switched_off(tools, lines, held, [key], why)
    if done[0].problem:
        mark.finish([])
    return _noted(done, trouble)


def _revoke_there(
    tools: RevokeContext, lines: AuditLines, account: AwsAccount, user: str, why: str
) -> list[SwitchResult]:
    done: list[SwitchResult] = []
    mark: RevokeMark | None = None
    try:
        for _ in range(2):
            held = look_up_keys(tools.organization, account, user)
            if held and held.problem:
                done.append(SwitchResult(account, user, None, (), held.problem))
            known = {*(each.key.key_id for each in done if each.key), tools.signs}
            left = [key for key in (held.user.keys if held else ()) if key.active and key.key_id not in known]
            if held is None or not left:
                break
            mark = mark or RevokeMark(tools, held)
            mark.begin(left)
            lines.write(*(tools.event("revoked", held, key, why, "intended") for key in left))
            mark.wait(tools.shortly)
            done += _switched_off(tools, lines, held, left, why)
        off = [each.key.key_id or "" for each in done if each.key and not each.problem]
        return _noted(done, mark.finish(off) if mark else "")
    except Exception as error:  # noqa: BLE001 - a fault with one account must not keep the others' keys on
        return [*done, SwitchResult(account, user, None, (), fault(error))]


def _switched_off(
    tools: RevokeContext, lines: AuditLines, held: UserLook, keys: Sequence[FleetKey], why: str
) -> list[SwitchResult]:
    """All of them first; then how it went is written down."""
    done = [SwitchResult(held.account, held.user.name, key, (), switched(held, key, on=False)) for key in keys]
    outcomes = [(each.key, "failed" if each.problem else "done") for each in done if each.key]
    lines.write(*(tools.event("revoked", held, key, why, outcome) for key, outcome in outcomes))
    return done


def _noted(done: list[SwitchResult], trouble: str) -> list[SwitchResult]:
    """With what a person must know where the tag could not be written."""
    note = f"it cannot be undone with --undo, because this could not be recorded: {trouble}"
    return [replace(each, notes=(*each.notes, note)) if trouble and each.key else each for each in done]


# Signing in otherwise

POLICY = "rotate-my-key-revoke-older-sessions"  # the user's inline policy that ends their sessions
_LATE = timedelta(minutes=1)  # longer than keys and passwords let in after they are gone
_EVENTS = {WayIn.PASSWORD: "password_deleted", WayIn.SESSIONS: "sessions_ended"}


def asked(
    tools: RevokeContext, found: Sequence[UserLook], ask: Callable[[AccountDirectory, str], bool]
) -> list[bool | None]:
    """What is asked of each of these users, for the question before; None if that cannot be known in a moment."""
    known: dict[int, bool] = {}

    def one(number: int) -> None:
        with suppress(Exception):  # it is for the eye alone
            known[number] = ask(found[number].directory, found[number].user.name)

    def everybody() -> None:
        with Pool(tools.workers) as pool:
            pool.map(one, range(len(found)))

    Running(everybody).wait(tools.quick)
    return [known.get(number) for number in range(len(found))]


def _end_sign_in(
    tools: RevokeContext, lines: AuditLines, places: Sequence[UserLook], why: str, lost: Collection[AwsAccount]
) -> list[SwitchResult]:
    """All users but the one who signs, then that one, whose session ends with it. Of the accounts that are `lost`, and
    named as such, nothing is said but what was done."""
    me = tools.organization.me()
    named = [held for held in places if held.user.name]
    mine = [each for each in named if each.account.number == me.account and me.arn.endswith(f"/{each.user.name}")]
    with Pool(tools.workers) as pool:
        done = pool.map(lambda held: _end_ways(tools, lines, held, why), [each for each in named if each not in mine])
    lines.finish()
    done += [_end_ways(tools, lines, held, why) for held in mine]
    return [one for each in done for one in each if not (one.problem and one.account in lost)]


def _end_ways(tools: RevokeContext, lines: AuditLines, held: UserLook, why: str) -> list[SwitchResult]:
    """The password first: it could begin sessions after the policy."""
    done, name = list[SwitchResult](), held.user.name
    for way in WayIn:
        lines.write(tools.event(_EVENTS[way], held, None, why, "intended"))
        problem, state = None, "ended" if way is WayIn.SESSIONS else "deleted"
        try:
            directory = tools.organization.directory(held.account)
            if way is WayIn.PASSWORD:
                directory.delete_password(name)
            else:
                directory.put_policy(name, POLICY, older_sessions(tools.now()))
        except Gone:  # of the password, or of the user
            state = "none"
        except Exception as error:  # noqa: BLE001 - a fault with one account must not keep the others in
            problem, state = fault(error), ""
        lines.write(tools.event(_EVENTS[way], held, None, why, "failed" if problem else "done"))
        done.append(SwitchResult(held.account, name, None, (), problem, way, state))
    return [] if done[-1].state == "none" else done


def older_sessions(now: datetime) -> str:
    """The policy that ends what sessions of this user may do that began before now. A session from GetSessionToken or
    GetFederationToken, or in the console, may do what its user may, and aws:TokenIssueTime is there for sessions only,
    so that a key is not denied by it (IAM User Guide, "Disabling permissions for temporary security credentials").
    Sessions of a role need the same policy on the role."""
    until = f"{(now + _LATE).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    older = {"DateLessThan": {"aws:TokenIssueTime": until}}
    denied = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": older}
    return json.dumps({"Version": "2012-10-17", "Statement": [denied]}, separators=(",", ":"))


def end_password(user: str) -> str:
    """The command that ends a user's signing in with a password, to be typed in their account."""
    return f"aws iam delete-login-profile {shlex.join(('--user-name', user))}"


def end_sessions(user: str, now: datetime) -> str:
    """The command that ends the sessions of a user, to be typed in their account."""
    words = ("--user-name", user, "--policy-name", POLICY, "--policy-document", older_sessions(now))
    return f"aws iam put-user-policy {shlex.join(words)}"


# Taking back


def take_back(
    tools: RevokeContext, found: Iterable[UserLook], cause: Cause, *, sign_in: bool = False
) -> list[SwitchResult]:
    """Switch on what was switched off for this cause; allow their users' sessions again, if that is asked for. Raises
    NotKept before anything that could not be written down."""
    done: list[SwitchResult] = []
    for held in found:
        again = tools.look_up(held.account, held.user.name)
        if again and again.problem:
            done.append(SwitchResult(held.account, held.user.name, None, (), again.problem))
        elif again:
            done += _take_back_there(tools, again, cause)
            done += _let_in(tools, again) if sign_in else []
    return done


def _let_in(tools: RevokeContext, held: UserLook) -> list[SwitchResult]:
    """Without the policy; a password that is gone nobody can bring back."""
    what, why, problem, notes = "sessions_allowed", "after revoke had ended them", None, list[str]()
    try:
        if not held.directory.has_policy(held.user.name, POLICY):
            return []
        tools.audit.record(tools.event(what, held, None, why, "intended"))
        with suppress(Gone):
            held.directory.delete_policy(held.user.name, POLICY)
    except NotKept:
        raise
    except Exception as error:  # noqa: BLE001 - a fault with one account must not keep the others from it
        problem = fault(error)
    try:
        tools.audit.record(tools.event(what, held, None, why, "failed" if problem else "done"))
    except NotKept as trouble:
        notes.append(trouble.message)
    state = "" if problem else "allowed again"
    return [SwitchResult(held.account, held.user.name, None, tuple(notes), problem, WayIn.SESSIONS, state)]


def _take_back_there(tools: RevokeContext, held: UserLook, cause: Cause) -> list[SwitchResult]:
    done: list[SwitchResult] = []
    fresh: dict[str, KeyMemory] = {}
    for key in restorable(held, cause):
        why = f"reactivated, after {cause.value} had deactivated it"
        tools.audit.record(tools.event("restored", held, key, why, "intended"))
        problem = switched(held, key, on=True)
        if not problem:
            fresh[key.key_id or ""] = replace(held.known(key.key_id).anew, back=tools.now().date())
        notes = [remember(held, fresh, tools.settings.remind.tag)] if fresh else []
        try:
            tools.audit.record(tools.event("restored", held, key, why, "failed" if problem else "done"))
        except NotKept as trouble:
            notes.append(trouble.message)
        done.append(SwitchResult(held.account, held.user.name, key, tuple(filter(None, notes)), problem))
    return done


def restorable(held: UserLook, cause: Cause) -> list[FleetKey]:
    """The keys that are off for this cause. Where the tag cannot be read there are none."""
    off = [key for key in held.user.keys if not key.active]
    return [] if held.unsure else [key for key in off if cause_of(held.known(key.key_id)) is cause]
