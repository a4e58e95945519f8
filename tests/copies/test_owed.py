"""What was asked to take the new key and could not is owed: the old key goes on working until it has, or a person says
otherwise."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from rotate_my_key.core.model import Credentials
from tests.laptop import Finished, Laptop, sampled

from .home import NAMED, UPDATED

GOOD, BAD = ".env", ".s3cfg"


def lay(laptop: Laptop, pair: Credentials) -> Path:
    """A copy that can be changed, and one whose second name keeps it from being; gives the second name."""
    for name in (GOOD, BAD):
        (laptop.home / name).write_bytes(UPDATED[name](pair))
        (laptop.home / name).chmod(0o600)
    other = laptop.home / "second-name"
    other.hardlink_to(laptop.home / BAD)
    return other


def status(laptop: Laptop) -> dict[str, str]:
    """What AWS lists for alice."""
    return {key.key_id: key.status for key in laptop.aws.keys("alice")}


def rotated(laptop: Laptop, *words: str) -> Finished:
    """A rotation that changes copies; both keys work after it, because one copy is owed."""
    done = laptop.run("rotate", "--yes", "--update-copies", *words)
    assert done.code == 1, done.text
    assert status(laptop) == {laptop.old.key_id: "Active", laptop.works().key_id: "Active"}
    assert (laptop.home / GOOD).read_bytes() == UPDATED[GOOD](laptop.works())
    assert (laptop.home / BAD).read_bytes() == UPDATED[BAD](laptop.old)
    return done


def ended(laptop: Laptop) -> None:
    """One key is left, in all files, and nothing else."""
    new = laptop.works()
    assert list(status(laptop)) == [new.key_id]
    assert not list(laptop.rotations.iterdir())


@pytest.mark.parametrize("how", sampled(["mended", "changed by hand", "removed"], "mended"))
def test_the_next_plain_run_ends_it(laptop: Laptop, how: str) -> None:
    """When the file can be changed, or holds the old key no more; until then each run says so and changes nothing."""
    other = lay(laptop, laptop.old)
    rotated(laptop)
    still = laptop.run("rotate", "--yes", "-q")
    assert still.code == 1 and f"~/{BAD} is not changed yet: " in still.err
    assert status(laptop)[laptop.old.key_id] == "Active"
    if how == "changed by hand":
        (laptop.home / BAD).write_bytes(UPDATED[BAD](laptop.works()))
    other.unlink()
    if how == "removed":
        (laptop.home / BAD).unlink()
    done = laptop.run("rotate", "--yes")
    assert done.code == 0, done.text
    ended(laptop)
    if how != "removed":
        assert (laptop.home / BAD).read_bytes() == UPDATED[BAD](laptop.works())


def test_it_is_said_before_anything_is_done_and_in_json(laptop: Laptop) -> None:
    """Which file, why, and that the old key will go on working; `owed` marks it."""
    lay(laptop, laptop.old)
    said: list[str] = []
    laptop.at("CreateAccessKey", 1, lambda call: said.append("create"))
    foreseen = laptop.run("rotate", "--dry-run", "--update-copies", "--json")
    assert {each["path"]: each["owed"] for each in json.loads(foreseen.out)["keys"][0]["copies"]} == {
        str(laptop.home / GOOD): False,
        str(laptop.home / BAD): True,
    }
    assert "follow" in json.loads(foreseen.out)["keys"][0]["steps"]
    done = rotated(laptop, "--json")
    before = done.err.index(f"~/{BAD} cannot be changed now, so the old key keeps working until it has the new one")
    assert said and before < done.err.index("created a new key")
    key = json.loads(done.out)["keys"][0]
    assert {each["path"]: (each["finding"], each["owed"]) for each in key["copies"]} == {
        str(laptop.home / GOOD): ("updated", False),
        str(laptop.home / BAD): ("cannot be replaced", True),
    }
    assert key["problem"]["code"] == 1 and str(laptop.home / BAD) in key["problem"]["message"]


def test_what_takes_no_secret_by_its_nature_is_said_and_not_waited_for(laptop: Laptop) -> None:
    """A file that git tracks, a history: told before the new key is made, and the rotation ends."""
    (laptop.home / GOOD).write_bytes(UPDATED[GOOD](laptop.old))
    (laptop.home / ".bash_history").write_bytes(NAMED[".bash_history"][0](laptop.old))
    git = {"PATH": os.environ["PATH"], "HOME": str(laptop.home), "GIT_CONFIG_NOSYSTEM": "1"}
    for words in (["init", "-q"], ["add", GOOD], ["remote", "add", "origin", "https://example.com/x"]):
        subprocess.run(["git", *words], cwd=laptop.home, env=git, check=True)
    done = laptop.run("rotate", "--yes", "--update-copies")
    assert done.code == 0, done.text
    assert done.err.index(f"~/{GOOD} is not changed: tracked by git") < done.err.index("created a new key")
    assert (laptop.home / GOOD).read_bytes() == UPDATED[GOOD](laptop.old)
    ended(laptop)


@pytest.mark.parametrize("when", sampled(["owed by an earlier run", "owed by this run"], "owed by an earlier run"))
def test_a_leak_waits_for_no_file(laptop: Laptop, when: str) -> None:
    """`--force --keep-old 0 --overlap 0` retires the key at once, with exit 1 and the file that is left without one."""
    lay(laptop, laptop.old)
    if when == "owed by an earlier run":
        rotated(laptop)
    second = laptop.works()
    done = laptop.run("rotate", "--yes", "--force", "--keep-old", "0", "--overlap", "0", "--update-copies")
    assert done.code == 1 and str(laptop.home / BAD) in done.err, done.text
    ended(laptop)
    assert laptop.works() != second
    assert (laptop.home / GOOD).read_bytes() == UPDATED[GOOD](laptop.works())
    assert laptop.run("rotate", "--yes").code == 0


def test_a_person_gives_the_file_up(laptop: Laptop) -> None:
    """By the hint: the old key is switched off, and the next run ends it, saying once what is left without a key. Until
    then `--force` alone, which is no leak, waits too."""
    lay(laptop, laptop.old)
    done = rotated(laptop, "--force")
    again = laptop.run("rotate", "--yes", "--force")
    assert again.code == 1 and status(laptop)[laptop.old.key_id] == "Active"
    hint = next(line for line in done.err.splitlines() if line.startswith("hint: "))
    words = hint.partition("if nobody needs them: rotate-my-key ")[2].split()
    assert laptop.run(*words, "--yes").code == 0
    assert status(laptop)[laptop.old.key_id] == "Inactive"
    done = laptop.run("rotate", "--yes")
    assert done.code == 1 and f"{laptop.home / BAD} was not changed, and key " in done.err
    ended(laptop)
    assert laptop.run("rotate", "--yes").code == 0


def test_undo_waits_for_copies_to_follow_back(laptop: Laptop) -> None:
    """The new key goes on working until they have; the next plain run ends it."""
    other = lay(laptop, laptop.old)
    other.unlink()
    assert laptop.run("rotate", "--yes", "--update-copies", "--keep-old", "7d").code == 0
    new = laptop.works()
    other.hardlink_to(laptop.home / BAD)
    undone = laptop.run("undo", "--yes")
    assert undone.code == 1 and f"~/{BAD} is not changed yet" in undone.err, undone.text
    assert laptop.works() == laptop.old
    assert status(laptop) == {laptop.old.key_id: "Active", new.key_id: "Active"}
    other.unlink()
    laptop.run("rotate", "--yes", env={"ROTATE_MY_KEY_MAX_AGE": "900d"})
    assert laptop.works() == laptop.old and (laptop.home / BAD).read_bytes() == UPDATED[BAD](laptop.old)
    ended(laptop)


def test_a_copy_is_tried_again_while_the_old_key_is_kept_working(laptop: Laptop) -> None:
    """Not only when the old key is to go: each plain run tries, and is content when all have followed."""
    other = lay(laptop, laptop.old)
    rotated(laptop, "--keep-old", "7d", "--old-active")
    other.unlink()
    done = laptop.run("rotate", "--yes")
    assert done.code == 0, done.text
    assert (laptop.home / BAD).read_bytes() == UPDATED[BAD](laptop.works())
    assert status(laptop)[laptop.old.key_id] == "Active"
