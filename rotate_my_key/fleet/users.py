"""One user's keys in every account, and switching one of them on or off so that it is certain how that ended.

What `enforce` knows of an account and its users: lists, as they are now, never a report that may be hours old.

Only a user with a key that could be due for something, or with none any more, costs more than one call. What says who
is exempt and cannot be read: of a group, and nothing is done in the account; of a user, and he is spared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..errors import Gone, Problem, TryLater
from ..faults import fault
from ..model import LastUse
from ..parallel import Running
from ..settings.fleet import FleetSettings
from .accounts import AccountDirectory, AwsOrganization
from .credential_report import entries
from .judge import exempt, unreadable
from .memory import LONGEST, KeyMemory, Memory, encode, ref
from .model import AwsAccount, FleetKey, FleetUser
from .notices import recall
from .rules import UserFacts, observed, whole_days

QUICK = 2.0  # seconds for what is good to know before a key is switched off, and not needed


@dataclass(frozen=True, slots=True)
class UserKeys:
    """A user's keys in one account, the older first. `forgetful` is why nothing can be remembered of him, or "".

    `problem`: why his keys there are not known. The path in his ARN is not looked up.
    """

    account: AwsAccount
    directory: AccountDirectory | None
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
    organization: AwsOrganization,
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


def hold_keys(organization: AwsOrganization, account: AwsAccount, name: str) -> UserKeys | None:
    """His keys alone, which is all that switching them off needs: nothing is remembered of him then. Raises
    Interrupted."""
    user = FleetUser(account.number, f"arn:aws:iam::{account.number}:user/{name}")
    directory: AccountDirectory | None = None
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


Members = Mapping[str, frozenset[str]]
_REPORT_TRIES, _REPORT_PAUSE = 30, 2.0  # seconds


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account on the way: `members` of the exempt groups, `passwords` by user name where they say who is exempt.

    `problem` is why nothing may be done there."""

    account: AwsAccount
    directory: AccountDirectory | None = None
    members: Members = field(default_factory=dict)
    passwords: Mapping[str, bool | None] = field(default_factory=dict)
    users: tuple[FleetUser, ...] = ()
    problem: Problem | None = None
    nowhere: str = ""  # an exempt group that no account has


@dataclass(frozen=True, slots=True)
class UserLook:
    """A user with his facts. `recorded` is what his tag says, before this look."""

    place: AccountView
    facts: UserFacts
    recorded: Memory = field(default_factory=dict)
    problem: Problem | None = None

    @property
    def stale(self) -> bool:
        """Whether this look changes what is remembered."""
        return not self.facts.unsure and not self.facts.exempt and self.facts.memory != self.recorded


def enter(
    organization: AwsOrganization, account: AwsAccount, settings: FleetSettings, sleep: Callable[[float], None]
) -> AccountView:
    """Who is in an account, and what says who is exempt there."""
    try:
        directory = organization.directory(account)
        users = tuple(directory.users())
        members = dict(_members(directory, settings))
        passwords = _passwords(directory, sleep) if settings.exempt.never_signed_in else {}
    except Problem as problem:
        return AccountView(account, problem=problem)
    except Exception as error:  # noqa: BLE001 - a fault with one account ends no other's run
        return AccountView(account, problem=fault(error))
    return AccountView(account, directory, members, passwords, users)


def told_apart(places: list[AccountView], settings: FleetSettings) -> list[AccountView]:
    """The accounts of a run, with the exempt group that none of them has: its name is wrong, so nobody knows who was
    meant, and everybody is spared. A group that is there and empty exempts nobody."""
    there = {group for place in places for group in place.members}
    lost = next((group for group in settings.exempt.groups if group not in there), "")
    return [replace(place, nowhere=lost) for place in places] if lost else places


def members_again(place: AccountView, settings: FleetSettings) -> AccountView:
    """The same account with the members of its exempt groups as they are now. Raises Problem."""
    assert place.directory
    return replace(place, members=dict(_members(place.directory, settings)))


def _members(directory: AccountDirectory, settings: FleetSettings) -> Iterator[tuple[str, frozenset[str]]]:
    """Raises Problem: who does not know who is exempt does nothing."""
    for group in settings.exempt.groups:
        try:
            yield group, directory.members(group)
        except Gone:
            continue
        except Problem as problem:
            text = f"who is in group {group}, and so exempt, cannot be read: {problem.message}"
            raise type(problem)(text, problem.hint) from None


def _passwords(directory: AccountDirectory, sleep: Callable[[float], None]) -> dict[str, bool | None]:
    """Who has a password, by the credential report: no list tells. Raises Problem."""
    for _ in range(_REPORT_TRIES):
        if directory.request_report():
            text, _ = directory.report()
            return {user.name: user.password for user, _ in entries(text, directory.account.number)}
        sleep(_REPORT_PAUSE)
    raise TryLater("who has a password, and so is exempt, is not known: the credential report did not come")


def look(
    place: AccountView, user: FleetUser, settings: FleetSettings, now: datetime, *, closely: bool = False
) -> UserLook:
    """The user as he is now; `closely` asks for everything, whatever the ages of his keys."""
    assert place.directory
    user = replace(user, password=place.passwords.get(user.name))
    try:
        listed = place.directory.keys(user.name)
        user = replace(user, keys=tuple(FleetKey(key.active, key.created, key.key_id) for key in listed))
        gone = not user.keys and settings.enforce.delete_after is not None
        if closely or gone or any(_matters(key, settings, now) for key in user.keys):
            return _closely(place, user, settings, now)
    except Gone:
        return UserLook(place, UserFacts(replace(user, keys=())))
    except Problem as problem:
        return UserLook(place, UserFacts(replace(user, keys=())), problem=problem)
    except Exception as error:  # noqa: BLE001 - a fault with one user ends nobody else's run
        return UserLook(place, UserFacts(replace(user, keys=())), problem=fault(error))
    return UserLook(place, UserFacts(user))


def _closely(place: AccountView, user: FleetUser, settings: FleetSettings, now: datetime) -> UserLook:
    directory = place.directory
    assert directory
    user = replace(user, tags=directory.tags(user.name))
    uses = [directory.last_use(key.key_id or "") for key in user.keys]
    keys = tuple(replace(key, last_use=use) for key, use in zip(user.keys, uses, strict=True))
    user = replace(user, keys=keys)
    recorded, why = recall(user, settings.remind.tag)
    members = {**dict.fromkeys(settings.exempt.groups, frozenset[str]()), **place.members}
    unknown = unreadable(user, settings.exempt, members)
    unsure = f"{unknown}, which may exempt him, cannot be read" if unknown else why
    if place.nowhere:
        unsure = f"no account that could be looked at has the group {place.nowhere} of [exempt]: make it, or unset it"
    memory = observed(user, recorded, settings.policy, now)
    return UserLook(place, UserFacts(user, memory, exempt(user, settings.exempt, members), unsure), recorded)


def _matters(key: FleetKey, settings: FleetSettings, now: datetime) -> bool:
    """Whether a rule could have something to say about a key of this age."""
    enforce = settings.enforce
    if not key.active:
        return enforce.delete_after is not None
    ages = [age for age in (enforce.deactivate_at, enforce.reissue_at, enforce.unused_for) if age is not None]
    spaced = whole_days(settings.remind.repeat) * enforce.notices
    lead = max(enforce.grace, timedelta(days=spaced)) + timedelta(days=1)
    return bool(ages) and now - key.created >= min(ages) - lead
