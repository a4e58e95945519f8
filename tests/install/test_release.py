"""What a release is made of: the same twice, leading to one address, in forms that those who take it can read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

from rotate_my_key import __version__
from tests.install import release
from tests.install.machine import REPO, need
from tests.laptop import Laptop

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
ADDRESS = PROJECT["urls"]["Repository"]


def test_what_an_index_shows_leads_to_the_one_address() -> None:
    """README has no link that is good in a checkout alone, and each leads to a page or a picture that there is."""
    shown = release.absolute((REPO / "README.md").read_text(), ADDRESS, "v1")
    links = re.findall(r"\]\(([^)#]*)", shown)
    ours = [link.removeprefix(ADDRESS) for link in links if link.startswith(ADDRESS)]
    assert all(link.startswith("https://") for link in links)
    assert len(ours) > 20
    for link in ours:
        _, kind, tag, path = link.split("/", 3)
        assert (kind, tag) == ("raw" if path.endswith(".svg") else "blob", "v1")
        assert (REPO / path).is_file()


def test_the_address_stands_in_one_place() -> None:
    """pyproject.toml has it; as long as it is none, it is one that can never lead anywhere."""
    named = subprocess.run(["git", "-C", REPO, "grep", "-lF", ADDRESS], capture_output=True, text=True).stdout
    assert named.split() == ["pyproject.toml"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same commit released twice, in two time zones, with the archive that was made on Windows."""
    folders = [tmp_path_factory.mktemp("release"), tmp_path_factory.mktemp("again")]
    checkout = tmp_path_factory.mktemp("checkout")
    subprocess.run(["git", "clone", "-q", REPO, checkout], check=True)
    for folder, zone in zip(folders, ("Asia/Tokyo", "UTC"), strict=True):
        (folder / f"rotate-my-key-{__version__}-windows-amd64.zip").write_text("made on Windows")
        command = [need("python"), "-m", "tests.install.release", folder]
        subprocess.run(command, cwd=checkout, env=os.environ | {"TZ": zone}, check=True)
    return folders


@pytest.fixture(scope="module")
def one(made: list[Path]) -> Path:
    """One of them."""
    return made[0]


@pytest.mark.slow
def test_twice_gives_the_same_bytes(made: list[Path]) -> None:
    """Every file, whenever and wherever it is made; and SHA256SUMS is right about each."""
    first, second = ({path.relative_to(top): path.read_bytes() for path in files(top)} for top in made)
    assert len(first) == 13
    assert [path for path in first if first[path] != second.get(path)] == []
    assert subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=made[0]).returncode == 0
    assert len((made[0] / "SHA256SUMS").read_text().splitlines()) == 5


def files(top: Path) -> list[Path]:
    """Those below a folder."""
    return sorted(path for path in top.rglob("*") if path.is_file())


@pytest.mark.slow
def test_the_wheel_and_the_source_package(one: Path) -> None:
    """They name the address, show a README without relative links, and the source has all that is committed."""
    (wheel,), (source,) = one.glob("*.whl"), one.glob("rotate_my_key-*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    assert f"Project-URL: Repository, {ADDRESS}" in metadata
    assert re.findall(r"\]\((?!https://)[^)]*\)", metadata) == []
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "CONTRIBUTING.md", "install.sh", "locks/runtime.txt", "tests/conftest.py"} <= names


@pytest.mark.slow
def test_the_archive_needs_no_python(one: Path, laptop: Laptop, tmp_path: Path) -> None:
    """It rotates on a computer that has none; what is in it is listed with its licence, and so are their texts."""
    (archive,) = one.glob("*-linux-*.tar.gz")
    shutil.unpack_archive(archive, tmp_path)
    program = tmp_path / "rotate-my-key/rotate-my-key"
    env = laptop.environment({"PATH": str(program.parent)})

    def typed(*words: str) -> str:
        done = subprocess.run([program, *words], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    before = laptop.pair()
    typed("rotate", "--yes")
    assert laptop.works("default", "work") != before
    for words in (["status"], ["doctor"], ["schedule", "show"], ["policy", "self"], ["export", "--help"]):
        typed(*words)
    assert typed("uninstall").splitlines()[-1] == f"To remove rotate-my-key: rm -r {program.parent}"
    described = json.loads(next(one.glob("*.cdx.json")).read_text())
    parts = {part["name"].lower(): part for part in described["components"]}
    assert {re.split(r"\W", need)[0] for need in PROJECT["dependencies"] if "win32" not in need} <= set(parts)
    assert described["metadata"]["component"]["name"] == "rotate-my-key"
    assert {name for name, part in parts.items() if not part.get("licenses")} <= {"pyrage"}  # which names none
    texts = (program.parent / "LICENSES.txt").read_text()
    assert [
        name for name in ("Python", "botocore", "cryptography", "rich") if f"\n===== {name}" not in f"\n{texts}"
    ] == []


@pytest.mark.slow
def test_the_recipes_can_be_read_by_what_takes_them(one: Path) -> None:
    """Each for its own tool; they fetch what SHA256SUMS lists, from the one address."""
    recipes = {path.name: path for path in files(one / "recipes")}
    for command, name in (
        (["bash", "-n"], "PKGBUILD"),
        ([need("ruby"), "-c"], "rotate-my-key.rb"),
        ([need("nix-instantiate"), "--parse"], "package.nix"),
    ):
        done = subprocess.run([*command, recipes[name]], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    sums = dict(reversed(line.split("  ")) for line in (one / "SHA256SUMS").read_text().splitlines())
    for name, path in recipes.items():
        text = path.read_text()
        for url, file in re.findall(rf"({ADDRESS}/releases/download/[^/]+/([\w.-]+))", text):
            assert sums[file] in text.lower() or name == "package.nix", url
    locked = (REPO / "locks/runtime.txt").read_text()
    resources = re.findall(
        r'resource "(.*)" do\s+url "https://.*"\s+sha256 "(.*)"', recipes["rotate-my-key.rb"].read_text()
    )
    assert len(resources) > 15
    assert [name for name, found in resources if f"sha256:{found}" not in locked] == []
    scoop = json.loads(recipes["rotate-my-key.json"].read_text())
    assert {"version", "homepage", "license", "architecture", "bin"} <= set(scoop)
    winget = [yaml.safe_load(path.read_text()) for name, path in recipes.items() if name.endswith(".yaml")]
    assert {each["ManifestType"] for each in winget} == {"version", "installer", "defaultLocale"}
    assert {(each["PackageIdentifier"], each["PackageVersion"]) for each in winget} == {
        ("RotateMyKey.RotateMyKey", scoop["version"])
    }
