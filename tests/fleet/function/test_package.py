"""The zip for Lambda: what is in it, that it is the same each time, and that it runs where it was not made."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rotate_my_key.core.errors import Problem
from rotate_my_key.fleet import deploy as package
from rotate_my_key.fleet.deploy import Package, build
from tests.cli.conftest import Desk
from tests.fleet.function.conftest import SITE, Lambda

LAMBDA = {
    "sys_platform": "linux",
    "platform_system": "Linux",
    "python_version": "3.13",
    "os_name": "posix",
    "extra": "",
}


@pytest.fixture(scope="module")
def usual() -> Package:
    """Without any option."""
    return build("1.2.3")


@pytest.fixture(scope="module")
def full() -> Package:
    """With everything."""
    return build("1.2.3", apprise=True, botocore=True)


def archive(made: Package) -> zipfile.ZipFile:
    """To look into."""
    return zipfile.ZipFile(io.BytesIO(made.data))


def test_the_same_twice_is_the_same_bytes(usual: Package, full: Package) -> None:
    """Whoever builds it again can compare; a new name in the bucket means new content. All rows have one time and one
    mode, readable by everybody as Lambda wants it, in the order of their names."""
    again = build("1.2.3")
    assert again.data == usual.data
    assert again.sha256 == hashlib.sha256(usual.data).hexdigest()
    assert again.name == f"rotate-my-key-fleet-{again.sha256[:12]}.zip"
    rows = archive(full).infolist()
    how = ((1980, 1, 1, 0, 0, 0), 0o100644 << 16, 3)
    assert {(row.date_time, row.external_attr, row.create_system) for row in rows} == {how}
    names = [row.filename for row in rows]
    assert names == sorted(set(names))


def test_nothing_is_compiled_or_from_this_computer(full: Package) -> None:
    """One zip does for arm64 and x86_64 and for every Python; where it was installed is not in it. Whoever passes a
    library on passes on its licence."""
    names = archive(full).namelist()
    assert not [name for name in names if name.endswith((".so", ".pyd", ".dylib", ".pyc")) or "__pycache__" in name]
    assert not [name for name in names if name.startswith("/") or ".." in name.split("/")]
    assert not [name for name in names if name.endswith(("direct_url.json", "RECORD", "INSTALLER"))]
    for part in full.parts[1:]:
        folder = part.split()[0].lower().replace("-", "_")
        assert [name for name in names if name.lower().startswith(f"{folder}-") and "licen" in name.lower()], part


def test_what_the_handler_never_imports_is_left_out(usual: Package) -> None:
    """Neither the command line nor what runs on laptops goes to Lambda."""
    rooms = {name.split("/")[1] for name in archive(usual).namelist() if name.startswith("rotate_my_key/")}
    assert not rooms & package._OTHER_ROOMS


def needed(name: str) -> Iterator[str]:
    """A library and all it needs in Lambda, by their metadata."""
    yield name
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(LAMBDA):
            yield from needed(requirement.name.lower().replace("_", "-"))


@pytest.mark.parametrize("name", ["apprise", "boto3", "jinja2"])
def test_libraries_come_with_all_they_need(name: str) -> None:
    """What is packed with a library is what its metadata say that it needs in Lambda."""
    assert set(package._needed([name])) == set(needed(name))


def test_botocore_knows_the_services_that_are_called_and_no_other(full: Package) -> None:
    """Of the 400 services of botocore some ten are in it, all that the adapters know."""
    from rotate_my_key.aws.connections import WIDE

    data = {name.split("/")[2] for name in archive(full).namelist() if name.startswith("botocore/data/")}
    services = {name for name in data if "." not in name}
    assert services == set(WIDE)
    assert {"endpoints.json", "partitions.json", "_retry.json"} <= data


def test_files_of_its_own_lie_in_files(tmp_path: Path) -> None:
    """A mapping and a folder of templates; hidden files stay here."""
    (tmp_path / "owners.csv").write_text("alice,alice@example.com\n")
    (tmp_path / "mails" / "de").mkdir(parents=True)
    (tmp_path / "mails" / "owner.txt.j2").write_text("Hello")
    (tmp_path / "mails" / "de" / "owner.txt.j2").write_text("Hallo")
    (tmp_path / "mails" / ".git").mkdir()
    (tmp_path / "mails" / ".git" / "config").write_text("secret")
    (tmp_path / "mails" / ".env").write_text("secret")
    made = build("1", include=[str(tmp_path / "owners.csv"), f"{tmp_path}/mails/"])
    names = [name for name in archive(made).namelist() if name.startswith("files/")]
    assert names == ["files/mails/de/owner.txt.j2", "files/mails/owner.txt.j2", "files/owners.csv"]
    assert archive(made).read("files/mails/de/owner.txt.j2") == b"Hallo"


def test_what_is_not_there_or_too_large_cannot_be_included(tmp_path: Path) -> None:
    """It is named, before it is uploaded in vain."""
    with (tmp_path / "big").open("wb") as file:
        file.truncate(package.UNPACKED + 1)
    for name, said in (("nowhere", r"no file or folder .*/nowhere"), ("big", "Lambda allows 250 MB")):
        with pytest.raises(Problem, match=said):
            build("1", include=[str(tmp_path / name)])


# The command


def test_the_command_says_what_it_made_and_what_comes_next(desk: Desk) -> None:
    """Path, size and sum on stdout; the commands that deploy it name the bucket's key. As JSON too."""
    out = desk.home / "fleet.zip"
    done = desk.run("fleet", "package", "--out", str(out))
    assert done.code == 0, done.text
    data = out.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    key = f"rotate-my-key-fleet-{digest[:12]}.zip"
    assert done.out.startswith(f"{out}  {len(data)} bytes (")
    assert digest in done.out
    assert f"aws s3 cp {out} s3://BUCKET/{key}" in done.err
    assert f"CodeKey={key}" in done.err
    assert not list(desk.home.glob("*.new"))
    done = desk.run("fleet", "package", "--out", str(out), "--json")
    assert (done.code, done.err) == (0, "")
    found = {name: done.json[name] for name in ("path", "size", "sha256", "key")}
    assert found == {"path": str(out), "size": len(data), "sha256": digest, "key": key}
    assert done.json["unpacked"] > len(data)
    assert done.json["parts"][0].startswith("rotate_my_key ")


def test_an_earlier_zip_stays_if_the_new_one_cannot_be_written(desk: Desk) -> None:
    """One line names the path; what is there is as it was."""
    (desk.home / "fleet.zip.new").mkdir()
    (desk.home / "fleet.zip").write_text("the earlier one")
    done = desk.run("fleet", "package", "--out", str(desk.home / "fleet.zip"))
    assert done.code == 1
    assert done.problem()[0] == f"{desk.home}/fleet.zip cannot be written: is a directory"
    assert (desk.home / "fleet.zip").read_text() == "the earlier one"


@pytest.mark.slow
def test_without_apprise_the_hint_says_how_to_get_it(tmp_path: Path) -> None:
    """One line and the command; no zip is left."""
    for path in SITE.iterdir():
        if not path.name.startswith("apprise"):
            (tmp_path / path.name).symlink_to(path)
    root, out = Path(package.__file__).parents[2], str(tmp_path / "x.zip")
    done = subprocess.run(
        [*(sys.executable, "-S", "-m", "rotate_my_key"), *("fleet", "package", "--apprise", "--out", out)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{root}:{tmp_path}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    error, hint = done.stderr.splitlines()
    assert error == "error: apprise is not installed here, so it cannot be added to the zip"
    assert hint == f"hint: {sys.executable} -m pip install apprise"
    assert not (tmp_path / "x.zip").exists()


# Where it was not made


@pytest.mark.slow
@pytest.mark.parametrize("apprise", [False, True], ids=["usual", "with apprise"])
def test_the_zip_has_all_it_imports(make_function: Callable[..., Lambda], apprise: bool) -> None:
    """Every module of ours in it can be imported with nothing but the zip and Lambda's own libraries, and so can
    apprise with its plugins: compiled parts are not needed."""
    function = make_function(apprise=apprise)
    code = (
        "import sys, json, importlib, pkgutil; sys.path[:0] = json.loads(sys.argv[1]); import rotate_my_key\n"
        "names = [m.name for m in pkgutil.walk_packages(rotate_my_key.__path__, 'rotate_my_key.')]\n"
        "names = [name for name in names if name.split('.')[1] in ('fleet', 'aws', 'settings', 'policies')]\n"
        "names = [n for n in names if 'notify' not in n or sys.argv[2] == 'True']\n"
        "for name in names: importlib.import_module(name)\n"
        "if sys.argv[2] == 'True':\n"
        "    import apprise, yaml, charset_normalizer; print(len(apprise.Apprise().details()['schemas']))\n"
        "print(len(names))"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-I", "-S", "-c", code),
            json.dumps([str(function.task), str(function.runtime)]),
            str(apprise),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    *schemas, count = map(int, done.stdout.split())
    assert count > 30
    assert not apprise or schemas[0] > 90
