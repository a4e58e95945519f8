"""What a key on its way says: an export once it is open, and IT's delivery once it is fetched. What a delivery says,
written by `fleet reissue` and read by `adopt`, is believed only as far as AWS says the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from ..core.errors import Problem, Unreadable
from ..core.hints import Hint
from ..core.model import Credentials, Identity
from .records import Form


@dataclass(frozen=True, slots=True)
class Exported:
    """A key on its way. `profile` held it; `region` is that profile's, or None; `made` is when, by that computer."""

    pair: Credentials
    identity: Identity
    profile: str
    region: str | None
    made: datetime


_EXPORT = Form(
    Exported,
    kind="rotate-my-key export",
    among=("pair", "identity"),
    newer=(
        "it is an export of version {version}, and this rotate-my-key reads 1",
        "use the same version on both computers",
    ),
    wrong=("that was not made by rotate-my-key export", Hint("export")),
)


def write_export(exported: Exported) -> bytes:
    """As bytes, to be sealed at once."""
    return _EXPORT.encode(replace(exported, made=exported.made.replace(microsecond=0)))


def read_export(data: bytes) -> Exported:
    """From bytes that were sealed. Raises Problem for anything else, and for an export of a newer version."""
    return _EXPORT.decode(data)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A key on its way to its user. `replaces` is the id that its places hold until then, or ""; `profile` is the one
    that IT thinks of, or ""; `made` is when, by AWS's clock."""

    pair: Credentials
    identity: Identity
    made: datetime
    replaces: str = ""
    profile: str = ""
    user: str = field(default="", compare=False)

    @property
    def fits(self) -> bool:
        """Whether it says nothing that contradicts itself, or that no key of AWS can be."""
        pair, who, ids = self.pair, self.identity, (self.pair.key_id, self.replaces or self.pair.key_id)
        texts = (who.account, who.arn, self.profile, self.user)
        return (
            all(map(_ID.fullmatch, ids))
            and self.replaces != pair.key_id
            and bool(_SECRET.fullmatch(pair.secret))
            and all(text.isprintable() for text in texts)
            and who.is_user
            and (who.arn.split(":")[4], who.user) == (who.account, self.user)
        )


class _Reserved(NamedTuple):
    """What stands in the place before the key is made: no secret, and no delivery yet."""

    reserved: bool


LONGEST = 1 << 14  # bytes; a delivery has about 400
_ID = re.compile(r"AKIA[A-Z0-9]{12,124}")  # IAM user guide, "unique identifiers"
_SECRET = re.compile(r"[\x21-\x7e]{16,128}")
_KIND = "delivery of rotate-my-key"
_ASK = "ask IT for a new one"
_WRONG = ("what was fetched does not come from rotate-my-key fleet reissue", _ASK)
_NEWER = ("this version of rotate-my-key cannot read what IT stored", Hint("--version"))
_RESERVATION = Form(_Reserved, kind=_KIND)
_DELIVERY = Form(Delivered, kind=_KIND, among=("pair", "identity"), newer=_NEWER, wrong=_WRONG)


def write_delivery(delivered: Delivered) -> str:
    """As text, to be stored at once where only its user can read it."""
    made = delivered.made.replace(microsecond=0)
    return _DELIVERY.encode(replace(delivered, made=made, user=delivered.identity.user)).decode()


def reservation() -> str:
    """What stands in the place before the key is made."""
    return _RESERVATION.encode(_Reserved(True)).decode()


def read_delivery(data: bytes | str) -> Delivered:
    """From what was fetched. Raises Problem for anything else; the message has nothing of it."""
    if _RESERVATION.find(data):
        raise Problem("the new key from IT is not there yet: only its name is reserved", _ASK)
    delivered = _DELIVERY.decode(data)
    if not delivered.fits:
        raise Unreadable(*_WRONG)
    return delivered
