"""IT's computer with the company's accounts at the stand-in, under the policies that `enforce` prints, and time that
passes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rotate_my_key import policies
from rotate_my_key.core.model import Credentials, LastUse
from tests.cli.conftest import Desk, Done
from tests.fleet.enforce.company import Company
from tests.fleet.remind.conftest import ROLE, its
from tests.fleet.remind.conftest import Company as Office
from tests.standin.account import Account

__all__ = ["its"]
TAG = "rotate-my-key-fleet"
CHANNELS = """
[owners]
domain = example.com
[remind]
owners = mail
admins = topic
[channels]
[[mail]]
kind = ses
sender = it@example.com
[[topic]]
kind = sns
topic = {topic}
"""


RULES = """\
[enforce]
deactivate_at = 90d
delete_after = 10d
accounts = {account}
weekdays = mon, tue, wed, thu, fri, sat, sun
hours = 0-24
"""


@dataclass
class Firm(Office):
    """`aws` is the main account, `it` the desk of those who run the fleet."""

    topic: str = ""

    @property
    def audit(self) -> list[dict[str, Any]]:
        """The lines of the audit."""
        file = self.it.state / "fleet-audit.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def settings(self, text: str) -> None:
        """Write fleet.ini: these lines, and two channels."""
        super().settings(f"{text}\n{CHANNELS.format(topic=self.topic)}")

    def account(self, name: str) -> Account:
        """One more account, with the role that the fleet takes on there and its part of the policies."""
        member, role = super().account(name), f"arn:aws:iam::{self.members[name].account}:role/{ROLE}"
        rights = [*policies.member("fleet-enforce"), *policies.member("fleet-reissue")]
        member.attach_policy(role, {"Version": "2012-10-17", "Statement": rights})
        return member

    def person(self, name: str, *ages: float, at: Account | None = None, **tags: str) -> list[Credentials]:
        """A user with a key of each age in days, used three hours ago."""
        aws = at or self.aws
        aws.add_user(name, tags={key.replace("_", "-"): value for key, value in tags.items()})
        use = LastUse(datetime.now(UTC) - timedelta(hours=3), "s3", "eu-west-1")
        return [aws.add_key(name, timedelta(days=age), use=use) for age in ages]

    def told(self, name: str, days: int = 10, at: Account | None = None) -> None:
        """As if one notice about each key had been given so many days ago."""
        aws, day = at or self.aws, f"{datetime.now(UTC) - timedelta(days=days):%Y%m%d}"
        parts = [f"{key.key_id[-8:]}:n1:f{day}:l{day}:w1:d{day}" for key in aws.keys(name)]
        aws.set_tags(name, {**aws.tags(name), TAG: " ".join(["1", *parts])})

    def ids(self, name: str, at: Account | None = None) -> dict[str, str]:
        """A user's keys: their status by id."""
        return {key.key_id: key.status for key in (at or self.aws).keys(name)}

    def enforce(self, *words: str) -> Done:
        """Type `fleet enforce`."""
        return self.it.run("fleet", "enforce", *words)

    def later(self, days: int) -> None:
        """Time passes: everything that has a date is so much older."""
        by = timedelta(days=days)
        for number in self.aws.accounts:
            world = self.aws._front.organization.worlds[number]
            for user in world.iam.users.values():
                account = self.aws.in_account(number)
                for key in user.access_keys:
                    key.create_date -= by
                    inner = world.key(key.access_key_id)
                    inner.uses = [
                        (at, LastUse(use.at and use.at - by, use.service, use.region)) for at, use in inner.uses
                    ]
                if value := account.tags(user.name).get(TAG):
                    account.set_tags(user.name, {**account.tags(user.name), TAG: older(value, by)})

    @property
    def changes(self) -> set[str]:
        """The calls that change keys or users."""
        names = {"CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey", "TagUser", "UntagUser"}
        return {call.action for call in self.aws.calls} & names


def older(tag: str, by: timedelta) -> str:
    """The dates of a tag, moved into the past."""

    def move(found: re.Match[str]) -> str:
        return f"{found[1]}{datetime.strptime(found[2], '%Y%m%d') - by:%Y%m%d}"  # noqa: DTZ007

    return re.sub(r"(:[a-z])(\d{8})\b", move, tag)


@pytest.fixture
def firm(its: Desk) -> Firm:
    """An organization of one account; whoever runs the fleet has the policies that the program prints, and no more."""
    its.aws.settings.strict = True
    for name in ("fleet-enforce", "fleet-reissue"):
        its.aws.attach_policy("fleet", json.loads(policies.text(name)))
    return Firm(its.aws, its, topic=its.aws.add_topic("rotate-my-key-admins"))


@pytest.fixture
def company() -> Company:
    """Two accounts in memory, without users."""
    return Company()


@pytest.fixture
def ready(firm: Firm) -> Firm:
    """Alice's old key is to be switched off, bob is to be told, carol is new and dave exempt."""
    firm.settings(RULES.format(account=firm.aws.account))
    firm.person("alice", 97)
    firm.told("alice")
    firm.person("bob", 85)
    firm.person("carol", 3)
    firm.person("dave", 400, rotate_my_key="exempt")
    return firm


@pytest.fixture
def left(firm: Firm) -> Firm:
    """Alice left; she has keys in two accounts."""
    firm.settings("[accounts]\nrole = rotate-my-key-fleet\n")
    member = firm.account("prod")
    firm.person("alice", 30, 3)
    firm.person("alice", 200, at=member)
    firm.person("bob", 30, at=member)
    return firm
