"""5,000 laptops, hour by hour: each decides by the schedule's and the fleet's own code."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from rotate_my_key.core.model import RECALL_KEY, AccessKey, LastUse, Recall, recalled
from rotate_my_key.core.policy import Policy, Verdict
from rotate_my_key.fleet.memory import KeyMemory, ref
from rotate_my_key.fleet.model import FleetKey, FleetUser
from rotate_my_key.fleet.rules import Act, ActionKind, UserFacts, decide
from rotate_my_key.schedule.job import Attempt, Runs, has_answered, is_done, minute_of
from rotate_my_key.settings.fleet import Enforce, FleetSettings

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 12, 2, 9, 0, tzinfo=UTC)
RECALL = Recall(NOW, NOW + 2 * DAY, "incident 4711")
TAGS = {RECALL_KEY: RECALL.value}
RULES = FleetSettings(enforce=Enforce(reissue_at=89 * DAY, deactivate_at=90 * DAY, accounts=("123456789012",)))


class Computer:
    """One laptop with a schedule: when its key was made, and its runs."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.minute = minute_of(f"laptop-{number} 1000")
        self.created = NOW - chance.randrange(1, 75) * DAY
        self.refuses = chance.random() < 0.02  # MFA, an unknown second key: it is left to the person
        self.runs = self.ran(NOW - chance.randrange(1, 20) * HOUR)
        self.looks = 0

    def ran(self, at: datetime, code: int = 0) -> Runs:
        """A run that came to its end."""
        return Runs(*[Attempt(at, code)] * 2)

    def hour(self, at: datetime, tags: dict[str, str]) -> None:
        """What `schedule run --daily` does in this hour."""
        self.looks, now = 0, at + self.minute * timedelta(minutes=1)
        if is_done(self.runs, now):
            self.looks += 1
            recall = recalled(tags, self.created, now)
            if not recall or has_answered(self.runs, recall.at, timedelta(0)):
                return
        key = AccessKey("AKIA", "Active", self.created)
        due = recalled(tags, self.created, now) or Policy().verdict(key, now) is not Verdict.FRESH
        if due and not self.refuses:
            self.created = now
        self.runs = self.ran(now, 4 if due and self.refuses else 0)

    def enforced(self, at: datetime) -> list[ActionKind]:
        """What `fleet enforce` would do with its key."""
        key = FleetKey(True, self.created, "AKIAABCDEFGHIJKLMNOP", LastUse(at - HOUR, "s3", "eu-west-1"))
        told = {
            ref(key.key_id or ""): KeyMemory(
                notices=1, first=NOW.date(), last=NOW.date(), warnings=1, warned=NOW.date(), recalled=2
            )
        }
        user = FleetUser("123456789012", "arn:aws:iam::123456789012:user/a", (key,), tags=TAGS)
        return [each.kind for each in decide(UserFacts(user, told), RULES, at) if isinstance(each, Act)]


def test_95_of_100_that_are_online_rotate_within_an_hour_and_nobody_is_locked_out() -> None:
    """60% are online at any hour. One look an hour each. Whose key is switched off on the day had needed a person, and
    gets a new one in the same run."""
    chance = random.Random(16)  # noqa: S311
    laptops = [Computer(number, chance) for number in range(5000)]
    rotated, most = [], 0
    for hour in range(-2, 17):
        online = [each for each in laptops if chance.random() < 0.6]
        for each in online:
            each.hour(NOW + hour * HOUR, TAGS if hour >= 0 else {})
            most = max(most, each.looks)
        new = sum(each.created >= NOW for each in laptops)
        rotated.append(new)
        if hour == 0:
            assert new >= 0.95 * len(online)
    assert most <= 2
    late = [(each.refuses, *acts) for each in laptops if (acts := each.enforced(NOW + 3 * DAY))]
    assert late == [(True, ActionKind.REISSUE, ActionKind.DEACTIVATE)] * sum(each.refuses for each in laptops)
    assert rotated[0] == rotated[1] == 0
    assert [round(rotated[2 + hour] / 50) for hour in (0, 1, 2, 4, 8)] == [59, 81, 92, 97, 98]
