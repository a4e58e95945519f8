"""One user's keys in every account, and switching one of them on or off so that it is certain how that ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ..aws.parallel import Running
from ..errors import Gone, Problem
from ..faults import fault
from ..model import LastUse
from ..settings.fleet import FleetSettings
from .memory import LONGEST, KeyMemory, Memory, encode, ref
from .model import AwsAccount, FleetKey, FleetUser
from .notice_plan import recall
from .observing import observed
from .ports import Directory, Organization

QUICK = 2.0  # seconds for what is good to know before a key is switched off, and not needed


@dataclass(frozen=True, slots=True)
class UserKeys:
    """A user's keys in one account, the older first. `forgetful` is why nothing can be remembered of him, or "".

    `problem`: why his keys there are not known. The path in his ARN is not looked up.
    """

    account: AwsAccount
    directory: Directory | None
    user: FleetUser
    memory: Memory = field(default_factory=dict)
    forgetful: str = ""
    problem: Problem | None = None

    def known(self, key: FleetKey) -> KeyMemory:
        """What is remembered of a key."""
        return self.of(key.key_id or "")

    def of(self, key_id: str) -> KeyMemory:
        """The same by its id."""
        return self.memory.get(ref(key_id), KeyMemory())


def hold(
    organization: Organization,
    account: AwsAccount,
    name: str,
    settings: FleetSettings,
    now: datetime,
    *,
    uses: bool = True,
    quick: bool = False,
) -> UserKeys | None:
    """The user as he is there now; None if there is no such user. Raises Interrupted.

    Only the list of his keys is waited for as long as it takes. A last use that cannot be read is None, whatever the
    reason; without `uses` none is asked for. `quick`: tags and last uses that do not come soon are not known, and tags
    are asked for only where a key is off: they say by whom.
    """
    held = hold_keys(organization, account, name)
    if held is None or held.problem:
        return held
    gathered = _Gathered()
    tags = not quick or not all(key.active for key in held.user.keys)

    def job() -> None:
        _gather(held, gathered, tags=tags, uses=uses)

    try:
        if quick:
            running = Running(job)
            if running.wait(QUICK):
                running.result()
        else:
            job()
    except Gone:
        return None
    keys = tuple(replace(key, last_use=gathered.uses.get(key.key_id or "")) for key in held.user.keys)
    return recalled(replace(held, user=replace(held.user, keys=keys)), gathered.tags, settings, now)


def hold_keys(organization: Organization, account: AwsAccount, name: str) -> UserKeys | None:
    """His keys alone, which is all that switching them off needs: nothing is remembered of him then. Raises
    Interrupted."""
    user = FleetUser(account.number, f"arn:aws:iam::{account.number}:user/{name}")
    directory: Directory | None = None
    try:
        directory = organization.directory(account)
        keys = directory.keys(name)
    except Gone:
        return None
    except Problem as problem:
        return UserKeys(account, directory, user, problem=problem)
    except Exception as error:  # noqa: BLE001 - a fault with one account must not keep the others' keys on
        return UserKeys(account, directory, user, problem=fault(error))
    found = [FleetKey(key.active, key.created, key.key_id) for key in keys]
    return UserKeys(account, directory, replace(user, keys=tuple(sorted(found, key=lambda key: key.created))))


def recalled(held: UserKeys, tags: Mapping[str, str] | None, settings: FleetSettings, now: datetime) -> UserKeys:
    """With what his tags (None: unknown) tell of his keys."""
    user = replace(held.user, tags=tags)
    recorded, why = recall(user, settings.remind.tag)
    return replace(held, user=user, memory=observed(user, recorded, settings.policy, now), forgetful=why)


@dataclass(slots=True)
class _Gathered:
    tags: Mapping[str, str] | None = None
    uses: dict[str, LastUse | None] = field(default_factory=dict)


def _gather(held: UserKeys, into: _Gathered, *, tags: bool, uses: bool) -> None:
    into.tags = read_tags(held) if tags else None
    for key in held.user.keys if uses else ():
        into.uses[key.key_id or ""] = _last_use(held, key)


def read_tags(held: UserKeys) -> Mapping[str, str] | None:
    """Whoever cannot read them goes on without: None. Raises Gone, Interrupted."""
    assert held.directory
    try:
        return held.directory.tags(held.user.name)
    except Gone:
        raise
    except Exception:  # noqa: BLE001 - nothing about one user's tags may end it for all
        return None


def _last_use(held: UserKeys, key: FleetKey) -> LastUse | None:
    assert held.directory
    try:
        return held.directory.last_use(key.key_id or "")
    except Exception:  # noqa: BLE001 - it is for the eye alone
        return None


def accounts_named(accounts: Sequence[AwsAccount], numbers: Sequence[str]) -> list[AwsAccount]:
    """Those of the accounts that were named, or all. A number that is not among them is tried all the same: whoever
    names an account that the settings leave out knows why."""
    known = {account.number: account for account in accounts}
    return [known.get(number, AwsAccount(number)) for number in numbers] if numbers else list(accounts)


def switch(held: UserKeys, key: FleetKey, *, on: bool) -> None:
    """Switch a key, and see in the list whether it is so where the answer was bad. Raises Problem if it is not."""
    name, key_id = held.user.name, key.key_id or ""
    assert held.directory
    try:
        held.directory.set_active(name, key_id, on)
    except Exception as error:  # noqa: BLE001 - whatever it was, the list tells
        failure = error if isinstance(error, Problem) else fault(error)
    else:
        return
    if not _is(held, key_id, on=on):
        raise failure


def _is(held: UserKeys, key_id: str, *, on: bool) -> bool:
    """A key that is gone is off."""
    assert held.directory
    try:
        keys = {key.key_id: key.active for key in held.directory.keys(held.user.name)}
    except Gone:
        return not on
    except Problem:
        return False
    return keys.get(key_id, False) is on


def remember(held: UserKeys, known: Mapping[str, KeyMemory], tag: str) -> str:
    """Write what is known of these keys (by id) into the user's tag, over what was; gives why that is not possible."""
    if held.forgetful:
        return held.forgetful
    value = encode({**held.memory, **{ref(key_id): each for key_id, each in known.items()}})
    if len(value) > LONGEST:
        return f"the tag {tag} has no room for more"
    assert held.directory
    try:
        if value:
            held.directory.tag(held.user.name, tag, value)
        else:
            held.directory.untag(held.user.name, tag)
    except Problem as problem:
        return problem.message
    return ""
