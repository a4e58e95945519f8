"""The ports `Organization` and `Directory` on AWS: the adapters of `aws/` in the fleet's words."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from ..aws import fleet_answers
from ..aws.account_calls import AccountCalls, CallRoute
from ..aws.iam_users import IamUsers
from ..aws.service_errors import CallSite
from ..aws.sources import Caller, Role
from ..errors import WrongUsage
from ..model import Identity
from .model import AwsAccount, FleetUser


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
        entries = list(self._calls.pages("organizations:ListAccounts", fleet_answers.accounts, {}, "NextToken"))
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
