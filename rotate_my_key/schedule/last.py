"""`schedule.json`: what came of the scheduled runs. Its form stands in this package's docstring."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..errors import Interrupted, Problem, TryLater
from ..files.private import make_private_dir, read_private, remove_private, write_private

FILE = "schedule.json"
_VERSION = 1
_AGAIN = (TryLater.code, Interrupted.code)  # the scheduler tries again by itself
_A_DAY = timedelta(hours=20)  # less than a day, or a run a little late each time would skip one in the end


class Try(NamedTuple):
    """One run: when it ended (UTC), its exit code, and in words what came of it, with the next command if it failed."""

    at: datetime
    code: int
    message: str = ""
    hint: str = ""


class Last(NamedTuple):
    """The latest run, and the latest that the scheduler does not try again by itself."""

    last: Try
    settled: Try | None


def path(state_dir: str) -> str:
    """Where it is."""
    return os.path.join(state_dir, FILE)


def load(state_dir: str) -> Last | None:
    """What is known; None if it never ran, or the file makes no sense (the next run writes it anew)."""
    try:
        read = json.loads(read_private(path(state_dir)) or b"null")
        if not isinstance(read, dict) or read.get("version") != _VERSION:
            return None
        return Last(_try(read["last"]), _try(read["settled"]) if read["settled"] else None)
    except (Problem, ValueError, KeyError, TypeError):
        return None


def keep(state_dir: str, attempt: Try) -> None:
    """Note a run. Raises Problem if it cannot be written."""
    before = load(state_dir)
    settled = attempt if attempt.code not in _AGAIN else before and before.settled
    told = {"version": _VERSION, "last": _json(attempt), "settled": _json(settled) if settled else None}
    make_private_dir(state_dir)
    write_private(path(state_dir), json.dumps(told, indent=1).encode())


def forget(state_dir: str) -> None:
    """Remove the file."""
    remove_private(path(state_dir))


def is_done(known: Last | None, now: datetime) -> bool:
    """Whether today's run is over: it settled something less than a day ago."""
    return bool(known and known.settled and timedelta(0) <= now - known.settled.at < _A_DAY)


def failure(known: Last | None) -> Try | None:
    """What the reminder should speak of: the latest settled run, if it failed. 75 and 130 are tried again instead."""
    return known.settled if known and known.settled and known.settled.code else None


def _json(attempt: Try) -> dict[str, Any]:
    return {**attempt._asdict(), "at": attempt.at.isoformat(timespec="seconds")}


def _try(read: Mapping[str, Any]) -> Try:
    at = datetime.fromisoformat(read["at"])
    if at.tzinfo is None or not isinstance(read["code"], int):
        raise ValueError(read)
    return Try(at, read["code"], str(read["message"]), str(read["hint"]))
