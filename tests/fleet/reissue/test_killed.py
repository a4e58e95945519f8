"""kill -9 at every point of a reissue and of a sweep: no key is lost, none of somebody else's is touched.

kill -9 around every call to AWS, in `fleet reissue` and in `adopt`, with real processes.

Whatever the moment: alice's profile works, and the next runs end with one key that nobody but she has seen.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from rotate_my_key.fleet.reissue import ReissueMode
from tests.killing import STRACE, Point, kill_at, watch
from tests.laptop import COMMENTED, Laptop, new_laptop
from tests.standin import StandIn

from .office import REGION, Office, calls, each_call
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


pytestmark = pytest.mark.slow  # seconds each, all together

# The calls of an adoption through Secrets Manager that nothing disturbs, and how many of them.
ADOPT = {
    "GetSecretValue": 1,
    "GetCallerIdentity": 13,
    "GetUser": 2,
    "ListAccessKeys": 2,
    "GetAccessKeyLastUsed": 2,
    "UpdateAccessKey": 2,
    "DeleteAccessKey": 2,
    "DeleteSecret": 1,
    "CreateAccessKey": 1,
}
REISSUE = {
    "CreateSecret": 2,
    "PutResourcePolicy": 2,
    "PutSecretValue": 2,
    "DescribeSecret": 3,
    "CreateAccessKey": 1,
    "TagResource": 1,
    "TagUser": 1,
}
MADE = ("CreateAccessKey", 1, "after")


def test_the_calls(office: Office) -> None:
    """The tables have all that there are, so that a kill point that is added is not forgotten."""
    place = office.place()
    made = calls(office)
    assert {action: made[action] for action in REISSUE} == REISSUE
    looks = {"GetCallerIdentity", "GetUser", "ListAccessKeys", "GetAccessKeyLastUsed", "ListUserTags"}
    assert set(made) - set(REISSUE) == looks
    since = len(office.aws.calls)
    assert office.adopt(place).code == 0
    assert calls(office, since) == ADOPT


@pytest.mark.parametrize(("action", "nth", "when"), each_call(ADOPT, MADE))
def test_adopt_is_killed(office: Office, action: str, nth: int, when: str) -> None:
    """The next plain run finishes what was begun; where nothing was, the same command again does."""
    place = office.place()
    handed = office.new_id()
    assert office.killed(action, nth, when, "adopt", place, "-y")
    office.works()
    office.aws.settings.clock_offset += 20
    if office.held().key_id == office.old.key_id and not list(office.alice.state.rglob("*.note")):
        done = office.adopt(place)
    else:
        done = office.alice.run("rotate", "-y", "-p", "work")
    assert done.code == 0, done.text
    office.settled(handed)
    assert not list(office.alice.state.rglob("handed/*"))


@pytest.mark.parametrize("forgotten", [False, True])
@pytest.mark.parametrize(("action", "nth", "when"), each_call(REISSUE, MADE))
def test_reissue_is_killed(office: Office, action: str, nth: int, when: str, forgotten: bool) -> None:
    """The next run hands over one key, or tells of the one that waits; no other is left. Where nobody repeats it, the
    sweep leaves no key but the old one, and nothing that waits."""
    words = ("fleet", "reissue", "alice", "-y", "--settings", str(office.write_settings()))
    assert office.killed(action, nth, when, *words, desk=office.it, AWS_DEFAULT_REGION=REGION)
    if forgotten:
        office.age_all(hours=1)
        office.sweep()
        office.age_all(hours=24 * 8)
        done = office.sweep()
        assert done.code == 0, done.text
        assert office.alice.ids() == {office.old.key_id: "Active"}
        assert office.waiting() == []
        return
    office.works()
    office.aws.settings.clock_offset += 180
    place = office.place()
    handed = office.new_id()
    done = office.adopt(place)
    assert done.code == 0, done.text
    office.settled(handed)


# Between two system calls


def delivered(home: Path, aws: StandIn) -> tuple[Laptop, tuple[str, ...]]:
    """A laptop, and the command that takes what waits for it."""
    laptop = new_laptop(home, aws, text=COMMENTED)
    office = Office.__new__(Office)
    office.aws, office.old = aws, laptop.old
    place = office.deliver()
    return laptop, ("adopt", place, "-y", "-p", "work")


def survives(folder: Path, aws: StandIn, point: Point) -> bool:
    """Kill it there, and let the next runs finish; False if the point was not met."""
    laptop, words = delivered(folder / "home", aws)
    if not kill_at(laptop, point, *words):
        return False
    laptop.works()
    laptop.calm(20)
    laptop.age_temporaries()
    begun = laptop.pair() != laptop.old or list(laptop.state.rglob("*.note"))
    done = laptop.run(*(("rotate", "--yes") if begun else words))
    assert done.code == 0, done.text
    pair = laptop.works()
    assert [key.key_id for key in aws.keys("alice")] == [pair.key_id], done.text
    assert not list(laptop.state.rglob("handed/*")), done.text
    laptop.unchanged_but_for_the_pair()
    return True


def check(folder: Path, aws: StandIn, step: int) -> None:
    """Each so manieth point of a run; all that fail are told, not only the first."""
    laptop, words = delivered(folder / "watched" / "home", aws)
    points = watch(laptop, *words)
    assert len(points) > 80
    failures, met = [], 0
    chosen = points[::step]
    for number, point in enumerate(chosen):
        try:
            met += survives(folder / str(number), aws, point)
        except AssertionError as error:
            failures.append(f"{point}\n  {error}")
    assert not failures, f"{len(failures)} of {len(chosen)} points:\n" + "\n".join(failures)
    assert met > 0.7 * len(chosen)  # a few opens more or less depend on the threads


@pytest.mark.slow
@pytest.mark.skipif(STRACE is None, reason="NO STRACE HERE: kills at file operations are NOT tested")
def test_adopt_is_killed_at_file_operations(tmp_path: Path, running: StandIn) -> None:
    """Before every fourth call that changes a file: the profiles work, and the next run, or the same again, settles."""
    check(tmp_path, running, 4)
