"""A rotation was stopped, and then the world went on without it: other keys, older files, a person at the console.

Its note never blocks for ever, never costs a key that is in use, and never a stored secret whose key is still there.
"""

import re
import shutil
from collections.abc import Callable
from datetime import timedelta

import pytest

from rotate_my_key.core.model import Credentials
from tests.laptop import Laptop, sampled

from .test_notes import change_note

OTHER = timedelta(days=3)

STAGES: dict[str, tuple[str, int]] = {
    "before CreateAccessKey": ("CreateAccessKey", 1),
    "after CreateAccessKey": ("GetCallerIdentity", 2),
    "before UpdateAccessKey": ("UpdateAccessKey", 1),
}


def stop(laptop: Laptop, stage: str) -> str | None:
    """Kill a rotation at this stage; gives the id of the new key, if one was made."""
    action, nth = STAGES[stage]
    laptop.aws.fault(action, "drop", "before", skip=nth - 1)
    laptop.at(action, nth, lambda call: laptop.signal())
    assert laptop.run().code == -9
    laptop.calm(660)
    return next((key.key_id for key in laptop.aws.keys("alice") if key.key_id != laptop.old.key_id), None)


def notes(laptop: Laptop) -> list[str]:
    """What is left in the folder of the rotations."""
    return sorted(path.name for path in laptop.rotations.glob("*"))


def refusals(laptop: Laptop, since: int) -> int:
    """The calls that AWS refused."""
    return sum(call.outcome == "InvalidClientTokenId" for call in laptop.aws.calls[since:])


# Another key of the same user was put in


# What is left of the old and the new one then.
LEFT: dict[str, tuple[str | None, str | None]] = {
    "neither": (None, None),
    "the old one, active": ("Active", None),
    "the old one, switched off": ("Inactive", None),
    "the new one, active": (None, "Active"),
    "the new one, switched off": (None, "Inactive"),
}
ROWS = [
    f"{stage}; {left}" for stage in STAGES for left in LEFT if stage != "before CreateAccessKey" or not LEFT[left][1]
]
USUAL = (
    "before CreateAccessKey; neither",
    "before UpdateAccessKey; neither",
    "after CreateAccessKey; the new one, active",
)


def left_with(laptop: Laptop, row: str) -> tuple[Credentials, str | None]:
    """The situation of a row; gives the other key, and the id of the one that is left beside it."""
    stage, _, name = row.partition("; ")
    new, (old_status, new_status) = stop(laptop, stage), LEFT[name]
    for key_id, status in ((laptop.old.key_id, old_status), (new, new_status)):
        if key_id and status:
            laptop.aws.set_status(key_id, status)
        elif key_id:
            laptop.aws.delete_key(key_id)
    other = laptop.aws.add_key("alice", age=OTHER)
    laptop.put_in(other)
    return other, laptop.old.key_id if old_status else new if new_status else None


@pytest.mark.parametrize("row", sampled(ROWS, *USUAL))
def test_another_key_was_put_in(laptop: Laptop, row: str) -> None:
    """A note whose keys are gone ends by itself. A key that is only stored here is named once, with the command that
    removes it, and then the note ends too; meanwhile nothing is refused but what has no room."""
    other, rest = left_with(laptop, row)
    since = len(laptop.aws.calls)
    first = laptop.run()
    assert laptop.works() == other
    assert refusals(laptop, since) <= 6, [call.action for call in laptop.aws.calls[since:]]
    if rest is None:
        assert first.code == 0 and "earlier rotation" in first.err and notes(laptop) == [], first.text
    else:
        assert first.code == 1 and f"rotate-my-key delete-key {rest}" in first.err, first.text
        assert first.err.count("error:") == 1 and laptop.stored() == {rest}, first.text
        again = laptop.run()
        assert again.code == 0 and "error" not in again.err, again.text
        assert "unfinished" in laptop.run("status").out and rest in laptop.stored()
        assert f"delete-key {rest}" in laptop.run("doctor").out
        forced = laptop.run("rotate", "--force", "--yes")
        assert forced.code == 4 and f"delete-key {rest}" in forced.err, forced.text
        undone = laptop.run("undo", "--yes")
        assert undone.code == 1 and laptop.works() == other and laptop.stored() == {rest}, undone.text
        while rest in [key.key_id for key in laptop.aws.keys("alice")]:
            removed = laptop.run("delete-key", rest, "--yes")
            assert removed.code == 0, removed.text
        assert laptop.run().code == 0 and notes(laptop) == []
    assert laptop.works() == other
    forced = laptop.run("rotate", "--force", "--yes")
    assert forced.code == 0 and laptop.works() != other, forced.text
    assert laptop.run("undo", "--yes").code == 1
    assert notes(laptop) == []


@pytest.mark.parametrize("stage", sampled(STAGES, "after CreateAccessKey"))
def test_another_key_is_adopted(laptop: Laptop, stage: str) -> None:
    """IT gave a new key because neither worked any more: `adopt` takes it and replaces it, and nothing stays of old."""
    new = stop(laptop, stage)
    for key_id in filter(None, (laptop.old.key_id, new)):
        laptop.aws.delete_key(key_id)
    given = laptop.aws.add_key("alice")
    csv = laptop.home / "accessKeys.csv"
    csv.write_text(f"Access key ID,Secret access key\n{given.key_id},{given.secret}\n")
    done = laptop.run("adopt", str(csv), "--yes")
    assert done.code == 0, done.text
    assert laptop.works("default") != given
    assert notes(laptop) == []


def test_a_key_in_another_profile_signs(laptop: Laptop) -> None:
    """The note's profiles hold dead keys, and another profile one of the same user that works."""
    new = stop(laptop, "before UpdateAccessKey")
    assert new
    for key_id in (laptop.old.key_id, new):
        laptop.aws.delete_key(key_id)
    other = laptop.aws.add_key("alice", age=OTHER)
    text = f"\n[third]\naws_access_key_id = {other.key_id}\naws_secret_access_key = {other.secret}\n"
    laptop.file.write_text(laptop.file.read_text() + text)
    done = laptop.run("rotate", "--yes", "-p", "third")
    assert done.code == 0 and notes(laptop) == [], done.text
    assert laptop.works("third") == other


def test_nobody_of_that_user_is_here(laptop: Laptop) -> None:
    """Said once; another user's key goes its way at once and every day, and nothing stored is thrown away."""
    new = stop(laptop, "after CreateAccessKey")
    assert new
    laptop.aws.set_status(laptop.old.key_id, "Inactive")
    laptop.aws.set_status(new, "Inactive")
    bob = laptop.bobs_key(OTHER)
    laptop.put_in(bob)
    kept = laptop.stored()
    first = laptop.run()
    assert first.code == 5 and first.err.count("error:") == 1, first.text
    since = len(laptop.aws.calls)
    again = laptop.run("rotate", "--all", "--yes", "--force")
    assert again.code == 5 and again.err.count("error:") == 1 and "other" in again.err, again.text
    assert refusals(laptop, since) <= 12
    assert laptop.stored() == kept == {laptop.old.key_id, new}
    assert [key.key_id for key in laptop.aws.keys("bob")] == [laptop.pair().key_id] != [bob.key_id]


def test_many_other_keys_are_here(laptop: Laptop) -> None:
    """To find one of that user's, a few are asked who they are, each once a run, and not fifty."""
    new = stop(laptop, "after CreateAccessKey")
    assert new
    for key_id in (laptop.old.key_id, new):
        laptop.aws.delete_key(key_id)
    laptop.put_in(laptop.bobs_key(OTHER))
    more = "".join(
        f"\n[more{n}]\naws_access_key_id = AKIADEADDEADDEAD{n:04d}\naws_secret_access_key = x\n" for n in range(50)
    )
    laptop.file.write_text(laptop.file.read_text() + more)
    since = len(laptop.aws.calls)
    done = laptop.run()
    assert done.code == 5, done.text
    assert refusals(laptop, since) <= 24


def test_the_note_cannot_be_read_either(laptop: Laptop) -> None:
    """It is made again from what is stored, and the same is promised."""
    new = stop(laptop, "after CreateAccessKey")
    assert new
    laptop.aws.delete_key(laptop.old.key_id)
    laptop.put_in(laptop.aws.add_key("alice", age=OTHER))
    next(laptop.rotations.glob("*.note")).write_bytes(b"{")
    first = laptop.run()
    assert first.code == 1 and f"delete-key {new}" in first.err and laptop.stored() == {new}, first.text
    assert laptop.run().code == 0
    laptop.aws.delete_key(new)
    assert laptop.run().code == 0
    assert all("unreadable" in name for name in notes(laptop))


def test_a_newer_version_began_it(laptop: Laptop) -> None:
    """One line, each time; what it left stays to the byte, and the key that was put in is rotated all the same."""
    stop(laptop, "before CreateAccessKey")
    laptop.aws.set_status(laptop.old.key_id, "Inactive")
    laptop.env["ROTATE_MY_KEY_REPLACE_INACTIVE"] = "yes"
    other = laptop.aws.add_key("alice", age=OTHER)
    laptop.put_in(other)
    change_note(laptop, version=99)
    left = {path: path.read_bytes() for path in laptop.rotations.iterdir()}
    done = laptop.run("rotate", "--force", "--yes")
    assert done.code == 1 and done.err.count("error:") == 1 and "newer" in done.err, done.text
    assert laptop.works() != other
    assert {path: path.read_bytes() for path in laptop.rotations.iterdir()} == left


# A backup, or a sync, brought an older file back


def bring_back(laptop: Laptop, *paths: str) -> Callable[[], None]:
    """Take a copy of these files of the state folder; gives what brings them back."""
    copy = laptop.home.parent / "backup"
    for name in paths:
        source = laptop.state / name
        if source.is_dir():
            shutil.copytree(source, copy / name)
        elif source.exists():
            copy.mkdir(exist_ok=True)
            shutil.copy(source, copy / name)

    def back() -> None:
        for name in paths:
            (laptop.state / name).unlink() if (laptop.state / name).is_file() else None
        shutil.copytree(copy, laptop.state, dirs_exist_ok=True)

    return back


BACKUPS = {
    f"{stage}; {what}; {since}": (stage, files, since)
    for stage in STAGES
    for what, files in {"all of the state": ("rotations", "history.jsonl"), "the notes": ("rotations",)}.items()
    for since in ("finished since", "rotated again since")
}


@pytest.mark.parametrize(
    "row",
    sampled(
        BACKUPS,
        "after CreateAccessKey; all of the state; rotated again since",
        "before UpdateAccessKey; the notes; rotated again since",
        "before UpdateAccessKey; all of the state; finished since",
    ),
)
def test_the_state_of_an_unfinished_rotation_comes_back(laptop: Laptop, row: str) -> None:
    """One line; the key in use stays, and the next rotation is an ordinary one. If the history knows that both keys
    are gone, it says since when, without a call."""
    stage, files, since = BACKUPS[row]
    stop(laptop, stage)
    back = bring_back(laptop, *files)
    assert laptop.run().code == 0
    if since == "rotated again since":
        assert laptop.run("rotate", "--force", "--yes").code == 0
    now = laptop.works()
    back()
    calls = len(laptop.aws.calls)
    done = laptop.run()
    assert done.code == 0 and done.err.count("\n") <= 2 and "error" not in done.err, done.text
    known = "; the notes; rotated again since" in row and not row.startswith("before CreateAccessKey")
    assert not known or "which ended on" in done.err, done.text
    assert laptop.works() == now and [key.key_id for key in laptop.aws.keys("alice")] == [now.key_id]
    assert refusals(laptop, calls) <= (0 if known else 6)
    assert notes(laptop) == []
    assert laptop.run("rotate", "--force", "--yes").code == 0 and laptop.works() != now


@pytest.mark.parametrize("verb", ["undo", "restore"])
def test_an_old_note_is_nothing_to_go_back_to(laptop: Laptop, verb: str) -> None:
    """Both keys are gone: exit 1, the key in use stays, and the note does not come in the way again."""
    stop(laptop, "before UpdateAccessKey")
    back = bring_back(laptop, "rotations")
    assert laptop.run().code == 0
    assert laptop.run("rotate", "--force", "--yes").code == 0
    now = laptop.works()
    back()
    done = laptop.run(verb, "--yes")
    assert done.code == 1 and done.err.count("error:") == 1, done.text
    assert laptop.works() == now
    assert laptop.run().code == 0 and laptop.works() == now and notes(laptop) == []


def test_an_old_credentials_file_comes_back(laptop: Laptop) -> None:
    """Its key is dead: everything says when it ended and what took its place in the end, and what is left to do. AWS is
    not asked, and nothing is made or retired."""
    assert laptop.run().code == 0
    assert laptop.run("rotate", "--force", "--yes").code == 0
    (now,) = laptop.aws.keys("alice")
    laptop.file.write_bytes(laptop.original)
    calls = len(laptop.aws.calls)
    said = re.compile(rf"replaced here on \d+ \w+ \d{{4}} by ...{now.key_id[-4:]}")
    for code, *args in ((5,), (5, "rotate", "--force", "--yes"), (0, "status", "--cached"), (0, "status")):
        done = laptop.run(*map(str, args))
        assert done.code == code and said.search(done.text) and "rotate-my-key adopt" in done.text, done.text
    assert all(call.key_id != laptop.old.key_id for call in laptop.aws.calls[calls:])
    assert said.search(laptop.run("doctor").out)
    assert [key.key_id for key in laptop.aws.keys("alice")] == [now.key_id]


@pytest.mark.parametrize("stage", sampled(STAGES, "before UpdateAccessKey"))
def test_the_credentials_file_of_before_comes_back(laptop: Laptop, stage: str) -> None:
    """While a rotation is unfinished it is finished, into the file that came back."""
    stop(laptop, stage)
    laptop.file.write_bytes(laptop.original)
    laptop.settled()


# A person at the console


_FORWARD = [0]
_BACK = [1, 0]  # said once that somebody did it
_DEAD = [5, 5]  # no key of that user works here
# Which key, its status then, and how the next runs exit, by stage: the last one settles it.
HANDS: dict[str, tuple[str, str | None, tuple[list[int], ...]]] = {
    "deleted the old key": ("old", None, (_DEAD, _FORWARD, _FORWARD)),
    "switched the old key off": ("old", "Inactive", (_DEAD, _FORWARD, _FORWARD)),
    "deleted the new key": ("new", None, ([], _FORWARD, _BACK)),
    "switched the new key off": ("new", "Inactive", ([], _BACK, _BACK)),
}
PEOPLE = {
    f"{stage}; {hand}": (stage, key, status, each)
    for hand, (key, status, codes) in HANDS.items()
    for stage, each in zip(STAGES, codes, strict=True)
    if each
}


@pytest.mark.parametrize(
    "row",
    sampled(
        PEOPLE,
        "before CreateAccessKey; deleted the old key",
        "after CreateAccessKey; switched the old key off",
        "before UpdateAccessKey; switched the new key off",
    ),
)
def test_somebody_had_a_hand_in_it(laptop: Laptop, row: str) -> None:
    """It goes on with the key that works; if none does, that is said in seconds, and the first new key ends it."""
    stage, key, status, codes = PEOPLE[row]
    new = stop(laptop, stage)
    key_id = laptop.old.key_id if key == "old" else new
    assert key_id
    laptop.aws.set_status(key_id, status) if status else laptop.aws.delete_key(key_id)
    for code in codes:
        since = len(laptop.aws.calls)
        done = laptop.run()
        assert done.code == code, done.text
        assert refusals(laptop, since) <= 8, [call.action for call in laptop.aws.calls[since:]]
    if codes != _DEAD:
        pair = laptop.works()
        assert [key.key_id for key in laptop.aws.keys("alice")] == [pair.key_id]
        return laptop.tidy()
    laptop.aws.delete_key(laptop.old.key_id) if status else None
    other = laptop.aws.add_key("alice", age=OTHER)
    laptop.put_in(other)
    assert laptop.run().code == 0
    assert laptop.works() == other
    return laptop.tidy()


# Clocks, hosts, and records without a note


@pytest.mark.parametrize("ahead", [timedelta(minutes=30), timedelta(days=4000)], ids=["half an hour", "years"])
def test_a_note_of_the_future(laptop: Laptop, ahead: timedelta) -> None:
    """Another computer's clock was wrong as it began: it is settled all the same."""
    stop(laptop, "after CreateAccessKey")
    began = (laptop.aws._front.world.now() + ahead).isoformat()
    change_note(laptop, host="another-computer", boot="", began=began, switch_off_at=began, delete_at=began)
    laptop.settled()


def test_a_kept_pair_without_a_note_that_no_profile_holds(laptop: Laptop) -> None:
    """It is the last copy: it stays until its key is gone, and is said once."""
    stop(laptop, "before CreateAccessKey")
    for path in laptop.rotations.iterdir():
        if path.suffix != ".kept":
            path.unlink()
    other = laptop.aws.add_key("alice", age=OTHER)
    laptop.put_in(other)
    first = laptop.run()
    assert first.code == 1 and f"delete-key {laptop.old.key_id}" in first.err, first.text
    assert laptop.run().code == 0 and laptop.stored() == {laptop.old.key_id}
    laptop.aws.delete_key(laptop.old.key_id)
    assert laptop.run().code == 0 and notes(laptop) == []
    assert laptop.works() == other


def test_a_note_of_another_endpoint_is_said_once(laptop: Laptop) -> None:
    """A rotation at another endpoint waits until that is back, and every day's run goes on meanwhile."""
    stop(laptop, "after CreateAccessKey")
    change_note(laptop, endpoint="http://127.0.0.1:9")
    laptop.put_in(laptop.bobs_key(OTHER))
    assert laptop.run().code == 1
    done = laptop.run()
    assert done.code == 0 and "error" not in done.err, done.text
    assert len(notes(laptop)) == 3
