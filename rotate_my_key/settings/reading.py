"""Reading a settings file's bytes. Apart from `ini`, so that a start without files need not import ConfigObj."""

from __future__ import annotations

import os
import stat

from ..errors import Problem
from ..faults import shortage

LARGEST = 10**6  # bytes
_HINT = "rotate-my-key config path"


def read(path: str, *, site: bool = False, hint: str = _HINT) -> bytes | None:
    """What is in the file; None if there is none. Raises Problem, with `hint`, if it is there and cannot be read, is no
    regular file (a pipe would be waited for, a device never ends), or is larger than anybody writes."""
    try:
        if why := oversized(path):
            raise OSError(0, why)
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise shortage(error) or unreadable(path, error, site=site, hint=hint) from None


def oversized(path: str) -> str:
    """Why something is no file to be read whole, or "". Raises OSError."""
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        return "a folder, not a file" if stat.S_ISDIR(found.st_mode) else "no regular file"
    return f"larger than {LARGEST // 10**6} MB" if found.st_size > LARGEST else ""


def unreadable(path: str, error: OSError, *, site: bool, hint: str = _HINT) -> Problem:
    """The Problem for a file that the system does not let us read. `site`: only IT can mend it."""
    whose = "the site's settings cannot be read, tell your IT" if site else "your settings cannot be read"
    return Problem(f"{whose}: {path} ({error.strerror or error})", hint)
