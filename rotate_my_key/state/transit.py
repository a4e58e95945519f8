"""What an export holds once it is open: the pair, whose it is, and what another computer needs to use it. JSON, with a
version; a newer one is left alone.

What IT's delivery holds once it is fetched: the pair, whose it is, and which key it replaces. JSON, with a version;
a newer one is left alone.

Written by `fleet reissue`, read by `adopt`. What it says is believed only as far as AWS says the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from ..core.errors import Problem
from ..core.model import Credentials, Identity

VERSION = 1
_KIND = "rotate-my-key export"


@dataclass(frozen=True, slots=True)
class Exported:
    """A key on its way. `profile` held it; `region` is that profile's, or None; `made` is when, by that computer."""

    pair: Credentials
    identity: Identity
    profile: str
    region: str | None
    made: datetime


def encode(exported: Exported) -> bytes:
    """As bytes, to be sealed at once."""
    value = {
        "kind": _KIND,
        "version": VERSION,
        "made": exported.made.astimezone(UTC).isoformat(timespec="seconds"),
        "account": exported.identity.account,
        "arn": exported.identity.arn,
        "profile": exported.profile,
        "region": exported.region,
        "key_id": exported.pair.key_id,
        "secret": exported.pair.secret,
    }
    return json.dumps(value).encode()


def decode(data: bytes) -> Exported:
    """From bytes that were sealed. Raises Problem for anything else, and for an export of another version."""
    try:
        value = json.loads(data)
        if value["kind"] != _KIND:
            raise Problem("that was not made by rotate-my-key export", "rotate-my-key export")
        if value["version"] != VERSION:
            raise Problem(
                f"it is an export of version {int(value['version'])}, and this rotate-my-key reads {VERSION}",
                "use the same version on both computers",
            )
        texts = [value[name] for name in ("key_id", "secret", "account", "arn", "profile")]
        made, region = datetime.fromisoformat(value["made"]), value["region"]
        if all(isinstance(text, str) for text in texts) and isinstance(region, str | None):
            key_id, secret, account, arn, profile = texts
            return Exported(Credentials(key_id, secret), Identity(account, arn), profile, region, made)
    except (ValueError, KeyError, TypeError):
        pass
    raise Problem("that was not made by rotate-my-key export", "rotate-my-key export")


LONGEST = 1 << 14  # bytes; a delivery has about 400
_KIND_DELIVERED = "delivery of rotate-my-key"
_ID = re.compile(r"AKIA[A-Z0-9]{12,124}")  # IAM user guide, "unique identifiers"
_SECRET = re.compile(r"[\x21-\x7e]{16,128}")
_ASK = "ask IT for a new one"


@dataclass(frozen=True, slots=True)
class Delivered:
    """A key on its way to its user. `replaces` is the id that its places hold until then, or ""; `profile` is the one
    that IT thinks of, or ""; `made` is when, by AWS's clock."""

    pair: Credentials
    identity: Identity
    made: datetime
    replaces: str = ""
    profile: str = ""


def encode_delivered(delivered: Delivered) -> str:
    """As text, to be stored at once where only its user can read it."""
    value = {
        "kind": _KIND_DELIVERED,
        "version": VERSION,
        "account": delivered.identity.account,
        "user": delivered.identity.user,
        "arn": delivered.identity.arn,
        "key_id": delivered.pair.key_id,
        "secret": delivered.pair.secret,
        "replaces": delivered.replaces,
        "profile": delivered.profile,
        "made": delivered.made.astimezone(UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(value)


def reservation() -> str:
    """What stands in the place before the key is made: no secret, and no delivery yet."""
    return json.dumps({"kind": _KIND_DELIVERED, "version": VERSION, "reserved": True})


def decode_delivered(data: bytes | str) -> Delivered:
    """From what was fetched. Raises Problem for anything else; the message has nothing of it."""
    try:
        value = json.loads(data)
        if value["kind"] == _KIND_DELIVERED:
            return _delivered(value)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise Problem("what was fetched is no delivery of rotate-my-key fleet reissue", _ASK)


def _delivered(value: dict[str, object]) -> Delivered:
    if value["version"] != VERSION:
        raise Problem("the delivery is of another version than this rotate-my-key reads", "rotate-my-key --version")
    if value.get("reserved"):
        raise Problem("the key is not there yet: IT has only reserved the place", _ASK)
    names = ("account", "arn", "key_id", "secret", "replaces", "profile", "made")
    texts = [value[name] for name in names]
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise TypeError
    account, arn, key_id, secret, replaces, profile, made = map(str, texts)
    identity = Identity(account, arn)
    fits = _ID.fullmatch(key_id) and _SECRET.fullmatch(secret) and (not replaces or _ID.fullmatch(replaces))
    if not fits or arn.split(":")[4] != account or not identity.is_user or value["user"] != identity.user:
        raise ValueError
    moment = datetime.fromisoformat(made)
    if moment.tzinfo is None or replaces == key_id:
        raise ValueError
    return Delivered(Credentials(key_id, secret), identity, moment, replaces, profile)
