"""What the tests of install.sh share."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.install.machine import PYTEST, REPO, TOOLS, Machine, locked, need


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with an empty home and without Python; the lock files name click alone, to be quick, and an extra each
    a small package; of that which seals exports there is no wheel, as on Alpine."""
    found = Machine(tmp_path, tmp_path / "my home", tmp_path / "tools", tmp_path / "check out")
    for folder in (found.home, found.tools, found.checkout / "rotate_my_key/cli", found.checkout / "locks"):
        folder.mkdir(parents=True)
    for tool in TOOLS:
        (found.tools / tool).symlink_to(need(tool))
    for name in ("install.sh", "pyproject.toml", "LICENSE", "rotate_my_key/__main__.py", "rotate_my_key/py.typed"):
        shutil.copy(REPO / name, found.checkout / name)
    shutil.copytree(REPO / "man", found.checkout / "man")
    (found.checkout / "README.md").write_text("# A test\n")
    (found.checkout / "rotate_my_key/cli/__init__.py").touch()
    for lock in ("runtime", "dev"):
        (found.checkout / f"locks/{lock}.txt").write_text(locked("runtime", "click"))
    (found.checkout / "locks/export.txt").write_text(locked("export"))
    (found.checkout / "locks/fleet.txt").write_text(locked("runtime", "six"))
    found.set_version("1.0.0")
    return found


@pytest.fixture
def ready(machine: Machine, wheelhouse: Path) -> Machine:
    """A machine with a Python, and with no network but a wheelhouse that pip finds by itself."""
    machine.add_python()
    machine.env.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=wheelhouse.as_uri(), PIP_CONFIG_FILE=os.devnull)
    machine.env.update(UV_NO_INDEX="1", UV_FIND_LINKS=wheelhouse.as_uri(), UV_OFFLINE="1")
    return machine


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the lock file for running names, and pytest with xdist; made once for all workers. It has nothing of the
    extras."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "wheelhouse"
    folder.mkdir(exist_ok=True)
    wanted = folder / "wanted.txt"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.exists():
            making = folder / "making.txt"
            making.write_text(locked("runtime") + locked("dev", *PYTEST))
            download = [sys.executable, "-I", "-m", "pip", "download", "--require-hashes", "--only-binary", ":all:"]
            subprocess.run([*download, "-d", str(folder), "-r", str(making)], check=True, stdin=subprocess.DEVNULL)
            making.rename(wanted)
    return folder


@pytest.fixture
def tree() -> Callable[[Path], set[str]]:
    """A function that lists everything under a folder."""

    def listing(folder: Path) -> set[str]:
        # pip starts rustc to name it in its user agent, and rustup then writes into the home.
        found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
        return {path for path in found if not path.startswith(".rustup")}

    return listing
