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
    members: list[str] = field(default_factory=list)

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
        for number in [self.aws.account, *self.members]:
            self.aws.in_account(number).ask_for_report()
        return self.it.run("fleet", "remind", *words, **env)

    def account(self, name: str) -> Account:
        """One more account of the organization, with the role that the fleet assumes there."""
        member = self.aws.add_account(name)
        member.add_role(ROLE)
        self.members.append(member.account)
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
def company(tmp_path: Path, running: StandIn, capsys: pytest.CaptureFixture[str]) -> Iterator[Company]:
    """Alice's key is overdue, bob's is due, carol's is new; whoever runs the fleet is `fleet`, who is exempt."""
    running.reset()
    home = tmp_path / "home"
    home.mkdir()
    desk = Desk(home, running, capsys, {"AWS_DEFAULT_REGION": "eu-west-1"})
    running.add_user("fleet", tags={"rotate-my-key": "exempt"})
    key = running.add_key("fleet")
    found = Company(running, desk)
    desk.profiles(default=key)
    for name, age in (("alice", 98), ("bob", 80), ("carol", 3)):
        found.person(name, age)
    running.verify("example.com")
    yield found
    running.all_well()
