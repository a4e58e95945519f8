"""`--keep-old 7d --old-active`: the old key keeps working, and is kept once more if something else still uses it."""

import time
from datetime import UTC, datetime

from rotate_my_key.core.model import LastUse
from tests.laptop import Laptop


def status_of(laptop: Laptop, key_id: str) -> str:
    """What AWS has of a key; "" if it is gone."""
    return next((key.status for key in laptop.aws.keys("alice") if key.key_id == key_id), "")


def test_an_old_key_that_something_else_uses_is_kept_once_more(laptop: Laptop) -> None:
    """It is said where; the next time it goes, whoever uses it."""
    assert laptop.run("--yes", "--keep-old", "3s", "--old-active").code == 0
    assert status_of(laptop, laptop.old.key_id) == "Active"
    time.sleep(1)
    laptop.aws.set_last_use(laptop.old.key_id, LastUse(datetime.now(UTC), "s3", "eu-west-1"))
    time.sleep(2.5)
    done = laptop.run("--yes")
    assert done.code == 0, done.text
    assert "by s3 in eu-west-1" in done.err
    assert status_of(laptop, laptop.old.key_id) == "Active"
    time.sleep(3.5)
    done = laptop.run("--yes")
    assert done.code == 0, done.text
    assert status_of(laptop, laptop.old.key_id) == ""
    assert laptop.leftovers() == []


def test_our_own_calls_are_no_use(laptop: Laptop) -> None:
    """A last use by iam or sts keeps nothing."""
    assert laptop.run("--yes", "--keep-old", "2s", "--old-active").code == 0
    time.sleep(1)
    laptop.aws.set_last_use(laptop.old.key_id, LastUse(datetime.now(UTC), "sts", "us-east-1"))
    time.sleep(1.5)
    assert laptop.run("--yes").code == 0
    assert status_of(laptop, laptop.old.key_id) == ""
