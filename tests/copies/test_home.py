"""A home with some ninety copies: every one is updated or named with its reason, whichever way it is asked for."""

import json
import os
import re
import stat
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rotate_my_key.copies.find import Scanner, well_known
from rotate_my_key.core.model import Credentials
from tests.laptop import Finished, Laptop

from .home import NAMED, UPDATED, WELL_KNOWN, holds, plant


def findings(laptop: Laptop, done: Finished, key_id: str, code: int = 0) -> dict[str, str]:
    """What `scan --json` says of each file, by its path in the home."""
    assert done.code == code, done.text
    keys: list[dict[str, Any]] = json.loads(done.out)["keys"]
    found = next(key["files"] for key in keys if key["key_id"] == key_id)
    return {os.path.relpath(each["path"], laptop.home): each["finding"] for each in found}


def expected(word: str) -> dict[str, str]:
    """What is to be said of the planted files, and of the second name of one."""
    return {**dict.fromkeys(UPDATED, word), **{name: why for name, (_, why) in NAMED.items()}}


def mend(laptop: Laptop, new: Credentials) -> None:
    """A person sees to the files that are owed: gives rights, removes a second name, edits by hand."""
    (laptop.home / "app/locked.env").chmod(0o600)
    for name in ("app/linked-too.txt", "app/secret.txt"):
        (laptop.home / name).unlink()
    for name in ("app/config.toml", "app/windows.ps1", "app/mail.env"):
        (laptop.home / name).write_bytes(NAMED[name][0](new))


OWED = ("unknown spelling", "read-only", "cannot be replaced", "secret without its id")


def check_files(laptop: Laptop, updated: Credentials, left: Credentials) -> None:
    """Those that are changed hold one pair, byte by byte; those that are left alone another; modes are as they were."""
    for name, write in UPDATED.items():
        data = (laptop.home / name).read_bytes()
        assert data == write(updated) and holds(name, data, updated), name
        assert stat.S_IMODE((laptop.home / name).stat().st_mode) == 0o600
    for name, (write, _) in NAMED.items():
        assert (laptop.home / name).read_bytes() == write(left), name
    assert not list(laptop.home.rglob("*.tmp"))


def plain(data: bytes) -> bytes:
    """Without the spellings of slashes and plus signs."""
    slashes = re.sub(rb"\\{1,2}/|&#x2F;|\\u002F", b"/", data)
    return re.sub(rb"\\u002B|\\x2b", b"+", slashes)


def shows_nothing(laptop: Laptop, *done: Finished) -> None:
    """No secret in what was said, nor in what is remembered."""
    memory = laptop.state / "copies.json"
    said = "".join(each.text for each in done) + (memory.read_text() if memory.exists() else "")
    assert not [secret for secret in laptop.secrets() if secret[:12] in said]
    if memory.exists():
        assert stat.S_IMODE(memory.stat().st_mode) == 0o600


def test_scanned_then_rotated(laptop: Laptop) -> None:
    """`scan` says what each file is; a rotation changes all that can be, before the old key is switched off."""
    plant(laptop.home, laptop.old)
    scanned = laptop.run("scan", "--json")
    plain = laptop.run("scan")
    assert {n: w for n, w in findings(laptop, scanned, laptop.old.key_id).items() if w != "profile"} == expected("copy")
    check_files(laptop, laptop.old, laptop.old)
    when: list[bytes] = []
    laptop.at("UpdateAccessKey", 1, lambda call: when.append((laptop.home / ".env").read_bytes()))
    done = laptop.run("rotate", "--yes", "--update-copies")
    new = laptop.works()
    check_files(laptop, new, laptop.old)
    assert done.code == 1 and not when, done.text
    for name, (_, why) in NAMED.items():
        assert f"~/{name} {'is not changed yet' if why in OWED else 'is not changed'}: " in done.err
    assert {key.key_id: key.status for key in laptop.aws.keys("alice")}[laptop.old.key_id] == "Active"
    mend(laptop, new)
    last = laptop.run("rotate", "--yes")
    assert last.code == 0 and when == [UPDATED[".env"](new)], last.text
    assert [key.key_id for key in laptop.aws.keys("alice")] == [laptop.works().key_id]
    again = laptop.run("scan", "--json")
    found = findings(laptop, again, new.key_id)
    changed = {n: w for n, w in found.items() if w != "profile" and NAMED.get(n, ("", ""))[1] != "unknown spelling"}
    assert changed == dict.fromkeys((*UPDATED, "app/locked.env", "app/linked.env"), "copy")
    shows_nothing(laptop, scanned, plain, done, last, again)


def test_updated_while_the_old_pair_is_kept_and_undone(laptop: Laptop) -> None:
    """`scan --update` works until the old key is deleted; `undo` puts these files back as well."""
    plant(laptop.home, laptop.old)
    kept = laptop.run("rotate", "--yes", "--keep-old", "7d")
    new = laptop.works()
    check_files(laptop, laptop.old, laptop.old)
    assert "other files here have it too: " in kept.err
    unasked = laptop.run("scan", "--update")
    assert unasked.code == 4 and "scan --update --yes" in unasked.err
    updated = laptop.run("scan", "--update", "--yes", "--json")
    assert findings(laptop, updated, laptop.old.key_id, 1) == expected("updated")
    check_files(laptop, new, laptop.old)
    undone = laptop.run("undo", "--yes")
    assert undone.code == 0, undone.text
    for name, write in UPDATED.items():
        # A spelling cannot be told from a secret in which it does not occur; plain slashes mean the same there.
        assert plain((laptop.home / name).read_bytes()) == plain(write(laptop.old)), name
    shows_nothing(laptop, kept, unasked, updated, undone)


def test_left_alone_unless_asked_for(laptop: Laptop) -> None:
    """Unattended only by the setting; and then only what is well known or was found by an earlier scan."""
    plant(laptop.home, laptop.old)
    done = laptop.run("rotate", "--yes")
    check_files(laptop, laptop.old, laptop.old)
    assert "other files here have it too: ~/.aws/credentials.bak, ~/.aws/amazonq/mcp.json, " in done.err
    assert not (laptop.state / "copies.json").exists()
    first = laptop.works()
    (laptop.home / ".env").write_bytes(UPDATED[".env"](first))
    laptop.run("rotate", "--yes", "--force", env={"ROTATE_MY_KEY_UPDATE_COPIES": "yes"})
    assert (laptop.home / ".env").read_bytes() == UPDATED[".env"](laptop.works())
    assert (laptop.home / "app/settings.py").read_bytes() == UPDATED["app/settings.py"](laptop.old)


def test_a_rotation_reads_the_places_where_programs_keep_keys(tmp_path: Path) -> None:
    """Also in snaps and flatpaks, where dotfile managers link whole folders, and in the Windows homes that WSL sees."""
    root, home = tmp_path / "root", tmp_path / "home"
    pair = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    plant(home, pair)
    (home / ".config/Code").rename(home / "dotfiles/Code")
    (home / ".config/Code").symlink_to(home / "dotfiles/Code")
    windows = root / "mnt/c/Users/alice/.aws/credentials"
    windows.parent.mkdir(parents=True)
    windows.touch()
    unreadable: list[str] = []
    found = set(well_known(str(home), unreadable, str(root)))
    assert {str(home / name) for name in WELL_KNOWN} | {str(windows)} <= found and not unreadable
    others = [name for name in UPDATED if name not in WELL_KNOWN]
    assert not found & {str(home / name) for name in others} and len(UPDATED) >= 60


def test_a_file_that_others_can_read_is_changed_and_named(laptop: Laptop) -> None:
    """With the mode that it has: the new secret is shown to no more people there than the old one was."""
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o755)
        path = folder / ".env"
        path.write_bytes(UPDATED[".env"](laptop.old))
        path.chmod(0o644)
        found = json.loads(laptop.run("scan", str(folder), "--json").out)["keys"][0]["files"]
        assert {each["path"]: each["finding"] for each in found}[str(path)] == "copy"
        done = laptop.run("rotate", "--yes", "--update-copies")
        assert done.code == 0 and laptop.works().secret in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        assert f"{path}: others on this computer can read it; to prevent that: chmod 600" in done.err
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.mark.parametrize("where", ["environment", "command line"])
def test_processes_are_named_without_a_value(laptop: Laptop, where: str) -> None:
    """Their number and name: they go on with the old key until they are started anew."""
    key = laptop.old
    env = {"PATH": os.environ["PATH"]}
    if where == "environment":
        env |= {"AWS_ACCESS_KEY_ID": key.key_id, "AWS_SECRET_ACCESS_KEY": key.secret}
    argv = ["bash", "-c", "sleep 60 & wait", *([] if where == "environment" else [key.key_id])]
    process = subprocess.Popen(argv, env=env, start_new_session=True)
    try:
        done = laptop.run("scan", "--json")
        found = json.loads(done.out)["keys"][0]["processes"]
        assert {"pid": process.pid, "name": "bash", "where": where} in found
        assert f"process {process.pid} (bash)" in laptop.run("scan").out
        shows_nothing(laptop, done)
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_a_whole_tree_and_what_is_passed_over(laptop: Laptop) -> None:
    """Below a PATH every file is read; what is not is said, links lead nowhere, and what is not there is a problem."""
    root = laptop.home / "work"
    data = UPDATED[".env"](laptop.old)
    for name in ("deep/er/main.go", "node_modules/x/index.js", ".git/objects/aa/bb", ".git/config"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "large.bin").write_bytes(b"\0" * (2 << 20) + data)
    (root / "large.txt").write_bytes(b"x" * (3 << 18) + data + b"y" * (1 << 18))
    (root / "edge.txt").write_bytes(b"x" * ((1 << 18) - 10) + data + b"y" * (1 << 18))
    (root / "pipe").parent.mkdir(exist_ok=True)
    os.mkfifo(root / "pipe")
    outside = laptop.home.parent / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(data)
    (root / "link").symlink_to(outside)
    (root / "filelink").symlink_to(outside / "file")
    done = laptop.run("scan", str(root), "--json")
    value = json.loads(done.out)
    found = {os.path.relpath(each["path"], root) for each in value["keys"][0]["files"]}
    assert found == {"deep/er/main.go", ".git/config", "large.txt", "edge.txt"}
    assert value["skipped"] == {"holds no settings": 2, "a large binary file": 1}
    assert "Skipped 1 (a large binary file: ~/work/large.bin)." in laptop.run("scan", str(root)).err
    missing = laptop.run("scan", str(root / "nowhere"))
    assert missing.code == 1 and "there is no" in missing.err


def test_folders_that_windows_lists_without_their_device_are_entered() -> None:
    """Only asking for the folder itself tells the device there; a junction may lead to another one, or in circles."""
    folder = os.stat("/")
    listed = SimpleNamespace(st_dev=0, st_reparse_tag=0)
    entry: Any = SimpleNamespace(name="root", path="/", stat=lambda follow_symlinks: listed)
    assert Scanner([])._enters(entry, folder.st_dev, telling=False)
    assert not Scanner([])._enters(entry, folder.st_dev + 1, telling=False)
    listed.st_reparse_tag = 0xA0000003
    assert not Scanner([])._enters(entry, folder.st_dev, telling=False)


def test_the_profile_file_by_another_name_is_no_copy(laptop: Laptop) -> None:
    """As on most Macs, where two spellings of a path are one file; here by a second name of it."""
    (laptop.home / "work").mkdir()
    (laptop.home / "work/credentials").hardlink_to(laptop.home / ".aws/credentials")
    done = laptop.run("scan", str(laptop.home / "work"), "--json")
    assert findings(laptop, done, laptop.old.key_id) == {"work/credentials": "profile"}


def test_what_cannot_be_read_is_counted(laptop: Laptop) -> None:
    """And stops nothing."""
    if os.geteuid() == 0:
        pytest.skip("ROOT READS EVERYTHING: unreadable files are NOT tested")
    path = laptop.home / ".env"
    path.write_text("x")
    path.chmod(0)
    done = laptop.run("scan")
    assert done.code == 0 and "1 could not be read (~/.env)" in done.err


def test_a_scan_is_remembered_and_forgets_what_is_gone(laptop: Laptop) -> None:
    """Paths and ids, never values; a file that holds the key no more is forgotten by the next scan."""
    path = laptop.home / "odd" / "place.dat"
    path.parent.mkdir()
    path.write_bytes(UPDATED[".env"](laptop.old))
    laptop.run("scan", str(path.parent))
    kept = json.loads((laptop.state / "copies.json").read_text())
    assert kept == {"version": 1, "paths": {str(path): [laptop.old.key_id]}}
    laptop.run("rotate", "--yes", "--update-copies")
    new = laptop.works()
    assert new.secret in path.read_text()
    assert json.loads((laptop.state / "copies.json").read_text())["paths"] == {str(path): [new.key_id]}
    path.unlink()
    laptop.run("scan")
    assert json.loads((laptop.state / "copies.json").read_text())["paths"] == {}
