"""Libraries that not everybody has: with which command one comes along depends on how this program was installed."""

from __future__ import annotations

import re
import sys

_INSTALL = dict.fromkeys(("apprise", "jinja2"), "./install.sh --with fleet")


def how_to_get(library: str, prefix: str = sys.prefix) -> str:
    """The command that brings the library to the environment in `prefix`."""
    folders = prefix.replace("\\", "/").lower()
    if "/pipx/" in folders:
        return f"pipx inject rotate-my-key {library}"
    if "/uv/tools/" in folders:
        return f"uv tool install --with {library} rotate-my-key"
    if re.search(r"/rotate-my-key/venv-[^/]+$", folders):  # as install.sh names it; pip is not there any more
        return _INSTALL.get(library, "./install.sh")
    return f"{sys.executable} -m pip install {library}"
