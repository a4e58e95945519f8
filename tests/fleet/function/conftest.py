"""Lambda, as far as it matters here: the zip unpacked, boto3 beside it as the runtime has it, a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore
import pytest

from rotate_my_key.core.model import Credentials
from rotate_my_key.fleet.deploy import build
from tests.cli.conftest import desk, empty, make_key, old
from tests.standin import StandIn

__all__ = ["desk", "empty", "make_key", "old"]

SITE = Path(botocore.__file__).parents[1]
RUNTIME = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py")  # what Lambda's Python brings of it
PARAMETER = "/rotate-my-key/fleet"
_START = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from rotate_my_key.fleet.function import handler

class Context:
    milliseconds = json.loads(sys.argv[3])
    def get_remaining_time_in_millis(self):
        return self.milliseconds

for event in json.loads(sys.argv[2]):
    try:
        answer = ["answer", handler(event, Context())]
    except Exception as error:
        answer = ["raised", type(error).__name__, str(error), repr(error.__cause__ or error.__context__)]
    print("=", json.dumps(answer))
print("= modules", json.dumps(sorted(name for name in sys.modules)))
"""


@dataclass(frozen=True)
class Ended:
    """How the invocations ended: for each `answer` or `raised` with what, the lines of the log, what was imported."""

    answers: list[list[Any]]
    lines: list[dict[str, Any]]
    modules: set[str]
    text: str


@dataclass
class Lambda:
    """A function with the zip in `task`."""

    task: Path
    runtime: Path
    env: dict[str, str] = field(default_factory=dict)

    def invoke(self, *events: Any, milliseconds: int = 900_000, **env: str) -> Ended:
        """In one process, one after the other."""
        done = subprocess.run(
            [
                *(sys.executable, "-I", "-S", "-c", _START),
                *(json.dumps([str(self.task), str(self.runtime)]), json.dumps(events), json.dumps(milliseconds)),
            ],
            env={**self.env, **env},
            cwd=self.task,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said = done.stdout.splitlines()
        *answers, modules = [line.removeprefix("= ") for line in said if line.startswith("= ")]
        lines = [json.loads(line) for line in said if not line.startswith("= ")]
        return Ended(
            [json.loads(answer) for answer in answers],
            lines,
            set(json.loads(modules.removeprefix("modules "))),
            done.stdout + done.stderr,
        )


@pytest.fixture
def aws(running: StandIn) -> Iterator[StandIn]:
    """An account with two users, one of them with an old key."""
    running.reset()
    running.add_user("alice")
    running.add_key("alice", timedelta(days=98))
    running.add_user("bob")
    running.add_key("bob", timedelta(days=3))
    yield running
    running.all_well()


@pytest.fixture
def admin(aws: StandIn) -> Credentials:
    """Who signs: in Lambda it would be the role."""
    aws.add_user("fleet", tags={"rotate-my-key": "exempt"})
    return aws.add_key("fleet")


@pytest.fixture
def settings(aws: StandIn) -> Callable[[str], None]:
    """Put the settings into the parameter."""

    def put(text: str) -> None:
        aws.add_parameter(PARAMETER, text or "\n")  # SSM takes no empty value

    return put


@pytest.fixture(scope="session")
def make_function(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Lambda]:
    """Unpack a zip as Lambda does."""

    def make(**options: Any) -> Lambda:
        work = tmp_path_factory.mktemp("lambda")
        archive = work / "function.zip"
        archive.write_bytes(build("0", **options).data)
        zipfile.ZipFile(archive).extractall(work / "task")
        (work / "runtime").mkdir()
        for name in () if options.get("botocore") else RUNTIME:
            (work / "runtime" / name).symlink_to(SITE / name)
        return Lambda(work / "task", work / "runtime")

    return make


@pytest.fixture(scope="session")
def unpacked(make_function: Callable[..., Lambda]) -> Lambda:
    """The usual zip."""
    return make_function()


@pytest.fixture
def function(unpacked: Lambda, aws: StandIn, admin: Credentials) -> Lambda:
    """The usual zip, deployed."""
    return deployed(unpacked, aws, admin)


def deployed(function: Lambda, aws: StandIn, signer: Credentials, **more: str) -> Lambda:
    """With the environment that Lambda gives: credentials and region are variables there."""
    env: Mapping[str, str] = {
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_ACCESS_KEY_ID": signer.key_id,
        "AWS_SECRET_ACCESS_KEY": signer.secret,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "ROTATE_MY_KEY_FLEET_SETTINGS": PARAMETER,
        "LC_ALL": "C.UTF-8",
        **({"AWS_SESSION_TOKEN": signer.token} if signer.token else {}),
    }
    return Lambda(function.task, function.runtime, {**env, **more})
