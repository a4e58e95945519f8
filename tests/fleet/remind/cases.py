"""Cases as a survey would find them, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from rotate_my_key.core.model import FLEET_KEY, LastUse
from rotate_my_key.core.policy import Policy, Verdict
from rotate_my_key.fleet.judge import Row, Status
from rotate_my_key.fleet.model import AwsAccount, FleetKey, FleetUser, Owner
from tests.fleet.fakes import NOW, FakeDirectory

POLICY = Policy()
ACCOUNT = AwsAccount("123456789012", "production")
OTHER = AwsAccount("210987654321", "staging")
USED = LastUse(NOW - timedelta(hours=3), "s3", "eu-west-1")


def case(
    name: str = "alice",
    age: float = 98,
    *,
    account: AwsAccount = ACCOUNT,
    key_id: str | None = "AKIAIOSFODNN7EXAMPLE",
    address: str | None = None,
    tags: Mapping[str, str] | None = None,
    use: LastUse | None = USED,
    unsure: str = "",
    now: datetime = NOW,
) -> Row:
    """One old key: alice's, 98 days old, of whom nothing is remembered."""
    key = FleetKey(True, now - timedelta(days=age), key_id, use)
    user = FleetUser(account.number, f"arn:aws:iam::{account.number}:user/{name}", (key,), tags=dict(tags or {}))
    to = f"{name}@example.com" if address is None else address
    return row(account, user, key, Owner(name, to, "user name"), now, unsure)


def row(
    account: AwsAccount, user: FleetUser, key: FleetKey, owner: Owner, now: datetime = NOW, unsure: str = ""
) -> Row:
    """As a survey's judgement has it."""
    verdict = POLICY.verdict(key, now)
    status = Status.FRESH if verdict is Verdict.FRESH else Status.OVERDUE
    return Row(account, user, key, status, verdict, now - key.created, owner, uncertain=unsure)


def remembered(value: str) -> dict[str, str]:
    """A user's tags with what the fleet wrote down."""
    return {FLEET_KEY: value}


def without_tags(found: Row) -> Row:
    """The same, but the tags could not be read."""
    return replace(found, user=replace(found.user, tags=None))


def found_in(directories: Iterable[FakeDirectory], now: datetime, owner: str = "") -> list[Row]:
    """What a survey of these accounts finds: every key, with the tags as they are now."""
    cases = []
    for directory in directories:
        for user in directory.everybody.values():
            keys = tuple(FleetKey(key.active, key.created, key.key_id, USED) for key in user.keys.values())
            fleet_user = FleetUser(directory.account.number, directory.arn(user), keys, tags=dict(user.tags))
            name = owner or user.name
            cases += [
                row(directory.account, fleet_user, key, Owner(name, f"{name}@example.com", "user name"), now)
                for key in keys
            ]
    return cases
