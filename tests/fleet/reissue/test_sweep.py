"""The sweep: what was not fetched goes, what is in use stays, what is not known is only switched off."""

from datetime import timedelta

import pytest

from rotate_my_key.core.errors import Denied, Problem
from rotate_my_key.fleet.cleanup import Disposition
from rotate_my_key.fleet.memory import decode

from .world import DAY, Company

LONG = 8 * DAY


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


def test_what_waits_is_left_for_a_week(company: Company) -> None:
    """Up to the last second."""
    before = company.status()
    company.later(7 * DAY - timedelta(seconds=1))
    (swept,) = company.sweep()
    assert (swept.disposition, swept.why) == (Disposition.WAITS, "no use of it is recorded yet")
    assert company.status() == before
    assert new(company)


def test_what_was_not_fetched_goes(company: Company) -> None:
    """The key first, switched off before it is deleted; the old one stays."""
    key_id = new(company)
    company.later(7 * DAY)
    (swept,) = company.sweep()
    assert (swept.disposition, swept.key_id) == (Disposition.DELETED, key_id)
    assert list(company.status().values()) == ["Active"]
    assert company.places == []
    changes = [name for name in company.points.names if name in ("update", "delete", "delete secret", "delete object")]
    assert changes[:3] in (["update", "delete", "delete secret"], ["update", "delete", "delete object"])


def test_a_dry_run_changes_nothing(company: Company) -> None:
    """It says what would be done."""
    before, places = company.status(), company.places
    company.later(LONG)
    (swept,) = company.sweep(apply=False)
    assert swept.disposition is Disposition.DELETED
    assert (company.status(), company.places) == (before, places)
    assert [event.what for event in company.audit.events] == ["reissued", "reissued"]


def test_what_was_fetched_and_replaced_is_cleared(company: Company) -> None:
    """`adopt` has rotated it: the key is gone, so its place goes, without waiting for a week."""
    company.world.delete("alice", new(company))
    company.later(DAY)
    (swept,) = company.sweep()
    assert (swept.disposition, swept.why) == (Disposition.CLEARED, "the key is gone: fetched and replaced, or deleted")
    assert company.places == []


@pytest.mark.parametrize("minutes", [1, 6])
def test_a_key_that_is_gone_is_not_said_to_wait(company: Company, minutes: int) -> None:
    """A list shows a new key within seconds: after some minutes it is gone, and in the first ones nobody knows."""
    company.world.delete("alice", new(company))
    company.later(timedelta(minutes=minutes))
    (swept,) = company.sweep()
    if minutes < 5:
        assert (swept.disposition, swept.why) == (
            Disposition.WAITS,
            "made a moment ago, and not listed yet or gone already",
        )
    else:
        assert swept.disposition is Disposition.CLEARED
        assert company.places == []


def test_a_key_that_is_at_work_needs_no_place(company: Company) -> None:
    """Whatever uses it has it stored; when and by what is said. The key stays, and its place goes at once."""
    key_id = new(company)
    company.used(key_id, "s3")
    company.later(timedelta(hours=1))
    (swept,) = company.sweep()
    assert (swept.disposition, swept.why) == (Disposition.CLEARED, "it was fetched: used on 25 November 2026 by s3")
    assert company.status()[key_id] == "Active"
    assert company.places == []


@pytest.mark.parametrize("service", ["sts", "iam"])
def test_a_key_that_only_signed_in_stays(company: Company, service: str) -> None:
    """Somebody looked at it, and may not have stored it: it works on, and after a week its place goes."""
    key_id = new(company)
    company.used(key_id, service)
    company.later(DAY)
    assert [swept.disposition for swept in company.sweep()] == [Disposition.WAITS]
    company.later(LONG)
    assert [swept.disposition for swept in company.sweep()] == [Disposition.CLEARED]
    assert company.status()[key_id] == "Active"
    assert company.places == []


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


def test_a_list_that_lags_loses_no_key(company: Company) -> None:
    """A key that was stored just now and is not listed yet was not "fetched and replaced"."""
    company.world.lag = 600
    (swept,) = company.sweep()
    assert (swept.disposition, swept.why) == (
        Disposition.WAITS,
        "made a moment ago, and not listed yet or gone already",
    )
    assert new(company)


def test_a_user_who_is_gone_leaves_nothing(company: Company) -> None:
    """His keys are gone with him."""
    del company.world.everybody["alice"]
    (swept,) = company.sweep()
    assert (swept.disposition, swept.why) == (Disposition.CLEARED, "the user is gone")
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
    assert [(event.what, event.outcome) for event in company.audit.events[2:]] == [
        ("deleted", "intended"),
        ("deleted", "done"),
    ]


def test_what_a_user_took_from_the_bucket_is_his() -> None:
    """The object is gone, the slip is there, no use is known yet: his key is not deleted."""
    company = Company("s3")
    company.world.user("alice")
    handed = company.reissue()
    del company.objects.held["rotate-my-key/123456789012/alice/key"]
    company.later(LONG)
    assert [swept.disposition for swept in company.sweep()] == [Disposition.CLEARED]
    assert company.status() == {handed.key_id: "Active"}
    assert company.places == []
