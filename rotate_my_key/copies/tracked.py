"""Whether git tracks a file: what is tracked goes to others with the next push. Read from the index itself: to ask git
would be to run whatever a repository's settings tell it to.

The format: https://git-scm.com/docs/index-format (versions 2 to 4). What makes no sense counts as tracked.
"""

from __future__ import annotations

import os
import struct
from functools import lru_cache

_MOST = 256 << 20  # bytes


def is_tracked(path: str) -> bool:
    """Whether a file, by its real path, is in the index of the repository that it lies in. Raises OSError if that
    cannot be read."""
    folder = os.path.dirname(path)
    while True:
        git = os.path.join(folder, ".git")
        if _is_there(git):
            break
        if folder == (folder := os.path.dirname(folder)):
            return False
    names = _index(_git_dir(git))
    return names is None or os.fsencode(os.path.relpath(path, os.path.dirname(git)).replace(os.sep, "/")) in names


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


@lru_cache(maxsize=64)
def _index(git_dir: str) -> frozenset[bytes] | None:
    """All names in the index; None if it cannot be told."""
    try:
        with open(os.path.join(git_dir, "index"), "rb") as file:
            data = file.read(_MOST)
        return _names(data, 32 if _long_hashes(git_dir) else 20)
    except FileNotFoundError:
        return frozenset() if _is_there(os.path.join(git_dir, "HEAD")) else None
    except (ValueError, struct.error, IndexError):
        return None


def _long_hashes(git_dir: str) -> bool:
    common = os.path.join(git_dir, "commondir")  # of a worktree: where the repository is
    if os.path.exists(common):
        with open(common, encoding="utf-8", errors="surrogateescape") as file:
            git_dir = os.path.join(git_dir, file.read().strip())
    with open(os.path.join(git_dir, "config"), "rb") as file:
        return b"sha256" in file.read().lower()


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
            cut, at = _offset(data, at)
            end = data.index(0, at)
            name = name[: len(name) - cut] + data[at:end]
            at = end + 1
        else:
            end = data.index(0, at)
            name = data[at:end]
            at = start + (end - start + 8) // 8 * 8
        names.add(name)
    return None if data[at : at + 4] == b"link" else frozenset(names)  # a split index: most names are elsewhere


def _offset(data: bytes, at: int) -> tuple[int, int]:
    """The number that git writes seven bits a byte, as in its packs; and where it ends."""
    value = data[at] & 0x7F
    while data[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 0x7F)
    return value, at + 1
