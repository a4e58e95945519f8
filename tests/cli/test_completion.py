"""TAB in real shells: bash, zsh and fish, set up as docs/completion.md says."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pexpect
import pytest

ROOT = Path(__file__).parents[2]
SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_ROTATE_MY_KEY_COMPLETE"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A home with profiles of all kinds of names, and the program on PATH."""
    aws = tmp_path / ".aws"
    aws.mkdir()
    (aws / "credentials").write_text("[default]\n[work]\naws_access_key_id = AKIA\n[with blank]\n", "utf-8")
    (aws / "config").write_text("[default]\n[profile sandbox]\n[sso-session x]\n[profile work]\n", "utf-8")
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
        (("-p", "s"), ["sandbox"]),
        (("-v", "status", "-p", "s"), ["sandbox"]),
        (("rotate", "--auth-profile", "w"), ["work"]),
        (("--fo",), ["--force"]),
        (("rotate", "--keep"), ["--keep-old"]),
        (("config", "get", "minimum"), ["minimum_version"]),
        (("rotate", "-p", "nobody"), []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_offered(env: dict[str, str], words: Sequence[str], expected: list[str]) -> None:
    """Commands, options, the settings, and the profiles of both files, each once; without a command it is rotate's."""
    assert offered(env, *words) == expected


def test_names_with_blanks_are_offered_where_the_shell_quotes_them(env: dict[str, str]) -> None:
    """bash would put in two words."""
    assert "with blank" in offered(env, "rotate", "-p", "", kind="fish")
    assert "with blank" not in offered(env, "rotate", "-p", "")


def test_files_that_cannot_be_read_offer_nothing(env: dict[str, str]) -> None:
    """And nothing is said: it would stand in the middle of the command line."""
    Path(env["HOME"], ".aws/credentials").write_bytes(b"\xff\xfe")
    assert offered(env, "rotate", "-p", "") == ["default", "sandbox", "work"]


def test_tab_loads_no_sdk(env: dict[str, str]) -> None:
    """Neither boto3 nor botocore, which would take a second on a slow computer."""
    asked = {"COMP_WORDS": "rotate-my-key rotate -p ", "COMP_CWORD": "3", VARIABLE: "bash_complete"}
    command = [sys.executable, "-X", "importtime", "-m", "rotate_my_key"]
    done = subprocess.run(command, env={**env, **asked}, capture_output=True, text=True, check=True)
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert not loaded & {"boto3", "botocore", "urllib3", "keyring", "rich", "configobj"}


def set_up(shell: str, env: dict[str, str]) -> list[str]:
    """As docs/completion.md says; gives how to start the shell."""
    home = Path(env["HOME"])
    source = f"{VARIABLE}={shell}_source rotate-my-key"
    if shell == "fish":
        folder = home / ".config/fish/completions"
        folder.mkdir(parents=True)
        (folder / "rotate-my-key.fish").write_text(f"{source} | source\n")
        return ["fish", "--private"]
    if shell == "zsh":
        (home / ".zshrc").write_text(f'autoload -U compinit; compinit -u\neval "$({source})"\nPS1="> "\n')
        return ["zsh", "-i"]
    (home / ".bashrc").write_text(f'eval "$({source})"\nPS1="> "\n')
    return ["bash", "--rcfile", str(home / ".bashrc"), "-i"]


@pytest.mark.skipif(sys.platform == "win32", reason="no such shells")
@pytest.mark.parametrize("shell", SHELLS)
def test_a_real_shell_completes_a_profile(shell: str, env: dict[str, str]) -> None:
    """A person types the beginning of a profile's name and TAB: the rest appears."""
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed: its completion is untested here")
    command = set_up(shell, env)
    if shell == "fish":  # it can be asked what it would offer
        done = subprocess.run(
            ["fish", "-c", "complete -C 'rotate-my-key rotate -p sa'"],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["sandbox"]
        return
    with pexpect.spawn(command[0], command[1:], env=env, timeout=30, encoding="utf-8", dimensions=(24, 200)) as child:
        child.expect("> ")
        child.send("rotate-my-key rotate -p sa\t")
        child.expect("sandbox")
        child.close(force=True)
