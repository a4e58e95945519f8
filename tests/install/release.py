"""Makes all that a release needs, in dist/ or the folder that is named, and publishes nothing:

    .venv/bin/python -m tests.install.release [FOLDER]

- the wheel and the source package; their README leads to the public address that pyproject.toml names;
- for this system an archive with a Python of its own, for people who have none, and what it is made of (CycloneDX);
- recipes for Homebrew, the AUR and nix; if the archive for Windows lies in the folder, those for scoop and winget, too;
- SHA256SUMS.

It takes what is committed, at the time of that commit unless SOURCE_DATE_EPOCH is set: twice gives the same bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement

from rotate_my_key import __version__
from rotate_my_key.aws.connections import WIDE
from tests.install.machine import REPO, need

NAME = "rotate-my-key"
_SYSTEM = {"linux": "linux", "darwin": "macos", "win32": "windows"}[sys.platform]
_SIGN_IN = ("signin", "sso", "sso-oidc")  # what botocore asks for the profile that --auth-profile names
_START = """
import sys

if sys.argv[1:4] == ["-I", "-m", "rotate_my_key"]:  # the program starts itself so, by what it takes for its Python
    del sys.argv[1:4]
from rotate_my_key.cli.main import main

main()
"""


@dataclass
class Release:
    """What goes into it, and where to."""

    out: Path
    scratch: Path
    epoch: int

    def make(self) -> None:
        """Everything, in an order in which each finds what it needs."""
        os.umask(0o022)
        os.environ.update(SOURCE_DATE_EPOCH=str(self.epoch), PYTHONHASHSEED="0", UV_NO_CONFIG="1")
        self.tree = self.scratch / "tree"
        _run("git", "-C", REPO, "archive", "-o", self.scratch / "tree.tar", "HEAD")
        shutil.unpack_archive(self.scratch / "tree.tar", self.tree)
        self.project: dict[str, Any] = tomllib.loads((self.tree / "pyproject.toml").read_text())["project"]
        self.address: str = self.project["urls"]["Repository"]
        self.packages()
        self.bundle()
        for name, text in self.recipes():
            (self.out / "recipes" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.out / "recipes" / name).write_text(text)
        made = sorted(path for path in self.out.iterdir() if path.is_file() and path.name != "SHA256SUMS")
        (self.out / "SHA256SUMS").write_text("".join(f"{sha256(path)}  {path.name}\n" for path in made))

    def packages(self) -> None:
        """The wheel and the source package."""
        readme = self.tree / "README.md"
        readme.write_text(absolute(readme.read_text(), self.address, f"v{__version__}"))
        _run(need("uv"), "build", "-q", "--build-constraints", "locks/build.txt", "-o", self.out, ".", cwd=self.tree)
        (self.out / ".gitignore").unlink(missing_ok=True)

    def environment(self, name: str, *locks: str) -> Path:
        """A new environment with what the locks name."""
        _run(need("uv"), "venv", "-q", "--python", sys.executable, self.scratch / name)
        python = self.scratch / name / ("Scripts/python.exe" if _SYSTEM == "windows" else "bin/python")
        install = [need("uv"), "pip", "install", "-q", "--python", python]
        files = [word for lock in locks for word in ("-r", self.tree / f"locks/{lock}.txt")]
        _run(*install, "--require-hashes", "--only-binary", ":all:", *files)
        return python

    def bundle(self) -> None:
        """The archive for this system, and what is in it."""
        python, tools = self.environment("own", "runtime", "export"), self.environment("tools", "release")
        (wheel,) = self.out.glob(f"*-{__version__}-*.whl")
        _run(need("uv"), "pip", "install", "-q", "--python", python, "--no-deps", wheel)
        name = f"{NAME}-{__version__}-{_SYSTEM}-{platform.machine().lower()}"
        describe = ["--output-reproducible", "--pyproject", self.tree / "pyproject.toml", "-o"]
        _run(tools, "-m", "cyclonedx_py", "environment", *describe, self.out / f"{name}.cdx.json", python)

        site, others = (
            Path(sysconfig.get_path("purelib", vars={"base": str(each.parents[1])})) for each in (python, tools)
        )
        start = self.scratch / f"{NAME}.py"
        start.write_text(_START)
        command = [tools, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR"]
        command += ["--paths", site, "--collect-data", "rotate_my_key"]
        command += [word for name in ("rotate_my_key", "keyring.backends") for word in ("--collect-submodules", name)]
        foreign = {path.stem for path in others.iterdir()} - {path.stem for path in site.iterdir()}
        command += [word for module in sorted(foreign) for word in ("--exclude-module", module)]
        _run(*command, start, cwd=self.scratch, PYTHONPATH=str(site))

        folder = self.scratch / "dist" / NAME
        for data in folder.glob("_internal/boto*/data/*/"):
            if data.name not in (*WIDE, *_SIGN_IN):
                shutil.rmtree(data)
        for record in folder.glob("_internal/*.dist-info/RECORD"):  # of where it was installed
            record.unlink()
        (folder / "LICENSES.txt").write_text("".join(_licenses(site)))
        shutil.copy(self.tree / "LICENSE", folder)
        if _SYSTEM == "windows":
            shutil.make_archive(str(self.out / name), "zip", folder.parent, NAME)
            return
        with (
            gzip.GzipFile(self.out / f"{name}.tar.gz", "wb", mtime=self.epoch) as packed,
            tarfile.open(fileobj=packed, mode="w") as archive,
        ):
            archive.add(folder, NAME, filter=self.plain)

    def plain(self, member: tarfile.TarInfo) -> tarfile.TarInfo:
        """Nothing of the computer that it was made on."""
        return member.replace(mtime=self.epoch, uid=0, gid=0, uname="", gname="", deep=False)

    def recipes(self) -> Iterator[tuple[str, str]]:
        """The recipes, by the name of their files."""
        (source,) = self.out.glob(f"*-{__version__}.tar.gz")
        about = {
            "version": __version__,
            "about": self.project["description"],
            "license": self.project["license"],
            "home": self.address,
            "url": self.download(source),
            "sha": sha256(source),
        }
        needs = [Requirement(text) for text in self.project["dependencies"]]
        linux = [each.name for each in needs if not each.marker or each.marker.evaluate({"sys_platform": "linux"})]
        yield f"homebrew/{NAME}.rb", _HOMEBREW.format(**about, resources="".join(self.resources()))
        yield "aur/PKGBUILD", _AUR.format(**about, depends=" ".join(f"python-{name}" for name in linux))
        sri = base64.b64encode(bytes.fromhex(about["sha"])).decode()
        yield "nix/package.nix", _NIX.format(**about, sri=sri, depends=" ".join(linux))
        for archive in self.out.glob(f"{NAME}-{__version__}-windows-*.zip"):
            about |= {"url": self.download(archive), "sha": sha256(archive)}
            yield f"scoop/{NAME}.json", json.dumps(_scoop(about), indent=4) + "\n"
            for kind, fields in _winget(about).items():
                both = {"PackageIdentifier": _WINGET_ID, "PackageVersion": __version__} | fields
                both |= {"ManifestType": kind, "ManifestVersion": "1.9.0"}
                suffix = {"version": "", "installer": ".installer", "defaultLocale": ".locale.en-US"}[kind]
                text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in both.items())
                yield f"winget/{_WINGET_ID}{suffix}.yaml", text

    def download(self, file: Path) -> str:
        """Where that file will be, as GitHub has it."""
        return f"{self.address}/releases/download/v{__version__}/{file.name}"

    def resources(self) -> Iterator[str]:
        """The source packages of what the program needs, for Homebrew, which builds them."""
        compile = [need("uv"), "pip", "compile", "-q", "--universal", "--no-deps", "--format", "pylock.toml"]
        found = _run(*compile, "--python-version", "3.13", self.tree / "locks/runtime.txt")
        for package in tomllib.loads(found.decode())["packages"]:
            marker = Marker(package.get("marker", "python_version >= '3'"))
            there = {"python_version": "3.13", "python_full_version": "3.13.0"}
            mac, linux = (marker.evaluate({**there, "sys_platform": system}) for system in ("darwin", "linux"))
            if not (mac or linux) or package["name"] in ("cryptography", "cffi", "pycparser"):  # Homebrew's own
                continue
            source = package["sdist"]
            text = _RESOURCE.format(name=package["name"], url=source["url"], sha=source["hashes"]["sha256"])
            yield text if mac else f"\n  on_linux do{indent(text, '  ')}  end\n"


def absolute(readme: str, address: str, tag: str) -> str:
    """README as an index shows it: links lead to that version at the public address, as GitHub has it."""
    return re.sub(
        r"(!?)(\[[^\]]*\])\((?!https?:|#)([^)]+)\)",
        lambda found: f"{found[1]}{found[2]}({address}/{'raw' if found[1] else 'blob'}/{tag}/{found[3]})",
        readme,
    )


def sha256(file: Path) -> str:
    """Of its bytes, in hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _licenses(site: Path) -> Iterator[str]:
    """Those of Python and of every package in the archive, whole."""
    yield f"===== Python\n\n{(Path(sysconfig.get_path('stdlib')) / 'LICENSE.txt').read_text()}"
    for package in sorted(site.glob("*.dist-info")):
        texts = [path for path in sorted(package.rglob("*")) if re.match("licen[cs]e|copying|notice", path.name, re.I)]
        for text in filter(Path.is_file, texts):
            yield f"\n===== {package.stem}: {text.name}\n\n{text.read_text(errors='replace')}"


def _run(*command: object, cwd: Path | None = None, **env: str) -> bytes:
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=os.environ | env, check=True, stdout=subprocess.PIPE).stdout


_HOMEBREW = """class RotateMyKey < Formula
  include Language::Python::Virtualenv

  desc "{about}"
  homepage "{home}"
  url "{url}"
  sha256 "{sha}"
  license "{license}"

  depends_on "python@3.13"
{resources}
  on_linux do
    depends_on "cryptography"
  end

  def install
    virtualenv_install_with_resources
  end

  test do
    assert_match version.to_s, shell_output("#{{bin}}/rotate-my-key --version")
  end
end
"""
_RESOURCE = """
  resource "{name}" do
    url "{url}"
    sha256 "{sha}"
  end
"""
_AUR = """pkgname=rotate-my-key
pkgver={version}
pkgrel=1
pkgdesc='{about}'
arch=(any)
url='{home}'
license=('{license}')
depends=(python {depends})
makedepends=(python-build python-flit-core python-installer)
source=('{url}')
sha256sums=('{sha}')

build() {{
    cd "rotate_my_key-$pkgver"
    python -m build --wheel --no-isolation
}}

package() {{
    cd "rotate_my_key-$pkgver"
    python -m installer --destdir="$pkgdir" dist/*.whl
}}
"""
_NIX = """{{ lib, fetchurl, python3Packages }}:

python3Packages.buildPythonApplication {{
  pname = "rotate-my-key";
  version = "{version}";
  pyproject = true;

  src = fetchurl {{
    url = "{url}";
    hash = "sha256-{sri}";
  }};

  build-system = [ python3Packages.flit-core ];
  dependencies = with python3Packages; [ {depends} ];
  pythonImportsCheck = [ "rotate_my_key" ];

  meta = {{
    description = "{about}";
    homepage = "{home}";
    license = lib.getLicenseFromSpdxId "{license}";
    mainProgram = "rotate-my-key";
  }};
}}
"""
_WINGET_ID = "RotateMyKey.RotateMyKey"


def _scoop(about: dict[str, str]) -> dict[str, Any]:
    return {
        "version": about["version"],
        "description": about["about"],
        "homepage": about["home"],
        "license": about["license"],
        "architecture": {"64bit": {"url": about["url"], "hash": about["sha"]}},
        "extract_dir": NAME,
        "bin": f"{NAME}.exe",
    }


def _winget(about: dict[str, str]) -> dict[str, dict[str, Any]]:
    file = {"RelativeFilePath": f"{NAME}\\{NAME}.exe", "PortableCommandAlias": NAME}
    return {
        "version": {"DefaultLocale": "en-US"},
        "installer": {
            "InstallerType": "zip",
            "NestedInstallerType": "portable",
            "NestedInstallerFiles": [file],
            "ArchiveBinariesDependOnPath": True,
            "Installers": [
                {"Architecture": "x64", "InstallerUrl": about["url"], "InstallerSha256": about["sha"].upper()}
            ],
        },
        "defaultLocale": {
            "PackageLocale": "en-US",
            "Publisher": NAME,
            "PackageName": NAME,
            "PackageUrl": about["home"],
            "License": about["license"],
            "ShortDescription": about["about"],
        },
    }


def main() -> None:
    """Make it, and say what there is and what it lacks."""
    out = Path(sys.argv[1] if sys.argv[1:] else "dist").absolute()
    out.mkdir(parents=True, exist_ok=True)
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or _run("git", "-C", REPO, "log", "-1", "--format=%ct")
    with tempfile.TemporaryDirectory() as scratch:
        release = Release(out, Path(scratch), int(epoch))
        release.make()
    print((out / "SHA256SUMS").read_text(), end="")
    if not list(out.glob("*-windows-*.zip")):
        print("no archive for Windows in it, so no recipes for scoop and winget: make that one on Windows first")
    if release.address.endswith(".invalid"):
        print("not to be published yet: pyproject.toml names no public address ([project.urls])")


if __name__ == "__main__":
    main()
