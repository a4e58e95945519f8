"""The users and keys of one account: the verbs of `fleet.ports.Directory` on IAM. Their rules stand in the port.

IAM is one place in a partition, whatever the region. Each verb says what it is about when it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from ..errors import Denied, Gone, NoRoom, Problem, TryLater, Unanswered
from ..model import AccessKey, Credentials, LastUse
from . import answers, fleet_answers
from .account_calls import AccountCalls
from .attempts import Attempts
from .calls import Read
from .fleet_answers import UserEntry

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
        return self._calls.call("iam:GenerateCredentialReport", fleet_answers.report_state, {})

    def report(self) -> tuple[str, datetime]:
        """See the port."""
        return self._calls.call("iam:GetCredentialReport", fleet_answers.report, {})

    def listed(self) -> Iterator[UserEntry]:
        """ListUsers, all pages, as they come."""
        return self._calls.pages("iam:ListUsers", fleet_answers.users, {"MaxItems": _PAGE}, "Marker")

    def found(self, user: str) -> UserEntry:
        """GetUser. Raises Gone, Denied."""
        return self._of(user, lambda: self._calls.call("iam:GetUser", fleet_answers.user, {"UserName": user}))

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
            return dict(self._pages(user, "iam:ListUserTags", fleet_answers.tags))
        except Denied:
            return None

    def members(self, group: str) -> frozenset[str]:
        """See the port."""
        params = {"GroupName": group, "MaxItems": _PAGE}
        try:
            return frozenset(self._calls.pages("iam:GetGroup", fleet_answers.members, params, "Marker"))
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
