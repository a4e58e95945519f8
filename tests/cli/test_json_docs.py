"""docs/json.md and docs/how-it-works.md, compared with what the program gives and leaves on the disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.core.model import Credentials
from tests.cli.conftest import Desk

DOCS = Path(__file__).resolve().parents[2] / "docs"
MakeKey = Callable[..., Credentials]
TYPES: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "yes/no": lambda value: isinstance(value, bool),
    "time": lambda value: isinstance(value, str) and datetime.fromisoformat(value).utcoffset() is not None,
    "list": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "any": lambda value: True,
}


def documented(heading: str) -> dict[str, str]:
    """The fields under a heading, with their types."""
    text = (DOCS / "json.md").read_text()
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([\w.\[\]]+)` \| ([\w/]+\??) \|", section, re.MULTILINE))


def fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a JSON value by its path; settings are all called NAME."""
    if isinstance(value, dict):
        for name, inner in value.items():
            name = "NAME" if path == "settings" else name
            here = f"{path}.{name}" if path else name
            if here != "settings.NAME" and here not in ("problem", "key", "user", "site", "settings"):
                yield here, inner
            yield from fields(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, f"{path}[]")


def compare(heading: str, *values: Any) -> None:
    """Exactly the documented fields occur, each of its type; only those that may be null are."""
    expected = documented(heading)
    found: dict[str, list[Any]] = {}
    for value in values:
        for path, inner in fields(value):
            found.setdefault(path, []).append(inner)
    assert sorted(found) == sorted(expected)
    for path, seen in found.items():
        kind = expected[path]
        for value in seen:
            if not (value is None and kind.endswith("?")):
                assert TYPES[kind.removesuffix("?")](value), f"{path} is {value!r}, not {kind}"
    assert {value["version"] for value in values} == {1}


def test_rotate(desk: Desk, make_key: MakeKey) -> None:
    """A rotation, a dry run, a kept key, a problem beside them, another file that holds a key."""
    (desk.home / ".env").write_text(desk.credentials.read_text())
    desk.profiles(fresh=make_key("carol", days=3), wrong=Credentials(make_key("mallory").key_id, "x" * 40))
    desk.profiles(exempt=make_key("eve", rotate_my_key="exempt"))
    compare(
        "`rotate --json`",
        desk.run("rotate", "--all", "--dry-run", "--json").json,
        desk.run("rotate", "--all", "--yes", "--json").json,
        desk.run("rotate", "--force", "--yes", "--keep-old", "7d", "--json").json,
        desk.run("rotate", "--json").json,
    )


def test_a_whole_failure(desk: Desk) -> None:
    """Where there is nothing to report on."""
    done = desk.run("rotate", "-p", "nobody", "--json")
    compare("When a command fails as a whole", done.json)
    assert done.json["problem"]["code"] == done.code


def test_status(desk: Desk, make_key: MakeKey) -> None:
    """Rows of all kinds have the same fields, live and cached."""
    desk.profiles(wrong=Credentials(make_key("mallory").key_id, "x" * 40), due=make_key("bob", days=80))
    desk.add("[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = work\n", desk.config)
    desk.run("rotate", "--yes", "--keep-old", "7d")
    values = [
        desk.run("status", "--json").json,
        desk.run("status", "--cached", "--json").json,
        desk.run("status", "--json", AWS_ENDPOINT_URL="http://127.0.0.1:9").json,
    ]
    compare("`status --json`", *values)
    names = {name.partition("[].")[2].partition(".")[0].partition("[")[0] for name in documented("`status --json`")} - {
        ""
    }
    assert all(set(key) == names for value in values for key in value["keys"])


def test_history_and_delete_key(desk: Desk, make_key: MakeKey) -> None:
    """Rotations and retired keys, and what was done to one."""
    second = make_key(days=300).key_id
    for _ in range(2):
        compare("`delete-key --json`", desk.run("delete-key", second, "--yes", "--json").json)
    desk.run("rotate", "--yes")
    compare("`history --json`", desk.run("history", "--json").json)


@pytest.mark.parametrize("words", ["show", "get max_age", "get exclude", "path"])
def test_config(desk: Desk, words: str) -> None:
    """The settings, one of them, the paths."""
    desk.settings("max_age = 60d\n")
    heading = f"`config {words.split()[0]}{' NAME' if ' ' in words else ''} --json`"
    compare(heading, desk.run("config", *words.split(), "--json").json)


def test_what_is_stored(desk: Desk, old: Credentials) -> None:
    """While a rotation is unfinished the state folder holds what the table says, and secrets only where it says so."""
    text = (DOCS / "how-it-works.md").read_text().partition("## What is stored")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")
    ]
    secret = {row[0].strip("`").replace("KEYID", old.key_id): "yes" in row[2] for row in rows}
    desk.run("status")
    desk.run("rotate", "--force", "--yes")
    secret = {name.replace(old.key_id, desk.held()): kept for name, kept in secret.items()}
    desk.run("rotate", "--force", "--yes", "--keep-old", "7d")
    pairs = [desk.aws.pair(key_id).secret.encode() for key_id in desk.ids()]
    there = {
        n.partition("rotate-my-key/")[2]: f for n, f in desk.snapshot().items() if ".local/state/rotate-my-key" in n
    }
    assert secret.keys() <= there.keys()
    assert {name for name in there if name.startswith("rotations/")} <= secret.keys()
    for name, (data, mode) in there.items():
        assert any(pair in data for pair in pairs) is secret.get(name, False), name
        assert mode & 0o777 == 0o600
