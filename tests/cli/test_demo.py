"""`demo`: a whole rotation, and nothing outside its throwaway home is touched."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from rotate_my_key.cli.main import run
from rotate_my_key.core.model import Credentials
from rotate_my_key.demo import DemoAws
from tests.cli.conftest import Desk

NONSENSE = {
    "AWS_PROFILE": "nobody",
    "AWS_ENDPOINT_URL": "http://192.0.2.1:1",
    "AWS_ENDPOINT_URL_IAM": "http://192.0.2.1:2",
    "AWS_ACCESS_KEY_ID": "AKIANONSENSENONSENSE",
    "AWS_SECRET_ACCESS_KEY": "nonsense",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
    "AWS_CA_BUNDLE": "/nonexistent/bundle",
    "HTTPS_PROXY": "http://192.0.2.1:3",
    "HTTP_PROXY": "http://192.0.2.1:3",
    "ROTATE_MY_KEY_MAX_AGE": "nonsense",
    "XDG_STATE_HOME": "/nonexistent/state",
}


@pytest.mark.parametrize("nonsense", [{}, NONSENSE], ids=["plain", "nonsense in the environment"])
def test_the_demo(desk: Desk, tmp_path: Path, nonsense: dict[str, str]) -> None:
    """The file before, the question and its answer, the steps, a diff of four lines, the key that is left, what to type
    next; nothing else is touched. Made up or not, no secret is on the screen."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = desk.snapshot()
    done = desk.process("demo", "--fast", TMPDIR=str(temporary), **nonsense)
    assert done.code == 0, done.text
    assert desk.snapshot() == before
    assert list(temporary.iterdir()) == []
    assert desk.aws.calls == []
    assert re.search(r"\nRotate it.* y\n", done.err)
    assert re.search(
        r"created a new key .*\n  new key works .*\n  ~/\.aws/credentials: updated default and work", done.err
    )
    secrets = re.findall(r"aws_secret_access_key *= *(\S+)", done.out)
    assert len(secrets) == 6
    assert all(re.fullmatch(r"\S{0,2}\*+", secret) for secret in secrets)
    diff = [line for line in done.out.splitlines() if re.match(r"[-+][^-+]", line)]
    assert sorted(line[0] for line in diff) == ["+"] * 4 + ["-"] * 4
    assert all("aws_access_key_id" in line or "aws_secret_access_key" in line for line in diff)
    assert re.search(r"Alice's keys in AWS now: AKIA\w+ \(active\)\n\nTo install it: ./install.sh\n$", done.out)


def test_once_it_is_installed_the_next_command_is_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the shell finds the program. The environment is changed for the demo only."""
    (tmp_path / "rotate-my-key").touch(0o755)
    before = dict(os.environ)
    assert run(["demo", "--fast"], {"PATH": f"{tmp_path}:{os.environ['PATH']}"}) == 0
    assert capsys.readouterr().out.endswith("\n\nNow your own keys: rotate-my-key status\n")
    assert dict(os.environ) == before


@pytest.mark.parametrize("at", ["$ rotate-my-key", "created a new key"])
def test_ctrl_c_says_nothing_of_real_keys(desk: Desk, at: str) -> None:
    """Nothing is left to finish, so nothing is to be typed; whether it comes before the question or during a step."""
    run = desk.terminal("demo")
    run.answer(at, "\x03")
    done = run.end()
    assert done.code == 130
    assert done.lines[-1] == "Stopped. Everything in the demo was made up, and is gone."
    assert "hint:" not in done.text
    assert "next run" not in done.text


@pytest.mark.parametrize("wanted", [True, False])
def test_colours_show_what_changed(desk: Desk, wanted: bool) -> None:
    """In a terminal, and not where they are not wanted."""
    done = desk.shown("demo", "--fast", NO_COLOR="" if wanted else "1")
    assert done.code == 0
    assert ("\x1b[32m+" in done.stream) is wanted


@pytest.fixture
def aws() -> Iterator[DemoAws]:
    """The demo's AWS, which knows a new key at once."""
    with DemoAws(propagation=0, latency=0) as running:
        yield running


def client(aws: DemoAws, pair: Credentials, service: str = "iam") -> Any:
    """boto3's client, signing with this pair."""
    return boto3.Session(pair.key_id, pair.secret, region_name="us-east-1").client(service, endpoint_url=aws.url)


def refusal(call: Callable[..., object], **values: object) -> str:
    """The code with which AWS says no."""
    with pytest.raises(ClientError) as caught:
        call(**values)
    return str(caught.value.response["Error"]["Code"])


def test_its_aws_is_as_strict_as_aws_where_it_matters(aws: DemoAws) -> None:
    """A wrong secret, an unknown key, a third key and a key that is not there are refused, in AWS's words."""
    iam = client(aws, aws.pair)
    wrong = Credentials(aws.pair.key_id, aws.pair.secret[::-1])
    assert refusal(client(aws, wrong, "sts").get_caller_identity) == "SignatureDoesNotMatch"
    assert refusal(client(aws, Credentials("AKIAUNKNOWN000000000", "x")).list_access_keys) == "InvalidClientTokenId"
    assert refusal(iam.list_access_keys, UserName="bob") == "NoSuchEntity"
    assert refusal(iam.delete_access_key, AccessKeyId="AKIAUNKNOWN000000000") == "NoSuchEntity"
    assert refusal(iam.list_users) == "InvalidAction"
    made = iam.create_access_key()["AccessKey"]
    assert refusal(iam.create_access_key) == "LimitExceeded"
    new = client(aws, Credentials(made["AccessKeyId"], made["SecretAccessKey"]))
    iam.update_access_key(AccessKeyId=made["AccessKeyId"], Status="Inactive")
    assert refusal(new.list_access_keys) == "InvalidClientTokenId"
    assert [key["Status"] for key in iam.list_access_keys()["AccessKeyMetadata"]] == ["Active", "Inactive"]
    with DemoAws(propagation=3600, latency=0) as slow:  # a new key is known only after a while
        made = client(slow, slow.pair).create_access_key()["AccessKey"]
        new = client(slow, Credentials(made["AccessKeyId"], made["SecretAccessKey"]), "sts")
        assert refusal(new.get_caller_identity) == "InvalidClientTokenId"
