"""kill -9 at every system call that touches a copy: each holds one whole pair that works, and the next run ends it."""

from collections.abc import Sequence

import pytest

from rotate_my_key.core.model import Credentials
from tests.rotation.conftest import Laptop
from tests.rotation.syscalls import STRACE, Point, kill_at, watch

from .home import NAMED, UPDATED, plant

pytestmark = pytest.mark.skipif(STRACE is None, reason="NO STRACE HERE: kills at file operations are NOT tested")

ARGS = ("rotate", "--yes", "--update-copies", "--force")
SPARSE = 3
FEW = (".env", ".bashrc", ".s3cfg")


def points(laptop: Laptop) -> list[Point]:
    """The kill points among the copies, in the run's order."""
    return [point for point in watch(laptop, *ARGS) if any(f"/home/{name}" in _plain(point.line) for name in FEW)]


def _plain(line: str) -> str:
    """A temporary name stands for its target."""
    return line.replace("/.rotate-my-key.", "/")


def check(laptop: Laptop, killed_at: Sequence[Point]) -> None:
    """After each kill, and after the run that follows."""
    for point in killed_at:
        before = _killed(laptop, point)
        if before is None:
            continue
        now = laptop.works()
        for name in FEW:
            data = (laptop.home / name).read_bytes()
            held = [pair for pair in (before, now) if data == UPDATED[name](pair)]
            assert held, f"{point}: {name} is torn"
            status = {key.key_id: key.status for key in laptop.aws.keys("alice")}
            assert status.get(held[0].key_id) == "Active", f"{point}: {name} names a key that is gone"
        laptop.calm(20)
        laptop.age_temporaries()
        if laptop.aws.settings.clock_offset > 600:  # else AWS's clock would leave ours behind
            laptop.aws.settings.clock_offset = 0
        done = laptop.run()
        assert done.code == 0, f"{point}\n{done.text}"
        now = laptop.works()
        assert [key.key_id for key in laptop.aws.keys("alice")] == [now.key_id]
        for name in FEW:
            assert (laptop.home / name).read_bytes() == UPDATED[name](now), f"{point}: {name}"
        assert not list(laptop.home.rglob(".rotate-my-key.*")), point
        assert not list(laptop.rotations.iterdir())


def _killed(laptop: Laptop, point: Point) -> Credentials | None:
    """Kill it there; the pair in force before that. None if the point was not met: then runs have ended well."""
    for guess in point.nearby():
        before = laptop.works()
        if kill_at(laptop, guess, *ARGS):
            return before
        laptop.calm(20)
        assert laptop.run().code == 0
    return None


def _plant(laptop: Laptop) -> None:
    """Three copies of the forty: each has the same kill points."""
    plant(laptop.home, laptop.old)
    for name in {*UPDATED, *NAMED} - set(FEW):
        (laptop.home / name).unlink()


def test_killed_among_the_copies(laptop: Laptop) -> None:
    """A few points, one after the other in one home."""
    _plant(laptop)
    found = points(laptop)
    assert len(found) >= 3 * len(FEW)
    check(laptop, found[:: max(1, len(found) // SPARSE)])


@pytest.mark.slow
def test_killed_anywhere_among_the_copies(laptop: Laptop) -> None:
    """Every point."""
    _plant(laptop)
    check(laptop, points(laptop))
