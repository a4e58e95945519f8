"""The fleet's ports in memory. `test_contract.py` runs the same cases against these and against the real adapters."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from rotate_my_key.core.errors import Denied, Gone, NoRoom, NotAllowed, Problem, TryLater
from rotate_my_key.core.model import AccessKey, Credentials, Identity, LastUse
from rotate_my_key.fleet.audit import NotKept
from rotate_my_key.fleet.model import AwsAccount, Event, FleetUser, Message

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
NEVER = LastUse(None, "N/A", "N/A")
HEAD = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,"
    "access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
    "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,"
    "cert_2_last_rotated"
)
BEGINNING = {
    "request_report",
    "report",
    "users",
    "find",
    "keys",
    "members",
    "has_password",
    "has_policy",
}  # verbs that begin something


def rows(table: str, cells: int) -> list[list[str]]:
    """The rows of a table in text: cells between `|`; a line that is indented goes on with the row above."""
    joined = re.sub(r"\n +", " ", table.strip()).splitlines()
    found = [[cell.strip() for cell in row.split("|")] for row in joined if row]
    assert all(len(row) == cells for row in found), [row for row in found if len(row) != cells]
    return found


def flat(text: str) -> str:
    """A message as one line, however it was wrapped."""
    return " ".join(text.split())


def spoil(
    target: Any,
    verb: str,
    error: BaseException,
    when: Callable[..., bool] = lambda *args: True,
    *,
    skip: int = 0,
    times: int = 10**9,
    done: bool = False,
) -> None:
    """A verb raises, in calls whose arguments `when` picks, after `skip` good ones; with `done` it was carried out."""
    real, left = getattr(target, verb), [skip, times]

    def spoiled(*args: Any) -> Any:
        mine = when(*args)
        if not mine or left[0] or not left[1]:
            left[0] -= mine and left[0] > 0
            return real(*args)
        left[1] -= 1
        if done:
            real(*args)
        raise error

    setattr(target, verb, spoiled)


class Killed(BaseException):
    """`kill -9`: no code of the program runs any more."""


class Points:
    """Counts what a run passes; at `kill_at` it dies, `faults` are words for a point."""

    def __init__(self) -> None:
        self.stop()

    def start(self, kill_at: int | None = None, faults: Mapping[int, str] | None = None) -> None:
        """A new process."""
        self.names: list[str] = []
        self.kill_at, self.faults, self.counts = kill_at, faults or {}, True

    def stop(self) -> None:
        """Nothing happens any more at what is watched."""
        self.start()
        self.counts = False

    def reach(self, name: str) -> str:
        """One point; gives the word of the fault that is due here."""
        number = len(self.names)
        self.names.append(name)
        if number == self.kill_at:
            raise Killed(name)
        return self.faults.get(number, "")

    def watch(self, target: Any, *verbs: str) -> None:
        """From `start` on, before each of these verbs and when it was carried out there is a point."""

        def call(verb: str, real: Callable[..., Any], *args: Any, **named: Any) -> Any:
            if self.counts:
                self.reach(verb)
            result = real(*args, **named)
            if self.counts:
                self.reach(f"{verb}, done")
            return result

        for verb in verbs:
            setattr(target, verb, partial(call, verb, getattr(target, verb)))

    def around(self, name: str, do: Callable[[], object]) -> None:
        """A call that changes something: lost before or after it is carried out, denied, or done."""
        word = self.reach(name)
        if word == "denied":
            raise Denied(f"not allowed to {name}")
        if word == "before":
            raise TryLater("no answer came")
        do()
        if self.reach(f"{name}, done") == "after" or word == "after":
            raise TryLater("no answer came")


@dataclass
class User:
    """One user; `keys` maps ids to what ListAccessKeys says, `used` to what GetAccessKeyLastUsed says."""

    name: str
    path: str = "/"
    tags: dict[str, str] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    keys: dict[str, AccessKey] = field(default_factory=dict)
    used: dict[str, LastUse] = field(default_factory=dict)
    password: bool = True
    policies: dict[str, str] = field(default_factory=dict)
    signed_in: datetime | None = None
    created: datetime = NOW - timedelta(days=700)


class FakeDirectory:
    """One account in memory. `broken` maps a verb to what it raises; `calls` counts the verbs."""

    def __init__(self, number: str = "123456789012", name: str = "") -> None:
        self.account = AwsAccount(number, name)
        self.everybody: dict[str, User] = {}
        self.root_keys: list[AccessKey] = []
        self.groups: set[str] = set()
        self.broken: dict[str, Problem] = {}
        self.calls: Counter[str] = Counter()
        self.waits = 0  # how often a report is not ready yet
        self.changed: dict[str, datetime] = {}  # when a key was last changed, by id: the report's date
        self.unreported: set[str] = set()  # ids of keys made after the report
        self.now = NOW
        self.begin: Callable[[AwsAccount], None] = lambda account: None
        self._made = 0

    def user(self, name: str, *ages: float, path: str = "/", **tags: str) -> User:
        """Add a user with an active key of each age in days."""
        user = self.everybody[name] = User(name, path, dict(tags))
        for age in ages:
            self.key(name, age)
        return user

    def key(self, name: str, age: float, status: str = "Active", use: LastUse = NEVER) -> str:
        """Add a key; gives its id."""
        self._made += 1
        key_id = f"AKIA{self.account.number[-4:]}{self._made:012d}"
        user = self.everybody[name]
        user.keys[key_id] = AccessKey(key_id, status, self.now - timedelta(days=age))
        user.used[key_id] = use
        return key_id

    def _called(self, verb: str) -> None:
        if verb in BEGINNING:
            self.begin(self.account)
        self.calls[verb] += 1
        if verb in self.broken:
            raise self.broken[verb]

    def _user(self, name: str) -> User:
        if name not in self.everybody:
            raise Gone(f"there is no user {name}")
        return self.everybody[name]

    def arn(self, user: User) -> str:
        """The user's."""
        return f"arn:aws:iam::{self.account.number}:user{user.path}{user.name}"

    def request_report(self) -> bool:
        self._called("request_report")
        self.waits -= 1
        return self.waits < 0

    def report(self) -> tuple[str, datetime]:
        self._called("report")
        if self.waits > 0:
            raise TryLater("the credential report is not ready")
        out = io.StringIO()
        more = any(len(user.keys) > 2 for user in self.everybody.values())
        root = User(
            "<root_account>", created=NOW - timedelta(days=900), keys={key.key_id: key for key in self.root_keys}
        )
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow([*HEAD.split(","), *(["additional_credentials_info"] if more else [])])
        for user in (root, *self.everybody.values()):
            hidden = f"{len(user.keys) - 2} more" if len(user.keys) > 2 else "N/A"
            rows.writerow([*self._row(user, is_root=user is root), *([hidden] if more else [])])
        return out.getvalue(), self.now

    def _row(self, user: User, *, is_root: bool) -> list[str]:
        arn = f"arn:aws:iam::{self.account.number}:root" if is_root else self.arn(user)
        password = "not_supported" if is_root else str(user.password).lower()
        signed_in = user.signed_in.isoformat() if user.signed_in else "N/A"
        row = [user.name, arn, user.created.isoformat(), password, signed_in, "N/A", "N/A", "false"]
        for key in [*(key for key in user.keys.values() if key.key_id not in self.unreported), None, None][:2]:
            use = user.used.get(key.key_id, NEVER) if key else NEVER
            row += [
                str(bool(key and key.active)).lower(),
                self.changed.get(key.key_id, key.created).isoformat() if key else "N/A",
                use.at.isoformat() if use.at else "N/A",
                use.region or "N/A",
                use.service or "N/A",
            ]
        return [*row, "false", "N/A", "false", "N/A"]

    def users(self) -> Iterator[FleetUser]:
        self._called("users")
        yield from map(self._seen, self.everybody.values())

    def find(self, user: str) -> FleetUser:
        self._called("find")
        found = self._user(user)
        return replace(self._seen(found), tags=dict(found.tags))

    def _seen(self, user: User) -> FleetUser:
        return FleetUser(self.account.number, self.arn(user), created=user.created, signed_in=user.signed_in)

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        self._called("keys")
        return tuple(self._user(user).keys.values())

    def last_use(self, key_id: str) -> LastUse | None:
        self.calls["last_use"] += 1
        if "last_use" in self.broken:
            return None
        return next((user.used[key_id] for user in self.everybody.values() if key_id in user.used), None)

    def tags(self, user: str) -> Mapping[str, str] | None:
        self.calls["tags"] += 1
        problem = self.broken.get("tags")
        if isinstance(problem, Denied):
            return None
        if problem:
            raise problem
        return dict(self._user(user).tags)

    def members(self, group: str) -> frozenset[str]:
        self._called("members")
        named = frozenset(user.name for user in self.everybody.values() if group in user.groups)
        if not named and group not in self.groups:
            raise Gone(f"there is no group {group}")
        return named

    def tag(self, user: str, key: str, value: str) -> None:
        self._called("tag")
        tags = self._user(user).tags
        if key not in tags and len(tags) >= 50:
            raise NotAllowed("the user has 50 tags already")
        tags[key] = value

    def untag(self, user: str, key: str) -> None:
        self._called("untag")
        self._user(user).tags.pop(key, None)

    def set_active(self, user: str, key_id: str, active: bool) -> None:
        self._called("set_active")
        keys = self._user(user).keys
        if key_id not in keys:
            raise Gone(f"there is no key {key_id}")
        keys[key_id] = AccessKey(key_id, "Active" if active else "Inactive", keys[key_id].created)

    def delete(self, user: str, key_id: str) -> None:
        self._called("delete")
        if self._user(user).keys.pop(key_id, None) is None:
            raise Gone(f"there is no key {key_id}")

    def groups_of(self, user: str) -> frozenset[str]:
        self._called("groups_of")
        return frozenset(self._user(user).groups)

    def has_password(self, user: str) -> bool:
        self._called("has_password")
        return user in self.everybody and self.everybody[user].password

    def has_policy(self, user: str, name: str) -> bool:
        self._called("has_policy")
        return user in self.everybody and name in self.everybody[user].policies

    def delete_password(self, user: str) -> None:
        self._called("delete_password")
        found = self._user(user)
        if not found.password:
            raise Gone(f"there is no such password of {user}")
        found.password = False

    def put_policy(self, user: str, name: str, document: str) -> None:
        self._called("put_policy")
        self._user(user).policies[name] = document

    def delete_policy(self, user: str, name: str) -> None:
        self._called("delete_policy")
        if self._user(user).policies.pop(name, None) is None:
            raise Gone(f"there is no such policy of {user}")

    def create(self, user: str) -> tuple[Credentials, AccessKey]:
        self._called("create")
        if len(self._user(user).keys) >= 2:
            raise NoRoom("the user has two access keys already")
        key_id = self.key(user, 0)
        return Credentials(key_id, f"secret-of-{key_id}"), self._user(user).keys[key_id]


class FakeOrganization:
    """Accounts in memory; the first is the caller's own."""

    def __init__(self, *directories: FakeDirectory) -> None:
        self.directories = {each.account.number: each for each in directories or (FakeDirectory(),)}
        self.broken: Problem | None = None
        self.left_out: tuple[AwsAccount, ...] = ()
        self.number = ""
        self.in_session = False
        self.begin: Callable[[AwsAccount], None] = lambda account: None

    def me(self) -> Identity:
        number = next(iter(self.directories))
        return Identity(number, f"arn:aws:sts::{number}:assumed-role/fleet/session")

    def accounts(self) -> tuple[AwsAccount, ...]:
        if self.broken:
            raise self.broken
        return tuple(each.account for each in self.directories.values())

    def directory(self, account: AwsAccount) -> FakeDirectory:
        found = self.directories[account.number]
        found.begin = lambda there: self.begin(there)
        return found


@dataclass(eq=False)
class FakeChannel:
    """Keeps what it was given; `broken` is raised instead."""

    name: str = "mail"
    wants_address: bool = True
    personal: bool = True
    sent: list[Message] = field(default_factory=list)
    broken: Problem | None = None

    def deliver(self, message: Message) -> None:
        if self.broken:
            raise self.broken
        self.sent.append(message)

    def check(self) -> tuple[str, ...]:
        return ()


@dataclass
class FakeAudit:
    """Keeps events; raises `broken`, or that the disk is full after `good` more."""

    events: list[Event] = field(default_factory=list)
    numbers: Mapping[str, float] = field(default_factory=dict)
    broken: Problem | None = None
    good: int = 10**9

    def record(self, *events: Event) -> None:
        if self.broken:
            raise self.broken
        if self.good <= 0:
            raise NotKept("the audit cannot be written (disk full)")
        self.good -= 1
        self.events += events

    def close(self, numbers: Mapping[str, float]) -> None:
        self.numbers = numbers

    def lines(self) -> list[str]:
        """`deactivated alice intended`, without the frame of the run."""
        return [f"{each.what} {each.user} {each.outcome}" for each in self.events if each.user]
