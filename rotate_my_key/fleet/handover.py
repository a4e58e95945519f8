"""A hand-over: the place where a new key waits for its user, and the slip that tells what it is about.

Pure. The slip holds what cannot be looked up, and no secret; it is written before the key is made, so that a run that
is killed leaves a trace of what it made. A place is named after account and user: each user has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..model import AccessKey

VERSION = "1"
TAG = "rotate-my-key-handover"  # the tag of a secret that holds the slip
BUSY = timedelta(minutes=2)  # within this time after the sending another run may still be at work
# CreateAccessKey is sent once: 20 s of throttling, then 15 s for an answer. CreateDate has whole seconds.
_BEFORE, _AFTER = timedelta(seconds=2), timedelta(seconds=45)

# Not a hyphen with six more characters: Secrets Manager takes that for the end of an ARN.
_END = "/handover"
_PLAIN = re.compile(r"[\w.@+-]", re.ASCII)
_NAME = re.compile(r"(\d{12})/((?:[\w.@+-]|=[0-9A-F]{2})+)", re.ASCII)
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class HandoverRecord:
    """What a hand-over is about.

    `at` is when CreateAccessKey was to be sent, by AWS's clock; `run` names the run that did it; `had` are the ids that
    the user had then; `replaces` is one of them or "". `key_id` is the key that waits there, "" until it is stored.
    `spot` is for a secret: its region and the end of its ARN. `taken`: the slip is there and what waited is not.
    """

    account: str
    user: str
    at: datetime
    run: str
    had: tuple[str, ...] = ()
    replaces: str = ""
    key_id: str = ""
    spot: str = ""
    taken: bool = False


def encode(slip: HandoverRecord) -> str:
    """A text of at most 256 letters, digits, blanks and `_.:/=+-@`: it fits a tag. Without account and user: they are
    in the name of the place."""
    facts = {"at": f"{slip.at.astimezone(UTC):{_TIME}}", "run": slip.run, "for": slip.replaces}
    facts |= {"key": slip.key_id, "in": slip.spot}
    parts = [f"{name}={value}" for name, value in facts.items() if value]
    return " ".join((VERSION, *parts, *(f"had={key_id}" for key_id in slip.had)))


def decode(text: str, account: str, user: str) -> HandoverRecord | None:
    """The slip of that place, or None if it is none of ours or of another version: it is left alone."""
    version, *parts = text.split() or [""]
    facts = [part.partition("=") for part in parts]
    known = {name: value for name, _, value in facts}
    try:
        at = datetime.strptime(known["at"], _TIME).replace(tzinfo=UTC)
        run = known["run"]
    except (KeyError, ValueError):
        return None
    if version != VERSION:
        return None
    had = tuple(value for name, _, value in facts if name == "had")
    replaces, key_id, spot = (known.get(name, "") for name in ("for", "key", "in"))
    return HandoverRecord(account, user, at, run, had, replaces, key_id, spot)


def place_name(account: str, user: str) -> str:
    """`123456789012/alice`, in what names of secrets and objects may have: other characters become `=2C`."""
    quoted = (each if _PLAIN.fullmatch(each) else f"={ord(each):02X}" for each in user)
    return f"{account}/{''.join(quoted)}"


def secret_name(prefix: str, account: str, user: str) -> str:
    """The name of the secret."""
    return f"{prefix}{place_name(account, user)}{_END}"


def place_of(name: str) -> tuple[str, str] | None:
    """Account and user of `123456789012/alice`; None if it is not such a name."""
    found = _NAME.fullmatch(name)
    if not found:
        return None
    return found[1], re.sub(r"=([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), found[2])


def secret_place(prefix: str, name: str) -> tuple[str, str] | None:
    """Account and user of a secret; None if it is no hand-over."""
    ours = name.startswith(prefix) and name.endswith(_END)
    return place_of(name[len(prefix) : -len(_END)]) if ours else None


def made_then(slip: HandoverRecord, keys: Iterable[AccessKey]) -> AccessKey | None:
    """The key of a CreateAccessKey whose answer never arrived: exactly one id that was unknown before, made within the
    request's time. Whoever acts on it must know that nobody uses it."""
    new = [key for key in keys if key.key_id not in slip.had]
    found = [key for key in new if slip.at - _BEFORE <= key.created <= slip.at + _AFTER]
    return found[0] if len(found) == 1 and not slip.key_id else None
