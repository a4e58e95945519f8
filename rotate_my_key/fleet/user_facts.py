"""What `enforce` knows of an account and its users: lists, as they are now, never a report that may be hours old.

Only a user with a key that could be due for something, or with none any more, costs more than one call. What says who
is exempt and cannot be read: of a group, and nothing is done in the account; of a user, and he is spared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..errors import Gone, Problem, TryLater
from ..faults import fault
from ..settings.fleet import FleetSettings
from .credential_report import entries
from .decisions import UserFacts
from .memory import Memory
from .model import AwsAccount, FleetKey, FleetUser
from .notice_plan import recall
from .observing import observed
from .owners import exempt, unreadable
from .ports import Directory, Organization
from .rules import whole_days

Members = Mapping[str, frozenset[str]]
_REPORT_TRIES, _REPORT_PAUSE = 30, 2.0  # seconds


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account on the way: `members` of the exempt groups, `passwords` by user name where they say who is exempt.

    `problem` is why nothing may be done there."""

    account: AwsAccount
    directory: Directory | None = None
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
    organization: Organization, account: AwsAccount, settings: FleetSettings, sleep: Callable[[float], None]
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


def _members(directory: Directory, settings: FleetSettings) -> Iterator[tuple[str, frozenset[str]]]:
    """Raises Problem: who does not know who is exempt does nothing."""
    for group in settings.exempt.groups:
        try:
            yield group, directory.members(group)
        except Gone:
            continue
        except Problem as problem:
            text = f"who is in group {group}, and so exempt, cannot be read: {problem.message}"
            raise type(problem)(text, problem.hint) from None


def _passwords(directory: Directory, sleep: Callable[[float], None]) -> dict[str, bool | None]:
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
