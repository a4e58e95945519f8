"""Others are at work too: people edit the file, tools restore it, somebody else changes the keys, all in the middle."""

import shutil
from collections.abc import Callable
from contextlib import suppress

import pytest

from rotate_my_key.core.model import Credentials
from tests.laptop import Laptop, sampled
from tests.standin import Call
from tests.standin.errors import Refused

ANY_TIME = {
    "as a new key is asked for": ("CreateAccessKey", 1),
    "at the first proof": ("GetCallerIdentity", 2),
    "at the last proof": ("GetCallerIdentity", 4),
    "as it signs in with what it read": ("GetCallerIdentity", 5),
    "as the old key is switched off": ("UpdateAccessKey", 1),
    "as the old key is deleted": ("DeleteAccessKey", 1),
}
BEFORE_THE_SWITCH, AFTER_THE_SWITCH = list(ANY_TIME)[:3], list(ANY_TIME)[3:]
SOON = {"ROTATE_MY_KEY_PROPAGATION_TIMEOUT": "1s"}


def put(laptop: Laptop, pair: Credentials, sections: int = 2) -> None:
    """Somebody puts this pair into the first so many of the file's profiles, whatever holds them now."""
    for profile in ("default", "work")[:sections]:
        data = laptop.file.read_bytes()
        held = laptop.pair(profile)
        start = data.index(f"[{profile}]".encode())
        part = data[start:].replace(held.key_id.encode(), pair.key_id.encode(), 1)
        laptop.file.write_bytes(data[:start] + part.replace(held.secret.encode(), pair.secret.encode(), 1))


@pytest.mark.parametrize("moment", sampled(ANY_TIME, "at the first proof", "as the old key is deleted"))
def test_another_key_is_put_into_every_profile(laptop: Laptop, moment: str) -> None:
    """No place is left: nothing more is done, and exit 1 says so. The person's key stays where it was put, and of every
    key that is active the secret is here."""
    bob = laptop.bobs_key()
    laptop.at(*ANY_TIME[moment], lambda call: put(laptop, bob))
    done = laptop.run()
    assert done.code == 1, done.text
    assert "default" in done.err and "work" in done.err and str(laptop.file) in done.err, done.err
    assert laptop.pair() == laptop.pair("work") == bob
    stored = b"".join(laptop.files().values())
    left = [laptop.aws.pair(key.key_id) for key in laptop.aws.keys("alice") if key.active]
    assert left and all(pair.secret.encode() in stored for pair in left), done.text


@pytest.mark.parametrize("moment", sampled(ANY_TIME, "as a new key is asked for", "as the old key is deleted"))
def test_another_key_is_put_into_one_of_two_profiles(laptop: Laptop, moment: str) -> None:
    """That profile leaves the rotation, unwritten; the other one is rotated."""
    bob = laptop.bobs_key()
    laptop.at(*ANY_TIME[moment], lambda call: put(laptop, bob, 1))
    done = laptop.run()
    assert done.code == 0, done.text
    assert laptop.pair() == bob
    assert laptop.works("work") != laptop.old
    assert len(laptop.aws.keys("alice")) == 1
    assert laptop.leftovers() == []


@pytest.mark.parametrize("moment", AFTER_THE_SWITCH)
def test_an_old_file_is_restored(laptop: Laptop, moment: str) -> None:
    """An editor or a dotfile tool writes the old key back: it is switched again, in the same run."""
    laptop.at(*ANY_TIME[moment], lambda call: laptop.file.write_bytes(laptop.original))
    done = laptop.run()
    assert done.code == 0, done.text
    laptop.settled()


@pytest.mark.parametrize("moment", sampled(BEFORE_THE_SWITCH, "at the first proof"))
@pytest.mark.parametrize("how", ["switched off", "deleted"])
def test_the_new_key_is_taken_away_by_somebody_else(laptop: Laptop, moment: str, how: str) -> None:
    """It is not waited for longer than for any new key; the old one stays in place, and the next runs settle."""

    def take_away(call: Call) -> None:
        new = [key for key in laptop.aws.keys("alice") if key.key_id != laptop.old.key_id]
        for key in new:
            laptop.aws.delete_key(key.key_id) if how == "deleted" else laptop.aws.set_status(key.key_id, "Inactive")

    laptop.at(*ANY_TIME[moment], take_away, "after")
    laptop.time_flies()
    done = laptop.run(env=SOON)
    assert done.code in (1, 75), done.text
    if laptop.pair() != laptop.old:  # it had signed in, and was taken away just before it was put in its place
        assert laptop.run().code in (0, 1)
    laptop.works()
    laptop.settled(runs=2, codes=(0, 1))


TAKEN_AWAY = {f"{how} {moment}": (how, moment) for how in ("switched off", "deleted") for moment in AFTER_THE_SWITCH}
TAKEN_AWAY |= {f"deleted {moment}": ("deleted", moment) for moment in BEFORE_THE_SWITCH[1:]}


@pytest.mark.parametrize("row", sampled(TAKEN_AWAY, *(row for row in TAKEN_AWAY if "signs in" not in row)))
def test_the_old_key_is_taken_away_by_somebody_else(laptop: Laptop, row: str) -> None:
    """What was to be done is done already: exit 0. Before the switch the only way is forward, to the new key."""
    how, moment = TAKEN_AWAY[row]

    def take_away(call: Call) -> None:
        if how == "deleted":
            laptop.aws.delete_key(laptop.old.key_id)
        else:
            laptop.aws.set_status(laptop.old.key_id, "Inactive")

    laptop.at(*ANY_TIME[moment], take_away)
    done = laptop.run()
    assert done.code == 0, done.text
    laptop.settled()


OTHERS_KEY: dict[str, tuple[str, int, str]] = {
    "before the first look": ("GetCallerIdentity", 1, "before"),
    "after the keys were listed": ("ListAccessKeys", 1, "after"),
    "just before ours": ("CreateAccessKey", 1, "before"),
    "just after the old key was deleted": ("DeleteAccessKey", 1, "after"),
}


@pytest.mark.parametrize("lost", [False, True], ids=["answers arrive", "the answer to CreateAccessKey is lost"])
@pytest.mark.parametrize("moment", sampled(OTHERS_KEY, "after the keys were listed", "just before ours"))
def test_a_key_that_somebody_else_makes_is_never_removed(laptop: Laptop, moment: str, lost: bool) -> None:
    """Whenever it appears, it stays, active; the profile works."""
    theirs: list[Credentials] = []

    def make(call: Call) -> None:
        with suppress(Refused):
            theirs.append(laptop.aws.create_key("alice"))

    action, nth, when = OTHERS_KEY[moment]
    laptop.at(action, nth, make, when)
    if lost:
        laptop.aws.fault("CreateAccessKey", "drop", "after")
    done = laptop.run()
    assert done.code in (0, 4, 5), done.text
    laptop.works()
    laptop.run()
    laptop.works()
    status = {key.key_id: key.status for key in laptop.aws.keys("alice")}
    assert [status.get(pair.key_id) for pair in theirs] == ["Active"] * len(theirs)
    assert theirs


EDITS: dict[str, Callable[[bytes], bytes]] = {
    "a comment is added": lambda data: data + b"\n# by hand\n",
    "lines move": lambda data: b"# a new first line\n\n" + data,
    "a profile is added": lambda data: data + b"\n\n[more]\nregion = eu-west-2\n",
}


@pytest.mark.parametrize("edit", sampled(EDITS, "lines move"))
def test_the_file_is_edited_elsewhere_just_before_the_switch(laptop: Laptop, edit: str) -> None:
    """The person's edit and the new key are both there in the end."""
    laptop.at("GetCallerIdentity", 4, lambda call: laptop.file.write_bytes(EDITS[edit](laptop.file.read_bytes())))
    assert laptop.run().code == 0
    laptop.original = EDITS[edit](laptop.original)
    laptop.settled()


@pytest.mark.parametrize("profile", ["default", "work"])
def test_a_lost_state_does_not_hide_a_switched_off_key(laptop: Laptop, profile: str) -> None:
    """The state is gone between switching the old key off and deleting it: status and doctor name it, with the command
    that deletes it; that command works as it is printed."""
    laptop.at("DeleteAccessKey", 1, lambda call: laptop.signal())
    laptop.aws.fault("DeleteAccessKey", "drop", "before")
    assert laptop.run().code == -9
    shutil.rmtree(laptop.state)
    laptop.calm(20)
    command = f"rotate-my-key delete-key {laptop.old.key_id}" + (" -p work" if profile == "work" else "")
    for words in (["status", "-p", profile], ["status", "--cached", "-p", profile], ["doctor"]):
        told = laptop.run(*words, env={"AWS_PROFILE": profile}).text
        assert f"second key, ...{laptop.old.key_id[-4:]} (inactive, 98 days old)" in told, told
        assert command in told, told
    assert laptop.run(*command.split()[1:], "--yes").code == 0
    assert laptop.old.key_id not in [key.key_id for key in laptop.aws.keys("alice")]
    assert "second key" not in laptop.run("status").text


def test_status_names_a_second_active_key(laptop: Laptop) -> None:
    """Made elsewhere: it is in the way of the next rotation. An old key that is kept has a row of its own."""
    second = laptop.aws.add_key("alice")
    told = laptop.run("status").text
    assert f"second key, ...{second.key_id[-4:]} (active, created just now)" in told, told
    assert "rotate-my-key doctor" in told and "delete-key" not in told  # another computer may well use it
    laptop.aws.delete_key(second.key_id)
    assert laptop.run("rotate", "--yes", "--keep-old", "7d").code == 0
    assert "second key" not in laptop.run("status").text
