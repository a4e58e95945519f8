"""The sweep: what was not fetched goes, what is in use stays, what is not known is only switched off."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from rotate_my_key.core.errors import Denied, Problem
from rotate_my_key.fleet.cleanup import Disposition
from rotate_my_key.fleet.memory import decode

from .world import DAY, Company

LONG = 8 * DAY
MINUTE = DAY / 24 / 60
UNLISTED = "created moments ago, so either not listed yet or already gone"
GONE = "the key is gone: fetched and replaced, or deleted"


@pytest.fixture(params=["secretsmanager", "s3"])
def company(request: pytest.FixtureRequest) -> Company:
    """A key waits for alice, who has an old one."""
    made = Company(request.param)
    made.world.user("alice", 98)
    made.reissue()
    made.points.start()
    return made


def new(company: Company) -> str:
    """The key that waits."""
    return company.delivery().pair.key_id


def nothing(company: Company) -> None:
    """Nobody does anything."""


def replaced(company: Company) -> None:
    """It was fetched and rotated, as `adopt` does."""
    company.world.delete("alice", new(company))


def used(service: str) -> Callable[[Company], None]:
    """It was used by that service."""
    return lambda company: company.used(new(company), service)


def unlisted(company: Company) -> None:
    """The list lags."""
    company.world.lag = 600


def without_user(company: Company) -> None:
    """The user is gone, with their keys."""
    del company.world.everybody["alice"]


FETCHED = "it was fetched: used on 25 November 2026 by"
ROWS: dict[str, tuple[Callable[[Company], None], timedelta, Disposition, str]] = {
    "what waits is left up to the last second of a week": (
        *(nothing, 7 * DAY - timedelta(seconds=1), Disposition.WAITS),
        "not used yet",
    ),
    "then it goes": (nothing, 7 * DAY, Disposition.DELETED, "not fetched in time"),
    "what was fetched and replaced is cleared without waiting for a week": (replaced, DAY, Disposition.CLEARED, GONE),
    "a list shows a new key within seconds": (replaced, 6 * MINUTE, Disposition.CLEARED, GONE),
    "and in the first minutes nobody knows": (replaced, 1 * MINUTE, Disposition.WAITS, UNLISTED),
    "a list that lags loses no key": (unlisted, 0 * DAY, Disposition.WAITS, UNLISTED),
    "a key that is at work needs no place": (used("s3"), DAY / 24, Disposition.CLEARED, f"{FETCHED} s3"),
    "one that was only looked at keeps it": (used("sts"), DAY, Disposition.WAITS, f"{FETCHED} sts"),
    "by iam, too": (used("iam"), DAY, Disposition.WAITS, f"{FETCHED} iam"),
    "until its time is over": (used("sts"), LONG, Disposition.CLEARED, f"{FETCHED} sts"),
    "a user who is gone leaves nothing": (without_user, 0 * DAY, Disposition.CLEARED, "the user no longer exists"),
}


@pytest.mark.parametrize("sentence", ROWS)
def test_what_becomes_of_it(sentence: str, company: Company) -> None:
    """Each row is a sentence, what happens, how much later the sweep comes, and what it does, and says. A key that was
    used stays; one that goes is switched off before it is deleted, and the old one stays; a dry run changes nothing."""
    happens, later, disposition, why = ROWS[sentence]
    key_id, old = new(company), next(iter(company.status()))
    happens(company)
    company.later(later)
    before, places = dict(company.world.everybody), company.places
    (swept,) = company.sweep(apply=False)
    assert (swept.disposition, swept.why, swept.key_id) == (disposition, why, key_id)
    assert (dict(company.world.everybody), company.places) == (before, places)
    assert [event.what for event in company.audit.events] == ["reissued", "reissued"]
    company.points.start()
    assert [(each.disposition, each.why) for each in company.sweep()] == [(disposition, why)]
    assert bool(company.places) == (disposition is Disposition.WAITS)
    if happens is not without_user:
        there = happens is not replaced and disposition is not Disposition.DELETED
        assert company.status() == {old: "Active", **({key_id: "Active"} if there else {})}
    if disposition is Disposition.DELETED:
        changes = [
            name for name in company.points.names if name in ("update", "delete", "delete secret", "delete object")
        ]
        assert changes[:2] == ["update", "delete"]
        assert changes[2] in ("delete secret", "delete object")


def test_a_use_that_is_not_known_switches_off_and_no_more(company: Company) -> None:
    """Denied or throttled is not "never"; once it is known, the key goes."""
    key_id = new(company)
    company.world.broken["last_use"] = Denied("no")
    company.later(LONG)
    assert [swept.disposition for swept in company.sweep()] == [Disposition.SWITCHED_OFF]
    assert company.status()[key_id] == "Inactive"
    memory = decode(company.world.everybody["alice"].tags["rotate-my-key-fleet"])
    assert memory[key_id[-8:]].off == company.now().date()
    assert [swept.disposition for swept in company.sweep()] == [Disposition.LEFT]
    del company.world.broken["last_use"]
    assert [swept.disposition for swept in company.sweep()] == [Disposition.DELETED]
    assert company.places == []


def test_one_that_fails_is_a_row(company: Company) -> None:
    """The others are swept all the same."""
    company.world.user("bob", 98)
    company.reissue("bob")
    company.later(LONG)
    company.points.start(faults={2: "denied"})  # switching off
    rows = company.sweep()
    assert {row.user: row.disposition for row in rows} == {"alice": Disposition.FAILED, "bob": Disposition.DELETED}
    assert rows[0].problem is not None


def test_every_act_is_recorded_before_and_after(company: Company) -> None:
    """And if it cannot be, nothing is done."""
    company.later(LONG)
    company.audit.broken = Problem("the disk is full")
    before = company.status()
    assert [swept.disposition for swept in company.sweep()] == [Disposition.FAILED]
    assert company.status() == before
    company.audit.broken = None
    company.sweep()
    events = [(event.what, event.outcome) for event in company.audit.events[2:]]
    assert events == [("deleted", "intended"), ("deleted", "done")]


def test_what_a_user_took_from_the_bucket_is_theirs() -> None:
    """The object is gone, the slip is there, no use is known yet: the key is not deleted."""
    company = Company("s3")
    company.world.user("alice")
    handed = company.reissue()
    del company.objects.held["rotate-my-key/123456789012/alice/key-run1"]
    company.later(LONG)
    assert [swept.disposition for swept in company.sweep()] == [Disposition.CLEARED]
    assert company.status() == {handed.key_id: "Active"}
    assert company.places == []
