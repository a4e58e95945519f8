"""The power goes at any moment of a run: with whatever the disk had kept by then, the profile works, and the next plain
runs finish the job. Nothing is lost.

A run is recorded once, under strace; `tests/disk.py` says what the disk may hold after each of its calls. Each of these
disks is laid out anew, AWS is put back to what it was at that moment, and the program started again.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pyrage
import pytest

from tests.disk import STRACE, Disk, Tree, calls, lay, strace, variants
from tests.standin import Call as AwsCall
from tests.standin import StandIn
from tests.standin.world import LONG_AGO, Key

from .conftest import Laptop, sampled
from .syscalls import second_name

pytestmark = pytest.mark.skipif(STRACE is None, reason="NO STRACE HERE: what a power cut leaves is NOT tested")

LATER = 20  # seconds that pass at AWS before the next run, so that it need not wait for a key that may still show
CHANGING = ("CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey")
SPARSE = 4  # disks of each flow in the default run
# Written without haste: what is lost of these is made again.
LIGHT = ("lock", "status.json", "reminder/", ".tmp")


Prepare = Callable[[Laptop], None]
Words = Callable[[Laptop], tuple[str, ...]]
ROTATE = ("rotate", "--yes")


def whole(laptop: Laptop) -> None:
    """Nothing is left behind, and nothing else has changed."""
    laptop.unchanged_but_for_the_pair()
    laptop.tidy()


class Flow(NamedTuple):
    """A run: what is there before it, its words, what is run after the power cut, what must be so in the end, and what
    a disk that is laid out lacks."""

    before: Prepare
    words: Words = lambda laptop: ROTATE
    again: Words = lambda laptop: ROTATE
    end: Prepare = whole
    relay: Prepare = lambda laptop: None
    profiles: tuple[str, ...] = ("default", "work")


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


def kept(laptop: Laptop) -> None:
    """The old key is kept, switched off."""
    assert laptop.run("rotate", "--yes", "--keep-old", "7d").code == 0


ENV = "AWS_ACCESS_KEY_ID={0.key_id}\nAWS_SECRET_ACCESS_KEY={0.secret}\n"


def copied(laptop: Laptop) -> None:
    """A file that holds the pair too."""
    (laptop.home / ".env").write_text(ENV.format(laptop.old))


def copying(laptop: Laptop) -> tuple[str, ...]:
    """What was asked for is in the note, once there is a new key; who sees none asks for it again."""
    there = [key.key_id for key in laptop.aws.keys("alice")]
    return (*ROTATE, "--update-copies") if there == [laptop.old.key_id] else ROTATE


def follows(laptop: Laptop) -> None:
    """It holds the pair that is in force."""
    assert (laptop.home / ".env").read_text() == ENV.format(laptop.pair())


def told(laptop: Laptop) -> Path:
    """What a command of [after_rotate] leaves, on another disk."""
    return laptop.home.parent / "told"


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
    """It has run for the key that is in force."""
    assert laptop.pair().key_id in told(laptop).read_text()


def handed_over(laptop: Laptop) -> None:
    """A first key came in a file; there is no profile yet."""
    laptop.file.unlink()
    laptop.file.parent.rmdir()
    csv = f"Access key ID,Secret access key\r\n{laptop.old.key_id},{laptop.old.secret}\r\n"
    (laptop.home / "accessKeys.csv").write_text(csv)


def adopting(laptop: Laptop) -> tuple[str, ...]:
    """It is in no profile as yet."""
    return ROTATE if laptop.file.exists() else ("adopt", str(laptop.home / "accessKeys.csv"), "--yes")


def undoing(laptop: Laptop) -> tuple[str, ...]:
    """There is something to be undone."""
    noted = laptop.rotations.exists() and any(laptop.rotations.glob("*.note"))
    return ("undo", "--yes") if noted else ROTATE


def sealed(laptop: Laptop) -> None:
    """The key was replaced on another laptop, and came from there in a file; the one here is gone."""
    other = replace(laptop, home=laptop.home.parent / "other")
    shutil.copytree(laptop.home, other.home)
    identity = pyrage.x25519.Identity.generate()
    (laptop.home / "key.txt").write_text(f"{identity}\n")
    assert other.run().code == 0
    export = ("export", "--recipient", str(identity.to_public()), "-o", str(laptop.home / "key.age"))
    assert other.run(*export).code == 0


def importing(laptop: Laptop) -> tuple[str, ...]:
    """As often as it takes."""
    return ("import", "-i", str(laptop.home / "key.txt"), str(laptop.home / "key.age"))


FLOWS = {
    "rotate, the first time": Flow(fresh),
    "rotate": Flow(known),
    "rotate, in place": Flow(in_place, relay=in_place),
    "resume": Flow(killed),
    "undo": Flow(kept, undoing, undoing),
    "copies": Flow(copied, copying, copying, follows),
    "after_rotate": Flow(telling, end=was_told),
    "adopt": Flow(handed_over, adopting, adopting, lambda laptop: None, profiles=("default",)),
    "import": Flow(sealed, importing, importing, Laptop.unchanged_but_for_the_pair),
}


class Moment(NamedTuple):
    """What a power cut may leave: after which call, what of it has reached the disk, how many changes AWS has had, and
    whether a command was told."""

    where: str
    tree: Tree
    changes: int
    told: bool


class Past:
    """What became of alice's keys with each change, so that AWS can be put back to any of these states."""

    def __init__(self, aws: StandIn) -> None:
        self._aws = aws
        self._states = [self._now()]
        for action in CHANGING:
            aws.on_call(self._note, "after", action)

    def _note(self, call: AwsCall) -> None:
        self._states.append(self._now())

    @property
    def _keys(self) -> list[Key]:
        world = self._aws._front.world
        return world._past_and_present(world.user("alice"))

    def _now(self) -> dict[str, str]:
        return {key.id: key.status for key in self._keys}

    def end(self) -> None:
        """The run is over; its keys are kept here."""
        self._every = list(self._keys)
        self._aws.all_well()

    def put_back(self, changes: int) -> None:
        """AWS as it was after so many changes."""
        state, world = self._states[changes], self._aws._front.world
        then = [key for key in self._every if key.id in state]
        self._keys[:] = then
        world._keys.clear()
        world._keys.update({key.id: key for key in then})
        world.sessions.clear()
        there = [key.moto for key in then if state[key.id]]
        world.user("alice").access_keys[:] = there
        world.iam.access_keys.clear()
        world.iam.access_keys.update({key.access_key_id: key for key in there})
        for key in then:
            key.changes = [(LONG_AGO, "Active"), (LONG_AGO, state[key.id])]
            key.moto.status = state[key.id]


def record(laptop: Laptop, flow: Flow) -> tuple[Past, list[Moment]]:
    """Run it to its end; gives what each moment may leave, each but once."""
    flow.before(laptop)
    disk, past, log = Disk(laptop.home), Past(laptop.aws), laptop.home.parent / "log"
    done = laptop.run(*flow.words(laptop), before=strace(log))
    assert done.code == 0, done.text
    past.end()
    moments: list[Moment] = []
    changes, is_told = 0, False
    for call in calls(log):
        changes += call.action in CHANGING
        is_told |= any(str(told(laptop)) in str(word) for word in call.words) and call.name == "openat"
        if disk.do(call) or call.action in CHANGING:
            where = f"after {call.name} {call.words}"[:200]
            moments += [Moment(f"{where}: {name}", tree, changes, is_told) for name, tree in variants(disk)]
    assert _lasting(disk.left()) == _lasting(disk.left(lambda each: True)), "it ended, and not all of it is durable"
    return past, list({_what_matters(moment): moment for moment in moments}.values())


def _what_matters(moment: Moment) -> str:
    """Half-written files are swept, whatever is in them."""
    return repr([moment[2:], *((name, what) for name, what in moment.tree.items() if not name.endswith(".tmp"))])


def _lasting(tree: Tree) -> dict[str, Any]:
    return {name: what for name, what in tree.items() if not any(word in name for word in LIGHT)}


def check(laptop: Laptop, flow: Flow, past: Past, moments: list[Moment]) -> None:
    """All that fail are told, not only the first."""
    failures = []
    for moment in moments:
        lay(laptop.home, moment.tree)
        flow.relay(laptop)
        told(laptop).write_text("") if not moment.told else None
        past.put_back(moment.changes)
        laptop.aws.settings.clock_offset = 0
        try:
            survives(laptop, flow)
        except AssertionError as error:
            failures.append(f"{moment.where}\n{error}")
    assert not failures, f"{len(failures)} of {len(moments)} disks:\n" + "\n\n".join(failures)


def survives(laptop: Laptop, flow: Flow) -> None:
    """The profile works at once, and the next runs settle."""
    if laptop.file.exists() and flow.before is not sealed:
        laptop.works(*flow.profiles)
    laptop.calm(LATER)
    laptop.age_temporaries()
    done = [laptop.run(*flow.again(laptop)) for _ in range(2)]
    said = "\n".join(f"exit {each.code}\n{each.text}" for each in done)
    assert done[0].code in (0, 75), said
    assert done[1].code == 0, said
    assert [key.key_id for key in laptop.aws.keys("alice")] == [laptop.works(*flow.profiles).key_id], said
    assert not laptop.rotations.exists() or not list(laptop.rotations.iterdir()), said
    flow.end(laptop)


@pytest.mark.parametrize("name", sampled(FLOWS, "rotate, the first time", "undo"))
def test_the_power_goes_at_some_moments(laptop: Laptop, name: str) -> None:
    """A sample, spread over the whole run."""
    past, moments = record(laptop, FLOWS[name])
    check(laptop, FLOWS[name], past, moments[:: len(moments) // SPARSE])


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWS)
def test_the_power_goes_at_any_moment(laptop: Laptop, name: str) -> None:
    """All of them."""
    past, moments = record(laptop, FLOWS[name])
    assert len(moments) > 15
    check(laptop, FLOWS[name], past, moments)
