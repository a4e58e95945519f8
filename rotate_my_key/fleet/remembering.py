"""What was told is written down, in one tag of each user. Only after a notice was delivered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

from ..errors import Denied, Problem, TryLater
from .memory import LONGEST, KeyMemory, Memory, encode, ref
from .model import AwsAccount, FleetUser
from .notice_plan import DueKey, recall
from .notices import Remark
from .ports import Organization


def remember(
    organization: Organization, cases: Iterable[DueKey], tag: str, today: date
) -> Iterator[tuple[Remark, int]]:
    """Write down that the owner of these keys was told of them; gives a row and an exit code for each user of whom
    that is not possible. Who is told without being remembered is told again by the next run.
    """
    users: dict[tuple[str, str], list[DueKey]] = {}
    for case in cases:
        users.setdefault((case.account.number, case.user.arn), []).append(case)
    for found in users.values():
        account, user = found[0].account, found[0].user
        why, code, hint = _remember(organization, account, user, [case.key.key_id for case in found], tag, today)
        if why:
            yield Remark(f"{user.name} in {account}", why, hint), code


def _remember(
    organization: Organization, account: AwsAccount, user: FleetUser, key_ids: list[str | None], tag: str, today: date
) -> tuple[str, int, str]:
    """Why nothing was written, the exit code that it calls for, and a hint: a full tag is no fault of the run."""
    memory, why = recall(user, tag)
    if why:
        return why, 0, ""
    told = [key_id for key_id in key_ids if key_id]
    if len(told) < len(key_ids):
        return "the id of a key is not known", 0, ""
    known = [key.key_id for key in user.keys]
    keep = [key_id for key_id in known if key_id] if all(known) else None
    value = encode(after_notice(memory, told, today), keep)
    if len(value) > LONGEST:
        return f"the tag {tag} has no room for more", 0, ""
    try:
        organization.directory(account).tag(user.name, tag, value)
    except Problem as problem:
        return problem.message, problem.code if isinstance(problem, Denied | TryLater) else 0, problem.hint
    return "", 0, ""


def after_notice(memory: Memory, key_ids: Iterable[str], today: date) -> dict[str, KeyMemory]:
    """The memory after one more notice about these keys; what else is known of them stays."""
    found = dict(memory)
    for key_id in key_ids:
        known = found.get(ref(key_id), KeyMemory())
        found[ref(key_id)] = replace(known, notices=known.notices + 1, first=known.first or today, last=today)
    return found
