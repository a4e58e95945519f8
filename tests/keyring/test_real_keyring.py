"""A profile in the real Secret Service, from beginning to end, through the real aws command and boto3."""

import json
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from rotate_my_key.core.policy import LIVE, LIVE_SOON
from tests.keyring.conftest import ALONE, CONFIG, ROTATE, Keyring, KeyringLaptop, new_keyring_laptop
from tests.laptop import sampled
from tests.standin import StandIn

STORE = ("keyring", "store", "-p", "work", "-y")
RESTORE = ("keyring", "restore", "-p", "work", "-y")
PLAIN = "[work]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n"


def test_store_rotate_restore(laptop: KeyringLaptop) -> None:
    """The profile signs in at every stage; in the end the file differs in the two values alone."""
    stored = laptop.run(*STORE)
    assert stored.code == 0, stored.text
    assert laptop.sdk_pair() == laptop.old
    laptop.signs_in()
    laptop.no_secret_on_disk()
    assert stat.S_IMODE(laptop.index.stat().st_mode) == 0o600

    rotated = laptop.rotated()
    assert rotated.code == 0, rotated.text
    assert "the keyring: updated work" in rotated.text
    new = laptop.sdk_pair()
    assert new.key_id != laptop.old.key_id
    assert [key.key_id for key in laptop.aws.keys("alice")] == [new.key_id]
    laptop.no_secret_on_disk()
    assert list(laptop.entries()) == ["rotate-my-key: work"]
    assert not laptop.rotations.exists() or not list(laptop.rotations.iterdir())

    restored = laptop.run(*RESTORE)
    assert restored.code == 0, restored.text
    assert laptop.works("work") == new
    laptop.unchanged_but_for_the_pair_of("work")
    laptop.tidy()
    assert laptop.entries() == {}
    assert not laptop.index.exists()


@pytest.mark.slow
@pytest.mark.parametrize("crlf", [False, True], ids=["LF", "CRLF"])
@pytest.mark.parametrize(
    ("text", "config"),
    [
        pytest.param(ALONE, CONFIG, id="a section in both files"),
        pytest.param(ALONE, CONFIG.partition("[profile work]")[0], id="no section in the config file"),
        pytest.param(ALONE, "", id="an empty config file"),
        pytest.param("[work]\naws_secret_access_key={secret}\naws_access_key_id={id}", CONFIG, id="no last line end"),
        pytest.param("", CONFIG + "\naws_access_key_id = {id}\naws_secret_access_key={secret}\n#x", id="config file"),
    ],
)
def test_restore_undoes_store(
    tmp_path: Path, running: StandIn, keyring: Keyring, text: str, config: str, crlf: bool
) -> None:
    """Every byte of both files is as it was; in between the profile works."""
    laptop = new_keyring_laptop(tmp_path, running, keyring, text=text, config=config, crlf=crlf)
    assert laptop.run(*STORE).code == 0
    assert laptop.sdk_pair() == laptop.old
    laptop.no_secret_on_disk()
    assert laptop.run(*RESTORE).code == 0
    assert laptop.sdk_pair() == laptop.old
    laptop.as_it_was()


def test_a_config_file_that_store_made_goes_again(laptop: KeyringLaptop) -> None:
    """Without a config file one is made, private; restore removes it."""
    laptop.config_file.unlink()
    assert laptop.run(*STORE).code == 0
    assert stat.S_IMODE(laptop.config_file.stat().st_mode) == 0o600
    assert laptop.sdk_pair() == laptop.old
    assert laptop.run(*RESTORE).code == 0
    assert not laptop.config_file.exists()
    assert laptop.file.read_bytes() == laptop.original


LOST = {
    "the config file is emptied": lambda laptop: laptop.config_file.write_bytes(b""),
    "the config file is deleted": lambda laptop: laptop.config_file.unlink(),
    "an older config file comes back": lambda laptop: laptop.config_file.write_bytes(laptop.config),
    "both files are deleted": lambda laptop: (laptop.config_file.unlink(), laptop.file.unlink()),
}


@pytest.mark.parametrize("how", sampled(LOST, "an older config file comes back"))
def test_the_line_that_leads_to_the_keyring_is_lost(laptop: KeyringLaptop, how: str) -> None:
    """Whatever finds no key in the profile gives the command that puts it back into its file, and it works as it is
    printed; the entry is gone then."""
    assert laptop.run(*STORE).code == 0
    LOST[how](laptop)
    command = "rotate-my-key keyring restore -p work"
    assert command in laptop.run("doctor", "-p", "work").out
    for words in (ROTATE, ("restore", "-p", "work", "-y")):
        done = laptop.run(*words)
        assert done.code == 1 and f"hint: {command}\n" in done.err, done.text
    declined = laptop.run(*RESTORE[:-1])
    assert declined.code == 4, declined.text
    restored = laptop.run(*RESTORE)
    assert restored.code == 0, restored.text
    assert laptop.works("work") == laptop.old
    assert laptop.entries() == {}
    assert not laptop.index.exists()


def test_the_line_is_lost_while_a_rotation_waits(laptop: KeyringLaptop) -> None:
    """`restore` does not say that all is well; the profile works after the command that it names, and the next run
    finishes."""
    assert laptop.run(*STORE).code == 0
    assert laptop.run(*ROTATE, "--keep-old", "7d").code == 0
    laptop.config_file.write_bytes(laptop.config)
    done = laptop.run("restore", "-p", "work", "-y")
    assert done.code == 1, done.text
    assert "hint: rotate-my-key keyring restore -p work\n" in done.err
    assert laptop.run(*RESTORE).code == 0
    assert laptop.works("work") != laptop.old


def test_twice_is_once(laptop: KeyringLaptop) -> None:
    """Storing what is stored and restoring what is restored says so and changes nothing."""
    assert laptop.run(*STORE).code == 0
    before = laptop.files()
    again = laptop.run(*STORE, "--json")
    expected = {"version": 1, "profile": "work", "key_id": laptop.old.key_id, "place": "keyring", "action": "none"}
    assert json.loads(again.out) == expected
    assert laptop.files() == before
    assert laptop.run(*RESTORE).code == 0
    assert "already" in laptop.run(*RESTORE).out
    laptop.as_it_was()


@pytest.mark.slow
def test_a_key_in_file_and_keyring_changes_in_both(tmp_path: Path, running: StandIn, keyring: Keyring) -> None:
    """The same pair in a profile of the file and in the keyring: one rotation, both places."""
    laptop = new_keyring_laptop(tmp_path, running, keyring)
    assert laptop.run(*STORE).code == 0
    done = laptop.rotated()
    assert done.code == 0, done.text
    assert laptop.sdk_pair("work") == laptop.sdk_pair("default") == laptop.works("default")
    laptop.signs_in("work")
    laptop.signs_in("default")
    assert list(laptop.entries()) == ["rotate-my-key: work"]


@pytest.mark.slow
def test_status_and_all_see_it(tmp_path: Path, running: StandIn, keyring: Keyring) -> None:
    """It is a row of `status`, with the keyring as its place, and a key of `rotate --all`."""
    laptop = new_keyring_laptop(tmp_path, running, keyring, text=PLAIN)
    assert laptop.run(*STORE).code == 0
    rows = json.loads(laptop.run("status", "--json").out)["keys"]
    row = next(row for row in rows if "work" in row["profiles"])
    assert (row["key_id"], row["verdict"]) == (laptop.old.key_id, "overdue")
    assert [place["kind"] for place in row["places"]] == ["keyring"]
    done = laptop.run("rotate", "--all", "--yes")
    assert done.code == 0, done.text
    assert laptop.sdk_pair().key_id != laptop.old.key_id
    cached = json.loads(laptop.run("status", "--cached", "--json").out)["keys"]
    assert [row["verdict"] for row in cached if "work" in row["profiles"]] == ["fresh", "kept"]


@pytest.mark.slow
def test_a_locked_keyring(laptop: KeyringLaptop) -> None:
    """`credentials` says so in one line, exit 75, at once; `rotate` and `restore` too; `status` knows the key's id."""
    laptop.run(*STORE)
    laptop.run("status")
    before = laptop.files()
    laptop.keyring.lock()
    done = laptop.run("credentials", "--profile", "work")
    assert (done.code, done.out, done.err.count("\n")) == (75, "", 1)
    assert "locked" in done.err
    assert "locked" in laptop.aws_cli("sts", "get-caller-identity", "--profile", "work").err
    for command in (ROTATE, RESTORE):
        done = laptop.run(*command)
        assert (done.code, "the keyring is locked" in done.err) == (75, True), done.text
    checked = laptop.run("status", "--check", "--json")
    row = next(row for row in json.loads(checked.out)["keys"] if "work" in row["profiles"])
    assert (row["key_id"], row["verdict"]) == (laptop.old.key_id, "unknown")
    after = laptop.files()
    assert {n: d for n, d in after.items() if "status" not in n and "lock" not in n} == {
        n: d for n, d in before.items() if "status" not in n and "lock" not in n
    }
    laptop.keyring.unlock()
    assert laptop.run(*RESTORE).code == 0
    laptop.as_it_was()


def test_another_profile_does_not_need_the_keyring(laptop: KeyringLaptop) -> None:
    """With the keyring locked, a key in the file is rotated as ever."""
    laptop.run(*STORE)
    laptop.aws.add_user("bob")
    pair = laptop.aws.add_key("bob", age=timedelta(days=98))
    with laptop.file.open("a") as file:
        file.write(f"\n[bob]\naws_access_key_id = {pair.key_id}\naws_secret_access_key = {pair.secret}\n")
    laptop.keyring.lock()
    done = laptop.run("rotate", "-p", "bob", "--yes")
    assert done.code == 0, done.text
    assert laptop.pair("bob") != pair


@pytest.mark.slow
def test_locked_in_the_middle(laptop: KeyringLaptop) -> None:
    """The keyring is locked while the rotation goes on: exit 75; unlocked again, the next run finishes."""
    laptop.run(*STORE)
    laptop.at("GetCallerIdentity", 2, lambda call: laptop.keyring.lock())
    done = laptop.run(*ROTATE)
    assert done.code == 75, done.text
    laptop.keyring.unlock()
    laptop.sdk_pair()
    laptop.calm(20)
    done = laptop.rotated()
    assert done.code == 0, done.text
    assert [key.key_id for key in laptop.aws.keys("alice")] == [laptop.sdk_pair().key_id]
    assert list(laptop.entries()) == ["rotate-my-key: work"]


@pytest.mark.slow
def test_the_old_key_is_kept_in_the_keyring(laptop: KeyringLaptop) -> None:
    """With --keep-old, too, no secret of a keyring profile touches the disk."""
    laptop.run(*STORE)
    done = laptop.run(*ROTATE, "--keep-old", "10m")
    assert done.code == 0, done.text
    laptop.no_secret_on_disk()
    assert any("kept" in name for name in laptop.entries())
    laptop.time_passes(LIVE)
    assert laptop.run(*ROTATE).code == 0
    assert [key.status for key in laptop.aws.keys("alice")] == ["Inactive", "Active"]
    laptop.calm(660)
    assert laptop.run("-q", "rotate", "-p", "work", "--yes").code == 0
    assert list(laptop.entries()) == ["rotate-my-key: work"]


def test_keyring_and_secret_tool_read_it(laptop: KeyringLaptop) -> None:
    """Entries are laid down as the `keyring` package does it, so other programs of the desktop find them."""
    laptop.run(*STORE)
    code = "from keyring.backends.SecretService import Keyring; print(Keyring().get_password('rotate-my-key', 'work'))"
    done = subprocess.run([sys.executable, "-c", code], env=laptop.environment(), capture_output=True, text=True)
    assert json.loads(done.stdout)["key_id"] == laptop.old.key_id


@pytest.mark.slow
def test_undo(laptop: KeyringLaptop) -> None:
    """A kept old pair comes back, into the keyring; the new key works until programs have asked again."""
    assert laptop.run(*STORE).code == 0
    assert laptop.run(*ROTATE, "--keep-old", "10m").code == 0
    assert laptop.sdk_pair() != laptop.old
    done = laptop.run("undo", "--yes")
    assert done.code == 0, done.text
    assert laptop.sdk_pair() == laptop.old
    assert [key.status for key in laptop.aws.keys("alice")] == ["Active", "Active"]
    laptop.time_passes(LIVE_SOON)
    laptop.run("rotate", "-p", "work")
    assert [key.key_id for key in laptop.aws.keys("alice")] == [laptop.old.key_id]
    assert list(laptop.entries()) == ["rotate-my-key: work"]
    laptop.no_secret_on_disk()


@pytest.mark.slow
def test_a_role_with_the_key_of_a_keyring_profile(laptop: KeyringLaptop) -> None:
    """`source_profile` may lead to a profile in the keyring: its key is rotated, and SDKs assume the role with it."""
    with laptop.config_file.open("a") as file:
        file.write("\n[profile admin]\nrole_arn = arn:aws:iam::123456789012:role/admin\nsource_profile = work\n")
    assert laptop.run(*STORE).code == 0
    done = laptop.run("rotate", "-p", "admin", "--yes")
    assert done.code == 0, done.text
    assert laptop.sdk_pair() != laptop.old
    told = laptop.run("keyring", "restore", "-p", "admin", "-y")
    assert (told.code, "-p work" in told.err) == (1, True)


@pytest.mark.parametrize("again", [STORE, RESTORE, ROTATE], ids=["store", "restore", "rotate"])
def test_a_line_that_does_not_run(laptop: KeyringLaptop, again: tuple[str, ...]) -> None:
    """Where the credential_process fails, storing changes nothing."""
    before = {name: data for name, data in laptop.files().items() if name.startswith(".aws")}
    program = laptop.home / "rotate-my-key"
    program.write_text(f'#!/bin/sh\n[ $1 = credentials ] && exit 1\nexec {sys.executable} -m rotate_my_key "$@"\n')
    program.chmod(0o755)
    code = f"import sys; sys.argv = [{str(program)!r}, *sys.argv[1:]]; from rotate_my_key.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *STORE], env=laptop.environment(), capture_output=True, text=True
    )
    assert (done.returncode, "nothing was changed" in done.stderr) == (1, True), done.stderr
    assert {name: data for name, data in laptop.files().items() if name.startswith(".aws")} == before
    program.unlink()
    laptop.as_it_was()
    assert laptop.run(*again).code in ((0,) if again != RESTORE else (0, 1))


@pytest.mark.parametrize(
    ("text", "config", "hint"),
    [
        pytest.param(PLAIN, CONFIG + "\nsso_start_url = https://x\n", "--mixed", id="beside sso"),
        pytest.param(
            PLAIN, CONFIG + "\naws_access_key_id = {id}\naws_secret_access_key = {secret}", "remove", id="both"
        ),
        pytest.param(PLAIN, CONFIG + "\ncredential_process = /other\n", "--mixed", id="another program"),
        pytest.param(
            "[work]\naws_access_key_id = {id}\naws_secret_access_key = {secret} # x\n", CONFIG, "leave", id="comment"
        ),
    ],
)
def test_refused_early(tmp_path: Path, running: StandIn, keyring: Keyring, text: str, config: str, hint: str) -> None:
    """What cannot end well is refused before anything changes."""
    laptop = new_keyring_laptop(tmp_path, running, keyring, text=text, config=config)
    done = laptop.run(*STORE)
    assert done.code in (1, 4), done.text
    assert hint in done.err.splitlines()[-1], done.err
    laptop.as_it_was()


def test_nobody_is_asked_where_there_is_no_keyring(laptop: KeyringLaptop) -> None:
    """Exit 75 before the question, not after it."""
    nowhere = {"DBUS_SESSION_BUS_ADDRESS": "(unset)", "XDG_RUNTIME_DIR": "/nonexistent"}
    done = laptop.run("keyring", "store", "-p", "work", env=nowhere)
    assert (done.code, "there is no keyring here" in done.err, "--yes" in done.err) == (75, True, False), done.err
    laptop.as_it_was()


def test_without_consent(laptop: KeyringLaptop) -> None:
    """Without a terminal and without --yes: exit 4, naming the flag."""
    done = laptop.run("keyring", "store", "-p", "work")
    assert (done.code, "keyring store -p work --yes" in done.err) == (4, True), done.err
    laptop.as_it_was()


@pytest.mark.slow
def test_an_index_that_makes_no_sense(laptop: KeyringLaptop) -> None:
    """It is told, and nothing is made worse: the profile works."""
    assert laptop.run(*STORE).code == 0
    laptop.index.write_text("{")
    done = laptop.run(*ROTATE)
    assert (done.code, "keyring.json cannot be read" in done.err) == (1, True), done.text
    laptop.sdk_pair()
