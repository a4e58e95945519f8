"""Consoles and pipes without UTF-8: a Windows code page, plain ASCII. Nothing crashes, and JSON stays JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # seconds each, all together

ROOT = Path(__file__).parents[2]
NAME = "d\u00e9veloppement-\u5de5\u4f5c"  # in cp1252 by halves


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A home with a profile whose name no code page holds; AWS is nowhere."""
    (tmp_path / ".aws").mkdir(mode=0o700)
    key = "aws_access_key_id = AKIAEXAMPLEEXAMPLE00\naws_secret_access_key = x\n"
    (tmp_path / ".aws/credentials").write_text(f"[{NAME}]\n{key}", "utf-8")
    return {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "0",
        "AWS_PROFILE": NAME,
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "LC_ALL": "C.UTF-8",
    }


WORDS = [
    "--help",
    "rotate --help",
    f"rotate -p {NAME}?",
    "status --cached",
    "config show",
    "history",
    "rotate --yes",
    "status",
    "status --json",
    "doctor",
    "doctor --json",
]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("words", WORDS)
def test_what_a_console_cannot_show_is_spelled_out(env: dict[str, str], encoding: str, words: str) -> None:
    """An ordinary exit code, no traceback, no fault of the program; JSON can be read and has the name whole."""
    command = [sys.executable, "-m", "rotate_my_key", *words.split()]
    env["PYTHONIOENCODING"] = encoding
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    said = done.stdout + done.stderr
    assert b"Traceback" not in said
    assert b"internal error in rotate-my-key" not in said
    assert b"Unicode" not in said
    assert done.returncode in (0, 1, 5, 75)
    if "--json" in words:
        assert NAME in json.dumps(json.loads(done.stdout.decode(encoding)), ensure_ascii=False)
