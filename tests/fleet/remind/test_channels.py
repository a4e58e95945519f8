"""Ways to tell somebody: names and settings, mail and topics."""

from __future__ import annotations

import re

import pytest

from rotate_my_key.core.errors import Denied, Gone, Interrupted, NotAllowed, Problem, TryLater, WrongUsage
from rotate_my_key.fleet.model import Message
from rotate_my_key.fleet.notify import channels, channels_of, cut
from rotate_my_key.settings.fleet import ChannelSettings, FleetSettings, Remind
from tests.fleet.remind.services import CHAT, LETTER, SAID, TOPIC, Cloud, made

# Names and settings


def test_channels_are_made_by_name() -> None:
    """Each once, in the order asked for; nothing is sent and no secret fetched."""
    cloud = Cloud(broken={CHAT.urls: Gone("there is no secret")})
    found = channels(["topic", "mail", "chat", "topic"], SAID, cloud)  # type: ignore[arg-type]
    assert [(each.name, each.wants_address) for each in found] == [("topic", False), ("mail", True), ("chat", False)]
    assert (cloud.sent, cloud.regions) == ([], ["", "", ""])


ALONE = {"mail": ChannelSettings("mail", "ses", sender="it@example.com")}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            FleetSettings(channels=ALONE, remind=Remind(owners=("mail",), admins=("mail",))),
            "no address to send to",
        ),
        (FleetSettings(), "built-in sets no channel for owners or admins"),
    ],
)
def test_settings_that_reach_nobody(settings: FleetSettings, said: str) -> None:
    """Admins by mail need an address, and somebody must be told: found before anything is sent."""
    with pytest.raises(WrongUsage, match=said):
        channels_of(settings, Cloud())  # type: ignore[arg-type]


# Mail


def test_mail_goes_to_the_owner() -> None:
    """With text and page, from the sender that is set; without an address to the channel's own, one mail each, so that
    nobody sees the others' addresses. A topic gets the text alone."""
    cloud = Cloud()
    made("mail", cloud).deliver(LETTER)
    assert cloud.sent == [("IT <it@example.com>", "alice@example.com", LETTER.subject, LETTER.text, LETTER.html)]
    made("mail", cloud).deliver(Message("s", "t"))
    assert [to for _, to, *_ in cloud.sent[1:]] == ["a@example.com", "b@example.com"]
    made("topic", cloud).deliver(LETTER)
    assert cloud.sent[3:] == [(TOPIC.topic, LETTER.subject, LETTER.text)]


@pytest.mark.parametrize(
    ("broken", "kind", "message"),
    [
        ({"a@example.com": TryLater("busy")}, Problem, "1 of 2 addresses: busy"),
        ({"a@example.com": TryLater("busy"), "b@example.com": TryLater("busy")}, TryLater, "2 of 2 addresses: busy"),
        ({"a@example.com": Denied("no"), "b@example.com": TryLater("busy")}, Problem, "2 of 2 addresses: no"),
    ],
)
def test_mail_to_several_is_tried_again_only_if_nobody_got_it(
    broken: dict[str, Problem], kind: type[Problem], message: str
) -> None:
    """Who has the digest need not get it twice."""
    with pytest.raises(Problem) as caught:
        made("mail", Cloud(broken=broken)).deliver(Message("s", "t"))
    assert (type(caught.value), caught.value.message) == (kind, message)


def test_mail_to_one_raises_what_ses_says() -> None:
    """Kind, words and hint. Ctrl-C is no failed address: it ends the run, and does not become a row."""
    problem = NotAllowed("SES takes no unverified address", "aws sesv2 ...")
    with pytest.raises(NotAllowed) as caught:
        made("mail", Cloud(broken={"alice@example.com": problem})).deliver(LETTER)
    assert caught.value is problem
    with pytest.raises(Interrupted):
        made("mail", Cloud(broken={"a@example.com": Interrupted("stopped")})).deliver(Message("s", "t"))


def test_headers_are_one_line() -> None:
    """Whatever a subject or an address holds."""
    cloud = Cloud()
    evil = Message("a\r\nBcc: x@example.com", "t", to="b@example.com\r\nBcc: y@example.com")
    made("mail", cloud).deliver(evil)
    ((_, to, said, *_),) = cloud.sent
    assert (to, said) == ("b@example.com Bcc: y@example.com", "a Bcc: x@example.com")


@pytest.mark.parametrize(
    ("sandbox", "said"),
    [(False, ""), (True, "only verified addresses"), (None, "needs ses:GetAccount")],
)
def test_a_sandbox_is_said(sandbox: bool | None, said: str) -> None:
    """In a sandbox SES refuses everybody who is not verified; where it may not be asked, that is said."""
    shown = made("mail", Cloud(in_sandbox=sandbox)).check()
    assert bool(shown) == bool(said)
    assert re.search(said, "".join(shown))


def test_a_text_that_is_too_long_is_cut_at_a_line() -> None:
    """And says so; the limit counts bytes."""
    text = "Schlüssel\n" * 100
    found = cut(text, 200)
    assert len(found.encode()) <= 200
    assert re.fullmatch(r"(Schlüssel\n)+\.\.\. shortened: rotate-my-key fleet report\n", found)
    assert cut(text, 2000) == text
