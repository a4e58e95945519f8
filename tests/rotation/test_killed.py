"""A run is killed, or the power goes, at any moment: the profile works, and the next plain run finishes the job.

Nothing is lost, whatever the command and whatever of the files had reached the disk.
"""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest

from tests.after_rotate.conftest import settings
from tests.copies.home import UPDATED
from tests.killing import LATER, ROTATE, Flow, check, needs_strace, one_key, record, second_name, told
from tests.laptop import Laptop, sampled
from tests.rotation.test_overlap import hours_pass
from tests.standin.rules import When
from tests.warm import COLD

pytestmark = needs_strace

SPARSE = 4  # moments of each flow in the default run
USUAL = ("rotate, the first time", "undo", "what follows")


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
    """The old key goes on working for a day."""
    return ("rotate", "--yes", "--overlap", "1d")


def both_work(laptop: Laptop) -> None:
    """Whatever runs with the old key goes on."""
    there = {key.key_id: key.status for key in laptop.aws.keys("alice")}
    assert there[laptop.old.key_id] == there[laptop.works().key_id] == "Active"


def a_day_later(laptop: Laptop) -> tuple[str, ...]:
    """The next run waits for that day; after it the old key goes."""
    assert laptop.run(*overlapping(laptop)).code == 0
    both_work(laptop)
    assert laptop.pair() != laptop.old
    hours_pass(laptop, 25)
    return ROTATE


def over(laptop: Laptop) -> None:
    """The overlap of an earlier rotation has ended."""
    assert laptop.run(*overlapping(laptop)).code == 0
    hours_pass(laptop, 25)


def undoing(laptop: Laptop) -> tuple[str, ...]:
    """There is something to be undone."""
    noted = laptop.rotations.exists() and any(laptop.rotations.glob("*.note"))
    return ("undo", "--yes") if noted else ROTATE


# Other files and commands, which are to have the new key before the old one goes

COPIES = (".env", ".bashrc", ".s3cfg", ".passwd-s3fs", ".netrc")
COMMANDS = ("one", "two")


def asked(laptop: Laptop) -> None:
    """Files that hold the pair too, and commands that are told of it; one that is named in `broken` fails."""
    for name in COPIES:
        (laptop.home / name).write_bytes(UPDATED[name](laptop.old))
    text = "update_copies = yes\n[after_rotate]\n"
    for name in COMMANDS:
        tell = f"! grep -q {name} {broken(laptop)} && {{ printf '{name} '; cat; echo; }} >>{told(laptop)}"
        text += f'[[{name}]]\ncommand = "/bin/sh", "-c", "{tell}"\n'
    settings(laptop, text)
    mended(laptop)


def broken(laptop: Laptop) -> Path:
    """Names what fails."""
    return laptop.home.parent / "broken"


def mended(laptop: Laptop) -> None:
    """Nothing fails any more, and every file has one name."""
    broken(laptop).write_text("")
    (laptop.home.parent / "second-name").unlink(missing_ok=True)


def asked_and_kept(laptop: Laptop) -> None:
    """They have the new key, and the old one is kept."""
    asked(laptop)
    kept(laptop)


def last_told(laptop: Laptop) -> dict[str, str]:
    """The key that each command was told of last."""
    lines = told(laptop).read_text().splitlines() if told(laptop).exists() else []
    pairs = [line.partition(" ") for line in lines]
    return dict.fromkeys(COMMANDS, laptop.old.key_id) | {
        name: json.loads(given)["new_key_id"] for name, _, given in pairs
    }


def none_lacks_it(laptop: Laptop) -> None:
    """The profiles, each file and each command have a key that works: one whole pair, or told of last."""
    laptop.works()
    good = [laptop.aws.pair(key.key_id) for key in laptop.aws.keys("alice") if key.active]
    for name in COPIES:
        assert (laptop.home / name).read_bytes() in [UPDATED[name](pair) for pair in good], name
    assert set(last_told(laptop).values()) <= {pair.key_id for pair in good}


def followed(laptop: Laptop) -> None:
    """They have the key that is in force, and nothing is left to be done."""
    one_key(laptop)
    for name in COPIES:
        assert (laptop.home / name).read_bytes() == UPDATED[name](laptop.pair()), name
    assert set(last_told(laptop).values()) == {laptop.pair().key_id}
    assert not list(laptop.home.rglob(".rotate-my-key.*"))
    assert not [path for path in (laptop.state / "after").glob("*") if path.suffix != ".tmp"]


def spoilt(name: str) -> Flow:
    """A rotation in which this file or command cannot take the new key."""

    def before(laptop: Laptop) -> None:
        asked(laptop)
        if name in COPIES:
            (laptop.home.parent / "second-name").hardlink_to(laptop.home / name)
        broken(laptop).write_text(name)

    return Flow(before, end=followed, relay=mended, now=none_lacks_it, code=1)


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


IN_TERMINAL = """
import os, pty, sys
class Yes:
    asked = b""
    def __call__(self, fd):
        data = os.read(fd, 999)
        self.asked += data
        if b"[Y/n]" in self.asked:
            self.asked = b""
            os.write(fd, b"y\\r")
        return data
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], Yes(), lambda fd: b"")))
"""


def encoded(laptop: Laptop) -> None:
    """The file is as PowerShell 5.1 writes it, and whoever types says yes."""
    laptop.file.write_bytes(laptop.original.decode().encode("utf-16"))
    laptop.program = (sys.executable, "-c", IN_TERMINAL, *COLD)


def one_or_the_other(laptop: Laptop) -> None:
    """It is whole, in one encoding or the other."""
    assert laptop.file.read_bytes() in (laptop.original, laptop.original.decode().encode("utf-16"))


def plain(laptop: Laptop) -> None:
    """botocore reads it; every character is there."""
    assert laptop.file.read_bytes() == laptop.original
    assert list(laptop.file.parent.iterdir()) == [laptop.file]


FLOWS = {
    "rewritten in UTF-8": Flow(encoded, lambda _: ("status",), lambda _: ("status",), plain, now=one_or_the_other),
    "rotate, the first time": Flow(fresh),
    "rotate": Flow(known),
    "rotate, in place": Flow(in_place, relay=in_place),
    "resume": Flow(killed),
    "undo": Flow(kept, undoing, undoing),
    "rotate, with an overlap": Flow(known, overlapping, a_day_later, now=both_work),
    "the overlap ends": Flow(over),
    "what follows": Flow(asked, end=followed, relay=mended, now=none_lacks_it),
    "what follows, undone": Flow(asked_and_kept, undoing, undoing, followed, mended, none_lacks_it),
    "adopt": Flow(handed_over, adopting, adopting, end=lambda laptop: one_key(laptop, "default"), now=held_if_there),
    "import": Flow(sealed, importing, importing, imported),
}


@pytest.mark.parametrize("name", sampled(FLOWS, *USUAL))
def test_stopped_at_some_moments(laptop: Laptop, name: str) -> None:
    """A sample, spread over the whole run."""
    states, moments = record(laptop, FLOWS[name])
    check(laptop, FLOWS[name], states, moments[:: len(moments) // SPARSE])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*COPIES, *COMMANDS])
def test_stopped_while_one_cannot_follow(laptop: Laptop, name: str) -> None:
    """The old key works as long as one lacks the new one, and once that is mended the next run ends it."""
    states, moments = record(laptop, spoilt(name))
    check(laptop, spoilt(name), states, moments)


CHANGES = ("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey")
LOOKS = ("GetCallerIdentity", "GetUser", "ListAccessKeys", "GetAccessKeyLastUsed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("action", "when"),
    [*((action, "before") for action in (*LOOKS, *CHANGES)), *((action, "after") for action in CHANGES)],
)
def test_no_answer_comes_while_all_is_to_follow(laptop: Laptop, action: str, when: When) -> None:
    """From one call or from another: no key is off that one of them needs, and the next run ends it."""
    asked(laptop)
    laptop.env["ROTATE_MY_KEY_PROPAGATION_TIMEOUT"] = "2s"
    laptop.aws.fault(action, "drop", when, times=None)
    laptop.run(*ROTATE)
    none_lacks_it(laptop)
    laptop.calm(LATER)
    assert laptop.run(*ROTATE).code == 0
    followed(laptop)


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWS)
def test_stopped_at_any_moment(laptop: Laptop, name: str) -> None:
    """All of them."""
    states, moments = record(laptop, FLOWS[name])
    assert len(moments) > 8
    check(laptop, FLOWS[name], states, moments)
