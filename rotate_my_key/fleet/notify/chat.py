"""Telegram, Slack, Teams, webhooks and whatever else `apprise` can: its URLs are tokens.

They are fetched from the vault by name when there is something to deliver, and stay in this function. apprise logs them
at some levels, and so do the libraries below it (urllib3 names the path of a request); so nothing is logged while it
works, whatever it raises is dropped, and what we say of a failure is the channel's name and the service's.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

from ...errors import Problem, WrongUsage
from ...files.library import how_to_get
from ...settings.fleet import ChannelSettings
from ..model import Message
from ..notices import one_line
from ..ports import Vault
from .sns import cut

LONGEST = 16 * 1024  # bytes; apprise splits it into what the service takes (Telegram: 4096 characters a message)
_ALONE = RLock()  # silence is for the whole process


class ChatChannel:
    """Delivers to every URL of one secret."""

    def __init__(self, settings: ChannelSettings, vault: Vault) -> None:
        self._settings = settings
        self._vault = vault

    @property
    def name(self) -> str:
        """See the port."""
        return self._settings.name

    @property
    def wants_address(self) -> bool:
        """See the port."""
        return False

    def deliver(self, message: Message) -> None:
        """See the port. Each URL is tried once: who was told already must not be told again."""
        total, strange, failed = self._try(_apprise(self.name), message)
        if not total:
            raise self._wrong("holds no URL")
        if strange:
            raise self._wrong(f"holds {strange} of {total} URLs that apprise does not understand; nothing was sent")
        if failed:
            which = f"{len(failed)} of {total} services" if total > 1 else "the service"
            raise Problem(
                f"channel {self.name}: {which} did not take the message ({', '.join(sorted(set(failed)))})",
                f"try what is in {self._settings.urls} with apprise's own command",
            )

    def _try(self, apprise: Any, message: Message) -> tuple[int, int, list[str]]:
        """How many URLs there are, how many make no sense (then nothing is sent), and which services failed.

        Nothing is raised from here but what the vault raises: a traceback would hold the URLs.
        """
        urls = _urls(self._vault.secret(self._settings.urls))
        with _silence():
            services = [_service(apprise, url) for url in urls]
            strange = services.count(None)
            failed = [] if strange else [_title(each) for each in services if not _notify(apprise, each, message)]
        return len(urls), strange, failed

    def _wrong(self, what: str) -> Problem:
        return WrongUsage(
            f"channel {self.name}: the secret {self._settings.urls} {what}",
            "put one apprise URL a line into it; see https://github.com/caronc/apprise",
        )

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
    """apprise's object for a URL, None if it makes nothing of it. A message too long is split, not refused."""
    try:
        asset = apprise.AppriseAsset(app_id="rotate-my-key", app_desc="rotate-my-key", async_mode=False)
        found = apprise.Apprise.instantiate(url, asset)
        if found is not None and not re.search(r"[?&]overflow=", url, re.IGNORECASE):
            found.overflow_mode = apprise.OverflowMode.SPLIT
    except Exception:  # noqa: BLE001 - what it says may quote the URL
        return None
    return found


def _notify(apprise: Any, service: Any, message: Message) -> bool:
    """Whether the service took it. By way of an Apprise, which escapes a text for services that want HTML."""
    try:
        sender = apprise.Apprise(asset=service.asset)
        sender.add(service)
        title, body = one_line(message.subject), cut(message.text, LONGEST)
        return bool(sender.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT))
    except Exception:  # noqa: BLE001 - what it says may quote the URL
        return False


def _title(service: Any) -> str:
    """`Telegram`: the class's word, never the URL's."""
    return one_line(str(type(service).service_name or type(service).__name__))


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
