from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from configobj import ConfigObj
from configobj.validate import Validator
from hypothesis import given
from hypothesis import strategies as st

from rotate_my_key import settings
from rotate_my_key.core.errors import Problem, WrongUsage
from rotate_my_key.core.policy import Policy
from rotate_my_key.files.paths import Paths
from rotate_my_key.settings import ini, table, trust

POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="NOT TESTED HERE: owners and modes of POSIX")


def days(count: float) -> timedelta:
    """So many days."""
    return timedelta(days=count)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A home without settings, and a site's folder whose trusted owner is whoever runs this test."""
    home = Path(os.path.realpath(tmp_path))
    (home / "etc").mkdir(mode=0o755)
    return Paths(
        home=str(home),
        config_file=str(home / "config" / "config.ini"),
        site_file=str(home / "etc" / "config.ini"),
        state_dir=str(home / "state"),
        credentials="",
        config="",
        site_owner=os.getuid(),
        site_top=str(home),
    )


def mine(paths: Paths, text: str) -> None:
    """Write the user's file."""
    Path(paths.config_file).parent.mkdir(exist_ok=True)
    Path(paths.config_file).write_bytes(text.encode())


def theirs(paths: Paths, text: str) -> None:
    """Write the site's file."""
    Path(paths.site_file).write_bytes(text.encode())
    os.chmod(paths.site_file, 0o644)


# Built-in


def test_built_in_settings(paths: Paths) -> None:
    """Without files, variables and flags every setting has its built-in value."""
    loaded = settings.load(paths, {})
    assert {name: getattr(loaded, name) for name in settings.TABLE} == {
        "max_age": days(90),
        "remind_before": days(15),
        "overlap": days(0),
        "overlap_most": days(14),
        "keep_old": days(0),
        "replace_inactive": False,
        "propagation_timeout": timedelta(minutes=2),
        "proof_interval": timedelta(seconds=1),
        "mfa_serial": "",
        "auth_profile": "",
        "exclude": (),
        "update_copies": False,
        "snooze": True,
        "contact": "",
        "minimum_version": "",
        "cache_max_age": days(7),
        "keyring_backend": "system",
    }
    assert {origin.source for origin in loaded.origin.values()} == {"built-in"}
    assert loaded.notices == ()
    assert loaded.policy == Policy(days(90), days(15))


def test_settings_have_a_field_for_each_row() -> None:
    """Table and fields name the same settings in the same order."""
    fields = list(settings.Settings._fields)
    assert fields == [*settings.TABLE, "origin", "notices"]


@pytest.mark.parametrize("name", settings.TABLE)
def test_built_ins_and_examples_can_be_read(name: str) -> None:
    """What the table says is itself allowed, and is written as it is read."""
    row = settings.TABLE[name]
    assert settings.write(row.read(row.builtin)) == row.builtin
    assert row.read(row.example) is not None


@pytest.mark.parametrize(
    ("file", "loads"),
    [pytest.param(None, "[]", id="no file"), pytest.param("max_age = 1d\n", "['configobj']", id="a file")],
)
def test_a_start_imports_no_more_than_it_needs(paths: Paths, file: str | None, loads: str) -> None:
    """ConfigObj is loaded only for a file, its own validate module and other slow ones never."""
    if file:
        mine(paths, file)
    code = (
        "import sys; from rotate_my_key import settings; from rotate_my_key.files.paths import Paths;"
        f"settings.load({paths!r}, {{}});"
        "slow = ('configobj', 'configobj.validate', 'pathlib', 'tempfile', 'difflib');"
        "ours = ('rotate_my_key.files.write', 'rotate_my_key.files.platform', 'rotate_my_key.core.model');"
        "print([m for m in slow + ours if m in sys.modules])"
    )
    env = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-S", "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == loads, done.stderr


# What comes before what


@pytest.mark.parametrize(
    ("given", "max_age", "source"),
    [
        pytest.param("flag env user site", 1, "flag --max-age", id="a flag goes before all"),
        pytest.param("env user site", 2, "ROTATE_MY_KEY_MAX_AGE", id="then the environment"),
        pytest.param("user site", 3, "{config_file} line 2", id="then the user's file"),
        pytest.param("site", 4, "{site_file} line 3", id="then the site's file"),
        pytest.param("", 90, "built-in", id="then what is built in"),
    ],
)
def test_precedence(paths: Paths, given: str, max_age: int, source: str) -> None:
    """Flags over environment over the user's file over the site's over built-in, and each value knows its source."""
    if "user" in given:
        mine(paths, "# mine\nmax_age = 3d\n")
    if "site" in given:
        theirs(paths, "# ours\n\nmax_age = 4d  # days\n")
    env = {"ROTATE_MY_KEY_MAX_AGE": "2d"} if "env" in given else {}
    loaded = settings.load(paths, env, {"max_age": "1d"} if "flag" in given else {"max_age": None})
    assert loaded.max_age == days(max_age)
    where = source.format(config_file=paths.config_file, site_file=paths.site_file)
    assert loaded.origin["max_age"] == settings.ValueOrigin(f"{max_age}d", where, f"{max_age}d")


def test_an_empty_variable_counts_as_unset(paths: Paths) -> None:
    """A variable set to nothing says nothing."""
    assert settings.load(paths, {"ROTATE_MY_KEY_CONTACT": ""}).origin["contact"].source == "built-in"


def test_an_empty_value_in_the_users_file_goes_before_the_sites(paths: Paths) -> None:
    """Somebody who wants no MFA serial can say so."""
    theirs(paths, "auth_profile = sso\nexclude = a, b\n")
    mine(paths, "auth_profile =\nexclude = ,\n")
    loaded = settings.load(paths, {})
    assert (loaded.auth_profile, loaded.exclude) == ("", ())


def test_flags_may_hold_values_of_their_kind(paths: Paths) -> None:
    """A switch, a duration or a list need not be text."""
    loaded = settings.load(paths, {}, {"update_copies": True, "keep_old": timedelta(hours=12), "exclude": ["a", "b"]})
    assert (loaded.update_copies, loaded.keep_old, loaded.exclude) == (True, timedelta(hours=12), ("a", "b"))


# Reading values


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        pytest.param("max_age", "12h", timedelta(hours=12), id="a duration"),
        pytest.param("keep_old", "0", days(0), id="no duration"),
        pytest.param("max_age", "36500d", days(36500), id="the longest duration"),
        pytest.param("snooze", "No", False, id="a word for no"),
        pytest.param("snooze", "on", True, id="a word for yes"),
        pytest.param("exclude", "a, b,,a", ("a", "b"), id="names, each once"),
        pytest.param("exclude", "", (), id="no names"),
        pytest.param("contact", "Ann, ext. 5", "Ann, ext. 5", id="text with a comma"),
        pytest.param("contact", "100% #1 'x' \"y\" $z", "100% #1 'x' \"y\" $z", id="text with signs"),
        pytest.param("minimum_version", "1.10", "1.10", id="a version"),
        pytest.param("contact", "Zoë ✉", "Zoë ✉", id="text beyond ASCII"),
    ],
)
def test_a_right_value(paths: Paths, name: str, text: str, value: object) -> None:
    """The environment and the file, written by us, give the same value for the same text."""
    variable = settings.TABLE[name].variable
    assert getattr(settings.load(paths, {variable: text}), name) == value
    ini.change(paths.config_file, name, settings.TABLE[name].read(text))
    assert getattr(settings.load(paths, {}), name) == value


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("contact = Ann, ext. 5", "Ann, ext. 5"),
        ("contact = 'Ann, ext. 5'  # ask her", "Ann, ext. 5"),
        ("contact=100%(x)s $y", "100%(x)s $y"),
        ('"contact" = Ann', "Ann"),
        ("  contact = Ann", "Ann"),
        ("contact = '''Ann'''", "Ann"),
    ],
)
def test_ways_to_write_a_line(paths: Paths, line: str, value: str) -> None:
    """Quotes, spaces and comments are understood, nothing is replaced in a value, and the line is found."""
    mine(paths, f"# hello\n\n{line}\n")
    loaded = settings.load(paths, {})
    assert loaded.contact == value
    assert loaded.origin["contact"].source == f"{paths.config_file} line 3"


@pytest.mark.parametrize("data", [b"max_age = 1d\r\n", b"\xef\xbb\xbfmax_age = 1d\n", b"max_age = 1d", b"\rmax_age=1d"])
def test_files_of_other_editors(paths: Paths, data: bytes) -> None:
    """Line ends of any kind, a byte order mark and a missing last line end are understood."""
    mine(paths, "")
    Path(paths.config_file).write_bytes(data)
    assert settings.load(paths, {}).max_age == days(1)


WRONG = [
    pytest.param("max_age", "banana", "'banana' is not a duration; write it like 90d", id="no duration"),
    pytest.param("max_age", "90", "'90' is not a duration", id="no unit"),
    pytest.param("max_age", "0", "0 is too short; write a duration above 0", id="max_age of 0"),
    pytest.param("propagation_timeout", "0s", "0 is too short", id="no time to wait at all"),
    pytest.param("keep_old", "36501d", "36501d is too long; the longest is 36500d", id="beyond the calendar"),
    pytest.param("keep_old", "1d, 2d", "'1d, 2d' is not a duration", id="two durations"),
    pytest.param("snooze", "maybe", "'maybe' is neither yes nor no; write yes or no", id="neither yes nor no"),
    pytest.param("minimum_version", "1.x", "'1.x' is not a version; write numbers with dots", id="no version"),
    pytest.param("contact", "a\x1bb", "is not one line of plain text", id="a control character"),
]


@pytest.mark.parametrize(("name", "text", "says"), WRONG)
def test_a_wrong_value_in_the_file_names_the_line_and_what_is_allowed(
    paths: Paths, name: str, text: str, says: str
) -> None:
    """File, line, setting, value and what is allowed are in the message; the hint is a command that mends it."""
    mine(paths, f"# mine\n\n{name} = {text}\n")
    with pytest.raises(WrongUsage) as caught:
        settings.load(paths, {})
    assert caught.value.message.startswith(f"{paths.config_file} line 3: {name}: ")
    assert says in caught.value.message
    assert caught.value.hint == f"rotate-my-key config set {name} {settings.TABLE[name].example}"


@pytest.mark.parametrize(("name", "text", "says"), WRONG)
def test_a_wrong_value_elsewhere_names_its_source(paths: Paths, name: str, text: str, says: str) -> None:
    """A variable or flag is named, with what is allowed."""
    row = settings.TABLE[name]
    with pytest.raises(WrongUsage, match=re.escape(says)) as caught:
        settings.load(paths, {row.variable: text})
    assert caught.value.message.startswith(row.variable)
    with pytest.raises(WrongUsage, match=re.escape(says)) as caught:
        settings.load(paths, {}, {name: text})
    assert caught.value.message.startswith(f"flag {row.flag}: ")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        pytest.param("snooze = no\nmax_agee = 1d\n", 2, "no setting max_agee; did you mean max_age?", id="a typo"),
        pytest.param("max-age = 1d\n", 1, "did you mean max_age?", id="a dash"),
        pytest.param("colour = red\n", 1, "there is no setting colour", id="something else"),
        pytest.param("\n[main]\nmax_age = 1d\n", 2, "[main] is not a section", id="a section"),
        pytest.param("[enforced]\nmax_age = 1d\n", 1, "is only for the site's file", id="enforced by the user"),
        pytest.param("[max_age]\n", 1, "[max_age] is not a section", id="a section named like a setting"),
        pytest.param("enforced = 1\n", 1, "no setting enforced", id="a setting named like the section"),
        pytest.param("max_age = 1d\nmax_age = 2d\n", 2, "duplicate setting `max_age`", id="the same setting twice"),
        pytest.param("# x\nnonsense\n", 2, "is not NAME = VALUE", id="no setting at all"),
        pytest.param("nonsense\nmore\n", 1, "is not NAME = VALUE", id="several of these"),
        pytest.param("contact = 'x\n", 1, "is not NAME = VALUE", id="a quote that does not end"),
        pytest.param("contact = '''x\ny\n", 1, "is not NAME = VALUE", id="a long quote that does not end"),
        pytest.param("[a\n", 1, "is not NAME = VALUE", id="half a section"),
        pytest.param("[[[a]]]\n", 1, "is not NAME = VALUE", id="a section of no section"),
    ],
)
def test_a_file_that_cannot_be_understood(paths: Paths, text: str, line: int, says: str) -> None:
    """Nothing that stands in the file is passed over in silence: it is named with its line."""
    mine(paths, text)
    with pytest.raises(WrongUsage, match=re.escape(says)) as caught:
        settings.load(paths, {})
    assert caught.value.message.startswith(f"{paths.config_file} line {line}: ")
    assert caught.value.hint.startswith("rotate-my-key config ")


def test_a_file_that_is_no_text(paths: Paths) -> None:
    """Bytes that are not UTF-8 are named with their line."""
    mine(paths, "")
    Path(paths.config_file).write_bytes(b"max_age = 1d\ncontact = \xff\n")
    with pytest.raises(WrongUsage, match="line 2: is not UTF-8 text"):
        settings.load(paths, {})


def test_a_file_that_cannot_be_read(paths: Paths) -> None:
    """A folder in its place, say, is a problem with the path in it."""
    os.makedirs(paths.config_file)
    with pytest.raises(Problem, match="your settings cannot be read") as caught:
        settings.load(paths, {})
    assert paths.config_file in caught.value.message
    assert caught.value.hint == "rotate-my-key config path"


def test_an_unknown_flag_is_refused(paths: Paths) -> None:
    """A name that is no setting is not passed over either."""
    with pytest.raises(WrongUsage, match="did you mean max_age"):
        settings.load(paths, {}, {"max_agee": "1d"})


def test_a_variable_that_looks_like_a_setting_is_noticed(paths: Paths) -> None:
    """A misspelt variable gets a line; one that resembles no setting may be somebody else's."""
    loaded = settings.load(paths, {"ROTATE_MY_KEY_MAX_AGEE": "1d", "ROTATE_MY_KEY_ZZZ": "1", "MAX_AGEE": "1d"})
    assert loaded.notices == ("ROTATE_MY_KEY_MAX_AGEE is no setting; did you mean ROTATE_MY_KEY_MAX_AGE?",)


@pytest.mark.parametrize(("max_age", "noticed"), [("15d", True), ("10d", True), ("16d", False)])
def test_reminding_longer_than_a_key_may_live_is_noticed(paths: Paths, max_age: str, noticed: bool) -> None:
    """If remind_before is not below max_age every key is due at once, and that is said."""
    loaded = settings.load(paths, {}, {"max_age": max_age})
    assert any("every key is due at once" in notice for notice in loaded.notices) is noticed
    assert loaded.remind_before == days(15)


def test_the_spec_means_the_same_to_configobjs_own_validator(paths: Paths) -> None:
    """Our small validator and ConfigObj's own read the same values from a file."""
    text = b"max_age = 1d\nsnooze = no\nexclude = a,b\ncontact = x, y\nminimum_version = 1.2\n"
    theirs = ConfigObj(text.splitlines(), configspec=list(table.CONFIGSPEC), encoding="utf-8", interpolation=False)
    assert theirs.validate(Validator(dict(table.READERS))) is True
    mine(paths, text.decode())
    ours = settings.load(paths, {})
    assert {name: theirs[name] for name in settings.TABLE} == {name: getattr(ours, name) for name in settings.TABLE}


# The site's ceiling


@pytest.mark.parametrize(
    ("name", "ceiling", "asked", "counts"),
    [
        pytest.param("max_age", "60d", "90d", "60d", id="max_age: a longer one is cut"),
        pytest.param("max_age", "60d", "30d", "30d", id="max_age: a shorter one counts"),
        pytest.param("max_age", "60d", None, "60d", id="max_age: what is built in is cut too"),
        pytest.param("remind_before", "20d", "5d", "20d", id="remind_before: less is raised"),
        pytest.param("remind_before", "20d", "30d", "30d", id="remind_before: more counts"),
        pytest.param("cache_max_age", "1d", "2d", "1d", id="cache_max_age: a longer one is cut"),
        pytest.param("replace_inactive", "no", "yes", "no", id="replace_inactive: yes is not had"),
        pytest.param("replace_inactive", "yes", "no", "no", id="replace_inactive: no may be had under yes"),
        pytest.param("replace_inactive", "yes", None, "no", id="replace_inactive: yes is no order"),
        pytest.param("update_copies", "no", "yes", "no", id="update_copies: yes is not had"),
        pytest.param("snooze", "no", None, "no", id="snooze: yes is not had"),
        pytest.param("exclude", "a, b", "b, c", "b", id="exclude: only what the site excludes"),
        pytest.param("exclude", ",", "a", "", id="exclude: nothing, if the site says so"),
        pytest.param("minimum_version", "1.10", "1.9", "1.10", id="minimum_version: a lower one is raised"),
        pytest.param("minimum_version", "1.10", "2", "2", id="minimum_version: a higher one counts"),
        pytest.param("minimum_version", "1.0", "1.0.0", "1.0.0", id="minimum_version: the same, written longer"),
        pytest.param("minimum_version", "1.0", None, "1.0", id="minimum_version: none is raised"),
        pytest.param("keep_old", "12h", "0", "12h", id="keep_old: fixed, upwards"),
        pytest.param("keep_old", "12h", "2d", "12h", id="keep_old: fixed, downwards"),
        pytest.param("contact", "it@example.com", "me", "it@example.com", id="contact: fixed"),
        pytest.param("auth_profile", '""', "sso", "", id="auth_profile: fixed at nothing"),
    ],
)
@pytest.mark.parametrize("way", ["flag", "environment", "user's file", "site's own default"])
@POSIX_ONLY
def test_the_ceiling_can_only_be_tightened(
    paths: Paths, way: str, name: str, ceiling: str, asked: str | None, counts: str
) -> None:
    """Whoever asks, flags included, gets nothing looser than the site enforces, and the origin says so."""
    row = settings.TABLE[name]
    default = f"{name} = {asked}\n" if asked is not None and way == "site's own default" else "\n"
    theirs(paths, f"{default}[enforced]\n# because\n{name} = {ceiling}\n")
    if asked is not None and way == "user's file":
        mine(paths, f"{name} = {asked}\n")
    env = {row.variable: asked} if asked is not None and way == "environment" else {}
    loaded = settings.load(paths, env, {name: asked} if way == "flag" else {})
    assert settings.write(getattr(loaded, name)) == counts == loaded.origin[name].text
    wanted = row.builtin if asked is None else asked
    held = loaded.origin[name].ceiling
    assert held == ("" if settings.write(row.read(wanted)) == counts else f"{paths.site_file} line 4")
    assert loaded.origin[name].asked == wanted
    spoken = [notice for notice in loaded.notices if "the site limits" in notice]
    assert bool(spoken) == bool(held and asked is not None and way in ("flag", "environment"))


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        pytest.param("max_age = x\n", 1, "'x' is not a duration", id="a wrong default"),
        pytest.param("[enforced]\nmax_age = x\n", 2, "'x' is not a duration", id="a wrong ceiling"),
        pytest.param("max_age = 1d\n[enforced]\nmax_age = x\n", 3, "not a duration", id="the line in the section"),
        pytest.param("[enforced]\nmax_agee = 1d\n", 2, "did you mean max_age?", id="a typo"),
        pytest.param("[enforcd]\nmax_age = 1d\n", 1, "[enforcd] is not a section", id="a typo in the section's name"),
        pytest.param("[enforced]\n[[max_age]]\n", 2, "[max_age] is not a section", id="a section in the section"),
        pytest.param("nonsense\n", 1, "is not NAME = VALUE", id="no settings"),
    ],
)
@POSIX_ONLY
def test_a_wrong_site_file_is_a_problem_for_it(paths: Paths, text: str, line: int, says: str) -> None:
    """A trusted file that is wrong stops everything, says that IT has to mend it, and where."""
    theirs(paths, text)
    with pytest.raises(Problem, match=re.escape(says)) as caught:
        settings.load(paths, {})
    assert "tell your IT" in caught.value.message
    assert f"{paths.site_file} line {line}: " in caught.value.message
    assert caught.value.hint == "rotate-my-key config path"
    assert caught.value.code == 1


# Trusting the site's file


@POSIX_ONLY
def test_a_site_file_of_the_trusted_owner_is_read(paths: Paths) -> None:
    """File and folders that belong to the owner and are writable by no one else count."""
    theirs(paths, "max_age = 5d\n")
    assert settings.site(paths).state == "read"
    assert settings.load(paths, {}).max_age == days(5)


@pytest.mark.parametrize(("spot", "mode"), [("file", 0o664), ("file", 0o646), ("folder", 0o775), ("folder", 0o1777)])
@POSIX_ONLY
def test_a_site_file_that_others_can_write_is_ignored(paths: Paths, spot: str, mode: int) -> None:
    """Writable by the group or by all, sticky or not: nothing in it counts, and that is noticed."""
    theirs(paths, "max_age = x\n")
    target = paths.site_file if spot == "file" else os.path.dirname(paths.site_file)
    os.chmod(target, mode)
    loaded = settings.load(paths, {})
    assert loaded.max_age == days(90)
    assert loaded.notices == (
        f"the site's settings, {paths.site_file}, are ignored: {target} can be written by others",
    )


@POSIX_ONLY
def test_a_site_file_of_somebody_else_is_ignored(paths: Paths) -> None:
    """The owner is checked from the top down."""
    theirs(paths, "max_age = 5d\n")
    stranger = paths._replace(site_owner=os.getuid() + 1)
    assert settings.site(stranger).state.startswith(f"ignored: {paths.home} belongs to uid {os.getuid()}, not to uid ")
    assert settings.load(stranger, {}).max_age == days(90)


@POSIX_ONLY
def test_folders_above_the_top_are_looked_at_too(paths: Paths) -> None:
    """Checked from `/`, a file below the world's temporary folder is not trusted."""
    theirs(paths, "max_age = 5d\n")
    folder = Path(paths.home)
    folder.chmod(0o777)
    assert "can be written by others" in trust.objection(paths.site_file, os.getuid(), str(folder))
    assert trust.objection(paths.site_file, os.getuid(), os.path.dirname(paths.site_file)) == ""
    assert trust.objection(paths.site_file, 0, "/") != ""


@POSIX_ONLY
def test_links_are_followed_and_every_folder_on_the_way_counts(paths: Paths) -> None:
    """A link to a trusted file counts, one that passes an untrusted folder does not, however it gets there."""
    home = Path(paths.home)
    theirs(paths, "max_age = 5d\n")
    (home / "open").mkdir()
    (home / "open" / "hop").symlink_to("../etc/config.ini")
    (home / "good").symlink_to("etc/./config.ini")
    (home / "absolute").symlink_to(home / "etc")
    (home / "bad").symlink_to(home / "open" / "hop")
    os.chmod(home / "open", 0o777)  # noqa: S103 - that it is open is the point
    assert trust.objection(str(home / "good"), os.getuid(), str(home)) == ""
    assert trust.objection(str(home / "absolute" / "config.ini"), os.getuid(), str(home)) == ""
    assert trust.objection(str(home / "bad"), os.getuid(), str(home)) == f"{home}/open can be written by others"


@POSIX_ONLY
def test_what_is_no_file_is_not_read(paths: Paths) -> None:
    """A named pipe would block for ever, a folder is no file; a loop of links is an error."""
    home = Path(paths.home)
    os.mkfifo(paths.site_file)
    assert settings.site(paths).state == f"ignored: {paths.site_file} is not a regular file"
    (home / "loop").symlink_to("loop")
    with pytest.raises(Problem, match="the site's settings cannot be read, tell your IT"):
        settings.load(paths._replace(site_file=str(home / "loop")), {})


@POSIX_ONLY
def test_no_site_file_is_nothing_to_tell(paths: Paths) -> None:
    """Neither a missing file nor a missing folder is noticed, whoever owns the folders above."""
    stranger = paths._replace(site_owner=os.getuid() + 1)
    for file in (paths.site_file, paths.site_file + "/deeper", paths.home + "/no/such"):
        assert settings.site(stranger._replace(site_file=file)).state == "not there"
    theirs(paths, "")
    below = paths._replace(site_file=paths.site_file + "/deeper")
    assert settings.load(below, {}).notices == ()


@pytest.mark.parametrize("locked", ["file", "folder"])
@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="NOT TESTED HERE: root may read everything")
def test_a_site_file_that_cannot_be_read_is_a_problem(paths: Paths, locked: str) -> None:
    """Rules that IT made unreadable by mistake are not passed over."""
    theirs(paths, "max_age = 5d\n")
    target = paths.site_file if locked == "file" else os.path.dirname(paths.site_file)
    os.chmod(target, 0)
    try:
        with pytest.raises(Problem, match="tell your IT"):
            settings.load(paths, {})
    finally:
        os.chmod(target, 0o700)


ADMIN_ONLY = "O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)"


@pytest.mark.parametrize(
    ("sddl", "folder", "objection"),
    [
        pytest.param(ADMIN_ONLY + "(A;ID;0x1200a9;;;BU)", False, "", id="users may read"),
        pytest.param(ADMIN_ONLY + "(A;ID;FRFX;;;BU)", False, "", id="users may read, in letters"),
        pytest.param(ADMIN_ONLY.replace("O:BA", "O:SY"), False, "", id="the system's own"),
        pytest.param(
            "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464D:PAI(A;;FA;;;BA)",
            True,
            "",
            id="Windows's",
        ),
        pytest.param(ADMIN_ONLY + "S:AI(ML;;NW;;;LW)", False, "", id="with a label"),
        pytest.param(ADMIN_ONLY + "(D;;FA;;;BU)", False, "", id="a denial is no permission"),
        pytest.param(ADMIN_ONLY + "(A;OICIIO;GA;;;CO)", True, "", id="a rule for what will be made inside"),
        pytest.param(ADMIN_ONLY + "(A;CI;DCLCRPCR;;;BU)", True, "", id="a folder to which users may add"),
        pytest.param(ADMIN_ONLY + "(A;CI;DCLCRPCR;;;BU)", False, "can be changed by BU", id="a file they may write"),
        pytest.param(ADMIN_ONLY + "(A;ID;0x1301bf;;;AU)", False, "can be changed by AU", id="users may modify"),
        pytest.param(ADMIN_ONLY + "(A;;SD;;;WD)", False, "can be changed by WD", id="all may delete it"),
        pytest.param(ADMIN_ONLY + "(A;;DT;;;BU)", True, "can be changed by BU", id="users may delete what is inside"),
        pytest.param(
            ADMIN_ONLY + "(A;;WO;;;S-1-5-21-1-2-3-1001)", True, "can be changed by S-1-5-21-1-2-3-1001", id="take it"
        ),
        pytest.param(ADMIN_ONLY + "(A;;GW;;;BU)", False, "can be changed by BU", id="generic write"),
        pytest.param(ADMIN_ONLY + "(A;;ZZ;;;BU)", True, "can be changed by BU", id="a right that is not known"),
        pytest.param("O:S-1-5-21-1-2-3-1001G:BAD:(A;;FA;;;BA)", False, "belongs to S-1-5-21-1-2-3-1001", id="a user's"),
        pytest.param("G:BAD:(A;;FA;;;BA)", False, "belongs to nobody", id="nobody's"),
        pytest.param("O:BAD:NO_ACCESS_CONTROL", False, "permissions that cannot be read", id="open to all"),
        pytest.param("O:BA", False, "permissions that cannot be read", id="no rules told"),
        pytest.param("O:BAD:(XA;;FR;;;BU;(a == (1)))", False, "permissions that cannot be read", id="conditions"),
    ],
)
def test_who_may_change_a_file_on_windows(sddl: str, folder: bool, objection: str) -> None:
    """Only Administrators, the system and Windows's installer may own or change it. (Asking Windows is not tested.)"""
    said = trust.descriptor_objection(sddl, folder=folder)
    assert said.startswith(objection) if objection.startswith("belongs") else objection in said
    assert bool(said) == bool(objection)


# Changing the user's file

BEFORE = """\
# My settings.

# The company says 60.
max_age = 60d # days

# Not these:
exclude = legacy, ci
snooze = no
# the end
"""


@pytest.mark.parametrize(
    ("name", "value", "after"),
    [
        pytest.param("max_age", days(30), BEFORE.replace("60d", "30d"), id="a value that is there"),
        pytest.param("exclude", ("x",), BEFORE.replace("legacy, ci", "x,"), id="a list"),
        pytest.param("exclude", (), BEFORE.replace("legacy, ci", ","), id="an empty list"),
        pytest.param("keep_old", days(1), BEFORE.replace("no\n", "no\nkeep_old = 1d\n"), id="a new value"),
        pytest.param("contact", "a, b", BEFORE.replace("no\n", 'no\ncontact = "a, b"\n'), id="a text with a comma"),
        pytest.param("snooze", None, BEFORE.replace("snooze = no\n", ""), id="taking one out"),
        pytest.param("max_age", None, BEFORE.replace("max_age = 60d # days\n", ""), id="its comment stays"),
        pytest.param("snooze", False, BEFORE, id="what it is already"),
        pytest.param("contact", None, BEFORE, id="taking out what is not there"),
    ],
)
def test_a_change_keeps_comments_and_order(paths: Paths, name: str, value: settings.Value | None, after: str) -> None:
    """Only the line of that setting changes."""
    mine(paths, BEFORE)
    assert ini.change(paths.config_file, name, value) is (after != BEFORE)
    assert Path(paths.config_file).read_text() == after


@pytest.mark.parametrize(("ends", "mark"), [("\r\n", ""), ("\n", "\ufeff")], ids=["CRLF", "a byte order mark"])
def test_a_change_keeps_line_ends_and_mark(paths: Paths, ends: str, mark: str) -> None:
    """A file from Windows stays one."""
    mine(paths, mark + BEFORE.replace("\n", ends))
    ini.change(paths.config_file, "max_age", days(30))
    assert Path(paths.config_file).read_bytes().decode() == mark + BEFORE.replace("60d", "30d").replace("\n", ends)


@POSIX_ONLY
def test_a_new_file_is_private(paths: Paths) -> None:
    """Its folder is made 0700 and the file 0600, whatever the umask; a folder that is there keeps its mode."""
    before = os.umask(0)
    try:
        ini.change(paths.config_file, "max_age", days(30))
    finally:
        os.umask(before)
    assert Path(paths.config_file).read_text() == "max_age = 30d\n"
    assert stat.S_IMODE(os.stat(paths.config_file).st_mode) == 0o600
    folder = os.path.dirname(paths.config_file)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    os.chmod(folder, 0o755)  # noqa: S103 - as people's folders are
    ini.change(paths.config_file, "max_age", days(31))
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o755


@POSIX_ONLY
def test_a_linked_file_stays_a_link(paths: Paths) -> None:
    """Settings that are kept among dotfiles are changed there."""
    dotfiles = Path(paths.home) / "dotfiles.ini"
    dotfiles.write_text("snooze = no\n")
    Path(paths.config_file).parent.mkdir()
    Path(paths.config_file).symlink_to(dotfiles)
    ini.change(paths.config_file, "snooze", True)
    assert Path(paths.config_file).is_symlink()
    assert dotfiles.read_text() == "snooze = yes\n"


def test_a_wrong_value_elsewhere_in_the_file_can_be_mended(paths: Paths) -> None:
    """A change needs a file that can be parsed, not one whose values are right."""
    mine(paths, "max_age = banana\nmax_agee = 1d\n")
    ini.change(paths.config_file, "max_age", days(1))
    ini.change(paths.config_file, "max_agee", None)
    assert settings.load(paths, {}).max_age == days(1)


def test_a_file_that_cannot_be_parsed_is_not_changed(paths: Paths) -> None:
    """It is left as it is."""
    mine(paths, "nonsense\n")
    with pytest.raises(WrongUsage, match="line 1"):
        ini.change(paths.config_file, "max_age", days(1))
    assert Path(paths.config_file).read_text() == "nonsense\n"


@pytest.mark.parametrize("value", ["'''x\"\"\"", "'''#\"", "'\"#'''\"\"\""])
def test_a_text_that_no_quotes_can_hold_is_refused(paths: Paths, value: str) -> None:
    """What could not be read back is not written."""
    with pytest.raises(WrongUsage, match=r"kinds of quotes|cannot hold"):
        ini.change(paths.config_file, "contact", value)
    assert not os.path.exists(paths.config_file)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x2100), max_size=12))
def test_what_is_written_is_read_back_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever a text consists of, the file gives it back as it was, or it is not written."""
    path = str(tmp_path_factory.mktemp("any") / "config.ini")
    try:
        value = settings.TABLE["contact"].read(text)
        ini.change(path, "contact", value)
    except WrongUsage:
        assert not os.path.exists(path)
    else:
        assert settings.user(path)["contact"].value == value


def test_a_folder_that_cannot_be_made_is_a_problem(paths: Paths) -> None:
    """It is told, with the path."""
    Path(paths.config_file).parent.write_text("")
    with pytest.raises(Problem, match=re.escape(os.path.dirname(paths.config_file))):
        ini.change(paths.config_file, "max_age", days(1))


# The names


def test_names_are_found_with_dashes_too() -> None:
    """`max-age`, as in a flag, is max_age; anything else is named with its nearest."""
    assert settings.setting("max-age").name == "max_age"
    with pytest.raises(WrongUsage, match="no setting maxage; did you mean max_age") as caught:
        settings.setting("maxage")
    assert caught.value.hint == "rotate-my-key config get max_age"
    with pytest.raises(WrongUsage, match="no setting zzz") as caught:
        settings.setting("zzz")
    assert caught.value.hint == "rotate-my-key config show"


DOC = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_documentation_has_the_table() -> None:
    """docs/settings.md names every setting, its built-in value and which way is tighter, as they are."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]*) \| ([^|]+) \|", DOC.read_text(), re.MULTILINE)
    kinds = {"duration_above_zero": "duration above 0", "yes_no": "yes or no"}
    assert [(name, kind.strip(), builtin.strip(" `"), tighter.strip()) for name, kind, builtin, tighter in rows] == [
        (row.name, kinds.get(row.kind, row.kind), row.builtin, row.tighter) for row in settings.TABLE.values()
    ]


@POSIX_ONLY
def test_the_documented_site_file_works(paths: Paths) -> None:
    """The example can be used as it stands."""
    example = re.search(r"```ini\n(# The site's.*?)```", DOC.read_text(), re.DOTALL)
    assert example
    theirs(paths, example[1])
    site = settings.site(paths)
    assert site.state == "read"
    assert site.settings and site.enforced


def test_the_documented_paths_are_the_real_ones() -> None:
    """The site's fixed paths are as `paths.find` gives them."""
    from rotate_my_key.files import paths as real

    for platform in ("linux", "darwin"):
        assert f"`{real.find({'HOME': '/home/alice'}, platform).site_file}`" in DOC.read_text()
