"""Whole histories of a laptop, a sample by default; `python -m tests.engine.worlds 100000` tries more."""

import pytest

from tests.engine.worlds import told, tried

SHARDS = 8


def all_kept(seeds: range) -> None:
    """The worlds of these seeds keep the promises; one that does not is told as small as it gets."""
    found = tried(seeds)
    assert found.counts.worlds == len(seeds) or found.broken
    assert not found.broken, told(*found.broken[0])


@pytest.mark.parametrize("shard", range(2))
def test_a_sample_of_worlds(shard: int) -> None:
    """Somebody always holds a working key, no secret is lost, nothing of others is touched, and every run ends."""
    all_kept(range(shard * 750, (shard + 1) * 750))


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_hundred_thousand_worlds(shard: int) -> None:
    """The same, in each of very many."""
    all_kept(range(1_000_000 + shard, 1_100_000, SHARDS))
