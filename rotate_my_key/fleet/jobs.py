"""The fleet's commands as the function in Lambda runs them: each takes a `Job` and gives what is to be told of it.

The engines are those of the command line. A result is made of plain values for JSON. Each raises Problem where the run
as a whole came to nothing; what is wrong with a part is in `failed`, `left` or `troubles`, and then it is `incomplete`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from secrets import token_hex
from typing import Any

from ..errors import Problem, WrongUsage
from ..settings.fleet import FleetSettings
from .acting import ActionState, Maker
from .announcing import Notifier, failure
from .assembly import Assembly
from .audit import AuditRun, AuditTrail, TextSink, open_audit, run_name
from .deadline import Deadline, InTime
from .enforce_plan import EnforceContext, check, plan_run
from .enforcing import ApplyContext, carry_out
from .fetching import ReportWait
from .figures import count
from .judge import judge
from .letters import Channels
from .making import Keymaker
from .mapping import addresses
from .model import AccountSurvey
from .notify import outlets
from .reminding import RemindContext, prepare
from .reminding import remind as send
from .rendering import Renderer
from .survey import accounts_of, survey_accounts
from .sweeping import Sweeper, line
from .sweeping import sweep as sweep_places
from .waiting import waiting

Result = dict[str, Any]
_REPORTS = 180.0  # seconds to wait for credential reports, where that much is left
_TOLD = 50  # as many troubles are told of; the rest is counted


@dataclass(frozen=True, slots=True)
class FunctionRun:
    """One run. `account` is the one that it is for, "" for all; `organization` answers until the time is up; `say`
    takes a line for the log."""

    assembly: Assembly
    settings: FleetSettings
    organization: InTime
    now: datetime
    deadline: Deadline
    say: Callable[[str], None]
    account: str = ""

    @classmethod
    def of(
        cls,
        assembly: Assembly,
        settings: FleetSettings,
        now: datetime,
        deadline: Deadline,
        say: Callable[[str], None],
        account: str = "",
    ) -> FunctionRun:
        """With `account` it is about that one alone. Raises WrongUsage for an account that the settings leave out."""
        where = settings.accounts
        if account and (account in where.but or (where.only and account not in where.only)):
            raise WrongUsage(f"account {account} is left out by the settings", "change [accounts] there")
        if account:
            settings = replace(settings, accounts=replace(where, only=(account,)))
        return cls(assembly, settings, InTime(assembly.organization, deadline), now, deadline, say, account)

    def audit(self, command: str) -> AuditTrail:
        """Where it is written down what this run does: as the settings say, else the log of the function. The metric
        line goes to that log, from which CloudWatch reads it."""
        run = AuditRun(run_name(self.now, token_hex(3)), command, self.settings.fingerprint, self.organization.me().arn)
        return open_audit(self.settings.audit, run, self.assembly.cloud, TextSink(self.say), self.say)


def accounts(job: FunctionRun) -> Result:
    """The numbers of the accounts that the settings mean: what a Distributed Map goes over."""
    return {"accounts": [each.number for each in accounts_of(job.organization, job.settings.accounts)]}


def report(job: FunctionRun) -> Result:
    """How many keys there are of which kind."""
    surveys = surveyed(job)
    rows = judge(surveys, job.settings, addresses(job.settings.owners), job.now)
    counts = count(surveys, rows)
    standings = {standing.value: number for standing, number in counts.standings.items()}
    numbers = {"users": counts.users, "keys": counts.keys, "unused": counts.unused, **standings}
    return {**_surveys(job, surveys), "numbers": numbers}


def remind(job: FunctionRun) -> Result:
    """Owners and admins are told. Raises Problem too if no admin got the digest: that they hear nothing is the sign
    that something is wrong, and they would look in vain for what."""
    surveys = surveyed(job)
    plan, findings = prepare(surveys, job.settings, addresses(job.settings.owners), job.now)
    renderer = Renderer(job.settings.remind.templates, job.now)
    audit = job.audit("remind")
    around = RemindContext(job.organization, time.sleep, audit, job.deadline.left)
    outcome = send(plan, findings, _outlets(job), job.settings, renderer, around)
    troubles = [f"{letter.about}: {problem}" for letter, problem in outcome.letters if problem]
    troubles += [f"{remark.about}: {remark.text}" for remark in outcome.digest.forgotten]
    digests = [problem for letter, problem in outcome.letters if letter.planned is None]
    numbers = {
        "old": len(plan.old),
        "owners": len(outcome.digest.told),
        "letters": len([letter for letter, problem in outcome.letters if not problem]),
        "unanswered": len(plan.unanswered),
    }
    audit.close(numbers)
    if digests and all(digests):
        raise Problem(f"no admin got the digest: {digests[0]}", "mend the channels of [remind] admins in the settings")
    return {**_surveys(job, surveys, troubles), "numbers": numbers}


def _outlets(job: FunctionRun) -> Channels:
    """The channels. A run for one account of many sends the admins no digest: each would get one an account."""
    if not job.account:
        return outlets(job.settings, job.assembly.cloud)
    if not job.settings.remind.owners:
        return Channels()
    return replace(outlets(job.settings, job.assembly.cloud), admins=())


def enforce(job: FunctionRun) -> Result:
    """Keys are switched off, deleted and replaced by the rules; everybody is told. That it is scheduled is the consent
    that `--apply` is on the command line; [enforce] accounts says where. Raises Problem too if the audit fails."""
    settings, now = job.settings, job.assembly.now
    check(settings, apply=True)
    audit = job.audit("enforce")
    crier = Notifier(outlets(settings, job.assembly.cloud), settings, Renderer(settings.remind.templates, job.now))
    mapping = addresses(settings.owners)
    looking = EnforceContext(job.organization, settings, mapping, crier, now, time.sleep, whole=not job.account)
    plan = plan_run(looking)
    if plan.broken and len(plan.broken) >= plan.accounts and not plan.users:
        raise _kind(plan.broken[0][1].code)(f"no account could be looked at: {plan.broken[0][1].message}")
    outcome = carry_out(plan, ApplyContext(looking, audit, _maker(job, audit), job.deadline.left))
    if outcome.stopped:
        raise outcome.stopped
    failures = [failure(deed) for deed in outcome.deeds if deed.problem or deed.state is not ActionState.DONE]
    troubles = [f"{each.about}: {each.text}" for each in failures]
    troubles += [f"{about}: {problem.message}" for about, problem in plan.broken]
    troubles += [problem.message for problem in outcome.untold]
    spared = Counter(spare.rule.value for _, spare in outcome.spared)
    result = told(job, plan.accounts - len(job.organization.late), [], troubles)
    return {**result, "numbers": outcome.numbers, "spared": dict(spared), "closed": plan.closed}


def _maker(job: FunctionRun, audit: AuditTrail) -> Maker | None:
    """Who makes new keys, where the settings allow it."""
    settings = job.settings
    if not settings.reissue.enabled:
        return None
    places = waiting(job.assembly.cloud, job.organization.me(), settings.reissue, settings.where)
    return Keymaker(places, settings, audit, audit.run.name.rpartition("-")[2], job.assembly.now, time.sleep)


def sweep(job: FunctionRun) -> Result:
    """What was handed over and not fetched in time is removed, with the key."""
    audit = job.audit("sweep")
    places = waiting(job.assembly.cloud, job.organization.me(), job.settings.reissue, job.settings.where)
    sweeper = Sweeper(job.organization, places, job.settings, audit, job.assembly.now)
    only = [(number, user) for number, user in places.everybody() if not job.account or number == job.account]
    swept = list(sweep_places(sweeper, only))
    fates = Counter(each.fate.value for each in swept)
    audit.close(fates)
    troubles = [line(each) for each in swept if each.problem]
    return {**told(job, len({each.account for each in swept}), [], troubles), "numbers": dict(fates)}


def surveyed(job: FunctionRun) -> list[AccountSurvey]:
    """All accounts. Raises Problem if none could be looked at, for want of rights or of time."""
    patience = ReportWait(time.sleep, time.monotonic, min(_REPORTS, job.deadline.left() / 2))
    surveys = survey_accounts(job.organization, job.settings, job.now, patience)
    broken = [survey for survey in surveys if survey.problem]
    if broken and len(broken) == len(surveys):
        what = f"account {broken[0].account.number}" if len(broken) == 1 else f"none of {len(broken)} accounts"
        raise _kind(broken[0].code)(f"{what} could be looked at: {broken[0].problem}")
    return surveys


def _kind(code: int) -> type[Problem]:
    from ..errors import NotAllowed, TryLater

    return {5: NotAllowed, 75: TryLater}.get(code, Problem)


def _surveys(job: FunctionRun, surveys: Sequence[AccountSurvey], troubles: Sequence[str] = ()) -> Result:
    late = job.organization.late
    broken = [survey for survey in surveys if survey.problem and survey.account.number not in late]
    failed = [{"account": each.account.number, "problem": each.problem} for each in broken]
    return told(job, len(surveys) - len(broken) - len(late), failed, troubles)


def told(job: FunctionRun, looked_at: int, failed: Sequence[Mapping[str, str]], troubles: Sequence[str]) -> Result:
    """What every result has: how many accounts were looked at, which failed and why, which are left for want of time,
    and what else went wrong."""
    late = sorted(job.organization.late)
    return {
        "looked_at": looked_at,
        "failed": list(failed),
        "left": late,
        "troubles": list(troubles[:_TOLD]),
        "trouble_count": len(troubles),
        "incomplete": bool(failed or late or troubles),
    }


JOBS: Mapping[str, Callable[[FunctionRun], Result]] = {
    each.__name__: each for each in (accounts, report, remind, enforce, sweep)
}
