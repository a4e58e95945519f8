"""Puts a new pair where a file holds the old one: at once, or not at all, and looks again.

With all that a profile file is promised: mode, owner, links and attributes stay, nobody reads half of it, and what a
killed run leaves beside it is swept by the next. Only for who holds the lock.
"""

from __future__ import annotations

from ..errors import Problem
from ..files import replace as files
from ..files.replace import Outcome
from ..model import Credentials
from .forms import Forms
from .judge import Finding, Why, judge, unreadable

_ATTEMPTS = 5


def swap(path: str, old: Credentials, new: Credentials) -> Finding | None:
    """Change the file, if it is a COPY; gives what it is now (UPDATED, or why not), None if it does not hold `old`."""
    forms = Forms(old)
    try:
        files.sweep(files.real_path(path))
        for _ in range(_ATTEMPTS):
            finding, outcome = _try(path, forms, new)
            if outcome is not Outcome.CHANGED:
                return finding
        return Finding(path, old.key_id, Why.CHANGED)
    except Problem as problem:
        return unreadable(path, old.key_id, problem)


def _try(path: str, forms: Forms, new: Credentials) -> tuple[Finding | None, Outcome]:
    found = files.snapshot(path)
    finding = judge(found, forms) if found else None
    if found is None or finding is None or finding.why is not Why.COPY:
        return finding, Outcome.IMPOSSIBLE
    changed = forms.swap(found.data, new)
    if not changed.whole:
        return finding._replace(why=Why.SPELLING, detail=""), Outcome.IMPOSSIBLE
    outcome = files.replace(found, changed.data)
    if outcome is Outcome.IMPOSSIBLE:
        return finding._replace(why=Why.IN_PLACE, detail="it is in use or mounted by itself"), outcome
    if outcome is Outcome.DONE:
        after = files.snapshot(path)
        fine = after is not None and not forms.here(after.data)
        return finding._replace(why=Why.UPDATED if fine else Why.CHANGED), outcome
    return finding, outcome
