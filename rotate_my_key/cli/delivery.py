"""What `fleet reissue` handed over: fetched from Secrets Manager, from S3 or by a link, and removed once it is here.

A link is a secret: it is taken from a hidden question or from standard input, never from the command line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from ..errors import Gone, NeedsPerson, NotAllowed, Problem, TryLater, WrongUsage
from ..stores.delivered import LONGEST, Delivered, decode
from ..stores.handed import Mark
from .app import App
from .signing import mfa_serials
from .wiring import Wiring

if TYPE_CHECKING:
    from ..aws.services import AwsCloud

_FORMS = ("secretsmanager:", "s3://")
_URL = re.compile(r"https?://", re.IGNORECASE)
_ARN = re.compile(r"arn:[\w-]+:secretsmanager:([\w-]+):\d{12}:secret:[\w/+=.@-]{1,512}")
_SECRET = re.compile(r"[\w/+=.@-]{1,512}", re.ASCII)  # Secrets Manager API reference, CreateSecret
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ASK = "ask IT for a new one"
_PATIENCE = 20.0  # seconds for which throttling is waited out
_PASTE = "rotate-my-key adopt, and paste the link when asked (or - to read it from a pipe)"


def is_delivery(text: str) -> bool:
    """Whether this names a delivery, and not a file."""
    return text.startswith(_FORMS)


def is_link(text: str) -> bool:
    """Whether this is a URL."""
    return bool(_URL.match(text))


def refuse_link(text: str) -> None:
    """Raises WrongUsage for a URL on the command line."""
    if is_link(text):
        raise WrongUsage("a link is as good as the key itself, and others can read what is typed here", _PASTE)


class Delivery:
    """One delivery, named by `text`. Calls are signed by the auth profile (`signer`, else as the settings say), else by
    `profile` itself."""

    def __init__(self, app: App, wiring: Wiring, text: str, profile: str, signer: str = "") -> None:
        self._app = app
        self._wiring = wiring
        self._text = text
        signer = signer or app.settings.auth_profile or ""
        self._auth = signer or profile
        self._mine = not signer
        self._told: set[str] = set()

    @property
    def mark(self) -> Mark:
        """Where it is, for a later run that removes it; a link is a secret, and is not remembered."""
        return Mark() if is_link(self._text) else Mark("", self._text, "" if self._mine else self._auth)

    @property
    def name(self) -> str:
        """What to type for it; `-` for a link."""
        return "-" if is_link(self._text) else self._text

    def fetch(self) -> Delivered:
        """Fetch it. Raises Problem; no message holds a link or anything of what was fetched."""
        with self._app.waiting("fetching what IT has made"):
            return decode(self._by_link() if is_link(self._text) else self._named())

    def _named(self) -> bytes | str:
        try:
            return self._by_name()
        except Gone:
            raise Gone("there is no such delivery: it was taken, or not fetched in time", _ASK) from None
        except (NeedsPerson, TryLater, WrongUsage):
            raise
        except Problem as problem:
            raise self._in_vain(problem) from None

    def _by_link(self) -> bytes:
        from ..aws.delivery import fetch

        return fetch(self._wiring.aws, self._text, LONGEST, self._foreign)

    def _by_name(self) -> bytes | str:
        if self._text.startswith("s3://"):
            bucket, name, region = _object(self._text)
            return self._cloud().objects(region).get(bucket, name)
        secret, region = _secret(self._text)
        return self._cloud().secrets(region).get(secret)

    def remove(self, profile: str) -> None:
        """The key is stored here, in `profile`: what was delivered is not needed any more. That it may not be removed
        is a note: IT's next run does it."""
        if is_link(self._text):
            return
        if self._mine:
            self._auth = profile
        try:
            with self._app.waiting("removing what was delivered"):
                self._remove()
            self._app.say("  what was delivered is deleted")
        except Problem as problem:
            self._app.detail(f"  {problem.message}")
            self._wiring.warn("what was delivered could not be deleted; IT's next run does it")

    def remove_left(self, key_id: str, profile: str) -> None:
        """As `remove`, for one that an earlier run fetched: by now another key may wait there, and that one stays."""
        try:
            there = self.fetch().pair.key_id
        except Gone:
            return
        except Problem as problem:
            self._app.detail(f"  {problem.message}")
            self._wiring.warn("what was delivered could not be looked at; IT's next run deletes it")
            return
        if there == key_id:
            self.remove(profile)

    def _remove(self) -> None:
        if self._text.startswith("s3://"):
            bucket, name, region = _object(self._text)
            return self._cloud().objects(region).delete(bucket, name)
        secret, region = _secret(self._text)
        return self._cloud().secrets(region).delete(secret)

    def _cloud(self) -> AwsCloud:
        """Made anew each time: by now the profile may hold another key."""
        from ..fleet.assembly import Assembly, FleetSigner
        from ..settings.fleet import FleetSettings

        person = self._wiring.person
        signer = FleetSigner(
            self._auth,
            self._auth,
            lambda whose, serial: person.code(whose, serial, ""),
            self._wiring.sessions if self._mine else None,
            lambda: mfa_serials(self._wiring.files, self._auth, self._app.settings),
        )
        return Assembly(self._wiring.aws, signer, FleetSettings(), tell=self._foreign, patience=_PATIENCE).cloud

    def _foreign(self, url: str) -> None:
        if url not in self._told:
            self._told.add(url)
            self._app.complain(f"{self._app.style('note:', fg='yellow')} the endpoint is not AWS's own: {url}")

    def _in_vain(self, problem: Problem) -> Problem:
        """Whoever cannot sign in here needs another profile, or a link."""
        kind = NotAllowed if isinstance(problem, NotAllowed) else Problem
        return kind(
            f"it cannot be fetched with profile {self._auth}: {problem.message}",
            f"rotate-my-key adopt {self._text} --auth-profile NAME; or ask IT for a link",
        )


def _secret(text: str) -> tuple[str, str]:
    """`secretsmanager:NAME` or `secretsmanager:ARN`: name or ARN, and the region that the ARN tells."""
    name = text.removeprefix("secretsmanager:")
    if found := _ARN.fullmatch(name):
        return name, found[1]
    if not _SECRET.fullmatch(name):
        raise WrongUsage(f"{name!r} is no name of a secret", "copy the whole of what IT wrote")
    return name, ""


def _object(text: str) -> tuple[str, str, str]:
    """`s3://bucket/name?region=eu-west-1`: bucket, name, region or ""."""
    parts = urlsplit(text)
    name, regions = unquote(parts.path[1:]), parse_qs(parts.query).get("region", [""])
    if not _BUCKET.fullmatch(parts.netloc) or not name or not re.fullmatch(r"[a-z0-9-]*", regions[0]):
        raise WrongUsage(f"{text!r} is no object of S3", "write it like s3://bucket/name")
    return parts.netloc, name, regions[0]
