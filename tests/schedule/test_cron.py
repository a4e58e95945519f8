"""cron: marked lines come into a crontab and go again, and every other byte stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rotate_my_key.files.paths import Paths
from rotate_my_key.schedule import schedulers
from rotate_my_key.schedule.cron import Cron
from tests.cli.conftest import Desk
from tests.schedule.conftest import Box

ROOT = str(Path(__file__).resolve().parents[2])
CRONTABS = {
    "none": None,
    "empty": b"",
    "one line": b"* * * * * true\n",
    "odd bytes": b'# \xff\xfe not text\n\n\t\n  5 4 * * *  date +\\%s % a % b   \r\nMAILTO=""\n\n\n',
    "ours in a comment": b"# rotate-my-key was here\n0 0 * * * rotate-my-key status\n",
}
crontabs = pytest.mark.parametrize("crontab", CRONTABS.values(), ids=CRONTABS.keys())


@crontabs
def test_it_comes_and_goes_byte_for_byte(desk: Desk, cron: Box, crontab: bytes | None) -> None:
    """Installation twice it is there once; uninstalled, the crontab is what it was."""
    if crontab is not None:
        cron.crontab = crontab
    assert desk.run("schedule", "install", "--yes").code == 0
    with_it = cron.crontab
    assert with_it is not None and with_it.startswith(crontab or b"# >>>")
    assert with_it.count(b"schedule run --daily rotate --all") == 1
    done = desk.run("schedule", "install", "--yes")
    assert "Already installed" in done.out
    assert cron.crontab == with_it
    assert desk.run("schedule", "uninstall").code == 0
    assert cron.crontab == crontab or (cron.crontab, crontab) == (b"", b"")


def test_lines_that_came_later_stay(desk: Desk, cron: Box) -> None:
    """Also where there was no crontab before, and below ours."""
    desk.run("schedule", "install", "--yes")
    cron.crontab = b"# first\n" + (cron.crontab or b"") + b"1 1 * * * last\n"
    assert desk.run("schedule", "show").out.startswith("installed: a line in your crontab, once a day")
    desk.run("schedule", "uninstall")
    assert cron.crontab == b"# first\n1 1 * * * last\n"


def test_a_half_edited_block_is_left_alone(desk: Desk, cron: Box) -> None:
    """One mark without the other: nobody knows what belongs to it, so a person has to look."""
    desk.run("schedule", "install", "--yes")
    cron.crontab = broken = (cron.crontab or b"").rpartition(b"# <<<")[0] + b"2 2 * * * mine\n"
    for verb in (["install", "--yes"], ["uninstall"]):
        done = desk.run("schedule", *verb)
        assert done.code == 1
        assert done.problem()[1] == "crontab -e"
        assert cron.crontab == broken


def test_a_changed_line_takes_the_old_ones_place(desk: Desk, cron: Box) -> None:
    """Where files or program have moved the line is changed, not doubled, and `show` says so before."""
    cron.crontab = b"* * * * * true\n"
    desk.run("schedule", "install", "--yes")
    moved = {"AWS_CONFIG_FILE": str(desk.home / "elsewhere")}
    assert "installed for another program or other settings" in desk.run("schedule", "show", **moved).out
    assert desk.run("schedule", "install", "--yes", **moved).code == 0
    assert (cron.crontab or b"").count(b"schedule run") == 1
    assert b"AWS_CONFIG_FILE=" + os.fsencode(desk.home) in (cron.crontab or b"")
    desk.run("schedule", "uninstall")
    assert cron.crontab == b"* * * * * true\n"


OTHERS = b"MAILTO=me\n5 4 * * * backup\n"


@pytest.mark.parametrize(("how", "said"), [("unwilling", "can't install"), ("careless", "crontab rejects it")])
def test_a_crontab_that_is_not_taken_is_as_before(desk: Desk, cron: Box, how: str, said: str) -> None:
    """cron's program refuses, or says that all is well while reading back shows an empty crontab: the person's lines
    are there, and nothing is left beside."""
    cron.crontab = OTHERS
    cron.set(how)
    done = desk.run("schedule", "install", "--yes")
    assert (done.code, said in done.err) == (1, True)
    assert cron.crontab == OTHERS
    assert not list(desk.state.glob("crontab*"))


@pytest.mark.parametrize("verb", [("install", "--yes"), ("uninstall",)], ids=lambda words: words[0])
def test_a_crontab_that_a_killed_run_left_empty_is_put_back(desk: Desk, cron: Box, verb: tuple[str, ...]) -> None:
    """What was there lies beside it until the new one has been read back, and the next run looks for it."""
    cron.crontab = b""
    desk.state.mkdir(parents=True, mode=0o700)
    (desk.state / "crontab.before").write_bytes(OTHERS)
    assert desk.run("schedule", *verb).code == 0
    assert (cron.crontab or b"").startswith(OTHERS)
    assert not list(desk.state.glob("crontab*"))


def test_neither_the_new_nor_the_old_is_taken(desk: Desk, cron: Box) -> None:
    """The person's lines are kept in a file, and the hint is the command that puts them back."""
    cron.crontab = b""
    cron.set("unwilling")
    desk.state.mkdir(parents=True, mode=0o700)
    (desk.state / "crontab.before").write_bytes(OTHERS)
    done = desk.run("schedule", "install", "--yes")
    assert done.problem()[1] == f"crontab - <{desk.state / 'crontab.before'}"
    assert (desk.state / "crontab.before").read_bytes() == OTHERS


def test_someone_who_may_have_no_crontab_is_told(desk: Desk, cron: Box) -> None:
    """cron.deny: there is no scheduler, and nothing was changed."""
    cron.add("crontab", "#!/bin/sh\necho 'you (alice) are not allowed to use this program' >&2\nexit 1\n")
    before = desk.snapshot()
    done = desk.run("schedule", "install", "--yes")
    assert done.code == 1
    assert "no scheduler for you" in done.err
    assert desk.snapshot() == before


def test_the_minute_is_not_the_same_for_everybody() -> None:
    """A thousand computers do not ask AWS in the same minute."""
    paths = Paths("/home/alice", "", "", "/state", "", "")
    found = [schedulers({}, paths, f"host-{number}", "darwin")[1] for number in range(500)]
    assert len({each._minute for each in found if isinstance(each, Cron)}) > 50


REAL = """
mount -t tmpfs tmpfs /var/spool/cron/crontabs 2>/dev/null || exit 99
cd "$1"
[ ! -f before ] || crontab before
set -e
"$2" -m rotate_my_key schedule install --yes 2>/dev/null
"$2" -m rotate_my_key schedule install --yes 2>/dev/null
crontab -l >with
"$2" -m rotate_my_key schedule uninstall
tail -n +4 "/var/spool/cron/crontabs/$(id -un)" >after
"""  # cron puts three lines of its own on top


@crontabs
def test_the_real_crontab(desk: Desk, box: Box, crontab: bytes | None) -> None:
    """The same with cron's own program, its spool hidden under an empty one in a namespace of its own."""
    program, unshare = shutil.which("crontab"), shutil.which("unshare")
    if program is None or os.geteuid() != 0 or unshare is None:
        pytest.skip("NOT RUN: needs root, unshare and a real crontab (apt-get install cron)")
    if crontab is not None:
        (box.folder / "before").write_bytes(crontab)
    done = subprocess.run(
        [unshare, "-m", "/bin/bash", "-c", REAL, "-", str(box.folder), sys.executable],
        env={
            **desk.environment({}),
            "PATH": f"{box.folder}:{os.path.dirname(program)}:/usr/bin:/bin",
            "PYTHONPATH": ROOT,
        },
        capture_output=True,
        check=False,
    )
    if done.returncode == 99 or b"unshare failed" in done.stderr:
        pytest.skip("NOT RUN: no namespace of its own may be made here")
    with_it, after = ((box.folder / name) for name in ("with", "after"))
    assert (with_it.read_bytes().count(b"--keep-old 7d"), done.stdout.count(b"Already installed")) == (1, 1)
    if crontab:
        assert (done.returncode, after.read_bytes()) == (0, crontab)
    else:
        assert b"tail: cannot open" in done.stderr or after.read_bytes() == b""
