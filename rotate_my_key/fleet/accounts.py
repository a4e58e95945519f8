"""AWS's answers about whole accounts as plain values. Pure; an answer that lacks something raises KeyError.

The users and keys of one account: the verbs of `fleet.ports.Directory` on IAM. Their rules stand in the port.

IAM is one place in a partition, whatever the region. Each verb says what it is about when it is refused.

The ports `Organization` and `Directory` on AWS: the adapters of `aws/` in the fleet's words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from ..aws import answers
from ..aws.account_calls import AccountCalls, Caller, CallRoute, Role
from ..aws.answers import Answer
from ..aws.attempts import Attempts
from ..aws.calls import Read
from ..aws.service_errors import CallSite
from ..errors import Denied, Gone, NoRoom, Problem, TryLater, Unanswered, WrongUsage
from ..model import AccessKey, Credentials, Identity, LastUse
from .model import AwsAccount, FleetUser


class UserEntry(NamedTuple):
    """A user of ListUsers or GetUser. `signed_in`: None for "never, or not known"; `tags`: those of GetUser."""

    arn: str
    created: datetime
    signed_in: datetime | None
    tags: dict[str, str]


class AccountEntry(NamedTuple):
    """An account of Organizations' ListAccounts."""

    number: str
    name: str
    active: bool


def report_ready(answer: Answer) -> bool:
    """GenerateCredentialReport: whether it is ready. The states are STARTED, INPROGRESS and COMPLETE."""
    return str(answer["State"]) == "COMPLETE"


def report_of(answer: Answer) -> tuple[str, datetime]:
    """GetCredentialReport: the CSV, and when it was made."""
    return bytes(answer["Content"]).decode("utf-8", "replace"), _utc(answer["GeneratedTime"])


def users_of(answer: Answer) -> tuple[list[UserEntry], str | None]:
    """ListUsers: one page."""
    return [_user(entry) for entry in answer["Users"]], _marker(answer)


def user_of(answer: Answer) -> UserEntry:
    """GetUser."""
    return _user(answer["User"])


def _user(entry: Answer) -> UserEntry:
    used = entry.get("PasswordLastUsed")
    tags = {tag["Key"]: tag["Value"] for tag in entry.get("Tags", ())}
    return UserEntry(str(entry["Arn"]), _utc(entry["CreateDate"]), _utc(used) if used else None, tags)


def tags_of(answer: Answer) -> tuple[list[tuple[str, str]], str | None]:
    """ListUserTags: one page."""
    return [(tag["Key"], tag["Value"]) for tag in answer["Tags"]], _marker(answer)


def members_of(answer: Answer) -> tuple[list[str], str | None]:
    """GetGroup: one page of the names of its users."""
    return [entry["UserName"] for entry in answer["Users"]], _marker(answer)


def accounts_of(answer: Answer) -> tuple[list[AccountEntry], str | None]:
    """Organizations' ListAccounts: one page. `State` has taken the place of `Status` (retired in September 2026)."""
    found = [
        AccountEntry(entry["Id"], entry.get("Name", ""), (entry.get("State") or entry.get("Status")) == "ACTIVE")
        for entry in answer["Accounts"]
    ]
    return found, answer.get("NextToken") or None


def _marker(answer: Answer) -> str | None:
    return answer["Marker"] if answer.get("IsTruncated") else None


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


T = TypeVar("T")

_PAGE = 1000  # the most that ListUsers and GetGroup give at once; IAM may give fewer
_CREATE_TIMEOUT = 15.0  # seconds
_JUST_OPEN = 4.0  # seconds; a connection that was answered so lately is as good as a fresh one


class IamUsers:
    """See the port. `calls` are to the account. Safe to share between threads."""

    def __init__(self, calls: AccountCalls) -> None:
        self._calls = calls

    # Looking

    def request_report(self) -> bool:
        """See the port."""
        return self._calls.call("iam:GenerateCredentialReport", report_ready, {})

    def report(self) -> tuple[str, datetime]:
        """See the port."""
        return self._calls.call("iam:GetCredentialReport", report_of, {})

    def listed(self) -> Iterator[UserEntry]:
        """ListUsers, all pages, as they come."""
        return self._calls.pages("iam:ListUsers", users_of, {"MaxItems": _PAGE}, "Marker")

    def found(self, user: str) -> UserEntry:
        """GetUser. Raises Gone, Denied."""
        return self._of(user, lambda: self._calls.call("iam:GetUser", user_of, {"UserName": user}))

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        """See the port."""
        return tuple(self._pages(user, "iam:ListAccessKeys", answers.page))

    def last_use(self, key_id: str) -> LastUse | None:
        """See the port."""
        try:
            return self._calls.call("iam:GetAccessKeyLastUsed", answers.last_use, {"AccessKeyId": key_id})
        except (Denied, Gone, TryLater):
            return None

    def tags(self, user: str) -> Mapping[str, str] | None:
        """See the port."""
        try:
            return dict(self._pages(user, "iam:ListUserTags", tags_of))
        except Denied:
            return None

    def members(self, group: str) -> frozenset[str]:
        """See the port."""
        params = {"GroupName": group, "MaxItems": _PAGE}
        try:
            return frozenset(self._calls.pages("iam:GetGroup", members_of, params, "Marker"))
        except Gone:
            raise Gone(f"there is no group {group}", "aws iam list-groups") from None

    def _pages(self, user: str, action: str, read: Read[tuple[list[T], str | None]]) -> list[T]:
        return self._of(user, lambda: list(self._calls.pages(action, read, {"UserName": user}, "Marker")))

    # Changing

    def tag(self, user: str, key: str, value: str) -> None:
        """See the port."""
        self._change("iam:TagUser", user, {"Tags": [{"Key": key, "Value": value}]})

    def untag(self, user: str, key: str) -> None:
        """See the port."""
        self._change("iam:UntagUser", user, {"TagKeys": [key]})

    def set_active(self, user: str, key_id: str, active: bool) -> None:
        """See the port."""
        params = {"AccessKeyId": key_id, "Status": "Active" if active else "Inactive"}
        self._change("iam:UpdateAccessKey", user, params, what="access key")

    def delete(self, user: str, key_id: str) -> None:
        """See the port."""
        attempts = Attempts()
        try:
            self._change("iam:DeleteAccessKey", user, {"AccessKeyId": key_id}, what="access key", again=attempts.always)
        except Gone:
            if not attempts.lost:
                raise

    def _change(
        self,
        action: str,
        user: str,
        params: Mapping[str, Any],
        *,
        what: str = "user",
        again: Callable[[Exception], bool] = lambda error: True,
    ) -> None:
        named = {"UserName": user, **params}
        self._of(user, lambda: self._calls.call(action, answers.nothing, named, again=again), what)

    def create(self, user: str) -> tuple[Credentials, AccessKey]:
        """See the port. It is sent again only where it was certainly not carried out (throttled, not connected)."""
        attempts = Attempts()
        try:
            return self._of(
                user,
                lambda: self._calls.call(
                    "iam:CreateAccessKey",
                    answers.created,
                    {"UserName": user},
                    again=attempts.if_certain,
                    idle=_JUST_OPEN,
                    read_timeout=_CREATE_TIMEOUT,
                ),
            )
        except NoRoom as problem:
            raise NoRoom(f"{user} has two access keys already", problem.hint) from None
        except Problem as problem:
            failure = problem
        if attempts.lost:
            raise Unanswered(f"a new key of {user} may have been made or not: {failure.message}", "repeat the command")
        raise failure

    def _of(self, user: str, call: Callable[[], T], what: str = "user") -> T:
        """A call about a user, or about something of his; Gone tells what it was."""
        try:
            return call()
        except Gone:
            there = f"no user {user}" if what == "user" else f"no such {what} of {user}"
            raise Gone(f"there is {there}", "see who there is with: rotate-my-key fleet report") from None


class AccountDirectory(IamUsers):
    """See the port Directory."""

    def __init__(self, account: AwsAccount, calls: AccountCalls) -> None:
        super().__init__(calls)
        self._account = account

    @property
    def account(self) -> AwsAccount:
        """See the port."""
        return self._account

    def users(self) -> Iterator[FleetUser]:
        """See the port."""
        for entry in self.listed():
            yield FleetUser(self._account.number, entry.arn, created=entry.created, signed_in=entry.signed_in)

    def find(self, user: str) -> FleetUser:
        """See the port."""
        entry = self.found(user)
        return FleetUser(
            self._account.number, entry.arn, created=entry.created, signed_in=entry.signed_in, tags=entry.tags
        )


class AwsOrganization:
    """See the port Organization. `role` is the name of the role in other accounts, "" for none; `calls` are to the
    caller's own account."""

    def __init__(self, way: CallRoute, caller: Caller, calls: AccountCalls, role: str, external_id: str) -> None:
        self._way = way
        self._caller = caller
        self._calls = calls
        self._role = role.strip("/").removeprefix("role/")
        self._external_id = external_id
        self._directories: dict[str, AccountDirectory] = {}
        self._left_out: tuple[AwsAccount, ...] = ()
        self._lock = Lock()

    def me(self) -> Identity:
        """See the port."""
        return self._caller.identity()

    def accounts(self) -> tuple[AwsAccount, ...]:
        """See the port."""
        entries = list(self._calls.pages("organizations:ListAccounts", accounts_of, {}, "NextToken"))
        self._left_out = tuple(AwsAccount(entry.number, entry.name) for entry in entries if not entry.active)
        return tuple(AwsAccount(entry.number, entry.name) for entry in entries if entry.active)

    @property
    def left_out(self) -> tuple[AwsAccount, ...]:
        """See the port."""
        return self._left_out

    def directory(self, account: AwsAccount) -> AccountDirectory:
        """See the port. Sends nothing but GetCallerIdentity, once. Raises WrongUsage for another account without a
        role."""
        me = self.me()
        with self._lock:
            if account.number not in self._directories:
                calls = self._calls if account.number == me.account else self._there(account, me)
                self._directories[account.number] = AccountDirectory(account, calls)
            return self._directories[account.number]

    def _there(self, account: AwsAccount, me: Identity) -> AccountCalls:
        if not self._role:
            raise WrongUsage(
                f"{account} is not the caller's own account ({me.account}), and no role is set",
                "set role = NAME in [accounts] of the fleet's settings",
            )
        arn = f"arn:{me.partition}:iam::{account.number}:role/{self._role}"
        role = Role(arn, self._external_id, self._calls, self._way.aws.clock.now)
        return AccountCalls(self._way, role, CallSite(account.number, f"the role {self._role}"))
