"""Who is told of what, day by day."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotate_my_key.core.model import FLEET_KEY
from rotate_my_key.core.policy import Policy, Verdict
from rotate_my_key.fleet.judge import Row
from rotate_my_key.fleet.memory import decode, encode, recall, ref
from rotate_my_key.fleet.model import AwsAccount, FleetKey, FleetUser, Owner
from rotate_my_key.fleet.notices import NoticePlan, plan_notices
from rotate_my_key.fleet.remind import after_notice
from rotate_my_key.settings.fleet import FleetSettings, Remind
from tests.fleet.fakes import NOW
from tests.fleet.remind.cases import OTHER, case, remembered, row, without_tags

DAYS = timedelta(days=1)


def plan(*cases: Row, now: datetime = NOW, repeat: float = 3, escalate_after: int = 3) -> NoticePlan:
    """The plan of one run."""
    remind = Remind(repeat=repeat * DAYS, escalate_after=escalate_after, escalate=("boss",))
    return plan_notices(cases, FleetSettings(remind=remind), now)


def told(days_ago: int, notices: int = 1, key_id: str = "AKIAIOSFODNN7EXAMPLE") -> dict[str, str]:
    """Tags that remember so many notices, the last so many days ago."""
    day = (NOW - days_ago * DAYS).strftime("%Y%m%d")
    return remembered(f"1 {ref(key_id)}:n{notices}:f{day}:l{day}")


def test_days_before_a_key_is_overdue() -> None:
    """On each of them the owner is told once, a run that missed one makes up for it, and then every `repeat`."""
    settings = FleetSettings(remind=Remind(before=("15", "7", "3", "2", "1"), repeat=5 * DAYS))
    days, late = list[int](), list[int]()
    for every, found in ((1, days), (4, late)):
        last = None
        for age in range(75, 101, every):
            tags = told(age - last) if last else {}
            if plan_notices([case("alice", age, tags=tags)], settings, NOW).now:
                found.append(age)
                last = age
    assert days == [75, 83, 87, 88, 89, 94, 99]
    assert late == [75, 83, 87, 91, 99]


def test_an_owner_gets_one_notice_with_all_of_his_keys() -> None:
    """Over users and accounts, the oldest first; who owns them is decided by the address, however it is written. Two
    users of one name without an address are one owner, two names are two. Without old keys there is no notice."""
    found = plan(
        case("alice", 98),
        case("deploy", 120, account=OTHER, address="Alice@example.com", key_id="AKIAIOSFODNN7EXAMPL2"),
        case("bob", 80, key_id="AKIAIOSFODNN7EXAMPL3"),
    )
    shown = [[(key.user, str(key.account)) for key in each.notice.keys] for each in found.now]
    assert shown == [
        [("deploy", "staging (210987654321)"), ("alice", "production (123456789012)")],
        [("bob", "production (123456789012)")],
    ]
    names = [("deploy", OTHER), ("deploy", case().account), ("backup", OTHER)]
    cases = [
        case(name, account=account, address="", key_id=f"AKIAIOSFODNN7EXAMPL{number}")
        for number, (name, account) in enumerate(names)
    ]
    assert [(each.notice.owner.name, len(each.cases)) for each in plan(*cases).now] == [("backup", 1), ("deploy", 2)]
    assert plan() == NoticePlan()


def test_a_key_says_since_when_it_is_due_or_overdue() -> None:
    """By the policy that laptops use; its id is masked."""
    late, due = (plan(case(age=age)).now[0].notice.keys[0] for age in (98, 80))
    assert (late.verdict, late.since) == (Verdict.OVERDUE, NOW - 8 * DAYS)
    assert (due.verdict, due.since, due.overdue) == (Verdict.DUE, NOW - 5 * DAYS, NOW + 10 * DAYS)
    assert (late.key, late.age) == ("...MPLE", 98 * DAYS)


@pytest.mark.parametrize(
    ("days_ago", "repeat", "quiet"),
    [
        *[(0, 3, True), (2, 3, True), (3, 3, False), (4, 3, False), (6, 7, True), (7, 7, False)],
        *[(0, 0, False), (0, 0.5, True), (1, 0.5, False), (1, 1.5, True), (2, 1.5, False)],
    ],
)
def test_repeat_counts_whole_days(days_ago: int, repeat: float, quiet: bool) -> None:
    """A part of a day counts as a day: 36 hours are two; 0 tells in every run. An early or late run changes nothing:
    whatever the hour at which it runs on that day, it tells."""
    for minutes in (-660, 0, 719):
        found = plan(case(tags=told(days_ago)), repeat=repeat, now=NOW + timedelta(minutes=minutes))
        assert (len(found.now), len(found.quiet)) == ((0, 1) if quiet else (1, 0))


def test_a_key_that_becomes_due_in_between_comes_with_the_next_notice() -> None:
    """Whoever owns fifty bots gets one mail in three days, not fifty."""
    new = case("bot", 75, address="alice@example.com", key_id="AKIAIOSFODNN7EXAMPL2")
    assert len(plan(case(tags=told(1)), new).quiet) == 1
    later = plan(case(tags=told(3)), new)
    assert [key.user for key in later.now[0].notice.keys] == ["alice", "bot"]


@pytest.mark.parametrize(
    ("notices", "after", "escalated"), [(0, 3, False), (2, 3, False), (3, 3, True), (9, 3, True), (99, 0, False)]
)
def test_escalation_begins_after_so_many_unanswered_notices(notices: int, after: int, escalated: bool) -> None:
    """The fourth notice is the first that others see, if it is to be after three; 0 means never."""
    notice = plan(case(tags=told(3, notices)), escalate_after=after).now[0].notice
    assert (notice.escalated, notice.number) == (escalated, notices + 1)


def test_a_key_that_was_replaced_is_answered() -> None:
    """What is remembered of a key that is gone counts for nothing: its successor begins at the first notice."""
    successor = case(age=76, key_id="AKIAIOSFODNN7NEWNEWN", tags=told(0, 9))
    found = plan(successor)
    assert (found.now[0].notice.number, found.unanswered) == (1, ())


def test_unanswered_are_the_keys_that_were_told_of() -> None:
    """Those told of most often first, the quiet ones too."""
    cases = [
        case("alice", tags=told(1, 2)),
        case("bob", tags=told(5, 4, "AKIAIOSFODNN7EXAMPL2"), key_id="AKIAIOSFODNN7EXAMPL2"),
        case("carol", key_id="AKIAIOSFODNN7EXAMPL3"),
    ]
    found = plan(*cases)
    assert [(key.user, key.told) for key in found.unanswered] == [("bob", 4), ("alice", 2)]
    assert sorted(key.user for key in found.old) == ["alice", "bob", "carol"]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (case(tags=remembered("owned by the data team")), "was not written by this version"),
        (case(tags=remembered("2 DNN7MPLE:n1")), "was not written by this version"),
        (without_tags(case()), "could not be read"),
        (replace(case(), user=replace(case().user, arn="arn:aws:iam::123456789012:root")), "root has no tags"),
    ],
)
def test_who_cannot_be_remembered_is_told(found: Row, why: str) -> None:
    """A tag of somebody else's, or none that may be read: he is told as if for the first time. Root cannot be rotated,
    and the notice knows."""
    notice = plan(found).now[0].notice
    assert notice.number == 1
    assert (notice.keys[0].user, notice.keys[0].root, notice.rotatable) == (
        ("root", True, 0) if "root" in why else ("alice", False, 1)
    )
    assert why in recall(found.user, FLEET_KEY)[1]


def test_what_is_remembered_silences_whom_it_should() -> None:
    """IAM takes Rotate-My-Key-Fleet for the same tag. A day to come silences nobody: a clock was wrong."""
    (value,) = told(1).values()
    assert len(plan(case(tags={FLEET_KEY.title(): value})).quiet) == 1
    assert len(plan(case(tags=told(-400))).now) == 1


def test_after_a_notice_what_else_is_known_stays() -> None:
    """The fleet's other commands write into the same tag."""
    before = decode("1 ABCD2345:o20261101 EFGH6789:n2:f20261102:l20261103:m20260801")
    after = after_notice(before, ["AKIAAAAAEFGH6789", "AKIAAAAAIJKL2345"], date(2026, 11, 25))
    assert encode(after) == (
        "1 ABCD2345:o20261101 EFGH6789:n3:f20261102:l20261125:m20260801 IJKL2345:n1:f20261125:l20261125"
    )


# Months of runs


@dataclass
class Person:
    """An owner with one user in one account, who replaces his key when he pleases; his tag is what was written."""

    created: datetime
    key_id: str = "AKIA000000000000"
    tag: str = ""
    notices: list[tuple[datetime, str]] = field(default_factory=list)

    def case(self, now: datetime) -> Row:
        """What a survey finds."""
        key = FleetKey(True, self.created, self.key_id)
        tags = {FLEET_KEY: self.tag} if self.tag else {}
        user = FleetUser("123456789012", "arn:aws:iam::123456789012:user/alice", (key,), tags=tags)
        return row(AwsAccount("123456789012"), user, key, Owner("alice", "alice@example.com"), now)

    def run(self, now: datetime, remind: Remind) -> None:
        """One run of the fleet."""
        planned = plan_notices([self.case(now)], FleetSettings(remind=remind), now)
        for each in planned.now:
            self.notices.append((now, each.cases[0][0].key.key_id or ""))
            self.tag = encode(after_notice(decode(self.tag), [self.key_id], now.date()), [self.key_id])


steps = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 2, 5, 7, 7, 30]), st.integers(-300, 300), st.sampled_from([0] * 12 + [1])),
    min_size=20,
    max_size=60,
)


@given(steps=steps, repeat=st.integers(1, 10))
def test_whatever_the_order_of_runs(steps: list[tuple[int, int, int]], repeat: int) -> None:
    """Daily, weekly, late, missed: the first notice comes with the first run on or after the key is due, then each
    comes with the first run at least `repeat` days later, and none is about a key that was replaced."""
    start = datetime(2026, 1, 5, 9, tzinfo=NOW.tzinfo)
    person, remind, day = Person(start - 60 * DAYS), Remind(repeat=repeat * DAYS), start
    expected: list[tuple[datetime, str]] = []
    last: date | None = None
    for number, (days, minutes, replaces) in enumerate(steps):
        day += days * DAYS
        now = day + timedelta(minutes=minutes)
        if replaces:
            person.created, person.key_id, last = now, f"AKIA{number:012d}", None
        person.run(now, remind)
        if now >= Policy().due_at(person.created) and (last is None or (now.date() - last).days >= repeat):
            expected.append((now, person.key_id))
            last = now.date()
    assert person.notices == expected


@pytest.mark.parametrize(("every", "most"), [(1, 3), (7, 7)])
def test_daily_and_weekly_runs_agree(every: int, most: int) -> None:
    """From day 0 to 200: a daily run tells on days 75, 78, 81 and so on, a weekly one each week from 77 on."""
    person = Person(NOW)
    for day in range(0, 201, every):
        person.run(NOW + day * DAYS, Remind(repeat=3 * DAYS))
    days = [(at - NOW).days for at, _ in person.notices]
    assert days == list(range(75 if every == 1 else 77, 201, most))
