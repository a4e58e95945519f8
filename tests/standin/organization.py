"""The accounts of a stand-in: one, or an organization of several whose management account is the first.

Answers AWS Organizations as its API reference describes it ("ListAccounts" gives 20 accounts on a page at most).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import behind
from .conduct import Settings
from .errors import Refused
from .pages import cut, size
from .world import World

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(slots=True)
class Entry:
    """An account as the organization knows it. `state`: ACTIVE, SUSPENDED, PENDING_CLOSURE."""

    number: str
    name: str
    joined: datetime
    state: str = "ACTIVE"


class Organization:
    """All accounts, by their numbers."""

    def __init__(self, account: str, settings: Settings) -> None:
        self.settings = settings
        self.id = "o-" + "".join(secrets.choice(_LETTERS) for _ in range(10))
        self.worlds: dict[str, World] = {}
        self.entries: dict[str, Entry] = {}
        self.readers: set[str] = {account}  # the management account, and delegated administrators
        self.main = self.add(account, "Management")

    @property
    def exists(self) -> bool:
        """Whether there is an organization at all: a lone account is in none."""
        return len(self.worlds) > 1

    def add(self, number: str, name: str) -> World:
        """One more account. Raises ValueError if there is one with this number."""
        if number in self.worlds:
            raise ValueError(f"there is an account {number} already")
        world = World(number, self.settings, self)
        self.worlds[number] = world
        self.entries[number] = Entry(number, name, world.created)
        return world

    def world_of(self, key_id: str) -> World | None:
        """The account of a key or a session."""
        return next((world for world in list(self.worlds.values()) if world.knows(key_id)), None)

    def forget(self) -> None:
        """Let moto know nothing of these accounts any more."""
        for world in self.worlds.values():
            behind.forget(world.account)

    def is_open(self, number: str) -> bool:
        """Whether there is such an account and its roles can be assumed: not while it is suspended."""
        return number in self.entries and self.entries[number].state != "SUSPENDED"

    def has_principal(self, arn: str) -> bool:
        """Whether there is such a user, role or account, as far as this organization knows; of others, nobody knows."""
        home = self.worlds.get(arn.split(":")[4]) if ":" in arn else None
        what = arn.rpartition(":")[2]
        if home is None or what == "root":
            return True
        if what.startswith("assumed-role/"):
            return any(role.name == what.split("/")[1] for role in home.roles.values())
        users = (str(user.arn) for user in home.iam.users.values())
        return arn in home.roles or arn in users

    def list_accounts(self, world: World, payload: Mapping[str, Any]) -> dict[str, Any]:
        """ListAccounts. Raises Refused."""
        self._admit(world)
        count = size(payload.get("MaxResults"), 20, 20, self.settings.page_size)
        page, token = cut(self.entries.values(), lambda entry: entry.number, payload.get("NextToken", ""), count)
        return {"Accounts": [self._told(entry) for entry in page], **({"NextToken": token} if token else {})}

    def describe(self) -> dict[str, Any]:
        """DescribeOrganization, which every member may call. Raises Refused."""
        self._in_use()
        main = self.main
        arn = main.arn_of(f"organization/{self.id}", "organizations")
        account = main.arn_of(f"account/{self.id}/{main.account}", "organizations")
        told = {"Id": self.id, "Arn": arn, "FeatureSet": "ALL", "MasterAccountArn": account}
        return {"Organization": {**told, "MasterAccountId": main.account, "MasterAccountEmail": _mail(main.account)}}

    def _admit(self, world: World) -> None:
        self._in_use()
        if world.account not in self.readers:
            raise Refused("AccessDeniedException", "You don't have permissions to access this resource.", 400)

    def _in_use(self) -> None:
        if not self.exists:
            raise Refused("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.", 400)

    def _told(self, entry: Entry) -> dict[str, Any]:
        return {
            "Id": entry.number,
            "Arn": self.main.arn_of(f"account/{self.id}/{entry.number}", "organizations"),
            "Email": _mail(entry.number),
            "Name": entry.name,
            "Status": entry.state,
            "State": entry.state,
            "JoinedMethod": "CREATED",
            "JoinedTimestamp": entry.joined,
        }


def _mail(number: str) -> str:
    return f"aws+{number}@example.com"
