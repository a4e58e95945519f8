from __future__ import annotations

import json
import ntpath
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.files import paths

POSIX_ONLY = pytest.mark.skipif(os.name != "posix", reason="NOT TESTED HERE: homes and XDG of POSIX")
pytestmark = POSIX_ONLY


def nobody(user: str) -> str | None:
    """A password database without entries."""
    return None


def python(code: str, env: dict[str, str], cwd: Path) -> str:
    """What another Python prints, started with just this environment."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=cwd, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


# One process answers for a whole table: each row's environment is put in place of the last.
PLATFORMDIRS = """
import json, os, sys
from platformdirs.{module} import {name}
rows = json.load(open("rows.json"))
answers = []
for row in rows:
    os.environ.clear()
    os.environ.update(row)
    dirs = {name}("rotate-my-key", False)
    answers.append([dirs.user_config_dir, dirs.user_state_dir])
print(json.dumps(answers))
"""

HOMES = {
    "a home": {"HOME": "/home/alice"},
    "a home with a slash at its end": {"HOME": "/home/alice/"},
    "the root as home": {"HOME": "/"},
    "a home with a space": {"HOME": "/home/alice b"},
    "no HOME": {},
    "an empty HOME": {"HOME": ""},
    "a relative HOME": {"HOME": "alice"},
    "both XDG folders": {"HOME": "/home/alice", "XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"},
    "XDG with a slash at its end": {"HOME": "/home/alice", "XDG_CONFIG_HOME": "/c/", "XDG_STATE_HOME": "/s/"},
    "XDG config alone": {"HOME": "/home/alice", "XDG_CONFIG_HOME": "/c"},
    "an empty XDG counts as unset": {"HOME": "/home/alice", "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""},
    "a relative XDG counts as unset": {"HOME": "/home/alice", "XDG_CONFIG_HOME": "c", "XDG_STATE_HOME": "./s"},
    "a ~ in XDG is not expanded": {"HOME": "/home/alice", "XDG_CONFIG_HOME": "~/c", "XDG_STATE_HOME": "~/s"},
}


@pytest.mark.parametrize(("platform", "module", "name"), [("linux", "unix", "Unix"), ("darwin", "macos", "MacOS")])
def test_own_folders_are_where_platformdirs_puts_them(tmp_path: Path, platform: str, module: str, name: str) -> None:
    """Config and state are in the same folders that platformdirs gives, whatever HOME and XDG say."""
    pytest.importorskip("platformdirs")
    (tmp_path / "rows.json").write_text(json.dumps(list(HOMES.values())))
    answers = json.loads(python(PLATFORMDIRS.format(module=module, name=name), dict(os.environ), tmp_path))
    for (row, env), (config, state) in zip(HOMES.items(), answers, strict=True):
        found = paths.find(env, platform)
        assert (found.config_file, found.state_dir) == (os.path.join(config, "config.ini"), state), row


def test_finding_paths_imports_nothing_slow(tmp_path: Path) -> None:
    """Neither platformdirs nor pathlib is loaded for it."""
    code = (
        "import sys, os; from rotate_my_key.files import paths; paths.find(os.environ);"
        "print([m for m in ('platformdirs', 'pathlib', 'tempfile', 'ctypes') if m in sys.modules])"
    )
    env = {"HOME": "/home/alice", "PYTHONPATH": str(Path(paths.__file__).parents[2])}
    clean = subprocess.run([sys.executable, "-S", "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert clean.stdout.strip() == "[]", clean.stderr


def test_without_home_the_password_database_is_asked() -> None:
    """A missing HOME is no obstacle if the system knows this user."""
    found = paths.find({}, "linux", lambda user: "/home/from-database" if not user else None)
    assert found.home == "/home/from-database"
    assert found.credentials == "/home/from-database/.aws/credentials"


@pytest.mark.parametrize("env", [{}, {"HOME": ""}, {"HOME": "alice"}], ids=["none", "empty", "relative"])
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_no_home_at_all_is_a_problem_with_a_hint(env: dict[str, str], platform: str) -> None:
    """With no usable HOME and no entry in the password database it says so, and what to type."""
    with pytest.raises(Problem) as caught:
        paths.find(env, platform, nobody)
    assert "home directory" in caught.value.message
    assert caught.value.hint.startswith("HOME=")


def test_a_database_without_a_path_is_no_home() -> None:
    """An entry that is empty or relative is no home."""
    with pytest.raises(Problem):
        paths.find({}, "linux", lambda user: "")


def test_the_password_database_of_this_system() -> None:
    """The default asks the system, and gives None for a user it does not know."""
    assert paths.password_home("") == pwd.getpwuid(os.getuid()).pw_dir
    assert paths.password_home("root") == pwd.getpwnam("root").pw_dir
    assert paths.password_home("no-such-user-here") is None


# botocore says which file it would open: its own loader's error names the path after expanding it.
BOTOCORE = """
import json, os
from botocore.configprovider import EnvironmentProvider
from botocore.configloader import raw_config_parse
from botocore.exceptions import ConfigNotFound
answers = []
for row in json.load(open("rows.json")):
    os.environ.clear()
    os.environ.update(row)
    path = EnvironmentProvider("AWS_SHARED_CREDENTIALS_FILE", os.environ).provide()
    try:
        raw_config_parse("~/.aws/credentials" if path is None else path)
    except ConfigNotFound as error:
        answers.append(error.kwargs["path"])
print(json.dumps(answers))
"""

FILES = {
    "no variable": None,
    "an absolute path": "/srv/creds",
    "set to nothing": "",
    "a ~": "~/creds",
    "a ~ alone": "~",
    "another user's ~": "~root/creds",
    "the ~ of nobody": "~no-such-user-here/creds",
    "a variable": "$PLACE/creds",
    "a braced variable": "${PLACE}/creds",
    "a variable in the middle of a word": "/x/a${PLACE}b$PLACE.c",
    "a variable that holds a ~": "$TILDE/creds",
    "a variable that holds a variable": "$NESTED/creds",
    "an unknown variable": "/x/$NO_SUCH/${NOT_THIS}/creds",
    "a lone dollar": "/x/$/$$/${/creds",
    "an empty braced variable": "/x/${}/creds",
    "a variable named beyond ASCII": "/x/$ä/creds",
    "percent signs": "/x/%PLACE%/creds",
    "spaces": "/x/ a b /creds ",
}
AROUND = {"HOME": "/home/nobody-here", "PLACE": "/place", "TILDE": "~", "NESTED": "$PLACE"}


def rows(homes: dict[str, str]) -> dict[str, dict[str, str]]:
    """An environment for each of FILES."""
    given = {row: {"AWS_SHARED_CREDENTIALS_FILE": text} if text is not None else {} for row, text in FILES.items()}
    return {row: {**homes, **env} for row, env in given.items()}


@pytest.mark.parametrize(
    "homes",
    [
        pytest.param(AROUND, id="a home"),
        pytest.param({**AROUND, "HOME": ""}, id="an empty HOME"),
        pytest.param({**AROUND, "HOME": "/"}, id="the root as home"),
        pytest.param({**AROUND, "HOME": "/home/nobody-here/"}, id="a slash at its end"),
        pytest.param({name: value for name, value in AROUND.items() if name != "HOME"}, id="no HOME"),
    ],
)
def test_the_credentials_file_is_the_one_that_botocore_opens(tmp_path: Path, homes: dict[str, str]) -> None:
    """Every spelling of AWS_SHARED_CREDENTIALS_FILE leads to the path that botocore's loader looks for."""
    table = rows(homes)
    (tmp_path / "rows.json").write_text(json.dumps(list(table.values())))
    answers = json.loads(python(BOTOCORE, dict(os.environ), tmp_path))
    for (row, env), answer in zip(table.items(), answers, strict=True):
        assert paths.find(env, "linux").credentials == (os.path.join(os.getcwd(), answer) if answer else ""), row


def test_the_config_file_has_its_own_variable() -> None:
    """AWS_CONFIG_FILE moves the config file and nothing else."""
    found = paths.find({"HOME": "/home/alice", "AWS_CONFIG_FILE": "~/elsewhere"}, "linux")
    assert found.config == "/home/alice/elsewhere"
    assert found.credentials == "/home/alice/.aws/credentials"


def test_a_relative_file_starts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are absolute: a relative one is where botocore would open it from here."""
    monkeypatch.chdir(tmp_path)
    found = paths.find({"HOME": "/home/alice", "AWS_SHARED_CREDENTIALS_FILE": "my/creds"}, "linux")
    assert found.credentials == os.path.join(os.getcwd(), "my/creds")


def test_a_relative_file_in_a_removed_directory_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no answer then, and it is said."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(Problem, match="AWS_CONFIG_FILE is relative"):
        paths.find({"HOME": "/home/alice", "AWS_CONFIG_FILE": "config"}, "linux")


@pytest.mark.parametrize(
    ("platform", "file"),
    [
        ("linux", "/etc/rotate-my-key/config.ini"),
        ("freebsd14", "/etc/rotate-my-key/config.ini"),
        ("darwin", "/Library/Application Support/rotate-my-key/config.ini"),
    ],
)
def test_the_sites_file_cannot_be_moved(platform: str, file: str) -> None:
    """No variable changes where the site's settings are, nor who must own them."""
    moved = ("XDG_CONFIG_DIRS", "XDG_CONFIG_HOME", "ProgramData", "PROGRAMDATA", "ALLUSERSPROFILE")
    found = paths.find({"HOME": "/home/alice", **dict.fromkeys(moved, "/evil")}, platform)
    assert (found.site_file, found.site_owner, found.site_top) == (file, 0, "/")


def test_on_windows_the_homes_are_windowss() -> None:
    """USERPROFILE, else HOMEDRIVE and HOMEPATH; HOME plays no part. No variable moves the site's file."""
    pytest.importorskip("platformdirs")
    env = {"USERPROFILE": "/u/alice", "HOME": "/unix", "ProgramData": "/evil", "CREDS": "creds"}
    env["AWS_SHARED_CREDENTIALS_FILE"] = "~/%CREDS%"
    found = paths.find(env, "win32")
    assert (found.home, found.credentials) == ("/u/alice", "/u/alice/creds")
    assert "evil" not in found.site_file
    assert paths.find({"HOMEDRIVE": "", "HOMEPATH": "/u/bob"}, "win32").config == "/u/bob/.aws/config"


@pytest.mark.parametrize(
    "text",
    ["%A%", "a%A%b", "%%A%%", "%A", "%", "$A", "${A}", "$A-B", "$$A", "${A", "'%A%$A'%A%", "'$A", "%NO%$NO${NO}", "a$"],
)
def test_on_windows_variables_are_windowss(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """%NAME%, $NAME and ${NAME} are replaced as Python does it on Windows."""
    monkeypatch.setenv("A", "value")
    monkeypatch.delenv("NO", raising=False)
    env = {"USERPROFILE": "/u", "A": "value", "AWS_CONFIG_FILE": "/" + text}
    assert paths.find(env, "win32").config == ntpath.expandvars("/" + text)
