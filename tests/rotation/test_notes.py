"""Notes that are damaged, foreign, newer or incomplete, and the second slot."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.core.model import Credentials, LastUse
from rotate_my_key.files.platform import machine_ids
from tests.cli.terminal import Terminal
from tests.laptop import AGE, Laptop, new_laptop
from tests.standin import StandIn


def stop_at_proof(laptop: Laptop) -> None:
    """A run that was killed when the new key was made and staged, and no place had it yet."""
    laptop.at("GetCallerIdentity", 2, lambda call: laptop.signal())
    assert laptop.run().code == -9
    laptop.works()


def note_of(laptop: Laptop) -> Path:
    """The one note."""
    (path,) = laptop.rotations.glob("*.note")
    return path


def change_note(laptop: Laptop, **values: Any) -> bytes:
    """Write other values into the note; gives the bytes."""
    path = note_of(laptop)
    note = json.loads(path.read_text())
    assert values.keys() <= note.keys()
    path.write_text(json.dumps(note | values))
    return path.read_bytes()


def remove(laptop: Laptop, *suffixes: str) -> None:
    """Remove some of the files of the rotation."""
    for suffix in suffixes:
        for path in laptop.rotations.glob(f"*.{suffix}"):
            path.unlink()


def aside(laptop: Laptop) -> list[Path]:
    """Notes that were moved out of the way."""
    return sorted(laptop.rotations.glob("*.unreadable-*"))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b'{"version": 1}'], ids=repr)
def test_an_unreadable_note_is_rebuilt_from_the_staged_pair(laptop: Laptop, content: bytes) -> None:
    """It is moved aside, and the rotation goes on with the key that was made."""
    stop_at_proof(laptop)
    note_of(laptop).write_bytes(content)
    done = laptop.run()
    assert done.code == 0, done.text
    assert len(aside(laptop)) == 1 and aside(laptop)[0].read_bytes() == content
    aside(laptop)[0].unlink()
    laptop.settled()
    assert sum(call.action == "CreateAccessKey" for call in laptop.aws.calls) == 1


def test_an_unreadable_note_without_a_staged_pair(laptop: Laptop) -> None:
    """Nothing is guessed: it is moved aside and told; the unknown key is named with the command that removes it."""
    stop_at_proof(laptop)
    note_of(laptop).write_bytes(b"{")
    remove(laptop, "staged", "kept")
    first = laptop.run()
    assert first.code == 1 and "moved to" in first.err, first.text
    second = laptop.run()
    (unknown,) = (key.key_id for key in laptop.aws.keys("alice") if key.key_id != laptop.old.key_id)
    assert second.code == 4 and f"delete-key {unknown}" in second.err, second.text
    assert laptop.works() == laptop.old
    assert len(laptop.aws.keys("alice")) == 2


def tear(laptop: Laptop) -> None:
    """Half of a record is no record."""
    (path,) = laptop.rotations.glob("*.staged")
    data = path.read_bytes()
    path.write_bytes(data[:100] + b" " * (len(data) - 100))


def undo_all(laptop: Laptop) -> None:
    """What a run leaves that was killed before it began."""
    remove(laptop, "note", "staged")
    laptop.aws.delete_key(next(k.key_id for k in laptop.aws.keys("alice") if k.key_id != laptop.old.key_id))


LOST: dict[str, tuple[Callable[[Laptop], None], int]] = {
    "the note, which is made again from what the staged record carries": (lambda laptop: remove(laptop, "note"), 1),
    "the staged pair: its key is removed": (lambda laptop: remove(laptop, "staged"), 2),
    "half of the staged pair": (tear, 2),
    "all but the kept pair, of which nothing comes": (undo_all, 2),
}


@pytest.mark.parametrize("what", LOST)
def test_a_part_of_it_is_lost(laptop: Laptop, what: str) -> None:
    """The rotation goes on with the key that was made, or with another; nothing stays of it."""
    lose, made = LOST[what]
    stop_at_proof(laptop)
    lose(laptop)
    laptop.settled()
    assert sum(call.action == "CreateAccessKey" for call in laptop.aws.calls) == made


def test_a_note_of_a_newer_version(laptop: Laptop) -> None:
    """Left alone to the byte, with one line and exit 1; the profile works."""
    stop_at_proof(laptop)
    data = change_note(laptop, version=99)
    done = laptop.run()
    assert done.code == 1 and "newer" in done.err and done.err.count("error:") == 1, done.text
    assert note_of(laptop).read_bytes() == data
    assert laptop.works() == laptop.old
    change_note(laptop, version=1)
    laptop.settled()


FOREIGN: dict[str, dict[str, str]] = {
    "another account": {"account": "123456789012"},
    "another user": {"arn": "arn:aws:iam::123456789012:user/carol"},
    "another endpoint": {"endpoint": "http://127.0.0.1:9"},
}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_note_of_somebody_elses_rotation(laptop: Laptop, what: str) -> None:
    """A list of another account, user or endpoint than the note's is no look: exit 1, and nothing changes; but that it
    was told."""
    stop_at_proof(laptop)
    true = json.loads(note_of(laptop).read_text())
    change_note(laptop, told=False, **FOREIGN[what])
    before = laptop.files()
    calls = len(laptop.aws.calls)
    done = laptop.run()
    assert done.code == 1 and "nothing was changed" in done.err and done.err.count("error:") == 1, done.text
    change_note(laptop, told=False)
    after = laptop.files()
    assert all(after[name] == data for name, data in before.items() if "/rotations/" in name or ".aws/" in name)
    assert not {c.action for c in laptop.aws.calls[calls:]} & {"CreateAccessKey", "DeleteAccessKey", "UpdateAccessKey"}
    change_note(laptop, **{name: true[name] for name in FOREIGN[what]})
    laptop.settled()


@pytest.mark.parametrize(
    ("behind", "boot"), [(0, "another-start another-machine"), (660, "")], ids=["", "our clock is slow"]
)
def test_a_young_note_of_another_computer(laptop: Laptop, behind: int, boot: str) -> None:
    """A home that two computers share: 75 while the other may be at work, which AWS's clock tells, and finished once it
    cannot be any more."""
    stop_at_proof(laptop)
    laptop.calm(behind)
    now = laptop.aws._front.world.now()
    left = change_note(laptop, host="another-computer", boot=boot, began=now.isoformat())
    for words in ([], ["undo", "--yes"]):
        done = laptop.run(*words)
        assert done.code == 75 and "another-computer" in done.err and done.err.count("error:") == 1, done.text
        assert "put back" not in done.text
        assert (laptop.works(), note_of(laptop).read_bytes()) == (laptop.old, left)
    began = (now - timedelta(minutes=11)).isoformat()
    change_note(laptop, began=began, switch_off_at=began, delete_at=began)
    laptop.settled()


@pytest.mark.parametrize("which", [0, -1], ids=["since it was started", "since before it was started"])
@pytest.mark.parametrize("command", ["rotate", "undo"])
def test_a_note_of_this_computer_under_another_name(laptop: Laptop, command: str, which: int) -> None:
    """A name may follow the network, as on a Mac: its own rotation is finished at once, and is undone."""
    ids = machine_ids().split()
    stop_at_proof(laptop)
    change_note(laptop, host="alices-mbp.corp.example", boot=f"another {ids[which]}")
    assert laptop.run(command, "--yes").code == 0
    assert (laptop.works() == laptop.old) is (command == "undo")
    laptop.settled()


# The second slot


def test_the_setting_is_consent(laptop: Laptop) -> None:
    """With replace_inactive the inactive key makes room."""
    laptop.aws.add_key("alice", age=AGE * 2, status="Inactive")
    laptop.env["ROTATE_MY_KEY_REPLACE_INACTIVE"] = "yes"
    assert laptop.run().code == 0
    laptop.settled()


@pytest.mark.parametrize("nth", [1, 2], ids=["the first CreateAccessKey", "the second CreateAccessKey"])
def test_killed_while_room_is_made(laptop: Laptop, nth: int) -> None:
    """Consent is in the note: the next run needs no setting to go on with what was agreed."""
    laptop.aws.add_key("alice", age=AGE * 2, status="Inactive")
    laptop.at("CreateAccessKey", nth, lambda call: laptop.signal())
    assert laptop.run(env={"ROTATE_MY_KEY_REPLACE_INACTIVE": "yes"}).code == -9
    laptop.works()
    laptop.calm(20)
    laptop.settled()


DELETE = "rotate-my-key delete-key"
IN_USE = {
    "in use": (AGE * 2, 3, f"rotate-my-key export, on that computer rotate-my-key import; {DELETE} OTHER"),
    "younger": (AGE / 2, 3, f"on that computer rotate-my-key export, here: rotate-my-key import; {DELETE} OWN"),
    "not used for long": (AGE * 2, 24 * 100, f"if no other computer has it: {DELETE} OTHER"),
}


@pytest.mark.parametrize(("age", "hours", "said"), IN_USE.values(), ids=IN_USE)
def test_an_active_second_key_is_never_touched(laptop: Laptop, age: timedelta, hours: int, said: str) -> None:
    """Exit 4 with when and by what it was last used, and how two computers share the younger one; also with
    replace_inactive."""
    second = laptop.aws.add_key("alice", age=age)
    laptop.aws.set_last_use(second.key_id, LastUse(datetime.now(UTC) - timedelta(hours=hours), "s3", "eu-west-1"))
    laptop.env["ROTATE_MY_KEY_REPLACE_INACTIVE"] = "yes"
    done = laptop.run()
    assert done.code == 4 and "has a second active key" in done.err and "ago by s3 in eu-west-1)" in done.err, done.text
    assert "hint: " + said.replace("OTHER", second.key_id).replace("OWN", laptop.old.key_id) in done.err
    for each in (laptop.run("doctor"), laptop.run("rotate", "--dry-run")):
        assert "probably used on another computer" in each.text
    assert laptop.works() == laptop.old
    assert [key.active for key in laptop.aws.keys("alice")] == [True, True]


def told_by_it(laptop: Laptop, *facts: tuple[Credentials, str]) -> None:
    """As IT's side notes it in the user's tag."""
    known = " ".join(f"{pair.key_id[-8:]}:{fact}" for pair, fact in facts)
    laptop.aws.set_tags("alice", {"rotate-my-key-fleet": f"1 {known}"})


def test_a_key_that_it_made_is_to_be_adopted(laptop: Laptop) -> None:
    """It waits, and must not be deleted: `rotate` and `doctor` say adopt, until somebody has used it."""
    made = laptop.aws.add_key("alice", age=timedelta(days=2))
    told_by_it(laptop, (laptop.old, "n1:f20261101:l20261101"), (made, "m20261201"))
    for done in (laptop.run(), laptop.run("doctor")):
        assert "from IT, 2 days old, waiting to be adopted" in done.text
        assert "rotate-my-key adopt" in done.text and "delete-key" not in done.text
    laptop.aws.set_last_use(made.key_id, LastUse(datetime.now(UTC) - timedelta(hours=3), "s3", "eu-west-1"))
    assert "probably used on another computer" in laptop.run().err


def test_what_it_asks_for_is_due(laptop: Laptop) -> None:
    """IT's limit may be the earlier one: `status`, `doctor`, the reminder and a plain `rotate` know it by the tag; the
    new key is fresh again."""
    laptop.env["ROTATE_MY_KEY_MAX_AGE"] = "700d"
    assert " is fine (98 days old). Due on " in laptop.run().out
    told_by_it(laptop, (laptop.old, "n1:f20261101:l20261101"))
    assert laptop.run("status", "--check", "due").code == 3
    assert "IT asks for it" in laptop.run("status", "--cached").out
    assert "IT asks you to replace key" in laptop.run("doctor").text
    assert "98 days old and due for replacement" in laptop.run("reminder", "show").out
    assert laptop.run().code == 0
    assert laptop.works() != laptop.old
    assert "IT asks for it" not in laptop.run("status").out


def both_here(laptop: Laptop, age: timedelta, status: str = "Active") -> None:
    """A second key of alice in another profile."""
    second = laptop.aws.add_key("alice", age=age, status=status)
    data = laptop.file.read_bytes() + (
        f"\n[second]\naws_access_key_id = {second.key_id}\naws_secret_access_key = {second.secret}\n".encode()
    )
    laptop.file.write_bytes(data)
    laptop.original = data


@pytest.mark.parametrize(
    ("age", "new"),
    [(timedelta(days=10), False), (timedelta(days=95), True), (timedelta(days=200), True)],
    ids=["a fresh one", "a younger one that is due too", "an older one"],
)
def test_both_keys_are_in_profiles_here(laptop: Laptop, age: timedelta, new: bool) -> None:
    """The older one's places take the younger pair, the older goes; then the younger is rotated if it is due."""
    both_here(laptop, age)
    before = {key.key_id for key in laptop.aws.keys("alice")}
    done = laptop.run()
    assert done.code == 0 and "alice has two keys in profiles here" in done.err, done.text
    pair = laptop.works("default", "work", "second")
    assert laptop.pair("second") == laptop.pair("work") == pair
    assert [key.key_id for key in laptop.aws.keys("alice")] == [pair.key_id]
    assert (pair.key_id not in before) is new
    assert laptop.run().code == 0
    laptop.tidy()


@pytest.mark.parametrize("action", ["GetCallerIdentity", "UpdateAccessKey", "DeleteAccessKey"])
def test_killed_while_two_keys_become_one(laptop: Laptop, action: str) -> None:
    """The merge is a rotation like any other."""
    both_here(laptop, timedelta(days=10))
    laptop.at(action, 1 if action != "GetCallerIdentity" else 3, lambda call: laptop.signal())
    assert laptop.run().code == -9
    laptop.works("default", "work", "second")
    assert laptop.run().code == 0
    pair = laptop.works("default", "work", "second")
    assert [key.key_id for key in laptop.aws.keys("alice")] == [pair.key_id]
    laptop.tidy()


def keep_old(laptop: Laptop) -> None:
    """A rotation that keeps the old key for a week, switched off."""
    done = laptop.run("rotate", "--yes", "--keep-old", "7d")
    assert done.code == 0 and " stays inactive until " in done.err, done.text
    assert {key.status for key in laptop.aws.keys("alice")} == {"Active", "Inactive"}
    laptop.works()


def test_a_forced_rotation_needs_the_kept_keys_slot(laptop: Laptop) -> None:
    """Unattended it says so with exit 4; with a person there the kept key goes by itself, and nothing is left of it."""
    keep_old(laptop)
    done = laptop.run("rotate", "--yes", "--force")
    assert done.code == 4 and "stays inactive until" in done.err, done.text
    laptop.works()
    terminal = Terminal(["rotate", "--force"], laptop.environment(), laptop.home)
    terminal.answer("Rotate it?", "y\r")
    screen = terminal.end()
    assert screen.code == 0, screen.text
    laptop.settled()
    assert laptop.old.key_id not in {key.key_id for key in laptop.aws.keys("alice")}


def test_two_notes_at_once(laptop: Laptop) -> None:
    """Two users' rotations were stopped: one plain run finishes both."""
    bob = laptop.bobs_key()
    laptop.original += f"\n[bob]\naws_access_key_id = {bob.key_id}\naws_secret_access_key = {bob.secret}\n".encode()
    laptop.file.write_bytes(laptop.original)
    kill_at_delete = iter([True])
    laptop.at("DeleteAccessKey", 1, lambda call: next(kill_at_delete, False) and laptop.signal())
    laptop.aws.fault("DeleteAccessKey", "drop", "before")
    assert laptop.run("rotate", "--yes", "-p", "bob").code == -9
    first = note_of(laptop).read_bytes(), note_of(laptop)
    hidden = {path: path.read_bytes() for path in laptop.rotations.iterdir()}
    for path in hidden:
        path.unlink()
    laptop.at("DeleteAccessKey", 1, lambda call: laptop.signal())
    assert laptop.run("rotate", "--yes").code == -9
    for path, data in hidden.items():
        path.write_bytes(data)
        path.chmod(0o600)
    assert len(list(laptop.rotations.glob("*.note"))) == 2, first
    laptop.aws.all_well()
    done = laptop.run()
    assert done.code == 0, done.text
    assert [len(laptop.aws.keys(name)) for name in ("alice", "bob")] == [1, 1]
    assert laptop.pair("bob").key_id == laptop.aws.keys("bob")[0].key_id != bob.key_id
    laptop.works()
    laptop.tidy()


@pytest.mark.parametrize(
    "default",
    [
        pytest.param("", id="none"),
        pytest.param("[default]\nregion = eu-west-1\n", id="without a key"),
        pytest.param("[default]\nsso_start_url = https://example.com/start\n", id="SSO"),
        pytest.param("[default]\ncredential_process = /usr/bin/vault\n", id="a program"),
    ],
)
def test_what_a_named_profile_began_is_finished_whatever_is_in_default(
    tmp_path: Path, running: StandIn, default: str
) -> None:
    """As `status` and Ctrl-C say: `rotate-my-key`, without a profile, finishes it."""
    text = "[work]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"
    laptop = new_laptop(tmp_path, running, text=text)
    (tmp_path / ".aws/config").write_text(default)
    laptop.at("UpdateAccessKey", 1, lambda call: laptop.signal())
    assert laptop.run("rotate", "-p", "work", "--yes").code == -9
    laptop.calm()
    done = laptop.run("rotate")
    assert (done.code, "work" in done.text) == (0, True), done.text
    assert not list(laptop.rotations.glob("*.note"))
    assert laptop.works("work") != laptop.old
