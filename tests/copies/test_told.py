"""`rotate --json` and `rotate --dry-run` tell of other copies: which files, and what becomes of each; never a value."""

import json
import os
from typing import Any

import pytest

from rotate_my_key.core.model import Credentials
from tests.laptop import Finished, Laptop

COPY = "AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}\n"
REMEMBERED = "odd/place.dat"


def plant(laptop: Laptop, pair: Credentials) -> None:
    """A copy that can change, one that an earlier scan found, a history, and a file with the id alone."""
    for name in (".env", REMEMBERED, ".bash_history"):
        (laptop.home / name).parent.mkdir(exist_ok=True)
        (laptop.home / name).write_text(COPY.format(id=pair.key_id, secret=pair.secret))
    (laptop.home / ".zshrc").write_text(f"# {pair.key_id}\n")
    for name in (".env", REMEMBERED, ".bash_history", ".zshrc"):
        (laptop.home / name).chmod(0o600)
    assert laptop.run("scan", str(laptop.home / "odd"), "-q").code == 0


def told(laptop: Laptop, done: Finished) -> dict[str, str]:
    """What `--json` says of each file, by its path in the home."""
    assert done.code == 0, done.text
    copies: list[dict[str, Any]] = json.loads(done.out)["keys"][0]["copies"]
    assert all(each["means"] and set(each) == {"path", "finding", "means", "owed"} for each in copies)
    return {os.path.relpath(each["path"], laptop.home): each["finding"] for each in copies}


def is_silent(laptop: Laptop, *runs: Finished) -> bool:
    """Whether no secret was shown."""
    return not [secret for secret in laptop.secrets() for done in runs if secret[:12] in done.text]


LEFT = {".bash_history": "shell history", ".zshrc": "id without its secret"}


def test_a_dry_run_names_every_file_and_what_would_become_of_it(laptop: Laptop) -> None:
    """Those that earlier scans found too; nothing changes."""
    plant(laptop, laptop.old)
    before = laptop.files()
    done = laptop.run("rotate", "--dry-run", "--json")
    assert told(laptop, done) == {".env": "copy", REMEMBERED: "copy", **LEFT}
    assert json.loads(done.out)["update_copies"] is False
    asked = laptop.run("rotate", "--dry-run", "--json", "--update-copies")
    assert told(laptop, asked) == told(laptop, done)
    assert json.loads(asked.out)["update_copies"] is True
    assert laptop.files() == before
    assert is_silent(laptop, done, asked)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "  ~/.env and ~/odd/place.dat would be changed with --update-copies, and keep the old key without"),
        (("--update-copies",), "  ~/.env and ~/odd/place.dat would be changed"),
    ],
    ids=["left alone", "updated"],
)
def test_a_dry_run_says_it_in_words(laptop: Laptop, words: tuple[str, ...], line: str) -> None:
    """What would be changed, and each file that would not be, with its reason."""
    plant(laptop, laptop.old)
    done = laptop.run("rotate", "--dry-run", *words)
    assert done.code == 0, done.text
    lines = done.out.splitlines()
    start = lines.index("Other files here hold it too:")
    assert lines[start + 1] == line
    rest = sorted(lines[start + 2 :])
    assert [text.partition(":")[0] for text in rest] == [
        "  ~/.bash_history would be left as it is",
        "  ~/.zshrc would be left as it is",
    ]
    assert is_silent(laptop, done)


def test_a_dry_run_of_a_key_that_is_not_due_looks_for_none(laptop: Laptop) -> None:
    """There is nothing to do, and nothing to say of other files."""
    assert laptop.run("rotate", "--yes", "-q").code == 0
    plant(laptop, laptop.works())
    done = laptop.run("rotate", "--dry-run")
    assert done.out == "Nothing to do.\n"
    assert told(laptop, laptop.run("rotate", "--dry-run", "--json")) == {}


def test_a_rotation_that_changes_them_tells_each(laptop: Laptop) -> None:
    """Changed, or why not."""
    plant(laptop, laptop.old)
    done = laptop.run("rotate", "--yes", "--json", "--update-copies")
    assert told(laptop, done) == {".env": "updated", REMEMBERED: "updated", **LEFT}
    assert json.loads(done.out)["update_copies"] is True
    assert laptop.works().secret in (laptop.home / REMEMBERED).read_text()
    assert is_silent(laptop, done)


def test_a_rotation_that_leaves_them_tells_the_well_known_ones(laptop: Laptop) -> None:
    """What it saw before it began: not more than it reads in two seconds."""
    plant(laptop, laptop.old)
    done = laptop.run("rotate", "--yes", "--json")
    assert told(laptop, done) == {".env": "copy", **LEFT}
    assert json.loads(done.out)["update_copies"] is False
    assert is_silent(laptop, done)


def test_without_a_copy_the_list_is_empty(laptop: Laptop) -> None:
    """And a dry run in words says nothing of files."""
    assert "Other files" not in laptop.run("rotate", "--dry-run").text
    assert told(laptop, laptop.run("rotate", "--yes", "--json")) == {}
