"""A company whose IT has just what a printed policy gives.

IT's computer holds a key of the user `fleet`, who has the policy and nothing else. The member account has the role,
with the part of the policy that is about users, as the template for it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from rotate_my_key import policies
from rotate_my_key.fleet import function
from tests.cli.conftest import Desk, Done, _alone
from tests.policies.test_rotating import printed, without
from tests.standin import Account
from tests.web import serve

OLD = timedelta(days=98)
PARAMETER = "/rotate-my-key/fleet"
REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AccessDeniedForDependencyException"}
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

    def less(self, *but: str) -> None:
        """From now on no policy allows these actions, here and there."""
        document = without(self.policy, set(but))
        self.desk.aws.detach_policies("fleet")
        self.desk.aws.attach_policy("fleet", document)
        role = f"arn:aws:iam::{self.member.account}:role/{policies.ROLE}"
        self.member.detach_policies(role)
        users = [each for each in document["Statement"] if all(name.startswith("iam:") for name in each["Action"])]
        self.member.attach_policy(role, {**document, "Statement": users})

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

    def called(self) -> set[str]:
        """The actions that were called, as policies name them; none of them was refused."""
        assert not {call.outcome for call in self.desk.aws.calls} & REFUSED
        names = {"ListObjectsV2": "ListBucket"}
        found = {f"{call.service}:{names.get(call.action, call.action)}" for call in self.desk.aws.calls}
        return found - {"sts:GetCallerIdentity"}  # which needs no right


# What settings need that name units or tags of accounts.
UNITS = {
    f"organizations:List{each}" for each in ("AccountsForParent", "OrganizationalUnitsForParent", "TagsForResource")
}


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
        made.less()
        empty.env["AWS_DEFAULT_REGION"] = "eu-west-1"
        return made

    return found


@pytest.fixture
def hook() -> Iterator[str]:
    """A chat: a web server that takes whatever is posted to it; its address."""
    with serve() as web:
        yield f"127.0.0.1:{web.port}"


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
