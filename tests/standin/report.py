"""The credential report of an account: asked for, made, kept for four hours, and what stands in it.

Sources: IAM User Guide ("Getting credential reports for your AWS account") and IAM API reference (GetCredentialReport),
and what the live service was seen to do besides: dates end in Z, the file has no newline at its end, a user's keys are
in the order of their ids, not of their age, and a key that is switched off keeps its dates.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from moto.iam.models import User as MotoUser

from . import errors

if TYPE_CHECKING:
    from .world import Key, World

_KEPT = timedelta(hours=4)
_KEY = ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
HEADER = (
    *("user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed"),
    *("password_next_rotation", "mfa_active", *(f"access_key_{slot}_{name}" for slot in (1, 2) for name in _KEY)),
    *("cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated"),
)


@dataclass(slots=True)
class _Task:
    """A report that is being made, of what was true when it was asked for."""

    text: str
    ready: float
    polls: int


class Reports:
    """An account's report: none, one being made, or one that was made, `generated` then."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._task: _Task | None = None
        self._text = ""
        self.generated: datetime | None = None

    def generate(self) -> dict[str, str]:
        """GenerateCredentialReport."""
        if self._task is None and self.generated and self._world.now() - self.generated <= _KEPT:
            return {"State": "COMPLETE"}
        if self._task is None:
            settings = self._world.settings
            made = "\n".join(_rows(self._world))
            self._task = _Task(made, time.monotonic() + settings.report_delay, settings.report_polls)
            return {"State": "STARTED", "Description": "No report exists. Starting a new report generation task"}
        return {"State": "COMPLETE" if self._finished(self._task) else "INPROGRESS"}

    def get(self) -> dict[str, object]:
        """GetCredentialReport. Raises Refused: ReportNotPresent, ReportInProgress, ReportExpired."""
        if self._task and not self._finished(self._task):
            raise errors.Refused("ReportInProgress", "Unknown", 404)
        if self.generated is None:
            raise errors.Refused("ReportNotPresent", "Unknown", 410)
        if self._world.now() - self.generated > _KEPT:
            raise errors.Refused("ReportExpired", "Unknown", 410)
        return {"Content": self._text.encode(), "ReportFormat": "text/csv", "GeneratedTime": self.generated}

    def age(self, by: timedelta) -> None:
        """The report was made so much earlier. There must be one."""
        if self._task:
            self._keep(self._task)
        if self.generated is None:
            raise ValueError("no report was asked for")
        self.generated -= by

    def _finished(self, task: _Task) -> bool:
        if task.polls > 0 or time.monotonic() < task.ready:
            task.polls -= 1
            return False
        self._keep(task)
        return True

    def _keep(self, task: _Task) -> None:
        self._text, self.generated, self._task = task.text, self._world.now(), None


_ROOT_PASSWORD = ["not_supported", "no_information", "not_supported", "not_supported"]


def _rows(world: World) -> Iterator[str]:
    """The header, root, then the users by name, case aside."""
    users = sorted(world.iam.users.values(), key=lambda user: str(user.name).lower())
    yield ",".join(HEADER)
    yield _line(["<root_account>", world.arn(None), _date(world.created), *_ROOT_PASSWORD, *_rest(world, None)])
    for user in users:
        yield _line([user.name, world.arn(user), _date(user.create_date), *_password(user), *_rest(world, user)])


def _line(cells: list[str]) -> str:
    """As csv writes it: a path or a name may hold a comma."""
    if not any("," in cell or '"' in cell for cell in cells):
        return ",".join(cells)
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _password(user: MotoUser) -> list[str]:
    if not user.password:
        return ["false", "N/A", "N/A", "N/A"]
    return ["true", _date(user.password_last_used) or "no_information", _date(user.create_date), "N/A"]


def _rest(world: World, user: MotoUser | None) -> list[str]:
    """MFA, both slots, certificates (nobody has one)."""
    mfa = str(bool(world.devices.get(user.name if user else ""))).lower()
    keys = sorted(world.keys_of(user), key=lambda key: key.id)
    slots = [cell for slot in (0, 1) for cell in _slot(world, keys[slot] if slot < len(keys) else None)]
    return [mfa, *slots, "false", "N/A", "false", "N/A"]


def _slot(world: World, key: Key | None) -> list[str]:
    if key is None or (key.status != "Active" and world.settings.report_hides_inactive):
        return ["false", "N/A", "N/A", "N/A", "N/A"]
    use = world.last_use(key)
    used = [_date(use.at), use.region, use.service] if use.at else ["N/A"] * 3
    return [str(key.status == "Active").lower(), _date(key.changed or key.moto.create_date), *used]


def _date(at: datetime | None) -> str:
    """`2026-08-01T12:00:00Z`, "" for none."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else ""
