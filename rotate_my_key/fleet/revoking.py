"""`fleet revoke`: every key of one user is switched off now, in every account; and taking back what the fleet did.

- What stands in the way of writing it down (audit, tag) is said, and stops nothing: a key that leaked must not wait.
- Each account is looked at again when it is its turn, and once more at the end, so that a key that was made meanwhile
  goes too. A key that was off before is left as it is.
- Taken back is only what the fleet itself switched off, by the tag: `revoke --undo` what `revoke` did, `enforce --undo`
  what `enforce` did. Everything remembered of such a key begins anew, its notices too.
- Sessions that were made from the keys live on; `end_sessions` says how to end them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum

from ..errors import Interrupted, Problem
from ..settings.fleet import FleetSettings
from .audit import NotKept
from .memory import KeyMemory
from .model import Account, Event, FleetKey
from .one_user import Held, hold, remember, switch
from .pool import Pool
from .ports import Audit, Organization
from .rules import off_since


class Cause(Enum):
    """Who switched a key off, by what the tag tells."""

    ENFORCE = "enforce"
    REVOKE = "revoke"
    OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Switched:
    """A key that was switched, or could not be: `problem`; without a key the account could not be looked at.

    `notes` are for a person: what could not be written down.
    """

    account: Account
    user: str
    key: FleetKey | None
    notes: tuple[str, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """What all of it needs; `now` is AWS's clock, `signs` the id of the key that signs this run, or ""."""

    organization: Organization
    settings: FleetSettings
    audit: Audit
    now: Callable[[], datetime]
    workers: int = 8
    signs: str = ""

    def hold(self, account: Account, user: str) -> Held | None:
        """The user as he is now."""
        return hold(self.organization, account, user, self.settings, self.now())

    def event(self, what: str, held: Held, key: FleetKey, why: str, outcome: str) -> Event:
        """A line of the audit."""
        who = (held.account.number, held.user.name, key.key_id or "")
        return Event(self.now(), what, *who, why, self.settings.fingerprint, outcome)


def find(tools: Tools, accounts: Sequence[Account], user: str) -> list[Held]:
    """The user in all of these accounts, but for those that have no such user. Nothing is changed."""
    with Pool(tools.workers) as pool:
        found = pool.map(lambda account: tools.hold(account, user), accounts)
    return [held for held in found if held]


def cause_of(known: KeyMemory) -> Cause:
    """Who switched off a key that is off."""
    since = off_since(known)
    if since and known.revoked == since:
        return Cause.REVOKE
    return Cause.ENFORCE if since and known.off == since else Cause.OTHERS


# Switching off


def revoke(tools: Tools, found: Iterable[Held], why: str) -> list[Switched]:
    """Switch off every key that works, in all accounts at once; the one that signs this run last, for nothing can be
    done after it. Raises Interrupted."""
    places = list(found)
    with Pool(tools.workers) as pool:
        done = pool.map(lambda held: _revoke_there(tools, held.account, held.user.name, why), places)
    last = _revoke_own(tools, places, why)
    return [switched for there in (*done, last) for switched in there]


def own_key(tools: Tools, found: Iterable[Held]) -> tuple[Held, FleetKey] | None:
    """The key that signs this run, if it is one of these and works."""
    keys = ((held, key) for held in found for key in held.user.keys)
    return next(((held, key) for held, key in keys if key.active and key.key_id == tools.signs != ""), None)


def _revoke_own(tools: Tools, places: Sequence[Held], why: str) -> list[Switched]:
    mine = own_key(tools, places)
    again = tools.hold(mine[0].account, mine[0].user.name) if mine else None
    if again and again.problem:
        return [Switched(again.account, again.user.name, None, (), again.problem)]
    here = own_key(tools, [again] if again else [])
    return _revoke_keys(tools, here[0], [here[1]], why) if here else []


def _revoke_there(tools: Tools, account: Account, user: str, why: str) -> list[Switched]:
    done: list[Switched] = []
    for _ in range(2):
        held = tools.hold(account, user)
        if held is None:
            break
        if held.problem:
            return [*done, Switched(account, user, None, (), held.problem)]
        known = {each.key.key_id for each in done if each.key}
        left = [key for key in held.user.keys if key.active and key.key_id not in {*known, tools.signs}]
        if not left:
            break
        done += _revoke_keys(tools, held, left, why)
    return done


def _revoke_keys(tools: Tools, held: Held, keys: Sequence[FleetKey], why: str) -> list[Switched]:
    """The tag first, so that it is known who did it; without it too."""
    tag, today = tools.settings.remind.tag, tools.now().date()
    noted = {key.key_id or "": replace(held.known(key), revoked=today) for key in keys}
    trouble = remember(held, noted, tag)
    note = (f"it cannot be undone from here, for nothing could be noted: {trouble}",) if trouble else ()
    done = [_revoke_key(tools, held, key, why, note) for key in keys]
    if failed := {each.key.key_id for each in done if each.key and each.problem}:
        kept = {key_id: known for key_id, known in noted.items() if key_id not in failed}
        before = {key.key_id or "": held.known(key) for key in keys if key.key_id in failed}
        remember(held, {**kept, **before}, tag)
    return done


def _revoke_key(tools: Tools, held: Held, key: FleetKey, why: str, notes: tuple[str, ...]) -> Switched:
    notes += _record(tools, tools.event("revoked", held, key, why, "intended"))
    problem = None
    try:
        switch(held, key, on=False)
    except Interrupted:
        raise
    except Problem as failure:
        problem = failure
    notes += _record(tools, tools.event("revoked", held, key, why, "failed" if problem else "done"))
    return Switched(held.account, held.user.name, key, tuple(dict.fromkeys(notes)), problem)


def _record(tools: Tools, event: Event) -> tuple[str, ...]:
    try:
        tools.audit.record(event)
    except NotKept as problem:
        return (problem.message,)
    return ()


# Taking back


def take_back(tools: Tools, found: Iterable[Held], cause: Cause) -> list[Switched]:
    """Switch on what was switched off for this cause. Raises NotKept before anything that could not be written down."""
    done: list[Switched] = []
    for held in found:
        again = tools.hold(held.account, held.user.name)
        if again and again.problem:
            done.append(Switched(held.account, held.user.name, None, (), again.problem))
        elif again:
            done += _take_back_there(tools, again, cause)
    return done


def _take_back_there(tools: Tools, held: Held, cause: Cause) -> list[Switched]:
    done: list[Switched] = []
    fresh: dict[str, KeyMemory] = {}
    for key in restorable(held, cause):
        why = f"taken back; {cause.value} had switched it off"
        tools.audit.record(tools.event("restored", held, key, why, "intended"))
        problem: Problem | None = None
        try:
            switch(held, key, on=True)
        except Interrupted:
            raise
        except Problem as failure:
            problem = failure
        else:
            fresh[key.key_id or ""] = KeyMemory(made=held.known(key).made)
        notes = [remember(held, fresh, tools.settings.remind.tag)] if fresh else []
        notes += _record(tools, tools.event("restored", held, key, why, "failed" if problem else "done"))
        done.append(Switched(held.account, held.user.name, key, tuple(note for note in notes if note), problem))
    return done


def restorable(held: Held, cause: Cause) -> list[FleetKey]:
    """The keys that are off for this cause. Where the tag cannot be read there are none."""
    off = [key for key in held.user.keys if not key.active]
    return [] if held.forgetful else [key for key in off if cause_of(held.known(key)) is cause]


# Sessions


def end_sessions(user: str, now: datetime) -> str:
    """The command that ends what sessions of this user may do, to be typed in his account.

    A session from GetSessionToken or GetFederationToken may do what its user may, and aws:TokenIssueTime is there for
    sessions only, so that a key is not denied by it (IAM User Guide, "Disabling permissions for temporary security
    credentials"). Sessions of a role need the same policy on the role.
    """
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"DateLessThan": {"aws:TokenIssueTime": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}},
            }
        ],
    }
    policy = shlex.quote(json.dumps(document, separators=(",", ":")))
    name = shlex.quote(user)
    return f"aws iam put-user-policy --user-name {name} --policy-name RevokeOlderSessions --policy-document {policy}"
