"""The shell scripts of docs/it/health-checks.md, run as they stand there, but for the system's own programs."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rotate_my_key.core.model import Credentials
from tests.cli.conftest import Desk

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/it/health-checks.md").read_text()
SCRIPTS = {text.splitlines()[1]: text for text in re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)}
JAMF, KANDJI, FLEET = SCRIPTS
Make = Callable[..., Credentials]

# What the scripts ask of macOS and of Linux, with {home} and {user}. sudo and runuser drop no rights here.
PROGRAMS = {
    "uname": "echo {system}",
    "stat": '[ "$*" = "-f %Su /dev/console" ] && echo "{user}"',
    "dscl": '[ "$3" = "/Users/{user}" ] && echo "NFSHomeDirectory: {home}"',
    "id": '[ "$*" = "-u {user}" ] && echo 501',
    "launchctl": '[ "$1 $2" = "asuser 501" ] && shift 2 && exec "$@"',
    "sudo": '[ "$1 $2" = "-u {user}" ] && shift 2 && exec "$@"',
    "loginctl": 'printf "%s\\n" "  3 1001 bob - -" "  5 1000 {user} seat0 tty2"',
    "getent": '[ "$1" = passwd ] && echo "{user}:x:1000:1000::{home}:/bin/bash"',
    "runuser": '[ "$1 $2 $3" = "-u {user} --" ] && shift 3 && exec "$@"',
}
EVERYWHERE = [(JAMF, "Darwin"), (KANDJI, "Darwin"), (FLEET, "Darwin"), (FLEET, "Linux")]
everywhere = pytest.mark.parametrize(
    ("name", "system"), EVERYWHERE, ids=["Jamf", "Kandji", "Fleet on macOS", "Fleet on Linux"]
)


@pytest.fixture
def check(empty: Desk, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Run a script as the management tool would; gives its exit code and the last line that it printed."""
    launcher = empty.home / ".local/bin/rotate-my-key"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -m rotate_my_key \"$@\"\n")
    launcher.chmod(0o755)

    def run(name: str, system: str, user: str = "alice") -> tuple[int, str]:
        tools = tmp_path / "tools"
        tools.mkdir(exist_ok=True)
        for program, body in PROGRAMS.items():
            filled = body.format(system=system, user=user, home=empty.home)
            (tools / program).write_text(f"#!/bin/sh\n{filled}\n")
            (tools / program).chmod(0o755)
        script = tmp_path / "script"
        script.write_text(SCRIPTS[name].replace("/usr/local/bin/rotate-my-key", f"{tmp_path}/usr/local/bin/tool"))
        env = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": "/var/root", "AWS_PROFILE": "nonsense"}
        done = subprocess.run(["/bin/sh", str(script)], capture_output=True, text=True, env=env, check=False, cwd="/")
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()[-1]

    return run


def test_all_of_them_are_here() -> None:
    """Jamf, Kandji and Fleet for the shell, which are clean POSIX sh, Intune for PowerShell, osquery."""
    assert [name.split()[1] for name in SCRIPTS] == ["Jamf", "Kandji", "Any"]
    assert all(said in PAGE for said in ("```powershell\n", "```sql\n", "is a hint"))
    if shutil.which("shellcheck") is None:
        pytest.skip("NOT CHECKED: there is no shellcheck here")
    for script in SCRIPTS.values():
        command = ["shellcheck", "-s", "sh", "-"]
        assert subprocess.run(command, input=script, capture_output=True, text=True, check=False).stdout == ""


# What Jamf, Kandji and Fleet read in each case: the exit code and the last line.
SAID = {
    "a fresh key": [(0, "<result>ok</result>"), (0, "no key is overdue"), (0, "ok")],
    "an overdue key": [(0, "<result>overdue</result>"), (1, "a key is overdue"), (1, "overdue")],
    "never asked": [(0, "<result>not known</result>"), (0, "not known: AWS was not asked lately"), (0, "unknown")],
    "not installed": [(0, "<result>not installed</result>"), (1, "not installed"), (0, "missing")],
}


@everywhere
@pytest.mark.parametrize("case", SAID)
def test_what_is_told(
    empty: Desk, make_key: Make, check: Callable[..., tuple[int, str]], name: str, system: str, case: str
) -> None:
    """Jamf reads the word, the others the exit code. Not known is neither good nor bad, and the check asks nobody."""
    empty.profiles(default=make_key("alice", 3 if case == "a fresh key" else 98))
    if "asked" not in case:
        empty.run("status")
    if case == "not installed":
        shutil.rmtree(empty.home / ".local")
    before = len(empty.aws.calls)
    assert check(name, system) == SAID[case][[JAMF, KANDJI, FLEET].index(name)]
    assert len(empty.aws.calls) == before


@everywhere
def test_who_cannot_be_asked(desk: Desk, check: Callable[..., tuple[int, str]], name: str, system: str) -> None:
    """At the login screen there is nobody to ask about. Broken settings are said as such, and not as an overdue key."""
    for user in ("root", ""):
        code, word = check(name, system, user)
        assert (code, "nobody" in word) == (0, True)
    desk.settings("max_age = soon\n")
    code, word = check(name, system)
    assert code == (0 if name == JAMF else 1)
    assert "does not work" in word or word == "broken"


def test_the_osquery_policy_looks_where_the_status_is(desk: Desk) -> None:
    """The SQL, on tables like osquery's, finds a home whose status is not older than a week."""
    desk.run("status")
    status = desk.state / "status.json"
    assert status.exists()
    (query,) = re.findall(r"^```sql\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for age, rows in ((0, [(1,)]), (8 * 86400, [])):
        tables = sqlite3.connect(":memory:")
        tables.execute("CREATE TABLE users (uid BIGINT, directory TEXT)")
        tables.execute("CREATE TABLE file (path TEXT, mtime BIGINT)")
        tables.execute("INSERT INTO users VALUES (1000, ?)", [str(desk.home)])
        tables.execute("INSERT INTO file VALUES (?, ?)", [str(status), int(status.stat().st_mtime) - age])
        assert tables.execute(query).fetchall() == rows
