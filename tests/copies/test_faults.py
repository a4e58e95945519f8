"""A disk that fails at any call on a copy: the old key goes on working until that copy has the new one.

strace makes one call on the file, or that call and all after it, fail in the real program. Whatever comes of it: no
copy that was to change names a key that is switched off or gone; what did not change is named, with exit 1; and the
next plain run, when the fault is over, ends it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import pytest

from rotate_my_key.copies import find
from rotate_my_key.core.model import Credentials
from tests.killing import STRACE
from tests.laptop import Finished, Laptop

from .home import UPDATED

pytestmark = pytest.mark.skipif(STRACE is None, reason="NO STRACE HERE: failing disks are NOT tested")

ROTATE = ("rotate", "--yes", "--force", "--update-copies")
FEW = (".env", ".s3cfg", ".config/rclone/rclone.conf")
FAULTY = ".s3cfg"
ERRORS = ["EIO", "EACCES", "EBUSY", "EOPNOTSUPP", "ESTALE", "ENOMEM", "EDQUOT", "ENOSPC", "EROFS"]
# Calls that reach the file by its name or a descriptor, and those that make the new one beside it.
_ON_IT = "openat,newfstatat,readlink,read,readv,faccessat,faccessat2,access,flistxattr,fgetxattr,lseek"
_BESIDE = "openat,pwrite64,fchmod,fchown,fsetxattr,fsync,rename"
_LINE = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\(.*")


@dataclass(frozen=True)
class Fault:
    """The `nth` call of this name fails (and all after it: `on`), among those on the file, or `beside` it among all."""

    name: str
    nth: int
    error: str = "EIO"
    on: bool = False
    beside: bool = False
    file: str = FAULTY

    def __str__(self) -> str:
        which = f"{self.name} {self.nth}{'+' if self.on else ''}"
        return f"{self.error} at {which} {'beside' if self.beside else 'on'} {self.file}"

    def strace(self, laptop: Laptop, log: Path) -> list[str]:
        """What is put before the program."""
        when = f"{self.nth}+" if self.on else str(self.nth)
        inject = f"inject={self.name}:error={self.error}:when={when}"
        return [*_strace(laptop, log, "" if self.beside else self.file), "-e", f"trace={self.name}", "-e", inject]


def _strace(laptop: Laptop, log: Path, file: str) -> list[str]:
    only = ["-P", str(laptop.home / file)] if file else []
    return [str(STRACE), "-f", "-y", "-qq", "-s", "200", "-o", str(log), *only]


def lay(laptop: Laptop, pair: Credentials) -> None:
    """The copies, each with the pair."""
    for name in FEW:
        path = laptop.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(UPDATED[name](pair))
        path.chmod(0o600)


def faults(laptop: Laptop, *args: str) -> list[Fault]:
    """Every call of a run that reaches the file, by watching one."""
    found = []
    for beside, calls in ((False, _ON_IT), (True, _BESIDE)):
        log = laptop.home.parent / "watched"
        done = laptop.run(*args, before=[*_strace(laptop, log, "" if beside else FAULTY), "-e", f"trace={calls}"])
        assert done.code == 0, done.text
        counts: Counter[tuple[str, str]] = Counter()
        for line in log.read_text(errors="replace").splitlines():
            call = _LINE.match(line)
            if call is None or call["name"] not in calls.split(","):
                continue
            counts[call["thread"], call["name"]] += 1
            if not beside or f"/.rotate-my-key.{FAULTY}" in line:
                found.append(Fault(call["name"], counts[call["thread"], call["name"]], beside=beside))
    return list(dict.fromkeys(found))


def is_met(log: Path, fault: Fault) -> bool:
    """Whether the call that failed was one on that file (the numbers of calls beside it drift)."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if "(INJECTED)" in line]
    return bool(lines) and (not fault.beside or f"/.rotate-my-key.{FAULTY}" in lines[0])


def survives(laptop: Laptop, fault: Fault, *args: str) -> Finished | None:
    """One faulty run, and the plain one after it; gives the first, or None if the fault was not met."""
    before = laptop.works()
    log = laptop.home.parent / "faulty"
    done = laptop.run(*args, before=fault.strace(laptop, log))
    now = laptop.works()
    status = {key.key_id: key.status for key in laptop.aws.keys("alice")}
    left = [name for name in FEW if (laptop.home / name).read_bytes() != UPDATED[name](now)]
    for name in left:
        assert (laptop.home / name).read_bytes() == UPDATED[name](before), f"{fault}: {name} is torn"
        assert status.get(before.key_id) == "Active", f"{fault}: {name} names a dead key\n{done.text}"
        assert now == before or (done.code == 1 and f"~/{name}" in done.err), f"{fault}\n{done.text}"
    laptop.calm(20)
    again = laptop.run("rotate", "--yes")
    assert again.code == 0, f"{fault}\n{done.text}{again.text}"
    now = laptop.works()
    assert [key.key_id for key in laptop.aws.keys("alice")] == [now.key_id], f"{fault}\n{done.text}{again.text}"
    for name in FEW:
        assert (laptop.home / name).read_bytes() == UPDATED[name](now), f"{fault}: {name}\n{done.text}{again.text}"
    assert not list(laptop.rotations.iterdir()) and not list(laptop.home.rglob(".rotate-my-key.*"))
    if laptop.aws.settings.clock_offset > 600:
        laptop.aws.settings.clock_offset = 0
    return done if is_met(log, fault) else None


def nearby(fault: Fault) -> Iterator[Fault]:
    """The same call under other numbers, if they drift."""
    for drift in (0, 1, -1, 2, -2, 3, -3) if fault.beside else (0,):
        if fault.nth + drift > 0:
            yield replace(fault, nth=fault.nth + drift)


def check(laptop: Laptop, chosen: Sequence[Fault]) -> Counter[str]:
    """Each in turn, in one home; counts what came of them."""
    counts: Counter[str] = Counter()
    for fault in chosen:
        done = next((done for each in nearby(fault) if (done := survives(laptop, each, *ROTATE))), None)
        counts["not met" if done is None else f"exit {done.code}"] += 1
    return counts


def test_failing_at_some_calls(laptop: Laptop) -> None:
    """Two, one after the other, for good: at the first look, and when the new file is made."""
    lay(laptop, laptop.old)
    met = check(laptop, [Fault("openat", 1, "EIO", on=True), Fault("openat", 4, "EACCES", on=True)])
    assert met == {"exit 1": 2}


@pytest.mark.slow
def test_what_leads_to_copies_cannot_be_read(laptop: Laptop) -> None:
    """The home cannot be listed, or what earlier scans found or where to look cannot be read: nobody knows which files
    hold the key."""
    lay(laptop, laptop.old)
    for file, why in (
        (".", "cannot be listed"),
        (".local/state/rotate-my-key/copies.json", "cannot read"),
        (str(Path(find.__file__).with_name("known.txt")), "cannot be listed"),
    ):
        assert laptop.run("scan").code == 0
        before = laptop.works()
        fault = Fault("openat", 1, on=True, file=file)
        done = laptop.run(*ROTATE, before=fault.strace(laptop, laptop.home.parent / "faulty"))
        assert done.code == 1 and why in done.err, done.text
        assert {key.key_id: key.status for key in laptop.aws.keys("alice")}[before.key_id] == "Active"
        assert laptop.run("rotate", "--yes").code == 0
        for name in FEW:
            assert (laptop.home / name).read_bytes() == UPDATED[name](laptop.works())


@pytest.mark.slow
@pytest.mark.parametrize("on", [False, True], ids=["once", "for good"])
def test_failing_at_every_call(laptop: Laptop, on: bool) -> None:
    """All of them, with the errors in turn: 0 times is the old key off while a copy needs it."""
    lay(laptop, laptop.old)
    errors = cycle(ERRORS)
    met = check(laptop, [replace(each, error=next(errors), on=on) for each in faults(laptop, *ROTATE)])
    print(f"\ncopies on a failing disk: {met.total()} faults, {dict(sorted(met.items()))}, 0 copies with a dead key")
    assert met["not met"] <= met.total() // 10
    assert met["exit 1"] >= 10


@pytest.mark.parametrize("error", ["EIO", pytest.param("EACCES", marks=pytest.mark.slow)])
def test_scan_update_names_what_it_could_not_change(laptop: Laptop, error: str) -> None:
    """With exit 1; what could be changed is, and the same command does the rest when the fault is over."""
    lay(laptop, laptop.old)
    assert laptop.run("rotate", "--yes", "--keep-old", "7d").code == 0
    new = laptop.works()
    log = laptop.home.parent / "faulty"
    fault = Fault("openat", 1, error, on=True)
    done = laptop.run("scan", "--update", "--yes", "--json", before=fault.strace(laptop, log))
    assert done.code == 1 and is_met(log, fault), done.text
    assert f"~/{FAULTY} is not changed yet: " in done.err
    old = next(key for key in json.loads(done.out)["keys"] if key["replaced_by"])
    assert {each["path"]: each["finding"] for each in old["files"]}[str(laptop.home / FAULTY)] == "unreadable"
    assert (laptop.home / FAULTY).read_bytes() == UPDATED[FAULTY](laptop.old)
    assert (laptop.home / ".env").read_bytes() == UPDATED[".env"](new)
    assert laptop.run("scan", "--update", "--yes").code == 0
    for name in FEW:
        assert (laptop.home / name).read_bytes() == UPDATED[name](new)
