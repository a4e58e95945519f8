"""What the CIS benchmark says of access keys. Pure.

The numbers are the benchmark's own, whatever the settings say, and it knows no exempt users. It asks more of
credentials (passwords, certificates) than is looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from .model import FleetKey

BENCHMARK = "CIS Amazon Web Services Foundations Benchmark v3.0.0"


@dataclass(frozen=True, slots=True)
class Control:
    """A recommendation of the benchmark."""

    number: str
    title: str


NO_ROOT_KEY = Control("1.4", "no access key of the root user exists")
UNUSED = Control("1.12", "what was not used for 45 days is disabled")
ROTATED = Control("1.14", "access keys are replaced every 90 days or less")
CONTROLS = (NO_ROOT_KEY, UNUSED, ROTATED)

_UNUSED_AFTER = timedelta(days=45)
_MAX_AGE = timedelta(days=90)


def violated(key: FleetKey, now: datetime, *, root: bool) -> Iterator[Control]:
    """What a key fails; one that is switched off fails nothing, but for root's, which must not exist."""
    if root:
        yield NO_ROOT_KEY
    if is_unused(key, _UNUSED_AFTER, now):
        yield UNUSED
    if key.active and now - key.created >= _MAX_AGE:
        yield ROTATED


def is_unused(key: FleetKey, after: timedelta, now: datetime) -> bool:
    """Whether an active key was not used for so long; without a use on record it counts from when it was made.

    Unknown (denied, throttled) is not unused.
    """
    return key.active and key.last_use is not None and now - (key.last_use.at or key.created) >= after
