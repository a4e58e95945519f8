"""Where a key is on this computer besides its profile: the files that `rotate` reads, those that `scan` reads, and the
processes that hold it.

Without being told where, both read the files in which programs are known to keep keys (`known.txt`); `scan` also reads
what the names of others tell. Nothing else is read.

Files are read many and fast: no link is followed, no other file system entered, nothing but regular files opened, and
what is passed over is counted. What scans have found is remembered, paths with key ids, never a value."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import NamedTuple

from ..core.errors import Problem
from ..core.hints import quoted
from ..core.model import Credentials
from ..core.parallel import Running
from ..files import platform
from ..files.paths import Paths
from ..files.write import make_private_dir, read_private, snapshot, write_private
from ..state.records import Form
from .change import Copy, Why, judge, swap, unreadable
from .forms import OVERLAP, Forms

# Names of files that hold settings, anywhere in a home; a rotation does not need them.
_TELLING = (
    r"\.?env(rc)?([.-].*)?|.*\.env(rc)?|\.\w*rc|\.r(environ|profile)|\.secrets?|\.vars|conf(ig)?(\.local)?",
    r".*\.(tf|tfvars(\.json)?|tfstate(\..*)?|hcl|tfbackend|ipynb|https?|rest|s3cfg|boto|kubeconfig|properties)",
    r"(docker-)?compose.*\.ya?ml|serverless.*\.(ya?ml|json|ts|js)|samconfig.*|values.*\.ya?ml|kubeconfig.*",
    r".*secrets?.*\.(ya?ml|json|toml|ini|txt)|application.*\.ya?ml|(appsettings|local\.settings).*\.json|.*\.run\.xml",
    r".*(settings|config).*\.(py|jsonc?|jsx?|ts|ya?ml|toml|ini|php|rb|xml)|wp-config\.php|.*\.(cfg|conf)",
    r".*credentials?.*|.*accesskeys.*\.csv|rootkey\.csv|\.?(npmrc|netrc|pypirc|dockercfg)|_netrc",
    r"dockerfile.*|makefile|justfile|jenkinsfile|vagrantfile|procfile|workspace\.xml|(launch|tasks)\.json",
    r"\.gitlab-ci\.yml|\.travis\.yml|bitbucket-pipelines\.yml|.*\.postman_.*\.json|insomnia.*\.(json|ya?ml)",
    r".*\.(sh|bash|zsh|fish|ps1|bat|cmd|plist|service)|.*history.*|.*\.(bak|backup|old|orig|save)|.*~",
    r".*mcp.*\.(json|ya?ml|toml)|devcontainer\.json",
)
# Folders of which every file may hold one: of run configurations, dev containers, EB and dotfile managers.
_TELLING_FOLDERS = frozenset(
    {"runConfigurations", ".devcontainer", ".elasticbeanstalk", "dotfiles", ".dotfiles", "stow"}
)

# Never entered: what cannot hold a copy that anybody wrote, or is made anew from what does.
_NO_SETTINGS = frozenset({"node_modules", "__pycache__", ".snapshots", ".Trash", "lost+found"})
# Of a git folder: what is packed is history, and packed bytes show no key.
_GIT_STORES = frozenset({"objects", "lfs", "modules"})
_GIT = (".git", f"{os.sep}.dotfiles", f"{os.sep}.cfg")
# Without a PATH not entered either: caches and what programs install, large and rarely written by hand.
_LEFT_OUT = frozenset(
    {".cache", ".npm", ".cargo", ".rustup", ".gem", ".nuget", ".nvm", ".pyenv", ".local", "Library", "AppData"}
    | {"site-packages", "dist-packages", ".venv", "venv", ".tox", ".terraform", ".git", "snap", ".steam", "go"}
)
# Windows: what a folder lists has the device 0 (https://docs.python.org/3/library/os.html#os.DirEntry.stat), and a link
# to a folder may count as a folder.
_JUNCTION = 0xA0000003
_BUFFER = 1 << 18
_LARGE = 1 << 20  # a binary file of more bytes than that is passed over
_HEAD = 8192  # bytes in which a binary file shows a zero, as git has it
_OPEN = platform.READ | platform.NO_FOLLOW
_TICK = 0.5  # seconds
_BOMS = (0xFF, 0xFE)
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


Tick = Callable[[int, str], None]  # told now and then: how many files were read, and the folder that is read now


class Tally:
    """What a scan has read and passed over; `skipped` are folders and files by the reason."""

    def __init__(self) -> None:
        self.files = 0
        self.unreadable: list[str] = []
        self.skipped: defaultdict[str, list[str]] = defaultdict(list)


class Scanner:
    """Looks for words in files. `apart` is a path that is not read: our own state."""

    def __init__(self, words: Sequence[bytes], apart: str = "", tick: Tick = lambda files, folder: None) -> None:
        self._words = tuple(dict.fromkeys(words))
        self._apart, self._tick = apart and os.path.realpath(apart), tick
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
        names = re.compile("|".join(_TELLING) if telling else "", re.IGNORECASE)
        stack, ticked = [(root, telling)], time.monotonic()
        while stack:
            folder, telling = stack.pop()
            if time.monotonic() - ticked >= _TICK:
                ticked = time.monotonic()
                self._tick(self.tally.files, folder)
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.is_file(follow_symlinks=False):
                            if telling and not names.fullmatch(entry.name):
                                continue
                            path = entry.path
                            if path not in self._named and self._holds(path) and not self._is_apart(path):
                                yield path
                        elif entry.is_dir(follow_symlinks=False) and self._enters(entry, device, telling):
                            stack.append((entry.path, telling and entry.name not in _TELLING_FOLDERS))
            except OSError:
                self.tally.unreadable.append(folder)

    def _enters(self, entry: os.DirEntry[str], device: int, telling: bool) -> bool:
        name, path = entry.name, entry.path
        status = entry.stat(follow_symlinks=False)
        if telling and name in _LEFT_OUT:
            self.tally.skipped["read only if named"].append(path)
        elif _is_pointless(os.path.dirname(path), name):
            self.tally.skipped["holds no settings"].append(path)
        elif getattr(status, "st_reparse_tag", 0) == _JUNCTION or (status.st_dev or os.lstat(path).st_dev) != device:
            self.tally.skipped["another file system"].append(path)
        else:
            return not self._is_apart(path)
        return False

    def _is_apart(self, path: str) -> bool:
        return os.path.basename(path) == os.path.basename(self._apart) and _is_one_of(path, [self._apart])

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
            self.tally.skipped["a large binary file"].append(path)
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


_MOST = 2000  # paths


class _Paths(NamedTuple):
    paths: dict[str, tuple[str, ...]]


_KNOWN = Form(_Paths)


class Memory:
    """What scans have found: a private JSON file of paths with the key ids that they held, never a value. One that is
    missing, torn or of another version is an empty one: every path is read again before anything happens to it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def load(self) -> dict[str, set[str]]:
        """The key ids that each path was seen to hold. Raises Problem if it is there and cannot be read."""
        known = _KNOWN.find(read_private(self.path))
        return {path: set(ids) for path, ids in known.paths.items()} if known else {}

    def learn(self, found: Iterable[tuple[str, str]], looked_for: Collection[str]) -> None:
        """Remember which paths hold which of the ids that were looked for; all remembered paths were read again. Raises
        Problem if it cannot be written."""
        before = self.load()
        after = {path: ids - set(looked_for) for path, ids in before.items()}
        for path, key_id in found:
            after.setdefault(path, set()).add(key_id)
        self._store(before, {path: ids for path, ids in after.items() if ids})

    def replaced(self, paths: Collection[str], old: str, new: str) -> None:
        """These paths hold another id now. Raises Problem."""
        before = self.load()
        self._store(before, {**before, **{path: (before.get(path, set()) - {old}) | {new} for path in paths}})

    def _store(self, before: Mapping[str, set[str]], after: Mapping[str, set[str]]) -> None:
        if before == after:
            return
        kept = {path: tuple(sorted(after[path])) for path in list(after)[-_MOST:]}
        make_private_dir(os.path.dirname(self.path))
        write_private(self.path, _KNOWN.encode(_Paths(kept)))


class LocalCopies:
    """Copies of pairs on this computer. What is wrong with a single file is never raised: its `Copy` says so."""

    def __init__(self, paths: Paths) -> None:
        self._home, self._state = paths.home, paths.state_dir
        self._profiles = {os.path.realpath(path) for path in (paths.credentials, paths.config) if path}
        self._memory = Memory(os.path.join(paths.state_dir, "copies.json"))

    def scan(self, wanted: Sequence[Forms], paths: Sequence[str], tick: Tick) -> tuple[list[Copy], Tally]:
        """Read everything below `paths`, or without any the places of the home where keys hide; and what earlier scans
        found. What is found is remembered. Raises Problem if that cannot be written."""
        scanner = self._scanner(wanted, tick)
        hits: dict[str, None] = dict.fromkeys(scanner.files(self._memory.load()))
        if not paths:
            hits |= dict.fromkeys(scanner.files(well_known(self._home, scanner.tally.unreadable)))
            hits |= dict.fromkeys(scanner.tree(os.path.realpath(self._home), telling=True))
        for path in paths:
            real = os.path.realpath(path)
            hits |= dict.fromkeys(scanner.tree(real) if os.path.isdir(real) else scanner.files([real]))
        found = [copy for path in hits for copy in self._judged(path, wanted)]
        self._memory.learn([(c.path, c.key_id) for c in found if not c.is_profile], [f.pair.key_id for f in wanted])
        return found, scanner.tally

    def glance(self, wanted: Sequence[Forms], seconds: float = 2.0) -> list[Copy]:
        """Read the well-known files and those that earlier scans found, and no longer than that: one may lie on a disk
        that does not answer. Also gives those that cannot be read, so that nobody knows."""
        found: list[Copy] = []
        scanner = self._scanner(wanted)
        unread = scanner.tally.unreadable

        def look() -> None:
            until = time.monotonic() + seconds
            paths = dict.fromkeys(well_known(self._home, unread))
            with suppress(Problem):
                paths |= dict.fromkeys(self._memory.load())
            for path in scanner.files(paths):
                found.extend(copy for copy in self._judged(path, wanted) if copy.why is not Why.PROFILE)
                if time.monotonic() > until:
                    return
            for path in filter(_may_be_mine, unread):
                found.extend(self._judged(path, wanted))

        Running(look).wait(seconds)
        return list(dict.fromkeys(found))

    def unread(self, tally: Tally) -> list[str]:
        """What a scan could not read and this user can mend: nobody knows what it holds."""
        return [path for path in tally.unreadable if _may_be_mine(path)]

    def update(self, old: Credentials, new: Credentials, paths: Iterable[str] = ()) -> list[Copy]:
        """Put `new` in place of `old` in the well-known files, in those that earlier scans found and in `paths`. Gives
        what became of each that held `old`, and of each that cannot be read: it may hold it. Only for who holds the
        lock."""
        scanner = self._scanner([Forms(old)])
        paths = list(paths)
        found: list[Copy] = []
        try:
            paths += self._memory.load()
        except Problem as problem:
            found.append(unreadable(self._memory.path, old.key_id, problem))
        candidates = dict.fromkeys([*well_known(self._home, scanner.tally.unreadable), *paths])
        hits = dict.fromkeys([*scanner.files(candidates), *self.unread(scanner.tally), *filter(os.path.isdir, paths)])
        found += [f for path in hits if not _is_one_of(path, self._profiles) and (f := self._swapped(path, old, new))]
        done = [copy.path for copy in found if copy.is_changed]
        with suppress(Problem):  # they are read again by their paths, whatever is remembered of their ids
            self._memory.replaced(done, old.key_id, new.key_id)
        return found

    def _swapped(self, path: str, old: Credentials, new: Credentials) -> Copy | None:
        if os.path.isdir(path):
            problem = Problem(f"the folder {path} cannot be listed", f"ls -ld {quoted(path)}")
            return unreadable(path, old.key_id, problem)
        return swap(path, old, new)

    def _scanner(self, wanted: Sequence[Forms], tick: Tick = lambda files, folder: None) -> Scanner:
        return Scanner([word for forms in wanted for word in forms.needles], self._state, tick)

    def _judged(self, path: str, wanted: Sequence[Forms]) -> list[Copy]:
        try:
            found = snapshot(path)
        except Problem as problem:
            return [unreadable(path, forms.pair.key_id, problem) for forms in wanted]
        if found is None:
            return []
        if _is_one_of(path, self._profiles):
            return [Copy(path, f.pair.key_id, Why.PROFILE) for f in wanted if f.here(found.data)]
        return [copy for forms in wanted if (copy := judge(found, forms))]


def _is_one_of(path: str, others: Iterable[str]) -> bool:
    """Whether it is one of these files, whatever spelling or hard link of it was found: /users/me is /Users/me on most
    Macs."""
    try:
        found = os.stat(path)
        return any(os.path.exists(other) and os.path.samestat(found, os.stat(other)) for other in others)
    except OSError:
        return False


def _may_be_mine(path: str) -> bool:
    """Whether a file or folder that cannot be read is this user's, as far as can be told: what another user keeps for
    themselves (root's, after a sudo) is no copy that this user has."""
    while True:
        try:
            return os.lstat(path).st_uid == platform.my_uid()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except PermissionError:  # then the nearest folder that shows itself tells
            if path == (path := os.path.dirname(path)):
                return True
        except OSError:
            return True


class RunningProcess(NamedTuple):
    """A process of this user that holds a key: its number, its name, the key's id, and whether `environment` or
    `command line` shows it. `above`: how many processes above this one it is, as its shell is; 0: it is elsewhere."""

    pid: int
    name: str
    key_id: str
    where: str
    above: int = 0


def processes(wanted: Sequence[Forms]) -> Iterator[RunningProcess]:
    """This user's processes that hold one of the pairs, but for this one: they go on with it until they are started
    anew. Never gives a value or an argument."""
    import psutil  # some 30 ms, which only `scan` pays

    me = psutil.Process()
    user = me.username()
    above = {process.pid: steps for steps, process in enumerate(me.parents(), start=1)}
    for process in psutil.process_iter():
        try:
            if process == me or process.username() != user:
                continue
            environment = "\0".join(f"{name}={value}" for name, value in process.environ().items())
            shown = {"environment": environment, "command line": "\0".join(process.cmdline())}
            name = process.name()
        except (psutil.Error, OSError):  # it has ended, or does not let itself be read
            continue
        for forms in wanted:
            where = next((where for where, text in shown.items() if forms.here(os.fsencode(text))), None)
            if where:
                yield RunningProcess(process.pid, name, forms.pair.key_id, where, above.get(process.pid, 0))


# The files that are known


def _is_pointless(folder: str, name: str) -> bool:
    """Whether a folder in that one is never entered."""
    return name in _NO_SETTINGS or (name in _GIT_STORES and folder.endswith(_GIT))


@cache
def _known() -> tuple[list[str], ...]:
    """The paths of `known.txt`, in parts."""
    with open(os.path.join(os.path.dirname(__file__), "known.txt"), encoding="ascii") as file:
        lines = [line.partition("  ")[0].rstrip() for line in file]
    return tuple(line.split("/") for line in lines if line and line[0] != "#")


def well_known(home: str, unreadable: list[str], root: str = os.sep) -> Iterator[str]:
    """The files that `rotate` reads before its question, there or not; folders that cannot be listed go to
    `unreadable`. Snaps have homes of their own in this one, and flatpaks folders for settings and data."""
    try:
        known = _known()
    except OSError:  # too many open files, a failing disk: then nobody knows what is in the home
        unreadable.append(home)
        return
    for parts in known:
        yield from _below(home if parts[0] else root, parts, unreadable)
    snaps = [os.path.join(path, which) for path in _folders(home, "snap") for which in ("current", "common")]
    for snap in filter(os.path.isdir, snaps):
        for parts in known:
            if parts[0] and parts[-1] != "**":
                yield from _below(snap, parts, unreadable)
    for flatpak in _folders(home, ".var", "app"):
        for parts in known:
            if parts[0] == ".config":
                yield from _below(flatpak, ["config", *parts[1:]], unreadable)
            elif parts[:2] == [".local", "share"]:
                yield from _below(flatpak, ["data", *parts[2:]], unreadable)


def _folders(*above: str) -> list[str]:
    """The folders in a folder, none if it cannot be listed."""
    with suppress(OSError), os.scandir(os.path.join(*above)) as entries:
        return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []


def _below(folder: str, parts: Sequence[str], unreadable: list[str]) -> Iterator[str]:
    """The files that fit the parts of a path; one without a star there or not."""
    star = next((at for at, part in enumerate(parts) if "*" in part), len(parts))
    folder = os.path.join(folder, *parts[:star])
    if star == len(parts):
        yield folder
        return
    part, rest = parts[star], parts[star + 1 :]
    for entry in _entries(folder, unreadable):
        is_folder = _is_folder(entry, follow=bool(rest))  # dotfile managers link whole folders of settings
        if part == "**":
            if is_folder and entry.name != ".git" and not _is_pointless(folder, entry.name):
                yield from _below(entry.path, parts[star:], unreadable)
            elif not is_folder:
                yield entry.path
        elif is_folder == bool(rest) and fnmatchcase(entry.name.lower(), part.lower()):
            yield from _below(entry.path, rest, unreadable)


def _is_folder(entry: os.DirEntry[str], *, follow: bool) -> bool:
    with suppress(OSError):  # links that lead round in circles
        return entry.is_dir(follow_symlinks=follow)
    return False


def _entries(folder: str, unreadable: list[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        if folder not in unreadable:
            unreadable.append(folder)
        return []
