"""kill -9 around every call to AWS, in `fleet reissue` and in `adopt`, with real processes.

Whatever the moment: alice's profile works, and the next runs end with one key that nobody but she has seen.
"""

from pathlib import Path

import pytest

from tests.killing import STRACE, Point, kill_at, watch
from tests.laptop import COMMENTED, Laptop, new_laptop
from tests.standin import StandIn

from .office import REGION, Office

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
WEIGHTY = {("CreateAccessKey", 1)}


def points(calls: dict[str, int]) -> list[object]:
    """Each call, carried out or not yet; the weighty ones in the default run."""
    found = [(action, nth, when) for action, count in calls.items() for nth in range(1, count + 1) for when in WHEN]
    return [
        pytest.param(*point, marks=[] if point[:2] in WEIGHTY and point[2] == "after" else pytest.mark.slow)
        for point in found
    ]


WHEN = ("before", "after")


def counted(office: Office, since: int) -> dict[str, int]:
    """The calls of a run."""
    actions = [call.action for call in office.aws.calls[since:]]
    return {action: actions.count(action) for action in dict.fromkeys(actions)}


def test_the_calls(office: Office) -> None:
    """The tables have all that there are, so that a kill point that is added is not forgotten."""
    place = office.place()
    made = counted(office, 0)
    assert {action: made[action] for action in REISSUE} == REISSUE
    assert set(made) - set(REISSUE) == {
        "GetCallerIdentity",
        "GetUser",
        "ListAccessKeys",
        "GetAccessKeyLastUsed",
        "ListUserTags",
    }
    since = len(office.aws.calls)
    assert office.adopt(place).code == 0
    assert counted(office, since) == ADOPT


@pytest.mark.parametrize(("action", "nth", "when"), points(ADOPT))
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


@pytest.mark.parametrize(("action", "nth", "when"), points(REISSUE))
def test_reissue_is_killed(office: Office, action: str, nth: int, when: str) -> None:
    """The next run hands over one key, or tells of the one that waits; no other is left."""
    path = office.write_settings()
    words = ("fleet", "reissue", "alice", "-y", "--settings", str(path))
    assert office.killed(action, nth, when, *words, desk=office.it, AWS_DEFAULT_REGION=REGION)
    office.works()
    office.aws.settings.clock_offset += 180
    place = office.place()
    handed = office.new_id()
    done = office.adopt(place)
    assert done.code == 0, done.text
    office.settled(handed)


@pytest.mark.slow
@pytest.mark.parametrize(("action", "nth", "when"), points(REISSUE))
def test_reissue_is_killed_and_forgotten(office: Office, action: str, nth: int, when: str) -> None:
    """Nobody repeats it: the sweep leaves no key but the old one, and nothing that waits."""
    path = office.write_settings()
    words = ("fleet", "reissue", "alice", "-y", "--settings", str(path))
    assert office.killed(action, nth, when, *words, desk=office.it, AWS_DEFAULT_REGION=REGION)
    office.age_all(hours=1)
    office.sweep()
    office.age_all(hours=24 * 8)
    done = office.sweep()
    assert done.code == 0, done.text
    assert office.alice.ids() == {office.old.key_id: "Active"}
    assert office.waiting() == []


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
