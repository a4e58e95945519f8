"""The lock files and pyproject.toml: pinned, hashed, of one piece, and naming what the program imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rotate_my_key import __version__
from tests.install.machine import REPO, need

LOCKS = ("build", "runtime", "export", "fleet", "docs", "release", "dev")
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
ENTRY = re.compile(
    r"([a-z0-9-]+)(?:\[[a-z,-]+\])?==([\w.]+)(?: ; [^\\\n]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)"
)

# Modules whose package has another name.
PACKAGES = {"dateutil": "python-dateutil", "flask_cors": "flask-cors", "yaml": "pyyaml"}


def read(lock: str) -> str:
    """A lock file without its comments."""
    text = (REPO / "locks" / f"{lock}.txt").read_text()
    return "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))


def versions(lock: str) -> dict[str, str]:
    """The packages of a lock file with their versions."""
    return {name: version for name, version, _ in ENTRY.findall(read(lock))}


def names(requirements: list[str]) -> set[str]:
    """The packages that requirements name."""
    return {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements} - {PROJECT["name"]}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_is_pinned_and_hashed(lock: str) -> None:
    """A lock file holds pinned versions with hashes and nothing else: no option, no address, no path."""
    assert versions(lock)
    assert ENTRY.sub("", read(lock)) == ""
    assert "://" not in (REPO / "locks" / f"{lock}.txt").read_text()


def test_the_locks_are_of_one_piece() -> None:
    """The tests run with the very versions that are installed."""
    assert versions("runtime").items() <= versions("dev").items()
    assert versions("export").items() | versions("fleet").items() <= versions("dev").items()


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("runtime", names(PROJECT["dependencies"])),
        ("export", names(PROJECT["optional-dependencies"]["export"])),
        ("fleet", names(PROJECT["optional-dependencies"]["fleet"])),
        ("docs", names(PROJECT["optional-dependencies"]["docs"])),
        ("dev", names(PROJECT["optional-dependencies"]["test"])),
    ],
    ids=["runtime", "export", "fleet", "docs", "dev"],
)
def test_the_locks_hold_what_the_project_asks_for(lock: str, wanted: set[str]) -> None:
    """A dependency that was added is locked too: run locks/update."""
    assert wanted <= set(versions(lock))


# The systems that README names, as uv calls them.
SYSTEMS = (
    *("x86_64-manylinux2014", "aarch64-manylinux_2_28", "x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"),
    *("aarch64-apple-darwin", "x86_64-apple-darwin", "x86_64-pc-windows-msvc"),
)


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("lock", ["runtime", "export", "fleet", "dev"])
def test_every_python_on_every_system_finds_a_wheel(tmp_path: Path, lock: str, system: str) -> None:
    """From 3.11 on, and nothing is built; but pyrage has none for musl (Alpine): no export there, and no --test."""
    lacks = {"pyrage"} if "musl" in system and lock in ("export", "dev") else set()
    command = [need("uv"), "pip", "install", "--dry-run", "--no-config", "--require-hashes", "--only-binary", ":all:"]
    command += ["--python-platform", system, "--target", str(tmp_path / "none"), "-r", str(REPO / f"locks/{lock}.txt")]
    for minor in range(11, 16):
        python = f"3.{minor}"
        done = subprocess.run([*command, "--python-version", python], capture_output=True, text=True)
        told = re.findall(r"([\w.-]+)==\S+\s+has\s+no\s+usable\s+wheels", done.stderr)
        assert (python, set(told), done.returncode != 0) == (python, lacks, bool(lacks)), done.stderr


def imported(source: Path) -> set[str]:
    """The packages of others that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module or "")
    tops = {name.split(".")[0] for name in found} - sys.stdlib_module_names - {"rotate_my_key"}
    return {PACKAGES.get(top, top) for top in tops}


def extra(source: Path) -> str:
    """The extra that a file may import beside the dependencies, "" for none."""
    return "export" if source.stem == "age" else "fleet" if source.parent.name == "fleet" else ""


@pytest.mark.slow
def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    """The dependencies are what the program imports; two places may import an extra too, and do."""
    runtime = names(PROJECT["dependencies"])
    used = set()
    for source in (REPO / "rotate_my_key").rglob("*.py"):
        allowed = runtime | names(PROJECT["optional-dependencies"].get(extra(source), []))
        assert imported(source) <= allowed, source
        used |= imported(source)
    every = names([each for extra in ("export", "fleet") for each in PROJECT["optional-dependencies"][extra]])
    assert runtime | every <= used | {"tzdata"}  # data, which zoneinfo finds


def test_the_version_is_one_that_install_sh_can_read() -> None:
    """install.sh takes it from the source without Python, and names a folder after it."""
    text = (REPO / "rotate_my_key/__init__.py").read_text()
    assert re.findall(r'^__version__ = "(.*)"$', text, re.MULTILINE) == [__version__]
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", __version__)
