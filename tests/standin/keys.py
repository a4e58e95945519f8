"""A key with its past: what was true of it when, and what it was used for.

Pure, but for moto's own object of the key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from moto.iam.models import AccessKey as MotoKey
from moto.iam.models import User as MotoUser

from rotate_my_key.core.model import AccessKey, Credentials, LastUse

LONG_AGO = float("-inf")


@dataclass(slots=True)
class Key:
    """A key, its past and its uses. `user` is None for root's; a status of "" means: there is no such key."""

    moto: MotoKey
    user: MotoUser | None
    changes: list[tuple[float, str]]
    number: int = 0  # counts the keys of an account in the order they were made
    uses: list[tuple[float, LastUse]] = field(default_factory=list)
    accepted: dict[str, int] = field(default_factory=dict)  # calls that met `flapping`, by service
    changed: datetime | None = None  # when its status last changed, by the server's clock

    @property
    def id(self) -> str:
        """The access key id."""
        return self.moto.access_key_id

    @property
    def pair(self) -> Credentials:
        """Id and secret."""
        return Credentials(self.moto.access_key_id, self.moto.secret_access_key)

    @property
    def status(self) -> str:
        """What is true now."""
        return self.changes[-1][1]

    def status_at(self, moment: float) -> str:
        """What was true then."""
        return next((status for at, status in reversed(self.changes) if at <= moment), "")

    def shown(self, status: str) -> AccessKey:
        """The key as ListAccessKeys shows it."""
        return AccessKey(self.id, status, self.moto.create_date)
