"""Rows that say the same of many: each thing is said once, with those it is about. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..settings.fleet import Accounts
from ..words import join, number
from .model import AccountSurvey
from .notices import Remark

NAMED = 3  # of so many that a line names
_NUMBER = re.compile(r"\d{12}")
_MEMBER_ROLE = "rotate-my-key fleet template --member-role"  # stands in the hint of a role that cannot be assumed


@dataclass(frozen=True, slots=True)
class Alike:
    """What is said of all of `abouts`, with what to do about it. Of one it is the row as it was."""

    abouts: tuple[str, ...]
    text: str
    hint: str = ""


def alike(rows: Iterable[Remark]) -> list[Alike]:
    """The rows in their order, those that differ in nothing but the account that they are about as one."""
    found: dict[tuple[str, str], list[Remark]] = {}
    for row in rows:
        found.setdefault((_without_account(row), row.hint), []).append(row)
    return [
        Alike(tuple(row.about for row in same), text if len(same) > 1 else same[0].text, hint)
        for (text, hint), same in found.items()
    ]


def _without_account(row: Remark) -> str:
    """The text without the account's number, where that stands beside it anyway."""
    text = row.text
    for account in _NUMBER.findall(row.about):
        text = re.sub(rf"arn:[\w-]+:iam::{account}:role/", "", text.replace(f" in account {account}", ""))
    return text


def some(names: Sequence[str], most: int = NAMED) -> str:
    """`a, b and c`, `a, b, c and 46 more`."""
    return join(names) if len(names) <= most + 1 else f"{', '.join(names[:most])} and {len(names) - most:,} more"


def about(same: Alike, noun: str = "account", most: int = NAMED) -> str:
    """`account a`, `10 accounts (a, b, c and 7 more)`."""
    names = same.abouts
    return f"{noun} {names[0]}" if len(names) == 1 else f"{number(len(names), noun)} ({some(names, most)})"


def failed(surveys: Sequence[AccountSurvey], accounts: Accounts) -> list[Alike]:
    """Why accounts could not be looked at. A role that is nowhere is rather a wrong setting than many faults."""
    rows = (Remark(str(survey.account), survey.problem, survey.hint) for survey in surveys if survey.problem)
    return [_advised(same, len(surveys), accounts) for same in alike(rows)]


def _advised(same: Alike, looked_at: int, accounts: Accounts) -> Alike:
    hint = same.hint
    if _MEMBER_ROLE in hint:
        if len(same.abouts) > 1 and len(same.abouts) >= looked_at - 1:  # the caller's own account needs no role
            hint = f"check role in [accounts] ({accounts.role}); {hint}"
        elif not accounts.only:
            hint = f"{hint}; or leave {'them' if len(same.abouts) > 1 else 'it'} out: but = ... in [accounts]"
    return Alike(same.abouts, same.text, hint)
