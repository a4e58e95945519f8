"""Ways to tell somebody: from the settings to the wire, and what of a token gets out: nothing."""

from __future__ import annotations

import gc
import io
import json
import logging
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rotate_my_key.errors import Denied, Gone, Interrupted, NotAllowed, Problem, TryLater, WrongUsage
from rotate_my_key.fleet.model import Message
from rotate_my_key.fleet.notify import channels, outlets, region_of
from rotate_my_key.fleet.notify.chat import LONGEST, ChatChannel
from rotate_my_key.fleet.notify.sns import cut, subject
from rotate_my_key.fleet.ports import Channel
from rotate_my_key.settings.fleet import Channel as ChannelSettings
from rotate_my_key.settings.fleet import FleetSettings, Remind
from tests.fleet.remind.telegram import Telegram, telegram

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


def made(name: str, cloud: Cloud) -> Channel:
    """One channel."""
    (found,) = channels([name], SAID, cloud)  # type: ignore[arg-type]
    return found


# Names and settings


def test_channels_are_made_by_name() -> None:
    """Each once, in the order asked for; nothing is sent and no secret fetched; the region is the topic's own."""
    cloud = Cloud(broken={CHAT.urls: Gone("there is no secret")})
    found = channels(["topic", "mail", "chat", "topic"], SAID, cloud)  # type: ignore[arg-type]
    assert [(each.name, each.wants_address) for each in found] == [("topic", False), ("mail", True), ("chat", False)]
    assert (cloud.sent, cloud.regions) == ([], ["eu-west-1", "", ""])


@pytest.mark.parametrize(
    ("said", "name", "message", "hint"),
    [
        (SAID, "mial", "there is no channel mial in the settings", "there are chat, mail, topic"),
        ({}, "mail", "there is no channel mail in the settings", "add [[mail]] to [channels]"),
        ({"x": ChannelSettings("x", "smtp")}, "x", "channel x is of kind 'smtp'", "the kinds are ses, sns, apprise"),
        ({"x": ChannelSettings("x", "ses")}, "x", "channel x of kind ses needs sender", "see docs/it/remind.md"),
        ({"x": ChannelSettings("x", "sns")}, "x", "channel x of kind sns needs topic", "see docs/it/remind.md"),
        ({"x": ChannelSettings("x", "apprise")}, "x", "channel x of kind apprise needs urls", "see docs/it/remind.md"),
    ],
)
def test_what_is_wrong_with_a_channel(said: dict[str, ChannelSettings], name: str, message: str, hint: str) -> None:
    """One line, and what there is."""
    with pytest.raises(WrongUsage) as caught:
        channels([name], said, Cloud())  # type: ignore[arg-type]
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_admins_by_mail_need_an_address() -> None:
    """Found before anything is sent."""
    alone = ChannelSettings("mail", "ses", sender="it@example.com")
    settings = FleetSettings(channels={"mail": alone}, remind=Remind(owners=("mail",), admins=("mail",)))
    with pytest.raises(WrongUsage, match="channel mail has no address to write to"):
        outlets(settings, Cloud())  # type: ignore[arg-type]


def test_somebody_must_be_told() -> None:
    """Settings without any channel are no settings for this."""
    with pytest.raises(WrongUsage, match="built-in does not say how to tell anybody"):
        outlets(FleetSettings(), Cloud())  # type: ignore[arg-type]


def test_a_region_in_an_arn() -> None:
    """A topic is published to where it is."""
    assert [region_of(arn) for arn in (TOPIC.topic, "rotate-my-key", "arn:aws:sns")] == ["eu-west-1", "", ""]


# Mail


def test_mail_goes_to_the_owner() -> None:
    """With text and page, from the sender that is set."""
    cloud = Cloud()
    made("mail", cloud).deliver(LETTER)
    assert cloud.sent == [("IT <it@example.com>", "alice@example.com", LETTER.subject, LETTER.text, LETTER.html)]


def test_mail_without_an_address_goes_to_the_channels_own() -> None:
    """One mail each: nobody sees the others' addresses."""
    cloud = Cloud()
    made("mail", cloud).deliver(Message("s", "t"))
    assert [to for _, to, *_ in cloud.sent] == ["a@example.com", "b@example.com"]


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
    """Kind, words and hint."""
    problem = NotAllowed("SES takes no unverified address", "aws sesv2 ...")
    with pytest.raises(NotAllowed) as caught:
        made("mail", Cloud(broken={"alice@example.com": problem})).deliver(LETTER)
    assert caught.value is problem


def test_ctrl_c_is_no_failed_address() -> None:
    """It ends the run, and does not become a row."""
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
    [(False, ""), (True, "unverified|refuses all others"), (None, "may not be asked .ses:GetAccount")],
)
def test_a_sandbox_is_said(sandbox: bool | None, said: str) -> None:
    """In a sandbox SES refuses everybody who is not verified; where it may not be asked, that is said."""
    shown = made("mail", Cloud(in_sandbox=sandbox)).check()
    assert bool(shown) == bool(said)
    assert re.search(said, "".join(shown))


# Topics


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2 keys are old", "2 keys are old"),
        ("Schlüssel\nalt", "Schl?ssel alt"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 97 + "..."),
    ],
)
def test_a_subject_for_sns(text: str, shown: str) -> None:
    """At most 100 characters of ASCII in one line."""
    assert subject(text) == shown


def test_a_topic_gets_the_text() -> None:
    """Without the page."""
    cloud = Cloud()
    made("topic", cloud).deliver(LETTER)
    assert cloud.sent == [(TOPIC.topic, LETTER.subject, LETTER.text)]


def test_a_text_that_is_too_long_is_cut_at_a_line() -> None:
    """And says so; the limit counts bytes."""
    text = "Schlüssel\n" * 100
    found = cut(text, 200)
    assert len(found.encode()) <= 200
    assert re.fullmatch(r"(Schlüssel\n)+\.\.\. cut here: rotate-my-key fleet report\n", found)
    assert cut(text, 2000) == text


# Chats


@dataclass
class Web:
    """A web server on loopback that keeps what was posted."""

    port: int
    posts: list[tuple[str, dict[str, str], Any]]
    answers: dict[str, int]

    def url(self, path: str = "", **query: str) -> str:
        """An apprise URL of it, whose token is in the path."""
        return f"json://localhost:{self.port}/{path or TOKEN}"


@pytest.fixture
def web() -> Iterator[Web]:
    """Answers 200, or what `answers` says for a path."""
    posts: list[tuple[str, dict[str, str], Any]] = []
    answers: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posts.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(answers.get(self.path.strip("/"), 200))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield Web(server.server_address[1], posts, answers)
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "form",
    ["{0}", "\n{0}\n\n", '{{"url": "{0}"}}', '["{0}"]'],
)
def test_a_chat_gets_subject_and_text(web: Web, form: str) -> None:
    """The URL is a secret: one a line, or in JSON as the console of Secrets Manager makes it."""
    made("chat", Cloud(form.format(web.url()))).deliver(LETTER)
    ((path, headers, body),) = web.posts
    assert path.strip("/") == TOKEN
    assert (body["title"], body["message"]) == (LETTER.subject, LETTER.text.rstrip())
    assert headers["User-Agent"] == "rotate-my-key"


def test_every_url_of_a_secret_is_told(web: Web) -> None:
    """One that fails is named by its service, the others are told, once each."""
    web.answers["two"] = 500
    cloud = Cloud("\n".join(web.url(path) for path in ("one", "two", "three")))
    with pytest.raises(Problem) as caught:
        made("chat", cloud).deliver(LETTER)
    assert caught.value.message == "channel chat: 1 of 3 services did not take the message (JSON)"
    assert sorted(path.strip("/") for path, _, _ in web.posts) == ["one", "three", "two"]


def test_a_url_that_means_nothing_is_found_before_anything_is_sent(web: Web) -> None:
    """So that a person may mend it and send it again, and nobody is told twice."""
    with pytest.raises(WrongUsage) as caught:
        made("chat", Cloud(f"{web.url()} nonsense://{TOKEN}")).deliver(LETTER)
    assert "holds 1 of 2 URLs that apprise does not understand; nothing was sent" in caught.value.message
    assert web.posts == []


@pytest.mark.parametrize("secret", ["", " \n", "{}", "[1]", "{broken"])
def test_a_secret_without_a_url(secret: str) -> None:
    """The secret's name is said."""
    with pytest.raises(WrongUsage, match="the secret secretsmanager:rotate-my-key/chat holds no URL"):
        made("chat", Cloud(secret)).deliver(LETTER)


def test_a_secret_that_may_not_be_read() -> None:
    """What the vault says is what is said."""
    problem = Denied("AWS does not allow secretsmanager:GetSecretValue", action="secretsmanager:GetSecretValue")
    with pytest.raises(Denied) as caught:
        made("chat", Cloud(broken={CHAT.urls: problem})).deliver(LETTER)
    assert caught.value is problem


def test_a_long_text_is_split_and_not_refused(web: Web) -> None:
    """A service's own limit is apprise's to know; the whole is bounded by us."""
    made("chat", Cloud(web.url())).deliver(Message("s", "a line of the digest\n" * 5000))
    assert sum(len(body["message"]) for _, _, body in web.posts) <= LONGEST
    assert "cut here" in web.posts[-1][2]["message"]


FAILURES = {
    "refused": "json://localhost:1/{}",
    "no such host": "json://host.invalid/{}",
    "wrong status": "json://localhost:{port}/{}",
    "no plugin": "nonsense://{}",
    "half a URL": "tgram://{}",
    "bad option": "json://localhost:1/{}?overflow=nonsense&retry=x",
    "in the password": "json://user:{}@localhost:1/",
    "in the query": "json://localhost:1/?-key={}",
    "in a header": "json://localhost:1/?+X-Key={}",
    "in the host": "json://{}.invalid/",
}


@pytest.mark.parametrize("what", FAILURES)
def test_no_token_gets_out(
    what: str, web: Web, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever fails, with every logger at its noisiest: not in output, log, warning, exception, repr or frames."""
    token = TOKEN.replace(":", "-") if "host" in what or "password" in what else TOKEN
    web.answers[token] = 500
    url = FAILURES[what].format(token, port=web.port)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(name) for name in ("", "apprise", "urllib3", "urllib3.connectionpool", "requests")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(1)
        each.addHandler(handler)
    channel = made("chat", Cloud(url))
    try:
        with warnings.catch_warnings(record=True) as warned, pytest.raises(Problem) as caught:
            warnings.simplefilter("always")
            channel.deliver(LETTER)
        logging.getLogger("apprise").error("logging works again")
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.removeHandler(handler)
            each.setLevel(level)
    problem = caught.value
    shown = [stream.getvalue(), caplog.text, *capfd.readouterr(), repr(problem), str(problem), problem.hint]
    shown += [repr(channel), str(vars(channel)), *map(str, warned), *_locals_of_ours(problem)]
    assert "logging works again" in stream.getvalue()
    assert (problem.__cause__, problem.__context__) == (None, None)
    assert [text for text in shown if "verysecrettoken" in text] == []


def _locals_of_ours(problem: Problem) -> list[str]:
    """What the frames of our own code held when it was raised."""
    frames = [frame for frame, _ in traceback.walk_tb(problem.__traceback__)]
    found = [repr(frame.f_locals) for frame in frames if frame.f_globals["__name__"].startswith("rotate_my_key.")]
    assert found
    return found


def test_no_token_gets_out_when_all_goes_well(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 would name the path of the request at DEBUG."""
    caplog.set_level(1)
    made("chat", Cloud(web.url())).deliver(LETTER)
    assert len(web.posts) == 1
    assert "verysecrettoken" not in caplog.text


def test_without_apprise_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """SES and SNS work without it; found by a dry run too."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    channel = made("chat", Cloud())
    for act in (lambda: channel.deliver(LETTER), channel.check):
        with pytest.raises(Problem) as caught:
            act()
        assert caught.value.message == "channel chat needs apprise, which is not installed"
        assert caught.value.hint == "python3 -m pip install 'rotate-my-key[notify]'"
    made("topic", Cloud()).deliver(LETTER)


def test_a_plugin_that_raises_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it raises, and wherever: the channel and the service are named, and nothing of what was raised."""
    from apprise.plugins import N_MGR
    from apprise.plugins.custom_json import NotifyJSON

    class Boom(NotifyJSON):  # type: ignore[misc,no-any-unimported]
        service_name, protocol, secure_protocol = "Boom", "boom", "booms"

        def notify(self, *args: object, **kwargs: object) -> bool:
            raise ValueError(self.url())

    class Bang(NotifyJSON):  # type: ignore[misc,no-any-unimported]
        protocol, secure_protocol = "bang", "bangs"

        def __init__(self, *args: object, **kwargs: object) -> None:
            raise SystemError(TOKEN)

    caplog.set_level(1)
    for schema, plugin, message in (("boom", Boom, "(Boom)"), ("bang", Bang, "does not understand")):
        N_MGR.add(plugin)
        try:
            with pytest.raises(Problem) as caught:
                made("chat", Cloud(f"{schema}://localhost/{TOKEN}")).deliver(LETTER)
        finally:
            N_MGR.remove(schema)
        assert message in caught.value.message
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert "verysecrettoken" not in caplog.text + caught.value.message


def test_a_check_fetches_no_secret() -> None:
    """It says nothing, for there is nothing to say."""
    cloud = Cloud(broken={CHAT.urls: Gone("gone")})
    assert made("chat", cloud).check() == ()


def test_a_channel_keeps_no_url(web: Web) -> None:
    """It is fetched for each message, and nothing of ours holds it afterwards."""
    cloud = Cloud(web.url())
    channel = made("chat", cloud)
    channel.deliver(LETTER)
    cloud.secret_text = web.url("other")
    channel.deliver(LETTER)
    gc.collect()
    assert [path.strip("/") for path, _, _ in web.posts] == [TOKEN, "other"]
    assert isinstance(channel, ChatChannel)
    assert TOKEN not in repr(vars(channel))


@pytest.fixture
def chat_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telegram]:
    """Telegram's API behind a proxy on loopback; see telegram.py."""
    with telegram(tmp_path) as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        yield found


def test_telegram(chat_app: Telegram) -> None:
    """The bot's method, the chat, and the text with its signs escaped: what Telegram is sent, over TLS."""
    made("chat", Cloud(f"tgram://{TOKEN}/987654321/")).deliver(LETTER)
    ((path, body),) = chat_app.requests
    assert path == f"/bot{TOKEN}/sendMessage"
    assert str(body["chat_id"]) == "987654321"
    assert body["parse_mode"] == "HTML"
    assert "<b>2 keys are old</b>" in body["text"]
    assert "alice &amp; &lt;bob&gt;" in body["text"]


def test_telegram_takes_a_long_digest_in_parts(chat_app: Telegram) -> None:
    """It takes 4096 characters a message."""
    text = "".join(f"user{number} in production: 98 days, overdue\n" for number in range(200))
    made("chat", Cloud(f"tgram://{TOKEN}/987654321/")).deliver(Message("s", text))
    parts = [body["text"] for _, body in chat_app.requests]
    assert len(parts) > 1
    assert max(map(len, parts)) <= 4096
    assert all(any(f"user{number} in" in part for part in parts) for number in range(200))


def test_telegram_refuses(chat_app: Telegram, caplog: pytest.LogCaptureFixture) -> None:
    """A token that was revoked: the channel and the service are named, the token is not."""
    caplog.set_level(1)
    chat_app.answer = (401, {"ok": False, "error_code": 401, "description": f"Unauthorized {TOKEN}"})
    with pytest.raises(Problem) as caught:
        made("chat", Cloud(f"tgram://{TOKEN}/987654321/")).deliver(LETTER)
    assert caught.value.message == "channel chat: the service did not take the message (Telegram)"
    assert len(chat_app.requests) == 1
    assert "verysecrettoken" not in caplog.text + caught.value.hint
