"""Several runs at once, and a person who presses Ctrl-C."""

import os
import signal
import threading
import time
from contextlib import suppress

import pytest

from tests.laptop import Laptop, Process, sampled
from tests.standin import Call

from .test_bad_days import CALLS

RUNS = 12


@pytest.mark.parametrize("args", [("--yes",), ("--yes", "--force")], ids=["due", "forced"])
def test_twelve_runs_at_once(laptop: Laptop, args: tuple[str, ...]) -> None:
    """One new key, twelve exits 0: who waited and finds its key replaced is done."""
    waiting = threading.Semaphore(0)
    ready = threading.Event()

    def listen(process: Process) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            if "another run is at work" in line:
                waiting.release()

    laptop.at("CreateAccessKey", 1, lambda call: ready.wait(60))
    runs = [laptop.start(*args) for _ in range(RUNS)]
    listeners = [threading.Thread(target=listen, args=(run,)) for run in runs]
    for listener in listeners:
        listener.start()
    assert all(waiting.acquire(timeout=60) for _ in range(RUNS - 1))
    ready.set()
    assert [run.wait(60) for run in runs] == [0] * RUNS
    for run, listener in zip(runs, listeners, strict=True):
        listener.join()
        assert run.stdout is not None and run.stderr is not None
        run.stdout.close()
        run.stderr.close()
    assert sum(call.action == "CreateAccessKey" for call in laptop.aws.calls) == 1
    laptop.settled()


@pytest.mark.parametrize("call", sampled(CALLS, "my keys", "a new key", "the second proof", "deleting the old key"))
def test_interrupted_once(laptop: Laptop, call: str) -> None:
    """The first Ctrl-C ends the call that is out: 130, the profile works, the next run finishes."""

    def press(call: Call) -> None:
        laptop.signal(signal.SIGINT)
        time.sleep(0.1)

    laptop.at(*CALLS[call], press)
    done = laptop.run()
    assert done.code == 130, done.text
    assert "Traceback" not in done.text and "Run `rotate-my-key` again to finish" in done.err
    laptop.works()
    laptop.calm()
    laptop.settled()


@pytest.mark.parametrize("call", sampled(CALLS, "a new key"))
def test_interrupted_twice(laptop: Laptop, call: str) -> None:
    """The second Ctrl-C ends the program at once, whatever AWS is doing."""
    over, until = threading.Event(), time.monotonic() + 20

    def press(call: Call) -> None:
        while not over.is_set() and time.monotonic() < until:  # two signals that come as one are one Ctrl-C
            with suppress(ProcessLookupError):
                laptop.signal(signal.SIGINT)
            over.wait(0.2)

    laptop.at(*CALLS[call], press)
    process = laptop.start()
    began = time.monotonic()
    done = laptop.end(process)
    took = time.monotonic() - began
    over.set()
    while not all(call.outcome for call in laptop.aws.calls):
        time.sleep(0.01)
    assert done.code == 130, done.text
    assert "Traceback" not in done.text
    assert took < 15, f"it took {took:.1f} s"
    laptop.works()
    laptop.calm(20)
    laptop.settled()


def test_interrupted_while_it_waits_for_another_run(laptop: Laptop) -> None:
    """Ctrl-C while another run holds the lock: 130 at once, and the other run is not disturbed."""
    go_on = threading.Event()
    laptop.at("CreateAccessKey", 1, lambda call: go_on.wait(30))
    first = laptop.start()
    while not any(call.action == "CreateAccessKey" for call in laptop.aws.calls):
        time.sleep(0.02)
    second = laptop.start()
    assert second.stderr is not None
    assert "another run" in second.stderr.readline()
    os.kill(second.pid, signal.SIGINT)
    try:
        assert second.wait(3) == 130, second.communicate()
    finally:
        go_on.set()
        second.kill()
    assert laptop.end(first).code == 0
    laptop.process = None
    laptop.settled()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("words", [("status",), ("delete-key", "XXXX", "--yes")], ids=["status", "delete-key"])
def test_ended_from_outside_where_nothing_is_begun(laptop: Laptop, words: tuple[str, ...], number: int) -> None:
    """A computer that goes down, or a terminal that is closed, ends any command as Ctrl-C does: 130."""

    def end(call: Call) -> None:
        laptop.signal(number)
        time.sleep(0.1)

    laptop.at("GetCallerIdentity", 1, end)
    done = laptop.run(*words)
    assert done.code == 130, (done.code, done.text)
    assert "Interrupted." in done.err and "error:" not in done.err
    laptop.calm()
    laptop.settled()
