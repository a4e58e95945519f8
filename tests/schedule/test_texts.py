"""What is handed to each scheduler, read by the scheduler's own parser or by the format's."""

from __future__ import annotations

import json
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rotate_my_key.core.errors import Problem
from rotate_my_key.schedule import cron, job, launchd, systemd, windows
from rotate_my_key.schedule.job import ScheduledJob

ROTATE = ["rotate", "--all", "--yes", "--quiet", "--keep-old", "7d"]
PROGRAMS = {
    "plain": "/home/alice/.local/bin/rotate-my-key",
    "a blank": "/home/alice smith/.local/bin/rotate-my-key",
    "percent": "/home/100%h%%/bin/rotate-my-key",
    "quotes": '/home/o\'brien "x"/bin/rotate-my-key',
    "a dollar": "/home/$USER/${HOME}/bin/rotate-my-key",
    "a backslash": "/home/a\\b\\\\c/bin/rotate-my-key",
    "letters": "/home/älice/日本/bin/rotate-my-key",
    "markup": "/home/<a> & b/bin/rotate-my-key",
    "a hash": "/home/a #b; c/bin/rotate-my-key",
}
ENVIRONMENTS = {"none": {}, "some": {"AWS_CONFIG_FILE": "/a b/\"c%d$e'f\\", "NO_PROXY": "a,b"}}
# As launchd.plist(5) names them, with the types that it wants.
KEYS = {"Label": str, "ProgramArguments": list, "EnvironmentVariables": dict, "RunAtLoad": bool, "StartInterval": int}
KEYS |= {"ProcessType": str, "LowPriorityIO": bool, "Nice": int, "Umask": int}
everywhere = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
environments = pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())


@everywhere
@environments
def test_systemd_finds_nothing_wrong(tmp_path: Path, program: str, environment: dict[str, str]) -> None:
    """`systemd-analyze verify` is silent about both units, but for programs that are not on this computer."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NOT CHECKED: there is no systemd-analyze here (apt-get install systemd)")
    (tmp_path / systemd.SERVICE).write_text(systemd.service(ScheduledJob(program, environment)))
    (tmp_path / systemd.TIMER).write_text(systemd.timer(7))
    units = [str(tmp_path / name) for name in (systemd.SERVICE, systemd.TIMER)]
    runtime = tmp_path / "run"
    runtime.mkdir()
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", *units],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(runtime), "PATH": "/usr/bin:/bin"},
        check=False,
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if "is not executable" not in line]
    assert said == []


def test_the_systemd_units_say_what_was_decided() -> None:
    """Every hour at its own minute, made up for; offline is no failure and is tried again; no profile is let in."""
    service, timer = systemd.service(ScheduledJob("/x/rotate-my-key", {})), systemd.timer(7)
    assert "\nExecStart=/x/rotate-my-key schedule run --daily rotate --all --yes --quiet --keep-old 7d\n" in service
    for line in ("SuccessExitStatus=75", "RestartForceExitStatus=75", "RestartSec=30min", "Nice=10"):
        assert f"\n{line}\n" in service
    unset = next(line for line in service.splitlines() if line.startswith("UnsetEnvironment="))
    assert {"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"} <= set(unset.partition("=")[2].split())
    for line in ("OnCalendar=*:07", "Persistent=true", "WantedBy=timers.target"):
        assert f"\n{line}\n" in timer


@everywhere
@environments
def test_the_plist_is_read_back_whole(program: str, environment: dict[str, str]) -> None:
    """plistlib reads every word, under launchd's own keys; it starts every hour and at login, at low priority."""
    agent = plistlib.loads(launchd.plist(ScheduledJob(program, environment)))
    assert agent["ProgramArguments"] == [program, "schedule", "run", "--daily", *ROTATE]
    assert agent.get("EnvironmentVariables", {}) == environment
    assert (agent["Label"], agent["StartInterval"], agent["RunAtLoad"]) == ("rotate-my-key", 3600, True)
    assert agent["ProcessType"] == "Background"
    assert {name: type(value) for name, value in agent.items()}.items() <= KEYS.items()
    assert (agent["Umask"], agent["Nice"]) == (0o077, 10)


@everywhere
def test_the_task_is_read_back_whole(program: str) -> None:
    """The XML is well-formed, for this user alone, without higher rights, and made up for when the computer was off."""
    text = windows.task(ScheduledJob(program, {}), "DOMAIN\\alice & co")
    root = ElementTree.fromstring(text.encode("utf-16"))  # noqa: S314  our own
    found = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
    assert found["Command"] == program
    assert found["Arguments"] == " ".join(["schedule", "run", "--daily", *ROTATE])
    assert found["UserId"] == "DOMAIN\\alice & co"
    assert (found["RunLevel"], found["LogonType"]) == ("LeastPrivilege", "InteractiveToken")
    assert (found["StartWhenAvailable"], found["DisallowStartIfOnBatteries"]) == ("true", "false")


@everywhere
@environments
def test_cron_runs_every_word_as_it_was(tmp_path: Path, program: str, environment: dict[str, str]) -> None:
    """The line's command, as cron hands it to sh, starts the program with its words and variables."""
    real = tmp_path / program.lstrip("/")
    real.parent.mkdir(parents=True)
    shows = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
    real.write_text(f"#!{sys.executable}\n{shows}\n")
    real.chmod(0o755)
    begin, line, end = cron.lines(ScheduledJob(str(real), environment), 17).decode().splitlines()
    assert begin.startswith("#") and end.startswith("#")
    minute, *stars, command = line.split(" ", 5)
    assert (minute, stars) == ("17", ["*"] * 4)
    command = command.replace("\\%", "\0")
    assert "%" not in command
    done = subprocess.run(["/bin/sh", "-c", command.replace("\0", "%")], capture_output=True, check=True, env={})
    arguments, seen = json.loads(done.stdout)
    assert arguments == ["schedule", "run", "--daily", *ROTATE]
    assert {name: seen.get(name) for name in environment} == environment


def test_a_command_that_cron_would_cut_off_is_refused() -> None:
    """Better no schedule than half a command."""
    with pytest.raises(Problem, match="too long for cron"):
        cron.lines(ScheduledJob("/" + "x" * 1000, {}), 1)


# What of the environment is written down


def test_only_what_moves_files_and_connections_is_written_down() -> None:
    """No key, no profile, no setting: those have files of their own. Paths are written as they were worked out. A
    proxy's password stays where it is, and whoever installs the schedule is told."""
    env = {
        "AWS_SHARED_CREDENTIALS_FILE": "~/keys",
        "AWS_PROFILE": "work",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "ROTATE_MY_KEY_MAX_AGE": "1d",
        "HTTPS_PROXY": "http://proxy:3128",
        "AWS_CA_BUNDLE": "/etc/ca.pem",
        "XDG_STATE_HOME": "",
        "PATH": "/bin",
    }
    made = job.make("/x", env, {"credentials": "/home/alice/keys", "config": "/home/alice/.aws/config"})
    assert made.environment == {
        "AWS_SHARED_CREDENTIALS_FILE": "/home/alice/keys",
        "HTTPS_PROXY": "http://proxy:3128",
        "AWS_CA_BUNDLE": "/etc/ca.pem",
    }
    env = {"HTTPS_PROXY": "http://alice:hunter2@proxy:3128", "NO_PROXY": "a"}
    assert job.make("/x", env, {}).environment == {"NO_PROXY": "a"}
    assert job.left_out(env) == ["HTTPS_PROXY"]


@pytest.mark.parametrize("bad", ["/a\nb", "/a\0b", "/a\x1b[0m"])
def test_what_would_break_a_line_is_refused(bad: str) -> None:
    """A line end in a path could start a second setting, or a second crontab line."""
    with pytest.raises(Problem, match="control character"):
        job.make(bad, {}, {})
    with pytest.raises(Problem, match="control character"):
        job.make("/x", {"AWS_CA_BUNDLE": bad}, {})
