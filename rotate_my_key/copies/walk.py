"""Reads files, many and fast, and tells which of them hold one of some words.

Follows no links, enters no other file system, opens nothing but regular files, and counts what it passes over. A file
costs three system calls: it is read into one buffer that serves all, and only what fills it is asked for its size.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property

from ..files import platform
from .forms import OVERLAP
from .names import GIT_STORES, SKIPPED_FOLDERS, is_left_out, is_telling

_BUFFER = 1 << 18
_LARGE = 1 << 20  # a binary file of more bytes than that is passed over
_HEAD = 8192  # bytes in which a binary file shows a zero, as git has it
_OPEN = platform.READ | platform.NO_FOLLOW
_TICK = 0.5  # seconds
_BOMS = (0xFF, 0xFE)
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


class Tally:
    """What a scan has read and passed over; `skipped` are folders and files by the reason."""

    def __init__(self) -> None:
        self.files = 0
        self.unreadable: list[str] = []
        self.skipped: dict[str, list[str]] = {}

    def skip(self, reason: str, path: str) -> None:
        """Note what is passed over."""
        self.skipped.setdefault(reason, []).append(path)


class Scanner:
    """Looks for words in files. `apart` are paths that are not read: our own state."""

    def __init__(
        self,
        words: Sequence[bytes],
        *,
        apart: Iterable[str] = (),
        tick: Callable[[int, str], None] = lambda files, folder: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._words = tuple(dict.fromkeys(words))
        self._apart = frozenset(os.path.realpath(path) for path in apart if path)
        self._apart_names = frozenset(os.path.basename(path) for path in self._apart)
        self._tick, self._clock = tick, clock
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._named: set[str] = set()
        self.tally = Tally()

    @cached_property
    def _wide(self) -> tuple[bytes, ...]:
        return tuple(wide for word in self._words for wide in _utf16(word))

    def files(self, paths: Iterable[str]) -> Iterator[str]:
        """Those of these files that hold a word, by their real paths, each read once; what is not there, or is no file,
        is no matter. What cannot be read is counted."""
        for path in paths:
            try:
                os.lstat(path)  # most are not there
                real = os.path.realpath(path)
                status = os.lstat(real)
            except OSError as error:
                if error.errno not in _ABSENT:
                    self.tally.unreadable.append(path)
                continue
            if real in self._named or not stat.S_ISREG(status.st_mode) or self._is_apart(real):
                continue
            self._named.add(real)
            if self._holds(real):
                yield real

    def tree(self, root: str, *, telling: bool = False) -> Iterator[str]:
        """The files below a folder that hold a word; with `telling` only of those whose names tell of settings."""
        try:
            device = os.stat(root).st_dev
        except OSError:
            self.tally.unreadable.append(root)
            return
        stack, told = [root], self._clock()
        while stack:
            folder = stack.pop()
            if self._clock() - told >= _TICK:
                told = self._clock()
                self._tick(self.tally.files, folder)
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_file(follow_symlinks=False):
                            if telling and not is_telling(entry.name):
                                continue
                            path = entry.path
                            if path not in self._named and self._holds(path) and not self._is_apart(path):
                                yield path
                        elif entry.is_dir(follow_symlinks=False) and self._enters(entry, device, telling):
                            stack.append(entry.path)
            except OSError:
                self.tally.unreadable.append(folder)

    def _enters(self, entry: os.DirEntry[str], device: int, telling: bool) -> bool:
        name, path = entry.name, entry.path
        if telling and is_left_out(name):
            self.tally.skip("read only if named", path)
        elif name in SKIPPED_FOLDERS or (name in GIT_STORES and os.path.basename(os.path.dirname(path)) == ".git"):
            self.tally.skip("holds no settings", path)
        elif entry.stat(follow_symlinks=False).st_dev != device:
            self.tally.skip("another file system", path)
        else:
            return not self._is_apart(path)
        return False

    def _is_apart(self, path: str) -> bool:
        return os.path.basename(path) in self._apart_names and os.path.realpath(path) in self._apart

    def _holds(self, path: str) -> bool:
        """Whether the file holds a word; one that cannot be read is counted."""
        try:
            fd = os.open(path, _OPEN)
        except FileNotFoundError:  # somebody has removed it just now
            return False
        except OSError:
            self.tally.unreadable.append(path)
            return False
        try:
            self.tally.files += 1
            count = _read(fd, self._view)
            if count == _BUFFER:
                return self._holds_long(fd, path)
            find = self._buffer.find
            for word in self._words:
                if find(word, 0, count) >= 0:
                    return True
            return count > 1 and self._buffer[0] in _BOMS and self._in_buffer(self._wide, count)
        except OSError:
            self.tally.unreadable.append(path)
            return False
        finally:
            os.close(fd)

    def _holds_long(self, fd: int, path: str) -> bool:
        """The same for a file that is longer than the buffer, which is full of its beginning."""
        if os.fstat(fd).st_size > _LARGE and self._buffer.find(0, 0, _HEAD) >= 0 and self._buffer[0] not in _BOMS:
            self.tally.skip("a large binary file", path)
            return False
        words = (*self._words, *self._wide) if self._buffer[0] in _BOMS else self._words
        count = _BUFFER
        while True:
            if self._in_buffer(words, count):
                return True
            self._view[:OVERLAP] = self._view[count - OVERLAP : count]
            more = _read(fd, self._view[OVERLAP:])
            if not more:
                return False
            count = OVERLAP + more

    def _in_buffer(self, words: Sequence[bytes], count: int) -> bool:
        return any(self._buffer.find(word, 0, count) >= 0 for word in words)


def _utf16(word: bytes) -> tuple[bytes, bytes]:
    text = word.decode("utf-8", "replace")
    return text.encode("utf-16-le"), text.encode("utf-16-be")


if sys.platform != "win32" and hasattr(os, "readv"):

    def _read(fd: int, into: memoryview) -> int:
        """Read into the buffer, without a copy."""
        return os.readv(fd, [into])

else:

    def _read(fd: int, into: memoryview) -> int:
        data = os.read(fd, len(into))
        into[: len(data)] = data
        return len(data)
