"""The accounts of an organization, and the users and keys of each: Organizations and IAM in the fleet's words.

Each verb says what it is about when it is refused, and raises kinds of `Problem` and nothing else: Denied if a call is
not allowed, Gone for what is not there, TryLater when patience has ended. The first verb of a member account assumes
the role there, and raises what that raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from ..aws.account_calls import AccountCalls, Caller, CallRoute, CallSite, Role
from ..aws.calls import Answer, Read, read_keys, read_last_use, read_nothing
from ..aws.iam import create_key, delete_key, set_key_active
from ..aws.services import AwsCloud
from ..core.errors import Denied, Gone, NoRoom, TryLater, WrongUsage
from ..core.hints import Hint
from ..core.model import AccessKey, Credentials, Identity, LastUse
from .model import AwsAccount, FleetUser

T = TypeVar("T")

_PAGE = 1000  # the most that ListUsers and GetGroup give at once; IAM may give fewer


class AccountDirectory:
    """The users and keys of one account, to which `calls` go. Safe to share between threads. `begin` is called before a
    verb that begins something, and raises where nothing may begin any more. A verb that ends what was begun (an act,
    and what is remembered of it) is never stopped."""

    def __init__(self, account: AwsAccount, calls: AccountCalls, begin: Callable[[], None] = lambda: None) -> None:
        self.account = account
        self._calls = self.calls = calls
        self._begin = begin

    # Looking

    def request_report(self) -> bool:
        """GenerateCredentialReport: whether a report is ready now. AWS makes a new one at most every four hours."""
        self._begin()
        return self._calls.call("iam:GenerateCredentialReport", lambda answer: str(answer["State"]) == "COMPLETE", {})

    def report(self) -> tuple[str, datetime]:
        """GetCredentialReport: the CSV, and when it was generated. Raises TryLater while it is not ready."""
        self._begin()
        return self._calls.call("iam:GetCredentialReport", _report, {})

    def users(self) -> Iterator[FleetUser]:
        """ListUsers, page by page; without keys, tags and groups."""
        self._begin()
        return self._calls.pages("iam:ListUsers", partial(_paged, "Users", self._user), {"MaxItems": _PAGE}, "Marker")

    def find(self, user: str) -> FleetUser:
        """GetUser, with what tags it tells; without keys and groups. Raises Gone if there is no such user, Denied."""
        self._begin()

        def read(answer: Answer) -> FleetUser:
            tags = {tag["Key"]: tag["Value"] for tag in answer["User"].get("Tags", ())}
            return replace(self._user(answer["User"]), tags=tags)

        return self._of(user, lambda: self._calls.call("iam:GetUser", read, {"UserName": user}))

    def _user(self, entry: Answer) -> FleetUser:
        """Without `PasswordLastUsed` they never signed in, or it is not known."""
        used, created = entry.get("PasswordLastUsed"), entry["CreateDate"].astimezone(UTC)
        signed_in = used.astimezone(UTC) if used else None
        return FleetUser(self.account.number, str(entry["Arn"]), created=created, signed_in=signed_in)

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        """ListAccessKeys of a user name, all pages."""
        self._begin()
        read = partial(read_keys, user=user, now=self._calls.now())
        return tuple(self._pages(user, "iam:ListAccessKeys", read))

    def last_use(self, key_id: str) -> LastUse | None:
        """GetAccessKeyLastUsed; None if it is denied or throttled: unknown."""
        try:
            return self._calls.call("iam:GetAccessKeyLastUsed", read_last_use, {"AccessKeyId": key_id})
        except (Denied, Gone, TryLater):
            return None

    def tags(self, user: str) -> Mapping[str, str] | None:
        """ListUserTags, all pages; None if it is denied."""
        try:
            read = partial(_paged, "Tags", lambda tag: (tag["Key"], tag["Value"]))
            return dict(self._pages(user, "iam:ListUserTags", read))
        except Denied:
            return None

    def groups_of(self, user: str) -> frozenset[str]:
        """ListGroupsForUser, all pages. Raises Gone, Denied."""
        read = partial(_paged, "Groups", lambda group: str(group["GroupName"]))
        return frozenset(self._pages(user, "iam:ListGroupsForUser", read))

    def has_password(self, user: str) -> bool:
        """GetLoginProfile. A user who is not there has none. Raises Denied."""
        return self._is_there("iam:GetLoginProfile", UserName=user)

    def has_policy(self, user: str, name: str) -> bool:
        """GetUserPolicy, of an inline policy. A user who is not there has none. Raises Denied."""
        return self._is_there("iam:GetUserPolicy", UserName=user, PolicyName=name)

    def _is_there(self, action: str, **params: str) -> bool:
        self._begin()
        try:
            self._calls.call(action, read_nothing, params)
        except Gone:
            return False
        return True

    def members(self, group: str) -> frozenset[str]:
        """GetGroup, all pages: the names of its users. Raises Gone if there is no such group, Denied."""
        self._begin()
        params, read = {"GroupName": group, "MaxItems": _PAGE}, partial(_paged, "Users", lambda user: user["UserName"])
        try:
            return frozenset(self._calls.pages("iam:GetGroup", read, params, "Marker"))
        except Gone:
            raise Gone(f"there is no group {group}", "aws iam list-groups") from None

    def _pages(self, user: str, action: str, read: Read[tuple[list[T], str | None]]) -> list[T]:
        return self._of(user, lambda: list(self._calls.pages(action, read, {"UserName": user}, "Marker")))

    # Changing

    def tag(self, user: str, key: str, value: str) -> None:
        """TagUser with this one tag. Raises Denied, NotAllowed (the user has 50 tags already), Gone."""
        params = {"UserName": user, "Tags": [{"Key": key, "Value": value}]}
        self._of(user, lambda: self._calls.call("iam:TagUser", read_nothing, params))

    def untag(self, user: str, key: str) -> None:
        """UntagUser with this one tag. Raises Denied, Gone."""
        params = {"UserName": user, "TagKeys": [key]}
        self._of(user, lambda: self._calls.call("iam:UntagUser", read_nothing, params))

    def set_active(self, user: str, key_id: str, active: bool) -> None:
        """UpdateAccessKey. Repeating it is harmless. Raises Denied, Gone."""
        named = {"UserName": user}
        self._of(user, lambda: set_key_active(self._calls.call, named, key_id, active), "access key")

    def delete(self, user: str, key_id: str) -> None:
        """DeleteAccessKey. A lost reply followed by NoSuchEntity means that it was carried out. Raises Denied, Gone."""
        self._of(user, lambda: delete_key(self._calls.call, {"UserName": user}, key_id), "access key")

    def delete_password(self, user: str) -> None:
        """DeleteLoginProfile. Raises Denied, Gone for who has none."""
        self._of(user, lambda: self._calls.call("iam:DeleteLoginProfile", read_nothing, {"UserName": user}), "password")

    def put_policy(self, user: str, name: str, document: str) -> None:
        """PutUserPolicy: an inline policy, in place of one of that name. Raises Denied, Gone, NotAllowed (no room)."""
        params = {"UserName": user, "PolicyName": name, "PolicyDocument": document}
        self._of(user, lambda: self._calls.call("iam:PutUserPolicy", read_nothing, params))

    def delete_policy(self, user: str, name: str) -> None:
        """DeleteUserPolicy. Raises Denied, Gone for who has none of that name."""
        params = {"UserName": user, "PolicyName": name}
        self._of(user, lambda: self._calls.call("iam:DeleteUserPolicy", read_nothing, params), "policy")

    def create(self, user: str) -> tuple[Credentials, AccessKey]:
        """See create_key. Raises NoRoom, Denied, Gone; Unanswered if one may have been created or not."""
        try:
            return self._of(user, lambda: create_key(self._calls.call, {"UserName": user}, of=f" of {user}"))
        except NoRoom as problem:
            raise NoRoom(f"{user} has two access keys already", problem.hint) from None

    def _of(self, user: str, call: Callable[[], T], what: str = "user") -> T:
        """A call about a user, or about something of theirs; Gone tells what it was."""
        try:
            return call()
        except Gone:
            there = f"no user {user}" if what == "user" else f"no such {what} of {user}"
            raise Gone(f"there is {there}", Hint("fleet", "report")) from None


def _report(answer: Answer) -> tuple[str, datetime]:
    return bytes(answer["Content"]).decode("utf-8", "replace"), answer["GeneratedTime"].astimezone(UTC)


def _paged(name: str, read: Callable[[Any], T], answer: Answer) -> tuple[list[T], str | None]:
    """A page of a list in IAM's answer, and where the next one begins."""
    return [read(entry) for entry in answer[name]], answer["Marker"] if answer.get("IsTruncated") else None


def _listed(name: str, read: Callable[[Any], T], answer: Answer) -> tuple[list[T], str | None]:
    """A page of a list in Organizations' answer, and where the next one begins."""
    return [read(entry) for entry in answer[name]], answer.get("NextToken") or None


def _account(entry: Any) -> tuple[AwsAccount, bool, str]:
    """With whether it is active, and its ARN. `State` has taken the place of `Status` (retired in September 2026)."""
    active = (entry.get("State") or entry.get("Status")) == "ACTIVE"
    return AwsAccount(entry["Id"], entry.get("Name", "")), active, entry.get("Arn", "")


class AwsOrganization:
    """All accounts that the caller may look at. Safe to share between threads. `role` is the name of the role in other
    accounts, "" for none; `calls` are to the caller's own account. `left_out` are the accounts that `accounts` came
    upon and left out: suspended, or about to be closed. `number` is the organization's ID, from the ARNs there
    (arn:aws:organizations::MANAGEMENT:account/o-ID/ACCOUNT); "" until it was asked."""

    def __init__(self, route: CallRoute, caller: Caller, calls: AccountCalls, role: str, external_id: str) -> None:
        self._route = route
        self._caller = caller
        self._calls = calls
        self._role = role.strip("/").removeprefix("role/")
        self._external_id = external_id
        self._directories: dict[str, AccountDirectory] = {}
        self._lock = Lock()
        self.left_out: tuple[AwsAccount, ...] = ()
        self.number = ""
        self.begin: Callable[[AwsAccount], None] = lambda account: None  # see AccountDirectory

    def me(self) -> Identity:
        """GetCallerIdentity of who runs the fleet command."""
        return self._caller.identity()

    @property
    def in_session(self) -> bool:
        """Whether an MFA session of their key signs by now: it outlives the key."""
        return self._caller.in_session

    def accounts(self) -> tuple[AwsAccount, ...]:
        """Organizations ListAccounts, all pages, the active ones. Raises Denied where there is no organization."""
        entries = self._of("ListAccounts", "Accounts", _account)
        self.left_out = tuple(account for account, active, _ in entries if not active)
        self.number = next((arn.split("/")[1] for _, _, arn in entries if arn.count("/") == 2), "")
        return tuple(account for account, active, _ in entries if active)

    def within(self, unit: str) -> set[str]:
        """ListAccountsForParent of a unit, or the root, and all units below: account numbers. Raises Gone, Denied."""
        found = {str(each["Id"]) for each in self._of("ListAccountsForParent", "Accounts", dict, ParentId=unit)}
        for below in self._of("ListOrganizationalUnitsForParent", "OrganizationalUnits", dict, ParentId=unit):
            found |= self.within(str(below["Id"]))
        return found

    def tags(self, account: AwsAccount) -> Mapping[str, str]:
        """ListTagsForResource of an account in the organization. Raises Gone, Denied."""
        read = lambda tag: (tag["Key"], tag["Value"])  # noqa: E731
        return dict(self._of("ListTagsForResource", "Tags", read, ResourceId=account.number))

    def _of(self, action: str, name: str, read: Callable[[Any], T], **params: str) -> list[T]:
        return list(self._calls.pages(f"organizations:{action}", partial(_listed, name, read), params, "NextToken"))

    def directory(self, account: AwsAccount) -> AccountDirectory:
        """The directory of an account: by the role there, or without one for the caller's own. Sends nothing but
        GetCallerIdentity, once. Raises WrongUsage for another account without a role."""
        me = self.me()
        with self._lock:
            if account.number not in self._directories:
                calls = self._calls if account.number == me.account else self._there(account, me)
                self._directories[account.number] = AccountDirectory(account, calls, lambda: self.begin(account))
            return self._directories[account.number]

    def cloud(self, account: AwsAccount) -> AwsCloud:
        """The other services of an account, by the same role. Raises what `directory` raises."""
        return AwsCloud(self.directory(account).calls)

    def _there(self, account: AwsAccount, me: Identity) -> AccountCalls:
        if not self._role:
            raise WrongUsage(
                f"{account} is not your own account ({me.account}), and no role is set",
                "set role = NAME in [accounts] of the fleet's settings",
            )
        arn = f"arn:{me.partition}:iam::{account.number}:role/{self._role}"
        role = Role(arn, self._external_id, self._calls, self._calls.now)
        return AccountCalls(self._route, role, CallSite(account.number, f"the role {self._role}"))
