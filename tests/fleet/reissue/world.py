"""A fleet in memory for `reissue`: one account, Secrets Manager or S3, a clock that passes only by waiting.

Before and after whatever a verb does there is a point, where the run may be killed or the answer be lost: the fakes are
no more atomic than the real things.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from rotate_my_key.core.errors import Denied, Gone, Unanswered
from rotate_my_key.core.model import AccessKey, Credentials, Identity, LastUse
from rotate_my_key.fleet.cleanup import CleanupResult, Sweeper, sweep
from rotate_my_key.fleet.handover import BucketStore, HandoverStore, SecretStore
from rotate_my_key.fleet.model import AwsAccount
from rotate_my_key.fleet.reissue import (
    HandoverResult,
    ReissueContext,
    ReissuePlan,
    ReissueRequest,
    hand_over,
    plan_reissue,
)
from rotate_my_key.settings.fleet import FleetSettings
from rotate_my_key.settings.fleet import ReissueSettings as Settings
from rotate_my_key.state.transit import Delivered, read_delivery
from tests.fleet.fakes import NEVER, NOW, FakeAudit, FakeDirectory, FakeOrganization, Killed, Points

ACCOUNT = AwsAccount("123456789012")
REGION = "eu-west-1"
DAY = timedelta(days=1)


class World(FakeDirectory):
    """One account whose clock is the world's; `create` may lose its answer."""

    def __init__(self, points: Points) -> None:
        super().__init__(ACCOUNT.number)
        self.points = points
        self.lag = 0.0  # seconds until a new key is listed
        self.since: dict[str, datetime] = {}

    def keys(self, user: str) -> tuple[AccessKey, ...]:
        self.points.reach("list")
        late = timedelta(seconds=self.lag)
        return tuple(key for key in super().keys(user) if self.now >= self.since.get(key.key_id, self.now) + late)

    def create(self, user: str) -> tuple[Credentials, AccessKey]:
        word = self.points.reach("create")
        if word == "denied":
            raise Denied("not allowed to create")
        if word == "before":
            raise Unanswered("no answer came")
        made = super().create(user)
        self.since[made[0].key_id] = self.now
        if self.points.reach("create, done") == "after" or word == "after":
            raise Unanswered("no answer came")
        return made

    def set_active(self, user: str, key_id: str, active: bool) -> None:
        self.points.around("update", lambda: super(World, self).set_active(user, key_id, active))

    def delete(self, user: str, key_id: str) -> None:
        self.points.around("delete", lambda: super(World, self).delete(user, key_id))

    def tag(self, user: str, key: str, value: str) -> None:
        self.points.around("tag", lambda: super(World, self).tag(user, key, value))


@dataclass
class Stored:
    """One secret."""

    value: str
    policy: str
    tags: dict[str, str]
    changed: datetime


class FakeSecrets:
    """Secrets Manager in memory: policy, value and tags change one after the other."""

    def __init__(self, points: Points, now: Callable[[], datetime]) -> None:
        self._points, self._now = points, now
        self.held: dict[str, Stored] = {}

    def put(self, name: str, value: str, policy: str, tags: Mapping[str, str], kms_key: str = "") -> str:
        stored = self.held.get(name)
        if stored is None:
            new = Stored("", "", dict(tags), self._now())
            self._points.around("create secret", lambda: self.held.update({name: new}))
            stored = self.held[name]
        changed = {"policy": policy, "value": value, "tags": dict(tags)}
        for part, text in changed.items():
            self._points.around(f"put {part}", lambda part=part, text=text: setattr(stored, part, text))  # type: ignore[misc]
        stored.changed = self._now()
        return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT.number}:secret:{name}-AbCdEf"

    def get(self, name: str) -> str:
        if name not in self.held or not self.held[name].value:
            raise Gone(f"there is no secret {name}, or it has no value")
        return self.held[name].value

    def about(self, name: str) -> tuple[datetime, Mapping[str, str]] | None:
        self._points.reach("about")
        found = self.held.get(name)
        return (found.changed, dict(found.tags)) if found else None

    def delete(self, name: str) -> None:
        self._points.around("delete secret", lambda: self.held.pop(name, None))

    def names(self, prefix: str) -> Iterator[tuple[str, datetime, Mapping[str, str]]]:
        for name, found in list(self.held.items()):
            if name.startswith(prefix):
                yield name, found.changed, dict(found.tags)


class FakeObjects:
    """A bucket in memory."""

    def __init__(self, points: Points, now: Callable[[], datetime]) -> None:
        self._points, self._now = points, now
        self.held: dict[str, tuple[bytes, datetime]] = {}

    def put(self, bucket: str, name: str, body: bytes, kms_key: str = "") -> None:
        self._points.around("put object", lambda: self.held.update({name: (body, self._now())}))

    def get(self, bucket: str, name: str) -> bytes:
        self._points.reach("get object")
        if name not in self.held:
            raise Gone(f"there is no object {name}")
        return self.held[name][0]

    def delete(self, bucket: str, name: str) -> None:
        self._points.around("delete object", lambda: self.held.pop(name, None))

    def names(self, bucket: str, prefix: str) -> Iterator[tuple[str, datetime]]:
        yield from [(name, at) for name, (_, at) in sorted(self.held.items()) if name.startswith(prefix)]

    def link(self, bucket: str, name: str, seconds: int) -> str:
        return f"https://{bucket}.s3.amazonaws.com/{name}?X-Amz-Expires={seconds}"


@dataclass
class Company:
    """All of it; `through` is secretsmanager or s3."""

    through: str = "secretsmanager"
    points: Points = field(default_factory=Points)
    audit: FakeAudit = field(default_factory=FakeAudit)
    runs: int = 0
    elsewhere: dict[str, FakeSecrets] = field(default_factory=dict)  # secrets of other accounts

    def __post_init__(self) -> None:
        self.world = World(self.points)
        self.secrets = FakeSecrets(self.points, self.now)
        self.objects = FakeObjects(self.points, self.now)
        self.settings = FleetSettings(reissue=Settings(enabled=True, through=self.through, bucket="handover"))
        self.me = Identity(ACCOUNT.number, f"arn:aws:sts::{ACCOUNT.number}:assumed-role/fleet/it")

    def now(self) -> datetime:
        """AWS's clock."""
        return self.world.now

    def pause(self, seconds: float) -> None:
        """Time passes."""
        self.world.now += timedelta(seconds=seconds)

    @property
    def waiting(self) -> HandoverStore:
        """The places."""
        if self.through == "s3":
            return BucketStore(self.objects, self.settings.reissue)
        return SecretStore(
            self.secrets, self.me, self.settings.reissue, self.elsewhere.__getitem__, lambda: (ACCOUNT.number,)
        )

    # What IT does

    def plan(self, user: str = "alice", **wishes: bool) -> ReissuePlan:
        """Look and decide."""
        request = ReissueRequest(ACCOUNT, user, **wishes)  # type: ignore[arg-type]
        return plan_reissue(request, self.world, self.waiting, self.settings, self.now())

    def reissue(self, user: str = "alice", **wishes: bool) -> HandoverResult:
        """A whole run."""
        self.runs += 1
        plan = self.plan(user, **wishes)
        run = f"run{self.runs}"
        context = ReissueContext(self.waiting, self.settings, self.audit, run, self.now, self.pause)
        return hand_over(plan, self.world, context)

    def sweep(self, *, apply: bool = True) -> list[CleanupResult]:
        """A whole sweep."""
        organization = FakeOrganization(self.world)
        return list(sweep(Sweeper(organization, self.waiting, self.settings, self.audit, self.now, apply=apply)))

    # Looking

    def delivery(self, user: str = "alice") -> Delivered:
        """What the user would fetch."""
        if self.through == "s3":
            (name,) = [name for name in self.objects.held if f"/{user}/key" in name]
            return read_delivery(self.objects.get("handover", name))
        return read_delivery(self.secrets.get(f"rotate-my-key/{ACCOUNT.number}/{user}/handover"))

    def policy(self, user: str = "alice") -> dict[str, list[dict[str, object]]]:
        """Who may read the secret."""
        found: dict[str, list[dict[str, object]]] = json.loads(
            self.secrets.held[f"rotate-my-key/{ACCOUNT.number}/{user}/handover"].policy
        )
        return found

    @property
    def places(self) -> list[str]:
        """The names of all that is stored."""
        return sorted([*self.secrets.held, *self.objects.held])

    def status(self, user: str = "alice") -> dict[str, str]:
        """A user's keys at AWS."""
        return {key_id: key.status for key_id, key in self.world.everybody[user].keys.items()}

    def used(self, key_id: str, service: str = "sts") -> None:
        """AWS has recorded a use."""
        for user in self.world.everybody.values():
            if key_id in user.used:
                user.used[key_id] = LastUse(self.now(), service, REGION)

    def later(self, by: timedelta) -> None:
        """Time passes."""
        self.world.now += by

    def enabled(self, **changes: object) -> None:
        """Other settings."""
        self.settings = replace(self.settings, reissue=replace(self.settings.reissue, **changes))  # type: ignore[arg-type]


__all__ = ["ACCOUNT", "DAY", "NEVER", "NOW", "UTC", "Company", "FakeSecrets", "Killed", "Points"]
