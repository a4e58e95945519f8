"""docs/recipes.md, done: its settings and scripts as they stand, with programs that note what they are given."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rotate_my_key.core.model import Credentials
from tests.laptop import Finished, Laptop, new_laptop
from tests.standin import StandIn

from .conftest import script, settings

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
PROGRAMS = ("gh", "op", "pass", "docker", "curl", "kubectl", "systemctl")
FAKE = """\
#!/bin/sh
name=${0##*/}
printf '%s\\n' "$*" >>"$HOME/seen/$name.argv"
if [ "$name $1 $2" = "op item get" ]; then
    cat "$HOME/item.json"
    exit
fi
cat >>"$HOME/seen/$name.stdin"
"""
ITEM = {
    "id": "x",
    "title": "AWS work",
    "fields": [
        {"id": "username", "label": "access key id", "value": "AKIAOLD"},
        {"id": "password", "label": "secret access key", "value": "old"},
        {"id": "notes", "label": "notes", "value": "mine"},
    ],
}

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="NO JQ HERE: the recipes are NOT tested")


@dataclass
class Seen:
    """What the programs got."""

    home: Path
    done: Finished
    old: str
    new: Credentials

    def argv(self, name: str) -> list[str]:
        """The arguments of each call of a program."""
        return (self.home / "seen" / f"{name}.argv").read_text().splitlines()

    def stdin(self, name: str) -> str:
        """All that it read."""
        return (self.home / "seen" / f"{name}.stdin").read_text()


def blocks(kind: str) -> list[str]:
    """The code blocks of the page of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """One rotation with all recipes of the page."""
    with StandIn() as aws:
        laptop = new_laptop(tmp_path_factory.mktemp("recipes") / "home", aws)
        yield rotated(laptop)


def rotated(laptop: Laptop) -> Seen:
    """Set everything up as the page says, and rotate."""
    home = laptop.home
    file = settings(laptop, "max_age = 90d\n" + "\n".join(blocks("ini")))
    for text in blocks("sh"):
        named = re.match(r"#!/bin/sh\n# ~/\.config/rotate-my-key/(\w+)\n", text)
        assert named, text
        script(file.parent, named[1], text)
    for name in PROGRAMS:
        script(home / "bin", name, FAKE)
    (home / "seen").mkdir()
    (home / "item.json").write_text(json.dumps(ITEM, indent=2))
    (home / "shop").mkdir()
    (home / "shop" / ".env").write_text("A=1\nAWS_ACCESS_KEY_ID=AKIAOLD\nAWS_SECRET_ACCESS_KEY=old\nB=2\n")
    laptop.env["PATH"] = f"{home / 'bin'}:{laptop.environment()['PATH']}"
    done = laptop.run("rotate", "--yes", "--json")
    return Seen(home, done, laptop.old.key_id, laptop.pair())


def test_all_of_them_run(seen: Seen) -> None:
    """Every command of the page ends well."""
    assert seen.done.code == 0, seen.done.text
    ran = [each["name"] for each in json.loads(seen.done.out)["after_rotate"]]
    assert ran == re.findall(r"^\[\[(\w+)\]\]$", PAGE, re.MULTILINE)
    assert json.loads((seen.home / "rotated.json").read_text())["new_key_id"] == seen.new.key_id


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_secret_is_an_argument(seen: Seen, program: str) -> None:
    """Everybody on a computer can see those."""
    assert seen.argv(program)
    assert seen.new.secret not in "\n".join(seen.argv(program))
    assert seen.new.secret not in seen.done.text


def test_github(seen: Seen) -> None:
    """Two secrets in one call, as a dotenv file."""
    assert seen.argv("gh") == ["secret set --env-file - --repo example/shop"]
    assert seen.stdin("gh") == f"AWS_ACCESS_KEY_ID={seen.new.key_id}\nAWS_SECRET_ACCESS_KEY={seen.new.secret}\n"


def test_1password(seen: Seen) -> None:
    """Two fields of the item, and nothing else of it."""
    assert [call.split()[1] for call in seen.argv("op")] == ["get", "edit"]
    edited = json.loads(seen.stdin("op"))
    assert [field["value"] for field in edited["fields"]] == [seen.new.key_id, seen.new.secret, "mine"]
    assert (edited["id"], edited["title"]) == ("x", "AWS work")


def test_pass(seen: Seen) -> None:
    """The secret is the first line."""
    assert seen.argv("pass") == ["insert --multiline --force aws/work"]
    assert seen.stdin("pass") == f"{seen.new.secret}\nid: {seen.new.key_id}\n"


def test_compose(seen: Seen) -> None:
    """Two lines of .env, which becomes private; then the containers."""
    file = seen.home / "shop" / ".env"
    pair = f"AWS_ACCESS_KEY_ID={seen.new.key_id}\nAWS_SECRET_ACCESS_KEY={seen.new.secret}\n"
    assert file.read_text() == f"A=1\nB=2\n{pair}"
    assert file.stat().st_mode & 0o777 == 0o600
    assert seen.argv("docker") == [f"compose --project-directory {seen.home}/shop up --detach"]


def test_terraform(seen: Seen) -> None:
    """A PATCH for each variable; the token comes from a file."""
    decoder, text, bodies = json.JSONDecoder(), seen.stdin("curl").strip(), []
    while text:
        body, end = decoder.raw_decode(text)
        bodies.append(body["data"])
        text = text[end:].strip()
    assert [(body["id"], body["attributes"]) for body in bodies] == [
        ("var-EXAMPLEID", {"value": seen.new.key_id, "sensitive": False}),
        ("var-EXAMPLESECRET", {"value": seen.new.secret, "sensitive": True}),
    ]
    assert all("--request PATCH --data @-" in call and "Bearer" not in call for call in seen.argv("curl"))


def test_kubernetes(seen: Seen) -> None:
    """A manifest on stdin, applied by the server; then a restart."""
    manifest = json.loads(seen.stdin("kubectl"))
    assert manifest["stringData"] == {"AWS_ACCESS_KEY_ID": seen.new.key_id, "AWS_SECRET_ACCESS_KEY": seen.new.secret}
    assert manifest["kind"] == "Secret"
    assert [call.split()[0] for call in seen.argv("kubectl")] == ["apply", "--namespace"]


def test_restart(seen: Seen) -> None:
    """Without a script, and without the secret."""
    assert seen.argv("systemctl") == ["--user restart shop.service"]
    given = json.loads(seen.stdin("systemctl"))
    assert (given["old_key_id"], "secret" in given) == (seen.old, False)
