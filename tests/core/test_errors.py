"""What can go wrong, and the exit code that each kind stands for."""

import errno
from contextlib import suppress
from datetime import timedelta

import pytest

from rotate_my_key.core import errors
from rotate_my_key.core.errors import CodeRefused, Denied, KeyRefused, Problem, explain, fault, is_denied, shortage

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


CODES: dict[int, list[type[Problem | errors.Interrupted]]] = {
    1: [errors.Problem, errors.Gone, errors.Unreadable, errors.OtherIdentity, errors.StillOwed],
    2: [errors.WrongUsage],
    4: [errors.NeedsPerson, errors.CodeRefused],
    5: [errors.NotAllowed, errors.KeyRefused, errors.Denied, errors.NoRoom],
    75: [errors.TryLater, errors.Unanswered],
    130: [errors.Interrupted],
}


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for code, kinds in CODES.items() for kind in kinds])
def test_the_exit_code_says_what_to_do_next(kind: type[Problem], code: int) -> None:
    """As the table of exit codes has it, and the words that AWS answers by are of these kinds."""
    problem = kind("something is wrong", "rotate-my-key status")
    assert (problem.code, problem.message, problem.hint) == (code, "something is wrong", "rotate-my-key status")
    assert str(problem) == "something is wrong"


def test_there_is_one_root() -> None:
    """One `except Problem` catches them all. Ctrl-C is none: whoever goes on after any exception ends all the same."""
    assert KINDS
    assert all(issubclass(kind, Problem) for kind in KINDS)
    with pytest.raises(errors.Interrupted), suppress(Exception):
        raise errors.Interrupted("stopped")


def test_what_a_problem_knows_besides() -> None:
    """A wrong secret does not pass by waiting, a wrong device not by another code; of a denial IT hears which action
    and why, and it is told for the first time unless somebody says otherwise. A hint is not always needed."""
    assert Problem("something is wrong").hint == ""
    assert [KeyRefused("no", wrong_secret=wrong).wrong_secret for wrong in (False, True)] == [False, True]
    assert [CodeRefused("no", device=wrong).device for wrong in (False, True)] == [False, True]
    plain = Denied("no")
    assert (plain.action, plain.explicit, plain.quarantined, plain.quiet) == ("", False, False, False)
    denied = Denied("no", action="iam:DeleteAccessKey", explicit=True, quarantined=True)
    assert (denied.action, denied.explicit, denied.quarantined) == ("iam:DeleteAccessKey", True, True)


SCARCE = {
    "no process": (OSError(errno.EAGAIN, "x"), "no more processes or threads"),
    "no thread": (RuntimeError("can't start new thread"), "no more processes or threads"),
    "open files": (OSError(errno.EMFILE, "x"), "cannot open any more files"),
    "open files of all": (OSError(errno.ENFILE, "x"), "too many files are open on this computer"),
    "memory": (MemoryError(), "not enough memory"),
    "memory for a library": (ImportError("a.so: failed to map segment from shared object"), "not enough memory"),
    "memory in a library": (SystemError("returned NULL without setting an exception"), "not enough memory"),
}


@pytest.mark.parametrize(("error", "said"), SCARCE.values(), ids=SCARCE.keys())
def test_what_a_computer_runs_out_of_is_no_fault_of_ours(error: Exception, said: str) -> None:
    """75, in words, wherever it is met."""
    problem = fault(error)
    assert (problem.code, said in problem.message) == (75, True)


OTHERS = {
    "system error: stale file handle (/x)": OSError(errno.ESTALE, "Stale file handle", "/x"),
    "a part of rotate-my-key cannot be loaded: zlib": ImportError("zlib.so: Input/output error", name="zlib"),
    "internal error in rotate-my-key: RuntimeError at an unknown line": RuntimeError("x"),
}


@pytest.mark.parametrize(("said", "error"), OTHERS.items())
def test_other_errors_are_not_tried_again(said: str, error: Exception) -> None:
    """What the system says is passed on; a fault of ours is told by where it happened."""
    assert (shortage(error), fault(error).code, fault(error).message) == (None, 1, said)


def test_a_fault_is_told_by_where_it_happened() -> None:
    """The innermost call, without any value; what is a Problem already is told as it is."""
    problem = Problem("no")
    assert fault(problem) is problem
    with pytest.raises(OverflowError) as caught:
        _ = timedelta.max * 2
    assert "OverflowError at test_errors.py:" in fault(caught.value).message
    assert "in test_a_fault_is_told_by_where_it_happened" in fault(caught.value).message


WHY = {
    "cannot write /d/x: the disk is full": (
        errno.ENOSPC,
        "/d/x",
        "make room (df -h /d; df -i /d), then run rotate-my-key again",
    ),
    "cannot write /a b/x: there is no such file": (errno.ENOENT, "/a b/x", "ls -ld '/a b'"),
    "cannot write /nix/store/a-home/x: the file system is read-only": (
        errno.EROFS,
        "/nix/store/a-home/x",
        "make it a file of your own: take it out of home-manager's home.file, then copy it back",
    ),
    "cannot write /x: there is no such file": (errno.ENOTDIR, "/x", "ls -ld /"),
    "cannot write x: permission denied": (errno.EPERM, "x", "ls -ld . x"),
    r"cannot write C:\d\x: the file system is read-only": (
        errno.EROFS,
        r"C:\d\x",
        r"make it writable (findmnt -T 'C:\d'), then run rotate-my-key again",
    ),
    "cannot write /d/x: stale file handle": (errno.ESTALE, "/d/x", "ls -ld /d /d/x"),
}


@pytest.mark.parametrize("said", WHY)
def test_what_the_system_says_of_a_file(said: str) -> None:
    """In a line, with a command that shows or mends it; what passes by itself is to be tried again."""
    number, path, hint = WHY[said]
    problem = explain(OSError(number, "Stale file handle"), "write", path)
    assert (problem.message, problem.hint, problem.code) == (said, hint, 1)
    assert explain(OSError(errno.EMFILE, "x"), "read", path).code == 75
    assert is_denied(OSError(number, "x")) == (number in (errno.EPERM, errno.EROFS))
