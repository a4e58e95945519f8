"""launchd and Task Scheduler, with programs of the tests in the place of launchctl and schtasks."""

from __future__ import annotations

import plistlib
from pathlib import Path

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.files.paths import Paths
from rotate_my_key.schedule import choose, schedulers
from rotate_my_key.schedule.job import Commands, ScheduledJob, Scheduler
from tests.schedule.conftest import Box

# Knows one agent, which takes a while to leave. `gone` says that nobody sits at the screen.
LAUNCHCTL = """#!/bin/sh
echo "$*" >>'{folder}/log'
case $* in
*gui/*) [ ! -f '{folder}/gone' ] || exit 125 ;;
esac
case $1 in
bootstrap) for code in 37 5; do
      [ ! -f '{folder}/leaving'$code ] || {{ {rm} '{folder}/leaving'$code; exit $code; }}
   done
   echo yes >'{folder}/loaded' ;;
bootout) [ -f '{folder}/loaded' ] && {rm} '{folder}/loaded' && : >'{folder}/leaving5' >'{folder}/leaving37' ;;
print) [ -f '{folder}/loaded' ] ;;
esac
"""
# Keeps the XML of one task, and gives it in the code page of a German console.
SCHTASKS = """#!/bin/sh
echo "$*" >>'{folder}/log'
task='{folder}/task.xml'
case $1 in
/Create) [ ! -f '{folder}/unwilling' ] || {{ echo 'ERROR: Access is denied.' >&2; exit 1; }}
   {cat} "$6" >"$task" ;;
/Query) [ -f "$task" ] || exit 1; [ "$4" != /XML ] || exec {iconv} -f UTF-16 -t CP850 "$task" ;;
/Delete) exec {rm} "$task" ;;
esac
"""
JOB = ScheduledJob("/home/Jörg & Söhne/bin/rotate-my-key", {})
MOVED = ScheduledJob("/elsewhere/rotate-my-key", {})


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """An empty folder that is all of PATH."""
    box = Box(tmp_path / "tools")
    box.folder.mkdir()
    return box


def first(box: Box, tmp_path: Path, platform: str) -> Scheduler:
    """The scheduler that is chosen there."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    paths = Paths(str(tmp_path / "home"), "", "", str(state), "", "")
    env = {"PATH": str(box.folder), "USERDOMAIN": "CORP", "USERNAME": "alice"}
    return choose(schedulers(env, paths, "host", platform))


def tree(folder: Path) -> list[Path]:
    """What is in a folder."""
    return sorted(folder.rglob("*"))


def test_launchd(box: Box, tmp_path: Path) -> None:
    """The agent is written and loaded, once; a changed one takes its place; uninstalled, nothing is left."""
    box.add("launchctl", LAUNCHCTL)
    (tmp_path / "home/Library").mkdir(parents=True)
    before = tree(tmp_path / "home")
    scheduler = first(box, tmp_path, "darwin")
    assert scheduler.installed() is None
    assert (scheduler.install(JOB), scheduler.install(JOB)) == (True, False)
    file = tmp_path / "home/Library/LaunchAgents/rotate-my-key.plist"
    assert plistlib.loads(file.read_bytes())["ProgramArguments"][0] == JOB.program
    found = scheduler.installed(MOVED)
    assert found and "another program" in found.trouble
    assert scheduler.install(MOVED)
    found = scheduler.installed(MOVED)
    assert found and (found.where, found.trouble) == (str(file), "")
    assert (scheduler.uninstall(), scheduler.uninstall()) == (True, False)
    assert tree(tmp_path / "home") == before
    assert not (box.folder / "loaded").exists()


def test_launchd_without_anybody_at_the_screen(box: Box, tmp_path: Path) -> None:
    """Over ssh there is no session of the screen; the user's own one is taken. A file of that name without our mark is
    refused and left, and what runs by it goes on."""
    box.add("launchctl", LAUNCHCTL)
    box.set("gone")
    scheduler = first(box, tmp_path, "darwin")
    assert scheduler.install(JOB)
    assert "bootstrap user/" in box.log
    (box.folder / "loaded").unlink()
    found = scheduler.installed(JOB)
    assert found and "at your next login" in found.trouble
    file = tmp_path / "home/Library/LaunchAgents/rotate-my-key.plist"
    file.write_text("<plist/>")
    with pytest.raises(Problem, match="did not create it"):
        scheduler.install(JOB)
    box.set("loaded")
    assert scheduler.uninstall() is False and (box.folder / "loaded").exists()
    assert file.read_text() == "<plist/>"


def test_task_scheduler(box: Box, tmp_path: Path) -> None:
    """The task goes in as UTF-16, under the user's name, and out again; the XML file for it is not left behind. What
    schtasks says against it is passed on."""
    box.add("schtasks", SCHTASKS)
    scheduler = first(box, tmp_path, "win32")
    assert (scheduler.install(JOB), scheduler.install(JOB)) == (True, False)
    assert (box.folder / "task.xml").read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff")
    assert "CORP\\alice" in (box.folder / "task.xml").read_bytes().decode("utf-16")
    assert "/TN rotate-my-key alice" in box.log
    assert tree(tmp_path / "state") == []
    found = scheduler.installed(MOVED)
    assert found and "another program" in found.trouble
    assert (scheduler.uninstall(), scheduler.uninstall()) == (True, False)
    assert scheduler.installed() is None
    box.set("unwilling")
    with pytest.raises(Problem, match=r"ERROR: Access is denied\."):
        scheduler.install(JOB)
    assert tree(tmp_path / "state") == []


def test_a_program_that_leaves_one_behind(box: Box) -> None:
    """What schtasks has started in its turn is not waited for."""
    box.add("schtasks", "#!/bin/sh\necho yes\n{sleep} 31 &\n")
    assert Commands({"PATH": str(box.folder)}).run("schtasks") == (0, b"yes\n", b"")


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_a_system_without_its_scheduler(box: Box, tmp_path: Path, platform: str) -> None:
    """One line that says what was looked for."""
    with pytest.raises(Problem, match="no scheduler for you"):
        first(box, tmp_path, platform)
