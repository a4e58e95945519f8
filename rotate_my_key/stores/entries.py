"""Entries of the system's keyring: text under a name.

Light: `credentials` runs at every start of an SDK. What an entry holds is a pair as JSON, with a version; on Windows an
entry has room for 1280 characters (CRED_MAX_CREDENTIAL_BLOB_SIZE: 2560 bytes of UTF-16), of which a pair takes 100.
"""

from __future__ import annotations

import json
from typing import NamedTuple, Protocol

from ..errors import Problem

VERSION = 1
SYSTEM = "system"  # the backend of this system's own keyring
LONGEST = 1280  # characters

SERVICE = "rotate-my-key"
_SPARE = "rotate-my-key (being replaced)"
_ROTATION = "rotate-my-key (rotation)"
REHEARSAL = "(rehearsal)"  # the profile whose entries hold no secret: they show that the keyring keeps its promises


class Name(NamedTuple):
    """How an entry is found: two texts, as every keyring has them."""

    service: str
    user: str

    @property
    def label(self) -> str:
        """What a person reads in the keyring's own program."""
        return f"{self.service}: {self.user}"


class Entries(Protocol):
    """The keyring. Every verb may raise TryLater: it is locked, or there is none (at the moment)."""

    def get(self, name: Name) -> str | None:
        """The text; None if there is no such entry."""

    def set(self, name: Name, text: str) -> None:
        """Store the text durably, over what was there. Not every keyring does that at once: some remove it first."""

    def delete(self, name: Name) -> None:
        """Remove the entry; one that is not there is removed already."""

    def check(self) -> None:
        """Raises Problem for what is no safe place for a secret by its kind."""


def of_profile(profile: str) -> Name:
    """The entry of a profile's pair."""
    return Name(SERVICE, profile)


def spare_of(profile: str) -> Name:
    """Where the pair of a profile stands as well while its entry is replaced."""
    return Name(_SPARE, profile)


def of_rotation(name: str, role: str) -> Name:
    """The entry of a staged or kept pair."""
    return Name(_ROTATION, f"{name} {role}")


def noted_backend(path: str) -> str | None:
    """The backend that holds the entries, by `keyring.json`; None if there is no such file that makes sense."""
    try:
        with open(path, encoding="utf-8") as file:
            return str(json.load(file).get("backend", SYSTEM))
    except (OSError, ValueError, AttributeError):
        return None


def encode(key_id: str, secret: str) -> str:
    """A pair as an entry's text. Raises Problem for one that has no room on every system."""
    text = json.dumps({"version": VERSION, "key_id": key_id, "secret": secret}, separators=(",", ":"))
    if len(text) > LONGEST:
        raise Problem("this pair is too long for a keyring entry", "rotate-my-key status")
    return text


def decode(text: str) -> tuple[str, str]:
    """The pair's id and secret. Raises Problem for text that is not ours, or a newer version's."""
    try:
        body = json.loads(text)
        if body["version"] > VERSION:
            raise Problem("this keyring entry was written by a newer rotate-my-key", "use that version")
        key_id, secret = body["key_id"], body["secret"]
        if isinstance(key_id, str) and isinstance(secret, str):
            return key_id, secret
    except (ValueError, KeyError, TypeError):
        pass
    raise Problem("the keyring entry makes no sense: something else wrote it", "rotate-my-key keyring restore")


def pair_in(entries: Entries, profile: str) -> tuple[str, str] | None:
    """The pair of a profile, as `credentials` gives it: a second look only where an entry is just being replaced."""
    text = entries.get(of_profile(profile)) or entries.get(spare_of(profile))
    return decode(text) if text is not None else None
