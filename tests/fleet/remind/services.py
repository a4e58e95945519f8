"""The services that channels need, in memory, and one channel of each kind."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from rotate_my_key.core.errors import Problem
from rotate_my_key.fleet.messages import Channel
from rotate_my_key.fleet.model import Message
from rotate_my_key.fleet.notify import channels
from rotate_my_key.settings.fleet import ChannelSettings

TOKEN = "123456789:AAF-verysecrettoken_0123456789abcde"
LETTER = Message("2 keys are old", "Hello,\n  alice & <bob>\n", "<p>Hello</p>", "alice@example.com")


@dataclass
class Cloud:
    """The services of an account in memory: what was sent, and what is raised instead."""

    secret_text: str = field(default="", repr=False)
    sent: list[tuple[str, ...]] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    broken: dict[str, Problem] = field(default_factory=dict)
    in_sandbox: bool | None = False

    def _at(self, region: str) -> Any:
        self.regions.append(region)
        return self

    mail = topics = vault = _at

    def send(self, sender: str, to: str, subject: str, text: str, html: str = "") -> None:
        """SES."""
        if to in self.broken:
            raise self.broken[to]
        self.sent.append((sender, to, subject, text, html))

    def sandbox(self) -> bool | None:
        """SES."""
        return self.in_sandbox

    def publish(self, topic: str, subject: str, text: str) -> None:
        """SNS."""
        self.sent.append((topic, subject, text))

    def secret(self, name: str) -> str:
        """The vault."""
        if name in self.broken:
            raise self.broken[name]
        return self.secret_text


MAIL = ChannelSettings("mail", "ses", sender="IT <it@example.com>", to=("a@example.com", "b@example.com"))
TOPIC = ChannelSettings("topic", "sns", topic="arn:aws:sns:eu-west-1:123456789012:rotate-my-key")
CHAT = ChannelSettings("chat", "apprise", urls="secretsmanager:rotate-my-key/chat")
SAID = {each.name: each for each in (MAIL, TOPIC, CHAT)}


def made(name: str, cloud: Cloud, **more: str) -> Channel:
    """One channel, with `more` settings."""
    (found,) = channels([name], {**SAID, name: replace(SAID[name], **more)}, cloud)  # type: ignore[arg-type]
    return found
