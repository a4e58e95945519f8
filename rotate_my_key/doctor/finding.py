"""What the doctor says: findings, and a report of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ..model import Identity
from ..profiles.which import Active


class Level(Enum):
    """How bad it is.

    BROKEN: a rotation would fail, another key is used than the profile's, or others can take the key. WARNING: some
    program may use another key, or something should be put right soon. ADVICE: works, and could be better.
    """

    BROKEN = "broken"
    WARNING = "warning"
    ADVICE = "advice"


class Where(NamedTuple):
    """Where it is set: an absolute path, a line counted from 1, an environment variable; whichever are known."""

    file: str = ""
    line: int | None = None
    variable: str = ""


NOWHERE = Where()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stands in the way.

    `code` is a fixed word for scripts; `message` one line, lower case, without full stop; `remedy` a command to type.
    """

    level: Level
    code: str
    message: str
    remedy: str
    where: Where = NOWHERE


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found. `active` is the key that SDKs use here, or would once the findings are dealt with.

    `identity` is who it signs in as, if AWS was asked; `unchecked` says what could not be looked into, and why;
    `advice` is AWS's own about keys of this kind, "" where there is none.
    """

    active: Active | None
    identity: Identity | None
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...] = ()
    advice: str = ""

    @property
    def broken(self) -> bool:
        """Whether something must be put right."""
        return any(finding.level is Level.BROKEN for finding in self.findings)
