"""A run is killed, or the power goes, at any moment: the profile works, and the next plain run finishes the job.

Nothing is lost, whatever the command and whatever of the files had reached the disk.
"""

import shutil
from dataclasses import replace

import pyrage
import pytest

from rotate_my_key.core.model import Credentials
from tests.copies.home import UPDATED
from tests.killing import LATER, ROTATE, Flow, check, needs_strace, one_key, record, second_name, told
from tests.laptop import Laptop, sampled
from tests.rotation.test_overlap import hours_pass

pytestmark = needs_strace

SPARSE = 4  # moments of each flow in the default run
USUAL = ("rotate, the first time", "undo", "copies")


def fresh(laptop: Laptop) -> None:
    """The first run ever: no state folder, nor those above it."""


def known(laptop: Laptop) -> None:
    """The program has run before."""
    assert laptop.run("status").code == 0


def in_place(laptop: Laptop) -> None:
    """The file cannot be replaced by rename."""
    (laptop.home.parent / "second-name").unlink(missing_ok=True)
    second_name(laptop.file)


def killed(laptop: Laptop) -> None:
    """An earlier run was killed once the new key was made."""
    laptop.at("GetCallerIdentity", 2, lambda call: laptop.signal())
    assert laptop.run().code == -9
    laptop.calm(LATER)


# Undo


def kept(laptop: Laptop) -> None:
    """The old key is kept, switched off."""
    assert laptop.run("rotate", "--yes", "--keep-old", "7d").code == 0


def overlapping(laptop: Laptop) -> tuple[str, ...]:
    """The old key goes on working; a run afterwards waits for the day on which it goes."""
    return ("rotate", "--yes", "--overlap", "1d", "--keep-old", "1d")


def both_work(laptop: Laptop) -> None:
    """Whatever runs with the old key goes on, as that is what the profile holds, or was agreed to."""
    there = {key.key_id: key.status for key in laptop.aws.keys("alice")}
    assert there[laptop.old.key_id] == there[laptop.works().key_id] == "Active"


def waiting(laptop: Laptop) -> None:
    """Both keys work, and the new one is in place."""
    both_work(laptop)
    assert laptop.pair() != laptop.old
    laptop.unchanged_but_for_the_pair()


def over(laptop: Laptop) -> None:
    """The overlap of an earlier rotation has ended."""
    assert laptop.run(*overlapping(laptop)[:4]).code == 0
    hours_pass(laptop, 25)


def undoing(laptop: Laptop) -> tuple[str, ...]:
    """There is something to be undone."""
    noted = laptop.rotations.exists() and any(laptop.rotations.glob("*.note"))
    return ("undo", "--yes") if noted else ROTATE


# Other files and commands

COPIES = (".env", ".bashrc", ".s3cfg")


def copied(laptop: Laptop) -> None:
    """Files that hold the pair too."""
    for name in COPIES:
        (laptop.home / name).write_bytes(UPDATED[name](laptop.old))


def copying(laptop: Laptop) -> tuple[str, ...]:
    """What was asked for is in the note, once there is a new key; who sees none asks for it again."""
    there = [key.key_id for key in laptop.aws.keys("alice")]
    return (*ROTATE, "--update-copies") if there == [laptop.old.key_id] else ROTATE


def pairs_of(laptop: Laptop) -> list[Credentials]:
    """Those that AWS takes now."""
    return [laptop.aws.pair(key.key_id) for key in laptop.aws.keys("alice") if key.active]


def holds_one(laptop: Laptop) -> None:
    """Each of the files holds one whole pair that works, as the profiles do."""
    laptop.works()
    for name in COPIES:
        assert (laptop.home / name).read_bytes() in [UPDATED[name](pair) for pair in pairs_of(laptop)], name


def followed(laptop: Laptop) -> None:
    """They hold the pair that is in force."""
    one_key(laptop)
    for name in COPIES:
        assert (laptop.home / name).read_bytes() == UPDATED[name](laptop.pair()), name
    assert not list(laptop.home.rglob(".rotate-my-key.*"))


def telling(laptop: Laptop) -> None:
    """There is such a command."""
    folder = laptop.home / ".config" / "rotate-my-key"
    folder.mkdir(parents=True)
    command = f'"/bin/sh", "-c", "cat >>{told(laptop)}"'
    (folder / "config.ini").write_text(f"[after_rotate]\n[[teller]]\ncommand = {command}\n")
    for path in (folder, folder.parent):
        path.chmod(0o700)
    (folder / "config.ini").chmod(0o600)


def was_told(laptop: Laptop) -> None:
    """It has run for the key that is in force, and is not to run again."""
    one_key(laptop)
    assert laptop.pair().key_id in told(laptop).read_text()
    assert not [path for path in (laptop.state / "after").glob("*") if path.suffix != ".tmp"]


# A key that comes in


def handed_over(laptop: Laptop) -> None:
    """A first key came in a file; there is no profile yet."""
    laptop.file.unlink()
    laptop.file.parent.rmdir()
    csv = f"Access key ID,Secret access key\r\n{laptop.old.key_id},{laptop.old.secret}\r\n"
    (laptop.home / "accessKeys.csv").write_text(csv)


def adopting(laptop: Laptop) -> tuple[str, ...]:
    """It is in no profile as yet."""
    return ROTATE if laptop.file.exists() else ("adopt", str(laptop.home / "accessKeys.csv"), "--yes")


def held_if_there(laptop: Laptop) -> None:
    """A profile that is there works."""
    if laptop.file.exists():
        laptop.works("default")


def sealed(laptop: Laptop) -> None:
    """The key was replaced on another laptop, and came from there in a file; the one here works for a while."""
    other = replace(laptop, home=laptop.home.parent / "other")
    shutil.copytree(laptop.home, other.home)
    identity = pyrage.x25519.Identity.generate()
    (laptop.home / "key.txt").write_text(f"{identity}\n")
    assert other.run("rotate", "--yes", "--keep-old", "7d", "--old-active").code == 0
    export = ("export", "--recipient", str(identity.to_public()), "-o", str(laptop.home / "key.age"))
    assert other.run(*export).code == 0


def importing(laptop: Laptop) -> tuple[str, ...]:
    """As often as it takes."""
    return ("import", "-i", str(laptop.home / "key.txt"), str(laptop.home / "key.age"))


def imported(laptop: Laptop) -> None:
    """The profiles hold the other laptop's key; nothing else has changed, here or at AWS."""
    assert laptop.works().key_id == laptop.aws.keys("alice")[-1].key_id != laptop.old.key_id
    laptop.unchanged_but_for_the_pair()
    assert not list(laptop.home.rglob("*.tmp"))


FLOWS = {
    "rotate, the first time": Flow(fresh),
    "rotate": Flow(known),
    "rotate, in place": Flow(in_place, relay=in_place),
    "resume": Flow(killed),
    "undo": Flow(kept, undoing, undoing),
    "rotate, with an overlap": Flow(known, overlapping, overlapping, waiting, now=both_work),
    "the overlap ends": Flow(over),
    "copies": Flow(copied, copying, copying, followed, now=holds_one),
    "after_rotate": Flow(telling, end=was_told),
    "adopt": Flow(handed_over, adopting, adopting, end=lambda laptop: one_key(laptop, "default"), now=held_if_there),
    "import": Flow(sealed, importing, importing, imported),
}


@pytest.mark.parametrize("name", sampled(FLOWS, *USUAL))
def test_stopped_at_some_moments(laptop: Laptop, name: str) -> None:
    """A sample, spread over the whole run."""
    states, moments = record(laptop, FLOWS[name])
    check(laptop, FLOWS[name], states, moments[:: len(moments) // SPARSE])


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWS)
def test_stopped_at_any_moment(laptop: Laptop, name: str) -> None:
    """All of them."""
    states, moments = record(laptop, FLOWS[name])
    assert len(moments) > 15
    check(laptop, FLOWS[name], states, moments)
