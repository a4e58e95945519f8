"""Modules of other programs, which PYTHONPATH puts in front of ours."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = ("click", "botocore", "urllib3", "configobj", "rich", "json", "argparse", "platformdirs")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder with modules that have the names of those we use, and say so when they are imported."""
    for name in MODULES:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a foreign module was imported: ' + __name__)\n")
    return tmp_path


def run(foreign: str, *args: str) -> subprocess.CompletedProcess[str]:
    """The program from its checkout, with that PYTHONPATH."""
    command = [sys.executable, "-m", "rotate_my_key", *args]
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": os.environ["PATH"], "HOME": home, "PYTHONPATH": foreign}
        return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("args", [("--version",), ("status", "--json"), ("config", "show")], ids=lambda args: args[0])
def test_modules_of_other_programs_are_left_out(foreign: Path, args: tuple[str, ...]) -> None:
    """None is imported, whatever the command needs."""
    done = run(f"{foreign}{os.pathsep}{foreign}/", *args)
    assert "foreign" not in done.stdout + done.stderr
    assert "fault" not in done.stderr


def test_what_is_ours_stays(foreign: Path) -> None:
    """Installed with `pip --target` and found by PYTHONPATH: what stands beside us there is meant for us; and one that
    repeats a folder of this Python takes nothing away."""
    done = run(f"{ROOT}{os.pathsep}{foreign}", "--version")
    assert "a foreign module was imported" in done.stdout + done.stderr
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    assert run(packages, "--version").stdout.startswith("rotate-my-key ")
