"""Which key an SDK uses on this computer and why, and everything that could make a rotation fail.

The rules of this room: it changes nothing, neither in AWS nor in a single file, nor a file's times; it prints nothing.
A check is a small function that gives `Finding`s, each one line with a remedy that is a command. What other parts of
the program refuse or warn about is taken from them, not written again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ..core.errors import Problem
from ..core.policy import gone
from ..profiles.which import Active
from ..state.history import FileHistory
from ..state.notes import FileNotes
from . import local
from .computer import Computer, Finding, Level, Report, Where

if TYPE_CHECKING:
    from ..aws.iam import IamAccount

__all__ = ["Computer", "Finding", "Level", "Report", "Where", "examine"]

KEYLESS = (
    "AWS recommends avoiding long-term keys: use IAM Identity Center (aws configure sso), "
    "aws login, or IAM Roles Anywhere. "
    "Running programs follow a rotation if the key is in the keyring (rotate-my-key keyring store)"
)


def examine(
    computer: Computer, account_of: Callable[[Active], IamAccount] | None, now: datetime, more: Iterable[Finding] = ()
) -> Report:
    """Look at everything. `account_of` leads to AWS for a key; without it nothing is sent. `more` was found before."""
    active, refusals = local.find(computer)
    ended = _ended(computer)
    findings = [
        *local.check_environment(computer),
        *refusals,
        *(local.check_profiles(computer, active) if active else ()),
        *local.dead(computer, ended),
        *local.check_files(computer),
        *local.check_state(computer, now, active.pair.key_id if active else ""),
        *local.check_program(computer),
        *more,
    ]
    identity, unchecked = None, []
    if active and account_of:
        from .aws import Online

        online = Online(computer, active)
        try:
            if any(found.code == "ca-bundle" for found in findings):  # the answers would mislead
                online.unchecked = ["key not checked in AWS: fix the CA bundle first"]
            else:
                online.ask(account_of(active), ended.keys() | _rotating(computer))
        except Problem as problem:
            online.unchecked = [f"key not checked in AWS: {problem.message}"]
        findings += online.findings
        identity, unchecked = online.identity, online.unchecked
    short = [replace(found, message=computer.shorten(found.message)) for found in findings]
    ranked = sorted(short, key=lambda found: list(Level).index(found.level))
    return Report(active, identity, tuple(dict.fromkeys(ranked)), tuple(unchecked), KEYLESS if active else "")


def _ended(computer: Computer) -> dict[str, str]:
    """The keys that this tool has deleted, with what became of them."""
    with suppress(Problem):  # said by local.check_state
        return gone(FileHistory(os.path.join(computer.paths.state_dir, "history.jsonl")).entries())
    return {}


def _rotating(computer: Computer) -> set[str]:
    """The keys that this tool is rotating, or keeps."""
    found: set[str] = set()
    with suppress(Problem):  # said by local.check_state
        notes = FileNotes(os.path.join(computer.paths.state_dir, "rotations"))
        for note in map(notes.load, notes.names()):
            if note and not note.told:  # one that no run can finish is for a person to settle
                found.update(filter(None, (note.wanted, note.unwanted)))
    return found
