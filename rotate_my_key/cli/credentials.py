"""`credentials --profile NAME`: the pair of a profile from the keyring, for an SDK's credential_process. Hidden.

One JSON object on a pipe, as botocore's ProcessProvider wants it; nothing on a terminal, since a secret is never shown.
What goes wrong is one line on stderr, which SDKs pass on to the person. Runs at every start of an SDK: no click, no
`model.py`, no profile files, no settings while `keyring.json` says where the pair is, no search for a keyring.

An answer expires, so that a program that is running asks again and follows a rotation: `policy.LIVE` says how soon."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import NoReturn

from ..core.errors import NeedsPerson, Problem, WrongUsage, fault
from ..core.hints import Hint
from ..core.policy import LIVE, LIVE_SOON
from ..files.paths import find
from ..keyring.entries import SYSTEM, KeyringEntries, noted_backend, pair_in

_USAGE = Hint("credentials", "--profile", "NAME")
SPARE = 240.0  # seconds: a request that was signed at the last moment is on its way, or is made again


def run(args: Sequence[str], env: Mapping[str, str]) -> int:
    """Print the pair; gives the exit code: 75 if the keyring is locked or absent, 1 if it has no such pair."""
    try:
        answer = _answer(args, env)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  never a traceback: its lines may quote what must not be shown
        problem = fault(error)
        hint = f" ({problem.hint})" if problem.hint else ""
        print(f"rotate-my-key: {problem.message}{hint}", file=sys.stderr)
        return problem.code
    try:
        print(answer, flush=True)
    except OSError:  # nobody reads any more
        sys.stdout = None
        return 1
    return 0


def _answer(args: Sequence[str], env: Mapping[str, str]) -> str:
    profile = _profile(args)
    if sys.stdout is None or sys.stdout.isatty():
        raise NeedsPerson("a secret is not shown on a terminal", "SDKs run this command by themselves")
    paths = find(env)
    backend = noted_backend(os.path.join(paths.state_dir, "keyring.json"))
    if backend is None:
        from ..settings import load

        backend = load(paths, env).keyring_backend
    entries = KeyringEntries(lambda: backend, env, around=unasked)
    asked_at = time.time()
    with nullcontext() if backend == SYSTEM else _apart():
        pair = pair_in(entries, profile)
    if pair is None:
        raise Problem(f"the keyring has no key for profile {profile}", Hint("status"))
    span = LIVE_SOON if _in_rotation(pair[0], os.path.join(paths.state_dir, "rotations")) else LIVE
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(asked_at + span.total_seconds() - SPARE))
    return json.dumps({"Version": 1, "AccessKeyId": pair[0], "SecretAccessKey": pair[1], "Expiration": until})


def _in_rotation(key_id: str, folder: str) -> bool:
    """Whether a note names the key: it is being replaced, or has replaced one that is kept. Looked at after the pair: a
    new key is in the keyring only while there is a note, or once the old one is gone."""
    try:
        for name in os.listdir(folder):
            if name.endswith(".note"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    if key_id in file.read():
                        return True
    except FileNotFoundError:  # no rotation yet, or one that was finished just now
        return False
    except (OSError, ValueError):
        return True
    return False


@contextmanager
def unasked() -> Iterator[None]:
    """No keyring asks for a password meanwhile: who asks on a terminal is of no use to SDKs, which run without one."""
    import getpass

    asks, getpass.getpass = getpass.getpass, _no_terminal
    try:
        yield
    finally:
        getpass.getpass = asks


def _no_terminal(prompt: str = "", stream: object = None) -> NoReturn:
    raise Problem(
        "this keyring asks for a password on a terminal, and programs that use the key have none",
        Hint("config", "set", "keyring_backend", "system"),
    )


@contextmanager
def _apart() -> Iterator[None]:
    """What a backend starts or prints has nothing of the pipes, whose end an SDK waits for."""
    null = os.open(os.devnull, os.O_RDWR)
    kept = [os.dup(fd) for fd in range(3)]
    for fd in range(3):
        os.dup2(null, fd)
    try:
        yield
    finally:
        for fd, mine in enumerate(kept):
            os.dup2(mine, fd)


def _profile(args: Sequence[str]) -> str:
    if len(args) == 1 and args[0].startswith("--profile="):
        return args[0].removeprefix("--profile=")
    if len(args) == 2 and args[0] in ("--profile", "-p"):
        return args[1]
    raise WrongUsage("this command takes the name of a profile, and nothing else", _USAGE)
