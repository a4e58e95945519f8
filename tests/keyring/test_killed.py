"""The power goes, or kill -9 comes, at any moment of `keyring store`, `keyring restore` and a rotation: the profile
works as botocore reads it, and the next run finishes the job or takes it back.

Every moment is worked out with a keyring that is a file. Where a run asks a real keyring it is really killed.
"""

import re
from pathlib import Path

import pytest

from rotate_my_key.core.model import Credentials
from rotate_my_key.core.policy import LIVE
from rotate_my_key.keyring.store import Index
from tests.disk import STRACE
from tests.keyring.conftest import ALONE, CONFIG, ROTATE, Keyring, KeyringLaptop, new_keyring_laptop, new_server
from tests.killing import CHANGING, LATER, ONE_THREAD, Flow, check, needs_strace, record
from tests.standin import StandIn

STORE = ("keyring", "store", "-p", "work", "-y")
UNINSTALL = ("uninstall", "-y")
RESTORE = ("keyring", "restore", "-p", "work", "-y")
IN_CREDENTIALS = (ALONE, CONFIG)
IN_CONFIG = ("", CONFIG + "\naws_access_key_id = {id}\naws_secret_access_key={secret}\n#x")

pytestmark = [pytest.mark.slow, needs_strace]


def in_file(laptop: KeyringLaptop) -> None:
    """As it is at first."""


def stored(laptop: KeyringLaptop) -> None:
    """The pair is in the keyring and nowhere else."""
    assert laptop.run(*STORE).code == 0
    works(laptop)
    laptop.no_secret_on_disk()
    assert list(laptop.entries()) == ["rotate-my-key: work"]


def works(laptop: KeyringLaptop) -> None:
    """The profile has the pair that it had."""
    assert laptop.sdk_pair() == laptop.old


def signs_in(laptop: KeyringLaptop) -> None:
    """The profile has a pair that works, and no secret is on the disk."""
    laptop.sdk_pair()
    laptop.no_secret_on_disk()


def undone(laptop: KeyringLaptop) -> None:
    """It is stored; restoring undoes it."""
    stored(laptop)
    assert laptop.run(*RESTORE).code == 0
    restored(laptop)


def restored(laptop: KeyringLaptop) -> None:
    """Both files are as they were, byte for byte."""
    works(laptop)
    laptop.as_it_was()


def rotated(laptop: KeyringLaptop) -> Credentials:
    """When programs have asked again there is one key, another one, and nothing is left to be done."""
    laptop.time_passes(LIVE)
    assert laptop.run(*ROTATE).code == 0
    assert not laptop.rotations.exists() or not list(laptop.rotations.iterdir())
    pair = laptop.sdk_pair()
    assert [key.key_id for key in laptop.aws.keys("alice")] == [pair.key_id] != [laptop.old.key_id]
    assert not Index(str(laptop.index)).moving()
    return pair


def rotated_there(laptop: KeyringLaptop) -> None:
    """It is the one in the keyring, and nowhere else; restored, the files differ in the two values alone."""
    pair = rotated(laptop)
    assert list(laptop.entries()) == ["rotate-my-key: work"]
    laptop.no_secret_on_disk()
    assert laptop.run(*RESTORE).code == 0
    assert laptop.works("work") == pair
    laptop.unchanged_but_for_the_pair_of("work")
    assert laptop.entries() == {}


FLOWS = {
    "store": Flow(in_file, lambda _: STORE, lambda _: STORE, undone, now=works),
    "store, and then rotate": Flow(in_file, lambda _: STORE, lambda _: ROTATE, rotated, now=works, waits=True),
    "restore": Flow(stored, lambda _: RESTORE, lambda _: RESTORE, restored, now=works),
    "uninstall": Flow(stored, lambda _: UNINSTALL, lambda _: UNINSTALL, restored, now=works),
    "rotate": Flow(stored, lambda _: ROTATE, lambda _: ROTATE, rotated_there, now=signs_in, waits=True),
}


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("where", [IN_CREDENTIALS, IN_CONFIG], ids=["credentials file", "config file"])
def test_stopped_at_any_moment(tmp_path: Path, running: StandIn, name: str, where: tuple[str, str]) -> None:
    """Whatever the disk, and a keyring in a file, may hold then. A rotation does not touch the file it came from."""
    flow, (text, config) = FLOWS[name], where
    if where == IN_CONFIG and name == "rotate":
        pytest.skip("as from the credentials file")
    laptop = new_server(tmp_path, running, text=text, config=config)
    states, moments = record(laptop, flow)
    assert len(moments) > 10
    check(laptop, flow, states, moments[:: 3 if flow.end is rotated else 1])


def keyring_calls(laptop: KeyringLaptop, *words: str) -> list[int]:
    """Run it to its end; gives the numbers of those messages of the main thread that change an entry."""
    log = laptop.home.parent / "watched"
    before = [str(STRACE), "-qq", "-s", "400", "-e", "trace=sendto,clone3", "-o", str(log), *ONE_THREAD]
    done = laptop.run(*words, before=before)
    assert done.code == 0, done.text
    sent = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("sendto(")]
    return [number for number, line in enumerate(sent, 1) if re.search("CreateItem|Delete", line)]


@pytest.mark.parametrize("name", ["store", "restore", "rotate"])
def test_killed_at_every_call_to_a_real_keyring(tmp_path: Path, running: StandIn, keyring: Keyring, name: str) -> None:
    """Before each of them: the keyring has carried out those that came before."""
    flow = FLOWS[name]

    def fresh(folder: str) -> KeyringLaptop:
        keyring.forget()
        made = new_keyring_laptop(tmp_path / folder, running, keyring, text=ALONE)
        flow.before(made)
        return made

    laptop = fresh("watched")
    numbers = keyring_calls(laptop, *flow.words(laptop))
    assert numbers
    for number in numbers:
        laptop = fresh(str(number))
        before = [str(STRACE), "-qq", "-e", "trace=sendto,clone3", "-o", "/dev/null", *ONE_THREAD]
        inject = ["-e", f"inject=sendto:signal=KILL:when={number}"]
        assert laptop.run(*flow.words(laptop), before=[*before, *inject]).code == -9
        goes_on(laptop, flow)


def goes_on(laptop: KeyringLaptop, flow: Flow) -> None:
    """The profile works, and the next run settles."""
    flow.now(laptop)
    laptop.calm(LATER)
    laptop.age_temporaries()
    done = laptop.run(*flow.again(laptop))
    assert done.code == 0, done.text
    flow.end(laptop)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("action", CHANGING)
def test_rotation_killed_at_a_call_that_changes_a_key(laptop: KeyringLaptop, action: str, when: str) -> None:
    """Killed while a call is out, carried out or not yet. The worst: AWS has made a key and nobody has its secret."""
    stored(laptop)
    if action != "CreateAccessKey":  # these come once programs have asked again
        assert laptop.run(*ROTATE).code == 0
        laptop.time_passes(LIVE)
    laptop.at(action, 1, lambda call: laptop.signal(), when)
    assert laptop.run(*ROTATE).code == -9
    goes_on(laptop, FLOWS["rotate"])
