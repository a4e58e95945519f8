"""Surroundings that a test cannot make for itself in one process: another user, file systems of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534


def run_in_child(function: Callable[[], object], uid: int | None = None) -> int:
    """Run the function in a forked child, as this user; the child's wait status, 0 if it returned."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if uid is not None:
                os.setgroups([])
                os.setgid(uid)
                os.setuid(uid)
            function()
            code = 0
        except BaseException:  # noqa: BLE001  a child must not return into pytest
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


@pytest.fixture
def in_child() -> Callable[[Callable[[], object]], int]:
    """Runs a function in a forked child; gives the child's wait status, 0 if the function returned."""
    return run_in_child


@pytest.fixture
def as_user() -> Callable[[Callable[[], object]], None]:
    """Runs a function as an ordinary user, whom permissions bind; root is not bound by them."""

    def run(function: Callable[[], object]) -> None:
        assert run_in_child(function, NOBODY if os.geteuid() == 0 else None) == 0, "see the traceback above"

    return run


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that the ordinary user of `as_user` can reach and owns."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def mounted() -> Callable[[str, str], None]:
    """Runs Python code after shell commands that mount things, both in a mount namespace of their own."""

    def run(mounts: str, code: str) -> None:
        enter = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
        if shutil.which("unshare") is None or subprocess.run([*enter, "true"], capture_output=True).returncode:
            pytest.skip("NOT TESTED HERE: no mount namespaces (unshare -m is not allowed)")
        script = f'set -e\n{mounts}\nexec "$0" -c "$1"'
        done = subprocess.run(
            [*enter, "sh", "-c", script, sys.executable, code], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr

    return run
