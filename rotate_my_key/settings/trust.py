"""Whether the site's settings were put there by whoever runs this computer.

A file that anybody else could have written, replaced or moved into place could switch things for every user here, so
each folder from the top down, each link on the way and the file itself must belong to root (Administrators or the
system on Windows) and be writable by no one else. Only looks; whoever asks decides what follows.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress


def objection(path: str, owner: int = 0, top: str = "/") -> str:
    """Why the file does not count, in words, or "" if it does. `path` is absolute.

    Folders above `top` are not looked at. Raises OSError if there is no such file or it cannot be looked at.
    """
    with suppress(PermissionError):  # then the way there tells why
        os.lstat(path)
    if sys.platform == "win32":
        from . import windows

        return windows.objection(path)
    mode = 0
    for here in _on_the_way(path):
        if top.startswith(here.rstrip("/") + "/") and here != top:
            continue
        state = os.lstat(here)
        if state.st_uid != owner:
            return f"{here} belongs to uid {state.st_uid}, not to {'root' if owner == 0 else f'uid {owner}'}"
        mode = state.st_mode
        if not stat.S_ISLNK(mode) and mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"{here} can be written by others"
    return "" if stat.S_ISREG(mode) else f"{path} is not a regular file"


def _on_the_way(path: str) -> Iterator[str]:
    """Every folder, link and file that is passed from `/` to the file, links followed one by one."""
    done, links = "/", 0
    todo = path.split("/")[::-1]
    yield done
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        here = os.path.dirname(done) if part == ".." else os.path.join(done, part)
        yield here
        if not os.path.islink(here):
            done = here
            continue
        links += 1
        if links > 40:  # as many as Linux follows
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(here)
        todo += target.split("/")[::-1]
        done = "/" if target.startswith("/") else done


def own_objection(path: str, uid: int) -> str:
    """Why a file is not this user's alone, or "": it is run as a program, so nobody else may have written it or put it
    there. Each folder and link on the way belongs to the user or root; a folder that all may write has the sticky bit.

    Windows keeps a user's own folders to that user by itself, so there nothing is looked at. Raises OSError.
    """
    if sys.platform == "win32":
        return ""
    state = os.lstat(path)
    for here in _on_the_way(os.path.abspath(path)):
        state = os.lstat(here)
        if state.st_uid not in (uid, 0):
            return f"{here} belongs to uid {state.st_uid}, not to you"
        shared = state.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(state.st_mode)
        if shared and not (stat.S_ISDIR(state.st_mode) and state.st_mode & stat.S_ISVTX):
            return f"{here} can be written by others"
    if not stat.S_ISREG(state.st_mode) or state.st_uid != uid:
        return f"{path} is not a file of yours"
    return ""
