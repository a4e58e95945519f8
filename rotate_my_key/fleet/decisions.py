"""The words of `rules.py`: what is known of a user, what may be done to his keys, and what spares them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from .memory import KeyMemory, Memory, ref
from .model import FleetKey, FleetUser


class ActionKind(Enum):
    """What may be done."""

    NOTIFY = "notify"
    REISSUE = "reissue"
    DEACTIVATE = "deactivate"
    DELETE = "delete"


class SkipRule(Enum):
    """What spares a key that its age would call for."""

    ROOT = "root"
    ACCOUNT = "account"
    EXEMPT = "exempt"
    UNSURE = "unsure"
    LAST_USE = "last use unknown"
    USED = "used"
    NEW_KEY = "new key not received"
    NOTICES = "notices"
    GRACE = "grace"
    ONE_AT_A_TIME = "one at a time"
    NO_ROOM = "no room"
    UNREACHED = "owner not reached"  # by the engine
    LIMIT = "limit"  # by the engine: `most` acts a run
    HOURS = "hours"  # by the engine
    CHANGED = "changed"  # by the engine: the facts are others than when it was planned


@dataclass(frozen=True, slots=True)
class UserFacts:
    """A user with all of his keys (ids and exact days), and what is remembered of them.

    `exempt` is why he is left alone, or ""; `unsure` says what of his exemption or memory could not be read, or is "".
    """

    user: FleetUser
    memory: Memory = field(default_factory=dict)
    exempt: str = ""
    unsure: str = ""

    def known(self, key: FleetKey) -> KeyMemory:
        """What is remembered of a key."""
        return self.memory.get(ref(key.key_id or ""), KeyMemory())


@dataclass(frozen=True, slots=True)
class Act:
    """Something to do; `why` is a clause. A notice tells what is `coming`, and `at`: when at the earliest."""

    kind: ActionKind
    user: FleetUser
    key: FleetKey
    why: str
    coming: ActionKind | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not done, by which rule. `key` is None where it is about all of the user's keys."""

    rule: SkipRule
    user: FleetUser
    key: FleetKey | None
    why: str


Decision = Act | Skipped
