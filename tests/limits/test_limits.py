"""Whatever the computer runs out of, and whenever it stops a run: words, an exit code of ours, and the next run heals.

`python -m tests.limits` prints the table of docs/reliability.md.
"""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from tests.killing import STRACE
from tests.laptop import Laptop, new_laptop, sampled
from tests.standin import Call, StandIn

from .__main__ import ended
from .clock import COMPILER, library
from .faults import FAULTS, KILLED, inject, points, spread
from .flows import FLOWS, new_run

pytestmark = pytest.mark.skipif(STRACE is None, reason="NO STRACE HERE: a computer's limits are NOT tested")

# In the default run.
USUAL = {
    "no thread": "rotate all",
    "no process": "schedule install",
    "a program is none": "rotate, with a command",
    "few open files": "rotate",
    "files may have no bytes": "undo",
    "the quota is used up": "reminder install",
    "SIGTERM": "rotate",
}
# The slow run takes each flow with a quarter of the faults, which is each fault with a quarter of the flows; the whole
# table takes `python -m tests.limits`.
ROWS = [
    pytest.param(flow, fault, marks=[] if USUAL.get(fault) == flow else pytest.mark.slow)
    for (row, fault), (column, flow) in product(enumerate(FAULTS), enumerate(FLOWS))
    if (row + column) % 4 == 0 or USUAL.get(fault) == flow
]


@pytest.mark.parametrize(("flow", "fault"), ROWS)
def test_it_ends_in_words_and_the_next_run_heals(running: StandIn, tmp_path: Path, flow: str, fault: str) -> None:
    """Exit 0, 1, 4, 5, 75 or 130, never a traceback; no key, crontab, start-up file or setting is lost."""
    fell = [said for _, said in ended(tmp_path, running, flow, FAULTS[fault], 1) if said]
    assert not fell, "\n".join(fell)


SCARCE = {
    "no process": ("schedule install", "no more processes or threads can be started"),
    "neither process nor thread": ("schedule uninstall", "no more processes or threads can be started"),
}


@pytest.mark.parametrize("fault", SCARCE)
def test_what_a_computer_has_no_more_of_is_tried_later(running: StandIn, tmp_path: Path, fault: str) -> None:
    """75, and it says what it is that is missing."""
    flow, said = SCARCE[fault]
    run = new_run(tmp_path, running, flow)
    done = inject(run, FAULTS[fault], points(tmp_path, running, flow, FAULTS[fault])[0])
    assert (done.code, said in done.err) == (75, True), done.text
    run.heal()


HOURS = 40
SLEPT = {
    "looking": ("ListAccessKeys", 1),
    "making the key": ("CreateAccessKey", 1),
    "the second proof": ("GetCallerIdentity", 3),
    "switching the old key off": ("UpdateAccessKey", 1),
    "deleting it": ("DeleteAccessKey", 1),
}


def will_sleep(laptop: Laptop, action: str, nth: int) -> None:
    """The computer will sleep for hours once that call is carried out: its clock goes on, and AWS's."""
    slept = laptop.home.parent / "slept"

    def sleep(call: Call) -> None:
        laptop.aws.settings.clock_offset += HOURS * 3600
        slept.touch()

    laptop.at(action, nth, sleep, "after")
    clock = (f"LD_PRELOAD={library()}", f"CLOCK_JUMP={HOURS * 3600}", f"CLOCK_AFTER={slept}")
    laptop.program = ("env", *clock, *laptop.program)


@pytest.mark.skipif(COMPILER is None, reason="NO C COMPILER HERE: a computer that sleeps is NOT tested")
@pytest.mark.parametrize("call", sampled(SLEPT, "making the key"))
def test_a_computer_that_sleeps_for_hours_in_the_middle(running: StandIn, tmp_path: Path, call: str) -> None:
    """What was asked before is asked again (75), or a new MFA code is needed (4); the next run ends the rotation."""
    laptop = new_laptop(tmp_path / "home", running)
    will_sleep(laptop, *SLEPT[call])
    running.demand_mfa()
    device = running.add_mfa("alice")
    done = laptop.run("rotate", "--yes", "--mfa-code", device.code)
    assert done.code in (0, 75) or (done.code == 4 and "--mfa-code CODE" in done.err), done.text
    assert running.settings.clock_offset, "it did not sleep"
    laptop.works()
    again = laptop.run("rotate", "--yes", "--mfa-code", device.tick())
    assert again.code == 0, again.text
    laptop.calm()
    laptop.settled(rotated=True)


OURS = ("schedule install", "schedule uninstall", "reminder install", "reminder uninstall")


@pytest.mark.parametrize("part", sampled(["sample", *map(str, range(8))], "sample"))
@pytest.mark.parametrize("flow", OURS)
def test_killed_at_any_call_crontab_and_start_up_file_are_whole(
    running: StandIn, tmp_path: Path, flow: str, part: str
) -> None:
    """kill -9 before a call of a run or its children: what is the person's is there, and the next run ends it."""
    found = [point for point in points(tmp_path, running, flow, KILLED) if _begun(point.line)]
    for number, point in enumerate(spread(found, 1) if part == "sample" else found[int(part) :: 8]):
        run = new_run(tmp_path / str(number), running, flow)
        inject(run, KILLED, point)
        run.kept()
        run.heal()


def _begun(line: str) -> bool:
    """Not while Python loads modules."""
    return not re.search(r"\.pyc|site-packages|/lib/python|O_RDONLY", line)
