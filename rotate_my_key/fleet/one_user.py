"""One user's keys in every account, and switching one of them on or off so that it is certain how that ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..errors import Gone, Interrupted, Problem
from ..settings.fleet import FleetSettings
from .memory import LONGEST, KeyMemory, Memory, encode, ref
from .model import Account, FleetKey, FleetUser
from .notice_plan import recall
from .observing import observed
from .ports import Directory, Organization


@dataclass(frozen=True, slots=True)
class Held:
    """A user's keys in one account, the older first. `forgetful` is why nothing can be remembered of him, or "".

    `problem`: why his keys there are not known. The path in his ARN is not looked up.
    """

    account: Account
    directory: Directory
    user: FleetUser
    memory: Memory = field(default_factory=dict)
    forgetful: str = ""
    problem: Problem | None = None

    def known(self, key: FleetKey) -> KeyMemory:
        """What is remembered of a key."""
        return self.memory.get(ref(key.key_id or ""), KeyMemory())


def hold(
    organization: Organization, account: Account, name: str, settings: FleetSettings, now: datetime
) -> Held | None:
    """The user as he is there now; None if there is no such user. Raises Interrupted."""
    directory = organization.directory(account)
    user = FleetUser(account.number, f"arn:aws:iam::{account.number}:user/{name}")
    try:
        keys = directory.keys(name)
        tags = _tags(directory, name)
    except Gone:
        return None
    except Interrupted:
        raise
    except Problem as problem:
        return Held(account, directory, user, problem=problem)
    found = [FleetKey(key.active, key.created, key.key_id, directory.last_use(key.key_id)) for key in keys]
    user = replace(user, tags=tags, keys=tuple(sorted(found, key=lambda key: key.created)))
    recorded, why = recall(user, settings.remind.tag)
    memory = observed(user, recorded, settings.policy, now)
    return Held(account, directory, user, memory, why)


def _tags(directory: Directory, name: str) -> Mapping[str, str] | None:
    """Whoever cannot read them goes on without."""
    try:
        return directory.tags(name)
    except (Gone, Interrupted):
        raise
    except Problem:
        return None


def accounts_named(accounts: Sequence[Account], numbers: Sequence[str]) -> list[Account]:
    """Those of the accounts that were named, or all. A number that is not among them is tried all the same: whoever
    names an account that the settings leave out knows why."""
    known = {account.number: account for account in accounts}
    return [known.get(number, Account(number)) for number in numbers] if numbers else list(accounts)


def switch(held: Held, key: FleetKey, *, on: bool) -> None:
    """Switch a key, and see in the list whether it is so where the answer was bad. Raises Problem if it is not."""
    name, key_id = held.user.name, key.key_id or ""
    try:
        held.directory.set_active(name, key_id, on)
    except Interrupted:
        raise
    except Problem as problem:
        failure = problem
    else:
        return
    if not _is(held, key_id, on=on):
        raise failure


def _is(held: Held, key_id: str, *, on: bool) -> bool:
    """A key that is gone is off."""
    try:
        keys = {key.key_id: key.active for key in held.directory.keys(held.user.name)}
    except Interrupted:
        raise
    except Gone:
        return not on
    except Problem:
        return False
    return keys.get(key_id, False) is on


def remember(held: Held, known: Mapping[str, KeyMemory], tag: str) -> str:
    """Write what is known of these keys (by id) into the user's tag, over what was; gives why that is not possible."""
    if held.forgetful:
        return held.forgetful
    value = encode({**held.memory, **{ref(key_id): each for key_id, each in known.items()}})
    if len(value) > LONGEST:
        return f"the tag {tag} has no room for more"
    try:
        if value:
            held.directory.tag(held.user.name, tag, value)
        else:
            held.directory.untag(held.user.name, tag)
    except Interrupted:
        raise
    except Problem as problem:
        return problem.message
    return ""
