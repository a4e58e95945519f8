"""Calls in threads, where the system has none left."""

import subprocess
import sys

import pytest

PROGRAM = """
import _thread

def start_new_thread(*args):
    {does}

_thread.start_new_thread = start_new_thread

from rotate_my_key.core.parallel import Running, side_by_side

print(Running(lambda: 7).result(), side_by_side([lambda: 1, lambda: 2, lambda: 3]))
"""


@pytest.mark.parametrize(
    "does",
    [
        pytest.param('raise RuntimeError("can\'t start new thread")', id="none can be started"),
        pytest.param("return 1", id="one dies as it begins, for want of memory"),
    ],
)
def test_calls_without_threads(does: str) -> None:
    """They are made one after the other, each once."""
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(does=does)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "7 [1, 2, 3]\n"
