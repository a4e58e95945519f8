"""AWS, a proxy or a network answers as AWS never would: every run ends in words, and the next one heals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile.laptop import Laptop
from tests.hostile.odd import HEADER_DATES, ODD, SECRETS
from tests.hostile.tried import CALLS, all_of, attempt
from tests.standin import StandIn

# The default run tries these only.
SAMPLE = [
    ("GetCallerIdentity", "another action's result", "for good"),
    ("GetCallerIdentity", "another user", "once"),
    ("GetCallerIdentity (proof)", "Date: Fri, 31 Dec 9999 23:59:59 GMT", "once"),
    ("GetCallerIdentity (as read from the file)", "307 to http://127.0.0.1:9/", "once"),
    ("GetUser", "100,000 elements in each other", "once"),
    ("ListAccessKeys", "100,000 keys", "for good"),
    ("ListAccessKeys", "dates: 9999-12-31T23:59:59Z", "for good"),
    ("ListAccessKeys", "dates: 2026-01-01T00:00:00+99:99", "once"),
    ("ListAccessKeys", "no keys", "once"),
    ("ListAccessKeys", "a page without end", "once"),
    ("CreateAccessKey", "200 MB of blanks", "once"),
    ("CreateAccessKey", "two keys", "once"),
    ("CreateAccessKey", "ids that begin otherwise", "once"),
    ("CreateAccessKey", "an error in an odd form", "once"),
    ("CreateAccessKey", "a secret with a blank that is not the key's", "once"),
    ("DeleteAccessKey", "another action's answer", "once"),
    ("GetSessionToken", "no session token", "once"),
]


pytestmark = pytest.mark.usefixtures("nobody")


@pytest.mark.parametrize(("call", "odd", "often"), SAMPLE, ids=[f"{call}: {odd}" for call, odd, _ in SAMPLE])
def test_some_odd_answers(running: StandIn, call: str, odd: str, often: str) -> None:
    """No fault, the profile's key works all the time, a due key is never called fresh, and the next run heals."""
    assert attempt(running, call, odd, often).wrong == ""


@pytest.mark.slow
@pytest.mark.parametrize("call", list(CALLS))
def test_every_odd_answer(running: StandIn, call: str) -> None:
    """The same for all answers to every call of a rotation, once and for good."""
    wrong = [f"{each.odd}, {each.often}: {each.wrong}" for each in all_of(running, call) if each.wrong]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "how",
    [how if how in ("with %", "with a line end") else pytest.param(how, marks=pytest.mark.slow) for how in SECRETS],
)
def test_a_secret_that_signs_in(running: StandIn, tmp_path: Path, how: str) -> None:
    """It is in the profile to the byte, or its key is deleted, exit 1, and the old one stays."""
    laptop = Laptop(tmp_path, running)
    laptop.next_secret(SECRETS[how])
    first = laptop.rotate()
    assert laptop.works() and (first.codes, first.said[1:]) in (([0], []), ([1], [])), first
    assert first.rotated is (first.codes == [0])
    laptop.sleep(20)
    assert laptop.rotate().codes == [0] and laptop.tidy(), laptop.keys()


@pytest.mark.parametrize(
    "odd", [odd if "9999" in odd else pytest.param(odd, marks=pytest.mark.slow) for odd in HEADER_DATES]
)
@pytest.mark.parametrize("often", ["once", "for good"])
def test_a_fresh_key_stays(running: StandIn, tmp_path: Path, odd: str, often: str) -> None:
    """No Date header, on one answer or on all, makes a key due that is 10 days old."""
    laptop = Laptop(tmp_path, running, days=10)
    laptop.answers("*", HEADER_DATES[odd], 1 if often == "once" else None)
    ended = laptop.rotate()
    assert (ended.codes, ended.fresh, ended.rotated) == ([0], True, False)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_memory_stays_small(running: StandIn, tmp_path: Path) -> None:
    """200 MB of blanks and 100,000 keys take a process no further than a good answer does, but for some megabytes."""
    script = """
import os, sys, time
from datetime import UTC, datetime
from rotate_my_key.aws.iam import IamAccount
from rotate_my_key.aws.client import Aws
from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import Credentials
clocks = {"clock": lambda: datetime.now(UTC), "sleep": lambda seconds: None, "monotonic": lambda: time.monotonic() * 40}
try:
    IamAccount(Aws(os.environ, version="0", **clocks)).look([Credentials(*sys.argv[1:])])
except Problem:
    pass
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""

    def peak() -> int:
        pair = laptop.pair()
        env = {**os.environ, "AWS_ENDPOINT_URL": running.url}
        command = [sys.executable, "-c", script, pair.key_id, pair.secret]
        return int(subprocess.run(command, env=env, capture_output=True, check=True).stdout) // 1024

    laptop = Laptop(tmp_path, running)
    usual = peak()
    for odd in ("200 MB of blanks", "100,000 keys", "a gzip bomb", "chunks without end", "headers without end"):
        laptop.answers("ListAccessKeys", ODD[odd], None)
        assert peak() < usual + 40, odd
        running.all_well()
