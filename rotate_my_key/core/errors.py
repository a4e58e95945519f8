"""What can go wrong, named for what the person does next.

One root, `Problem`: a message, a hint that is the next command, and an exit code. Problems are caught for good in one
place, `cli/program.py`; so is Ctrl-C, `Interrupted`, which stands apart. No message ever holds a secret.

What the system's error numbers mean to a person is said here too, and what was not foreseen: that the computer has no
more of something, or a fault of this program, which is told by where it happened. No message holds a file's content."""

from __future__ import annotations

import errno
import re

from .hints import Hint, quoted


class Problem(Exception):
    """Something is wrong and this run made nothing worse (exit 1). `message` is one line, lower case, without a full
    stop; `hint` is the next command to type (`hints.Hint`, if it is one of ours) or what to do, or ""."""

    code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint
        self.quiet = False  # said in an earlier run already


class NoKeyHere(Problem):
    """The active profile has no key in its files, or does not exist and was not named (exit 1)."""


class WrongUsage(Problem):
    """The command line or a setting cannot be understood (exit 2)."""

    code = 2


class NeedsPerson(Problem):
    """Consent, a choice or an MFA code is needed, and nobody is there to give it (exit 4)."""

    code = 4


class Declined(NeedsPerson):
    """A person was asked, and said no (exit 4)."""


class NotAllowed(Problem):
    """AWS does not allow it; IT can (exit 5)."""

    code = 5


class TryLater(Problem):
    """Offline, throttled, not proven yet, another run at work; nothing is lost (exit 75)."""

    code = 75


class Throttled(TryLater):
    """AWS takes no more calls of one action for now; it may take others (exit 75)."""


class Interrupted(BaseException):
    """The person pressed Ctrl-C; what was begun is finished by the next run (exit 130). Not a Problem, as
    KeyboardInterrupt is no Exception: whoever goes on after a problem ends all the same."""

    code = 130

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class StillOwed(Problem):
    """Files or commands that were to take the new key do not have it yet, and the old one goes on working for them
    (exit 1); `over` if it could not, and the rotation came to its end without them."""

    def __init__(self, message: str, hint: str = "", *, over: bool = False) -> None:
        super().__init__(message, hint)
        self.over = over


# What AWS may answer, in the words the rotation decides by.


class KeyRefused(NotAllowed):
    """AWS does not accept this access key: unknown, deleted, switched off or not known everywhere yet.
    `InvalidClientTokenId` (403) from STS and IAM, also `SignatureDoesNotMatch` for a wrong secret: then
    `wrong_secret`."""

    def __init__(self, message: str, hint: str = "", *, wrong_secret: bool = False) -> None:
        super().__init__(message, hint)
        self.wrong_secret = wrong_secret


class Denied(NotAllowed):
    """AWS knows the caller and refuses the action (`AccessDenied`, 403). `action` is the IAM action, such as
    "iam:DeleteAccessKey"; `explicit` is set for an "explicit deny", which is how policies that demand MFA refuse; `mfa`
    if signing in with MFA may well help (the deny is in one of the user's own policies); `quarantined` when the policy
    AWSCompromisedKeyQuarantine* is the cause."""

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        action: str = "",
        explicit: bool = False,
        quarantined: bool = False,
        mfa: bool = False,
    ) -> None:
        super().__init__(message, hint)
        self.action, self.explicit, self.quarantined, self.mfa = action, explicit, quarantined, mfa


class CodeRefused(NeedsPerson):
    """AWS does not accept an MFA code: wrong, or used already; `device`: it does not know the device as this user's."""

    def __init__(self, message: str, hint: str = "", *, device: bool = False) -> None:
        super().__init__(message, hint)
        self.device = device


class NoRoom(NotAllowed):
    """The user has two access keys already (`LimitExceeded`, 409); nothing was made."""


class Gone(Problem):
    """AWS has no such key or user (`NoSuchEntity`, 404)."""


class Unanswered(TryLater):
    """A request went out and no certain answer came back: it may or may not have been carried out."""


class Unreadable(Problem):
    """A file of ours is there and makes no sense."""


class WrongEncoding(Problem):
    """A profile file that botocore cannot read as it is encoded; the one at `path` can be rewritten so that it can."""

    def __init__(self, message: str, hint: str = "", *, path: str = "") -> None:
        super().__init__(message, hint)
        self.path = path


class OtherIdentity(Problem):
    """A pair signs in as somebody else than it must."""


_NO_MEMORY = ("there is not enough memory", "ulimit -v")
_SCARCE = {
    errno.EAGAIN: ("no more processes or threads can be started right now", "ulimit -u"),
    errno.EMFILE: ("this program cannot open any more files", "ulimit -n"),
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


def fault(error: BaseException, version: str = "") -> Problem:
    """What was not foreseen, as a problem of this computer or of this program, so that other accounts and users go on;
    a Problem is what it is."""
    if isinstance(error, Problem):
        return error
    if scarce := shortage(error):
        return scarce
    if isinstance(error, OSError) and error.strerror:
        name = f" ({error.filename})" if isinstance(error.filename, str) else ""
        return Problem(f"system error: {error.strerror.lower()}{name}", Hint("doctor"))
    if isinstance(error, ImportError) and error.name:
        return Problem(f"a part of rotate-my-key cannot be loaded: {error.name}", "./install.sh")
    where = (frames(error) or ["an unknown line"])[-1]
    return Problem(
        f"internal error in rotate-my-key{version and f' {version}'}: {type(error).__name__} at {where}",
        "report it, with -vv",
    )


_AGAIN = ", then run rotate-my-key again"
_DENIED = ("permission denied", "ls -ld {folder} {path}")
_MISSING = ("there is no such file", "ls -ld {folder}")
_WHY = {
    errno.ENOSPC: (
        "the disk is full",
        f"make room (df -h {{folder}}; df -i {{folder}}){_AGAIN}",
    ),
    errno.EDQUOT: ("your disk quota is used up", f"make room (quota -s){_AGAIN}"),
    errno.EFBIG: ("it would exceed the file size limit", f"raise the limit (ulimit -f){_AGAIN}"),
    errno.EROFS: ("the file system is read-only", f"make it writable (findmnt -T {{folder}}){_AGAIN}"),
    errno.EIO: ("the disk reports an error", "copy your files away, and look at the disk (dmesg)"),
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ELOOP: ("the link is circular or not allowed here", "ls -l {path}"),
    errno.ENOENT: _MISSING,
    errno.ENOTDIR: _MISSING,
}


def explain(error: OSError, doing: str, path: str) -> Problem:
    """The Problem for an error met while `doing` something ("write", "read") to the file or folder `path`."""
    if scarce := shortage(error):
        return TryLater(f"cannot {doing} {path}: {scarce.message}", scarce.hint)
    unknown = ((error.strerror or "input/output error").lower(), _DENIED[1])
    why, hint = _WHY.get(error.errno or 0, unknown)
    if error.errno == errno.EROFS and path.startswith("/nix/store/"):  # only Nix writes there
        hint = "make it a file of your own: take it out of home-manager's home.file, then copy it back"
    return Problem(f"cannot {doing} {path}: {why}", hint.format(folder=quoted(_folder(path)), path=quoted(path)))


def _folder(path: str) -> str:
    found = re.match("(.*)/", path) or re.match(r"(.*)\\", path)
    return (found[1] or "/") if found else "."


def is_denied(error: OSError) -> bool:
    """Whether another way of writing may be allowed where this one is not."""
    return error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTSUP)
