"""A fleet command with just the printed policy passes; without any one of its actions it fails clearly, or says less.

IT's computer holds a key of the user `fleet`, who has the policy and nothing else. The member account has the role,
with the part of the policy that is about users, as the template for it has.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rotate_my_key import policies
from rotate_my_key.errors import Problem
from rotate_my_key.fleet import function
from rotate_my_key.settings.fleet import REMEMBERED
from rotate_my_key.standin import Account
from tests.cli.conftest import Desk, Done, _alone
from tests.policies.test_rotating import printed

OLD = timedelta(days=98)
PARAMETER = "/rotate-my-key/fleet"
REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AccessDeniedForDependencyException"}
FLEET = tuple(name for name in policies.names() if name.startswith("fleet-"))
SETTINGS = f"""
[accounts]
role = {policies.ROLE}
external_id = x1
[exempt]
groups = machines,
[owners]
domain = example.com
"""


@dataclass
class Company:
    """IT's desk, and an organization of two accounts with an old key in each."""

    desk: Desk
    member: Account
    policy: dict[str, Any]
    settings: str

    def less(self, action: str) -> None:
        """From now on no policy allows this action, here and there."""
        self.allow({action})

    def allow(self, but: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        """Attach the policy, without some actions."""
        document = _without(self.policy, but)
        self.desk.aws.detach_policies("fleet")
        self.desk.aws.attach_policy("fleet", document)
        role = f"arn:aws:iam::{self.member.account}:role/{policies.ROLE}"
        self.member.detach_policies(role)
        self.member.attach_policy(role, _about_users(document))

    def run(self, *words: str) -> Done:
        """A fleet command with the settings from the parameter."""
        self.desk.aws.add_parameter(PARAMETER, self.settings)
        return self.desk.run("fleet", *words, "--settings", f"ssm:{PARAMETER}")

    def function(self, command: str) -> dict[str, Any]:
        """The function of Lambda, in this process. Raises what it raises."""
        self.desk.aws.add_parameter(PARAMETER, self.settings)
        function._warm.clear()  # as in a new process
        with _alone(self.desk.environment({function.SETTINGS: PARAMETER})):
            return function.handler({"command": command}, None)

    @property
    def called(self) -> set[str]:
        """The actions that were called, as policies name them."""
        names = {"ListObjectsV2": "ListBucket"}
        return {f"{call.service}:{names.get(call.action, call.action)}" for call in self.desk.aws.calls}


def _without(document: dict[str, Any], actions: set[str]) -> dict[str, Any]:
    less = copy.deepcopy(document)
    for statement in less["Statement"]:
        statement["Action"] = [action for action in statement["Action"] if action not in actions]
    less["Statement"] = [statement for statement in less["Statement"] if statement["Action"]]
    return less


def _about_users(document: dict[str, Any]) -> dict[str, Any]:
    rows = [each for each in document["Statement"] if all(action.startswith("iam:") for action in each["Action"])]
    return {**document, "Statement": rows}


def allowed(name: str) -> set[str]:
    """All actions of a policy."""
    return {action for statement in policies.statements(name) for action in statement["Action"]}


@pytest.fixture
def company(empty: Desk) -> Callable[[str], Company]:
    """Found a company whose IT has a policy."""

    def found(name: str, more: str = "") -> Company:
        aws = empty.aws
        aws.add_user("fleet")
        empty.profiles(default=aws.add_key("fleet"))
        aws.add_key("alice", OLD)
        member = aws.add_account("prod")
        member.add_user("bob", groups=["developers"])
        member.add_key("bob", OLD)
        member.add_group("machines")
        aws.add_group("machines")
        member.add_role(policies.ROLE, external_id="x1")
        made = Company(empty, member, printed(empty, name), more + SETTINGS)
        made.allow()
        empty.env["AWS_DEFAULT_REGION"] = "eu-west-1"
        return made

    return found


@pytest.fixture
def hook() -> Iterator[str]:
    """A chat: a web server that takes whatever is posted to it; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Taking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Take it."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


# What all of them have


@pytest.mark.parametrize("name", FLEET)
def test_tags_are_one_key_alone(name: str) -> None:
    """Whoever may write any tag could make himself an administrator where rights go by tags."""
    for statement in policies.statements(name):
        if {"iam:TagUser", "iam:UntagUser"} & set(statement["Action"]):
            assert set(statement["Action"]) <= {"iam:TagUser", "iam:UntagUser"}
            assert statement["Condition"] == {
                "ForAllValues:StringEquals": {"aws:TagKeys": [REMEMBERED]},
                "Null": {"aws:TagKeys": "false"},
            }


@pytest.mark.parametrize("name", FLEET)
def test_nothing_is_allowed_everywhere_that_can_be_limited(name: str) -> None:
    """`*` is the resource of those actions alone that have no other (Service Authorization Reference)."""
    without_resource = {
        *("iam:GenerateCredentialReport", "iam:GetCredentialReport", "iam:ListUsers", "organizations:ListAccounts"),
        *("ses:GetAccount", "secretsmanager:ListSecrets"),
    }
    for statement in policies.statements(name):
        assert (statement["Resource"] == "*") == (set(statement["Action"]) <= without_resource), statement
        assert not any("*" in action for action in statement["Action"])


def test_looking_changes_nothing() -> None:
    """`fleet-report` has no action that writes."""
    assert all(
        action.split(":")[1].startswith(("Get", "List", "Generate", "Assume")) for action in allowed("fleet-report")
    )


# report

REPORT = [
    ("iam:GenerateCredentialReport", 0, "users were listed instead, and root's keys are not seen"),
    ("iam:GetCredentialReport", 0, "users were listed instead, and root's keys are not seen"),
    ("iam:ListAccessKeys", 5, "ids and exact ages of the keys of"),
    ("iam:ListUserTags", 0, "the tags of"),
    ("iam:GetGroup", 0, "who is in group machines, and so exempt, is not known"),
    ("organizations:ListAccounts", 5, "organizations:ListAccounts"),
    ("sts:AssumeRole", 5, "may not be assumed by the caller"),
    ("ssm:GetParameter", 5, "ssm:GetParameter"),
]


def test_report_passes_with_its_policy(company: Callable[[str], Company]) -> None:
    """Both accounts, nothing missing, no call refused."""
    here = company("fleet-report")
    done = here.run("report", "--json")
    assert (done.code, {row["user"] for row in done.json["keys"]}) == (0, {"alice", "bob", "fleet"}), done.text
    assert {call.outcome for call in here.desk.aws.calls} == {"OK"}
    assert here.called <= allowed("fleet-report") | {"sts:GetCallerIdentity"}


@pytest.mark.parametrize(("action", "code", "said"), REPORT, ids=[row[0] for row in REPORT])
def test_report_has_no_action_too_many(company: Callable[[str], Company], action: str, code: int, said: str) -> None:
    """Without it something is missing, and it is said what."""
    here = company("fleet-report")
    here.less(action)
    done = here.run("report")
    assert said in done.text
    assert done.code == code, done.text


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

CHANNELS = """
[channels]
[[mail]]
kind = ses
sender = it@example.com
[[topic]]
kind = sns
topic = {topic}
[[chat]]
kind = apprise
urls = secretsmanager:rotate-my-key/chat
[remind]
owners = mail,
admins = topic, chat
[audit]
log_group = /rotate-my-key/audit
bucket = company
"""


@pytest.fixture
def reminding(company: Callable[..., Company], hook: str) -> Company:
    """A company with mail, a topic and a chat, and an audit in two places."""
    return with_channels(company("fleet-remind"), hook)


def with_channels(here: Company, hook: str) -> Company:
    """Each kind of channel, and both places for the audit."""
    aws = here.desk.aws
    aws.verify("it@example.com")
    topic = aws.add_topic("rotate-my-key-admins", "eu-west-1")
    aws.add_secret("rotate-my-key/chat", f"json://{hook}/tok3n")
    aws.add_log_group("/rotate-my-key/audit")
    aws.add_bucket("company")
    here.settings += CHANNELS.format(topic=topic)
    return here


def test_remind_passes_with_its_policy(reminding: Company) -> None:
    """Two owners are told, and the admins over two channels; every call is allowed."""
    done = reminding.run("remind", "--yes")
    assert done.code == 0, done.text
    assert len(reminding.desk.aws.mails) == 2
    assert not {call.outcome for call in reminding.desk.aws.calls} & REFUSED
    assert reminding.called <= allowed("fleet-remind") | {"sts:GetCallerIdentity"}


def test_remind_passes_with_its_policy_in_lambda(reminding: Company) -> None:
    """There it also writes its audit."""
    result = reminding.function("remind")
    assert result["incomplete"] is False, result
    assert not {call.outcome for call in reminding.desk.aws.calls} & REFUSED
    fallback = {"iam:ListUsers", "iam:GetAccessKeyLastUsed"}  # see below
    dry_run = {"ses:GetAccount"}
    assert reminding.called == allowed("fleet-remind") - fallback - dry_run | {"sts:GetCallerIdentity"}


REMIND = [
    ("iam:TagUser", 5, "iam:TagUser"),
    ("ses:SendEmail", 5, "ses:SendEmail"),
    ("sns:Publish", 5, "sns:Publish"),
    ("secretsmanager:GetSecretValue", 5, "secretsmanager:GetSecretValue"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("action", "code", "said"), REPORT + REMIND, ids=[row[0] for row in REPORT + REMIND])
def test_remind_has_no_action_too_many(reminding: Company, action: str, code: int, said: str) -> None:
    """Without it somebody is not told, or something is not known; it is said what."""
    reminding.less(action)
    done = reminding.run("remind", "--yes")
    assert done.code == code, done.text
    told = " ".join(each.message for each in reminding.desk.aws.published)
    assert said in done.text.replace("\n", " ") or said in told.replace("\n", " "), done.text + told


@pytest.mark.parametrize("action", ["logs:CreateLogStream", "logs:PutLogEvents", "s3:PutObject"])
def test_remind_in_lambda_cannot_write_its_audit_without_the_right(reminding: Company, action: str) -> None:
    """It is an error: what is done must be known."""
    reminding.less(action)
    with pytest.raises(Problem, match=action):
        reminding.function("remind")


def test_a_dry_run_sees_the_sandbox(reminding: Company) -> None:
    """For that GetAccount is there: without it that is not known, and the rest is shown."""
    reminding.desk.aws.settings.ses_sandbox = True
    assert "ses:GetAccount" not in reminding.run("remind", "--dry-run").text
    reminding.less("ses:GetAccount")
    done = reminding.run("remind", "--dry-run")
    assert done.code == 0
    assert "is in its sandbox may not be asked (ses:GetAccount)" in done.text


# enforce

BY_REPORT = {"iam:GenerateCredentialReport", "iam:GetCredentialReport"}  # only where passwords exempt

ENFORCE = """
[enforce]
accounts = {accounts}
deactivate_at = 90d
delete_after = 10d
weekdays = mon, tue, wed, thu, fri, sat, sun
hours = 0-24
"""


@pytest.fixture
def enforcing(company: Callable[..., Company], hook: str) -> Company:
    """Alice's key is to be switched off, for she was told of it; bob's, which is off for long, is to be deleted; carol
    is to be told."""
    here = with_channels(company("fleet-enforce"), hook)
    aws = here.desk.aws
    (alice,), (bob,) = aws.keys("alice"), here.member.keys("bob")
    aws.set_tags("alice", {REMEMBERED: f"1 {alice.key_id[-8:]}:n2:f20260901:l20261001"})
    here.member.set_status(bob.key_id, "Inactive")
    here.member.set_tags("bob", {REMEMBERED: f"1 {bob.key_id[-8:]}:n2:f20260801:l20260901:o20260915"})
    aws.add_user("carol")
    aws.add_key("carol", OLD)
    accounts = f"{aws.account}, {here.member.account}"
    here.settings += ENFORCE.format(accounts=accounts)
    return here


def test_enforce_passes_with_its_policy(enforcing: Company) -> None:
    """One key is switched off, one is deleted, one owner is told; no call is refused."""
    numbers = enforcing.function("enforce")["numbers"]
    assert (numbers["Notified"], numbers["Deactivated"], numbers["Deleted"]) == (1, 1, 1)
    assert [key.status for key in enforcing.desk.aws.keys("alice")] == ["Inactive"]
    assert enforcing.member.keys("bob") == []
    assert not {call.outcome for call in enforcing.desk.aws.calls} & REFUSED
    assert enforcing.called == allowed("fleet-enforce") - BY_REPORT | {"sts:GetCallerIdentity"}


# What a run without an action tells: a trouble or an error that names it, or how much less was done and why.
LESS_ENFORCED = {
    "iam:GetAccessKeyLastUsed": {"last use unknown": 2},
    "iam:ListUserTags": {"unsure": 2},
}
NAMELESS = {"sts:AssumeRole": "may not be assumed by the caller"}


@pytest.mark.slow
@pytest.mark.parametrize("action", sorted(allowed("fleet-enforce") - BY_REPORT))
def test_enforce_has_no_action_too_many(enforcing: Company, action: str) -> None:
    """Without it the run fails, or tells what it could not do; no key is touched because something is not known."""
    enforcing.less(action)
    try:
        result = enforcing.function("enforce")
    except Problem as problem:
        assert action in problem.message
        assert [key.status for key in enforcing.desk.aws.keys("alice")] == ["Active"]
        return
    if action in LESS_ENFORCED:
        assert result["spared"] == LESS_ENFORCED[action]
        assert (result["numbers"]["Deactivated"], result["numbers"]["Deleted"]) == (0, 0)
    else:
        assert NAMELESS.get(action, action) in " ".join(result["troubles"])
        assert result["incomplete"] is True


@pytest.mark.parametrize("action", sorted(BY_REPORT))
def test_enforce_without_the_report_does_nothing_where_passwords_exempt(enforcing: Company, action: str) -> None:
    """For bots, who are told by having no password, the report is there: who cannot know them touches nobody."""
    enforcing.settings = enforcing.settings.replace("[exempt]", "[exempt]\nnever_signed_in = yes")
    enforcing.less(action)
    with pytest.raises(Problem, match=action):
        enforcing.function("enforce")
    assert [key.status for key in enforcing.desk.aws.keys("alice")] == ["Active"]


# reissue

KMS = "arn:aws:kms:eu-west-1:123456789012:key/abc"
REISSUE = f"""
[reissue]
enabled = yes
keep = 1s
kms_key = {KMS}
"""


@pytest.fixture
def reissuing(company: Callable[..., Company], hook: str) -> Company:
    """Bob, in the member account, is to get a key through a secret, or through a bucket."""
    here = with_channels(company("fleet-reissue"), hook)
    here.settings = here.settings.replace("owners = mail,", "owners = mail, topic, chat").replace(
        "admins = topic, chat", ""
    )
    here.settings += REISSUE
    here.desk.aws.add_bucket("keys")
    return here


def hand_over(here: Company) -> list[Done]:
    """A key for bob, another in its place, and the sweep when its time is over."""
    bob = ("bob", "--account", here.member.account, "--yes")
    first = [here.run("reissue", *bob), here.run("reissue", *bob, "--renew")]
    time.sleep(1.1)
    return [*first, here.run("reissue", "--sweep", "--yes")]


@pytest.mark.slow
@pytest.mark.parametrize("through", ["secretsmanager", "s3"])
def test_reissue_passes_with_its_policy(reissuing: Company, through: str) -> None:
    """A key is made, told of, made anew, and swept; with both ways every action was needed, and none was refused."""
    reissuing.settings += f"through = {through}\nbucket = keys\n"
    done = hand_over(reissuing)
    assert [each.code for each in done] == [0, 0, 0], [each.text for each in done]
    assert len(reissuing.member.keys("bob")) == 1
    assert not {call.outcome for call in reissuing.desk.aws.calls} & REFUSED
    other = {"secretsmanager": "s3:", "s3": "secretsmanager:"}[through]
    unused = {
        action for action in allowed("fleet-reissue") - reissuing.called if not action.startswith(("kms:", other))
    }
    assert unused == set()
    assert reissuing.called <= allowed("fleet-reissue") | {"sts:GetCallerIdentity"}


@pytest.mark.slow
@pytest.mark.parametrize("action", sorted(allowed("fleet-reissue")))
def test_reissue_has_no_action_too_many(reissuing: Company, action: str) -> None:
    """Without it one of the runs fails or warns, and names it."""
    reissuing.settings += "through = s3\nbucket = keys\n" if action.startswith("s3:") else ""
    reissuing.less(action)
    done = hand_over(reissuing)
    # AWS names no KMS action: to whoever calls Secrets Manager the whole call is denied
    said = "is not allowed to call secretsmanager:" if action.startswith("kms:") else NAMELESS.get(action, action)
    assert said in " ".join(each.text for each in done)


@pytest.mark.slow
def test_reissue_sweeps_in_lambda_with_its_policy(reissuing: Company) -> None:
    """What nobody fetched is gone, place and key."""
    hand_over_once = reissuing.run("reissue", "bob", "--account", reissuing.member.account, "--yes")
    assert hand_over_once.code == 0, hand_over_once.text
    time.sleep(1.1)
    assert reissuing.function("sweep")["numbers"] == {"deleted": 1}
    assert len(reissuing.member.keys("bob")) == 1
    left = [secret.name for secret in reissuing.desk.aws.secrets.values() if not secret.deleted]
    assert left == ["rotate-my-key/chat"]


@pytest.mark.slow
def test_enforce_revoke_and_taking_back_pass_with_the_policy_of_enforce(enforcing: Company) -> None:
    """As they are typed: what would be done, doing it, switching off all of a user's keys, switching them on again."""
    assert enforcing.run("enforce").code == 0
    assert enforcing.run("enforce", "--apply", "--yes").code == 0
    for words in (["revoke", "carol", "--yes"], ["revoke", "--undo", "carol", "--yes"]):
        done = enforcing.run(*words)
        assert done.code == 0, done.text
    assert not {call.outcome for call in enforcing.desk.aws.calls} & REFUSED
    assert enforcing.called <= allowed("fleet-enforce") | {"sts:GetCallerIdentity"}
