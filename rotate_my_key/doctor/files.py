"""Who may read and change the profile files, and whether there is room to write. POSIX; Windows keeps its own lists."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from ..files import platform
from ..profiles.file import SECRET
from . import remedies
from .computer import Computer
from .finding import Finding, Level, Where

ROOM = 1 << 16  # bytes; notes, staged pairs and a copy of a profile file need less
_OTHERS_READ, _OTHERS_WRITE = 0o077, 0o022


def check(computer: Computer) -> Iterator[Finding]:
    """Home, the folders of the two files, and the files themselves."""
    yield from _home(computer)
    paths = [path for path in computer.files_named if path and os.path.exists(path)]
    if computer.posix:
        for folder in dict.fromkeys(os.path.dirname(p) for path in paths for p in (path, os.path.realpath(path))):
            yield from _folder(computer, folder)
        for path in paths:
            yield from _file(computer, path)
    yield from _room(computer, [os.path.dirname(os.path.realpath(path)) for path in paths])


def _home(computer: Computer) -> Iterator[Finding]:
    """Programs look for ~/.aws in HOME; started with sudo, it may still be another person's."""
    given, home = computer.env.get("HOME", ""), computer.paths.home
    where = Where(variable="HOME")
    if computer.posix and not os.path.isabs(given):
        what = f"is {given!r}, not an absolute path" if given else "is not set"
        message = f"HOME {what}, so programs disagree where ~/.aws is"
        yield Finding(Level.WARNING, "home", message, f"export HOME={computer.word(home)}".replace("~", home), where)
    if not os.path.isdir(home):
        message = f"HOME is {home}, which is no folder"
        remedy = 'export HOME="$(getent passwd "$(id -un)" | cut -d: -f6)"'
        yield Finding(Level.BROKEN, "home", message, remedy, where)
    elif computer.posix and os.stat(home).st_uid != platform.my_uid():
        message = f"HOME is {home}, which belongs to another user (uid {os.stat(home).st_uid})"
        yield Finding(Level.BROKEN, "foreign-home", message, "sudo -H rotate-my-key doctor", where)


def _folder(computer: Computer, path: str) -> Iterator[Finding]:
    mode = os.stat(path).st_mode
    if mode & _OTHERS_WRITE and not mode & stat.S_ISVTX:
        message = f"others on this computer can replace the files in {computer.show(path)}"
        yield Finding(Level.BROKEN, "folder-mode", message, remedies.chmod(computer, "go-w", path), Where(path))


def _file(computer: Computer, path: str) -> Iterator[Finding]:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        return
    if status.st_uid != platform.my_uid():
        yield _foreign(computer, path, status.st_uid)
    elif status.st_mode & _OTHERS_READ and _holds_secrets(path):
        what = "changed" if status.st_mode & _OTHERS_WRITE else "read"
        message = f"{computer.show(path)} holds secrets and can be {what} by others on this computer"
        remedy = remedies.mount(computer, path) or remedies.chmod(computer, "600", path)
        yield Finding(Level.BROKEN, "file-mode", message, remedy, Where(path))


def _foreign(computer: Computer, path: str, owner: int) -> Finding:
    """What sudo left is taken back. Any other owner keeps theirs: the file may be mounted from another computer, or
    from the host of a container, and root can change it as it is."""
    message = f"{computer.show(path)} belongs to another user (uid {owner})"
    look = remedies.mount(computer, path) or f"ls -ln {computer.word(path)}"
    if platform.my_uid() == 0:
        return Finding(Level.WARNING, "foreign-file", f"{message}; a rotation leaves it theirs", look, Where(path))
    remedy = look if owner or "findmnt" in look else remedies.own(computer, path)
    return Finding(Level.BROKEN, "foreign-file", message, remedy, Where(path))


def _holds_secrets(path: str) -> bool:
    """A config file without a key may be read by anybody. Also told of a file that cannot be parsed, whatever it is."""
    try:
        with open(path, "rb") as file:
            return SECRET.encode() in file.read().replace(b"\0", b"").lower()
    except OSError:
        return True


def _room(computer: Computer, folders: list[str]) -> Iterator[Finding]:
    """A rotation writes beside the profile files and into the state folder."""
    for folder in dict.fromkeys([*folders, existing(computer.paths.state_dir)]):
        room = computer.free(folder)
        if room is not None and room < ROOM:
            message = f"the disk under {computer.show(folder)} is full ({room} bytes left)"
            yield Finding(Level.BROKEN, "disk-full", message, f"df -h {computer.word(folder)}", Where(folder))


def existing(path: str) -> str:
    """The folder itself, or the nearest one above it that is there."""
    while not os.path.lexists(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
