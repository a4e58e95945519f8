"""The fleet's commands as the function in Lambda runs them: each takes a `Job` and gives what is to be told of it.

The engines are those of the command line. A result is made of plain values for JSON. Each raises Problem where the run
as a whole came to nothing; what is wrong with a part is in `failed`, `left` or `troubles`, and then it is `incomplete`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from ..errors import Problem, WrongUsage
from ..settings.fleet import FleetSettings
from .assembly import Assembly
from .deadline import Deadline, InTime
from .figures import count
from .judge import Row, judge
from .mapping import addresses
from .model import Survey
from .survey import Waiting, accounts_of, survey_accounts

Result = dict[str, Any]
_REPORTS = 180.0  # seconds to wait for credential reports, where that much is left
_TOLD = 50  # as many troubles are told of; the rest is counted


@dataclass(frozen=True, slots=True)
class Job:
    """One run. `account` is the one that it is for, "" for all; `organization` answers until the time is up."""

    assembly: Assembly
    settings: FleetSettings
    organization: InTime
    now: datetime
    deadline: Deadline
    account: str = ""

    @classmethod
    def of(cls, assembly: Assembly, settings: FleetSettings, now: datetime, deadline: Deadline, account: str) -> Job:
        """With `account` it is about that one alone, and the admins get no digest: each would get one an account.

        Raises WrongUsage for an account that the settings leave out.
        """
        where = settings.accounts
        if account and (account in where.but or (where.only and account not in where.only)):
            raise WrongUsage(f"account {account} is left out by the settings", "change [accounts] there")
        if account:
            settings = replace(
                settings, accounts=replace(where, only=(account,)), remind=replace(settings.remind, admins=())
            )
        return cls(assembly, settings, InTime(assembly.organization, deadline), now, deadline, account)


def accounts(job: Job) -> Result:
    """The numbers of the accounts that the settings mean: what a Distributed Map goes over."""
    return {"accounts": [each.number for each in accounts_of(job.organization, job.settings.accounts)]}


def report(job: Job) -> Result:
    """How many keys there are of which kind."""
    surveys = surveyed(job)
    rows = judged(job, surveys)
    counts = count(surveys, rows)
    standings = {standing.value: number for standing, number in counts.standings.items()}
    numbers = {"users": counts.users, "keys": counts.keys, "unused": counts.unused, **standings}
    return {**about(job, surveys), "numbers": numbers}


def surveyed(job: Job) -> list[Survey]:
    """All accounts. Raises Problem if none could be looked at, for want of rights or of time."""
    waiting = Waiting(time.sleep, time.monotonic, min(_REPORTS, job.deadline.left() / 2))
    surveys = survey_accounts(job.organization, job.settings, job.now, waiting)
    broken = [survey for survey in surveys if survey.problem]
    if broken and len(broken) == len(surveys):
        what = f"account {broken[0].account.number}" if len(broken) == 1 else f"none of {len(broken)} accounts"
        raise _kind(broken[0].code)(f"{what} could be looked at: {broken[0].problem}")
    return surveys


def _kind(code: int) -> type[Problem]:
    from ..errors import NotAllowed, TryLater

    return {5: NotAllowed, 75: TryLater}.get(code, Problem)


def judged(job: Job, surveys: Sequence[Survey]) -> list[Row]:
    """Their keys, by the same rules as everywhere."""
    return judge(surveys, job.settings, addresses(job.settings.owners), job.now)


def about(job: Job, surveys: Sequence[Survey], troubles: Sequence[str] = ()) -> Result:
    """What every result has: how many accounts were looked at, which failed and why, which are left."""
    late = job.organization.late
    broken = [survey for survey in surveys if survey.problem and survey.account.number not in late]
    failed = [{"account": each.account.number, "problem": each.problem} for each in broken]
    return {
        "looked_at": len(surveys) - len(broken) - len(late),
        "failed": failed,
        "left": sorted(late),
        "troubles": list(troubles[:_TOLD]),
        "trouble_count": len(troubles),
        "incomplete": bool(failed or late or troubles),
    }


JOBS: Mapping[str, Callable[[Job], Result]] = {"accounts": accounts, "report": report}
