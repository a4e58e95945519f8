"""Rotations on Windows, as far as wine is Windows: see docs/platforms.md."""

import json
import threading

import pytest

from tests.killing import LATER
from tests.laptop import Finished
from tests.rotation.test_bad_days import CALLS, WEIGHTY
from tests.rotation.test_notes import change_note
from tests.windows.conftest import PYTHON, WindowsLaptop

pytestmark = pytest.mark.slow


def test_a_whole_rotation(laptop: WindowsLaptop) -> None:
    """rotate-my-key.exe, typed into cmd: the key is a new one, and nothing else in the file has changed."""
    done = laptop.cmd("rotate-my-key --yes")
    assert done.code == 0, done.text
    assert r"~\.aws\credentials: updated default and work" in done.err
    laptop.settled()


@pytest.mark.parametrize(
    ("call", "when"), [*((call, "before") for call in CALLS), *((call, "after") for call in WEIGHTY)]
)
def test_ended_at_a_call(laptop: WindowsLaptop, call: str, when: str) -> None:
    """Ended as the call arrives, or before it is answered: the profile works, and the next run finishes."""
    action, nth = CALLS[call]
    laptop.at(action, nth, lambda call: laptop.kill(), when)
    assert laptop.run().code == 1
    laptop.works()
    laptop.calm(LATER)
    laptop.settled()


def test_ended_and_named_otherwise(laptop: WindowsLaptop) -> None:
    """By its machine ID (wine makes up none) the computer is known again, and the next run finishes at once."""
    laptop.cmd(r"reg add HKLM\Software\Microsoft\Cryptography /v MachineGuid /d 1e1d5f2c-0b1c-4c0a /f")
    laptop.at("UpdateAccessKey", 1, lambda call: laptop.kill(), "before")
    assert laptop.run().code == 1
    change_note(laptop, host="another name")
    laptop.settled()


@pytest.mark.parametrize("nth", [*range(2, 40, 5), 25, 29])  # of these two ReplaceFileW is done, its backup there
def test_ended_before_a_change_of_a_file(laptop: WindowsLaptop, nth: int) -> None:
    """The profile works, and the next run finishes."""
    done = laptop.shell([PYTHON, r"C:\inside.py", "killed-at", str(nth), "rotate", "--yes"])
    assert done.code == 9, done.text
    laptop.works()
    laptop.calm(LATER)
    laptop.settled()


def test_two_at_once(laptop: WindowsLaptop) -> None:
    """One rotates, the other waits at the lock and has nothing to do."""
    ended: list[Finished] = []
    threads = [threading.Thread(target=lambda name: ended.append(laptop.run(name=name)), args=name) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.code for each in ended] == [0, 0], [each.text for each in ended]
    assert len(laptop.history()) == 1
    laptop.settled()


def test_words_and_codes(laptop: WindowsLaptop) -> None:
    """What scripts rely on: codes through rotate-my-key.exe, JSON, nothing done by --dry-run; undo, and the demo."""
    assert laptop.cmd("rotate-my-key nonsense").code == 2
    assert laptop.cmd("rotate-my-key --dry-run").code == 0
    demo = laptop.cmd("rotate-my-key demo --fast")
    assert demo.code == 0 and "(active)" in demo.out, demo.text
    status = laptop.cmd("rotate-my-key status --json")
    assert status.code == 0, status.text
    assert json.loads(status.out)
    assert laptop.file.read_bytes() == laptop.original
    assert laptop.cmd("rotate-my-key --yes --keep-old 7d").code == 0
    assert laptop.pair() != laptop.old
    undone = laptop.cmd("rotate-my-key undo --yes")
    assert undone.code == 0, undone.text
    assert laptop.pair() == laptop.old
