"""A look at a user in one account: keys, last uses, tags, and what the fleet remembers of them; and a key switched so
that it is certain how that ended.

`enforce` looks at everybody (`enter`, `look`): lists, as they are now, never a report that may be hours old. Only a
user with a key that could be due for something, or with none any more, costs more than two calls. What says who is
exempt and cannot be read: of a group, and nothing is done in the account; of a user, and nothing is done to them.

`revoke` looks one user up in every account (`look_up`), and waits for nothing but the list of their keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from ..core.errors import Gone, Problem, TryLater, fault
from ..core.model import LastUse, recalled
from ..core.parallel import Running
from ..settings.fleet import FleetSettings
from .accounts import AccountDirectory, AwsOrganization
from .credential_report import entries
from .judge import Members, exempt, included, limit_of, may_fit, possible, unreadable
from .memory import KeyMemory, Memory, decode, encode, recall, ref, tag_value, value_of, whole_days
from .model import AwsAccount, FleetKey, FleetUser
from .rules import UserFacts, observed

_REPORT_TRIES, _REPORT_PAUSE = 30, 2.0  # seconds
NOT_MEANT = "not in [include]"


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
class UserLook(UserFacts):
    """A user of an account with what is known of them; keys are in the order of their age. `recorded` is what their tag
    says, before this look. `problem` is why their keys are not known."""

    place: AccountView = field(kw_only=True)
    recorded: Memory = field(default_factory=dict)
    problem: Problem | None = None

    @property
    def account(self) -> AwsAccount:
        """Where they are."""
        return self.place.account

    @property
    def directory(self) -> AccountDirectory:
        """The verbs of that account."""
        assert self.place.directory
        return self.place.directory

    @property
    def stale(self) -> bool:
        """Whether this look changes what is remembered."""
        return not self.unsure and not self.exempt and self.memory != self.recorded

    def with_keys(self, keys: Iterable[FleetKey]) -> UserLook:
        """The same with these keys."""
        return replace(self, user=replace(self.user, keys=tuple(keys)))


def _looked(place: AccountView, user: FleetUser, verb: Callable[[UserLook], UserLook]) -> UserLook | None:
    """What the verb makes of a user with the keys that are listed now; None if there is no such user. What goes wrong
    with one user ends nobody else's run."""
    look = UserLook(replace(user, keys=()), place=place)
    try:
        listed = look.directory.keys(user.name)
        keys = (FleetKey(key.active, key.created, key.key_id) for key in listed)
        return verb(look.with_keys(sorted(keys, key=lambda key: key.created)))
    except Gone:
        return None
    except Exception as error:  # noqa: BLE001
        return replace(look, problem=fault(error))


# All users of an account


def enter(
    organization: AwsOrganization,
    account: AwsAccount,
    settings: FleetSettings,
    sleep: Callable[[float], None],
    today: date,
) -> AccountView:
    """Who is in an account, without those who are certainly not meant, and what says who is exempt there."""
    try:
        directory = organization.directory(account)
        users = tuple(each for each in directory.users() if all(may_fit(each, who, None) for who in settings.include))
        members = dict(_members(directory, settings, today))
        passwords = _passwords(directory, sleep) if settings.exempt.never_signed_in else {}
    except Exception as error:  # noqa: BLE001 - a fault with one account ends no other's run
        return AccountView(account, problem=fault(error))
    return AccountView(account, directory, members, passwords, users)


def without_group(places: list[AccountView], settings: FleetSettings, today: date) -> list[AccountView]:
    """The accounts of a run, with the group of a rule that none of them has: its name is wrong, so nobody knows who was
    meant, and everybody is spared. A group that is there and empty has no members."""
    there = {group for place in places for group in place.members}
    lost = next((group for group in settings.groups(today) if group not in there), "")
    return [replace(place, nowhere=lost) for place in places] if lost else places


def members_again(place: AccountView, settings: FleetSettings, today: date) -> AccountView:
    """The same account with the members of the rules' groups as they are now. Raises Problem."""
    assert place.directory
    return replace(place, members=dict(_members(place.directory, settings, today)))


def _members(directory: AccountDirectory, settings: FleetSettings, today: date) -> Iterator[tuple[str, frozenset[str]]]:
    """Raises Problem: who does not know who is exempt does nothing."""
    for group in settings.groups(today):
        try:
            yield group, directory.members(group)
        except Gone:
            continue
        except Problem as problem:
            text = f"who is in group {group}, and so exempt, could not be read: {problem.message}"
            raise type(problem)(text, problem.hint) from None


def _passwords(directory: AccountDirectory, sleep: Callable[[float], None]) -> dict[str, bool | None]:
    """Who has a password, by the credential report: no list tells. Raises Problem."""
    for _ in range(_REPORT_TRIES):
        if directory.request_report():
            text, _ = directory.report()
            return {user.name: user.password for user, _ in entries(text, directory.account.number)}
        sleep(_REPORT_PAUSE)
    raise TryLater("who has a password is unknown: the credential report was not ready")


def look(
    place: AccountView,
    user: FleetUser,
    settings: FleetSettings,
    now: datetime,
    *,
    closely: bool = False,
    uses: bool = True,
) -> UserLook:
    """The user as they are now; `closely` asks for everything, whatever the ages of their keys, but for their last uses
    without `uses`. The tags of whoever has an active key are read: they say whether IT has recalled it."""

    def verb(found: UserLook) -> UserLook:
        found = replace(found, limit=limit_of(found.user, settings, place.members, now.date()))
        theirs = tuple(possible(found.user, settings, place.members, now.date()))
        gone = not found.user.keys and any(each.enforce.delete_after is not None for each in theirs)
        matter = closely or gone or any(_matters(key, each, now) for each in theirs for key in found.user.keys)
        if not matter and not any(key.active for key in found.user.keys):
            return found
        tags = found.directory.tags(found.user.name)
        called = any(recalled(tags, key.created, now) for key in found.user.keys if key.active)
        return look_closely(found, tags, settings, now, uses=uses) if matter or called else found

    user = replace(user, password=place.passwords.get(user.name))
    return _looked(place, user, verb) or UserLook(replace(user, keys=()), place=place)


def look_closely(
    found: UserLook, tags: Mapping[str, str] | None, settings: FleetSettings, now: datetime, *, uses: bool
) -> UserLook:
    """With what is remembered, and whether they are exempt. Without `uses` their keys have their last uses already."""
    directory, place, keys = found.directory, found.place, found.user.keys
    if uses:
        keys = tuple(replace(key, last_use=directory.last_use(key.key_id or "")) for key in keys)
    found = remembered(found.with_keys(keys), tags, settings, now)
    today = now.date()
    members = {**dict.fromkeys(settings.groups(today), frozenset[str]()), **place.members}
    unknown = unreadable(found.user, settings, members, today)
    unsure = f"{unknown}, which may exempt them, could not be read" if unknown else found.unsure
    if place.nowhere:
        unsure = f"no account that could be checked has the group {place.nowhere} of the settings"
    reason = exempt(found.user, settings.exempt, members, today)
    meant = included(found.user, settings, members) or place.nowhere or unknown
    left = str(reason or "") if meant else NOT_MEANT
    return replace(found, exempt=left, unsure=unsure)


def remembered(found: UserLook, tags: Mapping[str, str] | None, settings: FleetSettings, now: datetime) -> UserLook:
    """With what their tags (None: unknown) tell of their keys; `unsure` then says why nothing can be remembered."""
    user = replace(found.user, tags=tags)
    recorded, why = recall(user, settings.remind.tag)
    limit = limit_of(user, settings, found.place.members, now.date())
    memory = observed(user, recorded, settings.limited(limit).policy, now)
    return replace(found, user=user, memory=memory, exempt="", unsure=why, recorded=recorded, limit=limit)


def _matters(key: FleetKey, settings: FleetSettings, now: datetime) -> bool:
    """Whether a rule could have something to say about a key of this age."""
    enforce = settings.enforce
    if not key.active:
        return enforce.delete_after is not None
    spaced = whole_days(settings.remind.repeat) * enforce.notices
    lead = max(enforce.grace, timedelta(days=spaced)) + timedelta(days=1)
    return bool(enforce.ages) and now - key.created >= min(enforce.ages) - lead


# One user, in any account


def look_up(
    organization: AwsOrganization,
    account: AwsAccount,
    name: str,
    settings: FleetSettings,
    now: datetime,
    *,
    uses: bool = True,
    within: float | None = None,
) -> UserLook | None:
    """The user as they are in an account now; None if there is no such user. Only the list of their keys is waited for
    as long as it takes. A last use that cannot be read is None, whatever the reason; without `uses` none is asked for.
    `within`: tags and last uses that do not come in so many seconds are not known, and tags are asked for only where a
    key is off: they say by whom."""
    found = look_up_keys(organization, account, name)
    if found is None or found.problem:
        return found
    look, last_uses, all_tags = found, dict[str | None, LastUse | None](), list[Mapping[str, str] | None]()

    def gather() -> None:
        if within is None or not all(key.active for key in look.user.keys):
            all_tags.append(read_tags(look))
        for key in look.user.keys if uses else ():
            with suppress(Exception):  # it is for the eye alone
                last_uses[key.key_id] = look.directory.last_use(key.key_id or "")

    try:
        if within is None:
            gather()
        elif (running := Running(gather)).wait(within):
            running.result()
    except Gone:
        return None
    keys = tuple(replace(key, last_use=last_uses.get(key.key_id)) for key in look.user.keys)
    return remembered(look.with_keys(keys), all_tags[0] if all_tags else None, settings, now)


def look_up_keys(organization: AwsOrganization, account: AwsAccount, name: str) -> UserLook | None:
    """Their keys alone, all that switching them off needs; without memory, and without the path in their ARN."""
    user = FleetUser(account.number, f"arn:aws:iam::{account.number}:user/{name}")
    try:
        place = AccountView(account, organization.directory(account))
    except Exception as error:  # noqa: BLE001 - a fault with one account must not keep the others' keys on
        return lost(account, name, error)
    return _looked(place, user, lambda found: found)


def lost(account: AwsAccount, name: str, error: Exception) -> UserLook:
    """A user, "" for any, of an account that cannot be looked at."""
    user = FleetUser(account.number, f"arn:aws:iam::{account.number}:user/{name}")
    return UserLook(user, place=AccountView(account), problem=fault(error))


def read_tags(found: UserLook) -> Mapping[str, str] | None:
    """Whoever cannot read them goes on without: None. Raises Gone."""
    try:
        return found.directory.tags(found.user.name)
    except Gone:
        raise
    except Exception:  # noqa: BLE001 - nothing about one user's tags may end it for all
        return None


def accounts_named(accounts: Sequence[AwsAccount], numbers: Sequence[str]) -> list[AwsAccount]:
    """Those of the accounts that were named, or all. A number that is not among them is tried all the same: whoever
    names an account that the settings leave out knows why."""
    known = {account.number: account for account in accounts}
    return [known.get(number, AwsAccount(number)) for number in numbers] if numbers else list(accounts)


# Changing


def switched(found: UserLook, key: FleetKey, *, on: bool) -> Problem | None:
    """Switch a key, and see in the list whether it is so where the answer was bad; a key that is gone is off. Gives why
    it is not as it should be."""
    name, key_id = found.user.name, key.key_id or ""
    try:
        found.directory.set_active(name, key_id, on)
        return None
    except Exception as error:  # noqa: BLE001 - whatever it was, the list tells, and the other key has its turn
        failure = fault(error)
    try:
        active = {each.key_id: each.active for each in found.directory.keys(name)}.get(key_id, False)
        return None if active is on else failure
    except Gone:
        return failure if on else None
    except Exception:  # noqa: BLE001
        return failure


def remember(found: UserLook, known: Mapping[str, KeyMemory], tag: str) -> str:
    """Write what is known of these keys (by id) into the user's tag, over what was; gives why that is not possible."""
    if found.unsure:
        return found.unsure
    memory = {**found.memory, **{ref(key_id): each for key_id, each in known.items()}}
    try:
        if value := tag_value(memory, tag):
            found.directory.tag(found.user.name, tag, value)
        else:
            found.directory.untag(found.user.name, tag)
    except Problem as problem:
        return problem.message
    return ""


def remember_keys(
    directory: AccountDirectory,
    user: str,
    tag: str,
    changes: Mapping[str, Callable[[KeyMemory], KeyMemory]],
    there: set[str] | None = None,
) -> None:
    """Change what the tag says of these keys (by id) at this moment; of other keys only those that are `there` stay, if
    that is known. Raises Problem, UnreadableTag."""
    tags = directory.tags(user)
    if tags is None:  # writing would forget what stands there
        raise Problem("their tags could not be read (needs iam:ListUserTags)")
    memory = decode(value_of(tags, tag))
    memory |= {ref(key_id): change(memory.get(ref(key_id), KeyMemory())) for key_id, change in changes.items()}
    directory.tag(user, tag, encode(memory, there))
