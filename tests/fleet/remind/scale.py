"""What telling many owners costs: `python -m tests.fleet.remind.scale 500` prints it.

Against the stand-in, so that the time on the clock would be mostly the stand-in's own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

from tests.cli.conftest import lines
from tests.cli.terminal import ROOT
from tests.fleet.remind.test_command import SETTINGS
from tests.standin import StandIn

_RUN = """
import os, resource, sys
from rotate_my_key.cli.main import run
code = run(["fleet", "remind", "--yes", "--settings", sys.argv[1]], os.environ)
used = resource.getrusage(resource.RUSAGE_SELF)
print(f"exit {code}, {used.ru_utime + used.ru_stime:.1f} s CPU, {used.ru_maxrss / 1024:.0f} MB")
"""


def main(owners: int) -> None:
    """Two runs: the first tells everybody, the second nobody."""
    with StandIn() as aws, tempfile.TemporaryDirectory() as folder:
        aws.add_user("fleet", tags={"rotate-my-key": "exempt"})
        home = Path(folder)
        (home / ".aws").mkdir()
        (home / ".aws" / "credentials").write_text(f"[default]\n{lines(aws.add_key('fleet'))}")
        for number in range(owners):
            aws.add_user(f"user{number:05d}")
            aws.add_key(f"user{number:05d}", timedelta(days=98))
        aws.verify("example.com")
        settings = home / "fleet.ini"
        settings.write_text(SETTINGS.format(topic=aws.add_topic("ops", "eu-west-1")))
        env = {"HOME": folder, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "AWS_ENDPOINT_URL": aws.url}
        for what in ("first run", "second run"):
            before = len(aws.calls)
            done = subprocess.run(
                [sys.executable, "-c", _RUN, settings],
                env={**env, "AWS_DEFAULT_REGION": "eu-west-1"},
                capture_output=True,
                text=True,
                check=True,
            )
            calls = Counter(call.action for call in aws.calls[before:])
            print(f"{what}: {done.stdout.splitlines()[-1]}, {sum(calls.values())} calls: {dict(calls)}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
