"""Reading a settings file's bytes. Apart from `ini`, so that a start without files need not import ConfigObj."""

from __future__ import annotations

from ..errors import Problem


def read(path: str, *, site: bool = False) -> bytes | None:
    """What is in the file; None if there is none. Raises Problem if it is there and cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(path, error, site=site) from None


def unreadable(path: str, error: OSError, *, site: bool) -> Problem:
    """The Problem for a file that the system does not let us read. `site`: only IT can mend it."""
    whose = "the site's settings cannot be read, tell your IT" if site else "your settings cannot be read"
    return Problem(f"{whose}: {path} ({error.strerror or error})", "rotate-my-key config path")
