"""`scan` beside `grep -rF` over the same 200,000 files, with the same folders left out."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Mapping

from .measure import Command, in_turns, table

_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # AWS's own example
_ID = "AKIAIOSFODNN7EXAMPLE"
_FOLDERS, _EACH = 2000, 100
_EXCLUDED = ("node_modules", "__pycache__", "objects", "lfs", "modules", ".snapshots", ".Trash", "lost+found")


def plant(root: str) -> None:
    """Files as in people's projects: most of them small, some with 100 KB, one with a key, some not to be entered."""
    chance = random.Random(1)  # noqa: S311 (the same tree each time)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz(){}=_ ", k=chance.randint(3, 60))) for _ in range(9000)]
    text = "\n".join(words).encode()
    for number in range(_FOLDERS):
        inner = "node_modules" if number % 40 == 0 else "src"
        folder = os.path.join(root, f"project{number // 50}", f"part{number % 50}", inner)
        os.makedirs(folder)
        for each in range(_EACH):
            size = min(len(text), int(chance.paretovariate(1.1) * 700))
            start = chance.randrange(len(text) - size + 1)
            with open(os.path.join(folder, f"file{each}.txt"), "wb") as file:
                file.write(text[start : start + size])
    with open(os.path.join(root, "project1", ".env"), "w", encoding="ascii") as file:
        file.write(f"AWS_ACCESS_KEY_ID={_ID}\nAWS_SECRET_ACCESS_KEY={_SECRET}\n")


def scan(tool: str, base: Mapping[str, str], turns: int) -> None:
    """Both read what the system has in its cache by then: the first round is not counted."""
    home, root = tempfile.mkdtemp(), tempfile.mkdtemp()
    try:
        plant(root)
        os.makedirs(f"{home}/.aws")
        with open(f"{home}/.aws/credentials", "w", encoding="ascii") as file:
            file.write(f"[default]\naws_access_key_id = {_ID}\naws_secret_access_key = {_SECRET}\n")
        env = {**base, "HOME": home}
        without = [f"--exclude-dir={name}" for name in _EXCLUDED]
        commands = [
            Command("rotate-my-key scan TREE", [tool, "scan", root], lambda: env),
            Command("grep -rF ID and SECRET", ["grep", "-rlF", *without, "-e", _ID, "-e", _SECRET, root], lambda: env),
        ]
        table("200,000 files", in_turns(commands, turns), {"rotate-my-key scan TREE": 2.0})
    finally:
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)
