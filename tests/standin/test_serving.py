"""Connections, the record of calls, several stand-ins, and one as a process of its own."""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from rotate_my_key.core.model import Credentials
from tests.standin import StandIn, sample
from tests.standin.conftest import Client, Refusal


def test_no_secret_is_recorded(aws: StandIn, client: Client) -> None:
    """Neither a pair's nor one that is a parameter."""
    pair = aws.add_key("alice")
    iam = client("iam", pair)
    iam.create_login_profile(UserName="alice", Password="correct-horse-1")
    made = iam.create_access_key(UserName="alice")["AccessKey"]["SecretAccessKey"]
    text = repr(aws.calls)
    assert "CreateLoginProfile" in text
    assert not [secret for secret in (pair.secret, made, "correct-horse") if secret in text]


def test_many_clients_at_once(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Of twelve who create a key at the same moment, one gets it."""
    pair = aws.add_key("alice")
    clients = [client("iam", pair) for _ in range(12)]
    aws.settings.latency = 0.05
    outcomes: list[str] = []

    def create(iam: Any) -> None:
        try:
            iam.create_access_key(UserName="alice")
            outcomes.append("OK")
        except iam.exceptions.LimitExceededException:
            outcomes.append("LimitExceeded")

    threads = [threading.Thread(target=create, args=(iam,)) for iam in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["LimitExceeded"] * 11 + ["OK"]
    assert len(aws.keys("alice")) == 2


def test_what_a_killed_program_has_sent_is_waited_for(aws: StandIn) -> None:
    """Each request of a client that is gone has its outcome, even one on a connection that nobody had accepted yet."""
    body = "Action=GetUser&Version=2010-05-08"
    for _ in range(20):
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        with socket.create_connection(("127.0.0.1", int(aws.url.rpartition(":")[2]))) as gone:
            gone.sendall(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}".encode())
    aws.settle()
    assert len(aws.calls) == 20 and all(call.outcome for call in aws.calls)


def test_reset_forgets_everything(aws: StandIn, client: Client, refusal: Refusal) -> None:
    """Users, keys, calls, rules, settings, callbacks, connections; url and account stay."""
    pair = aws.add_key("alice")
    iam = client("iam", pair)
    iam.create_user(UserName="bob")
    aws.settings.propagation = 9
    aws.fault("*", "throttle", times=None)
    aws.deny("*")
    aws.on_call(lambda call: aws.add_user("unwanted"))
    url, account = aws.url, aws.account
    aws.reset()
    assert (aws.calls, aws.connections, aws.settings.propagation) == ([], 0, 0)
    assert (aws.url, aws.account) == (url, account)
    assert refusal(iam.get_user)[0] == "InvalidClientTokenId"
    aws.add_user("carol")
    users = client("iam", aws.add_key("carol")).list_users()["Users"]
    assert [user["UserName"] for user in users] == ["carol"]


def test_two_stand_ins_are_two_accounts(aws: StandIn, client: Client, session: botocore.session.Session) -> None:
    """Side by side in one process, neither knows the other's users or keys; a reset of one leaves the other alone."""
    pair = aws.add_key("alice")
    with StandIn() as other:
        other.add_user("alice")
        theirs = other.add_key("alice")
        config = Config(retries={"total_max_attempts": 1})

        def works(pair: Credentials) -> bool:
            iam: Any = session.create_client(
                "iam", "us-east-1", None, True, None, other.url, pair.key_id, pair.secret, config=config
            )
            try:
                return [user["UserName"] for user in iam.list_users()["Users"]] == ["alice"]
            except iam.exceptions.ClientError:
                return False

        assert (works(theirs), works(pair)) == (True, False)
        aws.reset()
        assert works(theirs)
        assert other.account != aws.account


def test_a_fleet_as_a_process_of_its_own(tmp_path: Path) -> None:
    """Accounts, users and an admin whose key is in a new credentials file; each flag does what try-it.md says."""
    file = tmp_path / "credentials"
    command = [sys.executable, "-m", "tests.standin", "--fleet", "6:60", "--profile", str(file)]
    command += ["--break", "100000000028=throttled", "--user", "zoe", "--set", "page_size=7"]
    command += ["--fault", '{"action": "GetUser", "kind": "503"}', "--deny", '{"action": "TagUser"}']
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert [each["user"] for each in told["keys"]] == ["zoe"]  # the admin's pair is in the file
        assert (told["accounts"], file.stat().st_mode & 0o777) == (6, 0o600)
        session = botocore.session.Session()
        session.set_config_variable("credentials_file", str(file))
        session.set_config_variable("config_file", "/dev/null")

        def client(service: str, **keys: Any) -> Any:
            return session.create_client(service, region_name="us-east-1", endpoint_url=told["url"], **keys)

        once = client("iam", config=Config(retries={"total_max_attempts": 1}))
        accounts = client("organizations").list_accounts()["Accounts"]
        states = sorted(account["Status"] for account in accounts)
        assert states == ["ACTIVE"] * 5 + ["SUSPENDED"]
        member = next(each["Id"] for each in accounts if each["Status"] == "ACTIVE" and each["Id"] != told["account"])
        role = f"arn:aws:iam::{member}:role/{told['role']}"
        made = client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
        names = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey"}
        keys = {name: made[key] for name, key in {**names, "aws_session_token": "SessionToken"}.items()}
        assert len(client("iam", **keys).list_users()["Users"]) == 7
        for call, code in (("get_user", "ServiceUnavailable"), ("tag_user", "AccessDenied")):
            more = {"Tags": []} if call == "tag_user" else {}
            with pytest.raises(ClientError, match=code):
                getattr(once, call)(UserName="zoe", **more)
        session.create_client("sns", region_name="us-east-1", endpoint_url=told["url"]).publish(
            TopicArn=f"arn:aws:sns:us-east-1:{told['account']}:rotate-my-key", Message="hello"
        )
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        news = json.loads(process.stdout.readline())
        assert news["calls"]["sts:AssumeRole OK"] == news["calls"]["sns:Publish OK"] == 1
        assert [message["text"] for message in news["messages"]] == ["hello"]
        process.communicate(timeout=5)


def test_a_company_is_made_up_the_same_each_time() -> None:
    """Of all ages and kinds: what a report shows is to be found in it."""
    company = sample.made_up(10, 1000)
    assert company == sample.made_up(10, 1000)
    users = [user for account in company["accounts"] for user in account["users"]]
    keys = [key for user in users for key in user["keys"]]
    ages = [int(key["age"].removesuffix("d")) for key in keys]
    assert (len(users), min(ages) < 15, max(ages) > 380) == (1000, True, True)
    assert {len(user["keys"]) for user in users} == {0, 1, 2}
    assert {key["status"] for key in keys} == {"Active", "Inactive"}
    assert {"used" in key for key in keys} == {"owner" in user["tags"] for user in users} == {True, False}
    assert any(user["tags"].get("rotate-my-key") == "exempt" for user in users)
    assert any("root_key" in account for account in company["accounts"])


def test_a_company_can_be_described(aws: StandIn, client: Client) -> None:
    """In JSON; what is not understood is refused."""
    user = {
        "name": "bob",
        "path": "/people/",
        "tags": {"owner": "bob@example.com"},
        "groups": ["dev"],
        "signed_in": "3d",
        "keys": [{"age": "98d", "used": "2d", "service": "ec2"}, {"age": "5d", "status": "Inactive"}],
    }
    shop = {"name": "shop", "number": "123456789012", "role": "fleet", "root_key": "700d", "users": [user]}
    sample.set_up(aws, {"accounts": [{"users": [{"name": "carol"}]}, shop]})
    account = aws.in_account("123456789012")
    assert [key.status for key in account.keys("bob")] == ["Active", "Inactive"]
    assert len(account.keys(None)) == 1
    assert account.tags("bob") == {"owner": "bob@example.com"}
    assert aws.keys("carol") == []
    with pytest.raises(ValueError, match="shoes"):
        sample.set_up(aws, {"accounts": [{"shoes": 2}]})
