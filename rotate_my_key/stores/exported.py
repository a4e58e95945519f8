"""What an export holds once it is open: the pair, whose it is, and what another computer needs to use it. JSON, with a
version; a newer one is left alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import Problem
from ..model import Credentials, Identity

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
