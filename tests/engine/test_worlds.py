"""Whole histories of a laptop, a sample by default; `python -m tests.engine.worlds 100000` tries more."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.worlds import Act, Go, World, broken, told, tried

SHARDS = 8


def all_kept(seeds: range) -> None:
    """The worlds of these seeds keep the promises; one that does not is told as small as it gets."""
    found = tried(seeds)
    assert found.counts.worlds == len(seeds) or found.broken
    assert not found.broken, told(*found.broken[0])


def hard(name: str) -> Callable[..., Any]:
    """What it is about, and then what happens in it."""
    return lambda *events, **more: pytest.param(World(events, **more), id=name)


def test_a_sample_of_worlds() -> None:
    """Somebody always holds a working key, no secret is lost, nothing of others is touched, and every run ends."""
    all_kept(range(500))


@pytest.mark.parametrize(
    "world",
    [
        hard("the note of an undo is lost while AWS still lists the new key as active")(
            Go(kill_at=24), Go("undo", meet=((15, Act("spoils the notes")),)), Go(), list_lag=2, sign_in_lag=3
        ),
        hard("AWS has the new key switched off, and the old one is gone")(
            Go(kill_at=28), Act("switches a key off", 4), Go("restore"), Act("deletes a key", 5), places=2
        ),
        hard("the secret of the younger of two keys is lost, and the older one is put back")(
            Go(hours=1, overlap="on", meet=((16, Act("tears a record")),)), Act("empties all"), places=2, second="here"
        ),
        hard("the note is lost of a rotation that waits for programs")(
            Go(), Go(meet=((5, Act("spoils the notes")),)), Go(), places=3
        ),
        hard("undo has lost the secret of the old key")(Go(hours=168), Go("undo", meet=((6, Act("loses the state")),))),
        hard("undo of a key that is gone, where no profile holds the new one")(
            Go(faults=((35, "denied"),)), Act("empties", 1), Go("undo", kill_at=25), Act("puts bob's key in"), places=2
        ),
        hard("undo may not switch a key on that was switched off seconds ago")(
            Go(hours=168), Go("undo", faults=((10, "denied"),)), list_lag=2, sign_in_lag=3
        ),
        hard("the new key is gone, and the old one, switched off, is in its place")(
            Go(faults=((34, "lost"),)),
            Go(meet=((0, Act("deletes a key", 2)),)),
            Act("puts the first key in", 1),
            places=3,
            in_place=True,
        ),
        hard("the younger of two keys is gone, and a new one was adopted in place of the older")(
            Go(hours=168, overlap="on"), Act("deletes a key"), Go("adopt"), places=2, second="here"
        ),
        hard("the new key is gone, and the old one, which was taken back to, is switched off")(
            Go(meet=((18, Act("switches a key off", 2)),)), Go(meet=((11, Act("switches a key off", 5)),)), places=2
        ),
        hard("the key of a rotation whose note is lost is to be deleted")(
            Go(kill_at=26, meet=((12, Act("brings the notes back", 4)),)),
            Act("loses the notes"),
            Go("delete-key"),
            Go(),
            list_lag=2,
            sign_in_lag=10,
        ),
        hard("the old key is gone, which neither undo nor restore can see")(
            Go(faults=((32, "lost"),)), Go("undo"), Go("restore"), list_lag=2, sign_in_lag=10
        ),
        hard("a run was killed before the switch, and the next one comes weeks later")(
            Go(hours=168, kill_at=21), places=3, second="here"
        ),
        hard("the new key is switched off while programs of the keyring have it")(
            Go(), Act("switches a key off"), places=3
        ),
    ],
)
def test_worlds_that_were_hard(world: World) -> None:
    """Each has once broken a promise, and is as small as it gets."""
    assert not broken(world)


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_hundred_thousand_worlds(shard: int) -> None:
    """The same, in each of very many."""
    all_kept(range(1_000_000 + shard, 1_100_000, SHARDS))
