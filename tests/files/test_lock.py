"""One run at a time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rotate_my_key.core.errors import Problem, TryLater
from rotate_my_key.files.platform import Lock

InChild = Callable[[Callable[[], object]], int]
ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from rotate_my_key.files.platform import Lock
with Lock(sys.argv[1], 0):
    print("locked", flush=True)
    sys.stdin.read(1)
"""


@contextmanager
def another_run(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A real process that holds the lock until its input ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "locked\n"
    try:
        yield holder
    finally:
        holder.stdin.close()
        holder.stdout.close()
        holder.wait()


def test_a_free_lock_is_taken_at_once_and_again(tmp_path: Path) -> None:
    """Also over the file that an earlier run left; the file is private."""
    for _ in range(2):
        lock = Lock(str(tmp_path / "lock"), 0, on_wait=lambda: pytest.fail("no need to wait"))
        with lock:
            assert not lock.waited
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_another_run_is_named_when_the_time_is_over(tmp_path: Path) -> None:
    """TryLater with its process number; who waits is told once."""
    told: list[str] = []
    with another_run(tmp_path / "lock") as holder:
        started = time.monotonic()
        lock = Lock(str(tmp_path / "lock"), 0.3, on_wait=lambda: told.append("wait"))
        with pytest.raises(TryLater, match=rf"another run of rotate-my-key is at work \(process {holder.pid}\)"), lock:
            pass
        assert time.monotonic() - started >= 0.3
    assert told == ["wait"]
    assert lock.waited


def test_who_waits_gets_the_lock_when_the_other_run_ends(tmp_path: Path) -> None:
    """Within moments, not at the end of the time."""
    with another_run(tmp_path / "lock") as holder:
        lock = Lock(str(tmp_path / "lock"), 30, on_wait=lambda: os.kill(holder.pid, signal.SIGKILL))
        with lock:
            assert lock.waited
            assert (tmp_path / "lock").read_text().strip() == f"{os.getpid()}"


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    """So does an error while waiting (Ctrl-C)."""
    with pytest.raises(ValueError, match="inside"), Lock(str(tmp_path / "lock"), 0):
        raise ValueError("inside")
    with another_run(tmp_path / "lock"):

        def interrupt() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), Lock(str(tmp_path / "lock"), 9, on_wait=interrupt):
            pass
    with Lock(str(tmp_path / "lock"), 0):
        pass


def test_a_missing_folder_or_a_link_is_a_problem(tmp_path: Path) -> None:
    """The lock is made in a folder of ours, and never through a link."""
    (tmp_path / "link").symlink_to("elsewhere")
    for path in (tmp_path / "none" / "lock", tmp_path / "link"):
        with pytest.raises(Problem) as problem, Lock(str(path), 0):
            pass
        assert not isinstance(problem.value, TryLater)
    assert not (tmp_path / "elsewhere").exists()
