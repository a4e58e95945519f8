"""Files of the user that are only looked at: what is wrong with one, what stands in it, whether git tracks it.

Nothing but a regular file is ever waited for: a pipe may never be written to, a device never ends. Only the null device
is let through: to every SDK it is an empty file, and people name it to say "none".

Whether git tracks a file is read from its index itself: to ask git would be to run whatever a repository's settings
tell it to. The format: https://git-scm.com/docs/index-format (versions 2 to 4). What makes no sense counts as tracked.
The repository is the nearest `.git` above the file, or one of those that have a whole home as their work tree. Paths
are real paths there, and OSError is raised where something of that cannot be read."""

from __future__ import annotations

import os
import shlex
import stat
import struct
from functools import lru_cache
from typing import NamedTuple

from ..core.errors import Problem
from . import platform

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def oddity(path: str) -> str:
    """What is wrong with something that is there and is no regular file, or ""; follows links. Opens nothing."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        link = next((each for each in (path, os.path.dirname(path)) if os.path.islink(each)), "")
        return "is not a regular file: the link leads nowhere" if link and not os.path.exists(link) else ""
    except OSError:
        return ""  # whoever opens it is told why
    if stat.S_ISREG(mode) or is_null(path):
        return ""
    return f"is not a regular file but {_KINDS.get(stat.S_IFMT(mode), 'a device')}"


def is_null(path: str) -> bool:
    """Whether it is the null device, by whatever name."""
    return os.path.realpath(path) == os.devnull


def refuse_odd(path: str, hint: str = "", shown: str = "") -> None:
    """Raises Problem for what is there and is no regular file; without `hint` with a command that shows what it is."""
    if odd := oddity(path):
        there = path if os.path.lexists(path) else os.path.dirname(path)
        raise Problem(f"{shown or path} {odd}", hint or f"ls -ld {shlex.quote(there)}")


def read_start(path: str, most: int = 1 << 20) -> bytes:
    """The beginning of a file that is only looked at; nothing of what cannot be read, or is no file."""
    try:
        refuse_odd(path)
        with open(path, "rb") as file:
            return file.read(most)
    except (OSError, Problem):
        return b""


def read_regular(path: str, hint: str = "", most: int = -1) -> bytes:
    """The bytes of a file that a person named, `most` of them. Raises Problem, with `hint` if it is no regular file."""
    refuse_odd(path, hint)
    with platform.explained("read", path), open(os.open(path, platform.READ), "rb") as file:
        return file.read(most)


# Git

_LARGEST_INDEX = 256 << 20  # bytes
# yadm's (https://yadm.io), before and since 3.0, and what is usual for a bare one with the home as its work tree.
_OF_A_HOME = (".local/share/yadm/repo.git", ".config/yadm/repo.git", ".dotfiles", ".cfg", ".dotfiles.git")
PUBLIC = "tracked by git in a repository with a remote: the next push gives the key to anyone who can read it"


class Repository(NamedTuple):
    """A repository that tracks a file: where it is, the folder that it keeps, and the file's name there."""

    git_dir: str
    folder: str
    name: str

    @property
    def has_remote(self) -> bool:
        """Whether somebody may push it."""
        return b'[remote "' in _settings(self.git_dir)


def is_tracked(path: str) -> bool:
    """Whether a file is in the index of the repository that it lies in."""
    return tracking(path) is not None


def tracking(path: str) -> Repository | None:
    """The repository that tracks the file."""
    folder = path
    while folder != (folder := os.path.dirname(folder)):
        git = os.path.join(folder, ".git")
        bare = (os.path.join(folder, *name.split("/")) for name in _OF_A_HOME)
        git_dir = _git_dir(git) if _is_there(git) else next((each for each in bare if _is_bare(each)), None)
        if git_dir:
            found = Repository(git_dir, folder, os.path.relpath(path, folder).replace(os.sep, "/"))
            names = _index(git_dir)
            return found if names is None or os.fsencode(found.name) in names else None
    return None


def _is_bare(path: str) -> bool:
    return os.path.isfile(os.path.join(path, "HEAD"))


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _git_dir(git: str) -> str:
    """`.git`, or where it points: in worktrees and submodules it is a file that says `gitdir: PATH`."""
    try:
        with open(git, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(4096).strip()
    except (IsADirectoryError, PermissionError):  # which of them a folder gives depends on the system
        return git
    return os.path.join(os.path.dirname(git), text.removeprefix("gitdir:").strip())


def _index(git_dir: str) -> frozenset[bytes] | None:
    """All names in the index; None if it cannot be told."""
    path = os.path.join(git_dir, "index")
    try:
        status = os.stat(path)
        return _names_in(path, status.st_mtime_ns, 32 if b"sha256" in _settings(git_dir) else 20)
    except FileNotFoundError:
        return frozenset() if _is_there(os.path.join(git_dir, "HEAD")) else None
    except (ValueError, struct.error, IndexError):
        return None


@lru_cache(maxsize=64)
def _names_in(path: str, _changed: int, hash_size: int) -> frozenset[bytes] | None:
    with open(path, "rb") as file:
        return _names(file.read(_LARGEST_INDEX), hash_size)


def _settings(git_dir: str) -> bytes:
    common = os.path.join(git_dir, "commondir")  # of a worktree: where the repository is
    if os.path.exists(common):
        with open(common, encoding="utf-8", errors="surrogateescape") as file:
            git_dir = os.path.join(git_dir, file.read().strip())
    with open(os.path.join(git_dir, "config"), "rb") as file:
        return file.read().lower()


def _names(data: bytes, hash_size: int) -> frozenset[bytes] | None:
    magic, version, count = struct.unpack_from(">4sII", data)
    if magic != b"DIRC" or version not in (2, 3, 4):
        return None
    names, at, name = set(), 12, b""
    for _ in range(count):
        start = at
        (flags,) = struct.unpack_from(">H", data, at + 40 + hash_size)
        at += 42 + hash_size + (2 if flags & 0x4000 else 0)
        if version == 4:
            # The number that git writes seven bits a byte, as in its packs; and where it ends
            value = data[at] & 0x7F
            while data[at] & 0x80:
                at += 1
                value = ((value + 1) << 7) | (data[at] & 0x7F)
            cut, at = value, at + 1
            end = data.index(0, at)
            name = name[: len(name) - cut] + data[at:end]
            at = end + 1
        else:
            end = data.index(0, at)
            name = data[at:end]
            at = start + (end - start + 8) // 8 * 8
        names.add(name)
    return None if data[at : at + 4] == b"link" else frozenset(names)  # a split index: most names are elsewhere
