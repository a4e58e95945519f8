"""`undo`: until the old key is deleted it can be put back, under the same promises as a rotation."""

import pytest

from tests.laptop import Laptop


def undone(laptop: Laptop) -> bool:
    """The file is byte for byte what it was, the old key is the only one, and works."""
    laptop.works()
    (key,) = laptop.aws.keys("alice")
    return laptop.file.read_bytes() == laptop.original and key.key_id == laptop.old.key_id


@pytest.mark.parametrize("flags", [("--keep-old", "7d"), ("--keep-old", "7d", "--old-active")], ids=["off", "active"])
def test_undo_puts_everything_back(laptop: Laptop, flags: tuple[str, ...]) -> None:
    """Whether the old key was switched off or kept working."""
    assert laptop.run("--yes", *flags).code == 0
    assert laptop.pair() != laptop.old
    done = laptop.run("undo", "--yes")
    assert done.code == 0, done.text
    assert undone(laptop)
    assert laptop.leftovers() == []
    assert laptop.history()[-1]["action"] == "undone"


def test_once_the_old_key_is_deleted_there_is_nothing_to_undo(laptop: Laptop) -> None:
    """One line and a hint; nothing changes."""
    assert laptop.run("--yes").code == 0
    done = laptop.run("undo", "--yes")
    assert done.code == 1
    assert "nothing to undo: no old key is kept" in done.err
    assert "hint: rotate-my-key history" in done.err
    laptop.works()


def test_a_rotation_that_was_killed_can_be_undone(laptop: Laptop) -> None:
    """It is taken back instead of finished."""
    laptop.at("UpdateAccessKey", 1, lambda call: laptop.signal())
    laptop.aws.fault("UpdateAccessKey", "drop", "before")
    assert laptop.run("--yes").code == -9
    laptop.calm(20)
    done = laptop.run("undo", "--yes")
    assert done.code == 0, done.text
    assert undone(laptop)


def test_it_asks_first(laptop: Laptop) -> None:
    """Without a terminal: exit 4, naming the flag."""
    assert laptop.run("--yes", "--keep-old", "7d").code == 0
    held = laptop.works()
    done = laptop.run("undo")
    assert done.code == 4
    assert "rotate-my-key undo --yes" in done.err
    assert laptop.works() == held
