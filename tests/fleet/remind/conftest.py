"""IT's computer, with the company's accounts at the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rotate_my_key.core.model import Credentials, LastUse
from tests.cli.conftest import Desk, Done
from tests.standin import StandIn
from tests.standin.account import Account

ROLE = "rotate-my-key-fleet"
READ = [
    *("iam:GenerateCredentialReport", "iam:GetCredentialReport", "iam:ListUsers", "iam:ListAccessKeys"),
    *("iam:GetAccessKeyLastUsed", "iam:ListUserTags", "iam:GetGroup"),
]


@dataclass
class Company:
    """`aws` is the main account; `it` is where its people type. Days pass by `later`."""

    aws: StandIn
    it: Desk
    members: dict[str, Account] = field(default_factory=dict)

    def may(self, *actions: str) -> None:
        """Whoever runs the fleet may do this and nothing else."""
        self.aws.allow("fleet", *actions)

    def settings(self, text: str) -> None:
        """Write fleet.ini."""
        file = self.it.home / ".config" / "rotate-my-key" / "fleet.ini"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def remind(self, *words: str, **env: str) -> Done:
        """Type `fleet remind`. The credential report has been asked for already: else it is waited for, a second."""
        for account in (self.aws, *self.members.values()):
            account.ask_for_report()
        return self.it.run("fleet", "remind", *words, **env)

    def account(self, name: str) -> Account:
        """One more account of the organization, with the role that the fleet assumes there."""
        member = self.members[name] = self.aws.add_account(name)
        member.add_role(ROLE)
        return member

    def person(self, name: str, *ages: float, at: Account | None = None, **tags: str) -> list[Credentials]:
        """A user with a password, who signs in, and a key of each age in days, used three hours ago."""
        now, aws = datetime.now(UTC), at or self.aws
        aws.add_user(name, tags=tags, password=True, signed_in=now - timedelta(days=2))
        use = LastUse(now - timedelta(hours=3), "s3", "eu-west-1")
        return [aws.add_key(name, timedelta(days=age), use=use) for age in ages]

    def told_days_ago(self, name: str, days: int, notices: int = 1) -> None:
        """As if so many notices had been given, the last so many days ago."""
        key = self.aws.keys(name)[0].key_id[-8:]
        day = f"{datetime.now(UTC) - timedelta(days=days):%Y%m%d}"
        self.aws.set_tags(name, {"rotate-my-key-fleet": f"1 {key}:n{notices}:f{day}:l{day}"})

    def remembered(self, name: str) -> str | None:
        """What stands in the user's tag."""
        return self.aws.tags(name).get("rotate-my-key-fleet")

    @property
    def actions(self) -> set[str]:
        """Every action that was called."""
        return {f"{call.service}:{call.action}" for call in self.aws.calls}


@pytest.fixture
def its(tmp_path: Path, running: StandIn, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """The desk of whoever runs the fleet: `fleet`, who is exempt."""
    running.reset()
    home = tmp_path / "home"
    home.mkdir()
    running.add_user("fleet", tags={"rotate-my-key": "exempt"})
    running.verify("example.com")
    desk = Desk(home, running, capsys, {"AWS_DEFAULT_REGION": "eu-west-1"})
    desk.profiles(default=running.add_key("fleet"))
    yield desk
    running.all_well()


@pytest.fixture
def company(its: Desk) -> Company:
    """Alice's key is overdue, bob's is due, carol's is new."""
    found = Company(its.aws, its)
    for name, age in (("alice", 98), ("bob", 80), ("carol", 3)):
        found.person(name, age)
    return found
