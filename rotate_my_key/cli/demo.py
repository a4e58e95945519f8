"""`demo`: a whole rotation against a small AWS in this process and in a throwaway home; no account, no network.

It is the program itself that runs, with another home and another AWS."""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..core.errors import Interrupted, Problem
from ..files.write import create_private
from .app import App

if TYPE_CHECKING:
    from ..demo import DemoAws

_KEPT = (
    *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "COLORTERM"),
    *("NO_COLOR", "FORCE_COLOR", "TZ", "TMPDIR", "TEMP", "SYSTEMROOT"),
)
_PROPAGATION = 3.0  # seconds until a new key is known; AWS takes 8 to 10
_LATENCY = 0.05  # seconds that an answer takes
_PAUSE = 1.0  # seconds before the question is answered
_STOPPED = "Stopped. Everything in the demo was made up, and is gone."
_FILE = """\
# My keys. Alice, since 2019; please keep this file tidy!

[default]
aws_access_key_id     = {id}
aws_secret_access_key = {secret}
; close to home
region = eu-west-1

[work]                        # the same key, for the team's scripts
aws_access_key_id={id}
aws_secret_access_key={secret}
s3 =
    max_concurrent_requests = 20

[partner]
# another company's account; not due yet
role_arn = arn:aws:iam::999999999999:role/Partner
source_profile = work
"""


def run(app: App, *, fast: bool) -> int:
    """Watch a whole rotation, from beginning to end, without an account."""
    from ..demo import DemoAws

    propagation, latency = (0.0, 0.0) if fast else (_PROPAGATION, _LATENCY)
    try:
        with DemoAws(propagation=propagation, latency=latency) as aws, _elsewhere(aws.url) as home:
            code = _play(app, aws, os.path.join(home, ".aws", "credentials"), fast)
    except KeyboardInterrupt:
        app.complain(_STOPPED)
        return Interrupted.code
    if code == 0:
        there = shutil.which("rotate-my-key", path=app.env.get("PATH"))
        _say(app, f"\n{'Now your own keys: rotate-my-key status' if there else 'To install it: ./install.sh'}")
    return code


class _Watched(App):
    """Answers what it is asked, so that it can be seen."""

    pause = 0.0  # seconds in which the question can be read
    terminal = True

    def confirm(self, question: str, **more: Any) -> bool:
        time.sleep(self.pause)
        self.complain(f"{question} y")
        return True

    def choose(self, question: str, letters: str, **more: Any) -> str:
        return letters[0] if self.confirm(question) else ""

    def show_problem(self, problem: Problem | Interrupted, prefix: str = "", profile: str = "") -> None:
        """What was stopped here leaves nothing that a next run could finish."""
        if isinstance(problem, Interrupted):
            self.complain(_STOPPED)
        else:
            super().show_problem(problem, prefix, profile)


def _play(app: App, aws: DemoAws, path: str, fast: bool) -> int:
    from .program import run

    before = _FILE.format(id=aws.pair.key_id, secret=aws.pair.secret)
    os.makedirs(os.path.dirname(path), 0o700)
    create_private(path, before.encode())
    _say(app, "A made-up home, a made-up key that is 98 days old, and a file full of comments:")
    app.out(before.replace(aws.pair.secret, "*" * 40), exact=True)
    _say(app, "$ rotate-my-key")
    watched = _Watched({**os.environ, **({"ROTATE_MY_KEY_PROOF_INTERVAL": "0"} if fast else {})})
    watched.no_color, watched.pause = app.no_color, 0.0 if fast else _PAUSE
    code = run(["rotate"], watched.env, watched)
    if code:
        return code
    with open(path, encoding="utf-8", newline="") as file:
        after = file.read()
    _say(app, "\nWhat changed in the file, and nothing else did:")
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), "before", "after", lineterm="", n=1))
    for secret in aws.secrets:
        lines = [line.replace(secret, f"{secret[:2]}{'*' * (len(secret) - 2)}") for line in lines]
    for line in lines:
        app.out(app.style(line, fg={"+": "green", "-": "red"}.get(line[:1], "bright_black")), exact=True)
    keys = ", ".join(f"{key.key_id} ({key.status.lower()})" for key in aws.keys())  # noqa: SIM118  no mapping
    _say(app, f"\nAlice's keys in AWS now: {keys}")
    return code


@contextmanager
def _elsewhere(url: str) -> Iterator[str]:
    """A throwaway home, and an environment in which nothing leads out of it: botocore reads os.environ itself."""
    home = tempfile.mkdtemp(prefix="rotate-my-key-demo-")
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update({name: before[name] for name in _KEPT if name in before})
        os.environ.update(HOME=home, USERPROFILE=home, APPDATA=home, LOCALAPPDATA=home)
        os.environ.update(AWS_ENDPOINT_URL=url, AWS_EC2_METADATA_DISABLED="true", NO_PROXY="*")
        yield home
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(home, ignore_errors=True)


def _say(app: App, text: str) -> None:
    app.out(app.style(text, bold=True))
