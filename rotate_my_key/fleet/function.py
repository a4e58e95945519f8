"""AWS Lambda: the fleet's commands as one handler. A program of its own, as `cli/` is: it reads environment and clock.

Event: {"command": "remind" | "report" | "enforce" | "sweep" | "accounts"}, and "account": a number, for one of them
alone (a Distributed Map gives it); "dry_run": true for what only looks. It raises what is wrong with the run as a
whole, so that Lambda tries again and the alarm goes off; what is wrong with one account or one notice of many is in the
result (`failed`, `left`, `troubles`), with `incomplete`, and has an alarm of its own. What it returns and logs has no
secret. It ends before Lambda ends it: what has not begun when the time is up is `left`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex
from typing import Any

from .. import __version__
from ..aws.client import Aws
from ..core.errors import Gone, NotAllowed, Problem, TryLater, WrongUsage
from ..core.model import Recall
from ..core.policy import number
from ..settings.fleet import Enforce, FleetSettings
from ..settings.fleet_ini import parse
from . import recall as recalls
from . import revoke as emergency
from .accounts import AwsOrganization
from .actions import Notifier, failures_of
from .assembly import Assembly, FleetSigner
from .audit import AuditTrail
from .cleanup import Sweeper, cleanup_line
from .cleanup import sweep as sweep_places
from .enforce import carry_out
from .enforce_plan import EnforceContext, check, plan_run
from .handover import finder, waiting
from .judge import Status, addresses
from .messages import Channels, Renderer
from .model import AccountSurvey, AwsAccount, Finder, FleetUser
from .notify import channels_of
from .reissue import UNKNOWN_END, ReissueContext, ReissueRequest, hand_over, keymaker, old_key_end, plan_reissue
from .reissue import tell as tell_of
from .remind import RemindContext, prepare, preview
from .remind import remind as send
from .report import KeyReport, ReportOrigin, keep, stem
from .rules import Act
from .survey import ReportWait, accounts_of, at_work, first_code, resolved, survey_accounts
from .users import UserLook


class OutOfTime(TryLater):
    """It was not begun, for want of time."""


class Deadline:
    """`left` gives the seconds until the run is ended from outside; `spare` of them are for what must be said at the
    end."""

    def __init__(self, left: Callable[[], float], spare: float) -> None:
        self._left = left
        self._spare = spare

    def left(self) -> float:
        """Seconds until nothing more may begin; not below 0."""
        return max(0.0, self._left() - self._spare)

    def check(self) -> None:
        """Raises OutOfTime when the time is up."""
        if self.left() <= 0:
            raise OutOfTime("there was no time left for it in this run")

    def watch(self, organization: AwsOrganization) -> set[str]:
        """Let nothing begin in its accounts when the time is up; gives the numbers of those where that happened."""
        late: set[str] = set()

        def begin(account: AwsAccount) -> None:
            try:
                self.check()
            except OutOfTime:
                late.add(account.number)
                raise

        organization.begin = begin
        return late


Result = dict[str, Any]
_REPORTS = 180.0  # seconds to wait for credential reports, where that much is left
_TOLD = 50  # as many troubles are told of; the rest is counted


class FunctionRun:
    """One run. `account` is the one that it is for, "" for all; `wishes` are what else an event about one person says;
    `dry`: only look; `bucket` is where reports are kept, "" for nowhere; `late` are accounts that were left for want of
    time; `say` takes a line for the log. Raises WrongUsage for an
    account that the settings leave out, but where it is about a person."""

    def __init__(
        self,
        assembly: Assembly,
        settings: FleetSettings,
        now: datetime,
        deadline: Deadline,
        say: Callable[[str], None],
        account: str = "",
        wishes: Mapping[str, str] | None = None,
        *,
        dry: bool = False,
        bucket: str = "",
    ) -> None:
        where, self.wishes = settings.accounts, wishes or {}
        if account and not wishes and (account in where.but or (where.only and account not in where.only)):
            raise WrongUsage(f"account {account} is excluded by the settings", "change [accounts] there")
        self.settings = (
            replace(settings, accounts=replace(where, only=(account,))) if account and not wishes else settings
        )
        self.assembly, self.now, self.deadline, self.say, self.account = assembly, now, deadline, say, account
        self.dry, self.bucket = dry, bucket
        self.late = deadline.watch(assembly.organization)

    def audit(self, command: str) -> AuditTrail:
        """Where it is written down what this run does: as the settings say, else the log of the function. The metric
        line goes to that log, from which CloudWatch reads it."""
        return self.assembly.audit(command, token_hex(3), self.say, self.say)

    def renderer(self) -> Renderer:
        """For ages as they are now."""
        return Renderer(self.settings.remind.templates, self.now)

    @property
    def places(self) -> Finder:
        """Where new keys wait for their users."""
        return finder(self.assembly.cloud, self.assembly.organization, self.settings)

    def channels(self) -> Channels:
        """The channels of the settings; who enforces without notices needs none. Raises WrongUsage."""
        remind = self.settings.remind
        return channels_of(self.settings, self.assembly.cloud) if remind.owners or remind.admins else Channels()


def accounts(job: FunctionRun) -> Result:
    """The numbers of the accounts that the settings mean: what a Distributed Map goes over."""
    return {"accounts": [each.number for each in accounts_of(job.assembly.organization, job.settings.accounts)]}


def report(job: FunctionRun) -> Result:
    """How many keys there are of which kind; page, CSV and JSON go into the bucket, if there is one."""
    job.settings = replace(job.settings, include=())  # it shows everybody
    surveys, organization = _surveyed(job), job.assembly.organization
    origin = ReportOrigin(organization.me().arn, organization.number, "report in AWS Lambda")
    made = KeyReport(surveys, job.settings, addresses(job.settings.owners), job.now, origin)
    numbers = {name: made.counts[name] for name in ("users", "keys", "unused", *(each.value for each in Status))}

    def put(name: str, data: bytes) -> None:
        job.assembly.cloud.objects().put(job.bucket, f"{_KEPT}{name}", data)

    files = keep(made, stem(made, job.account), put) if job.bucket else []
    kept = [{"name": f"s3://{job.bucket}/{_KEPT}{each.name}", "sha256": each.sha256} for each in files]
    return {**_surveys(job, surveys), "numbers": numbers, "files": kept}


def remind(job: FunctionRun) -> Result:
    """Owners and admins are told. Raises Problem too if no admin got the digest: that they hear nothing is the sign
    that something is wrong, and they would look in vain for what. A run for one account of many sends the admins no
    digest: each would get one an account."""
    surveys = _surveyed(job, recalls=at_work)
    job.settings = resolved(job.assembly.organization, job.settings)
    plan, findings = prepare(surveys, job.settings, addresses(job.settings.owners), job.now, job.places)
    renderer, audit = job.renderer(), job.audit("remind")
    around = RemindContext(job.assembly.organization, time.sleep, audit, job.deadline.left)
    alone = job.account and not job.settings.remind.owners  # of a Map, for admins alone
    channels = Channels() if alone else channels_of(job.settings, job.assembly.cloud)
    channels = replace(channels, admins=()) if job.account else channels
    if job.dry:
        seen = preview(plan, findings, channels, job.settings, renderer)
        lines = [f"notify {letter.about}: {letter.message.subject}" for letter, _ in seen.letters]
        return {**_surveys(job, surveys, _unusable(channels)), **_would(lines)}
    outcome = send(plan, findings, channels, job.settings, renderer, around)
    troubles = [f"{letter.about}: {problem}" for letter, problem in outcome.letters if problem]
    troubles += [f"{remark.about}: {remark.text}" for remark in outcome.digest.forgotten]
    digests = [problem for letter, problem in outcome.letters if letter.planned is None]
    numbers = {
        "old": len(plan.old),
        "owners": len(outcome.digest.told),
        "letters": sum(not problem for _, problem in outcome.letters),
        "unanswered": len(plan.unanswered),
    }
    audit.close(numbers)
    if digests and all(digests):
        raise Problem(
            f"no admin got the digest: {digests[0]}", "correct the channels of [remind] admins in the settings"
        )
    return {**_surveys(job, surveys, troubles), "numbers": numbers}


def enforce(job: FunctionRun) -> Result:
    """Keys are switched off, deleted and replaced by the rules; everybody is told. That it is scheduled is the consent
    that `--apply` is on the command line; [enforce] accounts says where. Raises Problem too if the audit fails."""
    settings, assembly, sleep = job.settings, job.assembly, time.sleep
    check(settings, apply=not job.dry)
    job.settings = settings = resolved(assembly.organization, settings)
    notifier = Notifier(job.channels(), settings, job.renderer())
    mapping, whole = addresses(settings.owners), not job.account
    context = EnforceContext(
        assembly.organization, settings, mapping, notifier, assembly.now, sleep, whole=whole, places=job.places
    )
    plan = plan_run(context)
    if plan.broken and len(plan.broken) >= plan.accounts and not plan.users:
        raise _kind(plan.broken[0][1].code)(f"no account could be checked: {plan.broken[0][1].message}")
    if job.dry:
        steps = (*plan.notices, *plan.acts)
        lines = [f"{step.act.kind.value} {_about(step.act, step.found.account)}: {step.act.why}" for step in steps]
        troubles = [f"{about}: {problem.message}" for about, problem in plan.broken] + _unusable(job.channels())
        return {**_told(job, plan.accounts - len(job.late), [], troubles), **_would(lines), "closed": plan.closed}
    audit = job.audit("enforce")
    maker = keymaker(assembly, settings, audit, sleep)
    outcome = carry_out(plan, context, audit, maker, time_left=job.deadline.left)
    if outcome.stopped:
        raise outcome.stopped
    troubles = [f"{each.about}: {each.text}" for each in failures_of(outcome.results)]
    troubles += [f"{about}: {problem.message}" for about, problem in plan.broken]
    troubles += [problem.message for problem in (*outcome.untold, *([outcome.waits] if outcome.waits else []))]
    spared = Counter(spare.rule.value for _, spare in outcome.spared)
    result = _told(job, plan.accounts - len(job.late), [], troubles)
    return {**result, "numbers": outcome.numbers, "spared": dict(spared), "closed": plan.closed}


def sweep(job: FunctionRun) -> Result:
    """What was handed over and not fetched in time is removed, with the key."""
    audit, organization = job.audit("sweep"), job.assembly.organization
    places = waiting(job.assembly.cloud, organization, job.settings)
    sweeper = Sweeper(organization, places, job.settings, audit, job.assembly.now, apply=not job.dry)
    only = [(number, user) for number, user in places.everybody() if not job.account or number == job.account]
    swept = list(sweep_places(sweeper, only))
    dispositions = Counter(each.disposition.value for each in swept)
    troubles = [cleanup_line(each) for each in swept if each.problem]
    if job.dry:
        lines = [cleanup_line(each) for each in swept if each.acts]
        return {**_told(job, len({each.account for each in swept}), [], troubles), **_would(lines)}
    audit.close(dispositions)
    return {**_told(job, len({each.account for each in swept}), [], troubles), "numbers": dict(dispositions)}


def revoke(job: FunctionRun) -> Result:
    """Every key of one user, or of all users of an owner, is switched off now; owners and admins are told."""
    sign_in = _sign_in(job)
    tools, found, hidden = _persons(job, "revoke")
    why = job.wishes.get("why", "")
    done = emergency.revoke(tools, found, why, sign_in=sign_in)
    problems = [problem for each in done if (problem := each.problem)]
    tools.audit.close({"Switched": len(done) - len(problems), "Failed": len(problems)})
    if job.settings.remind.owners or job.settings.remind.admins:
        problems += _telling(job, "revoke", lambda notifier: emergency.tell(tools, done, why, notifier))
    return _switched(job, found, done, [*problems, *hidden])


def undo(job: FunctionRun) -> Result:
    """What `revoke` switched off of them is switched on again, or what `enforce` did."""
    command, sign_in = job.wishes.get("of", "revoke"), _sign_in(job)
    if command not in ("revoke", "enforce"):
        raise WrongUsage("of must be revoke or enforce", '{"command": "undo", "user": "alice", "of": "enforce"}')
    tools, found, hidden = _persons(job, command)
    done = emergency.take_back(tools, found, emergency.Cause(command), sign_in=sign_in)
    problems = [problem for each in done if (problem := each.problem)]
    tools.audit.close({"Switched": len(done) - len(problems), "Failed": len(problems)})
    return _switched(job, found, done, [*problems, *hidden])


def _telling(job: FunctionRun, command: str, tell: Callable[[Notifier], list[Problem]]) -> list[Problem]:
    """What went wrong with telling people; it changes nothing of what was done, which the result must say."""
    try:
        return tell(Notifier(job.channels(), job.settings, job.renderer(), f"rotate-my-key fleet {command}"))
    except Problem as problem:
        return [problem]


def _sign_in(job: FunctionRun) -> bool:
    said = job.wishes.get("sign_in", "no")
    if said not in ("yes", "no"):
        raise WrongUsage("sign_in must be yes or no", '{"command": "revoke", "user": "alice", "sign_in": "yes"}')
    return said == "yes"


def _persons(job: FunctionRun, command: str) -> tuple[emergency.RevokeContext, list[UserLook], Sequence[Problem]]:
    """The users whom the event names, in all accounts, and why there may be more accounts. Raises Gone for nobody,
    and Problem if they are nowhere where it could be checked."""
    assembly, user, owner = job.assembly, job.wishes.get("user", ""), job.wishes.get("owner", "")
    if bool(user) == bool(owner):
        raise WrongUsage("the event must name one user or one owner", '{"command": "revoke", "user": "alice"}')
    tools = emergency.RevokeContext(assembly.organization, job.settings, job.audit(command), assembly.now)
    accounts, denied = emergency.everywhere(tools, [job.account] if job.account else [])
    mapping = addresses(job.settings.owners)
    mine, broken = emergency.owned(tools, accounts, owner, mapping) if owner else ([], [])
    found = [*mine, *broken] if owner else emergency.find(tools, accounts, user, uses=False)
    if not found:
        raise Gone(f"there is no user {user or f'of {owner}'} in {number(len(accounts), 'account')}")
    problems = [each.problem for each in found if each.problem]
    if len(problems) == len(found):
        what = f"{user or owner} was not found, and {number(len(found), 'account')} could not be checked"
        raise _kind(first_code(each.code for each in problems))(f"{what}: {problems[0].message}")
    return tools, found, [denied] if denied else []


def _switched(
    job: FunctionRun, found: Sequence[UserLook], done: Sequence[emergency.SwitchResult], problems: Sequence[Problem]
) -> Result:
    well = [
        {"account": each.account.number, "user": each.user, "key_id": each.key.key_id}
        for each in done
        if each.key and not each.problem
    ]
    ways = [
        {"account": each.account.number, "user": each.user, "what": each.way.value, "state": each.state}
        for each in done
        if each.way and not each.problem
    ]
    troubles = [problem.message for problem in problems] + [note for each in done for note in each.notes]
    told = _told(job, len({each.account for each in found if not each.problem}), [], list(dict.fromkeys(troubles)))
    return {**told, "switched": well, "sign_in": ways}


def recall(job: FunctionRun) -> Result:
    """Users are marked, so that their computers replace every key that was made before now; their owners are told. Of
    one user, one owner, one account, or everybody."""
    wishes, settings, assembly = job.wishes, job.settings, job.assembly
    undo, now = wishes.get("undo") == "yes", assembly.now().replace(microsecond=0)
    named = [bool(wishes.get("user")), bool(wishes.get("owner")), wishes.get("all") == "yes"]
    if sum(named) > 1 or not (any(named) or job.account) or (undo and {"by", "reason"} & set(wishes)):
        what = "a recall names one user, one owner, one account or all, and undo takes no by and no reason"
        raise WrongUsage(what, '{"command": "recall", "all": "yes", "by": "3d", "reason": "stolen"}')
    settings = resolved(assembly.organization, settings)
    reason = "" if undo else recalls.check_reason(wishes.get("reason", ""))
    wanted = None if undo else Recall(now, recalls.read_by(wishes.get("by", ""), now, settings), reason)
    tools = emergency.RevokeContext(assembly.organization, settings, job.audit("recall"), assembly.now)
    scope = recalls.RecallScope((job.account,) if job.account else (), wishes.get("user", ""), wishes.get("owner", ""))
    mapping = addresses(settings.owners)
    found, broken = recalls.look_around(tools, scope, mapping, time.sleep)
    done = recalls.plan_recall(found, wanted, now)
    accounts = len({each.account for each in found})
    if job.dry:
        lines = [f"{each.state.value}: {each.found.user.name} in {each.found.account}" for each in done]
        return {**_told(job, accounts, [], [problem.message for _, problem in broken]), **_would(lines)}
    done, unkept = recalls.carry_out(tools, done, reason)
    numbers = Counter(each.state.value for each in done)
    problems = [*(problem for _, problem in broken), *filter(None, (unkept, *(each.problem for each in done)))]
    if wanted and settings.remind.owners:

        def tell(notifier: Notifier) -> list[Problem]:
            wrong, unreached = recalls.tell(tools, done, mapping, notifier)
            return [*wrong, *(Problem(f"no address is known for {name}") for name in unreached)]

        problems += _telling(job, "recall", tell)
    troubles = list(dict.fromkeys(problem.message for problem in problems))
    return {**_told(job, accounts, [], troubles), "numbers": dict(numbers)}


def reissue(job: FunctionRun) -> Result:
    """A key is made for one user, and its owner told where it waits."""
    assembly, settings, user = job.assembly, job.settings, job.wishes.get("user", "")
    me = assembly.organization.me()
    places = waiting(assembly.cloud, assembly.organization, settings)
    request = ReissueRequest(AwsAccount(job.account or me.account), user)
    directory = assembly.organization.directory(request.account)
    plan = plan_reissue(request, directory, places, settings, assembly.now())
    if job.dry:
        gone = [f"delete {key.key_id} of {user}" for key in (plan.discards, plan.gives_up) if key]
        lines = [] if plan.waits else [*gone, f"create a key for {user} in {request.account}"]
        return {**_told(job, 1, [], []), **_would([*lines, "notify the owner"])}
    audit = job.audit("reissue")
    context = ReissueContext(places, settings, audit, token_hex(4), assembly.now, time.sleep)
    handed = hand_over(plan, directory, context)
    audit.close({plan.way.value: 1})
    end = old_key_end(plan, assembly.organization, settings, assembly.now())
    took, problems = tell_of(handed, plan.user, request.account, settings, assembly.cloud, assembly.now(), end)
    unsure = [f"{UNKNOWN_END}: {end.why}"] if end.why else []
    troubles = [*handed.notes, *unsure, *(problem.message for problem in problems)]
    return {**_told(job, 1, [], troubles), "place": handed.place, "key_id": handed.key_id, "told": list(took)}


def _would(lines: Sequence[str]) -> Result:
    """What a dry run gives."""
    return {"dry_run": True, "would": list(lines[:_TOLD]), "would_count": len(lines)}


def _unusable(channels: Channels) -> list[str]:
    """What is wrong with channels, found without sending anything."""
    wrong: list[str] = []
    for channel in channels.all:
        try:
            wrong += channel.check()
        except Problem as problem:
            wrong.append(f"channel {channel.name}: {problem.message}")
    return wrong


def _about(act: Act, account: AwsAccount) -> str:
    return f"{act.key.key_id or 'a key'} of {act.user.name} in {account}"


def _surveyed(job: FunctionRun, recalls: Callable[[FleetUser], bool] = lambda user: False) -> list[AccountSurvey]:
    """All accounts. Raises Problem if none could be checked, for want of rights or of time."""
    patience = ReportWait(time.sleep, time.monotonic, min(_REPORTS, job.deadline.left() / 2))
    surveys = survey_accounts(job.assembly.organization, job.settings, job.now, patience, recalls=recalls)
    broken = [survey for survey in surveys if survey.problem]
    if broken and len(broken) == len(surveys):
        one = len(broken) == 1
        what = f"account {broken[0].account.number} could not" if one else f"none of {len(broken)} accounts could"
        raise _kind(broken[0].code)(f"{what} be checked: {broken[0].problem}")
    return surveys


def _kind(code: int) -> type[Problem]:
    return {5: NotAllowed, 75: TryLater}.get(code, Problem)


def _surveys(job: FunctionRun, surveys: Sequence[AccountSurvey], troubles: Sequence[str] = ()) -> Result:
    broken = [survey for survey in surveys if survey.problem and survey.account.number not in job.late]
    failed = [{"account": each.account.number, "problem": each.problem} for each in broken]
    return _told(job, len(surveys) - len(broken) - len(job.late), failed, troubles)


def _told(job: FunctionRun, looked_at: int, failed: Sequence[Mapping[str, str]], troubles: Sequence[str]) -> Result:
    """What every result has: how many accounts were looked at, which failed and why, which are left for want of time,
    and what else went wrong."""
    return {
        "looked_at": looked_at,
        "failed": list(failed),
        "left": sorted(job.late),
        "troubles": list(troubles[:_TOLD]),
        "trouble_count": len(troubles),
        "incomplete": bool(failed or job.late or troubles),
    }


JOBS: Mapping[str, Callable[[FunctionRun], Result]] = {
    each.__name__: each for each in (accounts, report, remind, enforce, sweep, revoke, undo, recall, reissue)
}
_DRY = {"remind", "enforce", "sweep", "recall", "reissue"}  # what changes something, and can show what instead
# What an event about one person may say besides command and account.
_WISHES = {
    "revoke": {"user", "owner", "why", "sign_in"},
    "undo": {"user", "owner", "of", "sign_in"},
    "recall": {"user", "owner", "all", "by", "reason", "undo"},
    "reissue": {"user"},
}


SETTINGS = "ROTATE_MY_KEY_FLEET_SETTINGS"  # the variable that names the SSM parameter
ZONE = "ROTATE_MY_KEY_FLEET_TIMEZONE"  # that of the schedules: [enforce] hours are meant in it, unless they say another
REPORTS = "ROTATE_MY_KEY_FLEET_REPORTS"  # the variable that names the bucket for reports, if there is one
_KEPT = "rotate-my-key/reports/"  # where in it: the role may write nowhere else
_SPARE = 30.0  # seconds for ending what was begun: letters under way, the digest, the audit
_ACCOUNT = re.compile(r"\d{12}")
_warm: dict[str, Assembly] = {}  # what a later call in the same process reuses: files, connections, credentials


class Fault(Exception):
    """A fault of this program: where it happened, never what the values were."""


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Run one command. Raises Problem, or Fault for what should not be; neither has a secret in it or behind it."""
    try:
        return _run(event, context)
    except Problem as problem:
        failure: Exception = type(problem)(
            f"{problem.message}; hint: {problem.hint}" if problem.hint else problem.message
        )
        log("error", problem.message, hint=problem.hint, kind=type(problem).__name__, code=problem.code)
    except Exception as error:  # noqa: BLE001  Lambda logs whole tracebacks, whose causes may quote anything
        failure = Fault(f"internal error in rotate-my-key {__version__}: {type(error).__name__} at {_where(error)}")
        log("error", str(failure), kind="Fault")
    raise failure


def _run(event: Any, context: Any) -> dict[str, Any]:
    began = time.monotonic()
    command, account, wishes, dry = _read(event, tuple(JOBS))
    name = os.environ.get(SETTINGS, "").removeprefix("ssm:")
    if not name:
        raise WrongUsage(f"{SETTINGS} is not set", "set it to the name of the SSM parameter with the settings")
    assembly = _assembly()
    base = FleetSettings(enforce=Enforce(timezone=os.environ.get(ZONE) or "UTC"))
    settings = parse(assembly.cloud.vault().text(name), f"ssm:{name}", base)
    ask = getattr(context, "get_remaining_time_in_millis", None)  # until Lambda ends the run
    deadline = Deadline((lambda: ask() / 1000) if ask else (lambda: float("inf")), _SPARE)
    of, bucket = assembly.configured(settings), os.environ.get(REPORTS, "")
    job = FunctionRun(of, settings, assembly.now(), deadline, _say, account, wishes, dry=dry, bucket=bucket)
    log("info", "begun", command=command, account=account, policy=job.settings.fingerprint, dry_run=dry, **wishes)
    result = {"version": 1, "command": command, "policy": job.settings.fingerprint, **JOBS[command](job)}
    log("info", "done", seconds=round(time.monotonic() - began, 1), **result)
    return result


def _read(event: Any, commands: tuple[str, ...]) -> tuple[str, str, dict[str, str], bool]:
    """The command, the account ("" for all), what else an event says, and whether to look only. Raises WrongUsage."""
    if not isinstance(event, Mapping) or event.get("command") not in commands:
        raise WrongUsage(f"the event has no valid command ({', '.join(commands)})", '{"command": "remind"}')
    account = event.get("account", "")
    if not isinstance(account, str) or not (account == "" or _ACCOUNT.fullmatch(account)):
        raise WrongUsage("the event's account must be a string of twelve digits", '{"account": "123456789012"}')
    known = _WISHES.get(event["command"], set())
    strange = sorted(set(event) - {"command", "account", *known, *(["dry_run"] if event["command"] in _DRY else [])})
    dry = event.get("dry_run", False)
    if not isinstance(dry, bool):  # "false" would be true
        raise WrongUsage("the event's dry_run must be true or false", '{"command": "enforce", "dry_run": true}')
    if strange:  # a misspelt account would be all accounts
        raise WrongUsage(f"the event has {strange[0]!r}, which is not a known field", "use command and account")
    wishes = {name: event[name] for name in sorted(known & set(event))}
    if any(not isinstance(each, str) or not each for each in wishes.values()) or (known and not wishes):
        raise WrongUsage("the event does not say whom it is about", '{"command": "revoke", "user": "alice"}')
    return str(event["command"]), account, wishes, dry


def _assembly() -> Assembly:
    """The adapters, made once a process."""
    if "assembly" not in _warm:
        aws = Aws(
            os.environ, version=__version__, clock=lambda: datetime.now(UTC), sleep=time.sleep, monotonic=time.monotonic
        )
        tell = partial(log, "warning", "the endpoint is not AWS's own")
        _warm["assembly"] = Assembly(aws, FleetSigner(), FleetSettings(), tell=lambda url: tell(endpoint=url))
    return _warm["assembly"]


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "an unknown place"


def log(level: str, message: str, **more: Any) -> None:
    """One line of JSON; empty values are left out."""
    line = {"level": level, "message": message, **{name: each for name, each in more.items() if each not in ("", None)}}
    _say(json.dumps(line))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
