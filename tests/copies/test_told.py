"""`rotate --json` and `rotate --dry-run` tell of other copies: which files, and what becomes of each; never a value."""

import json
import os
from typing import Any

from rotate_my_key.core.model import Credentials
from tests.laptop import Finished, Laptop

COPY = "AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}\n"
REMEMBERED = "odd/place.dat"
UPDATE = ("--update-copies",)


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
ASKED = "  ~/.env and ~/odd/place.dat would be changed"


def test_a_dry_run_names_every_file_and_what_would_become_of_it(laptop: Laptop) -> None:
    """In words and in JSON, those that earlier scans found too, each that would not be changed with its reason; nothing
    changes."""
    plant(laptop, laptop.old)
    before = laptop.files()
    for words, line in (((), f"{ASKED} with --update-copies, and keep the old key without"), (UPDATE, ASKED)):
        done = laptop.run("rotate", "--dry-run", "--json", *words)
        assert told(laptop, done) == {".env": "copy", REMEMBERED: "copy", **LEFT}
        assert json.loads(done.out)["update_copies"] is bool(words)
        said = laptop.run("rotate", "--dry-run", *words)
        lines = said.out.splitlines()
        start = lines.index("Other files here have it too:")
        assert lines[start + 1] == line
        rest = {text.partition(":")[0] for text in lines[start + 2 :]}
        assert rest == {f"  ~/{name} would not be changed" for name in LEFT}
        assert is_silent(laptop, done, said)
    assert laptop.files() == before


def test_a_rotation_tells_what_became_of_each(laptop: Laptop) -> None:
    """Left alone, changed, or why not; those that earlier scans found too. A dry run of a key that is not due looks for
    none."""
    plant(laptop, laptop.old)
    done = laptop.run("rotate", "--yes", "--json")
    assert told(laptop, done) == {".env": "copy", REMEMBERED: "copy", **LEFT}
    assert json.loads(done.out)["update_copies"] is False
    plant(laptop, laptop.works())
    changed = laptop.run("rotate", "--yes", "--force", "--json", *UPDATE)
    assert told(laptop, changed) == {".env": "updated", REMEMBERED: "updated", **LEFT}
    assert json.loads(changed.out)["update_copies"] is True
    assert laptop.works().secret in (laptop.home / REMEMBERED).read_text()
    dry = laptop.run("rotate", "--dry-run")
    assert dry.out == "Nothing to do.\n"
    assert is_silent(laptop, done, changed, dry)


def test_without_a_copy_nothing_is_said_or_remembered(laptop: Laptop) -> None:
    """In words, and in JSON an empty list."""
    assert "Other files" not in laptop.run("rotate", "--dry-run").text
    done = laptop.run("rotate", "--yes", "--json")
    assert told(laptop, done) == {} and "other file" not in done.text
    assert not (laptop.state / "copies.json").exists()
    laptop.tidy()
