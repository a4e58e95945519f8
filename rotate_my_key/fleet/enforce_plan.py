"""What `enforce` would do in all accounts, and what it skips: looked up, decided, nothing done. Then who is told.

- One error never ends it: an account or a user that cannot be read is named, and nothing is done there.
- What an earlier run did and could not bring to its end shows in the tags (`left_of`): until the owner was told, the
  tag keeps the intent of an action; with `off` beside it the audit has its outcome too. A deletion stands in the tag
  under the whole id of its key, for the key is in no list any more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from functools import partial

from ..core.errors import Gone, Problem, WrongUsage, fault
from ..core.parallel import Pool
from ..core.policy import number
from ..settings.fleet import FleetSettings
from .accounts import AwsOrganization
from .actions import Notifier, write
from .handover import check as check_handover
from .judge import Addresses, owner_of
from .memory import KeyMemory, Memory, ref
from .messages import check_folder
from .model import AwsAccount, Finder, FleetKey, Owner
from .notices import Remark
from .rules import NEW_FIRST, Act, ActionKind, Skipped, SkipRule, closed, decide, deletions, waits_for
from .survey import Progress, accounts_of, meant
from .users import NOT_MEANT, UserLook, enter, look, without_group

NOWHERE = "no account is listed in [enforce] accounts, so nothing will be changed"
NO_CHANNEL = "no channel for owners is set in [remind]"


@dataclass(frozen=True, slots=True)
class EnforceContext:
    """What planning needs. `now` is AWS's clock; `sleep` is in seconds; `notifier` knows who can be told."""

    organization: AwsOrganization
    settings: FleetSettings
    mapping: Addresses
    notifier: Notifier
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    progress: Progress = lambda what, done, total: None
    workers: int = 8
    preview: bool = False  # nothing can be done anyway: what would be, if owners could be told
    whole: bool = True  # over all accounts of the settings; else one is missing because it is another run's
    places: Finder = lambda account, user: ""

    def owner(self, found: UserLook) -> Owner:
        """Whom to tell of a user's keys."""
        return owner_of(found.user, self.settings.owners, self.mapping)

    def place_of(self, step: PlannedAction) -> str:
        """Where a new key waits for a user, "" if none does or that is not known."""
        waits = waits_for(step.found, step.act.key, self.settings, self.now())
        return self.places(step.found.account.number, step.act.user.name) if waits else ""

    def remember(self, found: UserLook, memory: Memory, *, noted: bool = False) -> Problem | None:
        """Put the memory into a user's tag; gives why that is not possible. `noted`: this run has written there. A user
        who was deleted meanwhile needs none."""
        try:
            write(found, memory, self.settings.remind.tag, self.sleep, noted=noted)
        except Problem as problem:
            return None if isinstance(problem, Gone) else problem
        return None

    def unreached(self, act: Act, found: UserLook) -> Skipped | None:
        """What spares a key because nobody could be told of the act. Where no notices are asked for, keys are taken
        away without a word; a new key that its user does not hear of is of no use to anybody."""
        silent = not self.settings.enforce.notices and act.kind in (ActionKind.DEACTIVATE, ActionKind.DELETE)
        owner = self.owner(found)
        channels = self.notifier.channels
        if silent or self.preview or channels.addressing(owner):
            return None
        why = f"no address is known for {owner.name}" if channels.owners else NO_CHANNEL
        if rooms := channels.reaching(owner):
            why = f"the channel {rooms[0].name} addresses no single person"
        return Skipped(SkipRule.UNREACHED, act.user, act.key, f"the owner cannot be notified: {why}")


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """An act, and the user whose key it is about. `recorded`: an earlier run did it, the audit has its outcome and
    only telling is left."""

    act: Act
    found: UserLook
    recorded: bool = False


def left_of(found: UserLook) -> Iterator[PlannedAction]:
    """What is left of one user."""
    user, rest = found.user, "by a run that was interrupted or could not notify the owner"
    for key in user.keys:
        known = found.known(key.key_id)
        if not key.active and known.intended and known.off:
            act = Act(ActionKind.DEACTIVATE, user, key, f"deactivated on {known.off} {rest}")
            before = found.recorded.get(ref(key.key_id or ""), KeyMemory())
            yield PlannedAction(act, found, before.off is not None)
    for name, known in deletions(found.memory).items():
        if known.intended:
            key = FleetKey(False, datetime.combine(known.made or known.intended, time(), UTC), name)
            act = Act(ActionKind.DELETE, user, key, f"deleted on {known.intended} {rest}")
            yield PlannedAction(act, found, known.off is not None)


@dataclass(frozen=True, slots=True)
class EnforcePlan:
    """What would be done: `notices` first, then `acts`, those of the oldest keys first; `spared` with the accounts.
    `broken` are accounts and users that could not be looked at; `looks` what the tags should say of keys that were
    found switched off or on again; `left` is what earlier runs did and did not tell. `closed` says why no act is
    allowed at this moment, or is "". `seen` are the names of
    all users, and the numbers of all accounts, that were looked at."""

    notices: tuple[PlannedAction, ...] = ()
    acts: tuple[PlannedAction, ...] = ()
    spared: tuple[tuple[AwsAccount, Skipped], ...] = ()
    broken: tuple[tuple[str, Problem], ...] = ()
    looks: tuple[UserLook, ...] = ()
    left: tuple[PlannedAction, ...] = ()
    accounts: int = 0
    users: int = 0
    closed: str = ""
    seen: frozenset[str] = frozenset()


def enforces(settings: FleetSettings) -> bool:
    """Whether anything is to be done at some age."""
    return any(each.enforce.ages or each.enforce.delete_after is not None for each in settings.variants)


def check(settings: FleetSettings, *, apply: bool) -> None:
    """Raises WrongUsage if nothing is to be enforced, for rules that contradict each other, and for what cannot be
    done by these settings whatever AWS says."""
    if not enforces(settings):
        raise WrongUsage(
            f"nothing to enforce: no age is set in [enforce] ({settings.where})",
            "rotate-my-key fleet enforce --preset staged-90, or set deactivate_at and delete_after in [enforce]",
        )
    if settings.reissues and not settings.reissue.enabled:
        raise WrongUsage("reissue_at is set, but [reissue] is not enabled", "set enabled = yes in [reissue]")
    for last, new in ((each.enforce.deactivate_anyway_at, each.enforce.reissue_at) for each in settings.variants):
        if last is not None and new is not None and last < new:
            what = "deactivate_anyway_at is below reissue_at: keys would be deactivated before there are new ones"
            raise WrongUsage(what, "set it some weeks above reissue_at in [enforce]")
    if settings.reissues:
        check_handover(settings.reissue, settings.where)
    check_folder(settings.remind.templates)
    if apply:
        _check_acts(settings)


def _check_acts(settings: FleetSettings) -> None:
    """Raises WrongUsage for what would keep every run from doing anything."""
    enforce, channels, file = settings.enforce, settings.channels, settings.audit.file
    tells, owners = enforce.notices or settings.reissues, settings.remind.owners
    folder = file if os.path.exists(file) else os.path.dirname(file)
    for wrong, what, hint in (
        (not enforce.accounts, "no account is listed in [enforce] accounts", "set accounts = NUMBER, ... in [enforce]"),
        (not enforce.most, "most = 0 in [enforce] allows no action", "set most = 10 in [enforce]"),
        (not enforce.weekdays, "weekdays in [enforce] allows no day", "set weekdays = mon, tue in [enforce]"),
        (tells and not owners, f"owners must be notified, but {NO_CHANNEL}", "set owners = CHANNEL in [remind]"),
        (
            tells and not any(channels[each].personal for each in owners if each in channels),
            f"owners must be notified, but the channel {', '.join(owners)} addresses no single person",
            "set mention in the channel, or add a channel of kind ses to owners in [remind]",
        ),
        (
            file and not (os.path.isabs(file) and os.access(folder, os.W_OK)),
            f"audit.file {file} cannot be written",
            "use an absolute path in a folder that exists, like /var/log/keys.jsonl",
        ),
    ):
        if wrong:
            raise WrongUsage(what, hint)


def plan_run(context: EnforceContext) -> EnforcePlan:
    """Look at everybody and decide. Raises Problem if it cannot be known which accounts there are, WrongUsage."""
    settings, now = context.settings, context.now()
    accounts, missing = _accounts(context)
    accounts = meant(accounts, settings)
    shut = closed(settings.enforce, now)
    if not settings.enforce.accounts:  # what the rules would do; `check` lets nobody do it
        everywhere = tuple(account.number for account in accounts)
        context = replace(context, settings=replace(settings, enforce=replace(settings.enforce, accounts=everywhere)))
        settings, shut = context.settings, NOWHERE
        if not context.notifier.channels.owners:
            context, shut = replace(context, preview=True), f"{NOWHERE}, and {NO_CHANNEL}"
    with Pool(context.workers) as pool:
        entered = pool.map(
            lambda account: enter(context.organization, account, settings, context.sleep, now.date()),
            accounts,
            partial(context.progress, "accounts"),
        )
        places = without_group(entered, settings, now.date()) if context.whole else entered
        jobs = [(place, user) for place in places for user in place.users]
        found = pool.map(lambda job: look(*job, settings, now), jobs, partial(context.progress, "users"))
    found = [each for each in found if each.exempt != NOT_MEANT]
    plan = _decided(found, context, now)
    if shut.startswith(NOWHERE):
        plan = replace(plan, looks=(), left=())
    broken = [*missing, *((str(place.account), place.problem) for place in places if place.problem)]
    broken += [(f"{each.user.name} in {each.account}", each.problem) for each in found if each.problem]
    seen = frozenset((*(each.user.name for each in found), *(account.number for account in accounts)))
    return replace(plan, broken=(*broken, *plan.broken), accounts=len(accounts), closed=shut, seen=seen)


def _accounts(context: EnforceContext) -> tuple[list[AwsAccount], list[tuple[str, Problem]]]:
    """Where anything may be done, and what is named and not there; where it may be done nowhere yet, a dry run looks at
    all that there are."""
    allowed, where = context.settings.enforce.accounts, context.settings.accounts
    there = accounts_of(context.organization, where)
    numbers = {account.number for account in there}
    hint = "aws organizations list-accounts" if where.role else "set role = NAME in [accounts] of the fleet's settings"
    strange = Problem("listed in [enforce] accounts, but not among the accounts that can be checked", hint)
    named = [number for number in allowed if number.isdigit()]
    missing = [(number, strange) for number in named if number not in numbers] if context.whole else []
    if allowed and not named and context.whole:
        missing = [(", ".join(allowed), Problem("no account that can be checked is meant by [enforce] accounts", hint))]
    return [account for account in there if account.number in allowed or not allowed], missing


def _decided(found: list[UserLook], context: EnforceContext, now: datetime) -> EnforcePlan:
    """What all decisions come to; a notice that reaches nobody is none."""
    notices: list[PlannedAction] = []
    users: list[list[PlannedAction]] = []
    spared: list[tuple[AwsAccount, Skipped]] = []
    faults: list[tuple[str, Problem]] = []
    for each in found:
        try:
            decisions = decide(each, context.settings, now)
            sure = [one if isinstance(one, Skipped) else context.unreached(one, each) or one for one in decisions]
        except Exception as error:  # noqa: BLE001 - a fault with one user ends nobody else's run
            faults.append((f"{each.user.name} in {each.account}", fault(error)))
            continue
        spared += [(each.account, one) for one in sure if isinstance(one, Skipped)]
        steps = [PlannedAction(one, each) for one in sure if isinstance(one, Act)]
        notices += [step for step in steps if step.act.kind is ActionKind.NOTIFY]
        acts = [step for step in steps if step.act.kind is not ActionKind.NOTIFY]
        users += [acts] if acts else []
    users.sort(key=lambda steps: min(step.act.key.created for step in steps))
    acts, most = [step for steps in users for step in steps], context.settings.enforce.most
    over = f"at most {most} actions a run (most)"
    spared += [(each.found.account, Skipped(SkipRule.LIMIT, each.act.user, each.act.key, over)) for each in acts[most:]]
    mine = [each for each in found if each.account.number in context.settings.enforce.accounts]
    left = tuple(one for each in mine for one in left_of(each))
    unfinished = {(one.found.account, one.found.user.arn) for one in left}
    looks = tuple(each for each in mine if each.stale and (each.account, each.user.arn) not in unfinished)
    return EnforcePlan(tuple(notices), tuple(acts[:most]), tuple(spared), tuple(faults), looks, left, users=len(found))


def by_owner(steps: Iterable[PlannedAction], context: EnforceContext) -> Iterator[tuple[Owner, list[PlannedAction]]]:
    """One notice for each owner, whatever accounts their users are in."""
    found: dict[str, tuple[Owner, list[PlannedAction]]] = {}
    for step in steps:
        owner = context.owner(step.found)
        found.setdefault((owner.address or owner.name).lower(), (owner, []))[1].append(step)
    yield from found.values()


def by_user(steps: Iterable[PlannedAction]) -> Iterator[tuple[UserLook, list[PlannedAction]]]:
    """Those of each user."""
    found: dict[tuple[str, str], list[PlannedAction]] = {}
    for step in steps:
        found.setdefault((step.found.account.number, step.found.user.arn), []).append(step)
    yield from ((mine[0].found, mine) for mine in found.values())


def unsure_of(spared: Iterable[tuple[AwsAccount, Skipped]]) -> list[tuple[AwsAccount, Skipped]]:
    """What is spared because something could not be read: somebody should see to it, or it is spared for ever."""
    return [(account, each) for account, each in spared if each.rule in (SkipRule.UNSURE, SkipRule.LAST_USE)]


def spared_of(spared: Sequence[tuple[AwsAccount, Skipped]]) -> dict[str, list[Remark]]:
    """What of it admins must know, by title; whoever cannot be told is in one row alone."""
    lost = {(account, each.user.arn) for account, each in spared if each.rule is SkipRule.UNREACHED}
    others = [(account, each) for account, each in spared if (account, each.user.arn) not in lost]
    rows = {
        "Stuck: the user has not received the new key": (SkipRule.STUCK, SkipRule.NEW_KEY),
        "Skipped because something could not be read": (SkipRule.UNSURE, SkipRule.LAST_USE),
    }
    found = {
        title: [
            Remark(f"{each.user.name} in {account}", each.why)
            for account, each in others
            if each.rule in rules and each.why != NEW_FIRST
        ]
        for title, rules in rows.items()
    }
    return {**found, "Skipped because the owner cannot be notified": list(unreached_of(spared))}


def unreached_of(spared: Iterable[tuple[AwsAccount, Skipped]]) -> Iterator[Remark]:
    """Users who are spared because nobody could be told, each once; where there is no channel at all, one row."""
    mine = [(account, each) for account, each in spared if each.rule is SkipRule.UNREACHED]
    if mine and mine[0][1].why.endswith(NO_CHANNEL):
        yield Remark(number(len({(account, each.user.arn) for account, each in mine}), "user"), NO_CHANNEL)
        return
    rows = (Remark(f"{each.user.name} in {account}", each.why.partition(": ")[2]) for account, each in mine)
    yield from dict.fromkeys(rows)
