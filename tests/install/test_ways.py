"""From the built wheel, by each installer that people have: installed, used, upgraded, and left without a trace.

What the version before wrote down is read by the next one. Going back from a version that does not start is
install.sh's own; pip, pipx and uv go back when they are told the version before, which is tried here too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.install.machine import REPO, need
from tests.laptop import Laptop, new_laptop
from tests.standin import StandIn

PIPX, PIP = "pipx==1.8.0", "pip==25.3"
INSTALL = {
    "pip": "~/venv/bin/python -m pip install -q {wheel}",
    "pipx": "pipx install -q --force {wheel}",
    "uv": "uv tool install -q --force {wheel}",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A wheel of this checkout, and one of the version to come."""
    folder, found = tmp_path_factory.mktemp("wheels"), {}
    for version in ("1", "2"):
        tree = folder / version
        tree.mkdir()
        for name in ("rotate_my_key", "man", "pyproject.toml", "README.md", "LICENSE"):
            (shutil.copytree if (REPO / name).is_dir() else shutil.copy)(REPO / name, tree / name)
        init = tree / "rotate_my_key/__init__.py"
        init.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{version}.0.0"', init.read_text()))
        subprocess.run([need("uv"), "build", "-q", "--wheel", "-o", folder, tree], check=True)
        (found[version],) = folder.glob(f"*-{version}.0.0-*.whl")
    return found


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pipx, the pip that it wants to install itself, and uv."""
    folder = tmp_path_factory.mktemp("pipx")
    where = {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    subprocess.run([need("uv"), "tool", "install", "-q", PIPX], env={**os.environ, **where}, check=True)
    (folder / "bin/uv").symlink_to(need("uv"))
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "-d", folder / "bin", PIP], check=True)
    return folder / "bin"


@pytest.fixture
def home(tmp_path: Path, running: StandIn, wheelhouse: Path, tools: Path) -> Laptop:
    """A home, and a wheelhouse instead of the network."""
    laptop = new_laptop(tmp_path / "home", running)
    (laptop.home / ".bashrc").write_text("# mine\n")
    own = [f"{laptop.home}/.local/bin", f"{laptop.home}/venv/bin", tools, "/usr/bin", "/bin"]
    laptop.env.update(PATH=":".join(map(str, own)), PYTHONPATH="(unset)", SHELL="/bin/bash", PIP_CONFIG_FILE=os.devnull)
    laptop.env.update(UV_PYTHON=sys.executable, PIPX_DEFAULT_PYTHON=sys.executable, USE_EMOJI="0")
    laptop.env.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=f"{wheelhouse} {tools}")
    laptop.env.update(UV_NO_INDEX="1", UV_FIND_LINKS=wheelhouse.as_uri(), UV_OFFLINE="1")
    return laptop


@pytest.mark.parametrize("way", INSTALL)
def test_installed_used_upgraded_and_left(home: Laptop, wheels: dict[str, Path], way: str) -> None:
    """The last command that `uninstall` tells is the one for this way, and nothing of the program is left after it."""
    if way == "pip":
        shell(home, f"{sys.executable} -m venv ~/venv")
    at_first = files(home)

    def install(version: str) -> None:
        shell(home, INSTALL[way].format(wheel=wheels[version]))
        assert shell(home, "rotate-my-key --version") == f"rotate-my-key {version}.0.0\n"

    install("1")
    shell(home, "rotate-my-key rotate --yes --keep-old 7d && rotate-my-key reminder install")
    history = shell(home, "rotate-my-key history --json")
    install("2")
    assert shell(home, "rotate-my-key history --json") == history
    assert "undone" in shell(home, "rotate-my-key undo --yes && rotate-my-key history")
    install("1")  # back again
    shell(home, "rotate-my-key rotate --yes --force")
    last = shell(home, "rotate-my-key uninstall --yes").strip().rpartition(": ")[2]
    assert "rotate-my-key" in last
    shell(home, f"{last} {'--yes' if way == 'pip' else ''}")
    assert (home.home / ".bashrc").read_text() == "# mine\n"
    left = files(home) - at_first
    assert all(path.startswith((".local/state/rotate-my-key", ".config/rotate-my-key")) for path in left), left
    assert "command not found" in shell(home, "rotate-my-key --version 2>&1 || :")


def shell(home: Laptop, command: str) -> str:
    """Typed by its user."""
    done = subprocess.run(["bash", "-c", command], env=home.environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(home: Laptop) -> set[str]:
    """What the home holds, but for what installers keep for themselves."""
    own = (".cache/", ".local/share/uv/", ".local/share/pipx/", ".local/state/pipx/", "venv/")
    found = {str(path.relative_to(home.home)) for path in home.home.rglob("*") if not path.is_dir()}
    return {path for path in found if not path.startswith(own)}
