from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from rotate_my_key import settings
from rotate_my_key.cli.app import App
from rotate_my_key.cli.commands import COMMANDS
from rotate_my_key.core.errors import Problem, WrongUsage
from rotate_my_key.files.paths import Paths
from tests.settings.test_settings import mine as write_mine
from tests.settings.test_settings import paths
from tests.settings.test_settings import theirs as write_theirs

__all__ = ["paths"]


@dataclasses.dataclass
class Home:
    """Where the files of one test are, and its environment."""

    paths: Paths
    env: dict[str, str]


@pytest.fixture
def home(paths: Paths) -> Home:
    """A home without settings, and a site's folder whose trusted owner is whoever runs this test."""
    return Home(paths, env={})


def run(home: Home, *words: str) -> tuple[str, str]:
    """What `config WORDS` prints on stdout and stderr. Raises the Problem that main would show."""
    app = App(home.env)
    app.paths = home.paths
    done = CliRunner().invoke(COMMANDS["config"], words, obj=app, catch_exceptions=False, standalone_mode=False)
    return done.stdout, done.stderr


def mine(home: Home, text: str) -> Path:
    """Write the user's file."""
    write_mine(home.paths, text)
    return Path(home.paths.config_file)


def theirs(home: Home, text: str) -> None:
    """Write the site's file."""
    write_theirs(home.paths, text)


def test_show_says_where_each_value_comes_from(home: Home) -> None:
    """A line a setting, in the table's order: name, value, source; what the site holds is said with who asked."""
    mine(home, "max_age = 80d\n")
    theirs(home, "[enforced]\nmax_age = 60d\n")
    home.env = {"ROTATE_MY_KEY_KEEP_OLD": "12h"}
    out, err = run(home, "show")
    head, *lines = (re.split(r"\s{2,}", line) for line in out.splitlines())
    assert head == ["SETTING", "VALUE", "FROM", "MEANING"]
    rows = {name: [value, source] for name, value, source, _ in lines}
    assert list(rows) == list(settings.TABLE)
    assert rows["max_age"] == [
        "60d",
        f"limited by {home.paths.site_file} line 2; {home.paths.config_file} line 1 has 80d",
    ]
    assert rows["keep_old"] == ["12h", "ROTATE_MY_KEY_KEEP_OLD"]
    assert rows["contact"] == ["-", "built-in"]
    assert err == ""


def test_without_a_command_it_shows(home: Home) -> None:
    """`config` alone is `config show`; what a person should know is told on stderr."""
    home.env = {"ROTATE_MY_KEY_MAX_AGE": "10d"}
    assert run(home) == run(home, "show")
    assert "every key is due at once" in run(home, "show")[1]


def test_show_json(home: Home) -> None:
    """One object with a version: durations as text, switches as booleans, lists as arrays."""
    mine(home, "exclude = a, b\n")
    theirs(home, "[enforced]\nsnooze = no\n")
    shown = json.loads(run(home, "show", "--json")[0])
    assert shown["version"] == 1
    assert shown["notices"] == []
    assert list(shown["settings"]) == list(settings.TABLE)
    source = f"{home.paths.config_file} line 1"
    assert shown["settings"]["exclude"] == {"value": ["a", "b"], "source": source, "asked": "a, b", "ceiling": None}
    ceiling = f"{home.paths.site_file} line 2"
    assert shown["settings"]["snooze"] == {"value": False, "source": "built-in", "asked": "yes", "ceiling": ceiling}
    assert shown["settings"]["max_age"]["value"] == "90d"
    for name, entry in shown["settings"].items():  # of one: the same entry, with its name
        assert json.loads(run(home, "get", name, "--json")[0]) == {"version": 1, "name": name, **entry}


@pytest.mark.parametrize(
    ("name", "shown"), [("max_age", "90d"), ("max-age", "90d"), ("snooze", "yes"), ("contact", "")]
)
def test_get_prints_the_value_alone(home: Home, name: str, shown: str) -> None:
    """What a script can use, as it would be written in the file."""
    assert run(home, "get", name) == (shown + "\n", "")


NEAREST, EITHER = "there is no setting {}; did you mean max_age", "either a value or --unset"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("get max_agee", NEAREST.format("max_agee"), "get max_age"),
        ("set max_agee 1d", NEAREST.format("max_agee"), "set max_age 1d"),
        ("set max-agee 60d", NEAREST.format("max-agee"), "set max_age 60d"),
        ("set max_agee --unset", NEAREST.format("max_agee"), "get max_age"),
        ("set max_age=60d", EITHER, "set max_age 60d"),
        ("set max_age", EITHER, "set max_age VALUE"),
        ("set max_age 1d --unset", EITHER, "set max_age 1d"),
        ("set max_age banana", "max_age: 'banana' is not a duration; write it like 90d", "set max_age 90d"),
    ],
)
def test_wrong_usage(home: Home, words: str, message: str, hint: str) -> None:
    """The message says what is allowed, the hint is the whole command, as it works; nothing is written."""
    with pytest.raises(WrongUsage, match=message) as caught:
        run(home, *words.split())
    assert caught.value.hint == f"rotate-my-key config {hint}"
    assert not os.path.exists(home.paths.config_file)


def test_set_writes_and_keeps_the_rest(home: Home) -> None:
    """One value changes, comments stay, and it counts from then on."""
    file = mine(home, "# mine\n\nsnooze = no # never\n")
    out, err = run(home, "set", "max-age", "60d")
    assert (out, err) == ("", "max_age is now 60d in ~/config/config.ini\n")
    assert file.read_text() == "# mine\n\nsnooze = no # never\nmax_age = 60d\n"
    assert run(home, "get", "max_age")[0] == "60d\n"
    assert run(home, "set", "max_age", "60d")[1] == "max_age is already 60d in ~/config/config.ini\n"


def test_set_makes_the_file(home: Home) -> None:
    """The first setting makes folder and file, private."""
    run(home, "set", "exclude", "legacy,ci")
    file = Path(home.paths.config_file)
    assert file.read_text() == "exclude = legacy, ci\n"
    if os.name == "posix":
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize(
    ("site", "env", "value", "says", "counts"),
    [
        pytest.param("contact = it@a.b\n", {}, "contact=", "contact is now empty", "", id="nothing is a value, too"),
        pytest.param(
            "",
            {"ROTATE_MY_KEY_MAX_AGE": "5d"},
            "max_age=60d",
            "ROTATE_MY_KEY_MAX_AGE is set, and overrides it",
            "5d",
            id="environment",
        ),
        pytest.param("[enforced]\nmax_age = 60d\n", {}, "max_age=30d", "now 30d", "30d", id="below the site's ceiling"),
        pytest.param(
            "",
            {},
            "remind_before=90d",
            "note: remind_before (90d) is not below max_age (90d), so every key is due at once",
            "90d",
            id="what a value comes to that is allowed by itself",
        ),
    ],
)
def test_set_says_what_it_comes_to(
    home: Home, site: str, env: dict[str, str], value: str, says: str, counts: str
) -> None:
    """What goes before it is not passed over, and is what counts."""
    theirs(home, site)
    home.env = env
    name, _, text = value.partition("=")
    assert says in run(home, "set", name, text)[1]
    assert run(home, "get", name)[0] == f"{counts}\n"


def test_set_mends_a_wrong_value(home: Home) -> None:
    """The command that the error's hint names works on that very file."""
    file = mine(home, "max_age = banana\ncolour = red\n")
    with pytest.raises(WrongUsage) as caught:
        run(home, "get", "max_age")
    assert caught.value.hint == "rotate-my-key config set colour --unset" or "max_age" in caught.value.hint
    run(home, "set", "max_age", "90d")
    with pytest.raises(WrongUsage) as caught:
        run(home, "get", "max_age")
    run(home, *caught.value.hint.split()[2:])
    assert run(home, "get", "max_age")[0] == "90d\n"
    assert file.read_text() == "max_age = 90d\n"


@pytest.mark.parametrize(
    ("name", "ceiling", "asked", "says"),
    [
        ("max_age", "60d", "90d", "allows at most 60d"),
        ("remind_before", "20d", "5d", "asks for at least 20d"),
        ("snooze", "no", "yes", "allows only no"),
        ("exclude", "a,", "a,b", "allows only a"),
        ("exclude", ",", "a", "allows only nothing"),
        ("minimum_version", "1.2", "1.1", "asks for at least 1.2"),
        ("keep_old", "12h", "1d", "fixes it at 12h"),
    ],
)
def test_set_refuses_what_the_site_does_not_allow(home: Home, name: str, ceiling: str, asked: str, says: str) -> None:
    """The ceiling, its file and line, and whom to ask are named; nothing is written."""
    theirs(home, f"contact = it@example.com\n[enforced]\n{name} = {ceiling}\n")
    with pytest.raises(Problem) as caught:
        run(home, "set", name, asked)
    assert caught.value.message == f"{name}: your site {says} ({home.paths.site_file} line 3); ask it@example.com"
    assert caught.value.hint == f"rotate-my-key config get {name}"
    assert not os.path.exists(home.paths.config_file)


def test_unset_takes_it_out(home: Home) -> None:
    """The line goes, its comment stays, and what was behind it counts."""
    file = mine(home, "# why\nmax_age = 60d\n")
    assert run(home, "set", "max_age", "--unset")[1] == "max_age is no longer set in ~/config/config.ini\n"
    assert file.read_text() == "# why\n"
    assert run(home, "get", "max_age")[0] == "90d\n"
    assert run(home, "set", "max_age", "--unset")[1] == "max_age was not set in ~/config/config.ini\n"


@pytest.mark.parametrize("line", ["max-age = 1d", "max_agee = 1d", "colour = red"])
def test_the_hint_takes_out_a_wrong_name(home: Home, line: str) -> None:
    """A name that is no setting can be taken out as the error says."""
    file = mine(home, f"snooze = no\n{line}\n")
    with pytest.raises(WrongUsage) as caught:
        run(home, "show")
    run(home, *caught.value.hint.split()[2:])
    assert file.read_text() == "snooze = no\n"


@pytest.mark.parametrize(
    ("user", "site", "states"),
    [
        pytest.param(None, None, ("not there yet", "not there"), id="no files"),
        pytest.param("max_age = 1d\n", "max_age = 1d\n", ("read", "read"), id="two good files"),
        pytest.param("x\n", "y\n", ("wrong: ", "wrong: "), id="two wrong files"),
    ],
)
def test_path_says_where_the_files_are_and_whether_they_are_read(
    home: Home, user: str | None, site: str | None, states: tuple[str, str]
) -> None:
    """Both paths, with what is the matter; this works whatever the files are."""
    if user is not None:
        mine(home, user)
    if site is not None:
        theirs(home, site)
    lines = run(home, "path")[0].splitlines()
    assert all(line.count(str(Path(home.paths.config_file).parent)) <= 1 for line in lines)
    assert lines[0].startswith(f"user  {home.paths.config_file}  ({states[0]}")
    assert lines[1].startswith(f"site  {home.paths.site_file}  ({states[1]}")
    shown = json.loads(run(home, "path", "--json")[0])
    assert shown["version"] == 1
    assert shown["user"]["path"] == home.paths.config_file
    assert shown["user"]["state"].startswith(states[0])
    assert shown["site"]["state"].startswith(states[1])


@pytest.mark.skipif(os.name != "posix", reason="NOT TESTED HERE: owners of POSIX")
def test_path_says_why_the_sites_file_does_not_count(home: Home) -> None:
    """An untrusted file is told with the reason."""
    theirs(home, "max_age = 1d\n")
    home.paths = home.paths._replace(site_owner=os.getuid() + 1)
    assert "ignored: " in run(home, "path")[0].splitlines()[1]
    assert "belongs to uid" in run(home, "show")[1]
