"""`python -m tests.bench [NAME...]`: start-up, rotation, status, all, dead, credentials, running, scan, fleet,
fleet-package;
and `python -m tests.bench.house`: the figures of the code itself."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from tests.standin import StandIn

from .measure import Command, in_turns, table

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.dirname(sys.executable)
TOOL = os.path.join(BIN, "rotate-my-key")
TURNS = int(os.environ.get("TURNS", "11"))


@contextmanager
def laptop() -> Iterator[tuple[StandIn, Callable[[], Mapping[str, str]]]]:
    """A stand-in, and a function that makes a fresh home with one old key and gives the environment."""
    home = tempfile.mkdtemp()
    with StandIn() as aws:
        aws.add_user("alice")

        def fresh() -> Mapping[str, str]:
            for key in aws.keys("alice"):
                aws.delete_key(key.key_id)
            pair = aws.add_key("alice", age=timedelta(days=98))
            shutil.rmtree(home)
            os.makedirs(f"{home}/.aws")
            with open(f"{home}/.aws/credentials", "w", encoding="ascii") as file:
                file.write(f"[default]\naws_access_key_id = {pair.key_id}\naws_secret_access_key = {pair.secret}\n")
            return environment(home, aws.url)

        yield aws, fresh
    shutil.rmtree(home, ignore_errors=True)


def environment(home: str, url: str) -> dict[str, str]:
    """A small environment: nothing but what a run needs."""
    return {
        "HOME": home,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ROTATE_MY_KEY_PROOF_INTERVAL": "0",
    }


_LIGHT = ("--version", "--help", "rotate --help", "adopt --help", "config set --help", "fleet report --help")
_LIGHT += ("history", "status --cached")


def start_up() -> None:
    """What starts without boto3, beside importing click."""
    with laptop() as (_, fresh):
        env = fresh()
        Command("", [TOOL, "status"], lambda: env)
        import subprocess

        subprocess.run([TOOL, "-q", "status"], env=dict(env), check=True, stdout=subprocess.DEVNULL)
        commands = [Command(" ".join(words), [TOOL, *words], lambda: env) for words in map(str.split, _LIGHT)]
        click = Command("import click", [sys.executable, "-c", "import click"], lambda: env)
        found = in_turns([*commands, click], 2 * TURNS)
        table("Start-up", found, dict.fromkeys((c.name for c in commands), 1.3))


def rotation() -> None:
    """A whole rotation, beside boto3 and beside the aws commands, with 0 and 100 ms in front of each call."""
    for latency in (0.0, 0.1):
        with laptop() as (aws, fresh):
            aws.settings.latency = latency
            commands = [
                Command("rotate-my-key --yes", [TOOL, "--yes"], fresh),
                Command("six aws commands", ["sh", f"{HERE}/by_hand.sh"], fresh),
                Command("boto3, the same calls", [sys.executable, f"{HERE}/boto.py", "same"], fresh),
                Command("boto3, six calls", [sys.executable, f"{HERE}/boto.py"], fresh),
            ]
            found = in_turns(commands, TURNS if not latency else TURNS // 2)
            ours = "rotate-my-key --yes"
            table(f"A rotation, {latency * 1000:.0f} ms a call", found, {ours: 0.95 if not latency else 0.65})
            table(
                "  beside aws",
                {n: found[n] for n in (ours, "six aws commands")},
                {ours: 0.125 if not latency else 0.25},
            )


def status() -> None:
    """Live status of one key, beside boto3 with both clients."""
    script = (
        "import boto3; s=boto3.client('sts'); i=boto3.client('iam'); s.get_caller_identity(); i.list_access_keys();"
        "i.get_user(); i.get_access_key_last_used(AccessKeyId=boto3.Session().get_credentials().access_key)"
    )
    with laptop() as (_, fresh):
        commands = [
            Command("rotate-my-key status", [TOOL, "status"], fresh),
            Command("boto3, the same calls", [sys.executable, "-c", script], fresh),
        ]
        table("Live status", in_turns(commands, TURNS), {"rotate-my-key status": 0.8})


def every() -> None:
    """100 keys with --all, 30 ms a call, beside one after the other."""
    home = tempfile.mkdtemp()
    with StandIn() as aws:
        aws.settings.latency = 0.03
        names = [f"u{number}" for number in range(100)]
        for name in names:
            aws.add_user(name)

        def fresh() -> Mapping[str, str]:
            text = ""
            for name in names:
                for key in aws.keys(name):
                    aws.delete_key(key.key_id)
                pair = aws.add_key(name, age=timedelta(days=98))
                text += f"[{name}]\naws_access_key_id={pair.key_id}\naws_secret_access_key={pair.secret}\n"
            shutil.rmtree(home)
            os.makedirs(f"{home}/.aws")
            with open(f"{home}/.aws/credentials", "w", encoding="ascii") as file:
                file.write(text)
            return environment(home, aws.url)

        loop = "for n in $(seq 0 99); do rotate-my-key -q --yes -p u$n; done"
        commands = [
            Command("rotate-my-key --all", [TOOL, "--all", "--yes"], fresh),
            Command("one after the other", ["sh", "-c", loop], fresh),
        ]
        table("100 keys, 30 ms a call", in_turns(commands, 1), {"rotate-my-key --all": 0.125})
    shutil.rmtree(home, ignore_errors=True)


def dead() -> None:
    """A run that rotates one key, with a profile beside it whose key is dead, and without: 6 refused calls, 3 s."""
    with laptop() as (aws, fresh):

        def beside(text: str) -> Mapping[str, str]:
            env = fresh()
            with open(f"{env['HOME']}/.aws/credentials", "a", encoding="ascii") as file:
                file.write(text)
            return env

        gone = "[dead]\naws_access_key_id = AKIADEADDEADDEADDEAD\naws_secret_access_key = dead\n"
        run = f"{TOOL} rotate --all --yes; [ $? = $0 ]"
        commands = [
            Command("with a dead profile", ["sh", "-c", run, "5"], lambda: beside(gone)),
            Command("without it", ["sh", "-c", run, "0"], lambda: beside("")),
        ]
        turns = min(TURNS, 5)
        table("rotate --all", in_turns(commands, turns))
        refused = sum(call.outcome == "InvalidClientTokenId" for call in aws.calls) / (turns + 1)
        print(f"  refused calls a run: {refused:.0f}, limit 6")


def credentials() -> None:
    """What SDKs start for a profile in the keyring."""
    from .credentials import credentials as measure

    measure(TOOL, environment("", ""), TURNS)


def running() -> None:
    """Programs that are running through rotations: how many of their calls fail."""
    from .running import running as measure

    measure()


def scan() -> None:
    """Looking for a key in 200,000 files, beside grep."""
    from .scan import scan as measure

    measure(TOOL, environment("", ""), max(1, TURNS // 3))


def fleet() -> None:
    """`fleet report` over 5,000 users and up to 300 accounts."""
    from .fleet import fleet as measure

    measure(TOOL, environment("", ""))


def fleet_package() -> None:
    """The zip for Lambda: its size, and its first run."""
    from .package import package as measure

    measure(TURNS)


BENCHES = {
    "start-up": start_up,
    "rotation": rotation,
    "status": status,
    "all": every,
    "dead": dead,
    "credentials": credentials,
    "running": running,
    "scan": scan,
    "fleet": fleet,
    "fleet-package": fleet_package,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()
