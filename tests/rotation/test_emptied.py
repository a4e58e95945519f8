"""Something empties or replaces the profile files in the middle.

No key is retired and no stored secret is removed while no profile holds the other key; `undo` and `restore` put one
back.
"""

import shlex
from collections.abc import Callable

import pytest

from rotate_my_key.core.model import Credentials
from tests.killing import second_name
from tests.laptop import Laptop, sampled


def without_values(laptop: Laptop) -> None:
    """The lines stay, and what stood behind them is gone."""
    pair = laptop.pair()
    data = laptop.file.read_bytes()
    laptop.file.write_bytes(data.replace(pair.key_id.encode(), b"").replace(pair.secret.encode(), b""))


def without_sections(laptop: Laptop) -> None:
    """Only somebody else's profile is left."""
    data = laptop.file.read_bytes()
    laptop.file.write_bytes(data[data.index(b"[other]") : data.index(b"[work]")])


EMPTIED: dict[str, Callable[[Laptop], object]] = {
    "the file is cut to nothing": lambda laptop: laptop.file.write_bytes(b""),
    "the file is deleted": lambda laptop: laptop.file.unlink(),
    "the sections are removed": without_sections,
    "the values are removed": without_values,
}
SESSION = "ASIAIOSFODNN7EXAMPLE"
SOME = ("the file is cut to nothing", "the values are removed")
MOMENTS = {
    "as a new key is asked for": ("CreateAccessKey", 1, "before"),
    "as the new key was made": ("CreateAccessKey", 1, "after"),
    "at the first proof": ("GetCallerIdentity", 2, "before"),
    "at the last proof": ("GetCallerIdentity", 4, "before"),
    "as it signs in with what it read": ("GetCallerIdentity", 5, "before"),
    "as the old key was switched off": ("UpdateAccessKey", 1, "after"),
    "as the old key is deleted": ("DeleteAccessKey", 1, "before"),
}


def alive(laptop: Laptop) -> set[str]:
    """The ids of the user's keys that are switched on."""
    return {key.key_id for key in laptop.aws.keys("alice") if key.active}


@pytest.mark.parametrize("flags", [(), pytest.param(("--old-active",), marks=pytest.mark.slow)], ids=["off", "active"])
@pytest.mark.parametrize("how", sampled(EMPTIED, *SOME))
def test_undo_makes_the_profiles_again(laptop: Laptop, how: str, flags: tuple[str, ...]) -> None:
    """The old key stands in both profiles, works, and is the only one."""
    assert laptop.run("--yes", "--keep-old", "7d", *flags).code == 0
    EMPTIED[how](laptop)
    done = laptop.run("undo", "--yes")
    assert done.code == 0, done.text
    assert laptop.works() == laptop.old
    assert [key.key_id for key in laptop.aws.keys("alice")] == [laptop.old.key_id]
    assert laptop.leftovers() == []
    if how == "the values are removed":
        assert laptop.file.read_bytes() == laptop.original


def test_undo_leaves_another_key_where_it_was_put(laptop: Laptop) -> None:
    """Exit 1, and both keys of the rotation stay, with their secrets: what a person put there is not overwritten."""
    assert laptop.run("--yes", "--keep-old", "7d").code == 0
    both = {key.key_id for key in laptop.aws.keys("alice")}
    laptop.put_in(laptop.bobs_key())
    now = laptop.file.read_bytes()
    for _ in range(2):
        done = laptop.run("undo", "--yes")
        assert done.code == 1, done.text
        assert "another key" in done.err or "no longer hold" in done.err, done.err
        assert laptop.stored() == both
    assert laptop.file.read_bytes() == now


@pytest.mark.parametrize("how", sampled(("another key is put in", "a session is put in"), "a session is put in"))
def test_undo_says_how_to_go_on_where_another_key_was_put(laptop: Laptop, how: str) -> None:
    """Its hint, typed as it stands once the sections are free, finishes it. Until then the last key that works is not
    deactivated, not even by name: nobody could sign in as this user then."""
    assert laptop.run("--yes", "--keep-old", "7d").code == 0
    new = laptop.works()
    laptop.put_in(laptop.bobs_key() if how == "another key is put in" else Credentials(SESSION, "x" * 40))
    undo = laptop.run("undo", "--yes")
    assert undo.code == 1, undo.text
    done = laptop.run("delete-key", new.key_id, "--yes")
    assert done.code == 1 and "the only active key of alice" in done.err, done.text
    assert alive(laptop) == {new.key_id}
    without_sections(laptop)
    typed = laptop.run(*shlex.split(undo.err.rpartition("rotate-my-key ")[2]), "--yes")
    assert typed.code == 0, typed.text
    assert laptop.works() == laptop.old
    assert alive(laptop) == {laptop.old.key_id}


@pytest.mark.parametrize("how", sampled([*EMPTIED, "another key is put in"], "the file is cut to nothing"))
@pytest.mark.parametrize("moment", sampled(MOMENTS, "at the first proof", "as the old key is deleted"))
def test_nothing_is_thrown_away_by_itself(laptop: Laptop, moment: str, how: str) -> None:
    """Exit 1; every key that is active has its secret here. With the file back, the next runs leave one key."""
    action, nth, when = MOMENTS[moment]
    bob = laptop.bobs_key()
    before: list[bytes] = []

    def empty(call: object) -> None:
        before.append(laptop.file.read_bytes())
        EMPTIED[how](laptop) if how in EMPTIED else laptop.put_in(bob)

    laptop.at(action, nth, empty, when)
    done = laptop.run()
    assert done.code == 1, done.text
    assert alive(laptop) and alive(laptop) <= laptop.stored(), done.text
    again = laptop.run()
    assert again.code == (0 if how not in EMPTIED and not again.err else again.code)
    assert alive(laptop) <= laptop.stored(), again.text
    laptop.file.write_bytes(before[0])
    laptop.file.chmod(0o600)
    laptop.calm(20)
    laptop.settled(runs=2, codes=(0, 1))


@pytest.mark.parametrize("how", sampled(EMPTIED, *SOME))
@pytest.mark.parametrize("moment", sampled(MOMENTS, "as the new key was made"))
def test_restore_puts_a_key_back(laptop: Laptop, moment: str, how: str) -> None:
    """The hint of the run that stopped is typed as it stands: the profile works again, and the next run finishes."""
    action, nth, when = MOMENTS[moment]
    laptop.at(action, nth, lambda call: EMPTIED[how](laptop), when)
    done = laptop.run()
    assert done.code == 1, done.text
    laptop.calm(20)
    hint = shlex.split(done.err.partition("hint: rotate-my-key ")[2].splitlines()[0])
    restored = laptop.run(*hint, "--yes")
    assert restored.code == 0, restored.text
    laptop.works()
    for _ in range(2):
        assert laptop.run().code == 0
    assert len(laptop.aws.keys("alice")) == 1
    assert laptop.works().key_id != laptop.old.key_id
    assert laptop.leftovers() == []


def test_an_old_key_that_is_kept_ends_with_the_hint(laptop: Laptop) -> None:
    """Its time is over and the file is empty: the run says what to type, and that loses nothing."""
    assert laptop.run("--yes", "--keep-old", "2s").code == 0
    new = laptop.works()
    laptop.file.write_bytes(b"")
    laptop.calm(20)
    done = laptop.run("rotate", "--all", "--yes")
    assert done.code == 1
    assert "hint: rotate-my-key restore -p default" in done.err, done.err
    assert laptop.run("restore", "-p", "default", "--yes").code == 0
    assert laptop.works() == new
    laptop.run()
    assert [key.key_id for key in laptop.aws.keys("alice")] == [new.key_id]
    assert laptop.leftovers() == []


def test_a_file_on_a_disk_that_comes_and_goes(laptop: Laptop) -> None:
    """While the disk is away its file may still name the old key, which stays; once it is back the run is finished."""
    other = laptop.home / "disk" / "config"
    other.parent.mkdir()
    other.write_text(
        f"[profile far]\naws_access_key_id = {laptop.old.key_id}\naws_secret_access_key = {laptop.old.secret}\n"
    )
    laptop.env["AWS_CONFIG_FILE"] = str(other)
    away = other.with_name("unmounted")
    laptop.at("UpdateAccessKey", 1, lambda call: None)
    laptop.at("GetCallerIdentity", 4, lambda call: other.rename(away))
    done = laptop.run()
    assert done.code == 1, done.text
    assert "far in " in done.err and laptop.old.key_id in alive(laptop)
    laptop.works()
    away.rename(other)
    assert laptop.run().code == 0
    assert laptop.works().secret in other.read_text()
    assert len(laptop.aws.keys("alice")) == 1


def test_restore_asks_and_has_nothing_to_do(laptop: Laptop) -> None:
    """Without a terminal: exit 4, naming the flag; with every profile whole: exit 0; with nothing stored: exit 1."""
    done = laptop.run("restore", "--yes")
    assert done.code == 1 and "nothing to restore: no old key is kept" in done.err
    assert laptop.run("--yes", "--keep-old", "7d").code == 0
    done = laptop.run("restore")
    assert done.code == 0 and "Nothing to do" in done.out
    laptop.file.write_bytes(b"")
    done = laptop.run("restore")
    assert done.code == 4 and "rotate-my-key restore --yes" in done.err
    assert laptop.file.read_bytes() == b""


def test_restore_replaces_an_older_file(laptop: Laptop) -> None:
    """A backup brought back a key that was deleted two rotations ago."""
    assert laptop.run().code == 0
    assert laptop.run("--yes", "--force", "--keep-old", "7d").code == 0
    new = laptop.works()
    laptop.file.write_bytes(laptop.original)
    assert laptop.run("restore", "--yes").code == 0
    assert laptop.works() == new


@pytest.mark.parametrize("command", sampled(("restore", "undo"), "restore", "undo"))
@pytest.mark.parametrize("name", sampled(("my company", "it's", "Büro Köln", 'a "b"', "a [1]"), "my company"))
def test_an_odd_name_is_made_again_in_the_config_file(laptop: Laptop, name: str, command: str) -> None:
    """botocore reads such a header only in quotes; the text after it is as a person would write it."""
    config = laptop.file.with_name("config")
    config.write_bytes(
        f"[profile {shlex.quote(name)}]\naws_access_key_id = {laptop.old.key_id}\n"
        f"aws_secret_access_key = {laptop.old.secret}\n".encode()
    )
    config.chmod(0o600)
    laptop.file.unlink()
    original = config.read_bytes()
    assert laptop.run("-p", name, "--yes", "--keep-old", "7d").code == 0
    rotated = config.read_bytes()
    config.unlink()
    done = laptop.run(command, "-p", name, "--yes") if command == "restore" else laptop.run("undo", "--yes")
    assert done.code == 0, done.text
    assert config.read_bytes() == (rotated if command == "restore" else original)


@pytest.mark.parametrize("env", [{}, {"AWS_PROFILE": "work"}], ids=["", "named by a variable"])
@pytest.mark.parametrize("how", sampled(EMPTIED, *SOME))
def test_a_kept_key_is_what_an_empty_profile_wants(laptop: Laptop, how: str, env: dict[str, str]) -> None:
    """Whatever finds no key in a profile of which one is stored gives the command that puts it back."""
    assert laptop.run("--yes", "--keep-old", "7d").code == 0
    new = laptop.works()
    EMPTIED[how](laptop)
    profile = env.get("AWS_PROFILE", "default")
    for command in (("rotate", "--yes"), ("rotate", "-p", profile, "--yes"), ("scan",), ("doctor",), ("status",)):
        done = laptop.run(*command, env=env)
        assert done.code == (command != ("status",)), done.text
        assert f"rotate-my-key restore -p {profile}" in done.text, done.text
        assert "adopt" not in done.text and "aws configure" not in done.text, done.text
    assert laptop.run("restore", "-p", profile, "--yes", env=env).code == 0
    assert laptop.works() == new


def test_an_id_without_a_secret_is_written_over(laptop: Laptop) -> None:
    """An older file came back without its secrets: of what is left there nobody has any use."""
    assert laptop.run("--yes", "--keep-old", "7d").code == 0
    new = laptop.file.read_bytes()
    laptop.file.write_bytes(laptop.original.replace(laptop.old.secret.encode(), b""))
    done = laptop.run("restore", "-p", "work", "--yes")
    assert done.code == 0, done.text
    assert laptop.file.read_bytes() == new


def test_a_file_that_cannot_be_replaced_is_filled_in_place(laptop: Laptop) -> None:
    """It has a second name, or is mounted alone: restore and undo write behind what is left in it."""
    assert laptop.run("--yes", "--keep-old", "7d").code == 0
    new = laptop.works()
    second_name(laptop.file)
    laptop.file.write_bytes(b"# mine\n")
    done = laptop.run("restore", "--yes")
    assert done.code == 0, done.text
    assert laptop.works() == new and laptop.file.read_bytes().startswith(b"# mine\n")
    assert laptop.file.stat().st_nlink == 2
    laptop.file.write_bytes(b"")
    assert laptop.run("undo", "--yes").code == 0
    assert laptop.works() == laptop.old


def test_a_line_that_names_the_key_in_the_other_file_is_told(laptop: Laptop) -> None:
    """A program's line in the config file goes on giving the old key: nobody can change that here, so it is said."""
    config = laptop.home / ".aws" / "config"
    config.write_text(f"[profile s]\ncredential_process = give {laptop.old.key_id} {laptop.old.secret}\n")
    done = laptop.run()
    assert done.code == 0, done.text
    assert f"{config}, line 2 names key ...{laptop.old.key_id[-4:]} too and is left as it is" in done.err
