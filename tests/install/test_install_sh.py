"""install.sh, as far as it goes without a network: what it refuses, what it says, what it leaves alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.install.machine import REPO, Machine, need

Tree = Callable[[Path], set[str]]
SHELLS = ("sh", "dash", "bash --posix", "busybox sh", "ksh", "zsh --emulate sh")
SCRIPTS = ("install.sh", "locks/update", ".ci/run")


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell.split()[0])])
def test_every_shell_here_can_read_it(shell: str) -> None:
    """install.sh keeps to what every POSIX shell understands."""
    assert subprocess.run([*shell.split(), "-n", str(REPO / "install.sh")], capture_output=True).stderr == b""


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_finds_nothing(script: str) -> None:
    """The scripts are clean, without exceptions."""
    done = subprocess.run([need("shellcheck"), str(REPO / script)], capture_output=True, text=True)
    assert done.stdout == ""
    assert "shellcheck disable" not in (REPO / script).read_text()


def test_it_uses_nothing_that_bsd_tools_lack() -> None:
    """macOS has no `readlink -f`, `mv -T`, `sed -i` as GNU has it, `mktemp --suffix` and no long options."""
    text = (REPO / "install.sh").read_text()
    assert not re.search(r"\b(readlink -f|realpath |mv -T|ln -\w*T|sed -i|grep -P|cp -a|mktemp)", text)
    assert not re.search(r"\b(cat|chmod|cksum|find|id|ln|mkdir|mv|ps|rm|rmdir|sed|tail|tr) --\w", text)


def test_help_names_every_option(machine: Machine) -> None:
    """--help is complete and fits a terminal."""
    done = machine.install("--help")
    assert done.returncode == 0
    text = (REPO / "install.sh").read_text()
    options = re.findall(r"(--[a-z]+)(?: \||\))", text[text.index("while [ $# -gt 0 ]") :])
    assert len(options) >= 7
    for option in options:
        assert f"  {option} " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frobnicate"], "unknown argument: --frobnicate"),
        (["somewhere"], "unknown argument: somewhere"),
        (["--prefix"], "--prefix needs a folder"),
        (["--prefix", ""], "--prefix needs a folder"),
        (["--wheelhouse"], "--wheelhouse needs a folder"),
        (["--with"], "--with needs a name: fleet"),
        (["--with", "everything"], "--with needs a name: fleet"),
        (["--demo", "--with", "fleet"], "--with does not go with --demo"),
        (["--uninstall", "--with", "fleet"], "--with does not go with --uninstall"),
        (["--purge"], "--purge goes with --uninstall"),
        (["--demo", "--uninstall"], "--demo and --uninstall exclude each other"),
        (["--test", "--demo"], "--test and --demo exclude each other"),
        (["--prefix", "/opt", "--demo"], "--prefix does not go with --demo"),
        (["--uninstall", "--wheelhouse", "/"], "--wheelhouse does not go with --uninstall"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_refused(machine: Machine, tree: Tree, arguments: list[str], message: str) -> None:
    """Exit 2, one line that says what is wrong, and where the help is."""
    done = machine.install(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [f"install.sh: {message}", "hint: ./install.sh --help"]
    assert tree(machine.home) == set()


@pytest.mark.parametrize("mode", [[], ["--uninstall"], ["--demo"]], ids=["install", "uninstall", "demo"])
@pytest.mark.parametrize(
    ("home", "message"),
    [
        (None, "HOME is not set"),
        ("", "HOME is not set"),
        ("some/where", "HOME is not an absolute path: some/where"),
        ("/nonexistent/home", "HOME is not a folder: /nonexistent/home"),
    ],
    ids=["unset", "empty", "relative", "missing"],
)
def test_a_home_is_needed(machine: Machine, mode: list[str], home: str | None, message: str) -> None:
    """Without a usable HOME nothing is guessed."""
    done = machine.install(*mode, HOME=home)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[0]
    assert done.stderr.splitlines()[1].startswith("hint: HOME=")


@pytest.mark.skipif(os.getuid() != 0, reason="only root could put files into another user's home")
def test_root_does_not_install_into_another_users_home(machine: Machine, tree: Tree) -> None:
    """With sudo, HOME may still be the caller's: root's files there would be in the way of the next upgrade."""
    os.chown(machine.home, 65534, 65534)
    done = machine.install()
    assert done.returncode == 1
    assert "HOME is another user's" in done.stderr
    assert "without sudo" in done.stderr
    assert tree(machine.home) == set()


@pytest.mark.parametrize("mode", [[], ["--demo"], ["--test"]], ids=["install", "demo", "test"])
class TestPython:
    """What is said when there is no Python that will do."""

    def refused(self, machine: Machine, tree: Tree, mode: list[str], **changes: str) -> list[str]:
        """Run install.sh, see that it refuses and touches nothing, and give its two lines."""
        before = tree(machine.root)
        done = machine.install(*mode, **changes)
        assert done.returncode == 1
        assert tree(machine.root) == before
        lines = done.stderr.splitlines()
        assert len(lines) == 2
        return lines

    def test_none_at_all(self, machine: Machine, tree: Tree, mode: list[str]) -> None:
        """It says which Python is needed and how to get it."""
        wrong, hint = self.refused(machine, tree, mode)
        assert wrong == "install.sh: Python 3.11 or newer is needed, and there is none"
        assert "sudo apt install python3 python3-venv" in hint
        assert "uv" in hint

    def test_too_old(self, machine: Machine, tree: Tree, mode: list[str]) -> None:
        """It names the one that it found, with its version."""
        machine.add_python(pretend="sys.version_info = (3, 9, 2)")
        wrong, _ = self.refused(machine, tree, mode)
        assert wrong == "install.sh: Python 3.11 or newer is needed; python3 is 3.9.2"

    def test_without_venv(self, machine: Machine, tree: Tree, mode: list[str]) -> None:
        """Debian's Python comes without ensurepip: the package that brings it is named."""
        machine.add_python(pretend='sys.version_info = (3, 12, 1); sys.modules["ensurepip"] = None')
        wrong, hint = self.refused(machine, tree, mode)
        assert wrong == "install.sh: Python 3.12 is here, but without its modules venv and ensurepip"
        assert hint == "hint: on Debian and Ubuntu: sudo apt install python3.12-venv"

    def test_broken(self, machine: Machine, tree: Tree, mode: list[str]) -> None:
        """A Python that does not start counts as none, as pyenv's place-holders and Apple's stub do."""
        machine.add_tool("python3", "echo no developer tools >&2; exit 72")
        wrong, _ = self.refused(machine, tree, mode)
        assert wrong.endswith("there is none")

    @pytest.mark.parametrize("tools", [0, 2], ids=["with developer tools", "without"])
    def test_apples_stub(self, machine: Machine, mode: list[str], tools: int) -> None:
        """Without developer tools macOS's /usr/bin/python3 opens a dialog: it is not started."""
        stub = machine.add_tool("python3", f": >'{machine.root}/started'; exit 1")
        script = machine.checkout / "install.sh"
        script.write_text(script.read_text().replace("Darwin:/usr/bin/python3)", f"Darwin:{stub})"))
        (machine.tools / "uname").unlink()
        machine.add_tool("uname", "echo Darwin")
        machine.add_tool("xcode-select", f"exit {tools}")
        assert machine.install(*mode).returncode == 1
        assert (machine.root / "started").exists() == (tools == 0)

    def test_the_one_named_is_the_one_used(self, machine: Machine, tree: Tree, mode: list[str]) -> None:
        """PYTHON is taken at its word: no other Python, and no uv, steps in."""
        machine.add_python()
        machine.add_tool("uv", "exit 0")
        chosen = machine.add_python("my python", pretend="sys.version_info = (3, 10, 0)")
        wrong, _ = self.refused(machine, tree, mode, PYTHON=str(chosen))
        assert wrong == f"install.sh: Python 3.11 or newer is needed; {chosen} is 3.10.0"


def test_for_all_users_needs_a_python_for_all(machine: Machine, tree: Tree) -> None:
    """A Python in a folder that is closed to others would give them a command that cannot start."""
    closed = machine.root / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").touch()
    machine.add_python(pretend=f'sys._base_executable = "{closed}/python"')
    done = machine.install("--prefix", machine.root / "opt")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"install.sh: other users cannot reach {closed}/python"
    assert not (machine.root / "opt").exists()


@pytest.mark.parametrize("kind", ["file", "link", "dead link"])
def test_a_command_of_that_name_by_others_stays(machine: Machine, kind: str) -> None:
    """What pipx, uv or a person put there is not replaced; nothing is made before this is known."""
    machine.command.parent.mkdir(parents=True)
    if kind == "file":
        machine.command.write_text("mine")
    else:
        machine.command.symlink_to("/bin/sh" if kind == "link" else "/nonexistent/rotate-my-key")
    machine.add_python()
    done = machine.install()
    assert done.returncode == 1
    assert f"{machine.command} is there already" in done.stderr
    assert not machine.data.exists()
    assert machine.install("--uninstall").returncode == 0
    assert machine.command.is_symlink() or machine.command.read_text() == "mine"


def test_a_wheelhouse_must_be_there(machine: Machine, tree: Tree) -> None:
    """A wheelhouse that is not there is told before anything is made."""
    machine.add_python()
    done = machine.install("--wheelhouse", "/nonexistent")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "install.sh: there is no folder /nonexistent"
    assert tree(machine.home) == set()


def test_a_folder_that_cannot_be_made_is_one_line(machine: Machine) -> None:
    """It is named, with a command that shows why."""
    machine.add_python()
    (machine.home / ".local").touch()
    done = machine.install()
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"install.sh: cannot make the folder {machine.home}/.local",
        f"hint: ls -ld '{machine.home}'",
    ]


def test_windows_is_told_what_to_use(machine: Machine) -> None:
    """In Git Bash on Windows it names the way that works there."""
    (machine.tools / "uname").unlink()
    machine.add_tool("uname", "echo MINGW64_NT-10.0")
    done = machine.install()
    assert done.returncode == 1
    assert "uv tool install" in done.stderr


class TestUninstall:
    """Removing: refused while a secret of the user's may be at stake."""

    @pytest.mark.parametrize("purge", [[], ["--purge"]], ids=["", "purge"])
    @pytest.mark.parametrize("system", ["Linux", "Darwin"])
    def test_refused_while_a_note_is_there(self, machine: Machine, tree: Tree, purge: list[str], system: str) -> None:
        """A note is an unfinished rotation or a kept key: nothing is removed, and the command is named."""
        (machine.tools / "uname").unlink()
        machine.add_tool("uname", f"echo {system}")
        folder = {"Linux": ".local/state", "Darwin": "Library/Application Support"}[system]
        notes = machine.home / folder / "rotate-my-key/rotations"
        notes.mkdir(parents=True)
        (notes / "AKIAIOSFODNN7EXAMPLE.note").write_text("{}")
        (machine.data / "venv-1.0.0-1-1").mkdir(parents=True)
        before = tree(machine.home)
        done = machine.install("--uninstall", *purge)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            "install.sh: a rotation is unfinished, or an old key is still kept",
            "hint: rotate-my-key status shows which; rotate-my-key finishes a rotation, "
            "rotate-my-key delete-key lets a kept key go",
        ]
        assert tree(machine.home) == before

    def test_a_key_in_the_keyring(self, machine: Machine) -> None:
        """Only this program gives it to the user's programs, so it has to be put back first."""
        state = machine.home / ".local/state/rotate-my-key"
        state.mkdir(parents=True)
        (state / "keyring.json").write_text("{}")
        done = machine.install("--uninstall", "--purge")
        assert done.returncode == 1
        assert done.stderr.splitlines()[1] == "hint: rotate-my-key uninstall"
        assert (state / "keyring.json").exists()

    def test_nothing_there(self, machine: Machine, tree: Tree) -> None:
        """Removing twice, or what never was, is no error."""
        done = machine.install("--uninstall", "--purge")
        assert (done.returncode, done.stdout) == (0, "rotate-my-key is not installed here\n")
        assert tree(machine.home) == set()

    def test_the_state_folder_is_found_where_xdg_says(self, machine: Machine) -> None:
        """XDG_STATE_HOME counts here as it does in the program."""
        state = machine.root / "my state"
        (state / "rotate-my-key/rotations").mkdir(parents=True)
        (state / "rotate-my-key/rotations/one.note").write_text("{}")
        assert machine.install("--uninstall", XDG_STATE_HOME=str(state)).returncode == 1
        assert machine.install("--uninstall", XDG_STATE_HOME="my state").returncode == 0


@pytest.mark.slow
def test_k_nothing_runs_nothing() -> None:
    """`./install.sh --test -k nothing` only sets up, whatever the tests are called."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "nothing", "tests/install"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, " deselected in " in done.stdout, " passed" in done.stdout) == (5, True, False)
