"""Two hundred days of one user, run by run, with nothing but the pure decisions and what the tag remembers.

Day 0 is when his first key was made. He uses his keys every day, and takes over a key that IT made for him after so
many days; a key that he does not take over within seven is deleted again, as `reissue` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rotate_my_key.core.model import LastUse
from rotate_my_key.core.policy import Verdict
from rotate_my_key.fleet.memory import KeyMemory, decode, encode, ref
from rotate_my_key.fleet.model import FleetKey, FleetUser, Owner
from rotate_my_key.fleet.notices import DueKey, plan_notices
from rotate_my_key.fleet.remind import after_notice
from rotate_my_key.fleet.rules import Act, ActionKind, UserFacts, decide, observed
from rotate_my_key.settings.fleet import FleetSettings
from tests.fleet.fakes import FakeDirectory

START = datetime.fromisoformat("2026-01-05T09:00:00+00:00")
DAY = timedelta(days=1)
TAG = "rotate-my-key-fleet"
Log = list[tuple[int, str]]


@dataclass
class Life:
    """One user. `takes` is after how many days he takes over a key of IT's, None for never; `uses`: whether he uses
    what works."""

    settings: FleetSettings
    takes: int | None = 1
    uses: bool = True
    exempt: str = ""
    directory: FakeDirectory = field(default_factory=FakeDirectory)
    log: Log = field(default_factory=list)
    told: Log = field(default_factory=list)

    def __post_init__(self) -> None:
        self.directory.now = START
        self.directory.user("alice")

    def key(self, age: float, status: str = "Active") -> str:
        """A key that is so old on day 0."""
        return self.directory.key("alice", age, status)

    def live(self, every: int = 1, days: int = 200, first: int = 0) -> Log:
        """All days, with a run on each `every`th from day `first` on; gives what was done, by day."""
        for day in range(days + 1):
            self.day(day, runs=day >= first and (day - first) % every == 0)
        return self.log

    def day(self, day: int, *, runs: bool) -> None:
        """One day, with a run on it or not."""
        self.directory.now = START + day * DAY
        self._lives(day)
        if runs:
            self._run(day)

    def _lives(self, day: int) -> None:
        user, memory = self.directory.everybody["alice"], self._memory()
        for key in list(user.keys.values()):
            made = memory.get(ref(key.key_id), KeyMemory()).made
            if made is None:
                if self.uses and key.active:
                    user.used[key.key_id] = LastUse(self.directory.now - timedelta(hours=1), "s3", "eu-west-1")
                continue
            age = (self.directory.now.date() - made).days
            if self.takes is not None and age >= self.takes:  # adopt rotates at once
                self.directory.delete("alice", key.key_id)
                own, _ = self.directory.create("alice")
                self.log.append((day, f"{self._name(own.key_id)} takes over"))
            elif age >= 7:
                self.directory.delete("alice", key.key_id)
                self.log.append((day, f"{self._name(key.key_id)} was not fetched"))

    def _run(self, day: int) -> None:
        facts = self._facts()
        self._remind(day, facts)
        facts = self._facts()
        self._write(dict(facts.memory))
        for decision in decide(facts, self.settings, self.directory.now):
            if isinstance(decision, Act):
                self._do(day, decision)

    def _remind(self, day: int, facts: UserFacts) -> None:
        now, policy = self.directory.now, self.settings.policy
        cases = [
            DueKey(self.directory.account, facts.user, key, verdict, Owner("alice", "alice@example.com"))
            for key in facts.user.keys
            if key.active and not self.exempt and (verdict := policy.verdict(key, now)) is not Verdict.FRESH
        ]
        for planned in plan_notices(cases, policy, self.settings.remind, now).now:
            ids = [case.key.key_id or "" for case in planned.cases]
            self._write(after_notice(self._memory(), ids, now.date()))
            self.told.append((day, " ".join(map(self._name, ids))))

    def _do(self, day: int, act: Act) -> None:
        key_id, today, memory = act.key.key_id or "", self.directory.now.date(), self._memory()
        self.log.append((day, f"{act.kind.value} {self._name(key_id)}"))
        match act.kind:
            case ActionKind.NOTIFY:
                self._write(after_notice(memory, [key_id], today))
            case ActionKind.DEACTIVATE:
                assert self.directory.everybody["alice"].keys[key_id].active
                memory[ref(key_id)] = replace(memory.get(ref(key_id), KeyMemory()), off=today)
                self._write(memory)
                self.directory.set_active("alice", key_id, active=False)
            case ActionKind.DELETE:
                assert not self.directory.everybody["alice"].keys[key_id].active
                self.directory.delete("alice", key_id)
            case ActionKind.REISSUE:
                pair, _ = self.directory.create("alice")
                self._write({**memory, ref(pair.key_id): KeyMemory(made=today)})

    def _facts(self) -> UserFacts:
        user = self.directory.everybody["alice"]
        keys = tuple(FleetKey(key.active, key.created, key.key_id, user.used[key.key_id]) for key in user.keys.values())
        found = FleetUser(self.directory.account.number, self.directory.arn(user), keys, tags=dict(user.tags))
        memory = observed(found, self._memory(), self.settings.policy, self.directory.now)
        return UserFacts(found, memory, self.exempt)

    def _memory(self) -> dict[str, KeyMemory]:
        return decode(self.directory.everybody["alice"].tags.get(TAG))

    def _write(self, memory: dict[str, KeyMemory]) -> None:
        keys = self.directory.everybody["alice"].keys
        self.directory.tag("alice", TAG, encode(memory, keys))

    def _name(self, key_id: str) -> str:
        """A, B, ... in the order in which they were made."""
        return chr(ord("A") + int(key_id[-12:]) - 1)

    def acts(self) -> Log:
        """What was done to keys: without notices."""
        return [(day, what) for day, what in self.log if not what.startswith("notify")]
