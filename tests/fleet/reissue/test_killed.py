"""kill -9 at every point of a reissue and of a sweep: no key is lost, none of somebody else's is touched."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from rotate_my_key.fleet.reissue import ReissueMode

from .world import DAY, Company, Killed

LATER = timedelta(minutes=3)
LONG = timedelta(minutes=20)


def fresh(through: str, *, inactive: bool = False) -> Company:
    """Alice has an old key, and perhaps one that is switched off."""
    company = Company(through)
    company.world.user("alice", 98)
    if inactive:
        company.world.key("alice", 200, "Inactive")
    return company


def points(through: str, do: Callable[[Company], object], ready: Callable[[], Company]) -> int:
    """How many points an undisturbed run passes."""
    company = ready()
    company.points.start()
    do(company)
    return len(company.points.names)


def killed(company: Company, point: int, do: Callable[[Company], object]) -> str:
    """Run it, and kill it there; gives the name of the point."""
    company.points.start(kill_at=point)
    with pytest.raises(Killed) as caught:
        do(company)
    company.points.start()
    return str(caught.value)


CASES = [(through, inactive) for through in ("secretsmanager", "s3") for inactive in (False, True)]


@pytest.mark.parametrize(("through", "inactive"), CASES)
def test_the_next_run_ends_with_one_key_that_waits(through: str, inactive: bool) -> None:
    """Killed at any point: the old key works, nobody else's is gone, and the second run hands over one key."""

    def reissue(company: Company) -> None:
        company.reissue(replace_inactive=inactive)

    for point in range(points(through, reissue, lambda: fresh(through, inactive=inactive))):
        company = fresh(through, inactive=inactive)
        old = next(iter(company.status()))
        name = killed(company, point, reissue)
        assert company.status()[old] == "Active", name
        company.later(LATER)
        handed = company.reissue(replace_inactive=inactive)
        assert company.status() == {old: "Active", handed.key_id: "Active"}, name
        assert company.delivery().pair.key_id == handed.key_id, name
        assert handed.replaces == old, name
        assert company.reissue().way is ReissueMode.AGAIN, name


@pytest.mark.parametrize("through", ["secretsmanager", "s3"])
def test_the_sweep_ends_with_none_or_with_one_that_waits(through: str) -> None:
    """Killed at any point and never repeated: what is not in its place is gone, and after a week all of it."""
    for point in range(points(through, Company.reissue, lambda: fresh(through))):
        company = fresh(through)
        old = next(iter(company.status()))
        name = killed(company, point, Company.reissue)
        company.later(LONG)
        company.sweep()
        made = set(company.status()) - {old}
        assert made == ({company.delivery().pair.key_id} if made else set()), name
        assert bool(company.places) == bool(made), name
        company.later(8 * DAY)
        company.sweep()
        assert company.status() == {old: "Active"}, name
        assert company.places == [], name


@pytest.mark.parametrize("through", ["secretsmanager", "s3"])
def test_a_sweep_that_was_killed_is_ended_by_the_next(through: str) -> None:
    """At any point of it: the key and its place go."""

    def unfetched() -> Company:
        company = fresh(through)
        company.reissue()
        company.later(8 * DAY)
        return company

    for point in range(points(through, Company.sweep, unfetched)):
        company = unfetched()
        old = next(iter(company.status()))
        name = killed(company, point, Company.sweep)
        company.sweep()
        assert company.status() == {old: "Active"}, name
        assert company.places == [], name
