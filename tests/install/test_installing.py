"""install.sh at work: real environments, made from a wheelhouse; what is there afterwards, and what is not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.install.machine import PROGRAM, PYTEST, REPO, TOOLS, Machine, base_python, locked, missing, need

pytestmark = pytest.mark.slow

Tree = Callable[[Path], set[str]]
BROKEN = 'raise ImportError("no module named something")\n'


def version(machine: Machine) -> str:
    """What the installed command says that it is."""
    return machine.run(machine.command, "--version").stdout.strip()


@pytest.fixture(params=["the system's tools", "bash", "busybox"])
def any_tools(request: pytest.FixtureRequest, ready: Machine) -> Machine:
    """A machine with the tools that are here, with bash as sh (macOS has an old one), or with busybox's tools, which
    know little more than POSIX does, as BSD's."""
    if request.param == "bash":
        (ready.tools / "sh").unlink()
        (ready.tools / "sh").symlink_to(need("bash"))
    elif request.param == "busybox":
        busybox = need("busybox")
        known = subprocess.run([busybox, "--list"], capture_output=True, text=True).stdout.split()
        for tool in set(TOOLS) & set(known):
            (ready.tools / tool).unlink()
            (ready.tools / tool).symlink_to(busybox)
    return ready


def test_from_nothing_and_back(any_tools: Machine, tree: Tree) -> None:
    """An empty home gets a command that works, and is empty again after --uninstall; the checkout stays as it was."""
    ready = any_tools
    checkout = tree(ready.checkout)
    done = ready.install()
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert f"{ready.command} is ready\n" in done.stdout
    assert f'export PATH="{ready.home}/.local/bin:$PATH"' in done.stdout
    assert version(ready) == "rotate-my-key 1.0.0"
    assert tree(ready.checkout) == checkout
    assert ready.install("--uninstall").stdout == "rotate-my-key is removed\n"
    assert tree(ready.home) == set()


def test_the_command_heeds_nothing_around_it(ready: Machine) -> None:
    """Isolated mode: PYTHONPATH, PYTHONHOME, the folder one stands in and a user's packages do not reach it."""
    assert ready.install(PYTHONPATH=str(ready.checkout), PYTHONHOME="/nonexistent").returncode == 0
    (ready.root / "rotate_my_key.py").write_text(BROKEN)
    (ready.root / "click.py").write_text(BROKEN)
    done = ready.run(ready.command, "a b", "$c", PYTHONPATH=str(ready.root), PYTHONHOME="/nonexistent")
    found = json.loads(done.stdout)
    assert found == {"arguments": ["a b", "$c"], "isolated": 1, "prefix": str(ready.venvs[0])}


def test_what_is_installed_is_compiled_and_complete(ready: Machine) -> None:
    """Starting compiles nothing, whatever PYTHONDONTWRITEBYTECODE said; what only installs is gone again."""
    assert ready.install(PYTHONDONTWRITEBYTECODE="1", PIP_NO_COMPILE="1").returncode == 0
    (site,) = ready.venvs[0].glob("lib/python3*/site-packages")
    for source in site.rglob("*.py"):
        assert list((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")), source
    assert (site / "rotate_my_key/py.typed").exists()
    names = {re.split(r"[-.]", entry.name)[0] for entry in site.iterdir()}
    assert names - {"__pycache__"} == {"click", "rotate_my_key"}


def test_the_next_python_where_the_first_has_no_wheel(ready: Machine) -> None:
    """The newest Python may be newer than the wheels: what is missing is named, and the next one is taken."""
    other = another_python()
    (ready.tools / "python3").rename(ready.tools / "python3.11")
    (ready.tools / "python3").symlink_to(other)
    lock = ready.checkout / "locks/runtime.txt"
    lock.write_text(lock.read_text() + locked("runtime", "cffi", "pycparser"))  # the wheelhouse has them for one Python
    done = ready.install()
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"note: there is no wheel of cffi==\S+ for Python 3.\d+ on this system; trying the next Python\n", done.stderr
    )
    assert version(ready) == "rotate-my-key 1.0.0"


def another_python() -> str:
    """A Python of another version than the one that runs the tests, from PATH or from beside it (pyenv)."""
    beside = [str(path) for path in Path(base_python()).parents[2].glob("*/bin/python3.1[1-9]")]
    for found in filter(None, [*(shutil.which(f"python3.{minor}") for minor in range(11, 16)), *beside]):
        done = subprocess.run([found, "-c", "import sys, ensurepip; print(sys.version_info[1])"], capture_output=True)
        if done.returncode == 0 and int(done.stdout) != sys.version_info[1]:
            return found
    pytest.skip("there is one Python here")


def test_in_a_terminal_it_says_what_takes_long(ready: Machine) -> None:
    """How much is fetched, by what, and for how long that has gone on; without a terminal nothing of it is said."""
    install = pexpect.spawn("sh", [str(ready.checkout / "install.sh")], env=ready.environment(), timeout=300)
    install.expect_exact("downloading and unpacking 25 MB with pip (uv would be faster): 0 s")
    install.expect_exact(": 1 s")
    install.expect_exact("is ready")
    install.expect(pexpect.EOF)


def test_a_python_that_went_away_is_told(ready: Machine) -> None:
    """A system upgrade may remove the Python underneath: the command says so, and the next run repairs it."""
    ready.install()
    (ready.venvs[0] / "bin/python").unlink()
    done = ready.run(ready.command, "status")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "hint: run install.sh again"
    assert ready.install().returncode == 0
    assert version(ready) == "rotate-my-key 1.0.0"


def test_an_unfriendly_pip_configuration_changes_nothing(ready: Machine, tree: Tree) -> None:
    """Settings that would send packages elsewhere do not count; mirrors do (here: the wheelhouse)."""
    config = ready.root / "pip.conf"
    config.write_text("[install]\nuser = true\nno-binary = :all:\n")
    elsewhere = str(ready.root / "elsewhere")
    done = ready.install(PIP_CONFIG_FILE=str(config), PIP_TARGET=elsewhere, PIP_REQUIRE_HASHES="1", PIP_CONSTRAINT="/x")
    assert done.returncode == 0, done.stderr
    assert version(ready) == "rotate-my-key 1.0.0"
    assert not Path(elsewhere).exists()


def test_a_checkout_that_cannot_be_written(ready: Machine, tree: Tree) -> None:
    """Installing reads the checkout and writes nothing into it, however its rights are."""
    before = {path: path.stat().st_mtime_ns for path in ready.checkout.rglob("*")}
    for path in [*before, ready.checkout]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    done = ready.install()
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in ready.checkout.rglob("*")} == before
    for path in [ready.checkout, *before]:
        path.chmod(0o755)


def test_again_upgrades_and_keeps_settings_and_state(ready: Machine) -> None:
    """The second run replaces the first; only one environment stays; what the user has is untouched."""
    ready.install()
    for kept in (".config/rotate-my-key/config.ini", ".local/state/rotate-my-key/history.json"):
        (ready.home / kept).parent.mkdir(parents=True)
        (ready.home / kept).write_text("mine")
    (old,) = ready.venvs
    ready.set_version("1.1.0")
    done = ready.install(PATH=f"{ready.tools}:{ready.command.parent}")
    assert f"{ready.command} is ready (it was 1.0.0)\n" in done.stdout
    assert "note:" not in done.stdout
    assert version(ready) == "rotate-my-key 1.1.0"
    assert len(ready.venvs) == 1
    assert ready.venvs != [old]
    done = ready.install("--uninstall")
    assert "settings and state stay" in done.stdout
    assert (ready.home / ".config/rotate-my-key/config.ini").read_text() == "mine"
    assert (ready.home / ".local/state/rotate-my-key/history.json").read_text() == "mine"
    assert ready.install("--uninstall", "--purge").returncode == 0
    assert not (ready.home / ".config").exists()
    assert not (ready.home / ".local/state").exists()


def test_a_version_that_does_not_start_is_not_switched_to(ready: Machine, tree: Tree) -> None:
    """The one before stays and works, and of the new one nothing stays."""
    ready.install()
    before = tree(ready.home)
    ready.set_version("1.1.0", BROKEN)
    done = ready.install()
    assert done.returncode == 1
    assert "no module named something" in done.stderr
    assert "rotate-my-key 1.1.0 does not start; the version before it stays" in done.stderr
    assert version(ready) == "rotate-my-key 1.0.0"
    assert tree(ready.home) == before


@pytest.mark.parametrize("ending", ["killed", "interrupted"])
@pytest.mark.parametrize("moment", ["bin/python*", "lib/*/site-packages/click/core.py", "bin/rotate-my-key"])
def test_stopped_in_the_middle(ready: Machine, tree: Tree, moment: str, ending: str) -> None:
    """After kill -9 or Ctrl-C the installed version works; the next run leaves nothing of the stopped one behind."""
    ready.install()
    (old,) = ready.venvs
    before = tree(ready.home)
    ready.set_version("1.1.0")
    command = ["sh", str(ready.checkout / "install.sh")]
    process = subprocess.Popen(
        command,
        env=ready.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # in the background of a script Ctrl-C is ignored, and a shell cannot change that for itself
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not any(list(new.glob(moment)) for new in ready.venvs if new != old):
        assert process.poll() is None
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL if ending == "killed" else signal.SIGINT)
    process.wait()
    assert version(ready) in ("rotate-my-key 1.0.0", "rotate-my-key 1.1.0")
    if ending == "interrupted":
        assert process.returncode == 130
        assert tree(ready.home) == before
    assert ready.install().returncode == 0
    assert version(ready) == "rotate-my-key 1.1.0"
    assert len(ready.venvs) == 1
    assert len(list(ready.command.parent.iterdir())) == 1


def test_a_version_in_use_is_removed_later(ready: Machine) -> None:
    """A rotation that runs while the program is upgraded keeps its files until the next run."""
    program = PROGRAM.replace("def main():", "def main():\n    if sys.argv[1:] == ['wait']: sys.stdin.read()\n")
    ready.set_version("1.0.0", program)
    ready.install()
    (old,) = ready.venvs
    running = subprocess.Popen([ready.command, "wait"], env=ready.environment(), stdin=subprocess.PIPE)
    ready.set_version("1.1.0")
    ready.install()
    assert old in ready.venvs
    running.communicate(b"")
    ready.install()
    assert len(ready.venvs) == 1


def test_two_at_once(ready: Machine) -> None:
    """Two runs at the same time get in nobody's way: the command works, and one environment stays after the next."""
    command = ["sh", str(ready.checkout / "install.sh")]
    both = [subprocess.Popen(command, env=ready.environment(), stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert version(ready) == "rotate-my-key 1.0.0"
    ready.install()
    assert len(ready.venvs) == 1


def test_a_wheelhouse_needs_no_network(ready: Machine, wheelhouse: Path) -> None:
    """--wheelhouse with a folder in whose path is a space; the index is not asked."""
    ready.env.clear()
    moved = ready.root / "wheel house"
    shutil.copytree(wheelhouse, moved)
    done = ready.install("--wheelhouse", moved.name, PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="0")
    assert done.returncode == 0, done.stderr
    assert version(ready) == "rotate-my-key 1.0.0"


def packages(machine: Machine) -> set[str]:
    """The packages in the environment that is installed."""
    (site,) = machine.venvs[0].glob("lib/python3*/site-packages")
    return {entry.name.partition("-")[0] for entry in site.glob("*.dist-info")}


ALONE = {"click"}


class TestExtras:
    """What seals exports comes along where it can; --with brings more."""

    @pytest.fixture(params=["pip", "uv"])
    def either(self, request: pytest.FixtureRequest, ready: Machine) -> Machine:
        """A machine with pip, or with uv alone."""
        if request.param == "uv":
            (ready.tools / "python3").rename(ready.tools / "python")
            (ready.tools / "uv").symlink_to(need("uv"))
        return ready

    def test_it_comes_along(self, either: Machine) -> None:
        """Where there is a wheel for this system, nobody has to ask; and so does an upgrade."""
        assert either.install().returncode == 0
        (either.checkout / "locks/export.txt").write_text(locked("runtime", "urllib3"))
        done = either.install()
        assert (done.returncode, done.stderr) == (0, "")
        assert packages(either) == ALONE | {"urllib3"}

    def test_where_there_is_no_wheel_all_else_is_there(self, either: Machine, tree: Tree) -> None:
        """Without a word: nothing else needs it, and whoever does is told by the program."""
        done = either.install()
        assert (done.returncode, done.stderr) == (0, "")
        assert packages(either) == ALONE
        assert version(either) == "rotate-my-key 1.0.0"
        assert either.install("--uninstall").returncode == 0
        assert tree(either.home) == set()

    def test_a_changed_one_is_refused(self, either: Machine, tree: Tree) -> None:
        """Optional or not, what does not match its hash ends it."""
        wrong = re.sub(r"sha256:\w{60}", f"sha256:{'0' * 60}", locked("runtime", "urllib3"))
        (either.checkout / "locks/export.txt").write_text(wrong)
        done = either.install()
        assert done.returncode == 1
        assert "a package is not the one that the lock file names" in done.stderr
        assert tree(either.home) == set()

    def test_with_fleet_is_kept_by_upgrades(self, either: Machine) -> None:
        """It is asked for once, and is gone after --uninstall."""
        assert either.install().returncode == 0
        done = either.install("--with", "fleet")
        assert (done.returncode, done.stderr) == (0, "")
        assert packages(either) == ALONE | {"six"}
        either.set_version("1.1.0")
        assert either.install().returncode == 0
        assert packages(either) == ALONE | {"six"}
        either.install("--uninstall")
        assert either.install().returncode == 0
        assert packages(either) == ALONE

    def test_with_fleet_that_cannot_be_had(self, either: Machine, tree: Tree) -> None:
        """It was asked for, so it does not go on without; the version in use stays."""
        assert either.install().returncode == 0
        before = tree(either.home)
        (either.checkout / "locks/fleet.txt").write_text(locked("fleet", "apprise"))
        done = either.install("--with", "fleet")
        assert done.returncode == 1
        wrong, hint = done.stderr.splitlines()[-2:]
        assert re.fullmatch(r"install.sh: there is no wheel of apprise==\S+ for Python 3.\d+ on this system", wrong)
        assert hint.startswith("hint: name another Python")
        assert tree(either.home) == before

    def test_a_wheelhouse_without_them(self, ready: Machine, wheelhouse: Path) -> None:
        """One that was filled for the program alone still does; what --with names must be in it."""
        ready.env.clear()
        done = ready.install("--wheelhouse", wheelhouse)
        assert (done.returncode, done.stderr) == (0, "")
        assert packages(ready) == ALONE
        assert ready.install("--wheelhouse", wheelhouse, "--with", "fleet").returncode == 0
        assert packages(ready) == ALONE | {"six"}
        (ready.checkout / "locks/fleet.txt").write_text(locked("fleet", "apprise"))
        done = ready.install("--wheelhouse", wheelhouse, "--with", "fleet")
        assert done.returncode == 1
        assert f"the packages could not be taken from {wheelhouse}: there is no apprise==" in done.stderr


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no network", "could not download packages; check your network or proxy"),
        ("empty wheelhouse", "the packages could not be taken from"),
        ("changed package", "a package is not the one that the lock file names"),
    ],
)
@pytest.mark.parametrize("mode", [[], ["--demo"]], ids=["install", "demo"])
def test_packages_that_cannot_be_had(ready: Machine, tree: Tree, mode: list[str], case: str, message: str) -> None:
    """One line says what is wrong, one what to do, and the home is as it was."""
    arguments: list[object] = []
    if case == "changed package":
        lock = ready.checkout / "locks/runtime.txt"
        lock.write_text(re.sub(r"sha256:\w{60}", f"sha256:{'0' * 60}", lock.read_text()))
    else:
        ready.env.update(PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_INDEX_URL="http://127.0.0.1:9/", PIP_RETRIES="0")
    if case == "empty wheelhouse":
        (ready.root / "empty").mkdir()
        arguments = ["--wheelhouse", ready.root / "empty"]
    arguments += mode
    done = ready.install(*arguments)
    assert done.returncode == 1
    *noise, wrong, hint = done.stderr.splitlines()
    if case == "no network":
        assert noise == (["preparing the demo (only once)"] if mode else [])
    assert wrong.startswith(f"install.sh: {message}")
    assert hint.startswith("hint: ")
    assert tree(ready.home) == set()


@pytest.mark.parametrize("by", ["pip", "uv"])
def test_a_folder_that_cannot_be_written_is_no_missing_network(ready: Machine, by: str) -> None:
    """A .venv that somebody else made, or a read-only disk, is called that."""
    if by == "uv":
        (ready.tools / "uv").symlink_to(need("uv"))
    venv = ready.checkout / ".venv"
    subprocess.run([base_python(), "-I", "-m", "venv", venv], check=True)
    (site,) = venv.glob("lib/python3*/site-packages")
    site.chmod(0o555)
    user = [need("unshare"), "--user", "--map-user=1000", "--map-group=1000"] if os.getuid() == 0 else []
    done = ready.run(*user, "sh", ready.checkout / "install.sh", "--test")
    assert (done.returncode, done.stderr.splitlines()[:2]) == (
        1,
        ["preparing .venv", f"install.sh: cannot write into {venv}"],
    )
    assert done.stderr.splitlines()[2].startswith("hint: ls -ld ")


def test_for_all_users(ready: Machine, tree: Tree) -> None:
    """--prefix needs no home, makes everything readable for everybody, and goes again without a trace."""
    ready.add_tool("python3", f"exec '{public_python()}' \"$@\"")
    prefix = ready.root / "opt dir/tools"
    done = ready.install("--prefix", "opt dir/tools", HOME=None)
    assert done.returncode == 0, done.stderr
    command = prefix / "bin/rotate-my-key"
    assert ready.run(command, "--version").stdout == "rotate-my-key 1.0.0\n"
    for path in [prefix, *prefix.rglob("*")]:
        mode = path.stat().st_mode
        assert mode & (0o055 if stat.S_ISDIR(mode) else 0o044) in (0o055, 0o044), path
        assert not mode & 0o022, path
    assert ready.install("--prefix", prefix).returncode == 0
    assert len(list((prefix / "lib/rotate-my-key").glob("venv-*"))) == 1
    assert ready.install("--uninstall", "--prefix", prefix).returncode == 0
    assert not (ready.root / "opt dir").exists()
    assert tree(ready.home) == set()


def public_python() -> str:
    """A Python that every user can reach."""
    script = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"
    for candidate in filter(None, ("/usr/bin/python3", "/usr/local/bin/python3", shutil.which("python3"))):
        reached = all(folder.stat().st_mode & stat.S_IXOTH for folder in Path(candidate).resolve().parents)
        if reached and subprocess.run([candidate, "-c", script], capture_output=True).returncode == 0:
            return candidate
    return missing("a Python 3.11 with venv that every user can reach")


class TestUv:
    """The same with uv: alone, and beside a Python with pip."""

    def test_it_is_taken_before_pip_and_pip_where_it_cannot_fetch(self, ready: Machine) -> None:
        """uv does not read pip's configuration, with the company's mirror in it."""
        log = ready.root / "log"
        script = f"""echo "$1" >>'{log}'; [ "$1" != pip ] || [ ! -e '{log}.off' ] || {{ echo offline >&2; exit 2; }}"""
        ready.add_tool("uv", f"""{script}; exec '{need("uv")}' "$@\"""")
        assert ready.install().stderr == ""
        assert log.read_text().split() == ["venv", "pip", "pip"]  # once more, without what seals an export
        Path(f"{log}.off").touch()
        ready.set_version("1.0.1")
        done = ready.install()
        assert (done.returncode, done.stderr) == (0, "note: uv could not download the packages; trying pip\n")
        assert version(ready) == "rotate-my-key 1.0.1"

    @pytest.fixture
    def with_uv(self, ready: Machine) -> Machine:
        """A machine with uv, and a Python that only uv finds."""
        (ready.tools / "python3").rename(ready.tools / "python")
        (ready.tools / "uv").symlink_to(need("uv"))
        return ready

    def test_from_nothing_and_back(self, with_uv: Machine, tree: Tree) -> None:
        """It is as good as with venv and pip: isolated, compiled, and gone after --uninstall."""
        done = with_uv.install()
        assert done.returncode == 0, done.stderr
        assert version(with_uv) == "rotate-my-key 1.0.0"
        (site,) = with_uv.venvs[0].glob("lib/python3*/site-packages")
        assert list(site.glob("click/__pycache__/*.pyc"))
        assert list(site.glob("rotate_my_key/__pycache__/*.pyc"))
        with_uv.set_version("1.0.0", PROGRAM.replace('"rotate-my-key"', '"changed"'))
        assert with_uv.install().returncode == 0
        assert version(with_uv) == "changed 1.0.0"
        assert with_uv.install("--uninstall").returncode == 0
        assert tree(with_uv.home) == set()

    def test_a_changed_package(self, with_uv: Machine, tree: Tree) -> None:
        """Hashes are checked here too."""
        lock = with_uv.checkout / "locks/runtime.txt"
        lock.write_text(re.sub(r"sha256:\w{60}", f"sha256:{'0' * 60}", lock.read_text()))
        done = with_uv.install()
        assert done.returncode == 1
        assert "a package is not the one that the lock file names" in done.stderr
        assert tree(with_uv.home) == set()


def test_the_demo(ready: Machine, tree: Tree) -> None:
    """--demo prepares once, runs what is in the checkout now, and writes nothing into it; --uninstall removes it."""
    checkout = tree(ready.checkout)
    done = ready.install("--demo", "-v", "two words")
    assert done.stderr == "preparing the demo (only once)\n"
    assert json.loads(done.stdout)["arguments"] == ["demo", "-v", "two words"]
    ready.set_version("1.0.0", PROGRAM.replace("arguments", "words"))
    done = ready.install("--demo", "--no-color")
    assert done.stderr == ""
    assert json.loads(done.stdout)["words"] == ["demo", "--no-color"]
    assert tree(ready.checkout) == checkout
    assert not ready.command.exists()
    assert ready.install("--uninstall").stdout == "rotate-my-key is removed\n"
    assert tree(ready.home) == set()


def test_an_installation_takes_over_what_the_demo_made(ready: Machine, tree: Tree) -> None:
    """It builds nothing a second time."""
    assert ready.install("--demo").returncode == 0
    (made,) = (ready.home / ".local/share/rotate-my-key").glob("venv-*")
    assert ready.install().returncode == 0
    assert ready.command.resolve().parent.parent == made
    assert ready.install("--uninstall").returncode == 0
    assert tree(ready.home) == set()


@pytest.mark.parametrize(
    "damage",
    [
        lambda site: (site / "click/core.py").unlink(),
        lambda site: (site / "click/core.py").write_bytes((site / "click/core.py").read_bytes()[:-9]),
        lambda site: (site / "rotate_my_key/__main__.py").write_text("import nothing_at_all"),
    ],
    ids=["a file is gone", "a file is cut off", "it does not start"],
)
def test_again_does_nothing_where_all_is_well_and_repairs_the_rest(
    ready: Machine, damage: Callable[[Path], object]
) -> None:
    """The same version a second time is told at once; an environment that is not as it was made is made again."""
    ready.install()
    (made,) = ready.venvs
    done = ready.install(PATH=f"{ready.tools}:{ready.command.parent}")
    assert (done.returncode, done.stdout) == (0, "rotate-my-key 1.0.0 is already up to date\n")
    assert ready.venvs == [made]
    (site,) = made.glob("lib/python3*/site-packages")
    damage(site)
    done = ready.install()
    assert (done.returncode, "is ready" in done.stdout) == (0, True)
    assert version(ready) == "rotate-my-key 1.0.0"
    assert len(ready.venvs) == 1
    assert ready.venvs != [made]


def test_the_tests(ready: Machine, tree: Tree) -> None:
    """--test makes .venv in the checkout once, runs the fast tests there and passes arguments on to pytest."""
    (ready.checkout / "locks/dev.txt").write_text(locked("dev", "click", "pygments", *PYTEST))
    (ready.checkout / "tests").mkdir()
    (ready.checkout / "tests/test_one.py").write_text(
        "import subprocess, sys, pytest\n"
        "@pytest.mark.slow\n"
        "def test_slow(): pass\n"
        "def test_program():\n"
        "    command = [sys.executable, '-I', '-m', 'rotate_my_key', '--version']\n"
        "    assert subprocess.run(command, capture_output=True).stdout == b'rotate-my-key 1.0.0\\n'\n"
        "def test_wrong(): assert False\n"
    )
    options = ["-c", "pytest.ini", "-p", "no:cacheprovider"]
    (ready.checkout / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    done = ready.install("--test", *options, "-k", "not wrong", "-n", "1")
    assert done.stderr == "preparing .venv\n"
    assert "1 passed" in done.stdout
    done = ready.install("--test", *options, "-n", "1")
    assert (done.returncode, done.stderr) == (1, "")
    assert "1 failed, 1 passed" in done.stdout
    assert tree(ready.home) == set()


def test_the_project_itself(ready: Machine) -> None:
    """The real checkout with the real lock file: the command starts, and brings every file that it needs."""
    ready.checkout = REPO
    done = ready.install()
    assert done.returncode == 0, done.stderr
    assert version(ready).startswith("rotate-my-key ")
    assert ready.run(ready.command, "--help").returncode == 0
    (site,) = ready.venvs[0].glob("lib/python3*/site-packages")
    left_out = [
        str(path)
        for path in (REPO / "rotate_my_key").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not (site / path.relative_to(REPO)).exists()
    ]
    assert left_out == []
