"""Reading a settings file's bytes. Apart from `ini`, so that a start without files need not import ConfigObj."""

from __future__ import annotations

from ..errors import Problem

_HINT = "rotate-my-key config path"


def read(path: str, *, site: bool = False, hint: str = _HINT) -> bytes | None:
    """What is in the file; None if there is none. Raises Problem, with `hint`, if it is there and cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error, site=site, hint=hint) from None


def unreadable(path: str, error: OSError, *, site: bool, hint: str = _HINT) -> Problem:
    """The Problem for a file that the system does not let us read. `site`: only IT can mend it."""
    whose = "the site's settings cannot be read, tell your IT" if site else "your settings cannot be read"
    return Problem(f"{whose}: {path} ({error.strerror or error})", hint)
