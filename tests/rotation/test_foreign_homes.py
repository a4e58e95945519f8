"""root with another person's HOME (sudo without -H, containers): nothing of root's is left among their files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.files.test_private import needs_root
from tests.laptop import Laptop, sampled

from .test_hard_places import NOBODY, refused

pytestmark = needs_root

WRITING = {
    "rotate": "rotate --force --yes",
    "undo": "undo --yes",
    "adopt": "adopt KEYS --profile new --yes",
    "export": "export --recipient age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p --output HOME/sealed",
    "keyring store": "keyring store -p default",
    "import": "import KEYS",
    "schedule run": "schedule run rotate --all --yes",
    "delete-key": "delete-key AKIAOTHERSOMEBODY000 --yes",
    "config set": "config set max_age 80d",
    "config set --unset": "config set max_age --unset",
    "reminder install": "reminder install --shell bash",
    "reminder uninstall": "reminder uninstall",
    "reminder snooze": "reminder snooze 1d",
    "schedule install": "schedule install --yes",
    "schedule uninstall": "schedule uninstall",
}


def given_away(folder: Path, uid: int = NOBODY) -> None:
    """All of it belongs to somebody else."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


def of_root(folder: Path) -> list[str]:
    """What is root's in there."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.lstat().st_uid == 0]


@pytest.mark.parametrize("command", WRITING.values(), ids=WRITING.keys())
@pytest.mark.parametrize("state", sampled(["without a state", "with a state"], "without a state"))
def test_what_writes_is_refused(laptop: Laptop, command: str, state: str) -> None:
    """Before anything is changed, whether they have used the program or not."""
    (laptop.home / ".bashrc").write_text("mine\n")
    if state == "with a state":
        laptop.state.mkdir(parents=True, mode=0o700)
    given_away(laptop.home)
    keys = laptop.home.parent / "keys.csv"
    new = laptop.aws.add_key("alice")
    keys.write_text(f"Access key ID,Secret access key\n{new.key_id},{new.secret}\n")
    words = [word.replace("HOME", str(laptop.home)).replace("KEYS", str(keys)) for word in command.split()]
    refused(laptop, *words, said="belongs to another user")
    assert of_root(laptop.home) == []


@pytest.mark.parametrize("command", ["status", "status --cached", "history", "doctor", "config show", "schedule show"])
def test_what_reads_leaves_nothing(laptop: Laptop, command: str) -> None:
    """It answers, and keeps nothing there."""
    given_away(laptop.home)
    done = laptop.run(*command.split())
    assert done.code == (1 if command == "doctor" else 0), done.text
    assert of_root(laptop.home) == []


def test_a_container_with_a_mounted_aws_folder(laptop: Laptop) -> None:
    """root's own HOME, `~/.aws` of the host's user: it rotates, and the file stays theirs."""
    folder = laptop.file.parent
    given_away(folder, 1000)
    laptop.settled()
    assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {1000}
    undone = laptop.run("rotate", "--force", "--yes", "--keep-old", "1d")
    assert undone.code == 0, undone.text
    assert laptop.run("undo", "--yes").code == 0
    assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {1000}


def test_a_first_key_in_a_mounted_folder(laptop: Laptop) -> None:
    """A new file there would be root's, and keep its owner from his keys: refused before the key is replaced."""
    keys = laptop.home.parent / "keys.csv"
    keys.write_text(f"Access key ID,Secret access key\n{laptop.old.key_id},{laptop.old.secret}\n")
    laptop.file.unlink()
    given_away(laptop.file.parent, 1000)
    before = laptop.aws.keys("alice")
    done = laptop.run("adopt", str(keys), "--yes")
    assert (done.code, "belongs to another user" in done.err) == (1, True), done.text
    assert laptop.aws.keys("alice") == before
    assert list(laptop.file.parent.iterdir()) == []
