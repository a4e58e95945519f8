"""A company to try the fleet commands on: from a description in JSON, or made up, the same for the same numbers.

The description has `accounts`, each with `name`, and if need be `number`, `state`, `role` (a name; `external_id`),
`root_key` (an age) and `users`: `name`, `path`, `tags`, `groups`, `password` (true), `signed_in` (how long ago) and
`keys`: `age`, `status`, `used` (how long ago), `service`, `region`. Durations are texts such as `98d`. An account
without a `name` is the main one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rotate_my_key.core.model import Credentials, LastUse
from rotate_my_key.core.policy import parse_duration

if TYPE_CHECKING:
    from .account import Account
    from .standin import StandIn

Description = Mapping[str, Any]
ROLE = "rotate-my-key-fleet"
_FIRST = [
    *("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "ken", "lena", "mia", "noor")
]
_WHERE = [tuple(each.split()) for each in ("s3 eu-west-1", "ec2 us-east-1", "sts eu-central-1", "dynamodb eu-west-1")]
_WHERE.append(("iam", "us-east-1"))
_NAMES = ("shop", "data", "mobile", "search", "billing", "sandbox", "legacy", "partners", "research", "website")
_KNOWN = {
    "": {"accounts"},
    "account": {"name", "number", "state", "role", "external_id", "root_key", "users"},
    "user": {"name", "path", "tags", "groups", "password", "signed_in", "keys"},
    "key": {"age", "status", "used", "service", "region"},
}


def set_up(standin: StandIn, description: Description) -> None:
    """Make what is described. Raises ValueError, KeyError or WrongUsage for what is not understood."""
    _check("", description)
    for entry in description["accounts"]:
        _check("account", entry)
        account: Account = standin
        if entry.get("name"):
            account = standin.add_account(entry["name"], entry.get("number"), entry.get("state", "ACTIVE"))
        if entry.get("role"):
            account.add_role(entry["role"], external_id=entry.get("external_id", ""))
        if entry.get("root_key"):
            account.add_key(None, parse_duration(entry["root_key"]))
        for user in entry.get("users", ()):
            _add_user(account, user)


def _add_user(account: Account, user: Description) -> None:
    _check("user", user)
    signed_in = _ago(user.get("signed_in"))
    more = {"password": user.get("password", False), "signed_in": signed_in, "groups": user.get("groups", ())}
    account.add_user(user["name"], user.get("path", "/"), user.get("tags"), **more)
    for key in user.get("keys", ()):
        _check("key", key)
        at = _ago(key.get("used"))
        use = LastUse(at, key.get("service", "s3"), key.get("region", "us-east-1")) if at else None
        account.add_key(user["name"], parse_duration(key["age"]), key.get("status", "Active"), use)


def _check(what: str, entry: Description) -> None:
    if unknown := set(entry) - _KNOWN[what]:
        raise ValueError(f"not known of {what or 'a description'}: {', '.join(sorted(unknown))}")


def _ago(text: str | None) -> datetime | None:
    return datetime.now(UTC).replace(microsecond=0) - parse_duration(text) if text else None


def made_up(accounts: int, users: int, seed: int = 7) -> Description:
    """A company of so many accounts, the main one among them, and of so many users in all."""
    chance = random.Random(seed)  # noqa: S311 - the same company each time
    entries: list[dict[str, Any]] = []
    for index in range(accounts):
        name = "" if not index else _NAMES[index % len(_NAMES)] + ("" if index < len(_NAMES) else f"-{index}")
        root = {"root_key": f"{chance.randrange(100, 1500)}d"} if index % 10 == 3 else {}
        people = [_user(number, chance) for number in range(index, users, accounts)]
        number = {"number": f"{10**11 + 7 * index + seed:012}"} if index else {}
        entries.append({"name": name, **number, "role": ROLE, **root, "users": people})
    if accounts > 4:
        entries[-1]["state"] = "SUSPENDED"
    return {"accounts": entries}


def _user(number: int, chance: random.Random) -> Description:
    bot = chance.random() < 0.2
    name = f"{'bot-' if bot else ''}{_FIRST[number % len(_FIRST)]}-{number}"
    tags = {"owner": f"{_FIRST[number % len(_FIRST)]}@example.com"} if chance.random() < 0.8 else {}
    if chance.random() < 0.03:
        tags["rotate-my-key"] = "exempt"
    signs_in = {"password": True, "signed_in": f"{chance.randrange(1, 200)}d"} if not bot else {}
    groups = ["break-glass"] if chance.random() < 0.02 else []
    keys = list(_keys(chance))
    return {"name": name, "path": "/bots/" if bot else "/", "tags": tags, "groups": groups, **signs_in, "keys": keys}


def _keys(chance: random.Random) -> Iterator[Description]:
    """None, one or two; some switched off, some never used."""
    for _ in range(chance.choices((0, 1, 2), (5, 75, 20))[0]):
        age = chance.randrange(0, 400)
        service, region = chance.choice(_WHERE)
        status = "Inactive" if chance.random() < 0.15 else "Active"
        used = {"used": f"{chance.randrange(1, age)}d"} if age > 1 and chance.random() < 0.8 else {}
        yield {"age": f"{age}d", "status": status, **used, "service": service, "region": region}


def comforts(standin: StandIn) -> None:
    """What the fleet commands want in the main account: an address to send from, a topic, a bucket, a log group."""
    standin.verify("example.com")
    standin.add_topic("rotate-my-key")
    standin.add_bucket("rotate-my-key")
    standin.add_log_group("/rotate-my-key/audit")


def add_admin(standin: StandIn) -> Credentials:
    """Somebody who may do everything, with a young key."""
    standin.add_user("admin", groups=["admins"], password=True)
    return standin.add_key("admin", timedelta(days=1))
