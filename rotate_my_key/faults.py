"""What was not foreseen: the computer has no more of something, or a fault of this program. A fault is told by where it
happened: its values may be what must not be shown. Pure."""

from __future__ import annotations

import errno

from .errors import Problem, TryLater

_NO_MEMORY = ("there is not enough memory", "ulimit -v")
_SCARCE = {
    errno.EAGAIN: ("no further process or thread can be started just now", "ulimit -u"),
    errno.EMFILE: ("this program may not open any more files", "ulimit -n"),
    errno.ENFILE: ("too many files are open on this computer", "cat /proc/sys/fs/file-nr"),
    errno.ENOMEM: _NO_MEMORY,
}
# CPython's threading, and the loader of libraries, say it in words only.
_WORDS = {
    "can't start new thread": _SCARCE[errno.EAGAIN],
    "Too many open files": _SCARCE[errno.EMFILE],
    "Cannot allocate memory": _NO_MEMORY,
    "failed to map segment": _NO_MEMORY,
}


def shortage(error: BaseException | None) -> TryLater | None:
    """The problem, if the computer has no more of what every program needs; None for any other error."""
    found = None
    if isinstance(error, (MemoryError, SystemError)):
        found = _NO_MEMORY
    elif isinstance(error, OSError):
        found = _SCARCE.get(error.errno or 0)
    elif isinstance(error, (RuntimeError, ImportError)):
        found = next((said for words, said in _WORDS.items() if words in str(error)), None)
    return TryLater(*found) if found else None


def frames(error: BaseException) -> list[str]:
    """`file.py:12 in name`, from the outermost call to the one that raised."""
    found = []
    trace = error.__traceback__
    while trace:
        code = trace.tb_frame.f_code
        name = code.co_filename.replace("\\", "/").rpartition("/")[2]  # no library's: memory may be short
        found.append(f"{name}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    return found


def words(error: BaseException) -> str:
    """`OverflowError at rules.py:182 in _grace_ends`."""
    return f"{type(error).__name__} at {(frames(error) or ['an unknown place'])[-1]}"


def fault(error: BaseException, version: str = "") -> Problem:
    """What was not foreseen, as a problem of this computer or of this program, so that other accounts and users go
    on."""
    if scarce := shortage(error):
        return scarce
    if isinstance(error, OSError) and error.strerror:
        name = f" ({error.filename})" if isinstance(error.filename, str) else ""
        return Problem(f"the system says: {error.strerror.lower()}{name}", "rotate-my-key doctor")
    if isinstance(error, ImportError) and error.name:
        return Problem(f"a part of rotate-my-key cannot be loaded: {error.name}", "./install.sh")
    return Problem(f"a fault in rotate-my-key{version and f' {version}'}: {words(error)}", "report it, with -vv")
