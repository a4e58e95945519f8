"""Where the program is, by a path that is still right after an upgrade."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping

from ..errors import Problem
from .job import NAME


def find(env: Mapping[str, str], home: str, prefix: str = sys.prefix, platform: str = sys.platform) -> str:
    """The link or launcher that starts this very installation (`prefix` is its environment), absolute.

    install.sh makes a new environment for each version and a link that stays (~/.local/bin, PREFIX/bin); pipx and uv
    keep the environment. Raises Problem if this program was not installed.
    """
    name = f"{NAME}.exe" if platform == "win32" else NAME
    paths = [os.path.join(folder, name) for folder in _folders(env, home, prefix)]
    found = [path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)]
    mine = os.path.join(os.path.realpath(prefix), "")
    for path in found:
        if os.path.realpath(path).startswith(mine) and not os.path.abspath(path).startswith(mine):
            return path
    inside = [path for path in found if os.path.realpath(path).startswith(mine)]
    if not inside and not found:
        raise Problem(f"cannot tell which program to start: {NAME} is not installed", "./install.sh")
    return (inside or found)[0]


def _folders(env: Mapping[str, str], home: str, prefix: str) -> Iterator[str]:
    for folder in env.get("PATH", "").split(os.pathsep):
        if os.path.isabs(folder):
            yield folder
    yield os.path.join(home, ".local", "bin")
    yield os.path.normpath(os.path.join(prefix, "..", "..", "..", "bin"))  # PREFIX/lib/rotate-my-key/venv-...
    yield os.path.join(prefix, "Scripts" if os.name == "nt" else "bin")
