"""kill -9 in the middle of `keyring store`, `keyring restore` and a rotation, with the real keyring and real processes.

At every instant the profile works as botocore reads it, and the next run finishes the job or takes it back.
"""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.disk import Disk, calls, lay, strace
from tests.keyring.conftest import ALONE, CONFIG, Keyring, KeyringLaptop, new_keyring_laptop
from tests.killing import LATER, ONE_THREAD, Point, injected, kill_at, needs_strace, watch
from tests.standin import StandIn

STORE = ("keyring", "store", "-p", "work", "-y")
RESTORE = ("keyring", "restore", "-p", "work", "-y")
ROTATE = ("rotate", "-p", "work", "--yes")

VISIBLE = ("openat", "rename", "renameat2", "unlink")
CALLS = [
    ("GetCallerIdentity", 1),
    ("GetUser", 1),
    ("ListAccessKeys", 1),
    ("GetAccessKeyLastUsed", 1),
    ("CreateAccessKey", 1),
    ("GetCallerIdentity", 2),
    ("GetCallerIdentity", 3),
    ("GetCallerIdentity", 4),
    ("GetCallerIdentity", 5),
    ("UpdateAccessKey", 1),
    ("DeleteAccessKey", 1),
]
IN_CREDENTIALS = (ALONE, CONFIG)
IN_CONFIG = ("", CONFIG + "\naws_access_key_id = {id}\naws_secret_access_key={secret}\n#x")

New = Callable[[], KeyringLaptop]
Stop = Callable[..., bool]


def matters(name: str, args: str, home: str) -> bool:
    """Whether a call changes what another program can see: makes or renames or removes a file of the home, or tells the
    keyring to change an entry."""
    if name == "sendto":
        return "CreateItem" in args or "Delete" in args
    return name in VISIBLE and home in args and (name != "openat" or "O_CREAT" in args)


def points_of(laptop: KeyringLaptop, *args: str) -> list[Point]:
    """Run the program to its end; gives each such call."""
    return watch(laptop, *args, matters=matters, strace=ONE_THREAD)


def killed_at(laptop: KeyringLaptop, point: Point, *args: str) -> bool:
    """Run the program and kill it there; False if it came to its end."""
    return kill_at(laptop, point, *args, matters=matters, strace=ONE_THREAD)


def power_cut_at(laptop: KeyringLaptop, point: Point, *args: str) -> bool:
    """The same, and the disk has kept only what was synced by then."""
    disk, log = Disk(laptop.home), laptop.home.parent / "done"
    traced = [f"{word},clone3" if word.startswith("trace=") else word for word in strace(log)]
    done = laptop.run(*args, before=[*traced, *ONE_THREAD, *injected(point)])
    assert done.code in (0, -9), done.text
    for call in calls(log):
        disk.do(call)
    lay(laptop.home, disk.left())
    return done.code == -9


stopped = pytest.mark.parametrize("stop", [killed_at, power_cut_at], ids=["killed", "power cut"])


@pytest.fixture(params=[IN_CREDENTIALS, IN_CONFIG], ids=["credentials file", "config file"])
def new(request: pytest.FixtureRequest, tmp_path: Path, running: StandIn, keyring: Keyring) -> Iterator[New]:
    """Make fresh laptops with a pair in that file, and a keyring each."""
    numbers, keyrings = count(), [keyring]
    text, config = request.param

    def make() -> KeyringLaptop:
        folder = tmp_path / str(next(numbers))
        keyrings.pop().stop()
        keyrings.append(Keyring(folder / "session"))
        keyrings[0].start()
        laptop = new_keyring_laptop(folder, running, keyrings[0], text=text, config=config)
        laptop.config = laptop.config.decode().format(id=laptop.old.key_id, secret=laptop.old.secret).encode()
        laptop.config_file.write_bytes(laptop.config)
        return laptop

    yield make
    keyrings[0].stop()


def stored(laptop: KeyringLaptop) -> None:
    """The pair is in the keyring and nowhere else."""
    assert laptop.sdk_pair() == laptop.old
    laptop.no_secret_on_disk()
    assert list(laptop.entries()) == ["rotate-my-key: work"]


def check_store(new: New, points: list[Point], stop: Stop) -> None:
    """Killed at each point: the profile works; storing again gets there, and restoring undoes it."""
    for point in points:
        laptop = new()
        if stop(laptop, point, *STORE):
            assert laptop.sdk_pair() == laptop.old, point
        done = laptop.run(*STORE)
        assert done.code == 0, f"{point}\n{done.text}"
        stored(laptop)
        assert laptop.run(*RESTORE).code == 0, point
        laptop.as_it_was()


def check_restore(new: New, points: list[Point], stop: Stop) -> None:
    """Killed at each point: the profile works; restoring again gets there, byte for byte."""
    for point in points:
        laptop = new()
        assert laptop.run(*STORE).code == 0
        if stop(laptop, point, *RESTORE):
            assert laptop.sdk_pair() == laptop.old, point
        done = laptop.run(*RESTORE)
        assert done.code == 0, f"{point}\n{done.text}"
        laptop.as_it_was()


def check_finished_by_rotate(new: New, points: list[Point], stop: Stop) -> None:
    """Killed while storing: a plain `rotate` finishes the move first, then rotates the key where it is."""
    for point in points:
        laptop = new()
        stop(laptop, point, *STORE)
        done = laptop.run(*ROTATE)
        assert done.code == 0, f"{point}\n{done.text}"
        pair = laptop.sdk_pair()
        assert [key.key_id for key in laptop.aws.keys("alice")] == [pair.key_id] != [laptop.old.key_id], point
        assert not laptop.rotations.exists() or not list(laptop.rotations.iterdir()), point
        assert '"moving": "' not in (laptop.index.read_text() if laptop.index.exists() else ""), point


@needs_strace
@pytest.mark.slow
@stopped
def test_store_stopped_at_every_call(new: New, stop: Stop) -> None:
    """Storing, and then undoing it, survives."""
    points = points_of(new(), *STORE)
    assert len(points) > 15
    check_store(new, points, stop)
    check_finished_by_rotate(new, points[::3], stop)


@needs_strace
@pytest.mark.slow
@stopped
def test_restore_stopped_at_every_call(new: New, stop: Stop) -> None:
    """Restoring survives."""
    laptop = new()
    assert laptop.run(*STORE).code == 0
    points = points_of(laptop, *RESTORE)
    assert len(points) > 10
    check_restore(new, points, stop)


@pytest.mark.slow
def test_rotation_killed_before_the_new_secret_arrives(laptop: KeyringLaptop) -> None:
    """The worst moment: AWS has made a key and nobody has its secret."""
    killed_at_a_call(laptop, "CreateAccessKey", 1, "after")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "nth", "when"), [*((*call, "after") for call in CALLS), *((*call, "before") for call in CALLS[-2:])]
)
def test_rotation_killed_at_every_call_to_aws(laptop: KeyringLaptop, action: str, nth: int, when: str) -> None:
    """At each of them, carried out or not yet."""
    killed_at_a_call(laptop, action, nth, when)


def killed_at_a_call(laptop: KeyringLaptop, action: str, nth: int, when: str) -> None:
    """Killed while a call is out, carried out or not yet: the profile works, no secret is on the disk, and the next run
    ends with one key, the one in the keyring; restored, the files differ in the two values alone."""
    assert laptop.run(*STORE).code == 0
    laptop.at(action, nth, lambda call: laptop.signal(), when)
    assert laptop.run(*ROTATE).code == -9
    laptop.sdk_pair()
    laptop.no_secret_on_disk()
    laptop.calm(LATER)
    finish(laptop, f"{action} {nth} {when}")


def finish(laptop: KeyringLaptop, where: str) -> None:
    """The next run settles, and restoring gives a tidy computer."""
    laptop.age_temporaries()
    done = laptop.run(*ROTATE)
    assert done.code == 0, f"{where}\n{done.text}"
    pair = laptop.sdk_pair()
    assert [key.key_id for key in laptop.aws.keys("alice")] == [pair.key_id] != [laptop.old.key_id], where
    assert list(laptop.entries()) == ["rotate-my-key: work"], where
    assert list(laptop.rotations.iterdir()) == [], where
    laptop.no_secret_on_disk()
    assert laptop.run(*RESTORE).code == 0, where
    assert laptop.works("work") == pair
    laptop.unchanged_but_for_the_pair_of("work")
    assert laptop.entries() == {}


@needs_strace
@pytest.mark.slow
@stopped
def test_rotation_stopped_at_every_system_call(tmp_path: Path, running: StandIn, keyring: Keyring, stop: Stop) -> None:
    """Before each call that changes a file or asks the keyring, each time with a keyring of its own."""

    def fresh(name: str) -> tuple[KeyringLaptop, Keyring]:
        keyring = Keyring(tmp_path / name / "session")
        keyring.start()
        laptop = new_keyring_laptop(tmp_path / name, running, keyring, text=ALONE)
        assert laptop.run(*STORE).code == 0
        return laptop, keyring

    laptop, keyring = fresh("watched")
    points = points_of(laptop, *ROTATE)
    keyring.stop()
    for number, point in enumerate(points):
        laptop, keyring = fresh(str(number))
        try:
            if stop(laptop, point, *ROTATE):
                laptop.sdk_pair()
                laptop.no_secret_on_disk()
                laptop.calm(LATER)
                finish(laptop, str(point))
        finally:
            keyring.stop()
