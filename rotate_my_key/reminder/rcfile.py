"""Putting one marked block into a shell's start-up file, and taking it out again byte for byte.

The first functions are pure, bytes in and bytes out; the last two write, through `files/`: links stay links, mode and
owner stay, the file changes at once or not at all, and is read back.
"""

from __future__ import annotations

import os
import re

from ..errors import Problem, TryLater
from ..files.private import create_private, make_folder
from ..files.replace import Outcome, real_path, remove, replace, snapshot

_BEGIN, _END = b"# >>> rotate-my-key reminder >>>", b"# <<< rotate-my-key reminder <<<"
_NEW, _OPEN = b" (this file was made for it)", b" (the line before had no end)"
_BLOCK = re.compile(
    rb"^" + re.escape(_BEGIN) + rb"(?P<note> \([^)\n]*\))?\r?\n(?:(?!" + re.escape(_BEGIN) + rb").*\n)*?"
    + re.escape(_END) + rb"(?:\r?\n|\Z)",
    re.MULTILINE,
)  # fmt: skip
_TRIES = 5


def added(data: bytes | None, line: bytes) -> bytes:
    """The file with the block in it: where one is already, else at the end. None is a file that is not there yet.

    Raises Problem if there is half a block.
    """
    found = _find(data or b"")
    if found and data is not None:
        return data[: found.start()] + _block(line, found["note"] or b"") + data[found.end() :]
    if data is None:
        return _block(line, _NEW)
    if data and not data.endswith(b"\n"):
        return data + b"\n" + _block(line, _OPEN)
    return data + _block(line, b"")


def removed(data: bytes) -> bytes | None:
    """The file as it was before; None if it was not there. Raises Problem if there is half a block."""
    found = _find(data)
    if not found:
        return data
    before, after = data[: found.start()], data[found.end() :]
    if found["note"] == _OPEN and not after:
        before = before.removesuffix(b"\n")
    if found["note"] == _NEW and not before and not after:
        return None
    return before + after


def has_block(data: bytes) -> bool:
    """Whether there is one, whole or half."""
    return _BEGIN in data


def install(path: str, line: bytes) -> bool:
    """Put the block into the file; False if it is there already. Raises Problem, TryLater."""
    changed = False
    for _ in range(_TRIES):
        found = snapshot(path)
        if found is None:
            _refuse_odd(path)
            make_folder(os.path.dirname(real_path(path)))
            changed = create_private(real_path(path), added(None, line)) or changed
            continue  # and is read back
        after = added(found.data, line)
        if after == found.data:
            return changed
        outcome = replace(found, after)
        if outcome is Outcome.IMPOSSIBLE:
            raise _fixed(path, "rotate-my-key reminder show prints what to put there by hand")
        changed = outcome is Outcome.DONE or changed
    raise _busy(path)


def uninstall(path: str) -> bool:
    """Take the block out; False if there was none. Raises Problem, TryLater."""
    changed = False
    for _ in range(_TRIES):
        found = snapshot(path)
        if found is None or not has_block(found.data):
            return changed
        after = removed(found.data)
        outcome = remove(found) if after is None else replace(found, after)
        if outcome is Outcome.IMPOSSIBLE:
            raise _fixed(path, f"take the lines of rotate-my-key out by hand: {_editor(path)}")
        changed = outcome is Outcome.DONE or changed
    raise _busy(path)


def _block(line: bytes, note: bytes) -> bytes:
    return b"%b%b\n%b\n%b\n" % (_BEGIN, note, line, _END)


def _find(data: bytes) -> re.Match[bytes] | None:
    found = list(_BLOCK.finditer(data))
    marks = data.count(_BEGIN), data.count(_END)
    if marks != (len(found), len(found)) or len(found) > 1:
        raise Problem(
            "the block of rotate-my-key in this file was changed by hand, and cannot be told apart any more",
            f"take out the lines between and with {_BEGIN.decode()!r}, then try again",
        )
    return found[0] if found else None


def _refuse_odd(path: str) -> None:
    if os.path.lexists(real_path(path)):
        raise Problem(f"{path} is not a regular file", f"ls -l {path}")


def _fixed(path: str, hint: str) -> Problem:
    return Problem(f"{path} cannot be replaced: it is mounted, linked twice or another user's", hint)


def _busy(path: str) -> TryLater:
    return TryLater(f"{path} changes all the time: something else is writing it", "try again")


def _editor(path: str) -> str:
    return f"nano {path}"
