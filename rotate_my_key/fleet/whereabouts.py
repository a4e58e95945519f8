"""In which accounts a user is, when he is not where he was looked for. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import Gone, Problem
from ..settings.fleet import Accounts
from .model import AwsAccount
from .pool import Pool
from .ports import Organization
from .survey import accounts_of

_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The accounts that have a user of that name, how many were looked at, and in how many that was not possible."""

    found: tuple[str, ...] = ()
    looked: int = 0
    unknown: int = 0


def whereabouts(organization: Organization, settings: Accounts, user: str, but: str) -> Whereabouts:
    """Look in every account that the settings mean, `but` for one. Raises Interrupted; all else is counted."""
    if not settings.role:
        return Whereabouts()
    try:
        accounts = accounts_of(organization, replace(settings, but=(*settings.but, but)))
    except Problem:
        return Whereabouts()
    with Pool(_WORKERS) as pool:
        answers = pool.map(lambda account: _is_there(organization, account, user), accounts)
    return _counted(accounts, answers)


def _is_there(organization: Organization, account: AwsAccount, user: str) -> bool | None:
    try:
        organization.directory(account).find(user)
    except Gone:
        return False
    except Problem:
        return None
    return True


def _counted(accounts: Sequence[AwsAccount], answers: Sequence[bool | None]) -> Whereabouts:
    found = tuple(account.number for account, answer in zip(accounts, answers, strict=True) if answer)
    return Whereabouts(found, len(accounts), sum(answer is None for answer in answers))
