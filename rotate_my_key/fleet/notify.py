"""Ways to tell somebody, made from the settings by name: mail through Amazon SES, topics of Amazon SNS, and whatever
else `apprise` can (Telegram, Slack, Teams, webhooks).

Nothing here shows a URL or a token: a channel is called by its name in the settings. apprise's URLs are tokens: they
are fetched from the vault when there is something to deliver. apprise and the libraries below it log them, so nothing
is logged while it works, whatever it raises is dropped, and a failure is told by the names of channel and service.
"""

from __future__ import annotations

import html
import json
import logging
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import RLock
from typing import Any

from ..aws.delivery import NamedSecrets
from ..aws.services import AwsCloud, Ses, Sns
from ..core.errors import Problem, TryLater, WrongUsage
from ..files.paths import how_to_get
from ..settings.fleet import ChannelSettings, FleetSettings
from .messages import Channel, Channels
from .model import Message, addresses_in
from .notices import one_line

_HINT = "see docs/it/remind.md"


def channels(names: Iterable[str], settings: Mapping[str, ChannelSettings], cloud: AwsCloud) -> tuple[Channel, ...]:
    """The channels of these names, each once; nothing is sent and no secret fetched."""
    found: list[Channel] = []
    for said in (settings[name] for name in dict.fromkeys(names)):
        match said.kind:
            case "ses":
                found.append(MailChannel(said, cloud.mail(said.region)))
            case "sns":
                found.append(TopicChannel(said, cloud.topics(said.region)))
            case _:
                found.append(ChatChannel(said, cloud.vault(said.region)))
    return tuple(found)


def channels_of(settings: FleetSettings, cloud: AwsCloud) -> Channels:
    """The channels that [remind] names. Raises WrongUsage if it names neither owners' nor admins', and for one of
    admins that has nobody to tell: mail needs `to`."""
    remind, said = settings.remind, settings.channels
    if not (remind.owners or remind.admins):
        raise WrongUsage(f"{settings.where} sets no channel for owners or admins", "set owners or admins in [remind]")
    found = Channels(*(channels(names, said, cloud) for names in (remind.owners, remind.admins, remind.escalate)))
    for each in (*found.admins, *found.escalate):
        if said[each.name].kind == "ses" and not said[each.name].to:
            raise _no_address(each.name)
    return found


def _no_address(name: str) -> Problem:
    return WrongUsage(f"channel {name} has no address to send to", f"set to in [[{name}]]")


class Unset:
    """Stands for a channel that is not set yet, so that a dry run can show what it would carry."""

    def __init__(self, whom: str, *, wants_address: bool = False) -> None:
        self.name = f"no channel yet ({whom} in [remind])"
        self.wants_address, self.personal = wants_address, True

    def deliver(self, message: Message) -> None:
        """Raises WrongUsage."""
        raise WrongUsage(f"there is {self.name}", _HINT)

    def check(self) -> tuple[str, ...]:
        """See Channel."""
        return (f"there is {self.name}",)


LONGEST = 256 * 1024  # bytes of a message (SNS API reference, Publish)
_CUT = "\n... shortened: rotate-my-key fleet report\n"


class TopicChannel:
    """Publishes the text to a topic: whoever subscribed to it is told."""

    wants_address, personal = False, False

    def __init__(self, settings: ChannelSettings, topics: Sns) -> None:
        self.name, self._topic, self._topics = settings.name, settings.topic, topics

    def deliver(self, message: Message) -> None:
        """See Channel."""
        self._topics.publish(self._topic, message.subject, cut(message.text, LONGEST))

    def check(self) -> tuple[str, ...]:
        """See Channel."""
        return ()


def cut(text: str, most: int) -> str:
    """At most so many bytes of UTF-8, ending at a line's end, and saying so."""
    if len(text.encode()) <= most:
        return text
    kept = text.encode()[: most - len(_CUT.encode())].decode(errors="ignore")
    return kept.rpartition("\n")[0] + _CUT


_SANDBOX = (
    "SES is in the sandbox, so only verified addresses receive mail: request production access in the SES console"
)


class MailChannel:
    """Writes to the address of a message, or where it has none to the channel's own `to`."""

    wants_address, personal = True, True

    def __init__(self, settings: ChannelSettings, mail: Ses) -> None:
        self.name, self._settings, self._mail = settings.name, settings, mail

    def deliver(self, message: Message) -> None:
        """One mail to each address, so that nobody sees the others'. Raises TryLater only if it arrived nowhere: who
        has it need not get it twice."""
        addresses = addresses_in(message.to) or ((message.to,) if message.to else self._settings.to)
        if not addresses:
            raise _no_address(self.name)
        problems: list[Problem] = []
        for to in addresses:
            try:
                subject = one_line(message.subject)
                self._mail.send(self._settings.sender, one_line(to), subject, message.text, message.html)
            except Problem as problem:
                problems.append(problem)
        if len(addresses) == 1 and problems:
            raise problems[0]
        if problems:
            nowhere = len(problems) == len(addresses) and all(isinstance(each, TryLater) for each in problems)
            first, kind = problems[0], TryLater if nowhere else Problem
            raise kind(f"{len(problems)} of {len(addresses)} addresses: {first.message}", first.hint)

    def check(self) -> tuple[str, ...]:
        """Whether it is still in its sandbox. Raises what asking raises."""
        sandbox = self._mail.sandbox()
        if sandbox is None:
            return (f"channel {self.name}: could not check whether SES is in the sandbox (needs ses:GetAccount)",)
        return (f"channel {self.name}: {_SANDBOX}",) if sandbox else ()


LONGEST_CHAT = 16 * 1024  # bytes, in messages of what the service takes (Telegram: 4096 characters)
_ALONE = RLock()  # silence is for the whole process


_EVERYBODY = {"all", "channel", "everyone", "here", "room", "team"}  # whom Slack, Discord, Teams and others mean by it


class ChatChannel:
    """Delivers to every URL of one secret. With a `mention` the text begins with those whom it is for: what stands
    before the @ of an address; an address that is none, such as a chat's own id, as it is."""

    def __init__(self, settings: ChannelSettings, vault: NamedSecrets) -> None:
        self.name, self._secret, self._vault = settings.name, settings.urls, vault
        self._mention = settings.mention
        self.wants_address = self.personal = settings.personal

    def deliver(self, message: Message) -> None:
        """See Channel. Each URL is tried once: who was told already must not be told again."""
        if self._mention and message.to:
            names = [each.partition("@")[0] for each in addresses_in(message.to) or (one_line(message.to),)]
            if whole := [each for each in names if each.lower() in _EVERYBODY]:
                what = f"channel {self.name}: {whole[0]!r} would mention everybody there, and no owner"
                raise Problem(what, "correct the owner's tag or the mapping")
            to = " ".join(self._mention.replace("{name}", name) for name in names)
            message = replace(message, rows=f"{to}\n{message.rows or message.text}")
        total, strange, failed = self._try(_apprise(self.name), message)
        if strange or not total:
            urls = f"{strange} of {total} URLs that apprise cannot use, so nothing was sent" if total else "no URL"
            raise WrongUsage(
                f"channel {self.name}: the secret {self._secret} contains {urls}",
                "put one apprise URL a line into it; see https://github.com/caronc/apprise",
            )
        if failed:
            which = f"{len(failed)} of {total} services" if total > 1 else "the service"
            raise Problem(
                f"channel {self.name}: {which} did not accept the message ({', '.join(sorted(set(failed)))})",
                f"test the URLs in {self._secret} with the command apprise",
            )

    def _try(self, apprise: Any, message: Message) -> tuple[int, int, list[str]]:
        """How many URLs there are, how many make no sense (then nothing is sent), and which services failed. Nothing is
        raised from here but what the vault raises: a traceback would hold the URLs."""
        urls = _urls(self._vault.secret(self._secret))
        with _silence():
            services = [_service(apprise, url) for url in urls]
            strange = services.count(None)
            reasons = [] if strange else [(each, _notify(apprise, each, message)) for each in services]
            names = [  # never the URL's
                one_line(str(type(each).service_name or type(each).__name__)) + (f": {why}" if why else "")
                for each, why in reasons
                if why is not None
            ]
        return len(urls), strange, names

    def check(self) -> tuple[str, ...]:
        """Whether apprise is there. Raises Problem if not; the secret is not fetched."""
        _apprise(self.name)
        return ()


def _apprise(name: str) -> Any:
    """The library, loaded when first needed: it takes a quarter of a second."""
    try:
        with _silence():
            import apprise
    except ImportError:
        raise Problem(f"channel {name} needs apprise, which is not installed", how_to_get("apprise")) from None
    return apprise


def _urls(secret: str) -> list[str]:
    """The URLs of a secret: one a line, or the values of a JSON object or list (as the console makes them)."""
    text = secret.strip()
    if text[:1] in ("{", "["):
        try:
            found = json.loads(text)
        except ValueError:
            return []
        values = list(found.values()) if isinstance(found, dict) else found
        return [each.strip() for each in values if isinstance(each, str) and each.strip()]
    return [each for each in re.split(r"\s+", text) if each]


def _service(apprise: Any, url: str) -> Any:
    """apprise's object for a URL, None if it makes nothing of it. A line that is too long is split, not refused."""
    try:
        asset = apprise.AppriseAsset(app_id="rotate-my-key", app_desc="rotate-my-key", async_mode=False)
        found = apprise.Apprise.instantiate(url, asset)
        if found is not None and not re.search(r"[?&]overflow=", url, re.IGNORECASE):
            found.overflow_mode = apprise.OverflowMode.SPLIT
    except Exception:  # noqa: BLE001 - what it says may quote the URL
        return None
    return found


# What services say of a message that they refuse, as far as it may be repeated: the rest may quote a URL.
_REASONS = re.compile(
    r"bot was (blocked by the user|kicked from the \w+ chat)|chat not found|user is deactivated|Unauthorized"
    r"|not enough rights|Too Many Requests|channel_not_found|not_in_channel|is_archived|invalid_auth|account_inactive"
    r"|token_(revoked|expired)|no_service|error=[45]\d\d\b",
    re.IGNORECASE,
)


class _Reason:
    """Stands for apprise's log: it keeps the first reason that may be repeated, and drops everything else."""

    def __init__(self) -> None:
        self.said = ""

    def _hear(self, text: object, *values: object, **_: object) -> None:
        with suppress(Exception):  # what does not fit together is no reason
            if found := _REASONS.search(str(text) % values if values else str(text)):
                self.said = self.said or found[0].replace("error=", "HTTP ")

    debug = info = warning = error = trace = deprecate = _hear

    def __getattr__(self, name: str) -> Any:
        return lambda *values: False  # isEnabledFor, and what else a log has


def _notify(apprise: Any, service: Any, message: Message) -> str | None:
    """None if the service took it, else its reason, "" if that is not known or must not be said. By way of an Apprise,
    which escapes a text for services that want HTML."""
    reason = service.logger = _Reason()
    try:
        sender = apprise.Apprise(asset=service.asset)
        sender.add(service)
        title, body = one_line(message.subject), cut(message.rows or message.text, LONGEST_CHAT)
        for part in _parts(body, service.body_maxlen - _room(title) - 16, markup="html" in str(service.notify_format)):
            if not sender.notify(body=part, title=title, body_format=apprise.NotifyFormat.TEXT):
                return reason.said
            title = "" if service.title_maxlen <= 0 else title  # where it is a line of the text it stands once
    except Exception:  # noqa: BLE001 - what it says may quote the URL
        return ""
    return None


def _parts(text: str, most: int, *, markup: bool) -> Iterator[str]:
    """The text in parts that end where a line ends, each within what a service takes."""
    part, length = list[str](), 0
    for line in text.strip().split("\n"):
        room = _room(line) if markup else len(line) + 2
        if part and length + room > most:
            yield "\n".join(part).strip("\n")
            part, length = [], 0
        part.append(line)
        length += room
    yield "\n".join(part)


def _room(line: str) -> int:
    """How long a line is in HTML, as apprise makes it: a blank is `&nbsp;` there, the line's end `<br/>`."""
    return len(html.escape(line)) + 5 * line.count(" ") + 5


@contextmanager
def _silence() -> Iterator[None]:
    """No log record and no warning of anybody, while URLs are about."""
    with _ALONE, warnings.catch_warnings():
        before = logging.root.manager.disable
        logging.disable(sys.maxsize)
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(before)
