"""`fleet report` and `fleet remind` with just the printed policy pass; without any one of its actions they fail
clearly, or say less."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key import policies
from rotate_my_key.core.errors import Problem
from rotate_my_key.core.model import FLEET_KEY, RECALL_KEY
from tests.policies.company import UNITS, Company, allowed, with_channels

FLEET = tuple(name for name in policies.names() if name.startswith("fleet-"))


@pytest.mark.parametrize("name", FLEET)
def test_tags_are_our_own_keys_alone(name: str) -> None:
    """Whoever may write any tag could make himself an administrator where rights go by tags."""
    for statement in policies.statements(name):
        if {"iam:TagUser", "iam:UntagUser"} & set(statement["Action"]):
            assert set(statement["Action"]) <= {"iam:TagUser", "iam:UntagUser"}
            assert statement["Condition"] == {
                "ForAllValues:StringEquals": {
                    "aws:TagKeys": [FLEET_KEY, *([RECALL_KEY] if name == "fleet-enforce" else [])]
                },
                "Null": {"aws:TagKeys": "false"},
            }


@cache
def reference() -> dict[str, Any]:
    """The Service Authorization Reference by service, as cfn-lint brings it."""
    found = find_spec("cfnlint") or pytest.skip("cfn-lint is not for this Python yet")
    assert found.origin
    file = Path(found.origin).parent / "data" / "AdditionalSpecs" / "Policies.json"
    services: dict[str, Any] = json.loads(file.read_text())
    return services


@pytest.mark.parametrize("name", policies.names())
def test_every_action_exists_and_has_the_resource_that_it_takes(name: str) -> None:
    """`*` stands only, and always, where the Service Authorization Reference has no resource for an action."""
    for statement in policies.statements(name):
        if statement["Effect"] == "Deny":
            continue
        for action in statement["Action"]:
            service, _, verb = action.partition(":")
            resources = reference()[service]["Actions"][verb.lower()].get("Resources", [])
            assert (statement["Resource"] == "*") == (not resources), action


def test_looking_changes_nothing() -> None:
    """`fleet-report` has no action that writes."""
    assert all(
        action.split(":")[1].startswith(("Get", "List", "Generate", "Assume")) for action in allowed("fleet-report")
    )


# report

REPORT = [
    ("iam:GenerateCredentialReport", 0, "users were listed instead, without the keys of root"),
    ("iam:GetCredentialReport", 0, "users were listed instead, without the keys of root"),
    ("iam:ListAccessKeys", 5, "IDs and exact ages of the keys of"),
    ("iam:ListUserTags", 0, "the tags of"),
    ("iam:GetGroup", 0, "who is in group machines, and so exempt, is unknown"),
    ("organizations:ListAccounts", 5, "organizations:ListAccounts"),
    ("sts:AssumeRole", 5, "may not be assumed by the caller"),
    ("ssm:GetParameter", 5, "ssm:GetParameter"),
]


def test_report_passes_with_its_policy(company: Callable[[str], Company]) -> None:
    """Both accounts, nothing missing, no call refused."""
    here = company("fleet-report")
    done = here.run("report", "--json")
    assert (done.code, {row["user"] for row in done.json["keys"]}) == (0, {"alice", "bob", "fleet"}), done.text
    assert here.called() <= allowed("fleet-report")
    assert {call.outcome for call in here.desk.aws.calls} == {"OK"}


def test_report_lists_where_there_is_no_report(company: Callable[[str], Company]) -> None:
    """For that ListUsers and GetAccessKeyLastUsed are there: without the first nobody is seen, without the second a
    last use is unknown."""
    here = company("fleet-report")
    here.desk.aws.deny("GenerateCredentialReport")
    keys = here.run("report", "--json", "--all").json["keys"]
    assert all(key["last_use"] is not None for key in keys), keys
    here.less("iam:GetAccessKeyLastUsed")
    done = here.run("report", "--json", "--all")
    assert [key["last_use"] for key in done.json["keys"]] == [None] * len(keys)
    here.less("iam:ListUsers")
    done = here.run("report")
    assert done.code == 5
    assert "iam:ListUsers" in done.text


# remind


@pytest.fixture
def reminding(company: Callable[..., Company], hook: str) -> Company:
    """A company with mail, a topic and a chat, and an audit in two places."""
    return with_channels(company("fleet-remind"), hook)


def test_remind_passes_with_its_policy(reminding: Company) -> None:
    """Two owners are told, and the admins over two channels; every call is allowed."""
    done = reminding.run("remind", "--yes")
    assert done.code == 0, done.text
    assert len(reminding.desk.aws.mails) == 2
    assert reminding.called() <= allowed("fleet-remind")


def test_remind_passes_with_its_policy_in_lambda(reminding: Company) -> None:
    """There it also writes its audit."""
    result = reminding.function("remind")
    assert result["incomplete"] is False, result
    unused = {"iam:ListUsers", "iam:GetAccessKeyLastUsed", "ses:GetAccount", *UNITS}  # lists are a fallback: see above
    assert reminding.called() == allowed("fleet-remind") - unused


REMIND = [
    *REPORT,
    ("iam:TagUser", 5, "iam:TagUser"),
    ("ses:SendEmail", 5, "ses:SendEmail"),
    ("sns:Publish", 5, "sns:Publish"),
    ("secretsmanager:GetSecretValue", 5, "secretsmanager:GetSecretValue"),
]
LESS = [*(("report", *row) for row in REPORT), *(("remind --yes", *row) for row in REMIND)]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "action", "code", "said"), LESS, ids=[f"{row[0]} {row[1]}" for row in LESS])
def test_no_action_is_too_many(
    company: Callable[..., Company], hook: str, command: str, action: str, code: int, said: str
) -> None:
    """Without it something is missing, or somebody is not told; it is said what."""
    here = company(f"fleet-{command.split()[0]}")
    here = with_channels(here, hook) if "remind" in command else here
    here.less(action)
    done = here.run(*command.split())
    assert done.code == code, done.text
    told = " ".join([done.text, *(each.message for each in here.desk.aws.published)]).replace("\n", " ")
    assert said in told, told


@pytest.mark.slow
@pytest.mark.parametrize("action", ["logs:CreateLogStream", "logs:PutLogEvents", "s3:PutObject"])
def test_remind_in_lambda_cannot_write_its_audit_without_the_right(reminding: Company, action: str) -> None:
    """It is an error: what is done must be known."""
    reminding.less(action)
    with pytest.raises(Problem, match=action):
        reminding.function("remind")


def test_what_remind_does_without(reminding: Company) -> None:
    """GetAccount is there for the sandbox: without it that is not known, and the rest is shown. No other tag than ours
    can be written: with another one in the settings nothing is remembered."""
    reminding.desk.aws.settings.ses_sandbox = True
    assert "ses:GetAccount" not in reminding.run("remind", "--dry-run").text
    reminding.less("ses:GetAccount")
    done = reminding.run("remind", "--dry-run")
    assert (done.code, "whether SES is in the sandbox (needs ses:GetAccount)" in done.text) == (0, True), done.text
    reminding.desk.aws.settings.ses_sandbox = False
    reminding.settings = reminding.settings.replace("[remind]", "[remind]\ntag = department")
    done = reminding.run("remind", "--yes")
    assert (done.code, "iam:TagUser" in done.text) == (5, True), done.text
    assert reminding.desk.aws.tags("alice") == {}
