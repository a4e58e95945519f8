"""A company in memory: two accounts, people with keys, channels, an audit, and a clock that can be set forward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import LastUse
from rotate_my_key.fleet.actions import Notifier, ReissuedKey
from rotate_my_key.fleet.enforce import EnforceResult, carry_out
from rotate_my_key.fleet.enforce_plan import EnforceContext, EnforcePlan, plan_run
from rotate_my_key.fleet.memory import KeyMemory, decode, encode, ref
from rotate_my_key.fleet.messages import Channels, Renderer
from rotate_my_key.settings.fleet import Accounts, Enforce, FleetSettings, Owners, ReissueSettings
from tests.fleet.fakes import NOW, FakeAudit, FakeChannel, FakeDirectory, FakeOrganization

DAY = timedelta(days=1)
HERE, THERE = "123456789012", "210987654321"
ALL = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TAG = "rotate-my-key-fleet"
RENDERER = Renderer("", NOW)  # templates are compiled once
RULES = FleetSettings(
    accounts=Accounts(role="fleet"),
    owners=Owners(domain="example.com"),
    enforce=Enforce(deactivate_at=90 * DAY, delete_after=10 * DAY, accounts=(HERE, THERE), weekdays=ALL, hours="0-24"),
    reissue=ReissueSettings(enabled=True),
)


@dataclass
class Company:
    """All of it. `advance` moves the clock; `run` is one `fleet enforce --apply`."""

    settings: FleetSettings = RULES
    here: FakeDirectory = field(default_factory=lambda: FakeDirectory(HERE, "prod"))
    there: FakeDirectory = field(default_factory=lambda: FakeDirectory(THERE, "test"))
    mail: FakeChannel = field(default_factory=FakeChannel)
    chat: FakeChannel = field(default_factory=lambda: FakeChannel("chat", wants_address=False))
    audit: FakeAudit = field(default_factory=FakeAudit)
    now: datetime = NOW
    maker: Any = None
    time_left: float = float("inf")
    owners: tuple[FakeChannel, ...] | None = None  # other channels than mail

    def __post_init__(self) -> None:
        self.organization = FakeOrganization(self.here, self.there)

    def enforce(self, **values: Any) -> None:
        """Change [enforce]."""
        self.settings = replace(self.settings, enforce=replace(self.settings.enforce, **values))

    def advance(self, days: float) -> None:
        """Later. The keys get older."""
        self.now += days * DAY
        for directory in (self.here, self.there):
            directory.now = self.now

    def user(self, name: str, *ages: float, told: int | None = 10, where: FakeDirectory | None = None) -> list[str]:
        """A user with active keys, of which his owner was told so many days ago; gives the ids."""
        directory = where or self.here
        directory.user(name)
        ids = [directory.key(name, age) for age in ages]
        if told is not None:
            day = (self.now - told * DAY).date()
            self.remember(name, {key_id: noticed(1, day, day) for key_id in ids}, directory)
        return ids

    def remember(self, name: str, memory: Mapping[str, KeyMemory], where: FakeDirectory | None = None) -> None:
        """Write a user's tag; by key id."""
        value = encode({ref(key_id): each for key_id, each in memory.items()})
        (where or self.here).everybody[name].tags[TAG] = value

    def off(self, name: str, age: float, days: int) -> str:
        """A user whose key was switched off so many days ago, after a notice; gives its id."""
        (key_id,) = self.user(name, age, told=None)
        self.here.set_active(name, key_id, active=False)
        day = (self.now - days * DAY).date()
        self.remember(name, {key_id: noticed(1, day, day, off=day)})
        return key_id

    def breaks(self, verb: str, problem: Problem) -> None:
        """A verb fails in the first account."""
        self.here.broken[verb] = problem

    def known(self, name: str, key_id: str, where: FakeDirectory | None = None) -> KeyMemory:
        """What the tag says of a key."""
        memory = decode((where or self.here).everybody[name].tags.get(TAG))
        return memory.get(ref(key_id), KeyMemory())

    def status(self, name: str, where: FakeDirectory | None = None) -> dict[str, str]:
        """A user's keys: Active or Inactive by id."""
        return {key.key_id: key.status for key in (where or self.here).everybody[name].keys.values()}

    def context(self) -> EnforceContext:
        """What planning needs."""
        channels = Channels((self.mail,) if self.owners is None else self.owners, (self.chat,), ())
        notifier = Notifier(channels, self.settings, RENDERER)
        return EnforceContext(
            self.organization, self.settings, {}, notifier, lambda: self.now, lambda seconds: None, workers=2
        )

    def plan(self) -> EnforcePlan:
        """`fleet enforce`: nothing is done."""
        return plan_run(self.context())

    def run(self) -> EnforceResult:
        """`fleet enforce --apply`."""
        return self.carry_out(self.plan())

    def carry_out(self, plan: EnforcePlan) -> EnforceResult:
        """What `--apply` does with a plan."""
        return carry_out(plan, self.context(), self.audit, self.maker, time_left=lambda: self.time_left)

    def use(self, name: str, key_id: str, at: datetime | None = None, where: FakeDirectory | None = None) -> None:
        """The key is used."""
        (where or self.here).everybody[name].used[key_id] = LastUse(at or self.now, "s3", "eu-west-1")


def make(directory: FakeDirectory, user: Any) -> ReissuedKey:
    """A key that waits."""
    pair, _ = directory.create(user.name)
    return ReissuedKey(pair.key_id, "secretsmanager:arn:x")


def noticed(notices: int, first: date, last: date, **more: date) -> KeyMemory:
    """So many notices, each of which said what is coming."""
    return KeyMemory(notices, first, last, warnings=notices, warned=first, **more)


def planned(plan: EnforcePlan) -> list[str]:
    """`notify alice`, `deactivate alice`, `spare bob: exempt`."""
    steps = [f"{step.act.kind.value} {step.act.user.name}" for step in (*plan.notices, *plan.acts)]
    return steps + [f"spare {spare.user.name}: {spare.rule.value}" for _, spare in plan.spared]


def did(outcome: EnforceResult) -> list[str]:
    """`deactivate alice done`, `spare bob: exempt`."""
    results = [f"{result.act.kind.value} {result.act.user.name} {result.state.value}" for result in outcome.results]
    return results + [f"spare {spare.user.name}: {spare.rule.value}" for _, spare in outcome.spared]
