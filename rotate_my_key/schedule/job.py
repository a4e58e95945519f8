"""What the scheduler runs: which program, with which words, and what it must know of the environment. Pure.

A scheduler starts programs with an environment of its own, so what moves files and connections is written down with
the job. Nothing secret is: a proxy's password stays out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..errors import Problem

NAME = "rotate-my-key"
MARK = "made by `rotate-my-key schedule install`, removed by `rotate-my-key schedule uninstall`"
ROTATE = ("rotate", "--all", "--yes", "--quiet", "--keep-old", "7d")
KEPT_DAYS = 7

# What moves our files, or the way to AWS. Settings (ROTATE_MY_KEY_...) belong into config.ini and are not among them.
_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}
_PROXIES = ("HTTPS_PROXY", "https_proxy")
_OTHERS = (
    *("XDG_CONFIG_HOME", "XDG_STATE_HOME", "NO_PROXY", "no_proxy", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
    *("AWS_DEFAULT_REGION", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"),
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS"),
)


class Job(NamedTuple):
    """`program` is an absolute path that stays when the program is upgraded."""

    program: str
    environment: Mapping[str, str]

    def command(self, *, every_hour: bool = False) -> tuple[str, ...]:
        """All words of the command. `every_hour`: for schedulers that start it more often; then it runs once a day."""
        return (self.program, "schedule", "run", *(["--daily"] if every_hour else []), *ROTATE)


def make(program: str, env: Mapping[str, str], files: Mapping[str, str]) -> Job:
    """The job as this environment has it. `files` are the absolute paths of "credentials" and "config".

    Raises Problem if something in it cannot stand in one line of a scheduler's file.
    """
    kept = {name: files[file] for name, file in _FILES.items() if name in env}
    kept |= {name: env[name] for name in (*_PROXIES, *_OTHERS) if env.get(name) and not _has_password(env, name)}
    for what, text in {"the program": program, **kept}.items():
        if not text.isprintable():
            raise Problem(f"{what} has a line end or another control character in it: {text!r}", "move it elsewhere")
    return Job(program, kept)


def left_out(env: Mapping[str, str]) -> Sequence[str]:
    """The variables that the scheduled run would need and does not get."""
    return [name for name in _PROXIES if _has_password(env, name)]


def _has_password(env: Mapping[str, str], name: str) -> bool:
    return name in _PROXIES and "@" in env.get(name, "")
