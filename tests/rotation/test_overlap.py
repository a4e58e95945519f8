"""`--overlap 1d`: the old key goes on working for what is running, longer if something else uses it still."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from rotate_my_key.core.model import LastUse
from rotate_my_key.state.notes import FileNotes
from tests.laptop import Finished, Laptop
from tests.standin import StandIn

DAY = timedelta(days=1)


class Computer(Protocol):
    """A laptop, or a desk."""

    @property
    def aws(self) -> StandIn:
        """AWS."""

    @property
    def state(self) -> Path:
        """The state dir."""


def hours_pass(computer: Computer, hours: float) -> None:
    """Every rotation under way began so much earlier, and its old key was last used before that."""
    notes, ago = FileNotes(str(computer.state / "rotations")), timedelta(hours=hours)
    for name in notes.names():
        note = notes.load(name)
        assert note
        times = ("began", "switch_off_at", "delete_at", "since", "latest", "used")
        notes.save(replace(note, **{at: getattr(note, at) - ago for at in times if getattr(note, at)}))
        computer.aws.set_last_use(note.unwanted, LastUse(note.began - 2 * ago, "sts", "us-east-1"))


def old_key(laptop: Laptop) -> str:
    """What AWS has of it; "" if it is gone."""
    return next((key.status for key in laptop.aws.keys("alice") if key.key_id == laptop.old.key_id), "")


def use(laptop: Laptop, service: str, ago: timedelta = timedelta(0)) -> None:
    """The old key is used."""
    laptop.aws.set_last_use(laptop.old.key_id, LastUse(datetime.now(UTC) - ago, service, "eu-west-1"))


def rotate(laptop: Laptop, *flags: str) -> Finished:
    """It goes well."""
    done = laptop.run("rotate", "--yes", *flags)
    assert done.code == 0, done.text
    return done


def test_the_old_key_works_for_a_day_and_goes(laptop: Laptop) -> None:
    """It is said until when, by `status`, too; a run after that ends it, and asks nothing."""
    done = rotate(laptop, "--overlap", "1d")
    assert f"old key ...{laptop.old.key_id[-4:]} works until tomorrow, " in done.err
    assert "; then it is deactivated and deleted" in done.err
    assert "Done. " in done.out
    for words in (("status",), ("status", "--cached")):
        assert "works until tomorrow, " in laptop.run(*words).out
    hours_pass(laptop, 23.9)
    assert laptop.run("rotate").code == 0
    assert old_key(laptop) == "Active"
    hours_pass(laptop, 0.2)
    assert laptop.run("rotate").code == 0
    assert old_key(laptop) == "" and laptop.leftovers() == []


def test_it_is_then_kept_switched_off(laptop: Laptop) -> None:
    """As long as was agreed to from the day on which it was switched off, however late that was."""
    done = rotate(laptop, "--overlap", "1d", "--keep-old", "7d")
    assert " stays inactive until " in done.err
    hours_pass(laptop, 24 * 30)
    done = laptop.run("rotate")
    assert old_key(laptop) == "Inactive", done.text
    assert "inactive until " in laptop.run("status").out
    hours_pass(laptop, 24 * 7)
    assert laptop.run("rotate").code == 0
    assert old_key(laptop) == ""


def test_what_something_else_uses_is_kept_on(laptop: Laptop) -> None:
    """For another day, and it is said by what; a quiet day ends it, and so does overlap_most."""
    laptop.env["ROTATE_MY_KEY_OVERLAP_MOST"] = "60h"
    rotate(laptop, "--overlap", "1d")
    for _ in range(2):
        hours_pass(laptop, 25)
        use(laptop, "s3")
        done = laptop.run("rotate")
        assert "stays active: something else still uses it, last s3 in eu-west-1 at " in done.err
        assert old_key(laptop) == "Active"
    hours_pass(laptop, 25)
    use(laptop, "s3")
    done = laptop.run("rotate")
    assert "was kept active for as long as allowed" in done.err
    assert old_key(laptop) == ""


@pytest.mark.parametrize(
    ("service", "minutes", "status"),
    [
        pytest.param("sts", 5, "", id="our own calls are no use"),
        pytest.param("sts", 20, "Active", id="a call to sts that cannot be ours is"),
        pytest.param("s3", 5, "Active", id="any other is"),
        pytest.param("s3", -5, "", id="what used it before the switch has the new one"),
    ],
)
def test_whose_use_it_is(laptop: Laptop, service: str, minutes: int, status: str) -> None:
    """Told by the service, and by the time after the switch."""
    rotate(laptop, "--overlap", "1d")
    hours_pass(laptop, 25)
    use(laptop, service, timedelta(hours=25, minutes=-minutes))
    assert laptop.run("rotate").code == 0
    assert old_key(laptop) == status


@pytest.mark.parametrize(("flags", "says"), [((), "stays inactive until "), (("--old-active",), "works until ")])
def test_a_kept_key_in_the_way(laptop: Laptop, flags: tuple[str, ...], says: str) -> None:
    """A script is refused, and told whether it works; for a key that has leaked it goes at once, and so does that."""
    rotate(laptop, "--keep-old", "7d", *flags)
    done = laptop.run("rotate", "--force", "--yes")
    assert (done.code, says in done.err) == (4, True), done.text
    assert "in a terminal: rotate-my-key rotate --force" in done.err
    leaked = laptop.pair().key_id
    rotate(laptop, "--force", "--keep-old", "0", "--overlap", "0")
    (left,) = laptop.aws.keys("alice")
    assert left.key_id == laptop.pair().key_id not in (leaked, laptop.old.key_id)
    assert laptop.leftovers() == []


def test_a_rotation_can_be_undone_meanwhile(laptop: Laptop) -> None:
    """It says what it would do, and which key it has deleted; without an overlap it says how to have one."""
    rotate(laptop, "--overlap", "1d")
    new, old = laptop.pair().key_id[-4:], laptop.old.key_id[-4:]
    done = laptop.run("undo", "--yes")
    assert f": this puts key ...{old} back and deletes ...{new}." in done.err
    assert f"deactivated and deleted the new key ...{new}" in done.err
    assert laptop.pair() == laptop.old
    rotate(laptop)
    assert "rotate --overlap 1d keeps it working for a day" in laptop.run("undo", "--yes").err
