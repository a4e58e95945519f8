"""TAB in real shells: bash, zsh and fish, set up by `completion install`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pexpect
import pytest

from rotate_my_key.cli.table import GROUPS

ROOT = Path(__file__).parents[2]
SHELLS = ("bash", "zsh", "fish")
KEY = "aws_access_key_id = AKIA\n"
VARIABLE = "_ROTATE_MY_KEY_COMPLETE"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A home with profiles of all kinds of names, and the program on PATH."""
    aws = tmp_path / ".aws"
    aws.mkdir()
    (aws / "credentials").write_text(f"[default]\n{KEY}[work]\n{KEY}[with blank]\n{KEY}", "utf-8")
    kept = "credential_process = rotate-my-key credentials --profile sandbox\n"
    (aws / "config").write_text(
        f"[default]\n[profile sandbox]\n{kept}[sso-session x]\n[profile work]\n"
        "[profile sso]\nsso_session = x\n[profile proc]\ncredential_process = op aws\n[profile ro]\nrole_arn = x\n",
        "utf-8",
    )
    program = tmp_path / "bin/rotate-my-key"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rotate_my_key "$@"\n')
    program.chmod(0o755)
    return {
        "HOME": str(tmp_path),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
    }


def offered(env: dict[str, str], *words: str, kind: str = "bash") -> list[str]:
    """What the program offers for the last of these words."""
    line = ["rotate-my-key", *words]
    asked = {"COMP_WORDS": "\n".join(line), "COMP_CWORD": str(len(words)), VARIABLE: f"{kind}_complete"}
    if kind == "fish":
        asked |= {"COMP_WORDS": " ".join(line), "COMP_CWORD": words[-1]}
    done = subprocess.run(["rotate-my-key"], env={**env, **asked}, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [row.split(",")[1].split("\t")[0] for row in done.stdout.splitlines() if row]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ro",), ["rotate"]),
        (("rotate", "-p", ""), ["default", "work", "sandbox"]),
        (("rotate", "--profile", "w"), ["work"]),
        (("status", "-p", "s"), ["sandbox", "sso"]),
        (("rotate", "--auth-profile", "s"), ["sandbox", "sso"]),
        (("adopt", "-p", "p"), ["proc"]),
        (("-p", "s"), ["sandbox"]),
        (("-v", "status", "-p", "sa"), ["sandbox"]),
        (("rotate", "--auth-profile", "w"), ["work"]),
        (("--fo",), ["--force"]),
        (("rotate", "--keep"), ["--keep-old"]),
        (("config", "get", "minimum"), ["minimum_version"]),
        (("rotate", "-p", "nobody"), []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_offered(env: dict[str, str], words: Sequence[str], expected: list[str]) -> None:
    """Commands, options, settings, and the profiles of both files that the command can do something for, each once;
    without a command it is rotate's."""
    assert offered(env, *words) == expected


def test_names_with_blanks_are_offered_where_the_shell_quotes_them(env: dict[str, str]) -> None:
    """bash would put in two words. Files that cannot be read offer nothing, and nothing is said: it would stand in the
    middle of the command line."""
    assert "with blank" in offered(env, "rotate", "-p", "", kind="fish")
    assert "with blank" not in offered(env, "rotate", "-p", "")
    Path(env["HOME"], ".aws/credentials").write_bytes(b"\xff\xfe")
    assert offered(env, "rotate", "-p", "") == ["sandbox"]


def test_the_ids_that_delete_key_takes_are_offered(env: dict[str, str]) -> None:
    """Those that `status` last saw at a user of this computer's and that no profile here has; no network is needed."""
    state = Path(env["HOME"], ".local/state/rotate-my-key")
    state.mkdir(parents=True, mode=0o700)
    others = [
        {"key_id": key_id, "status": "Inactive", "created": "2026-02-04"} for key_id in ("AKIASECOND", "AKIAMINE")
    ]
    rows = [{"key_id": "AKIAMINE", "user": "alice", "others": others}]
    (state / "status.json").write_text(json.dumps({"version": 1, "files": {}, "rows": rows}))
    assert offered(env, "delete-key", "") == ["AKIASECOND"]
    assert offered(env, "delete-key", "AKIAM") == []


def test_tab_loads_no_sdk(env: dict[str, str]) -> None:
    """Neither boto3 nor botocore, which would take a second on a slow computer."""
    asked = {"COMP_WORDS": "rotate-my-key rotate -p ", "COMP_CWORD": "3", VARIABLE: "bash_complete"}
    command = [sys.executable, "-X", "importtime", "-m", "rotate_my_key"]
    done = subprocess.run(command, env={**env, **asked}, capture_output=True, text=True, check=True)
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert not loaded & {"boto3", "botocore", "urllib3", "keyring", "rich", "configobj"}


def run(env: dict[str, str], *words: str) -> str:
    """The program; gives what it prints."""
    done = subprocess.run(["rotate-my-key", *words], env=env, capture_output=True, text=True, check=True)
    return done.stdout


RC_FILES = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}
START = {"bash": ["bash", "-i"], "zsh": ["zsh", "-i"]}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_completes_a_profile(shell: str, env: dict[str, str]) -> None:
    """After `completion install` a person types the beginning of a profile's name and TAB: the rest appears."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed: its completion is untested here")
    rc_file = Path(env["HOME"], RC_FILES[shell])
    rc_file.parent.mkdir(parents=True, exist_ok=True)
    rc_file.write_text('PS1="> "\n' if shell != "fish" else "")
    run(env, "completion", "install", "--shell", shell)
    if shell == "fish":  # it can be asked what it would offer
        asked = "; ".join(f"complete -C 'rotate-my-key {words}'" for words in ("rotate -p sa", "keyring s", "rot"))
        done = subprocess.run(["fish", "-ic", asked], env=env, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [
            "sandbox",
            "store\tMove a profile's key into the keyring.",
            f"rotate\t{GROUPS['Start here']['rotate']}",
        ]
        return
    command = START[shell]
    with pexpect.spawn(command[0], command[1:], env=env, timeout=30, encoding="utf-8", dimensions=(24, 200)) as child:
        child.expect("> ")
        child.send("rotate-my-key rotate -p sa\t")
        child.expect("sandbox")
        child.close(force=True)


def test_it_is_set_up_once_and_taken_out_again(env: dict[str, str]) -> None:
    """Beside the reminder's block, which stays; byte for byte, with the script."""
    rc_file = Path(env["HOME"], ".bashrc")
    rc_file.write_bytes(b"# mine, without an end")
    run(env, "reminder", "install", "--shell", "bash")
    before = rc_file.read_bytes()
    for told in ("Added to", "Already in"):
        assert told in run(env, "completion", "install", "--shell", "bash")
    assert before in rc_file.read_bytes() != before
    assert "Removed from" in run(env, "completion", "uninstall")
    assert rc_file.read_bytes() == before
    assert not list(Path(env["HOME"], ".local/state/rotate-my-key/completion").iterdir())
    assert "not installed" in run(env, "completion", "uninstall")


def test_powershell_asks_line_by_line(env: dict[str, str]) -> None:
    """Its script gives the words and the one that is typed, and gets a line for each offer."""
    assert "Register-ArgumentCompleter -Native -CommandName rotate-my-key" in run(
        env, "completion", "show", "--shell", "powershell"
    )
    asked = {"COMP_WORDS": "rotate-my-key\nrotate\n-p\nsa", "COMP_CWORD": "sa", VARIABLE: "powershell_complete"}
    assert run({**env, **asked}) == "sandbox\t\n"
