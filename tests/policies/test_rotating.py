"""A rotation with just the printed policy passes; without any one of its actions it fails clearly, or says less."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import Any

import pytest

from rotate_my_key import policies
from rotate_my_key.core.model import Credentials
from tests.cli.conftest import Desk
from tests.fleet.fakes import rows
from tests.standin import policies as rules
from tests.standin.errors import Refused
from tests.standin.rules import Call
from tests.standin.sessions import Signer

OLD = timedelta(days=98)


def printed(desk: Desk, name: str) -> dict[str, Any]:
    """The policy as the command prints it."""
    done = desk.run("policy", name)
    assert (done.code, done.err) == (0, "")
    document: dict[str, Any] = json.loads(done.out)
    return document


def without(document: dict[str, Any], actions: set[str]) -> dict[str, Any]:
    """The same policy, but these actions are allowed by nothing."""
    less = copy.deepcopy(document)
    for statement in less["Statement"]:
        if statement["Effect"] == "Allow":
            statement["Action"] = [action for action in statement["Action"] if action not in actions]
    less["Statement"] = [statement for statement in less["Statement"] if statement.get("Action", True)]
    return less


def rotated(desk: Desk, old: Credentials) -> bool:
    """Whether alice has exactly one key, new and active, in all profiles."""
    return desk.ids() == {desk.held(): "Active"} and desk.held() != old.key_id


@pytest.mark.parametrize("path", ["/", "/dev/", "/dev/team-1/"])
@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_self_is_enough_for_a_rotation(empty: Desk, path: str, partition: str) -> None:
    """In every partition and for users with a path, with every word said that there is to say."""
    empty.aws.settings.partition = partition
    empty.aws.add_user("carol", path)
    old = empty.aws.add_key("carol", OLD)
    empty.profiles(default=old)
    empty.aws.attach_policy("carol", printed(empty, "self"))
    regions = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
    done = empty.run("rotate", "--yes", AWS_DEFAULT_REGION=regions[partition])
    assert done.code == 0, done.text
    assert empty.ids("carol") == {empty.held(): "Active"}
    assert {call.outcome for call in empty.aws.calls} == {"OK"}


# A policy, an action that it lacks, options, the exit code, what is said, and what then is at AWS.
LACKING = rows(
    """
self | iam:ListAccessKeys | | 5 | iam:ListAccessKeys | the old key
self | iam:CreateAccessKey | | 5 | iam:CreateAccessKey | the old key
self | iam:DeleteAccessKey | | 5 | iam:DeleteAccessKey | the new key, and the old one inactive
self | iam:UpdateAccessKey | | 0 | | the new key
self | iam:UpdateAccessKey | --keep-old 7d | 5 | iam:UpdateAccessKey | a key that works
self | iam:GetUser | | 0 | | the new key
self | iam:GetAccessKeyLastUsed | | 0 | | the new key
self-mfa | iam:ListAccessKeys | | 5 | iam:ListAccessKeys | a key that works
self-mfa | iam:CreateAccessKey | | 5 | iam:CreateAccessKey | a key that works
self-mfa | iam:DeleteAccessKey | | 5 | iam:DeleteAccessKey | a key that works
self-mfa | iam:UpdateAccessKey | | 0 | | a key that works
self-mfa | iam:ListMFADevices | | 4 | mfa_serial | a key that works
""",
    6,
)


@pytest.mark.parametrize(
    ("name", "action", "words", "code", "said", "left"), LACKING, ids=[" ".join(row[:3]) for row in LACKING]
)
def test_no_action_is_too_many(
    desk: Desk, old: Credentials, name: str, action: str, words: str, code: str, said: str, left: str
) -> None:
    """Without one of them the action is named with whom to ask, and the profile works. Without the right to delete the
    new key is in use, and IT is asked to delete the old one; without that to deactivate it is deleted at once, unless
    it is to be kept. Tags and last use are worth having and no more: less is said. For self-mfa there is a device."""
    option = ("--mfa-code", desk.aws.add_mfa("alice").code) if name == "self-mfa" else ()
    desk.aws.attach_policy("alice", without(printed(desk, name), {action}))
    done = desk.run("rotate", "--yes", *option, *words.split())
    assert done.code == int(code), done.text
    assert said in done.err and ("hint: " in done.err) is (done.code != 0)
    if action == "iam:GetAccessKeyLastUsed":
        assert "last used" not in done.text
    match left:
        case "the old key":
            assert (desk.held(), desk.ids()[old.key_id]) == (old.key_id, "Active")
            assert desk.changes in ([], ["CreateAccessKey"])
        case "the new key":
            assert rotated(desk, old)
        case "the new key, and the old one inactive":
            assert desk.ids() == {old.key_id: "Inactive", desk.held(): "Active"}
        case _:
            assert desk.ids()[desk.held()] == "Active"


@pytest.mark.parametrize("name", ["self", "self-mfa"])
@pytest.mark.parametrize("command", ["CreateAccessKey", "ListAccessKeys", "DeleteAccessKey", "UpdateAccessKey"])
def test_nobody_elses_keys_are_opened(empty: Desk, name: str, command: str) -> None:
    """Not those of a user whose name ends or begins the same, nor of one whose path has the name in it."""
    document = printed(empty, name)
    alice = empty.aws.add_user("ali")
    signer = Signer(Credentials("ASIA", "-", "-"), alice, alice.arn, mfa=True)
    call = Call(command, "iam", "ASIA", {}, "", "", "", alice.create_date, 1)
    account = empty.aws.account
    for other in ("user/mali", "user/alice", "user/ali/mallory", "user/dev/mali", "role/ali", "mfa/ali"):
        with pytest.raises(Refused, match="AccessDenied"):
            rules.admit([document], call, signer, f"arn:aws:iam::{account}:{other}")
    rules.admit([document], call, signer, f"arn:aws:iam::{account}:user/ali")
    rules.admit([document], call, signer, f"arn:aws:iam::{account}:user/dev/ali")


# self-mfa


def test_self_mfa_is_enough_with_a_code(desk: Desk, old: Credentials) -> None:
    """One code carries the whole rotation; which device it is of AWS tells. Without a code nothing is made, exit 4; the
    age of a key is known all the same."""
    desk.aws.attach_policy("alice", printed(desk, "self-mfa"))
    device = desk.aws.add_mfa("alice")
    done = desk.run("status", "--json")
    assert [key["verdict"] for key in done.json["keys"]] == ["overdue"]
    done = desk.run("rotate", "--yes")
    assert (done.code, "--mfa-code" in done.err) == (4, True), done.text
    assert desk.ids() == {old.key_id: "Active"}
    done = desk.run("rotate", "--yes", "--mfa-code", device.code)
    assert done.code == 0, done.text
    assert rotated(desk, old)


def test_self_mfa_needs_no_list_of_devices_if_the_device_is_set(desk: Desk, old: Credentials) -> None:
    """With `mfa_serial` in the settings nobody asks AWS for the devices."""
    device = desk.aws.add_mfa("alice")
    desk.settings(f"mfa_serial = {device.serial}\n")
    desk.aws.attach_policy("alice", without(printed(desk, "self-mfa"), {"iam:ListMFADevices"}))
    done = desk.run("rotate", "--yes", "--mfa-code", device.code)
    assert done.code == 0, done.text
    assert rotated(desk, old)


# The command


@pytest.mark.parametrize(
    "words", [[], ["nobody"], ["SELF"], ["self-mfa.json"], ["../self"]], ids=lambda words: " ".join(words)
)
def test_an_unknown_policy_is_refused_with_those_there_are(desk: Desk, words: list[str]) -> None:
    """Exit 2, and all names are in the one line."""
    done = desk.run("policy", *words)
    assert (done.code, done.out) == (2, "")
    message, hint = done.problem()
    assert message.endswith(f"there are: {', '.join(policies.names())}")
    assert hint.startswith("rotate-my-key policy self")


def test_policies_allow_what_the_program_calls_and_no_more(desk: Desk) -> None:
    """Every IAM call of a rotation is in `self`, and `self` has no other."""
    desk.aws.attach_policy("alice", printed(desk, "self"))
    assert desk.run("rotate", "--yes").code == 0
    called = {f"iam:{call.action}" for call in desk.aws.calls if call.service == "iam"}
    allowed = {action for statement in printed(desk, "self")["Statement"] for action in statement["Action"]}
    keys = {"iam:ListAccessKeys", "iam:CreateAccessKey", "iam:UpdateAccessKey", "iam:DeleteAccessKey"}
    assert called == allowed == keys | {"iam:GetUser", "iam:GetAccessKeyLastUsed"}
