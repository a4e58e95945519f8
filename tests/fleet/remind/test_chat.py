"""Chats: from a secret to the wire, and what of a token gets out: nothing."""

from __future__ import annotations

import gc
import html
import io
import json
import logging
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rotate_my_key.core.errors import Denied, Problem, WrongUsage
from rotate_my_key.files.paths import how_to_get
from rotate_my_key.fleet.model import Message
from rotate_my_key.fleet.notify import LONGEST_CHAT, ChatChannel
from tests.fleet.remind.services import CHAT, LETTER, TOKEN, Cloud, made
from tests.fleet.remind.telegram import Telegram, telegram
from tests.web import Asked, serve


class Chat(NamedTuple):
    """A service on loopback that keeps what was posted; it answers 200, or what `answers` says for a path."""

    port: int
    asked: list[Asked]
    answers: dict[str, int]

    @property
    def posts(self) -> list[tuple[str, dict[str, str], Any]]:
        """Path, headers and JSON of each."""
        return [(each.path, each.headers, json.loads(each.body)) for each in self.asked]

    def url(self, path: str = "") -> str:
        """An apprise URL of it, whose token is in the path."""
        return f"json://localhost:{self.port}/{path or TOKEN}"


@pytest.fixture
def web() -> Iterator[Chat]:
    """One that listens."""
    answers: dict[str, int] = {}
    with serve(lambda path: (answers.get(path.strip("/"), 200), b"")) as found:
        yield Chat(*found, answers)


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("alice@example.com", "<@alice>\n"),
        ("alice@example.com, bob@example.com", "<@alice> <@bob>\n"),
        ("U024BE7LH", "<@U024BE7LH>\n"),
        ("", ""),
    ],
)
def test_a_chat_mentions_whom_it_is_for(web: Chat, to: str, said: str) -> None:
    """As the service writes it; with a mention it addresses people, and needs to know whom."""
    chat = made("chat", Cloud(web.url()), mention="<@{name}>")
    chat.deliver(replace(LETTER, to=to))
    ((_, _, body),) = web.posts
    assert body["message"] == said + LETTER.text.rstrip()
    assert (chat.wants_address, chat.personal, made("chat", Cloud()).personal) == (True, True, False)


@pytest.mark.parametrize("to", ["channel@example.com", "alice@example.com, Here@example.com"])
def test_nobodys_tag_mentions_everybody(web: Chat, to: str) -> None:
    """What a service takes for all who are in the room is no owner, and nothing is posted."""
    with pytest.raises(Problem, match="would mention everybody"):
        made("chat", Cloud(web.url()), mention="@{name}").deliver(replace(LETTER, to=to))
    assert web.posts == []


@pytest.mark.parametrize("form", ["{0}", "\n{0}\n\n", '{{"url": "{0}"}}', '["{0}"]'])
def test_a_chat_gets_subject_and_text(web: Chat, form: str) -> None:
    """The URL is a secret: one a line, or in JSON as the console of Secrets Manager makes it."""
    made("chat", Cloud(form.format(web.url()))).deliver(LETTER)
    ((path, headers, body),) = web.posts
    assert path.strip("/") == TOKEN
    assert (body["title"], body["message"]) == (LETTER.subject, LETTER.text.rstrip())
    assert headers["User-Agent"] == "rotate-my-key"


def test_every_url_of_a_secret_is_told(web: Chat) -> None:
    """One that fails is named by its service, the others are told, once each."""
    web.answers["two"] = 500
    cloud = Cloud("\n".join(web.url(path) for path in ("one", "two", "three")))
    with pytest.raises(Problem) as caught:
        made("chat", cloud).deliver(LETTER)
    assert caught.value.message == "channel chat: 1 of 3 services did not accept the message (JSON: HTTP 500)"
    assert sorted(path.strip("/") for path, _, _ in web.posts) == ["one", "three", "two"]


def test_a_url_that_means_nothing_is_found_before_anything_is_sent(web: Chat) -> None:
    """So that a person may mend it and send it again, and nobody is told twice."""
    with pytest.raises(WrongUsage) as caught:
        made("chat", Cloud(f"{web.url()} nonsense://{TOKEN}")).deliver(LETTER)
    assert "contains 1 of 2 URLs that apprise cannot use, so nothing was sent" in caught.value.message
    assert web.posts == []


@pytest.mark.parametrize("secret", ["", " \n", "{}", "[1]", "{broken"])
def test_a_secret_without_a_url(secret: str) -> None:
    """The secret's name is said; where it may not be read, what the vault says is. A check fetches none."""
    with pytest.raises(WrongUsage, match="the secret secretsmanager:rotate-my-key/chat contains no URL"):
        made("chat", Cloud(secret)).deliver(LETTER)
    problem = Denied("AWS does not allow secretsmanager:GetSecretValue", action="secretsmanager:GetSecretValue")
    denied = made("chat", Cloud(broken={CHAT.urls: problem}))
    assert denied.check() == ()
    with pytest.raises(Denied) as caught:
        denied.deliver(LETTER)
    assert caught.value is problem


def test_a_long_text_is_split_and_not_refused(web: Chat) -> None:
    """A service's own limit is apprise's to know; the whole is bounded by us."""
    made("chat", Cloud(web.url())).deliver(Message("s", "a line of the digest\n" * 5000))
    assert sum(len(body["message"]) for _, _, body in web.posts) <= LONGEST_CHAT
    assert "shortened" in web.posts[-1][2]["message"]


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
    what: str, web: Chat, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
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


def test_without_apprise_the_way_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """SES and SNS work without it; found by a dry run too."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    channel = made("chat", Cloud())
    for act in (lambda: channel.deliver(LETTER), channel.check):
        with pytest.raises(Problem) as caught:
            act()
        assert caught.value.message == "channel chat needs apprise, which is not installed"
        assert caught.value.hint == how_to_get("apprise")
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
    for schema, plugin, message in (("boom", Boom, "(Boom)"), ("bang", Bang, "cannot use")):
        N_MGR.add(plugin)
        try:
            with pytest.raises(Problem) as caught:
                made("chat", Cloud(f"{schema}://localhost/{TOKEN}")).deliver(LETTER)
        finally:
            N_MGR.remove(schema)
        assert message in caught.value.message
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert "verysecrettoken" not in caplog.text + caught.value.message


def test_a_channel_keeps_no_url(web: Chat, caplog: pytest.LogCaptureFixture) -> None:
    """It is fetched for each message, and nothing of ours holds it afterwards. Nor is it in a log when all goes well:
    urllib3 would name the path of the request at DEBUG."""
    caplog.set_level(1)
    cloud = Cloud(web.url())
    channel = made("chat", cloud)
    channel.deliver(LETTER)
    cloud.secret_text = web.url("other")
    channel.deliver(LETTER)
    gc.collect()
    assert [path.strip("/") for path, _, _ in web.posts] == [TOKEN, "other"]
    assert isinstance(channel, ChatChannel)
    assert TOKEN not in repr(vars(channel))
    assert "verysecrettoken" not in caplog.text


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
    """It takes 4096 characters a message; each ends where a line ends, and only the first has the subject."""
    rows = [f"  <user{number}> in production (123456789012): 98 days, {'overdue ' * 9}&" for number in range(68)]
    made("chat", Cloud(f"tgram://{TOKEN}/987654321/")).deliver(Message("s", "wrapped", rows="\n\n".join(rows)))
    parts = [html.unescape(body["text"]) for _, body in chat_app.requests]
    assert len(parts) > 1
    assert max(len(body["text"]) for _, body in chat_app.requests) <= 4096
    lines = [line for part in parts for line in part.replace("\r", "").split("\n") if line.strip()]
    assert [line.strip() for line in lines] == ["<b>s</b>", *map(str.strip, rows)]


@pytest.mark.parametrize(
    ("code", "said", "why"),
    [
        (401, f"Unauthorized {TOKEN}", ": Unauthorized"),
        (403, "Forbidden: bot was blocked by the user", ": bot was blocked by the user"),
        (400, "Bad Request: chat not found", ": chat not found"),
        (400, f"Bad Request: {TOKEN}", ": HTTP 400"),
    ],
)
def test_telegram_refuses(chat_app: Telegram, caplog: pytest.LogCaptureFixture, code: int, said: str, why: str) -> None:
    """Its own reason is passed on, as far as that is one of those known; the token is not."""
    caplog.set_level(1)
    chat_app.answer = (code, {"ok": False, "error_code": code, "description": said})
    with pytest.raises(Problem) as caught:
        made("chat", Cloud(f"tgram://{TOKEN}/987654321/")).deliver(LETTER)
    assert caught.value.message == f"channel chat: the service did not accept the message (Telegram{why})"
    assert len(chat_app.requests) == 1
    assert "verysecrettoken" not in caplog.text + caught.value.hint
