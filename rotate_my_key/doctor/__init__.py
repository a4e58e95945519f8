"""Which key an SDK uses on this computer and why, and everything that stands in the way of a rotation.

The rules of this room: it changes nothing, neither at AWS nor in a single file, nor a file's times; it prints nothing.
A check is a small function that gives `Finding`s, each one line with a remedy that is a command. What other parts of
the program refuse or warn about is taken from them, not written again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from ..core.errors import Problem
from ..core.policy import Policy
from ..profiles.which import Active
from ..state.history import FileHistory
from ..state.notes import FileNotes
from . import local
from .aws import Account, Online
from .aws import check as ask
from .computer import Computer, Finding, Level, Report, Where

__all__ = ["Computer", "Finding", "Level", "Report", "Where", "examine"]

KEYLESS = (
    "AWS advises to use no long-term key at all: IAM Identity Center (aws configure sso), "
    "aws login, or IAM Roles Anywhere"
)
# With one of these AWS cannot be reached as it should be, so the answers would mislead.
_NO_WAY = {"ca-bundle"}


def examine(
    computer: Computer, account_of: Callable[[Active], Account] | None, now: datetime, more: Iterable[Finding] = ()
) -> Report:
    """Look at everything. `account_of` leads to AWS for a key; without it nothing is sent. `more` was found before."""
    active, findings = local.find(computer)
    findings = [*local.check_environment(computer), *findings]
    if active:
        findings += local.check_profiles(computer, active)
    findings += local.dead(computer, _deleted(computer))
    findings += [
        *local.check_files(computer),
        *local.check_state(computer, now, active.pair.key_id if active else ""),
        *local.check_program(computer),
    ]
    findings += more
    online = Online()
    if active and account_of:
        online = _online(computer, active, account_of, {found.code for found in findings})
    short = [replace(found, message=computer.shorten(found.message)) for found in (*findings, *online.findings)]
    ranked = sorted(short, key=lambda found: list(Level).index(found.level))
    return Report(
        active, online.identity, tuple(dict.fromkeys(ranked)), tuple(online.unchecked), KEYLESS if active else ""
    )


def _online(computer: Computer, active: Active, account_of: Callable[[Active], Account], codes: set[str]) -> Online:
    if codes & _NO_WAY:
        return Online(unchecked=["what AWS says of the key: the CA bundle has to be put right first"])
    try:
        account = account_of(active)
    except Problem as problem:
        return Online(unchecked=[f"what AWS says of the key: {problem.message}"])
    settings = computer.settings
    policy = Policy() if isinstance(settings, Problem) else settings.policy
    return ask(computer, active, account, policy, _ours(computer))


def _deleted(computer: Computer) -> set[str]:
    """The keys that this tool has deleted."""
    try:
        entries = FileHistory(os.path.join(computer.paths.state_dir, "history.jsonl")).entries()
    except Problem:
        return set()  # said by state.py
    return {key_id for past in entries for key_id in past.deleted}


def _ours(computer: Computer) -> set[str]:
    """The keys that this tool is rotating, keeps, or has deleted."""
    ours = _deleted(computer)
    try:
        notes = FileNotes(os.path.join(computer.paths.state_dir, "rotations"))
        for note in map(notes.load, notes.names()):
            if note and not note.told:  # one that no run can finish is for a person to settle
                ours.update(key_id for key_id in (note.wanted, note.unwanted) if key_id)
    except Problem:
        pass  # said by state.py
    return ours
