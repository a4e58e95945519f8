"""What a disk holds after a power cut: a program's system calls are recorded by strace and done again in a model.

Strictly, a disk keeps the content of a file as it was at its last fsync, and a name (made, renamed, removed) once the
folder that it is in was synced afterwards; the name of a new folder once the folder above it was. Whatever else was
done is loose: it may have reached the disk or not, each piece for itself, and `Disk.left` gives what there is then.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

STRACE = shutil.which("strace")
_NAMES = "mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat"
_UNKNOWN = ("creat", "writev", "pwritev", "sendfile", "copy_file_range", "symlink", "symlinkat")  # not met yet
_DATA = f"open,openat,write,pwrite64,ftruncate,truncate,fsync,fdatasync,{','.join(_UNKNOWN)}"
_MODES = "chmod,fchmod,fchmodat"
_BEGUN = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_CALL = re.compile(r"(?:(\d+) +)?(\w+)\((.*)\) += (-?\d+)(.*)$")
_WORD = re.compile(r'(AT_FDCWD|\d+)<([^>]*)>|"((?:[^"\\]|\\.)*)"|[^,\s]+')
_ACTION = re.compile(r"Action=(\w+)")


def strace(log: Path) -> list[str]:
    """What to put in front of a command, to be given to `calls`."""
    traced = f"trace={_NAMES},{_DATA},{_MODES},sendto"
    return [str(STRACE), "-f", "-y", "-qq", "-s", "1000000", "-e", traced, "-o", str(log)]


class Call(NamedTuple):
    """A system call that succeeded: its words (text of paths, bytes of data, numbers as text) and what it gave."""

    name: str
    words: tuple[str | bytes, ...]
    result: int

    @property
    def action(self) -> str:
        """What is asked of AWS, if this sends it."""
        data = b"".join(word for word in self.words if isinstance(word, bytes)) if self.name == "sendto" else b""
        found = _ACTION.search(data.decode(errors="replace"))
        return found[1] if found else ""


def calls(log: Path) -> Iterator[Call]:
    """The calls of a log, in the order in which they ended."""
    begun: dict[str, str] = {}
    for line in log.read_text(errors="surrogateescape").splitlines():
        if found := _BEGUN.match(line):
            begun[found[1]] = f"{found[2]}({found[3]}"
        elif found := _RESUMED.match(line):
            yield from _call(begun.pop(found[1]) + found[3])
        else:
            yield from _call(line)


def _call(line: str) -> Iterator[Call]:
    found = _CALL.match(line)
    if found and int(found[4]) >= 0:
        yield Call(found[2], tuple(_words(found[3])), int(found[4]))


def _words(args: str) -> Iterator[str | bytes]:
    """A descriptor is given as the path that it was open for; a text that follows it may be a path from there."""
    for word in _WORD.finditer(args):
        if word[1]:
            yield word[2]
        elif word[3] is not None:
            yield ast.literal_eval(f'b"{word[3]}"')
        else:
            yield word[0]


@dataclass(eq=False)
class Node:
    """A file, or a folder if it has `names`. `data` and `names` are as programs see them, the others as on disk."""

    mode: int
    data: bytes = b""
    synced: bytes = b""
    names: dict[str, Node] | None = None
    synced_names: dict[str, Node] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        """Whether it is one."""
        return self.names is not None


class Loose(NamedTuple):
    """Something that was done and not synced: names of a folder that came or went together, or bytes of a file."""

    node: Node
    names: dict[str, Node | None]
    offset: int = 0
    data: bytes | None = None  # None with an offset: cut off there

    @property
    def is_name(self) -> bool:
        """Whether it is about names."""
        return bool(self.names)


Tree = dict[str, tuple[int, bytes | None]]  # by path: mode, and content, None for a folder


class Disk:
    """A folder and all below it, on a disk that has it whole at first."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._node = _read(root)
        self.loose: list[Loose] = []

    def do(self, call: Call) -> bool:
        """Do a call again; whether anything here was changed or synced."""
        verb = getattr(self, f"_{_SAME.get(call.name, call.name)}", None)
        return bool(verb and verb(call))

    # The verbs; each gives whether it was about this folder

    def _open(self, call: Call) -> bool:
        path, flags = self._path(call.words), next(w for w in call.words if isinstance(w, str) and w.startswith("O_"))
        node, created = self._find(path), False
        folder, name = self._folder(path)
        if node is None and folder and "O_CREAT" in flags:
            mode = int(str(call.words[-1]), 8)
            node, created = Node(mode & ~_UMASK), True
            self._name(folder, {name: node})
        if node and not node.is_folder and "O_TRUNC" in flags and node.data:
            self._write(node, 0, None)
            return True
        return created

    def _unknown(self, call: Call) -> bool:
        assert not any(self._root in os.fsdecode(word) for word in call.words), f"the model knows no {call}"
        return False

    def _pwrite64(self, call: Call) -> bool:
        node = self._find(str(call.words[0]))
        if node:
            data = call.words[1]
            assert isinstance(data, bytes)
            self._write(node, int(str(call.words[-1])), data[: call.result])
        return node is not None

    def _append(self, call: Call) -> bool:
        """`write`: here files are appended to, or written once from their beginning."""
        node = self._find(str(call.words[0]))
        if node:
            data = call.words[1]
            assert isinstance(data, bytes)
            self._write(node, len(node.data), data[: call.result])
        return node is not None

    def _ftruncate(self, call: Call) -> bool:
        node = self._find(self._path(call.words[:1]))
        if node:
            self._write(node, int(str(call.words[1])), None)
        return node is not None

    def _fsync(self, call: Call) -> bool:
        node = self._find(str(call.words[0]))
        if node is None:
            return False
        node.synced = node.data
        node.synced_names = dict(node.names or {})
        self.loose = [each for each in self.loose if each.node is not node]
        return True

    def _mkdir(self, call: Call) -> bool:
        folder, name = self._folder(self._path(call.words))
        if folder:
            mode = int(str(call.words[-1]), 8) & ~_UMASK
            self._name(folder, {name: Node(mode, names={})})
        return folder is not None

    def _rename(self, call: Call) -> bool:
        source, target = self._paths(call.words)
        node, (folder, old), (other, new) = self._find(source), self._folder(source), self._folder(target)
        if not folder and not other:
            return False
        assert folder and folder is other and node, f"the model knows no rename between folders: {call}"
        self._name(folder, {old: None, new: node})
        return True

    def _link(self, call: Call) -> bool:
        source, target = self._paths(call.words)
        node, (folder, name) = self._find(source), self._folder(target)
        if not folder:
            return False
        assert node
        self._name(folder, {name: node})
        return True

    def _unlink(self, call: Call) -> bool:
        folder, name = self._folder(self._path(call.words))
        if folder:
            self._name(folder, {name: None})
        return folder is not None

    def _chmod(self, call: Call) -> bool:
        """Not a matter of what is kept: a mode is taken to be there with its file."""
        node = self._find(self._path(call.words[:-1]))
        if node:
            node.mode = int(str(call.words[-1]), 8)
        return False

    # What they are made of

    def _name(self, folder: Node, change: dict[str, Node | None]) -> None:
        assert folder.names is not None
        _rename_in(folder.names, change)
        self.loose.append(Loose(folder, change))

    def _write(self, node: Node, offset: int, data: bytes | None) -> None:
        node.data = _written(node.data, offset, data)
        self.loose.append(Loose(node, {}, offset, data))

    def _paths(self, words: Sequence[str | bytes]) -> tuple[str, str]:
        """The two paths of a call that has two, with the folders that they start from or without."""
        texts = [number for number, word in enumerate(words) if isinstance(word, bytes)]
        first, second = texts[0] + 1, texts[1] + 1
        return self._path(words[:first]), self._path(words[first:second])

    def _path(self, words: Sequence[str | bytes]) -> str:
        text = next((os.fsdecode(word) for word in words if isinstance(word, bytes)), None)
        start = str(words[0]) if not isinstance(words[0], bytes) else ""
        return start if text is None else os.path.normpath(os.path.join(start, text))

    def _find(self, path: str) -> Node | None:
        if path == self._root:
            return self._node
        if not path.startswith(self._root + os.sep):
            return None
        node: Node | None = self._node
        for name in path[len(self._root) + 1 :].split(os.sep):
            node = node.names.get(name) if node and node.names is not None else None
        return node

    def _folder(self, path: str) -> tuple[Node | None, str]:
        above, name = os.path.split(path)
        return self._find(above), name

    # What is left

    def settle(self) -> None:
        """The system has written all of it."""
        for each in self.loose:
            each.node.synced, each.node.synced_names = each.node.data, dict(each.node.names or {})
        self.loose = []

    def left(self, keep: Callable[[Loose], bool] = lambda loose: False) -> Tree:
        """The tree if of what is loose just that is kept; without `keep`, what is certain."""
        kept = [each for each in self.loose if keep(each)]
        return dict(_tree(self._node, "", kept))


_SAME = {
    "openat": "open",
    "write": "append",
    "fdatasync": "fsync",
    "mkdirat": "mkdir",
    "renameat": "rename",
    "renameat2": "rename",
    "linkat": "link",
    "unlinkat": "unlink",
    "rmdir": "unlink",
    "fchmod": "chmod",
    "fchmodat": "chmod",
    "truncate": "ftruncate",
    **dict.fromkeys(
        ("creat", "writev", "pwritev", "sendfile", "copy_file_range", "symlink", "symlinkat"), "write_call"
    ),
}
_UMASK = os.umask(0o022)
os.umask(_UMASK)


def _read(path: Path) -> Node:
    mode = stat.S_IMODE(path.stat().st_mode)
    if not path.is_dir():
        data = path.read_bytes()
        return Node(mode, data, data)
    names = {each.name: _read(each) for each in path.iterdir()}
    return Node(mode, names=names, synced_names=dict(names))


def _rename_in(names: dict[str, Node], change: dict[str, Node | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _written(old: bytes, offset: int, data: bytes | None) -> bytes:
    if data is None:
        return old[:offset].ljust(offset, b"\0")
    return old[:offset].ljust(offset, b"\0") + data + old[offset + len(data) :]


def _tree(node: Node, path: str, kept: Sequence[Loose]) -> Iterator[tuple[str, tuple[int, bytes | None]]]:
    mine = [each for each in kept if each.node is node]
    if node.is_folder:
        names = dict(node.synced_names)
        for each in mine:
            _rename_in(names, each.names)
        yield path, (node.mode, None)
        for name, child in sorted(names.items()):
            yield from _tree(child, f"{path}/{name}" if path else name, kept)
    else:
        data = node.synced
        for each in mine:
            data = _written(data, each.offset, each.data)
        yield path, (node.mode, data)


def variants(disk: Disk) -> Iterator[tuple[str, Tree]]:
    """What may be on the disk if the power goes now, each with a name: nothing of what is loose, all, the names without
    the data, the data without the names, all but one piece, one piece alone."""
    yield "nothing that was not synced", disk.left()
    if disk.loose:
        yield "all that was done", disk.left(lambda each: True)
        yield "names without data", disk.left(lambda each: each.is_name)
        yield "data without names", disk.left(lambda each: not each.is_name)
    if len(disk.loose) > 1:
        for piece in disk.loose:
            yield f"all but {_said(piece)}", disk.left(lambda each, piece=piece: each is not piece)  # type: ignore[misc]
            yield f"only {_said(piece)}", disk.left(lambda each, piece=piece: each is piece)  # type: ignore[misc]


def _said(piece: Loose) -> str:
    if not piece.is_name:
        return f"the data at {piece.offset}"
    return ", ".join(f"{'a new' if node else 'the end of'} {name}" for name, node in piece.names.items())


def lay(root: Path, tree: Tree) -> None:
    """Make the folder such a tree, whatever is there."""
    shutil.rmtree(root, ignore_errors=True)
    for name, (mode, data) in tree.items():
        path = root / name
        path.mkdir(parents=True) if data is None else path.write_bytes(data)
        path.chmod(mode)
