"""The accounts: their users and keys, and how slowly AWS comes to know of a change; one, or an organization of several.

Users and keys live in moto's IAM backend, so that everything moto answers (users, reports) agrees; what moto does not
know stands here: who may sign in with what at this moment, and what a list shows at this moment. Knows no HTTP.
The lags of `Settings` hold for what `create_key`, `set_status` and `delete_key` change; what `add_user` and `add_key`
set up has been there for long. The caller holds the lock.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.iam.models import AccessKey as MotoKey
from moto.iam.models import Group as MotoGroup
from moto.iam.models import IAMBackend, iam_backends
from moto.iam.models import User as MotoUser

from rotate_my_key.core.model import AccessKey, Credentials, LastUse

from . import behind
from .errors import Refused, no
from .policies import Document
from .protocols import cut, size
from .report import Reports
from .rules import Settings
from .sessions import Device, Role, Session, Signer, temporary_pair

LONG_AGO = float("-inf")


@dataclass(slots=True)
class Key:
    """A key, its past and its uses. `user` is None for root's; a status of "" means: there is no such key."""

    moto: MotoKey
    user: MotoUser | None
    changes: list[tuple[float, str]]
    number: int = 0  # counts the keys of an account in the order they were made
    uses: list[tuple[float, LastUse]] = field(default_factory=list)
    accepted: dict[str, int] = field(default_factory=dict)  # calls that met `flapping`, by service
    changed: datetime | None = None  # when its status last changed, by the server's clock

    @property
    def id(self) -> str:
        """The access key id."""
        return self.moto.access_key_id

    @property
    def pair(self) -> Credentials:
        """Id and secret."""
        return Credentials(self.moto.access_key_id, self.moto.secret_access_key)

    @property
    def status(self) -> str:
        """What is true now."""
        return self.changes[-1][1]

    def status_at(self, moment: float) -> str:
        """What was true then."""
        return next((status for at, status in reversed(self.changes) if at <= moment), "")

    def shown(self, status: str) -> AccessKey:
        """The key as ListAccessKeys shows it."""
        return AccessKey(self.id, status, self.moto.create_date)


_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_HOME = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}  # where each partition runs IAM


class World:
    """One AWS account in moto, for one stand-in; empty at first, whatever moto knew of that number before."""

    def __init__(self, account: str, settings: Settings, organization: Organization) -> None:
        self.account = account
        self.settings = settings
        self.organization = organization
        self.created = self.now() - timedelta(days=1500)
        self.reports = Reports(self)
        self.mails: list[Any] = []  # what SES took
        self.published: list[Any] = []  # what SNS took
        self.left: dict[str, float] = {}  # when secrets were deleted at once, by name, in seconds since 1970
        self._keys: dict[str, Key] = {}
        self._owned: defaultdict[str, list[Key]] = defaultdict(list)  # by the user's id, deleted ones too
        self.devices: defaultdict[str, list[Device]] = defaultdict(list)  # by the user's name
        self.sessions: dict[str, Session] = {}
        self.roles: dict[str, Role] = {}  # by ARN
        self.documents: dict[str, list[Document]] = {}  # policies, by the ARN of the user or role
        behind.forget(account)

    @property
    def iam(self) -> IAMBackend:
        """The users and keys as moto holds them."""
        return iam_backends[self.account][self.settings.partition]

    def now(self) -> datetime:
        """The server's clock, to the second, as AWS's dates are."""
        return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=self.settings.clock_offset)

    def of_account(self, number: str) -> World | None:
        """Another account of the same organization, or this one."""
        return self.organization.worlds.get(number)

    # Users

    def arn_of(self, what: str, service: str = "iam") -> str:
        """An ARN of this account: `user/alice`, `root`."""
        return f"arn:{self.settings.partition}:{service}::{self.account}:{what}"

    def arn(self, user: MotoUser | None) -> str:
        """A user's, or root's."""
        return str(user.arn) if user else self.arn_of("root")

    def add_user(self, name: str, path: str, tags: Mapping[str, str], age: timedelta = timedelta(days=400)) -> MotoUser:
        """A new IAM user."""
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        user = self.iam.create_user(_HOME[self.settings.partition], name, path, listed)
        user.id = "AIDA" + "".join(secrets.choice(_ALPHABET) for _ in range(17))
        user.create_date = self.now() - age
        return user

    def user(self, name: str) -> MotoUser:
        """Raises Refused (NoSuchEntity)."""
        user: MotoUser | None = self.iam.users.get(name)
        if user is None:
            raise no("user", name)
        return user

    def group(self, name: str) -> MotoGroup:
        """Raises Refused (NoSuchEntity)."""
        group: MotoGroup | None = self.iam.groups.get(name)
        if group is None:
            raise no("group", name)
        return group

    # Keys

    def add_key(self, user: MotoUser | None, age: timedelta, status: str) -> Key:
        """A key that has been there for long, back-dated by `age`; root's if there is no user."""
        key = self.create_key(user)
        key.moto.create_date -= age
        key.moto.status = status
        key.changes = [(LONG_AGO, status)]
        return key

    def create_key(self, user: MotoUser | None) -> Key:
        """A new key, as CreateAccessKey makes it. Raises Refused (LimitExceeded)."""
        if len(self.keys_of(user)) >= 2:
            raise no("room")
        moto_key = self.iam.create_access_key(user.name) if user else self._root_key()
        moto_key.create_date = self.now()
        key = Key(moto_key, user, [(time.monotonic(), "Active")], len(self._keys))
        self._keys[key.id] = key
        self._past_and_present(user).append(key)
        return key

    def _root_key(self) -> MotoKey:
        return MotoKey(None, "AKIA", self.account)  # type: ignore[abstract]  # moto has no root, but makes such keys

    def set_status(self, key: Key, status: str) -> None:
        """Active or Inactive."""
        if status != key.status:
            key.moto.status = status
            key.changed = self.now()
            key.changes.append((time.monotonic(), status))

    def delete_key(self, key: Key) -> None:
        """Gone at once from moto, after the lags from view."""
        key.changes.append((time.monotonic(), ""))
        if key.user is not None:
            self.iam.delete_access_key_by_name(key.id)

    def key(self, key_id: str) -> Key:
        """The key, if it exists now. Raises Refused (NoSuchEntity)."""
        key = self._keys.get(key_id)
        if key is None or not key.status:
            raise no("no such key", key_id)
        return key

    def serial(self, key_id: str) -> str:
        """What sorts keys, deleted ones too, in the order they were made."""
        return f"{self._keys[key_id].number:09}"

    def knows(self, key_id: str) -> bool:
        """Whether it is or was a key or a session of this account."""
        return key_id in self._keys or key_id in self.sessions

    def owner(self, key_id: str) -> MotoUser | None:
        """Whose key it is or was; None for root's and for unknown ones."""
        key = self._keys.get(key_id)
        return key.user if key else None

    def key_of(self, user: MotoUser | None, key_id: str) -> Key:
        """The key, if it exists now and is this user's. Raises Refused (NoSuchEntity)."""
        key = self.key(key_id)
        if key.user is not user:
            raise no("no such key", key_id)
        return key

    def keys_of(self, user: MotoUser | None) -> list[Key]:
        """What is true now, oldest first."""
        return [key for key in self._past_and_present(user) if key.status]

    def listed(self, user: MotoUser | None) -> list[AccessKey]:
        """What ListAccessKeys shows now."""
        moment = time.monotonic() - self.settings.listing
        return [key.shown(status) for key in self._past_and_present(user) if (status := key.status_at(moment))]

    def _past_and_present(self, user: MotoUser | None) -> list[Key]:
        return self._owned[user.id if user else ""]

    # Signing in

    def signer(self, key_id: str, token: str, service: str) -> Signer:
        """Who signed, if this service takes the key at this moment. Raises Refused."""
        if key_id in self.sessions:
            return self._signer_of(self.sessions[key_id], token, service)
        key = self._keys.get(key_id)
        if key is None or token or not self._exists(key.user) or not self._taken(key, service):
            raise no("key")
        return Signer(key.pair, key.user, self.arn(key.user), key_id)

    def _signer_of(self, session: Session, token: str, service: str) -> Signer:
        if token != session.pair.token or not self._exists(session.user) or not session.may_call(service):
            raise no("key")
        if self.now() >= session.until:
            raise no("expired")
        return Signer(session.pair, session.user, session.arn, None, session.mfa, session.role, session.since)

    def open_session(
        self, user: MotoUser | None, seconds: int, *, mfa: bool = False, role: Role | None = None, name: str = "session"
    ) -> Session:
        """New temporary credentials of a user, or of a role under a session name."""
        arn = self.arn_of(f"assumed-role/{role.name}/{name}", "sts") if role else self.arn(user)
        now = self.now()
        until = now + timedelta(seconds=seconds)
        session = Session(temporary_pair(), None if role else user, role, arn, mfa, now, until)
        self.sessions[str(session.pair.key_id)] = session
        return session

    def device(self, user: MotoUser | None, serial: str) -> Device:
        """The user's device. Raises Refused (AccessDenied)."""
        found = [device for device in self.devices[user.name if user else ""] if device.serial == serial]
        if not found:
            raise no("device")
        return found[0]

    def _exists(self, user: MotoUser | None) -> bool:
        """Whether moto has not deleted the user."""
        return user is None or self.iam.users.get(user.name) is user

    def _taken(self, key: Key, service: str) -> bool:
        now = time.monotonic()
        if key.status != "Active":
            return key.status_at(now - self.settings.revocation) == "Active"
        since = key.changes[-1][0]
        if now < since + self.settings.propagation_of(service):
            return False
        if since == LONG_AGO:
            return True
        count = key.accepted.get(service, 0)
        key.accepted[service] = count + 1
        return self.settings.flapping_of(service)[count : count + 1] != "n"

    # Uses

    def used(self, signer: Signer, service: str, region: str) -> None:
        """Remember a call, for GetAccessKeyLastUsed. IAM is reported in the region where it is run."""
        if signer.key_id is None:
            return
        region = "us-east-1" if service == "iam" else region
        self._keys[signer.key_id].uses.append((time.monotonic(), LastUse(self.now(), service, region)))

    def tags(self, user: MotoUser) -> dict[str, str]:
        """A user's tags."""
        return {tag["Key"]: tag["Value"] for tag in user.tags or ()}

    def set_last_use(self, key: Key, use: LastUse) -> None:
        """Say when and by what a key was last used; shown at once, until a later call shows."""
        key.uses = [(LONG_AGO, use)]

    def last_use(self, key: Key) -> LastUse:
        """What GetAccessKeyLastUsed shows now; `at` is None for N/A."""
        moment = time.monotonic() - self.settings.last_use
        return next((use for at, use in reversed(key.uses) if at <= moment), LastUse(None, "N/A", "N/A"))


_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(slots=True)
class Entry:
    """An account as the organization knows it. `state`: ACTIVE, SUSPENDED, PENDING_CLOSURE; `units` are those above it,
    from the outermost on."""

    number: str
    name: str
    joined: datetime
    state: str = "ACTIVE"
    units: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)


class Organization:
    """All accounts, by their numbers."""

    def __init__(self, account: str, settings: Settings) -> None:
        self.settings = settings
        self.id = "o-" + "".join(secrets.choice(_LETTERS) for _ in range(10))
        self.worlds: dict[str, World] = {}
        self.entries: dict[str, Entry] = {}
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
        self._in_use(world)
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

    def list_for_parent(self, world: World, payload: Mapping[str, Any], *, units: bool) -> dict[str, Any]:
        """ListAccountsForParent, ListOrganizationalUnitsForParent. Raises Refused."""
        self._in_use(world)
        parent = payload["ParentId"]
        inside = [entry for entry in self.entries.values() if parent in entry.units]
        if not inside:
            raise Refused("ParentNotFoundException", "You specified a parent that doesn't exist.", 400)
        below = [entry.units[entry.units.index(parent) + 1 :] for entry in inside]
        if units:
            return {"OrganizationalUnits": [{"Id": each} for each in dict.fromkeys(rest[0] for rest in below if rest)]}
        return {"Accounts": [self._told(entry) for entry, rest in zip(inside, below, strict=True) if not rest]}

    def list_tags(self, world: World, payload: Mapping[str, Any]) -> dict[str, Any]:
        """ListTagsForResource of an account. Raises Refused."""
        self._in_use(world)
        tags = self.entries[payload["ResourceId"]].tags
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _in_use(self, world: World | None = None) -> None:
        if world and self.exists and world is not self.main:
            raise Refused("AccessDeniedException", "You don't have permissions to access this resource.", 400)
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
